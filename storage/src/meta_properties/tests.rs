//! Files as Kafka and Ottla write them, and those that must stop a node.

use super::*;
use crate::sim::SimDisk;

/// As Kafka 4.3.1 writes it.
const KAFKA: &str = "#\n#Sat Aug 01 10:00:00 UTC 2026\nnode.id=1\n\
    directory.id=Kf0x2TMpRMSPGQLD8LBQ2w\nversion=1\ncluster.id=4L6g3nShT-eMCtK--X86sw\n";

fn meta() -> MetaProperties {
    MetaProperties {
        cluster_id: "4L6g3nShT-eMCtK--X86sw".to_owned(),
        node_id: 1,
        directory_id: Some("Kf0x2TMpRMSPGQLD8LBQ2w".parse().unwrap()),
    }
}

#[test]
fn kafkas_file_is_read() {
    assert_eq!(MetaProperties::decode(KAFKA.as_bytes()), Ok(meta()));
    let no_directory = KAFKA.replace("directory.id", "other.id");
    let expected = MetaProperties { directory_id: None, ..meta() };
    assert_eq!(MetaProperties::decode(no_directory.as_bytes()), Ok(expected));
    let old = "version = 0\ncluster.id : c\\:1\nbroker.id 7 \n";
    let expected = MetaProperties { cluster_id: "c:1".to_owned(), node_id: 7, directory_id: None };
    assert_eq!(MetaProperties::decode(old.as_bytes()), Ok(expected.clone()));
    let without_version = old.replace("version", "!version");
    assert_eq!(MetaProperties::decode(without_version.as_bytes()), Ok(expected));
}

#[test]
fn ottlas_file() {
    let text = meta().encode(1_795_619_191_999);
    let expected = "#\n#Wed Nov 25 15:06:31 UTC 2026\nversion=1\n\
        cluster.id=4L6g3nShT-eMCtK--X86sw\nnode.id=1\ndirectory.id=Kf0x2TMpRMSPGQLD8LBQ2w\n";
    assert_eq!(text, expected);
    assert_eq!(MetaProperties::decode(text.as_bytes()), Ok(meta()));
    let odd = MetaProperties { cluster_id: " a=b\\ #".to_owned(), directory_id: None, ..meta() };
    assert_eq!(MetaProperties::decode(odd.encode(0).as_bytes()), Ok(odd));
}

#[test]
fn dates_are_javas() {
    let table = [
        (0, "Thu Jan 01 00:00:00 UTC 1970"),
        (-1, "Wed Dec 31 23:59:59 UTC 1969"),
        (951_782_400_000, "Tue Feb 29 00:00:00 UTC 2000"),
        (951_868_800_000, "Wed Mar 01 00:00:00 UTC 2000"),
        (1_704_067_199_000, "Sun Dec 31 23:59:59 UTC 2023"),
        (1_709_208_000_000, "Thu Feb 29 12:00:00 UTC 2024"),
        (4_107_542_400_000, "Mon Mar 01 00:00:00 UTC 2100"),
    ];
    for (now_ms, expected) in table {
        assert_eq!(java_date(now_ms), expected);
    }
}

#[test]
fn what_must_not_be_used() {
    let missing = |key| MetaPropertiesError::Missing { key };
    let wrong = |key, value: &str, expected| MetaPropertiesError::Invalid {
        key,
        value: value.to_owned(),
        expected,
    };
    let number = "an integer from 0";
    let id = "22 characters of base64, not reserved";
    let reserved = Uuid::from_u64s(0, 99).to_string();
    let table = [
        ("version=1".to_owned(), "version=2", wrong("version", "2", "0 or 1")),
        ("version=1".to_owned(), "version=x", wrong("version", "x", "0 or 1")),
        ("version=1".to_owned(), "version=0", missing("broker.id")),
        ("node.id=1".to_owned(), "", missing("node.id")),
        ("node.id=1".to_owned(), "node.id=one", wrong("node.id", "one", number)),
        ("node.id=1".to_owned(), "node.id=-1", wrong("node.id", "-1", number)),
        ("cluster.id".to_owned(), "x", missing("cluster.id")),
        ("Kf0x2TMpRMSPGQLD8LBQ2w".to_owned(), "x", wrong("directory.id", "x", id)),
        ("Kf0x2TMpRMSPGQLD8LBQ2w".to_owned(), &reserved, wrong("directory.id", &reserved, id)),
        ("node.id=1".to_owned(), "a=\\u1", MetaPropertiesError::Syntax { line: 3 }),
    ];
    for (from, to, expected) in table {
        let text = KAFKA.replace(&from, to);
        assert_eq!(MetaProperties::decode(text.as_bytes()), Err(expected), "{text}");
    }
}

#[test]
fn reserved_directory_ids() {
    for reserved in [0, 1, 2, 99, 1 << 63, u64::MAX] {
        assert!(!is_legal_directory_id(Uuid::from_u64s(0, reserved)), "{reserved}");
    }
    for legal in [(0, 100), (0, i64::MAX as u64), (1, 0), (u64::MAX, 5)] {
        assert!(is_legal_directory_id(Uuid::from_u64s(legal.0, legal.1)), "{legal:?}");
    }
}

#[test]
fn directories_must_belong_together() {
    let dir = |name: &str, meta: MetaProperties| (PathBuf::from(name), meta);
    let plain = || MetaProperties { directory_id: None, ..meta() };
    assert_eq!(verify(&[], 1), Ok(()));
    assert_eq!(verify(&[dir("a", meta()), dir("b", plain()), dir("c", plain())], 1), Ok(()));
    let text = |dirs: &[(PathBuf, MetaProperties)]| verify(dirs, 1).unwrap_err().to_string();
    let stranger = MetaProperties { node_id: 3, ..plain() };
    let expected = "b/meta.properties: stored node id 3 doesn't match the configured node id 1";
    assert_eq!(text(&[dir("a", meta()), dir("b", stranger)]), expected);
    let other = MetaProperties { cluster_id: "x".to_owned(), ..plain() };
    let expected = "b/meta.properties: cluster id \"x\" doesn't match \"4L6g3nShT-eMCtK--X86sw\" \
        of the other directories";
    assert_eq!(text(&[dir("a", meta()), dir("b", other)]), expected);
    let expected = "b/meta.properties: directory id Kf0x2TMpRMSPGQLD8LBQ2w is also that of a";
    assert_eq!(text(&[dir("a", meta()), dir("b", meta())]), expected);
}

#[test]
fn files() {
    let disk = SimDisk::new();
    let dir = Path::new("data");
    disk.create_dir_all(dir).unwrap();
    assert_eq!(read(&disk, dir).unwrap(), None);
    write(&disk, dir, &meta(), 0).unwrap();
    assert_eq!(read(&disk, dir).unwrap(), Some(meta()));
    whole_file::replace(&disk, &path(dir), b"version=9").unwrap();
    let error = read(&disk, dir).unwrap_err().to_string();
    assert_eq!(error, "data/meta.properties: version is \"9\", expected 0 or 1");
}

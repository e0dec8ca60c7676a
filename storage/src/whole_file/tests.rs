//! Replacing, and what every decoder of whole files must bear.

use super::*;
use crate::checkpoint::{decode_offsets, encode_offsets};
use crate::clean_shutdown;
use crate::disk::RealDisk;
use crate::leader_epoch::LeaderEpochCache;
use crate::meta_properties::MetaProperties;
use crate::producer_state::snapshot;
use crate::producer_state::{ProducerSettings, ProducerState};
use proptest::prelude::*;
use proptest::sample::Index;

#[test]
fn a_file_is_replaced_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    assert!(read(&RealDisk, &path).unwrap().is_none());
    replace(&RealDisk, &path, b"a longer content").unwrap();
    replace(&RealDisk, &path, b"short").unwrap();
    assert_eq!(read(&RealDisk, &path).unwrap().unwrap(), b"short");
    assert!(!temporary_path(&path).exists());
}

#[test]
fn a_claimed_size_is_not_allocated() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let file = RealDisk.open(&path, Open::Create).unwrap();
    file.set_len(WHOLE_FILE_BYTES_MAX + 1).unwrap();
    assert_eq!(read(&RealDisk, &path).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
}

#[test]
fn parents() {
    assert_eq!(parent(Path::new("a/b")), Path::new("a"));
    assert_eq!(parent(Path::new("b")), Path::new("."));
}

/// One good file of each format.
fn good_files() -> Vec<Vec<u8>> {
    vec![
        b"0\n2\norders 0 1042\norders 1 998\n".to_vec(),
        b"0\n2\n0 0\n3 151\n".to_vec(),
        b"version: 0\ntopic_id: TAAAAAAAAAAAAAAAAAAAAA".to_vec(),
        br#"{"version":0,"brokerEpoch":123}"#.to_vec(),
        b"#\n#now\nversion=1\ncluster.id=c\nnode.id=1\ndirectory.id=Kf0x2TMpRMSPGQLD8LBQ2w\n"
            .to_vec(),
        snapshot::encode(&ProducerState::new(ProducerSettings::default(), 0)),
    ]
}

#[derive(Clone, Debug)]
enum Edit {
    Set(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Cut(Index),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let byte = || prop_oneof![any::<u8>(), b'0'..=b'9', Just(b' '), Just(b'\n'), Just(b'\\')];
    let edit = prop_oneof![
        (any::<Index>(), byte()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        (any::<Index>(), byte()).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        any::<Index>().prop_map(Edit::Remove),
        any::<Index>().prop_map(Edit::Cut),
    ];
    proptest::collection::vec(edit, 0..5)
}

fn edited(mut bytes: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for edit in edits {
        let len = bytes.len();
        match edit {
            Edit::Insert(at, byte) => bytes.insert(at.index(len + 1), *byte),
            _ if len == 0 => {}
            Edit::Set(at, byte) => bytes[at.index(len)] = *byte,
            Edit::Remove(at) => _ = bytes.remove(at.index(len)),
            Edit::Cut(at) => bytes.truncate(at.index(len)),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// No decoder panics, and what one accepts it accepts again, unchanged, once it was written.
    #[test]
    fn damaged_files_are_refused_or_read(which in any::<Index>(), edits in edits()) {
        let bytes = edited(which.get(&good_files()).clone(), &edits);
        if let Ok(offsets) = decode_offsets(&bytes) {
            prop_assert_eq!(decode_offsets(&encode_offsets(&offsets)), Ok(offsets));
        }
        if let Ok(cache) = LeaderEpochCache::decode(&bytes) {
            prop_assert_eq!(LeaderEpochCache::decode(&cache.encode()), Ok(cache));
        }
        if let Ok(topic_id) = crate::partition_metadata::decode(&bytes) {
            let text = crate::partition_metadata::encode(topic_id);
            prop_assert_eq!(crate::partition_metadata::decode(text.as_bytes()), Ok(topic_id));
        }
        if let Ok(meta) = MetaProperties::decode(&bytes) {
            prop_assert_eq!(MetaProperties::decode(meta.encode(0).as_bytes()), Ok(meta));
        }
        let marker = clean_shutdown::decode(&bytes);
        prop_assert!(marker.broker_epoch.is_none_or(|epoch| 0 <= epoch));
        if let Ok(producers) = snapshot::decode(&bytes) {
            prop_assert!(producers.len() * 46 < bytes.len());
        }
    }
}

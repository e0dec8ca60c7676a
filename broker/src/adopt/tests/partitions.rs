//! What lies in the log directories, against what the metadata log says.

use ottla_storage::partition_metadata;

use super::*;

const TOPIC: &str = "t";
const TOPIC_ID: Uuid = Uuid::from_bytes([5; 16]);

fn statics(settings: &str, accept: &str) -> StaticConfig {
    let file = format!("node.id=7\nlisteners=PLAINTEXT://127.0.0.1:0\n{settings}\n");
    let mut statics = StaticConfig::parse("server.properties", file.as_bytes()).unwrap();
    statics.accept(accept).unwrap();
    statics
}

/// What a check says; a start refuses for the same reasons.
fn told(disk: &SimDisk, statics: &StaticConfig) -> Check {
    let check = check(disk, statics, "h");
    let refusal = refusal(disk, &BrokerConfig::new(statics, "h").unwrap(), statics);
    assert_eq!(check.is_ready(), refusal.is_none(), "{}", check.text);
    for reason in &check.reasons {
        assert!(refusal.as_ref().unwrap().contains(&reason.to_string()), "{}", check.text);
    }
    check
}

fn identify(disk: &SimDisk, dir: &str, id: u8) {
    let properties = MetaProperties {
        cluster_id: "AAAAAAAAAAAAAAAAAAAAAQ".to_owned(),
        node_id: 7,
        directory_id: Some(Uuid::from_bytes([id; 16])),
    };
    disk.create_dir_all(Path::new(dir)).unwrap();
    meta_properties::write(disk, Path::new(dir), &properties, NOW_MS).unwrap();
}

/// The directory of a partition of `TOPIC`, without a segment.
fn partition(disk: &SimDisk, path: &str) {
    disk.create_dir_all(Path::new(path)).unwrap();
    partition_metadata::write(disk, Path::new(path), TOPIC_ID).unwrap();
}

/// The metadata log gets `TOPIC`, with partition 0 on these nodes.
fn add_topic(data: &mut Data, replicas: &[i32], directory: Uuid) {
    data.add(TopicRecord { name: TOPIC, topic_id: TOPIC_ID }.into());
    let partition = PartitionRecord {
        partition_id: 0,
        leader_epoch: 0,
        partition_epoch: 0,
        topic_id: TOPIC_ID,
        replicas: replicas.to_vec(),
        isr: replicas.to_vec(),
        leader: replicas[0],
        directories: vec![directory; replicas.len()],
        ..PartitionRecord::default()
    };
    let mut records = Records::new();
    records.push(&partition.into(), 1);
    data.append(&records);
}

#[test]
fn partitions_without_a_metadata_log_are_a_reason() {
    let disk = SimDisk::new();
    identify(&disk, "/d", 1);
    disk.create_dir_all(Path::new("/mnt")).unwrap();
    // Nothing but what is on its way out, or was already set aside: nothing is lost.
    for leftover in ["-delete", "-stray", "-future"] {
        let name = format!("/d/t-0.{:032x}{leftover}", 1);
        disk.create_dir_all(Path::new(&name)).unwrap();
    }
    // The metadata log's disk is not mounted, and is one of the log directories or is not; or the
    // log was begun, and nothing was written to it.
    let settings = ["log.dirs=/mnt,/d", "log.dirs=/d\nmetadata.log.dir=/mnt", "log.dirs=/d"];
    for settings in settings {
        let check = told(&disk, &statics(settings, ""));
        assert!(check.is_ready(), "{}", check.text);
    }
    partition(&disk, "/d/t-0");
    for with_directory in [false, true] {
        for (settings, place) in settings.iter().zip(["/mnt", "/mnt", "/d"]) {
            let check = told(&disk, &statics(settings, ""));
            assert_eq!(check.reasons.len(), 1, "{}", check.text);
            assert_eq!(check.reasons[0].place, format!("{place}/__cluster_metadata-0"));
            for expected in [
                "the metadata log is missing or empty, and 1 partitions lie in /d: t-0; a start",
                "mount the disk that the metadata log is on",
                "or --accept strays: a new cluster begins, and every partition here is renamed",
                "renamed to *-stray by a start, as by Kafka: t-0\n",
            ] {
                assert!(check.text.contains(expected), "{}", check.text);
            }
            let check = told(&disk, &statics(settings, "strays"));
            assert!(check.is_ready(), "{}", check.text);
            assert!(check.text.contains("by a start, as by Kafka: t-0\n"), "{}", check.text);
        }
        if !with_directory {
            for dir in ["/d/__cluster_metadata-0", "/mnt/__cluster_metadata-0"] {
                disk.create_dir_all(Path::new(dir)).unwrap();
            }
            identify(&disk, "/mnt", 2);
        }
    }
}

#[test]
fn what_zookeeper_knew_is_not_set_aside() {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("/d/t-0")).unwrap();
    let properties = b"version=0\nbroker.id=7\ncluster.id=AAAAAAAAAAAAAAAAAAAAAQ\n";
    whole_file::replace(&disk, Path::new("/d/meta.properties"), properties).unwrap();
    let check = told(&disk, &statics("log.dirs=/d", ""));
    assert_eq!(check.reasons.len(), 1, "{}", check.text);
    assert!(check.text.contains("is migrated to KRaft by Kafka 3.9 first"), "{}", check.text);
}

#[test]
fn partitions_of_other_nodes_are_not_missed() {
    let mut data = Data::new();
    add_topic(&mut data, &[7], Uuid::UNASSIGNED_DIR);
    let statics = statics("log.dirs=/d", "");
    let text = told(&data.disk, &statics).text;
    assert!(text.contains("in none of these directories: t-0\n"), "{text}");
    partition(&data.disk, "/d/t-0");
    let text = told(&data.disk, &statics).text;
    assert!(!text.contains("t-0"), "{text}");

    let mut data = Data::new();
    add_topic(&mut data, &[8], Uuid::UNASSIGNED_DIR);
    let text = told(&data.disk, &statics).text;
    assert!(!text.contains("in none of these directories"), "{text}");
    // One that is here nevertheless is set aside.
    partition(&data.disk, "/d/t-0");
    let text = told(&data.disk, &statics).text;
    assert!(text.contains("renamed to *-stray by a start, as by Kafka: t-0\n"), "{text}");
}

#[test]
fn names_that_a_start_refuses_are_told_before_it_writes() {
    let mut data = Data::new();
    add_topic(&mut data, &[7], Uuid::UNASSIGNED_DIR);
    let statics = statics("log.dirs=/d", "");
    partition(&data.disk, "/d/t-0");
    for harmless in ["notes.txt", "00000000000000000000.log", "x.deleted"] {
        data.write(&format!("t-0/{harmless}"), b"");
    }
    data.disk.create_dir_all(Path::new("/d/t-0/dir.log")).unwrap();
    assert_eq!(data.judge(""), None);
    data.write("t-0/copy.log", b"");
    data.write("t-0/of.index", b"");
    let check = told(&data.disk, &statics);
    assert_eq!(check.reasons.len(), 1, "{}", check.text);
    let expected = "- file \"copy.log\" does not begin with a base offset, nor do 1 more\n  \
                    where: /d/t-0\n  next: move it elsewhere; Kafka does not start beside it";
    assert!(check.text.contains(expected), "{}", check.text);

    // A start does not open what it sets aside, what it cannot tell the topic of, and what is in a
    // directory that it goes on without.
    partition_metadata::write(&data.disk, Path::new("/d/t-0"), Uuid::from_bytes([6; 16])).unwrap();
    assert_eq!(data.judge(""), None);
    data.write("t-0/partition.metadata", b"rot");
    assert_eq!(data.judge(""), None);
}

/// Two log directories, both with partition 0 of `TOPIC`.
fn twice() -> (Data, StaticConfig) {
    let mut data = Data::new();
    add_topic(&mut data, &[7], Uuid::UNASSIGNED_DIR);
    identify(&data.disk, "/e", 2);
    for dir in ["/d/t-0", "/e/t-0"] {
        partition(&data.disk, dir);
        let path = Path::new(dir).join("00000000000000000000.log");
        whole_file::replace(&data.disk, &path, OPEN_TRANSACTION).unwrap();
    }
    (data, statics("log.dirs=/d,/e", ""))
}

#[test]
fn a_partition_in_two_log_directories_is_told_before_a_start_writes() {
    let (data, statics) = twice();
    let check = told(&data.disk, &statics);
    assert_eq!(check.reasons.len(), 1, "{}", check.text);
    let expected = "- partition t-0 is in 2 log directories\n  where: /d/t-0, /e/t-0\n";
    assert!(check.text.contains(expected), "{}", check.text);
    // Of a damaged one nobody can tell what it is.
    let metadata = Path::new("/e/t-0/partition.metadata");
    whole_file::replace(&data.disk, metadata, b"rot").unwrap();
    assert_eq!(told(&data.disk, &statics).reasons, check.reasons);
}

#[test]
fn a_copy_that_a_start_sets_aside_is_no_reason() {
    let log = Path::new("/e/t-0/00000000000000000000.log");
    for unused in [&[][..], &[0; 4096]] {
        let (data, statics) = twice();
        whole_file::replace(&data.disk, log, unused).unwrap();
        let ready = told(&data.disk, &statics);
        assert!(ready.is_ready(), "{}", ready.text);
        // It had records, which are gone by retention.
        let begun = b"0\n1\nt 0 5\n";
        let checkpoint = Path::new("/e/log-start-offset-checkpoint");
        whole_file::replace(&data.disk, checkpoint, begun).unwrap();
        assert_eq!(told(&data.disk, &statics).reasons.len(), 1);
    }
    // One of a topic that was deleted meanwhile.
    let (data, statics) = twice();
    let id = Uuid::from_bytes([6; 16]);
    partition_metadata::write(&data.disk, Path::new("/e/t-0"), id).unwrap();
    let ready = told(&data.disk, &statics);
    assert!(ready.is_ready(), "{}", ready.text);
    // One in a directory that a start goes on without.
    let (data, statics) = twice();
    let checkpoint = Path::new("/e/replication-offset-checkpoint");
    whole_file::replace(&data.disk, checkpoint, b"rot").unwrap();
    let ready = told(&data.disk, &statics);
    assert!(ready.is_ready(), "{}", ready.text);
}

#[test]
fn a_blank_directory_in_place_of_a_lost_one_is_accepted_by_name() {
    let mut data = Data::new();
    add_topic(&mut data, &[7], Uuid::from_bytes([8; 16]));
    let settings = "log.dirs=/d,/mnt";
    let check = told(&data.disk, &statics(settings, ""));
    assert_eq!(check.reasons.len(), 1, "{}", check.text);
    assert!(check.text.contains("; or --accept lost-directories: the directory is made a new"));
    let ready = told(&data.disk, &statics(settings, "lost-directories"));
    assert!(ready.is_ready(), "{}", ready.text);
    // It has a name from then on.
    identify(&data.disk, "/mnt", 9);
    let ready = told(&data.disk, &statics(settings, ""));
    assert!(ready.is_ready(), "{}", ready.text);
}

#[test]
fn a_directory_that_cannot_be_read_does_not_stand_for_one_that_is_not_mounted() {
    let mut data = Data::new();
    add_topic(&mut data, &[7], Uuid::from_bytes([8; 16]));
    // A file where the directory should be.
    whole_file::replace(&data.disk, Path::new("/rot"), b"x").unwrap();
    let check = told(&data.disk, &statics("log.dirs=/d,/rot,/mnt", ""));
    assert_eq!(check.reasons.len(), 1, "{}", check.text);
    assert_eq!(check.reasons[0].place, "/mnt");
    // By itself it is offline, and a start goes on.
    let ready = told(&data.disk, &statics("log.dirs=/d,/rot", ""));
    assert!(ready.is_ready(), "{}", ready.text);
}

//! Checks and refusals on a simulated disk.

mod peers;

use std::collections::BTreeMap;
use std::path::Path;

use ottla_metadata::bootstrap;
use ottla_metadata::controller::Records;
use ottla_metadata::log_codec::{self, BatchPlace};
use ottla_metadata::quorum_state::{self, QuorumState, QuorumStateVersion};
use ottla_protocol::metadata::MetadataRecord;
use ottla_protocol::metadata::cluster::FeatureLevelRecord;
use ottla_protocol::metadata::config::ConfigRecord;
use ottla_protocol::metadata::topic::{PartitionRecord, TopicRecord};
use ottla_protocol::uuid::Uuid;
use ottla_storage::disk::{Disk, Open};
use ottla_storage::meta_properties::{self, MetaProperties};
use ottla_storage::sim::SimDisk;
use ottla_storage::whole_file;

use super::*;
use crate::config::{BrokerConfig, StaticConfig};

mod partitions;

const NOW_MS: i64 = 1_700_000_000_000;
const STANDALONE: &[u8] = include_bytes!("golden/standalone.checkpoint.bin");
const OPEN_TRANSACTION: &[u8] = include_bytes!("golden/open-transaction.bin");

/// A directory of node 7 with a metadata log that begins as a new cluster's does.
struct Data {
    disk: SimDisk,
    log: Vec<u8>,
    next_offset: i64,
}

impl Data {
    fn new() -> Self {
        let disk = SimDisk::new();
        disk.create_dir_all(Path::new("/d/__cluster_metadata-0")).unwrap();
        let properties = MetaProperties {
            cluster_id: "AAAAAAAAAAAAAAAAAAAAAQ".to_owned(),
            node_id: 7,
            directory_id: Some("mnD_d0A-T7eLwtWVn9C_qA".parse().unwrap()),
        };
        meta_properties::write(&disk, Path::new("/d"), &properties, NOW_MS).unwrap();
        let mut data = Self { disk, log: Vec::new(), next_offset: 0 };
        let (records, _) = bootstrap::first_records(&bootstrap::records(), "1", 0).unwrap();
        data.append(&records);
        data
    }

    fn append(&mut self, records: &Records) {
        let place = BatchPlace { base_offset: self.next_offset, epoch: 1, now_ms: NOW_MS };
        self.log.extend(log_codec::records_batch(records, place).unwrap());
        self.next_offset += records.iter().count() as i64;
        self.write("__cluster_metadata-0/00000000000000000000.log", &self.log);
    }

    fn add(&mut self, record: MetadataRecord<'_>) {
        let mut records = Records::new();
        records.push(&record, 0);
        self.append(&records);
    }

    fn add_value(&mut self, value: &[u8]) {
        let mut records = Records::new();
        records.push_value(value);
        self.append(&records);
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = Path::new("/d").join(name);
        self.disk.create_dir_all(path.parent().unwrap()).unwrap();
        whole_file::replace(&self.disk, &path, bytes).unwrap();
    }

    fn statics(accept: &str) -> StaticConfig {
        let file = b"node.id=7\nlog.dirs=/d\nlisteners=PLAINTEXT://127.0.0.1:0\n";
        let mut statics = StaticConfig::parse("server.properties", file).unwrap();
        statics.accept(accept).unwrap();
        statics
    }

    /// What a start and a check say; they agree, and change nothing.
    fn judge(&self, accept: &str) -> Option<String> {
        let before = tree(&self.disk, Path::new("/d"));
        let statics = Self::statics(accept);
        let config = BrokerConfig::new(&statics, "h").unwrap();
        let refusal = refusal(&self.disk, &config, &statics);
        let check = check(&self.disk, &statics, "h");
        assert_eq!(check.is_ready(), refusal.is_none(), "{}", check.text);
        for reason in &check.reasons {
            assert!(refusal.as_ref().unwrap().contains(&reason.to_string()));
            assert!(check.text.contains(&reason.to_string()));
        }
        assert_eq!(tree(&self.disk, Path::new("/d")), before);
        refusal
    }
}

/// All files and their contents.
fn tree(disk: &SimDisk, dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in disk.list(dir).unwrap() {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            files.extend(tree(disk, &path));
            continue;
        }
        let file = disk.open(&path, Open::Read).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        files.insert(path.display().to_string(), bytes);
    }
    files
}

#[test]
fn an_ordinary_directory_is_ready() {
    let data = Data::new();
    assert_eq!(data.judge(""), None);
    let text = check(&data.disk, &Data::statics(""), "h").text;
    for expected in [
        "settings        obeyed: listeners, log.dirs, node.id\n",
        "cluster         AAAAAAAAAAAAAAAAAAAAAQ\n",
        "features        metadata.version 30, eligible.leader.replicas.version 1,",
        "result          ready: ottla would start on this; nothing was changed\n",
    ] {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn directories_that_are_not_there_are_ready_and_not_made() {
    let disk = SimDisk::new();
    let check = check(&disk, &Data::statics(""), "h");
    assert!(check.is_ready(), "{}", check.text);
    assert!(check.text.contains("none yet: a start would make a new one"), "{}", check.text);
    assert!(!disk.exists(Path::new("/d")).unwrap());
}

#[test]
fn levels_and_kinds_from_the_future_are_refused() {
    let mut data = Data::new();
    let level = FeatureLevelRecord { name: "metadata.version", feature_level: 31 };
    data.add(level.into());
    data.add(FeatureLevelRecord { name: "tea.version", feature_level: 2 }.into());
    data.add_value(&[1, 99, 0, 0]);
    let refusal = data.judge("acls,tiered-storage").unwrap();
    for expected in [
        "nothing was changed:",
        "- feature metadata.version is at level 31, known are 7 to 30\n",
        "- feature tea.version, of level 2, is not known\n",
        "kinds that Kafka 4.3 does not have: 99\n",
        "  where: /d/__cluster_metadata-0\n",
        "kafka-features downgrade --feature metadata.version=30",
    ] {
        assert!(refusal.contains(expected), "{refusal}");
    }
}

#[test]
fn a_record_of_a_version_from_the_future_is_refused() {
    let mut data = Data::new();
    // A topic's record, version 1.
    data.add_value(&[1, 2, 1, 0]);
    let refusal = data.judge("").unwrap();
    assert!(refusal.contains("a version newer than those of Kafka 4.3\n"), "{refusal}");
    assert!(refusal.contains("00000000000000000000.log\n"), "{refusal}");
}

#[test]
fn a_torn_end_is_no_reason() {
    let data = Data::new();
    let mut torn = data.log.clone();
    torn.truncate(torn.len() - 3);
    data.write("__cluster_metadata-0/00000000000000000000.log", &torn);
    assert_eq!(data.judge(""), None);
    let text = check(&data.disk, &Data::statics(""), "h").text;
    assert!(text.contains("torn, a start cuts it off: /d/__cluster_metadata-0/0000"), "{text}");
}

#[test]
fn damage_before_good_batches_is_a_reason_in_the_words_of_the_start() {
    let mut data = Data::new();
    let end = data.log.len();
    data.add(TopicRecord { name: "t", topic_id: Uuid::from_bytes([5; 16]) }.into());
    let mut damaged = data.log.clone();
    damaged[end - 3] ^= 1;
    data.write("__cluster_metadata-0/00000000000000000000.log", &damaged);
    let refusal = data.judge("").unwrap();
    for expected in [
        "the metadata log has lost records: ",
        "00000000000000000000.log: damaged at byte 0: crc is ",
        "the next good batch has offset ",
        "where: /d/__cluster_metadata-0/00000000000000000000.log\n",
        "next: restore the file from a copy",
    ] {
        assert!(refusal.contains(expected), "{refusal}");
    }
    let text = check(&data.disk, &Data::statics(""), "h").text;
    assert!(!text.contains("-stray"), "{text}");
}

#[test]
fn a_damaged_snapshot_that_nothing_stands_for_is_a_reason() {
    let data = Data::new();
    data.disk.unlink(Path::new("/d/__cluster_metadata-0/00000000000000000000.log")).unwrap();
    let name = "__cluster_metadata-0/00000000000000000009-0000000001.checkpoint";
    data.write(name, b"rot");
    let refusal = data.judge("").unwrap();
    assert!(refusal.contains("but there is no log: records between are in this"), "{refusal}");
    assert!(refusal.contains(&format!("where: /d/{name}\n")), "{refusal}");
    let text = check(&data.disk, &Data::statics(""), "h").text;
    assert!(!text.contains("no metadata log yet"), "{text}");
}

#[test]
fn a_damaged_snapshot_that_is_passed_over_is_told() {
    let data = Data::new();
    let name = "__cluster_metadata-0/00000000000000000005-0000000001.checkpoint";
    data.write(name, b"rot");
    let text = check(&data.disk, &Data::statics(""), "h").text;
    assert!(text.contains("result          ready"), "{text}");
    assert!(text.contains(&format!("\n- /d/{name} is damaged, and passed over")), "{text}");
}

#[test]
fn a_directory_of_another_node_is_told_by_its_path() {
    let data = Data::new();
    let other = b"version=1\nnode.id=8\ncluster.id=AAAAAAAAAAAAAAAAAAAAAQ\n";
    data.write("meta.properties", other);
    let refusal = data.judge("").unwrap();
    assert!(refusal.contains("\n  where: /d/meta.properties\n"), "{refusal}");
}

#[test]
fn a_log_that_ends_before_a_damaged_snapshot_is_a_reason() {
    let data = Data::new();
    let named = |end: i64| format!("__cluster_metadata-0/{end:020}-0000000001.checkpoint");
    data.write(&named(data.next_offset), b"rot");
    assert_eq!(data.judge(""), None);
    let beyond = named(data.next_offset + 1);
    data.write(&beyond, b"rot");
    let refusal = data.judge("").unwrap();
    assert!(refusal.contains("records behind are in this snapshot alone"), "{refusal}");
    assert!(refusal.contains(&format!("where: /d/{beyond}\n")), "{refusal}");
}

#[test]
fn a_mount_point_without_its_disk_is_a_reason() {
    let mut data = Data::new();
    let topic_id = Uuid::from_bytes([5; 16]);
    data.add(TopicRecord { name: "t", topic_id }.into());
    let partition = PartitionRecord {
        partition_id: 0,
        topic_id,
        leader_epoch: 0,
        partition_epoch: 0,
        replicas: vec![7],
        isr: vec![7],
        leader: 7,
        directories: vec![Uuid::from_bytes([8; 16])],
        ..PartitionRecord::default()
    };
    let mut records = Records::new();
    records.push(&partition.into(), 1);
    data.append(&records);
    let file = b"node.id=7\nlog.dirs=/d,/mnt\nlisteners=PLAINTEXT://127.0.0.1:0\n";
    let statics = StaticConfig::parse("server.properties", file).unwrap();
    let missing = check(&data.disk, &statics, "h");
    assert_eq!(missing.reasons.len(), 1, "{}", missing.text);
    assert_eq!(missing.reasons[0].place, "/mnt");
    data.disk.create_dir_all(Path::new("/mnt")).unwrap();
    assert_eq!(check(&data.disk, &statics, "h").reasons, missing.reasons);
    let config = BrokerConfig::new(&statics, "h").unwrap();
    let refused = refusal(&data.disk, &config, &statics).unwrap();
    assert!(refused.contains("mount the disk that belongs there"), "{refused}");
    // One that was never there is made.
    let file = b"node.id=7\nlog.dirs=/d\nlisteners=PLAINTEXT://127.0.0.1:0\n";
    let statics = StaticConfig::parse("server.properties", file).unwrap();
    assert!(check(&data.disk, &statics, "h").is_ready());
}

#[test]
fn a_directory_that_lost_its_identity_is_told() {
    let data = Data::new();
    data.disk.unlink(Path::new("/d/meta.properties")).unwrap();
    let refusal = data.judge("").unwrap();
    assert!(refusal.contains("but no meta.properties: it is not formatted, or"), "{refusal}");
}

#[test]
fn a_directory_that_a_start_takes_offline_is_told() {
    let data = Data::new();
    data.write("replication-offset-checkpoint", b"rot");
    let check = check(&data.disk, &Data::statics(""), "h");
    assert!(!check.is_ready(), "{}", check.text);
    assert!(
        check.text.contains("/d/replication-offset-checkpoint: malformed line 1"),
        "{}",
        check.text
    );
}

#[test]
fn one_malformed_value_hides_no_other_reason() {
    let mut data = Data::new();
    data.add(FeatureLevelRecord { name: "tea.version", feature_level: 2 }.into());
    let file = "node.id=x\nlog.dirs=/d\nlisteners=SSL://h:1\nauthorizer.class.name=a.B\n\
                num.io.threads=many\nlog.retention.ms=0\nlog.retention.hours=0\n\
                remote.log.storage.system.enable=true\nprocess.roles=broker\n\
                config.providers=env\nbroker.rack=${env:RACK}\nlog.roll.ms=${env:MS}\nteh=1\n";
    let statics = StaticConfig::parse("s", file.as_bytes()).unwrap();
    let check = check(&data.disk, &statics, "h");
    for expected in [
        "- node.id=x: ",
        "- listeners=SSL://h:1: listener SSL speaks SSL",
        "- authorizer.class.name=a.B: asks for ACLs",
        "- num.io.threads=many: ",
        "- log.retention.ms=0: ",
        "- log.retention.hours=0: ",
        "- remote.log.storage.system.enable=true: asks for tiered",
        "- process.roles=broker: ",
        "- broker.rack=${env:RACK}: is to come from the config provider \"env\"",
        "where: s, line 11\n",
        "next: write the value itself, or give it by --override broker.rack=VALUE",
        "- log.roll.ms=${env:MS}: is to come",
        "tea.version",
        "unknown setting teh",
    ] {
        assert!(check.text.contains(expected), "{expected}: {}", check.text);
    }
    assert_eq!(check.reasons.len(), 11, "{}", check.text);
}

#[test]
fn several_voters_are_refused_by_name() {
    let data = Data::new();
    let version = QuorumStateVersion::StaticVoters {
        cluster_id: String::new(),
        applied_offset: 0,
        voters: Some(vec![7, 8, 9]),
    };
    let state = QuorumState { version, ..QuorumState::sole_voter(7, 3) };
    let name = format!("__cluster_metadata-0/{}", quorum_state::FILE_NAME);
    data.write(&name, state.to_json().as_bytes());
    let refusal = data.judge("").unwrap();
    assert!(refusal.contains("voters are 7, 8, 9, and not node 7 alone"), "{refusal}");
    assert!(refusal.contains("where: /d/__cluster_metadata-0/quorum-state\n"), "{refusal}");

    data.write(&name, b"{");
    assert!(data.judge("").unwrap().contains("quorum-state: not a JSON object"));
    data.write(&name, QuorumState::sole_voter(7, 3).to_json().as_bytes());
    assert_eq!(data.judge(""), None);
}

#[test]
fn the_one_voter_of_a_standalone_directory_is_this_one() {
    let data = Data::new();
    data.write("__cluster_metadata-0/00000000000000000000-0000000000.checkpoint", STANDALONE);
    assert_eq!(data.judge(""), None);
    let text = check(&data.disk, &Data::statics(""), "h").text;
    assert!(text.contains("kraft.version 1\n"), "{text}");

    let other = MetaProperties {
        cluster_id: "AAAAAAAAAAAAAAAAAAAAAQ".to_owned(),
        node_id: 7,
        directory_id: Some(Uuid::from_bytes([9; 16])),
    };
    meta_properties::write(&data.disk, Path::new("/d"), &other, NOW_MS).unwrap();
    let refusal = data.judge("").unwrap();
    assert!(
        refusal.contains("voter is directory mnD_d0A-T7eLwtWVn9C_qA of this node"),
        "{refusal}"
    );
}

#[test]
fn tiered_topics_are_refused_unless_accepted() {
    let mut data = Data::new();
    data.add(TopicRecord { name: "t", topic_id: Uuid::from_bytes([5; 16]) }.into());
    let config = ConfigRecord {
        resource_type: 2,
        resource_name: "t",
        name: "remote.storage.enable",
        value: Some("true"),
    };
    data.add(config.into());
    let refusal = data.judge("acls").unwrap();
    assert!(refusal.contains("1 topics have remote storage, which is not built yet: t\n"));
    assert!(refusal.contains("; or --accept tiered-storage: records in remote storage cannot be"));
    assert_eq!(data.judge("tiered-storage"), None);
}

#[test]
fn bootstrap_levels_from_the_future_are_refused() {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("/d")).unwrap();
    let mut records = Records::new();
    let level = FeatureLevelRecord { name: "metadata.version", feature_level: 31 };
    records.push(&level.into(), 0);
    let bytes = bootstrap::checkpoint(&records, NOW_MS);
    whole_file::replace(&disk, Path::new("/d/bootstrap.checkpoint"), &bytes).unwrap();
    let check = check(&disk, &Data::statics(""), "h");
    assert!(!check.is_ready());
    assert!(check.text.contains("metadata.version is at level 31"), "{}", check.text);
}

#[test]
fn open_transactions_are_found_in_the_log() {
    let data = Data::new();
    data.write("tx-0/00000000000000000000.log", OPEN_TRANSACTION);
    let text = check(&data.disk, &Data::statics(""), "h").text;
    assert!(text.contains("\n- tx-0: producer id 1, first offset 6\n"), "{text}");
    assert!(text.contains("1 partitions, 9 offsets, 322 bytes of records\n"), "{text}");
    assert!(text.contains("renamed to *-stray by a start, as by Kafka: tx-0\n"), "{text}");
}

#[test]
fn settings_that_are_wrong_are_reasons_beside_the_others() {
    let mut data = Data::new();
    data.add(FeatureLevelRecord { name: "tea.version", feature_level: 2 }.into());
    let file = "node.id=7\nlog.dirs=/d\nlisteners=SSL://h:1\nauthorizer.class.name=a.B\nteh=1\n";
    let statics = StaticConfig::parse("s", file.as_bytes()).unwrap();
    let check = check(&data.disk, &statics, "h");
    assert_eq!(check.reasons.len(), 3, "{}", check.text);
    for expected in ["asks for ACLs", "speaks SSL", "tea.version", "unknown setting teh"] {
        assert!(check.text.contains(expected), "{}", check.text);
    }
}

#[test]
fn a_directory_that_cannot_be_used_is_a_reason() {
    let disk = SimDisk::new();
    // A file where the directory should be.
    whole_file::replace(&disk, Path::new("/d"), b"x").unwrap();
    let check = check(&disk, &Data::statics(""), "h");
    assert!(!check.is_ready(), "{}", check.text);
    assert!(check.text.contains("cannot be"), "{}", check.text);
}

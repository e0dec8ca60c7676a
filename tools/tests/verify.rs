//! The commands of `ottlactl` as programs: exit codes, the lock, output for programs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use ottla_metadata::controller::Records;
use ottla_metadata::log_codec::{self, BatchPlace};
use ottla_protocol::metadata::MetadataRecord;
use ottla_protocol::metadata::node::RegisterBrokerRecord;
use ottla_protocol::metadata::topic::{PartitionRecord, TopicRecord};
use ottla_protocol::uuid::Uuid;
use ottla_storage::disk::RealDisk;
use ottla_storage::verify::lock;

const META: &str = "version=1\ncluster.id=4L6g3nShT-eMCtK--X86sw\nnode.id=1\n\
                    directory.id=Kf0x2TMpRMSPGQLD8LBQ2w\n";

fn run(args: &[&str], dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ottlactl")).args(args).arg(dir).output().unwrap()
}

fn code(args: &[&str], dir: &Path) -> i32 {
    run(args, dir).status.code().unwrap()
}

fn log_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("meta.properties"), META).unwrap();
    dir
}

#[test]
fn exit_codes() {
    let dir = log_dir();
    assert_eq!(code(&["verify"], dir.path()), 0);
    assert_eq!(code(&["verify"], &dir.path().join("nowhere")), 2);
    assert_eq!(code(&["verify", "--no-lock"], dir.path()), 2);
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    assert_eq!(code(&["verify"], dir.path()), 1);
    assert_eq!(code(&["repair"], dir.path()), 1, "nothing can be done about it");
    assert!(!dir.path().join(".lock").exists());
}

#[test]
fn a_running_broker_is_left_alone() {
    let dir = log_dir();
    let held = lock(&RealDisk, dir.path()).unwrap().unwrap();
    for command in ["verify", "repair"] {
        let output = run(&[command], dir.path());
        assert_eq!(output.status.code(), Some(2));
        let why = String::from_utf8(output.stderr).unwrap();
        assert!(why.contains("a broker is running in it"), "{why}");
    }
    held.release().unwrap();
}

#[test]
fn files_of_a_running_broker_are_dumped_only_when_that_is_asked_for() {
    let dir = log_dir();
    let partition = dir.path().join("t-0");
    fs::create_dir(&partition).unwrap();
    let file = partition.join("00000000000000000000.log");
    fs::write(&file, "").unwrap();
    let held = lock(&RealDisk, dir.path()).unwrap().unwrap();
    let output = run(&["dump-log", "--files"], &file);
    assert_eq!(output.status.code(), Some(2));
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(why.contains("a broker is running in it; --live"), "{why}");
    assert_eq!(code(&["dump-log", "--live", "--files"], &file), 0);
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("00000000000000000000.log");
    fs::copy(&file, &copy).unwrap();
    assert_eq!(code(&["dump-log", "--files"], &copy), 0);
    held.release().unwrap();
    assert_eq!(code(&["dump-log", "--files"], &file), 0);
    assert!(!dir.path().join(".lock").exists());
}

#[test]
fn a_dry_run_repairs_nothing_and_a_repair_does() {
    let dir = log_dir();
    let checkpoint = dir.path().join("replication-offset-checkpoint");
    fs::write(&checkpoint, "0\n3\n").unwrap();
    assert_eq!(code(&["repair", "--dry-run"], dir.path()), 1);
    assert_eq!(fs::read_to_string(&checkpoint).unwrap(), "0\n3\n");
    let output = run(&["verify", "-o", "json"], dir.path());
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["findings"][0]["code"], "checkpoint");
    assert_eq!(json["findings"][0]["severity"], "damage");
    assert_eq!(code(&["repair"], dir.path()), 0);
    assert_eq!(fs::read_to_string(&checkpoint).unwrap(), "0\n0\n");
    assert_eq!(code(&["verify"], dir.path()), 0);
}

fn checkpointed(dir: &Path) -> std::path::PathBuf {
    let partition = dir.join("t-0");
    fs::create_dir(&partition).unwrap();
    fs::write(partition.join("00000000000000000000.log"), "").unwrap();
    partition
}

/// Whatever name a partition's directory is given by.
#[test]
fn a_partition_of_a_running_broker_is_left_alone() {
    let dir = log_dir();
    let partition = checkpointed(dir.path());
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link");
    std::os::unix::fs::symlink(&partition, &link).unwrap();
    let held = lock(&RealDisk, dir.path()).unwrap().unwrap();
    for (from, name) in [
        (dir.path(), "t-0"),
        (&*partition, "."),
        (&*partition, "../t-0/."),
        (&*link, "."),
        (elsewhere.path(), "link"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ottlactl"));
        let output = command.current_dir(from).args(["repair", name]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}: {output:?}");
    }
    held.release().unwrap();
}

#[test]
fn a_cut_wants_the_whole_log_directory() {
    let dir = log_dir();
    let partition = checkpointed(dir.path());
    assert_eq!(code(&["repair", "--truncate-damaged"], &partition), 2);
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("t-0");
    fs::rename(&partition, &copy).unwrap();
    fs::write(copy.join("00000000000000000000.log"), "torn").unwrap();
    assert_eq!(code(&["verify"], &copy), 1);
    assert_eq!(code(&["repair", "--truncate-damaged"], &copy), 0);
}

#[test]
fn a_metadata_directory_is_one() {
    let dir = log_dir();
    let elsewhere = tempfile::tempdir().unwrap();
    let given = elsewhere.path().to_str().unwrap();
    assert_eq!(code(&["verify", "--metadata-dir", given], dir.path()), 2);
    fs::create_dir(elsewhere.path().join("__cluster_metadata-0")).unwrap();
    assert_eq!(code(&["verify", "--metadata-dir", given], dir.path()), 0);
}

fn records(offset: i64, records: &[MetadataRecord<'_>]) -> Vec<u8> {
    let mut all = Records::new();
    records.iter().for_each(|record| all.push(record, 0));
    let place = BatchPlace { base_offset: offset, epoch: 1, now_ms: 1_700_000_000_000 };
    log_codec::records_batch(&all, place).unwrap()
}

#[test]
fn a_cut_metadata_log_is_asked_anew() {
    let dir = log_dir();
    let topic_id = Uuid::from_bytes([5; 16]);
    let topic = MetadataRecord::Topic(TopicRecord { name: "t", topic_id });
    let partition = PartitionRecord {
        topic_id,
        partition_id: 0,
        replicas: vec![1],
        isr: vec![1],
        leader: 1,
        leader_epoch: 0,
        partition_epoch: 0,
        ..Default::default()
    };
    let broker = RegisterBrokerRecord { broker_id: 1, ..Default::default() };
    let mut log = records(0, &[MetadataRecord::RegisterBroker(broker)]);
    let damaged_at = log.len();
    log.extend(records(1, &[topic, MetadataRecord::Partition(partition)]));
    let metadata = dir.path().join("__cluster_metadata-0");
    fs::create_dir(&metadata).unwrap();
    fs::write(metadata.join("00000000000000000000.log"), &log).unwrap();
    let files = checkpointed(dir.path());
    let metadata_id = "AAAAAAAAAAAAAAAAAAAAAQ".to_owned();
    for (folder, id) in [(&files, topic_id.to_string()), (&metadata, metadata_id)] {
        fs::write(folder.join("partition.metadata"), format!("version: 0\ntopic_id: {id}"))
            .unwrap();
    }
    let flushed = dir.path().join("recovery-point-offset-checkpoint");
    fs::write(flushed, "0\n1\n__cluster_metadata 0 3\n").unwrap();
    let output = run(&["verify"], dir.path());
    assert!(output.status.success(), "{output:?}");
    log[damaged_at + 30] ^= 1;
    fs::write(metadata.join("00000000000000000000.log"), &log).unwrap();
    let output = run(&["repair", "--truncate-metadata"], dir.path());
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.ends_with("there are findings left\n"), "{told}");
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(run(&["verify"], dir.path()).stdout).unwrap();
    assert!(told.contains("[stray]"), "{told}");
}

/// A repair goes on when its reader has gone, and a report says what was found all the same.
#[test]
fn a_reader_that_goes_away_changes_nothing() {
    let dir = log_dir();
    for n in 0..200 {
        fs::create_dir(dir.path().join(format!("lost+found-{n}"))).unwrap();
    }
    let checkpoint = dir.path().join("replication-offset-checkpoint");
    fs::write(&checkpoint, "0\n3\n").unwrap();
    for (command, expected) in [("verify", 1), ("repair", 1)] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ottlactl"))
            .args([command])
            .arg(dir.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(expected), "{command}");
    }
    assert_eq!(fs::read_to_string(&checkpoint).unwrap(), "0\n0\n");
}

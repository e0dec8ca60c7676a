//! Damage to the files around the logs: checkpoints, ids, names.

use std::path::Path;

use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_protocol::record::control::{ControlType, control_batch};
use ottla_storage::disk::Disk;
use ottla_storage::sim::SimDisk;
use ottla_storage::verify::{Code, Remedy, Severity, lock};

use crate::world::{Case, DIR, Image, NOW_MS, check_cases, clean, disk_of, texts, the, verify};

#[test]
fn checkpoints() {
    let (recovery, start) = ("recovery-point-offset-checkpoint", "log-start-offset-checkpoint");
    let (high, cleaned) = ("replication-offset-checkpoint", "cleaner-offset-checkpoint");
    let case = |what, file, change, code, severity| Case { what, file, change, code, severity };
    let (warning, damage, note) = (Severity::Warning, Severity::Damage, Severity::Note);
    let cases = [
        case("junk", recovery, |b| *b = b"junk".to_vec(), Code::Checkpoint, warning),
        case("version", recovery, |b| b[0] = b'1', Code::Checkpoint, warning),
        case("a line too many", start, |b| b.extend(b"x 0 1\n"), Code::Checkpoint, warning),
        case("a line too few", high, |b| b.truncate(8), Code::Checkpoint, damage),
        case("zeros", high, |b| b.fill(0), Code::Checkpoint, damage),
        case(
            "beyond",
            recovery,
            |b| *b = b"0\n1\nplain 0 99\n".to_vec(),
            Code::OffsetBeyondEnd,
            damage,
        ),
        case(
            "beyond",
            start,
            |b| *b = b"0\n1\nplain 0 99\n".to_vec(),
            Code::OffsetBeyondEnd,
            damage,
        ),
        case(
            "beyond",
            high,
            |b| *b = b"0\n1\nplain 0 99\n".to_vec(),
            Code::OffsetBeyondEnd,
            warning,
        ),
        case(
            "beyond",
            cleaned,
            |b| *b = b"0\n1\nplain 0 99\n".to_vec(),
            Code::OffsetBeyondEnd,
            warning,
        ),
        case(
            "negative",
            recovery,
            |b| *b = b"0\n1\nplain 0 -2\n".to_vec(),
            Code::OffsetBelowStart,
            warning,
        ),
        case(
            "unknown",
            high,
            |b| *b = b"0\n1\nnobody 0 1\n".to_vec(),
            Code::UnknownPartition,
            note,
        ),
    ];
    check_cases(&clean(), &cases);
}

#[test]
fn ids_and_epochs() {
    let (meta, id) = ("meta.properties", "plain-0/partition.metadata");
    let epochs = "plain-0/leader-epoch-checkpoint";
    let case = |what, file, change, code, severity| Case { what, file, change, code, severity };
    let (warning, damage) = (Severity::Warning, Severity::Damage);
    let cases = [
        case("empty", meta, Vec::clear, Code::MetaProperties, damage),
        case("version", meta, |b| *b = b"version=2\n".to_vec(), Code::MetaProperties, damage),
        case(
            "no id",
            meta,
            |b| *b = b"version=1\nnode.id=1\n".to_vec(),
            Code::MetaProperties,
            damage,
        ),
        case("zeros", id, |b| b.fill(0), Code::TopicId, damage),
        case("cut", id, |b| b.truncate(30), Code::TopicId, damage),
        case("junk", epochs, |b| *b = b"junk".to_vec(), Code::EpochCheckpoint, damage),
        case("empty", epochs, Vec::clear, Code::EpochCheckpoint, warning),
        case("no epochs", epochs, |b| *b = b"0\n0\n".to_vec(), Code::EpochCheckpoint, warning),
        case(
            "moved",
            epochs,
            |b| *b = b"0\n2\n0 0\n1 8\n".to_vec(),
            Code::EpochCheckpoint,
            warning,
        ),
    ];
    check_cases(&clean(), &cases);
    for epochs_text in ["0\n1\n0 0\n", "0\n2\n0 0\n2 9\n", "0\n2\n0 3\n1 9\n", "0\n1\n1 0\n"] {
        let mut image = clean();
        image.insert(format!("{DIR}/{epochs}"), epochs_text.into());
        let report = verify(&disk_of(&image));
        let found = report.all_findings().any(|finding| finding.code == Code::LeaderEpoch);
        assert!(found, "{epochs_text:?}: {:#?}", texts(&report));
    }
}

#[test]
fn ids_that_are_missing_or_differ() {
    let mut image = clean();
    image.remove(&format!("{DIR}/plain-0/partition.metadata")).unwrap();
    image.remove(&format!("{DIR}/meta.properties")).unwrap();
    // Otherwise it would pass for one partition's directory.
    let report = verify(&disk_of(&image));
    the(&report, "plain-0/partition.metadata", Code::TopicId);
    the(&report, "meta.properties", Code::MetaProperties);
    let mut image = clean();
    let other = image[&format!("{DIR}/txn-0/partition.metadata")].clone();
    image.insert(format!("{DIR}/plain-1/partition.metadata"), other);
    let report = verify(&disk_of(&image));
    the(&report, "plain-1/partition.metadata", Code::TopicId);
}

#[test]
fn names_and_leftovers() {
    let table = [
        ("lost+found/x", "lost+found", Code::UnknownDirectory, Severity::Damage),
        ("plain-00/x", "plain-00", Code::DuplicatePartition, Severity::Damage),
        ("plain-0/foo.log", "plain-0/foo.log", Code::FileName, Severity::Damage),
        ("plain-0/5.snapshot", "plain-0/5.snapshot", Code::FileName, Severity::Damage),
        ("plain-0/1.log.deleted", "plain-0/1.log.deleted", Code::Leftover, Severity::Note),
        ("plain-0/1.log.cleaned", "plain-0/1.log.cleaned", Code::Leftover, Severity::Note),
        ("plain-0/1.log.swap", "plain-0/1.log.swap", Code::Leftover, Severity::Note),
        ("plain-0/x.tmp", "plain-0/x.tmp", Code::Leftover, Severity::Note),
        ("x.tmp", "x.tmp", Code::Leftover, Severity::Note),
        (
            "a-0.0123456789ab4def8123456789abcdef-delete/x",
            "a-0.0123456789ab4def8123456789abcdef-delete",
            Code::MarkedPartition,
            Severity::Note,
        ),
    ];
    for (file, found_at, code, severity) in table {
        let mut image = clean();
        image.insert(format!("{DIR}/{file}"), Vec::new());
        let report = verify(&disk_of(&image));
        assert_eq!(the(&report, found_at, code).severity, severity, "{file}");
    }
    let mut image = clean();
    image.insert(format!("{DIR}/plain-0/notes.txt"), b"hello".to_vec());
    image.insert(format!("{DIR}/notes.txt"), b"hello".to_vec());
    assert_eq!(texts(&verify(&disk_of(&image))), [""; 0]);
}

/// A metadata log of ten records in two epochs, with a snapshot of the first five.
pub(crate) fn metadata_log() -> Image {
    let options = |base_offset, partition_leader_epoch| BatchOptions {
        base_offset,
        partition_leader_epoch,
        ..BatchOptions::default()
    };
    let data = |base_offset, epoch| {
        let mut builder = BatchBuilder::new(options(base_offset, epoch)).unwrap();
        for _ in 0..5 {
            let record = NewRecord { timestamp: NOW_MS, value: Some(b"r"), ..Default::default() };
            builder.append(&record).unwrap();
        }
        builder.build().unwrap()
    };
    let control =
        |base_offset, kind| control_batch(options(base_offset, 1), kind, &[0; 4], NOW_MS).unwrap();
    let log: Vec<u8> = [data(0, 1), data(5, 2)].concat();
    let snapshot = [
        control(0, ControlType::SnapshotHeader),
        data(1, 1),
        control(6, ControlType::SnapshotFooter),
    ]
    .concat();
    let mut time = NOW_MS.to_be_bytes().to_vec();
    time.extend(4_i32.to_be_bytes());
    let dir = format!("{DIR}/__cluster_metadata-0");
    let quorum = r#"{"clusterId":"","leaderId":1,"leaderEpoch":2,"votedId":-1,"data_version":0}"#;
    let mut image = clean();
    let mut put = |name: &str, bytes: Vec<u8>| image.insert(format!("{dir}/{name}"), bytes);
    put("00000000000000000000.log", log);
    put("00000000000000000000.index", Vec::new());
    put("00000000000000000000.timeindex", time);
    put("leader-epoch-checkpoint", b"0\n2\n1 0\n2 5\n".to_vec());
    put("partition.metadata", b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ".to_vec());
    put("quorum-state", quorum.into());
    put("00000000000000000005-0000000001.checkpoint", snapshot);
    image
}

#[test]
fn a_metadata_log_begins_at_its_oldest_snapshot() {
    let mut image = metadata_log();
    let epochs = format!("{DIR}/__cluster_metadata-0/leader-epoch-checkpoint");
    // The segment with offset 5 has older records still, whose epoch is forgotten.
    image.insert(epochs.clone(), b"0\n1\n2 5\n".to_vec());
    assert_eq!(texts(&verify(&disk_of(&image))), [""; 0]);
    image.insert(epochs, b"0\n1\n2 6\n".to_vec());
    assert_ne!(texts(&verify(&disk_of(&image))), [""; 0]);
}

#[test]
fn the_metadata_log() {
    let image = metadata_log();
    assert_eq!(texts(&verify(&disk_of(&image))), [""; 0]);
    let dir = "__cluster_metadata-0";
    let snapshot = "__cluster_metadata-0/00000000000000000005-0000000001.checkpoint";
    let quorum = "__cluster_metadata-0/quorum-state";
    let case = |what, file, change, code, severity| Case { what, file, change, code, severity };
    let damage = Severity::Damage;
    check_cases(
        &image,
        &[
            case("a bit", snapshot, |b| b[100] ^= 1, Code::MetadataSnapshot, damage),
            case("cut", snapshot, |b| b.truncate(b.len() - 1), Code::MetadataSnapshot, damage),
            case("no footer", snapshot, |b| b.truncate(160), Code::MetadataSnapshot, damage),
            case("empty", snapshot, Vec::clear, Code::MetadataSnapshot, damage),
            case("junk", quorum, |b| *b = b"{}".to_vec(), Code::QuorumState, damage),
            case(
                "behind",
                quorum,
                |b| {
                    *b = br#"{"leaderEpoch":1,"data_version":0}"#.to_vec();
                },
                Code::QuorumState,
                Severity::Warning,
            ),
        ],
    );
    let mut moved = image.clone();
    for kind in ["log", "index", "timeindex"] {
        let bytes = moved.remove(&format!("{DIR}/{dir}/00000000000000000000.{kind}")).unwrap();
        moved.insert(format!("{DIR}/{dir}/00000000000000000009.{kind}"), bytes);
    }
    let report = verify(&disk_of(&moved));
    the(&report, dir, Code::MetadataSnapshot);
    for name in ["00000000000000000099-0000000001", "00000000000000000005-0000000002"] {
        let mut renamed = image.clone();
        let bytes = renamed.remove(&format!("{DIR}/{snapshot}")).unwrap();
        renamed.insert(format!("{DIR}/{dir}/{name}.checkpoint"), bytes);
        let report = verify(&disk_of(&renamed));
        the(&report, &format!("{dir}/{name}.checkpoint"), Code::MetadataSnapshot);
    }
}

#[test]
fn the_lock_is_taken_and_given_back() {
    let image = clean();
    let disk = disk_of(&image);
    let dir = Path::new(DIR);
    let held = lock(&disk, dir).unwrap().unwrap();
    assert!(lock(&disk, dir).is_err(), "a second one is refused");
    assert!(lock(&disk, &dir.join("plain-0")).is_err(), "a partition's lock is its directory's");
    held.release().unwrap();
    assert!(!disk.exists(&dir.join(".lock")).unwrap(), "it was not there before");
    let lone = SimDisk::new();
    crate::world::put(&lone, "t-0/00000000000000000000.log", b"");
    assert!(lock(&lone, Path::new("t-0")).unwrap().is_none());
}

#[test]
fn what_can_be_done_is_said() {
    let mut image = clean();
    image.get_mut(&format!("{DIR}/replication-offset-checkpoint")).unwrap().truncate(8);
    let report = verify(&disk_of(&image));
    let finding = the(&report, "replication-offset-checkpoint", Code::Checkpoint);
    assert_eq!(finding.remedy, Remedy::RewriteCheckpoint);
    let text = finding.to_string();
    assert!(text.starts_with("damage: data/replication-offset-checkpoint: "), "{text}");
    assert!(text.ends_with("[checkpoint]"), "{text}");
}

//! Changes on a simulated disk whose calls fail or end, one after the other: what was answered
//! stays, and nothing is answered that is not on the disk.

use std::path::Path;

use ottla_metadata::snapshot::{self, SnapshotId};
use ottla_protocol::metadata::config::ConfigRecord;
use ottla_protocol::metadata::topic::TopicRecord;
use ottla_protocol::uuid::Uuid;
use ottla_storage::disk::Disk;
use ottla_storage::log::{LogEnvironment, OpenBudget};
use ottla_storage::sim::{CrashStyle, Fault, FsyncFailure, OpKind, SimDisk, Stop};

use super::*;
use crate::config::MetadataSettings;
use crate::metadata_log::OpenMetadataLog;

const ROOT: &str = "/data";
const NOW_MS: i64 = 1_700_000_000_000;
const EIO: i32 = 5;
const ENOMEM: i32 = 12;
const EMFILE: i32 = 24;
const ENOSPC: i32 = 28;
/// Snapshots are due all the time, and old ones go.
const SETTINGS: MetadataSettings = MetadataSettings {
    metadata_log_segment_bytes: 700,
    metadata_log_segment_ms: 604_800_000,
    metadata_log_max_record_bytes_between_snapshots: 300,
    metadata_log_max_snapshot_interval_ms: 3_600_000,
    metadata_max_retention_bytes: 1500,
    metadata_max_retention_ms: 604_800_000,
    internal_metadata_delete_delay_millis: 0,
};

fn open(disk: &SimDisk) -> Result<Cluster, MetadataLogError> {
    let root = Path::new(ROOT);
    let io = |error| MetadataLogError::Io(root.to_owned(), error);
    disk.create_dir_all(root).map_err(io)?;
    disk.sync_dir(Path::new("/")).map_err(io)?;
    let (log, replay) = MetadataLog::open(OpenMetadataLog {
        environment: LogEnvironment {
            disk: Arc::new(disk.clone()),
            log_dir: LogDir::new(root),
            open_segments: OpenBudget::new(4),
        },
        node_id: 1,
        settings: SETTINGS,
        now_ms: NOW_MS,
    })?;
    Ok(Cluster::new(log, replay))
}

fn records(value: u32) -> Records {
    let value = value.to_string();
    let record =
        ConfigRecord { resource_type: 2, resource_name: "t", name: "k", value: Some(&value) };
    let mut records = Records::new();
    records.push(&record.into(), 0);
    records
}

/// The last change that an image knows of, from 1 on.
fn value(image: &Image) -> u32 {
    let found = image.configs().topic("t").and_then(|configs| configs.get("k"));
    found.map_or(0, |value| value.parse().unwrap())
}

/// What came of a run of changes, each a number above the last.
#[derive(Debug, Default)]
struct Told {
    /// The last one that was answered.
    done: u32,
    /// The last one that was begun.
    begun: u32,
}

/// Two lives with changes and snapshots. Whatever fails, the others are tried.
fn work(disk: &SimDisk, told: &mut Told) {
    for life in 0..2 {
        let Ok(cluster) = open(disk) else { return };
        for turn in 0..6 {
            told.begun += 1;
            let next = told.begun;
            let change = cluster.change(NOW_MS, |_| (records(next), ()), |_, _| {});
            if change.is_ok() {
                assert_eq!(value(&cluster.image()), next);
                told.done = next;
            } else {
                assert!(value(&cluster.image()) < next, "a change is shown that has failed");
                cluster.hold(|image| assert!(value(image) < next, "it is even decided upon"));
            }
            // The interval lets old snapshots go each time.
            let now_ms = NOW_MS + (life * 6 + turn) * 60_000;
            let was_online = cluster.log_dir().is_online();
            let written = cluster.snapshot_if_due(now_ms);
            assert!(was_online || written.is_err(), "a directory that has failed is written to");
        }
        if cluster.close().is_err() {
            return;
        }
    }
}

fn check(disk: &SimDisk, told: &Told, what: &str) {
    let cluster = open(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = value(&cluster.image());
    assert!(told.done <= found && found <= told.begun, "{what}: {found} of {told:?}");
    cluster.change(NOW_MS, |_| (records(1000), ()), |_, _| {}).unwrap();
}

#[test]
fn what_was_answered_outlives_a_crash_at_any_step() {
    let whole = SimDisk::new();
    work(&whole, &mut Told::default());
    let steps = whole.ops();
    assert!(steps > 100, "{steps} steps");
    for step in 0..steps {
        for stop in [Stop::Before(step), Stop::Amid(step)] {
            let (disk, mut told) = (SimDisk::new(), Told::default());
            disk.stop(stop);
            work(&disk, &mut told);
            let turn = CrashStyle::POWER_LOSS[step as usize % CrashStyle::POWER_LOSS.len()];
            for style in [CrashStyle::ProcessKill, turn] {
                check(&disk.crash(step, style), &told, &format!("{stop:?} {style:?}"));
            }
        }
    }
}

#[test]
fn a_failed_call_is_never_followed_by_an_answer_that_a_crash_takes_back() {
    let whole = SimDisk::new();
    work(&whole, &mut Told::default());
    let personalities =
        [FsyncFailure::CleanAndForget, FsyncFailure::StayDirty, FsyncFailure::Revert];
    for step in 0..whole.ops() {
        for (errno, failure) in [EIO, ENOSPC].into_iter().zip(
            personalities.iter().cycle().skip(usize::try_from(step).unwrap() % personalities.len()),
        ) {
            let (disk, mut told) = (SimDisk::new(), Told::default());
            disk.set_fsync_failure(*failure);
            disk.inject(Fault::at_op(step, errno));
            work(&disk, &mut told);
            let what = format!("step {step} errno {errno} {failure:?}");
            assert_eq!(disk.syncs_after_failure(), Vec::<String>::new(), "{what}");
            for style in [CrashStyle::ProcessKill, CrashStyle::DropPending] {
                let after = disk.crash(step, style);
                check(&after, &told, &format!("{what} {style:?}: {:?}", disk.struck()));
            }
        }
    }
}

#[test]
fn a_snapshot_that_cannot_be_synced_takes_the_directory_offline() {
    for failure in [FsyncFailure::CleanAndForget, FsyncFailure::StayDirty, FsyncFailure::Revert] {
        let disk = SimDisk::new();
        disk.set_fsync_failure(failure);
        let cluster = open(&disk).unwrap();
        disk.inject(Fault::on(OpKind::Sync, EIO).path(".checkpoint.tmp"));
        for next in 1..=6 {
            let was_online = cluster.log_dir().is_online();
            let change = cluster.change(NOW_MS, |_| (records(next), ()), |_, _| {});
            assert_eq!(change.is_ok(), was_online);
            let _ = cluster.snapshot_if_due(NOW_MS);
        }
        assert!(!cluster.log_dir().is_online());
        let done = value(&cluster.image());
        assert!(0 < done && done < 6);
        assert_eq!(value(&open(&disk.crash(0, CrashStyle::DropPending)).unwrap().image()), done);
    }
}

#[test]
fn a_full_disk_refuses_changes_until_there_is_space() {
    let disk = SimDisk::new();
    let cluster = open(&disk).unwrap();
    let change = |next| {
        let change = cluster.change(NOW_MS, |_| (records(next), ()), |_, _| {});
        (change.is_ok(), value(&cluster.image()))
    };
    assert_eq!(change(1), (true, 1));
    disk.set_capacity(Some(1));
    let refused = (2..60).find(|next| !change(*next).0).expect("blocks are used up");
    assert_eq!(change(60), (false, refused - 1));
    assert!(cluster.snapshot_if_due(NOW_MS).is_err());
    assert!(cluster.log_dir().is_online());
    disk.set_capacity(None);
    assert_eq!(change(61), (true, 61));
    cluster.snapshot_if_due(NOW_MS).unwrap();
    cluster.close().unwrap();
    assert_eq!(value(&open(&disk).unwrap().image()), 61);
}

/// Makes a topic, if there is none of that name, with an id that tells which attempt it was.
fn create(cluster: &Cluster, name: &str, topic_id: Uuid) -> Result<(), MetadataLogError> {
    let decide = |image: &Image| {
        let mut records = Records::new();
        if image.topics().by_name(name).is_none() {
            records.push(&TopicRecord { name, topic_id }.into(), 0);
        }
        (records, ())
    };
    cluster.change(NOW_MS, decide, |_, _| {})
}

#[test]
fn a_change_that_was_refused_is_not_in_the_log_or_ends_the_broker() {
    let undo = |errno| Some(Fault::on(OpKind::SetLen, errno).path(".log"));
    let faults = [
        (Fault::on(OpKind::Open, EMFILE), None),
        (Fault::on(OpKind::Map, ENOMEM), None),
        (Fault::on(OpKind::SyncDir, EMFILE), None),
        (Fault::on(OpKind::Allocate, ENOSPC), None),
        (Fault::on(OpKind::CreateFile, EMFILE), None),
        (Fault::on(OpKind::Write, ENOSPC).after_bytes(30), None),
        (Fault::on(OpKind::Write, ENOSPC).after_bytes(30), undo(ENOSPC)),
        (Fault::on(OpKind::Write, ENOSPC).after_bytes(90), undo(EIO)),
    ];
    for (fault, second) in faults {
        for skip in 0..200 {
            let (disk, what) = (SimDisk::new(), format!("{fault:?}, {second:?}, after {skip}"));
            let cluster = open(&disk).unwrap();
            disk.inject(fault.clone().skip(skip));
            second.clone().into_iter().for_each(|second| disk.inject(second));
            let mut ids = 1..;
            let mut created = vec![];
            for number in 0..12 {
                let name = format!("topic-{number}");
                // Who is refused tries again.
                for _ in 0..2 {
                    let id = Uuid::from_u64s(7, ids.next().unwrap());
                    if create(&cluster, &name, id).is_ok() {
                        created.push((name, id));
                        break;
                    }
                    if cluster.log_dir().is_online() {
                        let after = disk.crash(0, CrashStyle::ProcessKill);
                        let image = open(&after).unwrap().image();
                        assert!(image.topics().by_name(&name).is_none(), "{what}: it is there");
                    }
                }
            }
            for style in [CrashStyle::ProcessKill, CrashStyle::DropPending] {
                let after = open(&disk.crash(0, style));
                let after = after.unwrap_or_else(|error| panic!("{what} {style:?}: {error}"));
                for (name, id) in &created {
                    let found = after.image().topics().by_name(name).map(|topic| topic.id);
                    assert_eq!(found, Some(*id), "{what} {style:?}: {name}");
                }
            }
            if disk.struck().is_empty() {
                break;
            }
        }
    }
}

#[test]
fn a_snapshot_is_as_old_as_the_last_change_in_it() {
    let disk = SimDisk::new();
    let cluster = open(&disk).unwrap();
    let changed_ms = NOW_MS + 8 * 86_400_000;
    for next in 1..=6 {
        cluster.change(changed_ms + i64::from(next), |_| (records(next), ()), |_, _| {}).unwrap();
    }
    cluster.snapshot_if_due(changed_ms + 1000).unwrap();
    let dir = Path::new(ROOT).join(crate::metadata_log::DIR_NAME);
    let names = disk.list(&dir).unwrap();
    let ids: Vec<_> =
        names.iter().filter_map(|entry| SnapshotId::from_file_name(&entry.name)).collect();
    let [id] = ids[..] else { panic!("{ids:?}") };
    let bytes = ottla_storage::whole_file::read(&disk, &dir.join(id.to_string())).unwrap();
    let (_, header) = snapshot::read_file(&bytes.unwrap()).unwrap();
    assert_eq!(header.last_contained_log_timestamp, changed_ms + 6);
    assert_eq!(id.end_offset, cluster.position().end_offset);
}

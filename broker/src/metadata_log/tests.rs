//! The metadata log on a simulated disk: restarts, snapshots, and crashes at every step.

use ottla_metadata::bootstrap;
use ottla_storage::log::OpenBudget;
use ottla_storage::log_dir::LogDir;
use ottla_storage::sim::{CrashStyle, SimDisk, Stop};

use super::*;

const ROOT: &str = "/data";
const NOW_MS: i64 = 1_700_000_000_000;

fn open(disk: &SimDisk) -> Result<(MetadataLog, Replay), MetadataLogError> {
    let root = Path::new(ROOT);
    disk.create_dir_all(root).map_err(io(root))?;
    disk.sync_dir(Path::new("/")).map_err(io(root))?;
    MetadataLog::open(OpenMetadataLog {
        environment: LogEnvironment {
            disk: Arc::new(disk.clone()),
            log_dir: LogDir::new(root),
            open_segments: OpenBudget::new(4),
        },
        node_id: 1,
        now_ms: NOW_MS,
    })
}

/// Writes the first records of a cluster, if they are not there, and syncs them.
fn bootstrap(log: &MetadataLog, replay: &mut Replay) -> Result<(), MetadataLogError> {
    let (records, _) =
        bootstrap::first_records(&bootstrap::records(), "1", log.next_offset()).unwrap();
    let base_offset = log.append(&records, NOW_MS)?;
    for (value, offset) in records.iter().zip(base_offset..) {
        replay.apply_value(value, offset).map_err(MetadataLogError::Replay)?;
    }
    log.sync()
}

#[test]
fn each_start_is_an_epoch_and_keeps_what_was_written() {
    let disk = SimDisk::new();
    let (log, mut replay) = open(&disk).unwrap();
    assert_eq!((log.epoch, replay.offset()), (1, 0), "a leader change comes first");
    bootstrap(&log, &mut replay).unwrap();
    let image = replay.image().clone();
    assert_eq!(image.metadata_version(), 30);
    log.close().unwrap();

    let (log, again) = open(&disk).unwrap();
    assert_eq!(log.epoch, 2);
    assert_eq!(again.image().features(), image.features());
    assert_eq!(again.offset(), image.offset() + 1, "and one leader change more");
}

#[test]
fn an_epoch_is_never_used_again_even_without_its_file() {
    let disk = SimDisk::new();
    for _ in 0..3 {
        let (log, _) = open(&disk).unwrap();
        log.sync().unwrap();
        log.close().unwrap();
    }
    let path = Path::new(ROOT).join(DIR_NAME).join(quorum_state::FILE_NAME);
    disk.unlink(&path).unwrap();
    assert_eq!(open(&disk).unwrap().0.epoch, 4);
}

#[test]
fn a_snapshot_stands_for_the_log_before_it() {
    let disk = SimDisk::new();
    let (mut log, mut replay) = open(&disk).unwrap();
    bootstrap(&log, &mut replay).unwrap();
    log.snapshot(&replay, NOW_MS).unwrap();
    let features = replay.image().features().clone();
    log.close().unwrap();
    // A log whose segments were removed after the snapshot, as Kafka does.
    let dir = Path::new(ROOT).join(DIR_NAME);
    for entry in disk.list(&dir).unwrap() {
        if entry.name.starts_with("00000000000000000000.") {
            disk.unlink(&dir.join(entry.name)).unwrap();
        }
    }
    let (log, again) = open(&disk).unwrap();
    assert_eq!(again.image().features(), &features);
    assert_eq!(log.next_offset(), replay.offset() + 2);
}

#[test]
fn only_the_last_two_snapshots_are_kept() {
    let disk = SimDisk::new();
    let (mut log, mut replay) = open(&disk).unwrap();
    bootstrap(&log, &mut replay).unwrap();
    for _ in 0..4 {
        log.snapshot(&replay, NOW_MS).unwrap();
        let batch = log_codec::leader_change_batch(1, &[1], log.place(NOW_MS));
        log.append_batch(batch, NOW_MS).unwrap();
        log.replay(&mut replay).unwrap();
    }
    let mut kept = snapshots(&disk, &log.dir).unwrap();
    kept.sort_unstable();
    assert_eq!(kept.len(), SNAPSHOTS_KEPT);
    assert_eq!(kept[1].end_offset, replay.offset());

    // The newest one rots: the one before it and the log are enough.
    let path = log.dir.join(kept[1].to_string());
    whole_file::replace(&disk, &path, b"rot").unwrap();
    log.close().unwrap();
    assert_eq!(open(&disk).unwrap().1.image().features(), replay.image().features());
}

#[test]
fn small_growth_is_no_reason_for_a_snapshot() {
    let disk = SimDisk::new();
    let (mut log, mut replay) = open(&disk).unwrap();
    bootstrap(&log, &mut replay).unwrap();
    log.snapshot_if_due(&replay, NOW_MS).unwrap();
    assert!(snapshots(&disk, &log.dir).unwrap().is_empty());
}

#[test]
fn damaged_files_are_named() {
    let disk = SimDisk::new();
    let (log, _) = open(&disk).unwrap();
    log.close().unwrap();
    let path = Path::new(ROOT).join(DIR_NAME).join(quorum_state::FILE_NAME);
    whole_file::replace(&disk, &path, b"{").unwrap();
    let error = open(&disk).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("quorum-state"), "{error}");
}

/// What a run of the work came to.
struct Run {
    /// The features were synced: a crash must not take them.
    is_bootstrapped: bool,
    epoch: i32,
}

fn work(disk: &SimDisk) -> Run {
    let mut run = Run { is_bootstrapped: false, epoch: 0 };
    for _ in 0..2 {
        let Ok((mut log, mut replay)) = open(disk) else { return run };
        run.epoch = log.epoch;
        if replay.image().metadata_version() == 0 && bootstrap(&log, &mut replay).is_err() {
            return run;
        }
        run.is_bootstrapped = true;
        if log.snapshot(&replay, NOW_MS).is_err() || log.close().is_err() {
            return run;
        }
    }
    run
}

#[test]
fn a_crash_at_any_step_loses_nothing_that_was_synced() {
    let whole = SimDisk::new();
    work(&whole);
    let steps = whole.ops();
    assert!(steps > 20, "{steps} steps");
    for step in 0..steps {
        for stop in [Stop::Before(step), Stop::Amid(step), Stop::After(step)] {
            let disk = SimDisk::new();
            disk.stop(stop);
            let run = work(&disk);
            let turn = CrashStyle::POWER_LOSS[step as usize % CrashStyle::POWER_LOSS.len()];
            for style in [CrashStyle::ProcessKill, CrashStyle::DropPending, turn] {
                let after = disk.crash(step, style);
                let (log, replay) =
                    open(&after).unwrap_or_else(|error| panic!("{stop:?} {style:?}: {error}"));
                assert!(log.epoch > run.epoch, "{stop:?} {style:?}: epoch {}", log.epoch);
                if run.is_bootstrapped {
                    let version = replay.image().metadata_version();
                    assert_eq!(version, 30, "{stop:?} {style:?}");
                }
            }
        }
    }
}

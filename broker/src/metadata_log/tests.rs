//! The metadata log on a simulated disk: restarts, snapshots, and crashes at every step.

use ottla_metadata::bootstrap;
use ottla_storage::log::OpenBudget;
use ottla_storage::sim::{CrashStyle, SimDisk, Stop};

use super::*;

const ROOT: &str = "/data";
pub(super) const NOW_MS: i64 = 1_700_000_000_000;
pub(super) const SETTINGS: MetadataSettings = MetadataSettings {
    metadata_log_segment_bytes: 1 << 30,
    metadata_log_segment_ms: 604_800_000,
    metadata_log_max_record_bytes_between_snapshots: 20 << 20,
    metadata_log_max_snapshot_interval_ms: 3_600_000,
    metadata_max_retention_bytes: 100 << 20,
    metadata_max_retention_ms: 604_800_000,
    internal_metadata_delete_delay_millis: 60_000,
};

fn open(disk: &SimDisk) -> Result<(MetadataLog, Replay), MetadataLogError> {
    open_with(disk, SETTINGS)
}

pub(super) fn open_with(
    disk: &SimDisk,
    settings: MetadataSettings,
) -> Result<(MetadataLog, Replay), MetadataLogError> {
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
        settings,
        now_ms: NOW_MS,
    })
}

/// Writes the first records of a cluster, if they are not there, and syncs them.
pub(super) fn bootstrap(
    log: &mut MetadataLog,
    replay: &mut Replay,
) -> Result<(), MetadataLogError> {
    let (records, _) =
        bootstrap::first_records(&bootstrap::records(), "1", log.next_offset()).unwrap();
    let place = log.append(&records, NOW_MS)?;
    replay.apply_records(&records, place).map_err(MetadataLogError::Replay)?;
    log.sync()
}

#[test]
fn each_start_is_an_epoch_and_keeps_what_was_written() {
    let disk = SimDisk::new();
    let (mut log, mut replay) = open(&disk).unwrap();
    assert_eq!((log.epoch, replay.offset()), (1, 0), "a leader change comes first");
    bootstrap(&mut log, &mut replay).unwrap();
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
    bootstrap(&mut log, &mut replay).unwrap();
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
fn a_snapshot_that_rots_is_passed_over() {
    let disk = SimDisk::new();
    let (mut log, mut replay) = open(&disk).unwrap();
    bootstrap(&mut log, &mut replay).unwrap();
    for _ in 0..4 {
        log.snapshot(&replay, NOW_MS).unwrap();
        let batch = log_codec::leader_change_batch(1, &[1], log.place(NOW_MS));
        log.append_batch(batch, NOW_MS).unwrap();
        log.replay(&mut replay).unwrap();
    }
    let mut kept = snapshots(&disk, &log.dir).unwrap();
    kept.sort_unstable();
    assert_eq!(kept.len(), 4);
    assert_eq!(kept[3].end_offset, replay.offset());

    // The newest one rots: the one before it and the log are enough.
    let path = log.dir.join(kept[3].to_string());
    whole_file::replace(&disk, &path, b"rot").unwrap();
    log.close().unwrap();
    assert_eq!(open(&disk).unwrap().1.image().features(), replay.image().features());
}

#[test]
fn without_its_file_the_quorum_is_what_the_log_says() {
    let disk = SimDisk::new();
    let dir = Path::new(ROOT).join(DIR_NAME);
    disk.create_dir_all(&dir).unwrap();
    let standalone = include_bytes!("../adopt/golden/standalone.checkpoint.bin");
    let path = dir.join("00000000000000000000-0000000000.checkpoint");
    whole_file::replace(&disk, &path, standalone).unwrap();
    let (mut log, mut replay) = open(&disk).unwrap();
    bootstrap(&mut log, &mut replay).unwrap();
    let state = whole_file::read(&disk, &dir.join(quorum_state::FILE_NAME)).unwrap().unwrap();
    let expected = QuorumState { leader_epoch: 1, ..QuorumState::sole_dynamic_voter(1, 1) };
    assert_eq!(String::from_utf8(state).unwrap(), expected.to_json());
    // A snapshot repeats the voters.
    log.snapshot(&replay, NOW_MS).unwrap();
    let quorum = replay.progress().quorum.clone();
    assert!(quorum.voters.is_some());
    disk.unlink(&path).unwrap();
    log.close().unwrap();
    assert_eq!(open(&disk).unwrap().1.progress().quorum, quorum);
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
        if replay.image().metadata_version() == 0 && bootstrap(&mut log, &mut replay).is_err() {
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

fn read(disk: &SimDisk, path: &Path) -> Vec<u8> {
    let file = disk.open(path, ottla_storage::disk::Open::Read).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn flip(disk: &SimDisk, path: &Path, position: usize) {
    let mut bytes = read(disk, path);
    bytes[position] ^= 1;
    disk.open(path, ottla_storage::disk::Open::Truncate)
        .unwrap()
        .write_all_at(&[std::io::IoSlice::new(&bytes)], 0)
        .unwrap();
}

fn image(disk: &SimDisk) -> Vec<(String, Vec<u8>)> {
    let dir = Path::new(ROOT).join(DIR_NAME);
    let mut names: Vec<_> = disk.list(&dir).unwrap().into_iter().map(|e| e.name).collect();
    names.sort_unstable();
    names.into_iter().map(|name| (name.clone(), read(disk, &dir.join(name)))).collect()
}

/// Three starts with records in each, and a snapshot in the middle one if wanted.
fn three_starts(disk: &SimDisk, with_snapshots: usize) {
    for start in 0..3 {
        let (mut log, mut replay) = open(disk).unwrap();
        bootstrap(&mut log, &mut replay).unwrap();
        if start < with_snapshots {
            log.snapshot(&replay, NOW_MS).unwrap();
        }
        log.close().unwrap();
    }
}

/// Where batches start in the log, and where it ends.
fn batches(disk: &SimDisk) -> Vec<usize> {
    let bytes = read(disk, &log_path());
    let mut starts = vec![0];
    while *starts.last().unwrap() < bytes.len() {
        let at = starts.last().unwrap() + 8;
        let length = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        starts.push(at + 4 + length as usize);
    }
    starts
}

fn log_path() -> PathBuf {
    Path::new(ROOT).join(DIR_NAME).join("00000000000000000000.log")
}

#[test]
fn only_a_torn_end_is_cut_and_all_else_is_refused_by_name() {
    let disk = SimDisk::new();
    three_starts(&disk, 0);
    let starts = batches(&disk);
    let count = starts.len() - 1;
    assert!(count >= 6, "{starts:?}");
    for (batch, start) in starts[..count].iter().enumerate() {
        for at in [11, 16, 30] {
            let disk = SimDisk::new();
            three_starts(&disk, 0);
            flip(&disk, &log_path(), start + at);
            let before = image(&disk);
            match open(&disk) {
                Ok((_, replay)) => {
                    assert_eq!(batch, count - 1);
                    assert!(replay.offset() > 0);
                }
                Err(error) => {
                    assert!(batch < count - 1, "{error}");
                    let text = error.to_string();
                    let place = format!("00000.log: damaged at byte {start}");
                    assert!(text.contains(&place) && text.contains("ottlactl verify"), "{text}");
                    assert_eq!(image(&disk), before, "nothing is changed");
                }
            }
        }
    }
    // A tail that was cut short, at any byte of it, is cut off.
    for length in (starts[count - 1] + 1..starts[count]).step_by(7) {
        let disk = SimDisk::new();
        three_starts(&disk, 0);
        let file = disk.open(&log_path(), ottla_storage::disk::Open::ReadWrite).unwrap();
        file.set_len(length as u64).unwrap();
        open(&disk).unwrap();
    }
}

#[test]
fn damage_below_the_last_snapshot_is_refused_even_at_the_end() {
    let disk = SimDisk::new();
    three_starts(&disk, 3);
    let starts = batches(&disk);
    flip(&disk, &log_path(), starts[starts.len() - 2] + 30);
    let before = image(&disk);
    let error = open(&disk).err().unwrap().to_string();
    assert!(error.contains("no good batch follows"), "{error}");
    assert_eq!(image(&disk), before);
}

#[test]
fn an_older_snapshot_serves_if_the_log_reaches_back_to_it() {
    let snapshots_of = |disk: &SimDisk| {
        let mut ids = snapshots(disk, &Path::new(ROOT).join(DIR_NAME)).unwrap();
        ids.sort_unstable();
        ids
    };
    for (damaged, is_log_whole, opens) in
        [(1, true, true), (2, true, true), (0, false, false), (1, false, false), (2, false, false)]
    {
        let disk = SimDisk::new();
        three_starts(&disk, 2);
        let (_, whole) = open(&disk).unwrap();
        let dir = Path::new(ROOT).join(DIR_NAME);
        let ids = snapshots_of(&disk);
        assert_eq!(ids.len(), 2);
        for id in ids.iter().rev().take(damaged) {
            flip(&disk, &dir.join(id.to_string()), 100);
        }
        if !is_log_whole {
            // As if the log began behind the newer snapshot: its first segment is gone.
            let name = format!("{:020}.log", ids[1].end_offset + 5);
            disk.rename(&log_path(), &dir.join(name)).unwrap();
        }
        let before = image(&disk);
        match open(&disk) {
            Ok((_, replay)) => {
                assert!(opens, "{damaged} damaged, whole {is_log_whole}");
                assert_eq!(replay.image().features(), whole.image().features());
            }
            Err(error) => {
                assert!(!opens, "{error}");
                let text = error.to_string();
                assert!(text.contains("the log begins with offset"), "{text}");
                assert_eq!(image(&disk), before);
            }
        }
    }
}

#[test]
fn a_damaged_snapshot_still_says_how_far_the_log_went() {
    let dir = Path::new(ROOT).join(DIR_NAME);
    // The log's last batch, which was durable before the snapshot was written: it is whole, torn
    // or gone.
    for (cut_bytes, opens) in [(0, true), (1, false), (20, false), (u64::MAX, false)] {
        let disk = SimDisk::new();
        three_starts(&disk, 3);
        let newest = snapshots(&disk, &dir).unwrap().into_iter().max().unwrap();
        flip(&disk, &dir.join(newest.to_string()), 100);
        let starts = batches(&disk);
        let [.., last, end] = starts[..] else { panic!("{starts:?}") };
        let file = disk.open(&log_path(), ottla_storage::disk::Open::ReadWrite).unwrap();
        file.set_len((end as u64).saturating_sub(cut_bytes).max(last as u64)).unwrap();
        match open(&disk) {
            Ok((_, replay)) => assert!(opens && newest.end_offset <= replay.offset()),
            Err(error) => {
                let text = error.to_string();
                assert!(!opens, "{text}");
                if cut_bytes == u64::MAX {
                    let place = newest.to_string();
                    assert!(text.contains(&place) && text.contains("the log ends"), "{text}");
                }
            }
        }
    }
}

#[test]
fn unfinished_and_removed_snapshots_are_cleared_away() {
    let disk = SimDisk::new();
    three_starts(&disk, 1);
    let dir = Path::new(ROOT).join(DIR_NAME);
    let leftovers = [
        "00000000000000000100-0000000002-8741.checkpoint.part",
        "00000000000000000050-0000000002.checkpoint.deleted",
        "00000000000000000100-0000000002.checkpoint.tmp",
    ];
    for name in leftovers {
        disk.open(&dir.join(name), ottla_storage::disk::Open::Create).unwrap();
    }
    open(&disk).unwrap();
    for name in leftovers {
        assert!(!disk.exists(&dir.join(name)).unwrap(), "{name}");
    }
}

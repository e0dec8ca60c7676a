//! What a load makes of files that a crash, a cleaning or an older broker has left: a table of hand
//! made directories, each with what Kafka 4.3.1 was seen to serve from it after a crash.
//!
//! All begin from three segments, at 0, 4 and 8, with records 0 to 9. Records of the segments as
//! they were have their offset as value; those that a cleaning has made have 100 more.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use ottla_protocol::record::builder::BatchOptions;
use ottla_protocol::record::set::Batches;
use ottla_protocol::uuid::Uuid;
use ottla_storage::disk::{Disk, Open};
use ottla_storage::log::{OpenLog, PartitionLog};
use ottla_storage::manager::LogManager;
use ottla_storage::partition_dir::TopicPartition;
use ottla_storage::partition_metadata;
use ottla_storage::sim::{CrashStyle, SimDisk, Stop};

use crate::harness::{
    NOW_MS, all_values, append, batch, bytes_of, manager_config, new_partition, open_manager,
    opening, read_at, small,
};

const DIR: &str = "data/t-0";

/// Batches of one record each, at these offsets.
fn at(offsets: &[i64], more: u64) -> Vec<u8> {
    let one = |offset: &i64| {
        let mut bytes = batch(*offset as u64 + more, 1, BatchOptions::default());
        bytes[..8].copy_from_slice(&offset.to_be_bytes());
        // Epoch 0: no part of the sum.
        bytes[12..16].fill(0);
        bytes
    };
    offsets.iter().flat_map(one).collect()
}

type Files = Vec<(String, Vec<u8>)>;

fn name(base_offset: i64, extension: &str) -> String {
    format!("{base_offset:020}.{extension}")
}

/// The three segments, with empty indexes, as they are of so few bytes.
fn whole() -> Files {
    let mut files = Vec::new();
    for (base, offsets) in [(0, &[0, 1, 2, 3][..]), (4, &[4, 5, 6, 7]), (8, &[8, 9])] {
        files.push((name(base, "log"), at(offsets, 0)));
        files.push((name(base, "index"), Vec::new()));
        files.push((name(base, "timeindex"), Vec::new()));
    }
    files
}

fn with(more: &[(i64, &str, Vec<u8>)]) -> Files {
    let mut files = whole();
    for (base, extension, bytes) in more {
        files.retain(|(known, _)| *known != name(*base, extension));
        files.push((name(*base, extension), bytes.clone()));
    }
    files
}

fn without(gone: impl Fn(&str) -> bool) -> Files {
    whole().into_iter().filter(|(name, _)| !gone(name)).collect()
}

fn lay_out(files: &Files) -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new(DIR)).unwrap();
    for (name, bytes) in files {
        let file = disk.open(&Path::new(DIR).join(name), Open::Truncate).unwrap();
        file.write_all_at(&[IoSlice::new(bytes)], 0).unwrap();
        file.sync_all().unwrap();
    }
    for dir in [DIR, "data", "."] {
        disk.sync_dir(Path::new(dir)).unwrap();
    }
    disk
}

fn open(disk: &SimDisk) -> Arc<PartitionLog> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    PartitionLog::open(opening(&shared, Path::new(DIR), compacted())).unwrap()
}

/// Compaction leaves gaps, so that a gap is not damage here.
fn compacted() -> ottla_storage::config::LogConfig {
    ottla_storage::config::LogConfig { cleanup_compact: true, ..small() }
}

/// Offsets and values of all records.
fn records(log: &PartitionLog) -> Vec<(i64, u64)> {
    let mut found = Vec::new();
    let mut next = log.offsets().log_start_offset;
    while let Some(region) = read_at(log, next, 1 << 20) {
        for batch in Batches::new(&bytes_of(&region)) {
            let batch = batch.unwrap();
            batch.check_crc().unwrap();
            for record in batch.records().unwrap() {
                let record = record.unwrap();
                let value = u64::from_be_bytes(record.value.unwrap().try_into().unwrap());
                found.push((record.offset, value));
                next = record.offset + 1;
            }
        }
    }
    found
}

fn old(offsets: impl IntoIterator<Item = i64>) -> Vec<(i64, u64)> {
    offsets.into_iter().map(|offset| (offset, offset as u64)).collect()
}

fn new(offsets: &[i64]) -> Vec<(i64, u64)> {
    offsets.iter().map(|offset| (*offset, *offset as u64 + 100)).collect()
}

/// What lies in the directory, and what is read from it.
type Case = (&'static str, Files, Vec<(i64, u64)>);

fn of_cleanings() -> Vec<Case> {
    let swap = |base: i64, offsets: &[i64]| {
        vec![(base, "log.swap", at(offsets, 100)), (base, "index.swap", Vec::new())]
    };
    let cleaned = |base: i64| (base, "log.cleaned", at(&[5, 7], 100));
    let merged = [new(&[1, 3, 7]), old(8..10)].concat();
    let half = [swap(0, &[1, 3, 7])].concat();
    let mut half_gone = with(&half);
    half_gone.retain(|(name, _)| !name.starts_with("00000000000000000004"));
    vec![
        ("unfinished output goes", with(&[cleaned(0), (0, "index.cleaned", vec![])]), old(0..10)),
        ("finished output replaces two", with(&half), merged.clone()),
        ("also when one of them is gone already", half_gone, merged.clone()),
        (
            "and their snapshots go",
            with(&[half.clone(), vec![(4, "snapshot", b"junk".to_vec())]].concat()),
            merged,
        ),
        (
            "a log renamed already, its index not",
            with(&[(0, "log", at(&[1, 3], 100)), (0, "index.swap", vec![])]),
            [new(&[1, 3]), old(4..10)].concat(),
        ),
        (
            "finished output below unfinished one counts",
            with(&[swap(0, &[1, 3]), vec![cleaned(4)]].concat()),
            [new(&[1, 3]), old(4..10)].concat(),
        ),
        ("at its offset not", with(&[swap(4, &[5, 7]), vec![cleaned(4)]].concat()), old(0..10)),
        (
            "two finished outputs",
            with(&[swap(0, &[1, 3]), swap(4, &[5, 7])].concat()),
            [new(&[1, 3, 5, 7]), old(8..10)].concat(),
        ),
        (
            "output that ends sooner replaces what it begins at",
            with(&swap(0, &[1])),
            [new(&[1]), old(4..10)].concat(),
        ),
        (
            "empty output replaces its segment",
            with(&swap(4, &[])),
            [old(0..4), old(8..10)].concat(),
        ),
        ("output of no kind that is known", with(&[(0, "bin.swap", b"x".to_vec())]), old(0..10)),
    ]
}

fn of_crashes() -> Vec<Case> {
    let zeros = vec![0; 8000];
    let cut = at(&[10], 0)[..40].to_vec();
    let last = at(&[8, 9], 0);
    let txn = [&[0, 0][..], &[0; 7], &[7], &[0; 8], &[0; 7], &[1], &[0; 8]].concat();
    vec![
        ("as it was", whole(), old(0..10)),
        (
            "what was to be removed",
            with(&[(0, "log.deleted", vec![1]), (99, "snapshot.deleted", vec![])]),
            old(0..10),
        ),
        ("indexes of no log", with(&[(2, "index", vec![]), (2, "txnindex", vec![])]), old(0..10)),
        ("an index is missing", without(|name| name == self::name(4, "index")), old(0..10)),
        ("a time index is missing", without(|name| name == self::name(4, "timeindex")), old(0..10)),
        ("no index at all", without(|name| name.ends_with("index")), old(0..10)),
        (
            "tails of zeros",
            with(&[(8, "index", zeros.clone()), (4, "timeindex", zeros.clone())]),
            old(0..10),
        ),
        (
            "indexes that are none",
            with(&[(4, "index", b"abc".to_vec()), (0, "timeindex", b"defgh".to_vec())]),
            old(0..10),
        ),
        (
            "an index of another log",
            with(&[(4, "index", vec![0, 0, 0, 1, 9, 9, 9, 9])]),
            old(0..10),
        ),
        ("a transaction index of another log", with(&[(4, "txnindex", txn)]), old(0..10)),
        ("a torn transaction index", with(&[(4, "txnindex", vec![0; 5])]), old(0..10)),
        (
            "snapshots of all ages, all damaged",
            with(&[0, 2, 4, 8, 10, 20].map(|at| (at, "snapshot", vec![0, 1, 9]))),
            old(0..10),
        ),
        (
            "a segment inside of another's offsets",
            with(&[(2, "log", at(&[2, 3], 100)), (2, "index", vec![])]),
            old(0..10),
        ),
        ("a gap", without(|name| name.starts_with("00000000000000000004")), {
            [old(0..4), old(8..10)].concat()
        }),
        ("the first is gone", without(|name| name.starts_with("00000000000000000000")), old(4..10)),
        ("a torn batch at the end", with(&[(8, "log", [last.clone(), cut].concat())]), old(0..10)),
        ("zeros at the end", with(&[(8, "log", [last.clone(), zeros].concat())]), old(0..10)),
        ("a few bytes at the end", with(&[(8, "log", [last, vec![7; 3]].concat())]), old(0..10)),
        ("nothing", Vec::new(), Vec::new()),
        ("an empty log alone", vec![(name(0, "log"), Vec::new())], Vec::new()),
    ]
}

#[test]
fn leftovers_are_read_as_kafka_reads_them() {
    for (what, files, expected) in of_cleanings().into_iter().chain(of_crashes()) {
        let log = open(&lay_out(&files));
        assert_eq!(records(&log), expected, "{what}");
    }
}

fn image(disk: &SimDisk) -> Vec<(String, Vec<u8>)> {
    let mut names: Vec<_> =
        disk.list(Path::new(DIR)).unwrap().into_iter().map(|entry| entry.name).collect();
    names.sort_unstable();
    let read = |name: &String| {
        let file = disk.open(&Path::new(DIR).join(name), Open::Read).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    };
    names.iter().map(|name| (name.clone(), read(name))).collect()
}

/// A load that is killed at any step, and begun anew, leaves the bytes that one in peace does.
#[test]
fn a_recovery_that_is_killed_is_repeated_to_the_same_bytes() {
    let cases = of_cleanings().into_iter().chain(of_crashes()).step_by(3);
    for (what, files, expected) in cases {
        let disk = lay_out(&files);
        let first_op = disk.ops();
        drop(open(&disk));
        let (whole, last_op) = (image(&disk), disk.ops());
        for op in (first_op..last_op).step_by(2) {
            let disk = lay_out(&files);
            disk.stop(Stop::After(op));
            let shared: Arc<dyn Disk> = Arc::new(disk.clone());
            let _killed = PartitionLog::open(opening(&shared, Path::new(DIR), compacted()));
            let after = disk.crash(op, CrashStyle::ProcessKill);
            let log = open(&after);
            assert_eq!(records(&log), expected, "{what}, killed at {op}");
            drop(log);
            assert_eq!(image(&after), whole, "{what}, killed at {op}");
        }
    }
}

/// A hundred kills leave no more files than one.
#[test]
fn restarts_leave_nothing_behind() {
    let mut disk = SimDisk::new();
    let mut counts = Vec::new();
    let config = ottla_storage::config::LogConfig {
        segment_bytes: 100_000,
        segment_index_bytes: 100_000,
        ..small()
    };
    for n in 0..100 {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let manager = open_manager(&shared, &config).unwrap();
        let log = manager.create(new_partition("t", &config), NOW_MS).unwrap();
        append(&log, n, 1).unwrap();
        manager.checkpoint_recovery_points().unwrap();
        let dirs = ["data", DIR].map(|dir| disk.list(Path::new(dir)).unwrap().len());
        counts.push(dirs);
        disk = disk.crash(n, CrashStyle::ProcessKill);
    }
    assert_eq!(counts[2], counts[99], "{counts:?}");
    let shared: Arc<dyn Disk> = Arc::new(disk);
    let manager = open_manager(&shared, &small()).unwrap();
    let values: Vec<u64> = (0..100).collect();
    assert_eq!(all_values(&manager.logs()[0]), values, "and smaller segments lose nothing");
}

/// A copy that Kafka had begun in another directory is no log, stays for Kafka, and goes with its
/// topic.
#[test]
fn a_copy_that_kafka_had_begun_is_left_alone_until_its_topic_goes() {
    let disk = SimDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let known = |_: &_| ottla_storage::manager::Known::Here(small());
    let open = || {
        LogManager::open(manager_config(&["one", "two"], &small()), shared.clone(), NOW_MS, &known)
            .unwrap()
    };
    let manager = open();
    let log = manager.create(new_partition("t", &small()), NOW_MS).unwrap();
    append(&log, 0, 1).unwrap();
    let other = if log.dir().starts_with("one") { "two" } else { "one" };
    let copy = Path::new(other).join(format!("t-0.{}-future", "a".repeat(32)));
    drop(log);
    manager.close(-1).unwrap();
    disk.create_dir_all(&copy).unwrap();
    partition_metadata::write(&disk, &copy, Uuid::from_u64s(7, 8)).unwrap();
    let manager = open();
    assert_eq!(manager.logs().len(), 1);
    assert!(disk.exists(&copy).unwrap());
    manager.delete(&TopicPartition::new("t", 0), 5, NOW_MS).unwrap();
    assert!(!disk.exists(&copy).unwrap());
    manager.remove_due_files(NOW_MS + 10_000_000);
    let left = disk.list(Path::new(other)).unwrap();
    assert!(left.iter().all(|entry| !entry.is_dir), "{left:?}");
}

/// With the recovery points themselves damaged, nothing is cut that is followed by a good batch.
#[test]
fn damaged_recovery_points_allow_a_torn_end_only() {
    for (position, is_opened) in [(70, false), (usize::MAX, true)] {
        let disk = SimDisk::new();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let manager = open_manager(&shared, &small()).unwrap();
        let log = manager.create(new_partition("t", &small()), NOW_MS).unwrap();
        for value in 0..3 {
            append(&log, value, 1).unwrap();
        }
        let disk = disk.crash(1, CrashStyle::ProcessKill);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let points = Path::new("data/recovery-point-offset-checkpoint");
        let file = disk.open(points, Open::Truncate).unwrap();
        file.write_all_at(&[IoSlice::new(b"0\n7\nnonsense\n")], 0).unwrap();
        let path = Path::new(DIR).join(name(0, "log"));
        let file = disk.open(&path, Open::ReadWrite).unwrap();
        let position = (position as u64).min(file.len().unwrap() - 1);
        file.write_all_at(&[IoSlice::new(&[0xee])], position).unwrap();
        let manager = open_manager(&shared, &small()).unwrap();
        assert_eq!(manager.logs().len(), usize::from(is_opened));
        assert_eq!(manager.damaged().len(), usize::from(!is_opened));
    }
}

/// What a load had to check is made durable soon after, so that the next one need not.
#[test]
fn what_was_recovered_is_flushed_by_the_next_round() {
    let disk = lay_out(&without(|name| name.ends_with("index")));
    let log = open(&disk);
    assert_eq!((log.recovery_point(), log.offsets().log_end_offset), (0, 10));
    log.flush_if_due(NOW_MS).unwrap();
    assert_eq!(log.recovery_point(), 10);
}

/// Settings that open as others than those that wrote: nothing is lost, and new ones hold from the
/// next segment on.
#[test]
fn settings_may_change_between_starts() {
    let sizes = [(200, 80), (400, 120), (100_000, 4096)];
    for (first, second) in sizes.iter().flat_map(|a| sizes.iter().map(move |b| (*a, *b))) {
        let config = |(segment_bytes, segment_index_bytes)| ottla_storage::config::LogConfig {
            segment_bytes,
            segment_index_bytes,
            ..small()
        };
        let mut disk = SimDisk::new();
        for (round, sizes) in [first, second, first].into_iter().enumerate() {
            let shared: Arc<dyn Disk> = Arc::new(disk.clone());
            disk.create_dir_all(Path::new(DIR)).unwrap();
            let open = opening(&shared, Path::new(DIR), config(sizes));
            let recovery_point = if round == 0 { 0 } else { 3 };
            let log = PartitionLog::open(OpenLog { recovery_point, ..open }).unwrap();
            for value in 0..8 {
                append(&log, round as u64 * 8 + value, 1).unwrap();
            }
            let expected: Vec<u64> = (0..round as u64 * 8 + 8).collect();
            assert_eq!(all_values(&log), expected, "{first:?} {second:?}");
            disk = disk.crash(1, CrashStyle::ProcessKill);
        }
    }
}

//! Crash images of cleanings: cut before, amid and after every operation on the disk.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use ottla_protocol::record::builder::BatchOptions;
use ottla_protocol::record::set::Batches;
use ottla_storage::cleaner::{Cleaner, CleanerSettings, FullSpeed};
use ottla_storage::config::LogConfig;
use ottla_storage::disk::Disk;
use ottla_storage::log::{Isolation, PartitionLog};
use ottla_storage::sim::{CrashStyle, SimDisk, Stop};

use super::{
    Found, append, clean_all, compacted, consume, create, end_txn, log_of, open, plain, put, table,
    tombstone,
};
use crate::harness::NOW_MS;

const TXN: BatchOptions = BatchOptions {
    producer_id: 7,
    producer_epoch: 0,
    base_sequence: 0,
    transactional: true,
    base_offset: 0,
    partition_leader_epoch: -1,
    compression: ottla_protocol::record::compression::Compression::NONE,
    log_append_time: None,
    control: false,
};

/// Records of several keys, of aborted and committed transactions, and tombstones.
fn fill(log: &PartitionLog) {
    let mut sequence = 0;
    for n in 0..12_u32 {
        append(log, &[put((n % 3) as u8, n), put(9, n)], plain());
        if n % 5 == 2 {
            append(
                log,
                &[put(1, 1000 + n), put(20, n)],
                BatchOptions { base_sequence: sequence, ..TXN },
            );
            sequence += 2;
            end_txn(log, 7, n % 2 == 0);
        }
        if n % 6 == 5 {
            append(log, &[tombstone(0)], plain());
        }
    }
}

fn view(log: &PartitionLog) -> (Vec<Found>, HashMap<u8, u32>) {
    let found = consume(log, Isolation::TxnCommitted, 1 << 20);
    let table = table(&found);
    (found, table)
}

/// Cleans twice, the second time after tombstones have expired; returns the number of the first
/// operation of the cleaning.
fn work(disk: &SimDisk, config: &LogConfig, merged: &LogConfig, stop: Option<Stop>) -> u64 {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let manager = open(&shared, config);
    let log = create(&manager, config);
    fill(&log);
    log.flush().unwrap();
    manager.checkpoint_recovery_points().unwrap();
    log.set_config(merged.clone());
    let first = disk.ops();
    if let Some(stop) = stop {
        disk.stop(match stop {
            Stop::Before(op) => Stop::Before(first + op),
            Stop::Amid(op) => Stop::Amid(first + op),
            Stop::After(op) => Stop::After(first + op),
        });
    }
    let mut cleaner = Cleaner::new(CleanerSettings::default());
    for now_ms in [NOW_MS, NOW_MS + 2000] {
        // Once more from the start, as if all were dirty.
        cleaner.clean_once(&manager, now_ms, &FullSpeed);
        manager.remove_due_files(now_ms + 61_000);
    }
    first
}

fn cut_everywhere(config: &LogConfig, merged: &LogConfig) {
    let whole = SimDisk::new();
    let first = work(&whole, config, merged, None);
    let ops = whole.ops() - first;
    assert!(ops > 40, "{ops} operations are a cleaning");
    let expected = {
        let disk = SimDisk::new();
        let shared: Arc<dyn Disk> = Arc::new(disk);
        let manager = open(&shared, config);
        let log = create(&manager, config);
        fill(&log);
        view(&log)
    };
    let mut seed = 1_u64;
    for op in 0..=ops {
        for stop in [Stop::Before(op), Stop::Amid(op)] {
            let disk = SimDisk::new();
            work(&disk, config, merged, Some(stop));
            let style = CrashStyle::POWER_LOSS[op as usize % CrashStyle::POWER_LOSS.len()];
            for style in [CrashStyle::ProcessKill, style, CrashStyle::Names, CrashStyle::Subset] {
                // Seeds that are near each other throw the same coins.
                seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) ^ op;
                let how = format!("{stop:?} of {ops}, {style:?}, seed {seed}");
                check(&disk.crash(seed, style), config, &expected, &how);
            }
        }
    }
}

fn check(disk: &SimDisk, config: &LogConfig, expected: &(Vec<Found>, HashMap<u8, u32>), how: &str) {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let manager = open(&shared, config);
    let log = log_of(&manager);
    let before = view(&log);
    assert_eq!(before.1, expected.1, "{how}");
    assert!(before.0.iter().all(|found| expected.0.contains(found)), "{how}");
    let mut next = 0;
    for path in disk.files() {
        assert!(!path.ends_with(".cleaned") && !path.ends_with(".swap"), "{how}: {path}");
        if path.ends_with(".log") {
            for batch in Batches::new(&disk.contents(Path::new(&path)).unwrap()) {
                let batch = batch.unwrap();
                let header = batch.header();
                assert!(header.base_offset() >= next, "{how}: twice there is {next}");
                next = header.last_offset() + 1;
            }
        }
    }
    // It goes on: more records, another cleaning, another start.
    append(&log, &[put(30, 1)], plain());
    clean_all(&manager, NOW_MS + 4000);
    let after = view(&log);
    let mut table = expected.1.clone();
    table.insert(30, 1);
    assert_eq!(after.1, table, "{how}, cleaned again");
    drop((log, manager));
    assert_eq!(view(&log_of(&open(&shared, config))).1, table, "{how}, opened again");
}

#[test]
fn segments_cleaned_one_by_one() {
    cut_everywhere(&compacted(), &compacted());
}

#[test]
fn segments_merged() {
    let merged = LogConfig { segment_bytes: 100_000, segment_index_bytes: 4096, ..compacted() };
    cut_everywhere(&compacted(), &merged);
}

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
use crate::harness::{NOW_MS, open_manager};

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

/// What there is before anything was cleaned.
fn filled(config: &LogConfig) -> (Vec<Found>, HashMap<u8, u32>) {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
    let manager = open(&disk, config);
    let log = create(&manager, config);
    fill(&log);
    view(&log)
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
    let expected = filled(config);
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

/// A cleaning goes by markers that lie behind what it cleans: were one of them lost afterwards, the
/// records that its transaction took the place of would be gone, and perhaps for nothing.
#[test]
fn a_cleaning_relies_on_no_marker_that_may_be_lost() {
    let disk = SimDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let config = compacted();
    let manager = open(&shared, &config);
    let log = create(&manager, &config);
    append(&log, &[put(1, 1)], plain());
    append(&log, &[put(1, 2)], TXN);
    for n in 0..8 {
        append(&log, &[put(9, n)], plain());
    }
    log.flush().unwrap();
    manager.checkpoint_recovery_points().unwrap();
    end_txn(&log, 7, true);
    assert!(!clean_all(&manager, NOW_MS).is_empty());
    let after = disk.crash(1, CrashStyle::DropPending);
    let shared: Arc<dyn Disk> = Arc::new(after);
    let manager = open(&shared, &config);
    assert_eq!(view(&log_of(&manager)).1.get(&1), Some(&2));
}

/// A start that finishes a swap removes what was replaced: by then the names of the output, which a
/// kill has left not durable, must be.
#[test]
fn a_swap_is_finished_only_when_its_names_are_durable() {
    let config = compacted();
    let whole = SimDisk::new();
    let first = work(&whole, &config, &config, None);
    let is_renamed = |line: &&String| line.contains("Rename") && line.ends_with(".swap");
    let renames: Vec<u64> = (whole.trace().iter().filter(is_renamed))
        .map(|line| line.split(' ').next().unwrap().parse().unwrap())
        .collect();
    assert!(!renames.is_empty());
    let expected = filled(&config);
    for (rename, next) in renames.iter().zip(renames.iter().skip(1)) {
        if rename + 1 == *next {
            continue;
        }
        // All files of a segment have their names, and nothing was synced since.
        let disk = SimDisk::new();
        work(&disk, &config, &config, Some(Stop::After(rename - first)));
        for op in 0..40 {
            let again = disk.crash(0, CrashStyle::ProcessKill);
            again.stop(Stop::Before(again.ops() + op));
            let shared: Arc<dyn Disk> = Arc::new(again.clone());
            drop(open_manager(&shared, &config));
            for seed in 0..4_u64 {
                let seed = (seed * 41 + op).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let how = format!("{rename}, {op}, seed {seed}");
                check(&again.crash(seed, CrashStyle::Names), &config, &expected, &how);
            }
        }
    }
}

/// Unfinished output beside a finished one lets a start discard both: none may be begun while the
/// names of the last swap, which a kill has left not durable, may still be lost.
#[test]
fn no_cleaning_begins_before_the_last_swap_is_durable() {
    let config = compacted();
    let whole = SimDisk::new();
    let first = work(&whole, &config, &config, None);
    let trace = whole.trace();
    let renames: Vec<u64> = (trace.iter())
        .filter(|line| line.contains(" Rename ") && line.contains(".swap to "))
        .map(|line| line.split(' ').next().unwrap().parse().unwrap())
        .collect();
    let expected = filled(&config);
    assert!(!renames.is_empty());
    for (rename, next) in renames.iter().zip(renames.iter().skip(1)) {
        if rename + 1 == *next {
            continue;
        }
        // All files of a segment have the names that count, and nothing was synced since.
        let disk = SimDisk::new();
        work(&disk, &config, &config, Some(Stop::After(rename - first)));
        for op in 0..12 {
            let again = disk.crash(0, CrashStyle::ProcessKill);
            let shared: Arc<dyn Disk> = Arc::new(again.clone());
            let manager = open(&shared, &config);
            again.stop(Stop::Before(again.ops() + op));
            Cleaner::new(CleanerSettings::default()).clean_once(&manager, NOW_MS, &FullSpeed);
            for seed in 0..8_u64 {
                let seed = (seed * 41 + op).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let how = format!("{rename}, {op}, seed {seed}");
                check(&again.crash(seed, CrashStyle::Names), &config, &expected, &how);
            }
        }
    }
}

//! Compaction: cleaned logs against a naive model, at every crash point, and beside other work.

mod beside;
mod crash;
mod random;
mod rules;

use std::collections::HashMap;
use std::sync::Arc;

use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_protocol::record::compression::{Codec, Compression};
use ottla_protocol::record::control::EndTxnMarker;
use ottla_protocol::record::set::Batches;
use ottla_protocol::record::stream::RecordStream;
use ottla_storage::cleaner::{CleanOutcome, CleanReport, Cleaner, CleanerSettings, FullSpeed};
use ottla_storage::config::LogConfig;
use ottla_storage::disk::Disk;
use ottla_storage::log::{Isolation, PartitionLog, Read};
use ottla_storage::manager::{Known, LogManager, ManagerConfig};
use ottla_storage::partition_dir::TopicPartition;
use ottla_storage::producer_state::{Origin, ProducerSettings};
use ottla_storage::validate::Validated;

use crate::harness::{NOW_MS, as_leader, bytes_of, manager_config, new_partition};

/// Tiny segments of a compacted topic that is always worth a cleaning.
pub(super) fn compacted() -> LogConfig {
    LogConfig {
        cleanup_compact: true,
        cleanup_delete: false,
        min_cleanable_dirty_ratio: 0.0,
        segment_bytes: 600,
        segment_index_bytes: 120,
        index_interval_bytes: 100,
        delete_retention_ms: 1000,
        ..LogConfig::default()
    }
}

pub(super) fn open(disk: &Arc<dyn Disk>, config: &LogConfig) -> LogManager {
    open_in(disk, config, "data")
}

pub(super) fn open_in(disk: &Arc<dyn Disk>, config: &LogConfig, dir: &str) -> LogManager {
    let known = |_: &_| Known::Here(config.clone());
    let settings = ProducerSettings { verification_enabled: false, ..ProducerSettings::default() };
    let manager_config =
        ManagerConfig { producer_settings: settings, ..manager_config(&[dir], config) };
    LogManager::open(manager_config, Arc::clone(disk), NOW_MS, &known).unwrap()
}

pub(super) fn create(manager: &LogManager, config: &LogConfig) -> Arc<PartitionLog> {
    manager.create(new_partition("t", config), NOW_MS).unwrap()
}

pub(super) fn log_of(manager: &LogManager) -> Arc<PartitionLog> {
    manager.get(&TopicPartition::new("t", 0)).unwrap()
}

/// Cleans whatever is due; returns the reports.
pub(super) fn clean_all(manager: &LogManager, now_ms: i64) -> Vec<CleanReport> {
    clean_with(manager, now_ms, CleanerSettings::default())
}

pub(super) fn clean_with(
    manager: &LogManager,
    now_ms: i64,
    settings: CleanerSettings,
) -> Vec<CleanReport> {
    let mut cleaner = Cleaner::new(settings);
    let mut reports: Vec<CleanReport> = Vec::new();
    while let Some(report) = cleaner.clean_once(manager, now_ms, &FullSpeed) {
        let CleanOutcome::Cleaned { .. } = report.outcome else { panic!("{report:?}") };
        reports.push(report);
        assert!(reports.len() < 10_000, "every cleaning gets on");
    }
    reports
}

/// One record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Put {
    pub(super) key: u8,
    pub(super) value: Option<u32>,
}

pub(super) fn put(key: u8, value: u32) -> Put {
    Put { key, value: Some(value) }
}

pub(super) fn tombstone(key: u8) -> Put {
    Put { key, value: None }
}

/// Appends a batch; a record's timestamp is `NOW_MS` and its offset.
pub(super) fn append(log: &PartitionLog, puts: &[Put], options: BatchOptions) -> i64 {
    let base = log.offsets().log_end_offset;
    let mut builder = BatchBuilder::new(options).unwrap();
    for (n, put) in puts.iter().enumerate() {
        let value = put.value.map(u32::to_be_bytes);
        let record = NewRecord {
            timestamp: NOW_MS + base + n as i64,
            key: Some(&[put.key]),
            value: value.as_ref().map(|value| &value[..]),
            headers: &[],
        };
        builder.append(&record).unwrap();
    }
    let batch = Validated::from_built(builder.build().unwrap()).unwrap();
    log.append_as_leader(&batch, as_leader()).unwrap().base_offset
}

pub(super) fn plain() -> BatchOptions {
    BatchOptions::default()
}

pub(super) fn compressed(codec: Codec) -> BatchOptions {
    BatchOptions { compression: Compression::new(codec), ..plain() }
}

pub(super) fn end_txn(log: &PartitionLog, producer_id: i64, committed: bool) -> i64 {
    let marker = EndTxnMarker { committed, coordinator_epoch: 0 };
    let options = BatchOptions { producer_id, producer_epoch: 0, ..plain() };
    let timestamp = NOW_MS + log.offsets().log_end_offset;
    let batch = marker.to_batch(options, timestamp).unwrap();
    let mut how = as_leader();
    how.origin = Origin::Coordinator;
    let batch = Validated::from_built(batch).unwrap();
    log.append_as_leader(&batch, how).unwrap().base_offset
}

/// A record as a reader finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) offset: i64,
    pub(super) key: u8,
    pub(super) value: Option<u32>,
    pub(super) timestamp: i64,
}

/// Reads everything as a consumer does. Every batch must be good, behind the one before, and
/// every fetch must get on.
pub(super) fn consume(log: &PartitionLog, isolation: Isolation, bytes_max: u32) -> Vec<Found> {
    let mut found = Vec::new();
    let mut aborted: HashMap<i64, Vec<i64>> = HashMap::new();
    let mut next = log.offsets().log_start_offset;
    loop {
        let read = Read { start_offset: next, bytes_max, isolation, min_one_batch: true };
        let result = log.read(read).unwrap();
        let Some(region) = result.region else { break };
        for txn in result.aborted.into_iter().flatten() {
            let firsts = aborted.entry(txn.producer_id).or_default();
            if !firsts.contains(&txn.first_offset) {
                firsts.push(txn.first_offset);
                firsts.sort_unstable();
            }
        }
        let before = next;
        for batch in Batches::new(&bytes_of(&region)) {
            let batch = batch.unwrap();
            batch.check_crc().unwrap();
            let header = batch.header();
            assert!(header.last_offset() >= next, "batches are in order");
            let id = header.producer_id();
            let attributes = header.attributes();
            let is_aborted = attributes.is_transactional()
                && aborted.get(&id).is_some_and(|firsts| {
                    firsts.first().is_some_and(|first| *first <= header.last_offset())
                });
            if attributes.is_control() {
                let is_abort = header.records_count() > 0
                    && batch.records().unwrap().next().unwrap().unwrap().key.unwrap()[3] == 0;
                if is_abort && is_aborted {
                    aborted.get_mut(&id).unwrap().remove(0);
                }
            } else if !is_aborted && header.records_count() > 0 {
                records(&batch, &mut |record| {
                    if record.offset >= next {
                        found.push(record);
                    }
                });
            }
            next = header.last_offset() + 1;
        }
        assert!(next > before, "a fetch at {before} brings at least one batch");
    }
    let offsets = log.offsets();
    let end = match isolation {
        Isolation::TxnCommitted => offsets.last_stable_offset,
        _ => offsets.high_watermark,
    };
    // Batches go whole: one may reach across the last stable offset only if it ends there.
    assert_eq!(next, end);
    assert!(found.is_sorted_by_key(|record| record.offset));
    found
}

fn records(batch: &ottla_protocol::record::set::Batch<'_>, see: &mut dyn FnMut(Found)) {
    let mut give = |record: &ottla_protocol::record::record::Record<'_>| {
        see(Found {
            offset: record.offset,
            key: record.key.unwrap()[0],
            value: record.value.map(|value| u32::from_be_bytes(value.try_into().unwrap())),
            timestamp: record.timestamp,
        });
    };
    match batch.codec().unwrap() {
        Codec::None => {
            batch.records().unwrap().for_each(|record| give(&record.unwrap()));
        }
        codec => {
            let limits = ottla_protocol::record::compression::DecompressLimits::of_bytes(1 << 20);
            let reader = ottla_protocol::record::compression::Decompressor::new(
                codec,
                batch.payload(),
                limits,
            );
            let header = batch.header();
            let mut stream =
                RecordStream::new(reader.unwrap(), header.into(), header.records_count()).unwrap();
            while let Some(record) = stream.next_record(1 << 20).unwrap() {
                give(&record);
            }
        }
    }
}

/// What is there of each key, read from the start.
pub(super) fn table(found: &[Found]) -> HashMap<u8, u32> {
    let mut table = HashMap::new();
    for record in found {
        match record.value {
            Some(value) => _ = table.insert(record.key, value),
            None => _ = table.remove(&record.key),
        }
    }
    table
}

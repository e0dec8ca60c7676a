//! What the tests share: batches to append, logs to open, and a reader that checks what it reads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_protocol::record::batch::BATCH_HEADER_BYTES;
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_protocol::record::set::Batches;
use ottla_protocol::uuid::Uuid;
use ottla_storage::config::LogConfig;
use ottla_storage::disk::Disk;
use ottla_storage::log::{
    AppendAsLeader, AppendError, Appended, FileRegion, Isolation, LogEnvironment, LogRole,
    OpenBudget, OpenLog, OpenLogError, PartitionLog, Read,
};
use ottla_storage::log_dir::LogDir;
use ottla_storage::manager::{Known, LogManager, ManagerConfig, ManagerError, NewPartition};
use ottla_storage::partition_dir::TopicPartition;
use ottla_storage::producer_state::snapshots::Shutdown;
use ottla_storage::producer_state::{Origin, ProducerSettings, VerificationGuard};
use ottla_storage::validate::Validated;

/// The time in all tests, unless they need another.
pub(crate) const NOW_MS: i64 = 1_700_000_000_000;

/// Tiny segments and an index entry for all batches but the first.
pub(crate) fn small() -> LogConfig {
    LogConfig {
        segment_bytes: 400,
        segment_index_bytes: 120,
        index_interval_bytes: 0,
        ..LogConfig::default()
    }
}

/// One batch; record `n` of it has the value `first + n` and the timestamp `NOW_MS` + that.
pub(crate) fn batch(first: u64, count: u64, options: BatchOptions) -> Vec<u8> {
    let mut builder = BatchBuilder::new(options).unwrap();
    for value in first..first + count {
        let timestamp = NOW_MS + value as i64;
        let value = value.to_be_bytes();
        builder
            .append(&NewRecord { timestamp, value: Some(&value), ..Default::default() })
            .unwrap();
    }
    builder.build().unwrap()
}

pub(crate) fn as_leader() -> AppendAsLeader {
    AppendAsLeader {
        leader_epoch: 0,
        now_ms: NOW_MS,
        origin: Origin::Client,
        guard: VerificationGuard::NONE,
    }
}

/// Appends a batch of `count` records from the value `first` on.
pub(crate) fn append(log: &PartitionLog, first: u64, count: u64) -> Result<Appended, AppendError> {
    let bytes = batch(first, count, BatchOptions::default());
    log.append_as_leader(&Validated::from_built(bytes).unwrap(), as_leader())
}

/// How to open a log in `dir` on `disk` that was not closed.
pub(crate) fn opening(disk: &Arc<dyn Disk>, dir: &Path, config: LogConfig) -> OpenLog {
    OpenLog {
        environment: LogEnvironment {
            disk: Arc::clone(disk),
            log_dir: LogDir::new(dir.parent().unwrap()),
            open_segments: OpenBudget::new(2),
        },
        dir: dir.to_owned(),
        topic_partition: TopicPartition::new("t", 0),
        config,
        role: LogRole::SoleReplica,
        producer_settings: ProducerSettings::default(),
        recovery_point: 0,
        log_start_offset: 0,
        after: Shutdown::Unclean,
        now_ms: NOW_MS,
    }
}

/// A log in a new directory.
pub(crate) fn new_log(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    config: LogConfig,
) -> Result<Arc<PartitionLog>, OpenLogError> {
    disk.create_dir_all(dir).unwrap();
    for dir in dir.ancestors().skip(1).filter(|dir| dir.is_relative()) {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        disk.sync_dir(dir).unwrap();
    }
    PartitionLog::open(opening(disk, dir, config))
}

pub(crate) fn read_at(log: &PartitionLog, start_offset: i64, bytes_max: u32) -> Option<FileRegion> {
    let read =
        Read { start_offset, bytes_max, isolation: Isolation::HighWatermark, min_one_batch: true };
    log.read(read).unwrap().region
}

pub(crate) fn bytes_of(region: &FileRegion) -> Vec<u8> {
    let mut bytes = vec![0; region.length as usize];
    region.file.read_exact_at(&mut bytes, region.position).unwrap();
    bytes
}

/// All values from `start` on, by fetches of at most `bytes_max` bytes. Asserts that every batch is
/// good and begins where the last one has ended.
pub(crate) fn values_from(log: &PartitionLog, start: i64, bytes_max: u32) -> Vec<u64> {
    let mut values = Vec::new();
    let mut next = start;
    while let Some(region) = read_at(log, next, bytes_max) {
        let bytes = bytes_of(&region);
        let before = next;
        for batch in Batches::new(&bytes) {
            let batch = batch.unwrap();
            batch.check_crc().unwrap();
            assert!(batch.header().base_offset() <= next, "nothing is left out before {next}");
            for record in batch.records().unwrap() {
                let record = record.unwrap();
                if record.offset >= next {
                    assert_eq!(record.offset, next, "offsets are dense");
                    values.push(u64::from_be_bytes(record.value.unwrap().try_into().unwrap()));
                    next += 1;
                }
            }
        }
        assert!(next > before, "a fetch at {before} brings at least one batch");
    }
    assert_eq!(next, log.offsets().high_watermark);
    values
}

pub(crate) fn all_values(log: &PartitionLog) -> Vec<u64> {
    values_from(log, log.offsets().log_start_offset, 1 << 20)
}

/// Fetches at every offset, and compares with what was read in one go.
pub(crate) fn check_every_offset(log: &PartitionLog) {
    let all = all_values(log);
    let start = log.offsets().log_start_offset;
    for offset in start..log.offsets().log_end_offset {
        for bytes_max in [1, BATCH_HEADER_BYTES as u32 + 40, 1 << 20] {
            let expected = &all[(offset - start) as usize..];
            assert_eq!(values_from(log, offset, bytes_max), expected, "from {offset}");
        }
    }
}

pub(crate) fn manager_config(dirs: &[&str], config: &LogConfig) -> ManagerConfig {
    ManagerConfig {
        dirs: dirs.iter().map(PathBuf::from).collect(),
        recovery_threads_per_dir: 1,
        open_segments_max: 2,
        default_log_config: config.clone(),
        producer_settings: ProducerSettings::default(),
        role: LogRole::SoleReplica,
    }
}

/// A manager over one directory whose partitions are all known.
pub(crate) fn open_manager(
    disk: &Arc<dyn Disk>,
    config: &LogConfig,
) -> Result<LogManager, ManagerError> {
    let known = |_: &_| Known::Here(config.clone());
    LogManager::open(manager_config(&["data"], config), Arc::clone(disk), NOW_MS, &known)
}

pub(crate) fn new_partition(topic: &str, config: &LogConfig) -> NewPartition {
    NewPartition {
        topic_partition: TopicPartition::new(topic, 0),
        topic_id: Uuid::from_u64s(7, 8),
        config: config.clone(),
    }
}

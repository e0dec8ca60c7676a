//! How fast compaction is: `cargo bench -p ottla-storage --bench cleaner`.
//!
//! A log of 64 MiB in segments of 16 MiB, batches of 16 KiB, records of 1 KiB or 100 bytes. Each of
//! the keys has two records, or twenty, so that a half stays, or a twentieth. What is counted is
//! the log's bytes before the cleaning, which reads them twice.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::sync::Arc;

use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher};
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_protocol::record::compression::{Codec, Compression};
use ottla_protocol::uuid::Uuid;
use ottla_storage::cleaner::{CleanOutcome, Cleaner, CleanerSettings, FullSpeed};
use ottla_storage::config::LogConfig;
use ottla_storage::disk::{Disk, RealDisk};
use ottla_storage::log::{AppendAsLeader, LogRole};
use ottla_storage::manager::{Known, LogManager, ManagerConfig, NewPartition};
use ottla_storage::partition_dir::TopicPartition;
use ottla_storage::producer_state::{Origin, ProducerSettings, VerificationGuard};
use ottla_storage::validate::Validated;
use tempfile::TempDir;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const NOW_MS: i64 = 1_700_000_000_000;
const LOG_BYTES: usize = 64 << 20;
const BATCH_BYTES: usize = 16 << 10;

fn main() {
    divan::main();
}

#[derive(Clone, Copy, Debug)]
struct Input {
    codec: Codec,
    record_bytes: usize,
    /// Records of each key.
    repeats: usize,
}

impl std::fmt::Display for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { codec, record_bytes, repeats } = self;
        write!(f, "{} {record_bytes} B x {repeats}", codec.name())
    }
}

const INPUTS: [Input; 5] = [
    Input { codec: Codec::None, record_bytes: 1000, repeats: 2 },
    Input { codec: Codec::None, record_bytes: 1000, repeats: 20 },
    Input { codec: Codec::None, record_bytes: 100, repeats: 2 },
    Input { codec: Codec::Lz4, record_bytes: 1000, repeats: 2 },
    Input { codec: Codec::Zstd, record_bytes: 1000, repeats: 2 },
];

/// A log that was never cleaned.
struct Dirty {
    manager: LogManager,
    _root: TempDir,
}

fn dirty(input: Input) -> Dirty {
    let root = tempfile::tempdir().unwrap();
    let config = LogConfig {
        cleanup_compact: true,
        cleanup_delete: false,
        segment_bytes: 16 << 20,
        ..LogConfig::default()
    };
    let manager_config = ManagerConfig {
        dirs: vec![root.path().to_owned()],
        recovery_threads_per_dir: 1,
        open_segments_max: 100,
        default_log_config: config.clone(),
        producer_settings: ProducerSettings::default(),
        role: LogRole::SoleReplica,
    };
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let known = |_: &_| Known::Here(config.clone());
    let manager = LogManager::open(manager_config, disk, NOW_MS, &known).unwrap();
    let new = NewPartition {
        topic_partition: TopicPartition::new("t", 0),
        topic_id: Uuid::from_u64s(1, 2),
        config: config.clone(),
    };
    let log = manager.create(new, NOW_MS).unwrap();
    let keys = LOG_BYTES / input.record_bytes / input.repeats;
    let how = AppendAsLeader {
        leader_epoch: 0,
        now_ms: NOW_MS,
        origin: Origin::Client,
        guard: VerificationGuard::NONE,
    };
    // Half of it does not compress.
    let mut value = vec![b'v'; input.record_bytes];
    let mut random = 1_u64;
    let mut written = 0;
    let mut n = 0;
    while written < LOG_BYTES {
        let compression = Compression::new(input.codec);
        let options = BatchOptions { compression, ..BatchOptions::default() };
        let mut builder = BatchBuilder::new(options).unwrap();
        for _ in 0..BATCH_BYTES / input.record_bytes {
            // A step that has no divisor in common with the number of keys mixes them.
            let key = format!("key-{:012}", n * 7_368_787 % keys);
            for chunk in value[..input.record_bytes / 2].chunks_exact_mut(8) {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                chunk.copy_from_slice(&random.rotate_left(17).to_be_bytes());
            }
            let (key, value) = (Some(key.as_bytes()), Some(&value[..]));
            let record = NewRecord { timestamp: NOW_MS, key, value, ..Default::default() };
            builder.append(&record).unwrap();
            written += input.record_bytes;
            n += 1;
        }
        let batch = Validated::from_built(builder.build().unwrap()).unwrap();
        log.append_as_leader(&batch, how).unwrap();
    }
    log.flush().unwrap();
    Dirty { manager, _root: root }
}

#[divan::bench(args = INPUTS, sample_count = 3, sample_size = 1)]
fn clean(bencher: Bencher<'_, '_>, input: Input) {
    let bytes = dirty(input).manager.logs()[0].size_bytes();
    bencher.counter(BytesCount::new(bytes)).with_inputs(|| dirty(input)).bench_local_values(
        |dirty| {
            let mut cleaner = Cleaner::new(CleanerSettings::default());
            let report = cleaner.clean_once(&dirty.manager, NOW_MS, &FullSpeed).unwrap();
            assert!(matches!(report.outcome, CleanOutcome::Cleaned { .. }), "{report:?}");
            dirty
        },
    );
}

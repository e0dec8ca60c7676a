//! Random histories of producers, transactions and cleanings, against a naive model.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ottla_protocol::record::builder::BatchOptions;
use ottla_protocol::record::compression::{Codec, Compression};
use ottla_storage::cleaner::{CleanOutcome, CleanReport, CleanerSettings};
use ottla_storage::config::LogConfig;
use ottla_storage::disk::Disk;
use ottla_storage::log::{Isolation, PartitionLog};
use ottla_storage::manager::LogManager;
use ottla_storage::retention::TrustedNow;
use ottla_storage::sim::SimDisk;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};

use super::{
    Found, Put, append, clean_with, compacted, consume, create, end_txn, log_of, open, plain, table,
};
use crate::harness::NOW_MS;

#[derive(Clone, Debug)]
enum Op {
    /// By a producer; the last two are transactional, the first has no id.
    Append {
        producer: usize,
        puts: Vec<Put>,
        codec: Codec,
    },
    /// Ends the transaction of one of the last two producers, if it has one.
    End {
        producer: usize,
        commits: bool,
    },
    Clean {
        advance_ms: i64,
    },
    Reopen {
        clean: bool,
    },
    /// Deletes so many thousandths of the log's records, then the segments below.
    DeleteRecords {
        thousandths: i64,
    },
}

const PRODUCERS: [i64; 4] = [-1, 10, 11, 12];

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let value = prop_oneof![3 => any::<u32>().prop_map(Some), 1 => Just(None)];
    let put = (0_u8..6, value).prop_map(|(key, value)| Put { key, value });
    let codec = prop_oneof![
        3 => Just(Codec::None), 1 => Just(Codec::Lz4), 1 => Just(Codec::Zstd),
        1 => Just(Codec::Gzip), 1 => Just(Codec::Snappy),
    ];
    let op = prop_oneof![
        12 => (0_usize..4, proptest::collection::vec(put, 1..5), codec)
            .prop_map(|(producer, puts, codec)| Op::Append { producer, puts, codec }),
        4 => (2_usize..4, any::<bool>())
            .prop_map(|(producer, commits)| Op::End { producer, commits }),
        2 => (0_i64..1500).prop_map(|advance_ms| Op::Clean { advance_ms }),
        1 => any::<bool>().prop_map(|clean| Op::Reopen { clean }),
        1 => (0_i64..300).prop_map(|thousandths| Op::DeleteRecords { thousandths }),
    ];
    proptest::collection::vec(op, 1..80)
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    Committed,
    Aborted,
}

/// A batch of the model, with the records that are left of it.
#[derive(Debug)]
struct Batch {
    last_offset: i64,
    records: Vec<Found>,
    /// The number of its transaction; 0 for none.
    txn: usize,
    horizon_ms: Option<i64>,
}

#[derive(Debug, Default)]
struct Model {
    batches: Vec<Batch>,
    fates: Vec<Fate>,
    /// The transactions that are open, by producer.
    open: HashMap<usize, usize>,
    sequences: HashMap<usize, i32>,
    /// The last offset and sequence of each producer.
    last: BTreeMap<i64, (i64, i32)>,
}

impl Model {
    fn new() -> Self {
        Self { fates: vec![Fate::Committed], ..Self::default() }
    }

    fn append(&mut self, log: &PartitionLog, producer: usize, puts: &[Put], codec: Codec) {
        let mut txn = 0;
        let mut options = BatchOptions { compression: Compression::new(codec), ..plain() };
        if producer > 0 {
            let sequence = self.sequences.entry(producer).or_default();
            options.producer_id = PRODUCERS[producer];
            options.producer_epoch = 0;
            options.base_sequence = *sequence;
            *sequence += puts.len() as i32;
        }
        if producer > 1 {
            options.transactional = true;
            let fates = &mut self.fates;
            txn = *self.open.entry(producer).or_insert_with(|| {
                fates.push(Fate::Open);
                fates.len() - 1
            });
        }
        let base = append(log, puts, options);
        let record = |(n, put): (usize, &Put)| {
            let offset = base + n as i64;
            Found { offset, key: put.key, value: put.value, timestamp: NOW_MS + offset }
        };
        let records: Vec<Found> = puts.iter().enumerate().map(record).collect();
        let last_offset = base + puts.len() as i64 - 1;
        if producer > 0 {
            self.last.insert(PRODUCERS[producer], (last_offset, self.sequences[&producer] - 1));
        }
        self.batches.push(Batch { last_offset, records, txn, horizon_ms: None });
    }

    fn end(&mut self, log: &PartitionLog, producer: usize, commits: bool) {
        let Some(txn) = self.open.remove(&producer) else { return };
        self.fates[txn] = if commits { Fate::Committed } else { Fate::Aborted };
        end_txn(log, PRODUCERS[producer], commits);
    }

    /// A cleaning whose map had room for all keys.
    fn clean(&mut self, report: &CleanReport, now_ms: i64) {
        let CleanOutcome::Cleaned { end_offset } = report.outcome else { unreachable!() };
        let first = report.tally.first_dirty_offset;
        let mut latest: HashMap<u8, i64> = HashMap::new();
        for batch in &self.batches {
            for record in &batch.records {
                let noted = (first..end_offset).contains(&record.offset);
                if noted && self.fates[batch.txn] == Fate::Committed {
                    latest.insert(record.key, record.offset);
                }
            }
        }
        for batch in self.batches.iter_mut().filter(|batch| batch.last_offset < end_offset) {
            let waits = batch.horizon_ms.is_none_or(|horizon_ms| now_ms < horizon_ms);
            match self.fates[batch.txn] {
                Fate::Open => panic!("nothing undecided is cleaned"),
                Fate::Aborted => batch.records.clear(),
                Fate::Committed => batch.records.retain(|record| {
                    latest.get(&record.key).is_none_or(|last| record.offset >= *last)
                        && (record.value.is_some() || waits)
                }),
            }
            if batch.horizon_ms.is_none() && batch.records.iter().any(|one| one.value.is_none()) {
                batch.horizon_ms = Some(now_ms + 1000);
            }
        }
    }

    fn records(&self, committed: bool) -> Vec<Found> {
        let fits = |batch: &&Batch| !committed || self.fates[batch.txn] == Fate::Committed;
        self.batches.iter().filter(fits).flat_map(|batch| batch.records.clone()).collect()
    }
}

/// What the log knows of its producers: the last offset and sequence of each.
fn producers(log: &PartitionLog) -> BTreeMap<i64, (i64, i32)> {
    log.with_producers(|state| {
        let last = |entry: &ottla_storage::producer_state::ProducerEntry| {
            entry.last_batch().map(|batch| (batch.last_offset, batch.last_sequence))
        };
        state.producers().filter_map(|(id, entry)| Some((id, last(entry)?))).collect()
    })
}

struct World {
    disk: Arc<dyn Disk>,
    config: LogConfig,
    manager: LogManager,
    log: Arc<PartitionLog>,
    now_ms: i64,
}

impl World {
    fn new(config: LogConfig) -> Self {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
        let manager = open(&disk, &config);
        let log = create(&manager, &config);
        Self { disk, config, manager, log, now_ms: NOW_MS }
    }

    fn reopen(self, clean: bool) -> Self {
        if clean {
            self.manager.close(1).unwrap();
        }
        let Self { disk, config, manager, log, now_ms } = self;
        drop((manager, log));
        let manager = open(&disk, &config);
        let log = log_of(&manager);
        Self { disk, config, manager, log, now_ms }
    }

    fn delete_records(&self, thousandths: i64) {
        let offsets = self.log.offsets();
        let start = offsets.log_start_offset;
        let offset = start + (offsets.high_watermark - start) * thousandths / 1000;
        self.log.advance_log_start(offset).unwrap();
        let now = TrustedNow { now_ms: self.now_ms, doubted_ms: 0, is_new_doubt: false };
        assert!(self.manager.delete_old_segments_of_compacted(now).errors.is_empty());
        self.manager.checkpoint_log_start_offsets().unwrap();
    }

    /// All records, or the committed ones, by fetches of several sizes.
    fn read(&self, isolation: Isolation) -> Vec<Found> {
        let all = consume(&self.log, isolation, 1 << 20);
        assert_eq!(consume(&self.log, isolation, 150), all, "the size of fetches does not matter");
        all
    }
}

fn run(ops: Vec<Op>, config: LogConfig, settings: CleanerSettings) {
    let mut world = World::new(config);
    let mut model = Model::new();
    let mut has_deleted = false;
    let exact = settings == CleanerSettings::default();
    for op in ops.into_iter().chain([Op::Clean { advance_ms: 2000 }]) {
        let was_append = matches!(op, Op::Append { .. } | Op::End { .. });
        match op {
            Op::Append { producer, puts, codec } => {
                model.append(&world.log, producer, &puts, codec);
            }
            Op::End { producer, commits } => model.end(&world.log, producer, commits),
            Op::Clean { advance_ms } => {
                world.now_ms += advance_ms;
                let before = table(&world.read(Isolation::TxnCommitted));
                for report in clean_with(&world.manager, world.now_ms, settings) {
                    model.clean(&report, world.now_ms);
                }
                world.manager.remove_due_files(i64::MAX);
                assert_eq!(table(&world.read(Isolation::TxnCommitted)), before);
            }
            // After a crash nothing is known of producers and transactions whose records were all
            // deleted, in Kafka neither; a snapshot of an orderly stop still has them.
            Op::Reopen { clean } => world = world.reopen(clean || has_deleted),
            Op::DeleteRecords { thousandths } => {
                world.delete_records(thousandths);
                has_deleted = true;
            }
        }
        let start = world.log.offsets().log_start_offset;
        // Of a producer whose records are all deleted nothing need be known.
        let mut known = producers(&world.log);
        known.retain(|_, (last_offset, _)| *last_offset >= start);
        model.last.retain(|_, (last_offset, _)| *last_offset >= start);
        assert_eq!(known, model.last, "producers are remembered");
        if exact && !was_append {
            let stable = world.log.offsets().last_stable_offset;
            let mut all = model.records(false);
            all.retain(|record| record.offset >= start);
            assert_eq!(world.read(Isolation::HighWatermark), all);
            let mut committed = model.records(true);
            committed.retain(|record| (start..stable).contains(&record.offset));
            assert_eq!(world.read(Isolation::TxnCommitted), committed);
        }
    }
}

fn check(settings: CleanerSettings) {
    let mut runner =
        TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let world = (ops(), 300_u32..1500, 40_u32..200, 0_u32..300);
    runner
        .run(&world, |(ops, segment_bytes, segment_index_bytes, index_interval_bytes)| {
            let config = LogConfig {
                segment_bytes,
                segment_index_bytes,
                index_interval_bytes,
                ..compacted()
            };
            run(ops, config, settings);
            Ok(())
        })
        .unwrap();
}

#[test]
fn cleanings_do_what_a_naive_model_does() {
    check(CleanerSettings::default());
}

#[test]
fn cleanings_with_little_memory_lose_nothing() {
    check(CleanerSettings { map_bytes: 24 * 4, map_load_factor: 0.9, buffer_bytes: 100 });
}

//! A log against a model of a log, under random operations.

use std::path::Path;
use std::sync::Arc;

use ottla_storage::config::LogConfig;
use ottla_storage::disk::Disk;
use ottla_storage::log::PartitionLog;
use ottla_storage::producer_state::snapshots::Shutdown;
use ottla_storage::sim::SimDisk;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};

use crate::harness::{NOW_MS, append, new_log, opening, values_from};

#[derive(Clone, Debug)]
enum Op {
    Append {
        count: u64,
    },
    /// To the start of the batch at so many thousandths of the log.
    Truncate {
        thousandths: u16,
    },
    StartOver,
    AdvanceStart {
        thousandths: u16,
    },
    Flush,
    RemoveFiles,
    Reopen {
        clean: bool,
    },
    Read {
        thousandths: u16,
        bytes_max: u32,
    },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let part = 0u16..1000;
    let op = prop_oneof![
        8 => (1u64..5).prop_map(|count| Op::Append { count }),
        1 => part.clone().prop_map(|thousandths| Op::Truncate { thousandths }),
        1 => Just(Op::StartOver),
        1 => part.clone().prop_map(|thousandths| Op::AdvanceStart { thousandths }),
        1 => Just(Op::Flush),
        1 => Just(Op::RemoveFiles),
        2 => any::<bool>().prop_map(|clean| Op::Reopen { clean }),
        2 => (part, 1u32..700)
            .prop_map(|(thousandths, bytes_max)| Op::Read { thousandths, bytes_max }),
    ];
    proptest::collection::vec(op, 1..40)
}

/// Batches: the offset and the first value of each; values within a batch count up.
struct Model {
    batches: Vec<(i64, u64, u64)>,
    start: i64,
    end: i64,
    next_value: u64,
}

impl Model {
    fn values_from(&self, start: i64) -> Vec<u64> {
        let mut values = Vec::new();
        for &(offset, first, count) in &self.batches {
            values.extend((0..count).filter(|n| offset + *n as i64 >= start).map(|n| first + n));
        }
        values
    }

    fn part(&self, thousandths: u16) -> i64 {
        self.start + (self.end - self.start) * i64::from(thousandths) / 1000
    }
}

fn run(ops: Vec<Op>, config: &LogConfig) {
    let shared: Arc<dyn Disk> = Arc::new(SimDisk::new());
    let dir = Path::new("data/t-0");
    let mut log = new_log(&shared, dir, config.clone()).unwrap();
    let mut model = Model { batches: Vec::new(), start: 0, end: 0, next_value: 0 };
    for op in ops {
        step(&mut log, &mut model, &op, &shared, dir, config);
        let offsets = log.offsets();
        assert_eq!((offsets.log_start_offset, offsets.log_end_offset), (model.start, model.end));
        assert_eq!(offsets.high_watermark, model.end);
    }
    assert_eq!(values_from(&log, model.start, 1 << 20), model.values_from(model.start));
}

fn step(
    log: &mut Arc<PartitionLog>,
    model: &mut Model,
    op: &Op,
    shared: &Arc<dyn Disk>,
    dir: &Path,
    config: &LogConfig,
) {
    match *op {
        Op::Append { count } => {
            let appended = append(log, model.next_value, count).unwrap();
            assert_eq!(appended.base_offset, model.end);
            model.batches.push((model.end, model.next_value, count));
            model.next_value += count;
            model.end += count as i64;
        }
        Op::Truncate { thousandths } => {
            let wanted = model.part(thousandths);
            let begins = model.batches.iter().map(|batch| batch.0).find(|begin| *begin >= wanted);
            let target = begins.unwrap_or(model.end).max(model.start);
            log.truncate_to(target, NOW_MS).unwrap();
            model.batches.retain(|batch| batch.0 < target);
            model.end = target;
        }
        Op::StartOver => {
            let target = model.end + 3;
            log.truncate_fully_and_start_at(target, NOW_MS).unwrap();
            model.batches.clear();
            (model.start, model.end) = (target, target);
        }
        Op::AdvanceStart { thousandths } => {
            model.start = model.part(thousandths);
            log.advance_log_start(model.start).unwrap();
        }
        Op::Flush => {
            log.flush().unwrap();
            assert_eq!(log.recovery_point(), model.end);
        }
        Op::RemoveFiles => log.remove_due_files(NOW_MS + 60_000),
        Op::Reopen { clean } => {
            let mut open = opening(shared, dir, config.clone());
            open.log_start_offset = model.start;
            open.recovery_point = log.recovery_point();
            if clean {
                log.close().unwrap();
                open.after = Shutdown::Clean;
            }
            *log = PartitionLog::open(open).unwrap();
        }
        Op::Read { thousandths, bytes_max } => {
            let start = model.part(thousandths);
            assert_eq!(values_from(log, start, bytes_max), model.values_from(start));
        }
    }
}

#[test]
fn a_log_is_its_model() {
    let mut runner =
        TestRunner::new(Config { cases: 400, failure_persistence: None, ..Config::default() });
    let sizes = (150u32..900, 12u32..200, 0u32..300, any::<bool>());
    runner
        .run(&(ops(), sizes), |(ops, (segment, index, interval, preallocate))| {
            let config = LogConfig {
                segment_bytes: segment,
                segment_index_bytes: index.max(24),
                index_interval_bytes: interval,
                preallocate,
                ..LogConfig::default()
            };
            run(ops, &config);
            Ok(())
        })
        .unwrap();
}

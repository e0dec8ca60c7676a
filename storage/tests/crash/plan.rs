//! What an episode does, drawn from its seed: a broker's life in steps, with crashes between.

use ottla_storage::config::LogConfig;
use ottla_storage::sim::FsyncFailure;

use crate::random::Random;

/// `EIO` and `ENOSPC`.
const ERRNOS: [i32; 2] = [5, 28];

/// One thing that a broker does. `slot` is a partition.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// A batch without a producer id.
    Append {
        slot: usize,
        records: usize,
    },
    /// A batch of an idempotent producer.
    Produce {
        slot: usize,
        producer: i64,
        records: usize,
    },
    /// A batch in a transaction.
    ProduceTxn {
        slot: usize,
        producer: i64,
        records: usize,
    },
    /// Ends it, or does nothing when there is none.
    EndTxn {
        slot: usize,
        producer: i64,
        commit: bool,
    },
    /// The last batch of a producer once more.
    Resend {
        slot: usize,
        producer: i64,
    },
    /// A producer begins anew, with the next epoch.
    ProduceNewEpoch {
        slot: usize,
        producer: i64,
    },
    Flush {
        slot: usize,
    },
    FlushDue,
    CheckpointRecoveryPoints,
    CheckpointLogStarts,
    CheckpointHighWatermarks,
    /// Up to so many percent of what is there.
    DeleteRecords {
        slot: usize,
        percent: i64,
    },
    Retain,
    Compact,
    RemoveDue,
    Delete {
        slot: usize,
    },
    Configure {
        slot: usize,
        flush: i64,
        segment_bytes: u32,
        retention_bytes: i64,
    },
    LeaderEpoch {
        slot: usize,
    },
    /// Takes so many batches off the end.
    Truncate {
        slot: usize,
        batches: usize,
    },
    /// Stops in order and starts again.
    Reopen,
}

impl Step {
    /// The partition that it is about.
    pub(crate) fn slot(&self) -> Option<usize> {
        match *self {
            Self::Append { slot, .. }
            | Self::Produce { slot, .. }
            | Self::ProduceTxn { slot, .. }
            | Self::EndTxn { slot, .. }
            | Self::Resend { slot, .. }
            | Self::ProduceNewEpoch { slot, .. }
            | Self::Flush { slot }
            | Self::DeleteRecords { slot, .. }
            | Self::Delete { slot }
            | Self::Configure { slot, .. }
            | Self::LeaderEpoch { slot }
            | Self::Truncate { slot, .. } => Some(slot),
            Self::FlushDue
            | Self::CheckpointRecoveryPoints
            | Self::CheckpointLogStarts
            | Self::CheckpointHighWatermarks
            | Self::Retain
            | Self::Compact
            | Self::RemoveDue
            | Self::Reopen => None,
        }
    }
}

/// An error to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedFault {
    /// How many operations before it.
    pub(crate) ops: u64,
    pub(crate) errno: i32,
    pub(crate) bytes: usize,
    pub(crate) sticky: bool,
}

/// From one start to the crash that ends it.
#[derive(Clone, Debug)]
pub(crate) struct Generation {
    pub(crate) steps: Vec<Step>,
    pub(crate) fault: Option<PlannedFault>,
    /// From which the crash that ends it is chosen, and those that are looked at.
    pub(crate) choice: u64,
}

/// What an episode has more of.
#[derive(Clone, Copy, Debug)]
enum Theme {
    /// Nothing.
    All,
    Compaction,
    /// Transactions that are aborted, and segments that recovery trusts.
    Transactions,
    /// Committed offsets: compacted logs of few keys, written one by one, some in transactions.
    Offsets,
}

/// All of an episode.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) dirs: usize,
    pub(crate) configs: Vec<LogConfig>,
    pub(crate) fsync_failure: FsyncFailure,
    pub(crate) generations: Vec<Generation>,
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        let random = &mut Random::new(seed);
        let slots = 2 + random.below(3);
        let flush = random.pick(&[1, 1, 3, i64::MAX, i64::MAX]);
        let theme = random.pick(&[Theme::All, Theme::All, Theme::Compaction, Theme::Transactions]);
        let theme = if seed % 16 == 15 { Theme::Offsets } else { theme };
        let configs = (0..slots).map(|_| config(random, flush, theme)).collect();
        let generations = 1 + random.below(3);
        Self {
            dirs: 1 + random.below(2),
            configs,
            fsync_failure: random.pick(&[
                FsyncFailure::CleanAndForget,
                FsyncFailure::StayDirty,
                FsyncFailure::Revert,
            ]),
            generations: (0..generations).map(|_| generation(random, slots, theme)).collect(),
        }
    }

    /// Leaves out steps, each given by the number that it has among all of the episode.
    pub(crate) fn without(mut self, dropped: &[usize]) -> Self {
        let mut number = 0;
        for generation in &mut self.generations {
            generation.steps.retain(|_| {
                number += 1;
                !dropped.contains(&(number - 1))
            });
        }
        self
    }

    pub(crate) fn steps(&self) -> usize {
        self.generations.iter().map(|generation| generation.steps.len()).sum()
    }
}

fn config(random: &mut Random, flush_messages: i64, theme: Theme) -> LogConfig {
    let compact = random.percent(match theme {
        Theme::All => 30,
        Theme::Compaction => 80,
        Theme::Transactions => 15,
        Theme::Offsets => 100,
    });
    LogConfig {
        segment_bytes: random.pick(&[300, 500, 1200]),
        segment_index_bytes: random.pick(&[24, 60, 240]),
        index_interval_bytes: random.pick(&[0, 100, 4096]),
        flush_messages,
        flush_ms: random.pick(&[0, 5000, i64::MAX]),
        retention_bytes: random.pick(&[-1, -1, 800]),
        retention_ms: -1,
        file_delete_delay_ms: random.pick(&[0, 3000]),
        cleanup_delete: !compact || random.percent(30),
        cleanup_compact: compact,
        min_cleanable_dirty_ratio: 0.0,
        delete_retention_ms: random.pick(&[0, 4000]),
        preallocate: random.percent(15),
        ..LogConfig::default()
    }
}

fn generation(random: &mut Random, slots: usize, theme: Theme) -> Generation {
    let steps = 4 + random.below(22);
    let fault = random.percent(25).then(|| PlannedFault {
        ops: random.below(150) as u64,
        errno: random.pick(&ERRNOS),
        bytes: random.pick(&[0, 1, 30, 200]),
        sticky: random.percent(20),
    });
    Generation {
        steps: (0..steps).map(|_| step_of(random, slots, theme)).collect(),
        fault,
        choice: random.next(),
    }
}

/// A step; every third one is the theme's.
fn step_of(random: &mut Random, slots: usize, theme: Theme) -> Step {
    let slot = random.below(slots.min(2));
    match theme {
        Theme::Compaction if random.percent(33) => match random.below(4) {
            0 => Step::Compact,
            1 => Step::Flush { slot },
            _ => Step::Append { slot, records: 3 },
        },
        Theme::Transactions if random.percent(33) => match random.below(6) {
            0 => Step::CheckpointRecoveryPoints,
            1 => Step::Flush { slot },
            2 | 3 => Step::EndTxn { slot, producer: 11, commit: random.percent(25) },
            _ => Step::ProduceTxn { slot, producer: 11, records: 2 },
        },
        Theme::Offsets if random.percent(60) => match random.below(10) {
            0 => Step::Compact,
            1 => Step::RemoveDue,
            2 => Step::ProduceTxn { slot, producer: 11, records: 1 },
            3 => Step::EndTxn { slot, producer: 11, commit: random.percent(75) },
            _ => Step::Append { slot, records: 1 + random.below(2) },
        },
        _ => step(random, slots),
    }
}

fn step(random: &mut Random, slots: usize) -> Step {
    let slot = random.below(slots);
    let records = 1 + random.below(3);
    let producer = 1 + random.below(2) as i64;
    match random.below(100) {
        0..18 => Step::Append { slot, records },
        18..34 => Step::Produce { slot, producer, records },
        34..46 => Step::ProduceTxn { slot, producer: 10 + producer, records },
        46..56 => Step::EndTxn { slot, producer: 10 + producer, commit: random.percent(50) },
        56..60 => Step::Resend { slot, producer },
        60..62 => Step::ProduceNewEpoch { slot, producer },
        62..66 => Step::Flush { slot },
        66..70 => Step::FlushDue,
        70..75 => Step::CheckpointRecoveryPoints,
        75..78 => Step::CheckpointLogStarts,
        78..80 => Step::CheckpointHighWatermarks,
        80..83 => Step::DeleteRecords { slot, percent: random.pick(&[10, 50, 100]) },
        83..86 => Step::Retain,
        86..90 => Step::Compact,
        90..92 => Step::RemoveDue,
        92..94 => Step::Delete { slot },
        94..96 => Step::Configure {
            slot,
            flush: random.pick(&[1, 3, i64::MAX]),
            segment_bytes: random.pick(&[300, 500, 1200]),
            retention_bytes: random.pick(&[-1, 400]),
        },
        96..97 => Step::LeaderEpoch { slot },
        97..98 => Step::Truncate { slot, batches: 1 + random.below(3) },
        _ => Step::Reopen,
    }
}

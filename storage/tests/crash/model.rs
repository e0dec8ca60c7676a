//! What a broker has promised, and what it may have done besides.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_protocol::record::control::EndTxnMarker;
use ottla_protocol::uuid::Uuid;
use ottla_storage::config::LogConfig;
use ottla_storage::manager::{FoundLog, Known};
use ottla_storage::partition_dir::TopicPartition;
use ottla_storage::producer_state::Origin;
use ottla_storage::validate::Validated;

/// What a batch is to its producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Txn,
    Commit,
    Abort,
}

/// A batch that was given to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) base: i64,
    pub(crate) last: i64,
    /// As it must be found in the log.
    pub(crate) bytes: Vec<u8>,
    pub(crate) leader_epoch: i32,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) kind: Kind,
    /// Keys and values; none of a marker.
    pub(crate) records: Vec<(u8, Option<u32>)>,
}

/// What a batch is to be made of.
#[derive(Clone, Debug)]
pub(crate) struct NewBatch {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) kind: Kind,
    pub(crate) records: Vec<(u8, Option<u32>)>,
    pub(crate) timestamp: i64,
}

impl NewBatch {
    /// The bytes that a producer, or a coordinator, sends.
    pub(crate) fn build(&self) -> Validated<'static> {
        let options = BatchOptions {
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            transactional: self.kind == Kind::Txn,
            ..BatchOptions::default()
        };
        let bytes = match self.kind {
            Kind::Plain | Kind::Txn => {
                let mut builder = BatchBuilder::new(options).unwrap();
                for (key, value) in &self.records {
                    let value = value.map(u32::to_be_bytes);
                    let record = NewRecord {
                        timestamp: self.timestamp,
                        key: Some(&[*key]),
                        value: value.as_ref().map(|value| &value[..]),
                        headers: &[],
                    };
                    builder.append(&record).unwrap();
                }
                builder.build().unwrap()
            }
            Kind::Commit | Kind::Abort => {
                let committed = self.kind == Kind::Commit;
                let marker = EndTxnMarker { committed, coordinator_epoch: 0 };
                let options = BatchOptions { transactional: false, ..options };
                marker.to_batch(options, self.timestamp).unwrap()
            }
        };
        Validated::from_built(bytes).unwrap()
    }

    pub(crate) fn origin(&self) -> Origin {
        match self.kind {
            Kind::Plain | Kind::Txn => Origin::Client,
            Kind::Commit | Kind::Abort => Origin::Coordinator,
        }
    }

    /// The batch at its place in the log.
    pub(crate) fn at(self, base: i64, leader_epoch: i32, built: &Validated<'_>) -> Batch {
        let mut bytes = built.header_bytes(base, leader_epoch).to_vec();
        bytes.extend_from_slice(built.payload());
        Batch {
            base,
            last: base + i64::from(built.last_offset_delta()),
            bytes,
            leader_epoch,
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            kind: self.kind,
            records: self.records,
        }
    }
}

/// What a log must know of a producer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProducerView {
    pub(crate) epoch: i16,
    pub(crate) last_sequence: i32,
    pub(crate) last_offset: i64,
    pub(crate) txn_first_offset: Option<i64>,
}

/// A transaction that was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub(crate) producer_id: i64,
    pub(crate) first: i64,
    pub(crate) last: i64,
}

/// Whether a partition is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// The metadata do not know it.
    Absent,
    /// They do, but whether its log was made is open.
    Creating,
    Live,
}

/// A partition.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) topic_partition: TopicPartition,
    pub(crate) topic_id: Uuid,
    pub(crate) config: LogConfig,
    pub(crate) life: Life,
    /// Its log directory.
    pub(crate) dir: String,
    /// All batches that were given to the log and not taken back, acknowledged or not.
    pub(crate) batches: Vec<Arc<Batch>>,
    /// Batches that were refused for want of space: taken back, but a loss of power may bring them
    /// up again as long as nothing was synced behind them.
    pub(crate) refused: Vec<Arc<Batch>>,
    /// Where the log ends if it has no batch.
    pub(crate) empty_end: i64,
    /// Everything below was acknowledged.
    pub(crate) acked_end: i64,
    /// Everything below must survive a loss of power.
    pub(crate) durable_end: i64,
    /// The log start as far as it is durable.
    pub(crate) start_floor: i64,
    /// The largest log start that may be found.
    pub(crate) start_tried: i64,
    /// The largest log start that was ever asked for.
    pub(crate) start_asked: i64,
    pub(crate) leader_epoch: i32,
    /// Its files are known to be durable: it was made, and that was told, or a power loss left it.
    pub(crate) is_made: bool,
    /// What is there has to be found out first: after a crash, or in a directory that is offline.
    pub(crate) in_doubt: bool,
    /// A planted defect: whatever is acknowledged is said to be durable.
    pub(crate) overpromises: bool,
}

/// The promises of a broker.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) parts: Vec<Part>,
    pub(crate) now_ms: i64,
    pub(crate) next_value: u32,
    pub(crate) next_id: u64,
}

impl Part {
    /// The end of all that was given to the log.
    pub(crate) fn tried_end(&self) -> i64 {
        self.batches.last().map_or(self.empty_end, |batch| batch.last + 1).max(self.empty_end)
    }

    pub(crate) fn is_usable(&self) -> bool {
        self.life == Life::Live && !self.in_doubt
    }

    /// How many acknowledged records need not be durable.
    fn unflushed(&self) -> i64 {
        if self.overpromises { 0 } else { self.config.flush_messages.saturating_sub(1) }
    }

    /// What an append of `end` acknowledged records says about the disk.
    pub(crate) fn acknowledge(&mut self, end: i64) {
        self.acked_end = end;
        let unflushed = self.unflushed();
        self.durable_end = self.durable_end.max(end.saturating_sub(unflushed));
    }

    /// What the answer to a batch that was sent again says about the disk.
    pub(crate) fn acknowledge_again(&mut self, end: i64) {
        let unflushed = self.unflushed();
        self.durable_end = self.durable_end.max(end.saturating_sub(unflushed));
    }

    /// Replays the batches below `end`: what producers are and what is aborted.
    pub(crate) fn replay(&self, end: i64) -> (BTreeMap<i64, ProducerView>, Vec<Aborted>) {
        let mut producers: BTreeMap<i64, ProducerView> = BTreeMap::new();
        let mut aborted = Vec::new();
        for batch in self.batches.iter().filter(|batch| batch.producer_id >= 0) {
            if batch.last >= end {
                break;
            }
            let producer = producers.entry(batch.producer_id).or_default();
            let (id, last) = (batch.producer_id, batch.last);
            match batch.kind {
                Kind::Plain | Kind::Txn => {
                    producer.epoch = batch.producer_epoch;
                    producer.last_sequence = batch.base_sequence + batch.records.len() as i32 - 1;
                    producer.last_offset = batch.last;
                    if batch.kind == Kind::Txn {
                        producer.txn_first_offset.get_or_insert(batch.base);
                    }
                }
                Kind::Commit => producer.txn_first_offset = None,
                Kind::Abort => {
                    if let Some(first) = producer.txn_first_offset.take() {
                        aborted.push(Aborted { producer_id: id, first, last });
                    }
                }
            }
        }
        (producers, aborted)
    }

    fn new_log(&mut self) {
        self.batches.clear();
        self.refused.clear();
        (self.empty_end, self.acked_end, self.durable_end) = (0, 0, 0);
        (self.start_floor, self.start_tried, self.start_asked) = (0, 0, 0);
        self.leader_epoch = 0;
        self.is_made = false;
    }
}

impl Model {
    pub(crate) fn new(configs: &[LogConfig]) -> Self {
        let part = |(n, config): (usize, &LogConfig)| Part {
            topic_partition: TopicPartition::new(&format!("t{n}"), 0),
            topic_id: Uuid::from_u64s(0, 0),
            config: config.clone(),
            life: Life::Absent,
            dir: String::new(),
            batches: Vec::new(),
            refused: Vec::new(),
            empty_end: 0,
            acked_end: 0,
            durable_end: 0,
            start_floor: 0,
            start_tried: 0,
            start_asked: 0,
            leader_epoch: 0,
            is_made: false,
            in_doubt: false,
            overpromises: false,
        };
        let parts = configs.iter().enumerate().map(part).collect();
        Self { parts, now_ms: 1_700_000_000_000, next_value: 0, next_id: 1 }
    }

    /// The metadata now have a topic for the slot.
    pub(crate) fn begin_create(&mut self, slot: usize) {
        if self.parts[slot].life == Life::Absent {
            let part = &mut self.parts[slot];
            part.new_log();
            part.topic_id = Uuid::from_u64s(1, self.next_id);
            part.life = Life::Creating;
            self.next_id += 1;
        }
        self.parts[slot].in_doubt = true;
    }

    /// What the broker knows of a partition that it finds.
    pub(crate) fn known(&self, found: &FoundLog) -> Known {
        let named = |part: &&Part| part.topic_partition == found.topic_partition;
        match self.parts.iter().find(named) {
            Some(part) if part.life != Life::Absent && found.topic_id == Some(part.topic_id) => {
                Known::Here(part.config.clone())
            }
            _ => Known::Stray,
        }
    }

    /// The process has ended; when `power` was lost, so is what was not durable.
    pub(crate) fn crash(&mut self, power: bool) {
        for part in &mut self.parts {
            part.in_doubt = true;
            if power {
                part.acked_end = part.acked_end.min(part.durable_end);
            }
        }
    }

    /// A sync in a directory has failed: what was not durable may be gone, for readers too.
    pub(crate) fn fail_sync(&mut self, path: &str) {
        for part in self.parts.iter_mut().filter(|part| !part.dir.is_empty()) {
            if path == part.dir || path.starts_with(&format!("{}/", part.dir)) {
                part.acked_end = part.acked_end.min(part.durable_end);
            }
        }
    }

    /// Records for a batch.
    pub(crate) fn new_records(&mut self, count: usize) -> Vec<(u8, Option<u32>)> {
        let record = |value: u32| ((value % 5) as u8, (value % 7 != 3).then_some(value));
        let first = self.next_value;
        self.next_value += count as u32;
        (first..self.next_value).map(record).collect()
    }
}

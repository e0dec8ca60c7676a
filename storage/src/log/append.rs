//! Appending.

use std::fmt;
use std::io::IoSlice;

use ottla_protocol::record::batch::BatchHeader;
use ottla_protocol::record::set::{Batch, BatchError, Batches};

use super::offsets::{LastAppend, Mark, Place};
use super::producers::producer_batch;
use super::{Appender, LogRole, PartitionLog};
use crate::error::StorageError;
use crate::leader_epoch::EpochEntry;
use crate::producer_state::{Checked, Origin, ProducerError, Update, VerificationGuard};
use crate::segment::BatchFacts;
use crate::validate::Validated;

/// How a leader appends.
#[derive(Clone, Copy, Debug)]
pub struct AppendAsLeader {
    /// The epoch in which this broker leads the partition.
    pub leader_epoch: i32,
    /// The time, ms since the epoch.
    pub now_ms: i64,
    /// Who sends the batch; decides what its producer is held to.
    pub origin: Origin,
    /// From [`PartitionLog::start_verification`] for a batch that begins a transaction.
    pub guard: VerificationGuard,
}

/// Where a batch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The first record's offset.
    pub base_offset: i64,
    /// The last record's offset.
    pub last_offset: i64,
    /// The time that all records were given, ms; -1 when they keep their own.
    pub log_append_time_ms: i64,
    /// The log start offset.
    pub log_start_offset: i64,
    /// The producer had sent this batch before; nothing was written, and the offsets are those
    /// that it got then.
    pub duplicate: bool,
}

/// Why nothing was appended.
#[derive(Debug)]
pub enum AppendError {
    /// More bytes than a segment may have (Kafka's `RECORD_LIST_TOO_LARGE`).
    RecordListTooLarge {
        /// Bytes of the append.
        bytes: u64,
        /// `segment.bytes`.
        segment_bytes: u32,
    },
    /// A follower was sent records that do not lie behind those it has.
    UnexpectedOffset {
        /// The first offset of the append.
        first_offset: i64,
        /// The log end offset.
        log_end_offset: i64,
    },
    /// A follower was sent damaged bytes.
    Batch(BatchError),
    /// A follower was sent no whole batch.
    Empty,
    /// The producer's sequence, epoch or transaction does not fit.
    Producer(ProducerError),
    /// The disk failed, or the log is gone.
    Storage(StorageError),
}

/// What is written in one go.
struct Write<'a> {
    slices: &'a [IoSlice<'a>],
    batches: &'a [BatchFacts],
    first_offset: i64,
    leader_epoch: i32,
    now_ms: i64,
    /// What the append changes in producer state.
    update: Update,
}

impl PartitionLog {
    /// Appends one batch at the log end. Base offset and leader epoch, which no checksum covers,
    /// are set in a copy of its header; nothing else is touched or copied.
    ///
    /// When it returns, what `flush.messages` asks for is durable, and the records are readable if
    /// this is the sole replica.
    pub fn append_as_leader(
        &self,
        batch: &Validated<'_>,
        how: AppendAsLeader,
    ) -> Result<Appended, AppendError> {
        let appended = self.append_unsettled(batch, how)?;
        // A duplicate too: the append that it repeats may still wait for its sync.
        self.settle(appended.last_offset + 1)?;
        Ok(appended)
    }

    /// As [`PartitionLog::append_as_leader`], but [`PartitionLog::settle`] is left to the caller,
    /// who tells nobody of the records before.
    pub fn append_unsettled(
        &self,
        batch: &Validated<'_>,
        how: AppendAsLeader,
    ) -> Result<Appended, AppendError> {
        let mut appender = self.appender();
        self.append_in_lock(&mut appender, batch, how)
    }

    /// Whether [`PartitionLog::settle`] would wait for a sync.
    pub fn needs_sync(&self, end_offset: i64) -> bool {
        let flush_messages = self.config.load().flush_messages;
        end_offset - self.commit.recovery_point() >= flush_messages
    }

    fn append_in_lock(
        &self,
        appender: &mut Appender,
        batch: &Validated<'_>,
        how: AppendAsLeader,
    ) -> Result<Appended, AppendError> {
        self.check_open()?;
        let offsets = self.offsets();
        let base_offset = offsets.log_end_offset;
        let header = batch.header_bytes(base_offset, how.leader_epoch);
        let view = BatchHeader::new(&header).expect("the array has a header's length");
        let facts = facts(view, batch.size_bytes());
        let appended = Appended {
            base_offset,
            last_offset: facts.last_offset,
            log_append_time_ms: batch.log_append_time_ms().unwrap_or(-1),
            log_start_offset: offsets.log_start_offset,
            duplicate: false,
        };
        let update = match self.check_producer(view, batch, how)? {
            Checked::New(update) => update,
            Checked::Duplicate(known) => {
                return Ok(Appended {
                    base_offset: known.first_offset(),
                    last_offset: known.last_offset,
                    log_append_time_ms: known.timestamp,
                    duplicate: true,
                    ..appended
                });
            }
        };
        let write = Write {
            slices: &[IoSlice::new(&header), IoSlice::new(batch.payload())],
            batches: &[facts],
            first_offset: base_offset,
            leader_epoch: how.leader_epoch,
            now_ms: how.now_ms,
            update,
        };
        self.write(appender, write)?;
        Ok(appended)
    }

    fn check_producer(
        &self,
        view: BatchHeader<'_>,
        batch: &Validated<'_>,
        how: AppendAsLeader,
    ) -> Result<Checked, ProducerError> {
        if view.producer_id() < 0 {
            return Ok(Checked::New(Update::default()));
        }
        // Only a marker must be had in one piece, and it is small.
        let mut whole = Vec::new();
        if view.attributes().is_control() {
            whole.extend_from_slice(&batch.header_bytes(view.base_offset(), how.leader_epoch));
            whole.extend_from_slice(batch.payload());
        }
        let Some(batch) = producer_batch(view, || Batch::new(&whole)) else {
            return Ok(Checked::New(Update::default()));
        };
        self.producers().state.check(&[batch], how.origin, how.guard)
    }

    /// Appends the whole batches in `set` as they are, with the offsets and epochs that the leader
    /// gave them. An incomplete batch at the end is left out. Returns the offset behind the last.
    pub fn append_as_follower(&self, set: &[u8], now_ms: i64) -> Result<i64, AppendError> {
        let mut batches = Vec::new();
        let mut produced = Vec::new();
        let mut epochs: Vec<EpochEntry> = Vec::new();
        let mut next_offset = i64::MIN;
        let mut first_offset = None;
        let mut parsed = Batches::new(set);
        for batch in &mut parsed {
            let batch = batch?;
            batch.check_crc()?;
            let view = batch.header();
            if view.base_offset() < next_offset.max(0) || view.last_offset() < view.base_offset() {
                let log_end_offset = next_offset.max(0);
                let first_offset = view.base_offset();
                return Err(AppendError::UnexpectedOffset { first_offset, log_end_offset });
            }
            first_offset.get_or_insert(view.base_offset());
            let facts = facts(view, batch.bytes().len());
            let epoch = view.partition_leader_epoch();
            if epochs.last().is_none_or(|last| last.epoch != epoch) {
                epochs.push(EpochEntry { epoch, start_offset: view.base_offset() });
            }
            next_offset = facts.last_offset.saturating_add(1);
            batches.push(facts);
            produced.extend(producer_batch(view, || Some(batch)));
        }
        let first_offset = first_offset.ok_or(AppendError::Empty)?;
        let whole = &set[..set.len() - parsed.remaining().len()];
        {
            let mut appender = self.appender();
            self.check_open()?;
            let log_end_offset = self.marks().log_end().offset;
            if first_offset < log_end_offset {
                return Err(AppendError::UnexpectedOffset { first_offset, log_end_offset });
            }
            for entry in &epochs[..epochs.len() - 1] {
                self.note_epoch(*entry)?;
            }
            let last = epochs.last().expect("there is a batch");
            if epochs.len() > 1 {
                self.note_epoch(*last)?;
            }
            let checked = self.producers().state.check(
                &produced,
                Origin::Replication,
                VerificationGuard::NONE,
            );
            let Checked::New(update) = checked? else {
                unreachable!("only a client's batches can be duplicates")
            };
            let write = Write {
                slices: &[IoSlice::new(whole)],
                batches: &batches,
                first_offset,
                leader_epoch: last.epoch,
                now_ms,
                update,
            };
            self.write(&mut appender, write)?;
        }
        self.settle(next_offset)?;
        Ok(next_offset)
    }

    /// The append proper. On an error the log is as it was, or its directory is offline.
    fn write(&self, appender: &mut Appender, write: Write<'_>) -> Result<(), AppendError> {
        let config = self.config.load();
        let bytes: u64 = write.batches.iter().map(|batch| u64::from(batch.size)).sum();
        if bytes > u64::from(config.segment_bytes) {
            let segment_bytes = config.segment_bytes;
            return Err(AppendError::RecordListTooLarge { bytes, segment_bytes });
        }
        let (epoch, start_offset) = (write.leader_epoch, write.first_offset);
        self.note_epoch(EpochEntry { epoch, start_offset })?;
        let segment = self.roll_if_due(appender, &config, write.roll_facts(bytes))?;
        self.log_dir.watch(self.flush_start(&segment))?;
        self.log_dir.watch(segment.allocate_ahead(&mut appender.writer, &config, bytes))?;
        let appended = segment.append(
            &mut appender.writer,
            config.index_interval_bytes,
            write.slices,
            write.batches,
        );
        self.log_dir.watch(appended)?;
        let last = write.batches.last().expect("an append has a batch");
        let end_offset = last.last_offset + 1;
        let mut producers = self.producers();
        let completed = producers.state.apply(write.update, end_offset);
        if let Err(error) = super::txn::add(&*self.disk, &segment, &completed) {
            // The marker is written and its producer has moved on: no way back but a recovery.
            self.log_dir.fail(&error);
            return Err(AppendError::Storage(error));
        }
        let first_unstable = producers.state.first_unstable_offset();
        let segment_base_offset = segment.base_offset();
        let place = Place { segment_base_offset, position: segment.size() };
        let start = Place { segment_base_offset, position: place.position - bytes };
        let (base_offset, size) = (write.first_offset, write.batches[0].size);
        let mut marks = self.marks();
        marks.set_last_append(LastAppend { base_offset, place: start, size });
        marks.set_first_unstable(first_unstable);
        marks.append_to(Mark { offset: end_offset, place: Some(place) });
        Ok(())
    }

    /// After appends up to `end_offset`: makes durable what `flush.messages` wants to be, then
    /// moves the high watermark if that is this log's to do. In this order: what consumers may see
    /// is no less durable than what producers are told.
    ///
    /// # Errors
    /// A failed sync, or one that failed before: then nothing is to be acknowledged, and nothing is
    /// tried again.
    pub fn settle(&self, end_offset: i64) -> Result<(), StorageError> {
        if self.needs_sync(end_offset) {
            self.flush_to(end_offset)?;
        }
        if self.role == LogRole::SoleReplica {
            self.advance_high_watermark(end_offset);
        }
        Ok(())
    }
}

impl Write<'_> {
    fn roll_facts(&self, bytes: u64) -> super::roll::Incoming {
        super::roll::Incoming {
            bytes,
            max_timestamp_ms: self
                .batches
                .iter()
                .map(|batch| batch.max_timestamp_ms)
                .max()
                .unwrap_or(-1),
            first_offset: self.first_offset,
            last_offset: self.batches.last().map_or(-1, |batch| batch.last_offset),
            now_ms: self.now_ms,
        }
    }
}

fn facts(view: BatchHeader<'_>, size: usize) -> BatchFacts {
    BatchFacts {
        size: u32::try_from(size).expect("a batch's length has 31 bits"),
        last_offset: view.last_offset(),
        max_timestamp_ms: view.max_timestamp(),
    }
}

impl From<StorageError> for AppendError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<ProducerError> for AppendError {
    fn from(error: ProducerError) -> Self {
        Self::Producer(error)
    }
}

impl From<BatchError> for AppendError {
    fn from(error: BatchError) -> Self {
        Self::Batch(error)
    }
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RecordListTooLarge { bytes, segment_bytes } => {
                write!(f, "append of {bytes} bytes, at most segment.bytes {segment_bytes} allowed")
            }
            Self::UnexpectedOffset { first_offset, log_end_offset } => {
                write!(f, "first offset {first_offset}, {log_end_offset} or more expected")
            }
            Self::Batch(error) => error.fmt(f),
            Self::Empty => f.write_str("no whole batch"),
            Self::Producer(error) => error.fmt(f),
            Self::Storage(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AppendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Batch(error) => Some(error),
            Self::Producer(error) => Some(error),
            Self::Storage(error) => Some(error),
            _ => None,
        }
    }
}

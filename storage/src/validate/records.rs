//! The rules of single records.

use ottla_protocol::record::batch::TimestampType;
use ottla_protocol::record::compression::{Codec, Decompressor};
use ottla_protocol::record::facts::RecordFacts;
use ottla_protocol::record::set::Batch;
use ottla_protocol::record::stream::RecordStream;

use super::{InvalidBatch, RecordError, RecordErrorReason, ValidateRules};

/// What a batch's records are like, all of them good.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checked {
    /// -1 when no record has one.
    pub(super) max_timestamp: i64,
    /// Whether the offset deltas are 0, 1, 2 and so on.
    pub(super) offsets_in_order: bool,
}

/// Checks one record after the other, and remembers those at fault.
#[derive(Debug)]
pub(super) struct RecordChecks<'r> {
    rules: &'r ValidateRules,
    batch_is_log_append_time: bool,
    index: i32,
    checked: Checked,
    errors: Vec<RecordError>,
}

impl<'r> RecordChecks<'r> {
    pub(super) fn new(batch: &Batch<'_>, rules: &'r ValidateRules) -> Self {
        Self {
            rules,
            batch_is_log_append_time: batch.header().attributes().is_log_append_time(),
            index: 0,
            checked: Checked { max_timestamp: -1, offsets_in_order: true },
            errors: Vec::new(),
        }
    }

    /// Checks all records of a batch, where they lie or as they are decompressed.
    pub(super) fn of_batch(
        batch: &Batch<'_>,
        codec: Codec,
        rules: &'r ValidateRules,
    ) -> Result<Checked, InvalidBatch> {
        let mut checks = Self::new(batch, rules);
        if codec == Codec::None {
            let mut records = batch.records_in(batch.payload())?;
            while let Some(facts) = records.next_facts() {
                checks.check(facts?);
            }
        } else {
            let mut stream = stream_of(batch, codec, rules)?;
            while let Some(facts) = stream.next_facts()? {
                checks.check(facts);
            }
        }
        checks.finish()
    }

    /// Checks the next record.
    #[inline]
    pub(super) fn check(&mut self, record: RecordFacts) {
        if let Some(reason) = self.fault_of(record) {
            self.errors.push(RecordError { batch_index: self.index, reason });
        }
        self.checked.max_timestamp = self.checked.max_timestamp.max(record.timestamp);
        self.checked.offsets_in_order &= record.offset_delta == self.index;
        self.index = self.index.wrapping_add(1);
    }

    #[inline]
    fn fault_of(&self, record: RecordFacts) -> Option<RecordErrorReason> {
        let rules = self.rules;
        if rules.compacted && !record.has_key {
            return Some(RecordErrorReason::NullKey);
        }
        let timestamp = record.timestamp;
        if rules.timestamp_type == TimestampType::CreateTime && timestamp != -1 {
            // Wraps for timestamps near the ends of the range, as the JVM's subtraction does.
            let age = rules.now_ms.wrapping_sub(timestamp);
            let out_of_range = age > rules.timestamp_before_max_ms
                || age.wrapping_neg() > rules.timestamp_after_max_ms;
            return out_of_range.then_some(RecordErrorReason::TimestampOutOfRange { timestamp });
        }
        self.batch_is_log_append_time.then_some(RecordErrorReason::LogAppendTime)
    }

    /// What the records are like.
    pub(super) fn finish(self) -> Result<Checked, InvalidBatch> {
        if self.errors.is_empty() {
            Ok(self.checked)
        } else {
            Err(InvalidBatch::Records(self.errors))
        }
    }
}

/// The records of a compressed batch.
pub(super) fn stream_of<'a>(
    batch: &Batch<'a>,
    codec: Codec,
    rules: &ValidateRules,
) -> Result<RecordStream<'a>, InvalidBatch> {
    let header = batch.header();
    let reader = Decompressor::new(codec, batch.payload(), rules.decompress_limits())?;
    Ok(RecordStream::new(reader, header.into(), header.records_count())?)
}

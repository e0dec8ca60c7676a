//! Building a batch anew, in the topic's codec and with offsets 0, 1, 2 and so on.
//!
//! One pass: a record is read, checked and appended before the next one is read. When the new
//! batch has outgrown the topic's limit it is dropped, but the records are checked to the end,
//! since a broken rule is told before the size.

use std::borrow::Cow;

use ottla_protocol::record::batch::{BatchHeader, HeaderFields, TimestampType};
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions};
use ottla_protocol::record::compression::{Codec, Compression};
use ottla_protocol::record::facts::RecordFacts;
use ottla_protocol::record::record::Record;
use ottla_protocol::record::set::Batch;

use super::records::{RecordChecks, stream_of};
use super::{InvalidBatch, ValidateRules, Validated};

/// The new batch, while it fits.
struct Rebuilt {
    builder: Option<BatchBuilder>,
    size_bytes: usize,
    bytes_max: usize,
}

impl Rebuilt {
    fn append(&mut self, record: &Record<'_>) -> Result<(), InvalidBatch> {
        let Some(builder) = &mut self.builder else { return Ok(()) };
        builder.append_copy(record).map_err(InvalidBatch::Rebuild)?;
        self.size_bytes = builder.size_bytes();
        if self.size_bytes > self.bytes_max {
            self.builder = None;
        }
        Ok(())
    }

    fn build(self) -> Result<Vec<u8>, InvalidBatch> {
        let bytes_max = self.bytes_max;
        let too_large = |size_bytes| InvalidBatch::TooLarge { size_bytes, bytes_max };
        let builder = self.builder.ok_or(too_large(self.size_bytes))?;
        let batch = builder.build().map_err(InvalidBatch::Rebuild)?;
        if batch.len() > bytes_max { Err(too_large(batch.len())) } else { Ok(batch) }
    }
}

/// Checks the batch's records, and builds a new batch of them.
pub(super) fn rebuild<'a>(
    batch: &Batch<'_>,
    codec: Codec,
    target: Compression,
    rules: &ValidateRules,
) -> Result<Validated<'a>, InvalidBatch> {
    let options = options(batch.header(), target, rules);
    // Taken once, by what came and not by what it claims; few batches outgrow it.
    let buffer = Vec::with_capacity(batch.bytes().len());
    let builder = BatchBuilder::with_buffer(options, buffer).map_err(InvalidBatch::Rebuild)?;
    let mut rebuilt =
        Rebuilt { builder: Some(builder), size_bytes: 0, bytes_max: rules.max_message_bytes };
    let mut checks = RecordChecks::new(batch, rules);
    if codec == Codec::None {
        for record in batch.records_in(batch.payload())? {
            let record = record?;
            checks.check(RecordFacts::from(&record));
            rebuilt.append(&record)?;
        }
    } else {
        let mut stream = stream_of(batch, codec, rules)?;
        while let Some(record) = stream.next_record(rules.rebuilt_record_bytes_max())? {
            checks.check(RecordFacts::from(&record));
            rebuilt.append(&record)?;
        }
    }
    checks.finish()?;
    let bytes = rebuilt.build()?;
    let header = BatchHeader::new(&bytes).expect("a built batch has a header");
    Ok(Validated::new(HeaderFields::from(header), Cow::Owned(bytes)))
}

fn options(
    header: BatchHeader<'_>,
    compression: Compression,
    rules: &ValidateRules,
) -> BatchOptions {
    BatchOptions {
        base_offset: 0,
        partition_leader_epoch: header.partition_leader_epoch(),
        compression,
        log_append_time: match rules.timestamp_type {
            TimestampType::CreateTime => None,
            TimestampType::LogAppendTime => Some(rules.now_ms),
        },
        producer_id: header.producer_id(),
        producer_epoch: header.producer_epoch(),
        base_sequence: header.base_sequence(),
        transactional: header.attributes().is_transactional(),
        control: header.attributes().is_control(),
    }
}

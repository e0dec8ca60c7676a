//! A batch without the records that go.
//!
//! The records are looked at once, to see which stay. When all do, the bytes are copied as they
//! are; when some do, they are read again into a new batch, of the same codec, range of offsets
//! and sequences. So no more than one record is held decompressed.

use ottla_protocol::record::batch::{Attributes, BATCH_HEADER_BYTES, BatchHeader, HeaderFields};
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions};
use ottla_protocol::record::compression::{Codec, Compression, DecompressLimits, Decompressor};
use ottla_protocol::record::record::Record;
use ottla_protocol::record::set::Batch;
use ottla_protocol::record::stream::RecordStream;

use super::decide::{Remains, Round, Verdict};
use crate::validate::DECOMPRESSED_BYTES_MAX;

/// A record is held in memory whole. It may be as large as what a producer's batch may decompress
/// to: such a one was taken, whatever `max.message.bytes` is or was.
const RECORD_BYTES_MAX: usize = DECOMPRESSED_BYTES_MAX as usize;

/// What is left of a batch.
#[derive(Debug)]
pub(super) enum Left {
    /// All, as it is.
    All,
    /// Some records, or another header: a new batch.
    Some(Vec<u8>),
    /// No records, but the range of offsets and whose they were.
    Header([u8; BATCH_HEADER_BYTES]),
    /// Nothing.
    Nothing,
}

/// How many records there were and how many stay.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) read: u64,
    pub(super) kept: u64,
}

/// Until when a batch's tombstones stay.
pub(super) fn delete_horizon_ms(header: BatchHeader<'_>) -> Option<i64> {
    header.attributes().has_delete_horizon().then(|| header.base_timestamp())
}

/// Shows all records of a batch, in order. A problem, of the batch or told by `see`, ends it.
pub(super) fn each_record(
    batch: &Batch<'_>,
    see: &mut dyn FnMut(&Record<'_>) -> Result<(), String>,
) -> Result<(), String> {
    let header = batch.header();
    let mut next_offset = header.base_offset();
    let mut see_in_order = |record: &Record<'_>| {
        if record.offset < next_offset || record.offset > header.last_offset() {
            return Err(format!("record of offset {} is out of its place", record.offset));
        }
        next_offset = record.offset + 1;
        see(record)
    };
    match batch.codec() {
        None => Err(format!("codec {} is unknown", header.attributes().codec_id())),
        Some(Codec::None) => {
            let records = batch.records_in(batch.payload()).map_err(|error| error.to_string())?;
            for record in records {
                see_in_order(&record.map_err(|error| error.to_string())?)?;
            }
            Ok(())
        }
        // A header alone has no blob.
        Some(_) if header.records_count() == 0 => Ok(()),
        Some(codec) => {
            let limits = DecompressLimits::of_bytes(DECOMPRESSED_BYTES_MAX);
            let reader = Decompressor::new(codec, batch.payload(), limits);
            let reader = reader.map_err(|error| error.to_string())?;
            let stream = RecordStream::new(reader, header.into(), header.records_count());
            let mut stream = stream.map_err(|error| error.to_string())?;
            while let Some(record) =
                stream.next_record(RECORD_BYTES_MAX).map_err(|error| error.to_string())?
            {
                see_in_order(&record)?;
            }
            Ok(())
        }
    }
}

/// What stays of a batch. `keeps` is asked for every record, unless all are discarded.
pub(super) fn filter(
    batch: &Batch<'_>,
    verdict: Verdict,
    round: &Round,
    keeps: &mut dyn FnMut(&Record<'_>) -> bool,
) -> Result<(Left, Counts), String> {
    let header = batch.header();
    let mut counts = Counts::default();
    let mut kept = Vec::new();
    let mut has_tombstone = false;
    if !verdict.discard_records {
        each_record(batch, &mut |record| {
            let stays = keeps(record);
            has_tombstone |= stays && record.value.is_none();
            counts.read += 1;
            counts.kept += u64::from(stays);
            kept.push(stays);
            Ok(())
        })?;
    }
    if counts.kept == 0 {
        let left = match verdict.remains {
            Remains::Header => Left::Header(header_alone(header)),
            Remains::Nothing => Left::Nothing,
        };
        return Ok((left, counts));
    }
    let horizon_ms = delete_horizon_ms(header);
    let new_horizon_ms = match has_tombstone || verdict.is_idle_marker {
        true => round.new_horizon_ms(horizon_ms),
        false => None,
    };
    if counts.kept == counts.read && new_horizon_ms.is_none() {
        return Ok((Left::All, counts));
    }
    let rebuilt = rebuild(batch, &kept, new_horizon_ms.or(horizon_ms))?;
    Ok((Left::Some(rebuilt), counts))
}

fn rebuild(batch: &Batch<'_>, kept: &[bool], horizon_ms: Option<i64>) -> Result<Vec<u8>, String> {
    let header = batch.header();
    let attributes = header.attributes();
    let codec = batch.codec().unwrap_or(Codec::None);
    let options = BatchOptions {
        base_offset: header.base_offset(),
        partition_leader_epoch: header.partition_leader_epoch(),
        compression: Compression::new(codec),
        log_append_time: attributes.is_log_append_time().then(|| header.max_timestamp()),
        producer_id: header.producer_id(),
        producer_epoch: header.producer_epoch(),
        base_sequence: header.base_sequence(),
        transactional: attributes.is_transactional(),
        control: attributes.is_control(),
    };
    let buffer = Vec::with_capacity(batch.bytes().len());
    let builder = BatchBuilder::with_buffer(options, buffer);
    let mut builder = builder.map_err(|error| error.to_string())?;
    if let Some(horizon_ms) = horizon_ms {
        builder.set_delete_horizon(horizon_ms);
    }
    let mut stays = kept.iter();
    each_record(batch, &mut |record| {
        if stays.next() == Some(&true) {
            let appended = builder.append_at(record.offset, record);
            appended.map_err(|error| error.to_string())?;
        }
        Ok(())
    })?;
    builder.build_to(header.last_offset()).map_err(|error| error.to_string())
}

/// A batch's header for a batch without records.
fn header_alone(header: BatchHeader<'_>) -> [u8; BATCH_HEADER_BYTES] {
    let kept = Attributes::LOG_APPEND_TIME | Attributes::TRANSACTIONAL | Attributes::CONTROL;
    sealed(HeaderFields {
        attributes: Attributes(header.attributes().0 & kept),
        base_timestamp: -1,
        records_count: 0,
        ..HeaderFields::from(header)
    })
}

/// A batch without records that has nothing but the offsets of a batch that goes.
pub(super) fn placeholder(header: BatchHeader<'_>) -> [u8; BATCH_HEADER_BYTES] {
    sealed(HeaderFields {
        attributes: Attributes(0),
        base_timestamp: -1,
        max_timestamp: -1,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        records_count: 0,
        ..HeaderFields::from(header)
    })
}

fn sealed(fields: HeaderFields) -> [u8; BATCH_HEADER_BYTES] {
    let mut bytes = [0; BATCH_HEADER_BYTES];
    fields.seal(&mut bytes).expect("a header's length fits");
    bytes
}

//! Messages of the formats before record batches (magic 0 and 1) as batches.
//!
//! A topic may hold some that nobody has replaced for years. A cleaning copies them as batches of
//! magic 2, of the same offsets, timestamps and codec, so that all rules hold for them too: a
//! tombstone stays until the horizon that it gets now.

use ottla_protocol::record::batch::TimestampType;
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions};
use ottla_protocol::record::compression::{Compression, DecompressLimits};
use ottla_protocol::record::legacy::LegacyEntry;
use ottla_protocol::record::record::{Headers, Record};

/// What a compressed message may decompress to. It is held in memory whole; brokers of those days
/// took messages of 1 MiB.
const DECOMPRESSED_BYTES_MAX: u64 = 64 << 20;

/// The batch that stands for an old message, or for the messages inside of a compressed one. What
/// is wrong is told in words.
pub(super) fn to_batch(message: &[u8], leader_epoch: i32) -> Result<Vec<u8>, String> {
    let entry = LegacyEntry::new(message).map_err(|error| error.to_string())?;
    entry.check_crc().map_err(|error| error.to_string())?;
    let codec = entry.codec().map_err(|error| error.to_string())?;
    let limits = DecompressLimits::of_bytes(DECOMPRESSED_BYTES_MAX);
    let records = entry.records(limits).map_err(|error| error.to_string())?;
    let first = match records.iter().next() {
        Some(first) => first.map_err(|error| error.to_string())?.offset,
        None => return Err("a compressed message holds no messages".to_owned()),
    };
    let log_append_time = entry.timestamp_type() == TimestampType::LogAppendTime;
    let options = BatchOptions {
        base_offset: first,
        partition_leader_epoch: leader_epoch,
        compression: Compression::new(codec),
        log_append_time: log_append_time.then(|| entry.timestamp()),
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options).map_err(|error| error.to_string())?;
    for record in records.iter() {
        let record = record.map_err(|error| error.to_string())?;
        let record = Record {
            offset: record.offset,
            offset_delta: 0,
            timestamp: record.timestamp,
            key: record.key,
            value: record.value,
            headers: Headers::default(),
        };
        builder.append_at(record.offset, &record).map_err(|error| error.to_string())?;
    }
    builder.build_to(entry.offset()).map_err(|error| error.to_string())
}

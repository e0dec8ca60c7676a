//! A batch that is too large for a broker, made into several.

use std::sync::Arc;

use ottla_protocol::record::batch::{BatchHeader, sequence_after};
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, BuildError};
use ottla_protocol::record::compression::{Compression, DecompressLimits, decompress};
use ottla_protocol::record::set;

use crate::error::{Error, ErrorKind};
use crate::producer::delivery::Callback;
use crate::producer::lane::{BatchId, Sealed};
use crate::producer::queue::BatchSettings;

/// A part: its bytes, and how many records it has.
type Part = (Vec<u8>, i32);

/// Makes at least two batches of one of several records, none of which is larger than `batch.size`
/// or half of what it was, unless it has one record only. They have the same sequences, and ids
/// from `first` on.
///
/// # Errors
/// The batch, unchanged, with why that cannot be done.
pub(super) fn halves(
    mut batch: Sealed,
    first: BatchId,
    settings: BatchSettings,
) -> Result<Vec<Sealed>, (Sealed, Error)> {
    let bytes_max = settings.bytes_max.min(batch.bytes.len() / 2);
    let parts = match repacked(&batch.bytes, bytes_max, settings.compression) {
        Ok(parts) => parts,
        Err(detail) => return Err((batch, Error::new(ErrorKind::Usage, detail))),
    };
    let mut callbacks = std::mem::take(&mut batch.callbacks).into_iter().peekable();
    let (mut split, mut sealed, mut from) = (Vec::new(), Vec::new(), 0);
    for (id, (bytes, records)) in (first..).zip(parts) {
        let delivery = batch.delivery.part();
        split.push((from, Arc::clone(&delivery)));
        let end = from + records.unsigned_abs();
        let mut own: Vec<(u32, i64, Callback)> = Vec::new();
        while let Some((index, timestamp, callback)) = callbacks.next_if(|of| of.0 < end) {
            own.push((index - from, timestamp, callback));
        }
        let of = (batch.created, Arc::clone(&batch.room));
        sealed.push(Sealed::new((id, bytes), records, delivery, own, of));
        from = end;
    }
    batch.delivery.split(split);
    Ok(sealed)
}

fn repacked(bytes: &[u8], bytes_max: usize, compression: Compression) -> Result<Vec<Part>, String> {
    let batch = set::Batch::new(bytes).ok_or("the batch is none")?;
    let header = batch.header();
    let codec = batch.codec().ok_or("the batch's codec is unknown")?;
    // What this producer packed it can unpack.
    let limits = DecompressLimits::of_bytes(u64::from(u32::MAX));
    let payload = decompress(codec, batch.payload(), limits).map_err(|error| error.to_string())?;
    let records = batch.records_in(&payload).map_err(|error| error.to_string())?;
    let (mut parts, mut open) = (Vec::new(), None::<BatchBuilder>);
    let mut sequence = header.base_sequence();
    let mut close = |builder: BatchBuilder| -> Result<(), BuildError> {
        let count = builder.records_count();
        parts.push((builder.build()?, count));
        Ok(())
    };
    let half = (header.records_count() + 1) / 2;
    for record in records {
        let record = record.map_err(|error| error.to_string())?;
        let failed = |error: BuildError| error.to_string();
        let is_full = |builder: &BatchBuilder| {
            // A compressor holds back what it has: by half of the records it ends in any case.
            builder.size_bytes() + record_bytes(&record) > bytes_max
                || builder.records_count() >= half
        };
        if open.as_ref().is_some_and(is_full) {
            close(open.take().expect("it is there")).map_err(failed)?;
        }
        let builder = match &mut open {
            Some(builder) => builder,
            None => open.insert(builder_at(header, sequence, compression).map_err(failed)?),
        };
        builder.append_copy(&record).map_err(failed)?;
        if header.producer_id() >= 0 {
            sequence = sequence_after(sequence, 1);
        }
    }
    if let Some(builder) = open {
        close(builder).map_err(|error| error.to_string())?;
    }
    Ok(parts)
}

fn record_bytes(record: &ottla_protocol::record::record::Record<'_>) -> usize {
    let of = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    20 + of(record.key) + of(record.value)
}

fn builder_at(
    header: BatchHeader<'_>,
    base_sequence: i32,
    compression: Compression,
) -> Result<BatchBuilder, BuildError> {
    BatchBuilder::new(BatchOptions {
        compression,
        producer_id: header.producer_id(),
        producer_epoch: header.producer_epoch(),
        base_sequence,
        ..BatchOptions::default()
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use ottla_protocol::record::builder::NewRecord;
    use ottla_protocol::record::compression::Codec;

    use super::*;
    use crate::producer::delivery::BatchDelivery;
    use crate::producer::memory::Memory;

    fn batch(codec: Codec, values: &[Vec<u8>]) -> Sealed {
        let compression = Compression::new(codec);
        let options = BatchOptions {
            compression,
            producer_id: 7,
            producer_epoch: 1,
            base_sequence: i32::MAX,
            ..Default::default()
        };
        let mut builder = BatchBuilder::new(options).unwrap();
        for (timestamp, value) in (100..).zip(values) {
            builder
                .append(&NewRecord { timestamp, value: Some(value), ..Default::default() })
                .unwrap();
        }
        let delivery = BatchDelivery::new("t".into(), 0);
        let room = Memory::new(1).take(1, std::time::Duration::ZERO, || {}).unwrap();
        let count = values.len() as i32;
        let bytes = builder.build().unwrap();
        Sealed::new((1, bytes), count, delivery, Vec::new(), (Instant::now(), Arc::new(room)))
    }

    #[test]
    fn the_parts_have_all_records_in_order() {
        for codec in Codec::ALL {
            for count in 2..12 {
                let values: Vec<Vec<u8>> = (0..count).map(|n| vec![n; 50 * n as usize]).collect();
                let settings = BatchSettings {
                    bytes_max: 400,
                    linger: std::time::Duration::ZERO,
                    compression: Compression::new(codec),
                };
                let parts = halves(batch(codec, &values), 10, settings);
                let parts = parts.unwrap_or_else(|(_, error)| panic!("{error}"));
                assert!(parts.len() >= 2, "{codec:?} {count}");
                let (mut read, mut sequence) = (Vec::new(), i32::MAX);
                for (id, part) in (10..).zip(&parts) {
                    assert_eq!(part.id, id);
                    let batch = set::Batch::new(&part.bytes).unwrap();
                    batch.check_crc().unwrap();
                    assert_eq!(batch.header().base_sequence(), sequence);
                    assert_eq!(batch.header().producer_epoch(), 1);
                    assert_eq!(batch.header().records_count(), part.records);
                    assert!(part.records < i32::from(count));
                    sequence = sequence_after(sequence, part.records);
                    let limits = DecompressLimits::of_bytes(1 << 20);
                    let payload = decompress(codec, batch.payload(), limits).unwrap();
                    for record in batch.records_in(&payload).unwrap() {
                        let record = record.unwrap();
                        read.push((record.timestamp, record.value.unwrap().to_vec()));
                    }
                }
                let expected: Vec<_> = (100..).zip(values).collect();
                assert_eq!(read, expected);
            }
        }
    }
}

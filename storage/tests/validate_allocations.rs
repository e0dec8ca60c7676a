//! A plain batch is validated without an allocation, whatever becomes of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use ottla_protocol::record::batch::TimestampType;
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_protocol::record::compression::{Codec, Compression};
use ottla_storage::validate::{ValidateRules, validate};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const NOW_MS: i64 = 1_700_000_000_000;

fn batch(codec: Codec) -> Vec<u8> {
    let options = BatchOptions { compression: Compression::new(codec), ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options).unwrap();
    for index in 0..500 {
        let value = format!("record number {index} ").repeat(10);
        let record = NewRecord {
            timestamp: NOW_MS + index,
            value: Some(value.as_bytes()),
            ..NewRecord::default()
        };
        builder.append(&record).unwrap();
    }
    builder.build().unwrap()
}

fn peak_of(work: impl FnOnce()) -> usize {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    work();
    HEAP.peak_usage().saturating_sub(before)
}

/// The one test here, since the peak is the whole process's.
#[test]
fn plain_batches_take_no_memory_and_compressed_ones_little() {
    let create_time = ValidateRules { now_ms: NOW_MS, ..ValidateRules::default() };
    let log_append_time =
        ValidateRules { timestamp_type: TimestampType::LogAppendTime, ..create_time };
    for rules in [create_time, log_append_time] {
        let plain = batch(Codec::None);
        let peak = peak_of(|| {
            let validated = validate(&plain, &rules).unwrap();
            assert_eq!(validated.header_bytes(5, 1).len(), 61);
        });
        assert_eq!(peak, 0);
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let bytes = batch(codec);
            let peak = peak_of(|| drop(validate(&bytes, &rules).unwrap()));
            assert!(peak < 128 * 1024, "{codec:?}: {peak} bytes");
        }
    }
}

//! What the leader's validator costs for a batch of 64 KiB: `cargo bench -p ottla-storage`.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher, black_box};
use ottla_protocol::record::batch::TimestampType;
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_protocol::record::compression::{Codec, Compression};
use ottla_storage::validate::{TargetCompression, ValidateRules, validate};

/// Shows that a plain batch is validated without an allocation.
#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const NOW_MS: i64 = 1_700_000_000_000;

fn main() {
    divan::main();
}

fn batch(codec: Codec, value_bytes: usize) -> Vec<u8> {
    let compression = Compression::new(codec);
    let options = BatchOptions { compression, ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options).unwrap();
    let value: Vec<u8> = (0..value_bytes).map(|at| b"some log line, "[at * 7 % 15]).collect();
    for _ in 0..64 * 1024 / (value_bytes + 12) {
        let record =
            NewRecord { timestamp: NOW_MS, key: Some(b"a key"), value: Some(&value), headers: &[] };
        builder.append(&record).unwrap();
    }
    builder.build().unwrap()
}

fn rules() -> ValidateRules {
    ValidateRules { now_ms: NOW_MS, ..ValidateRules::default() }
}

fn bench(bencher: Bencher<'_, '_>, bytes: &[u8], rules: ValidateRules) {
    let plain = 64 * 1024_usize;
    bencher
        .counter(BytesCount::new(plain))
        .bench(|| validate(black_box(bytes), &rules).unwrap().max_timestamp());
}

#[divan::bench(args = [100, 1000, 60_000])]
fn plain(bencher: Bencher<'_, '_>, value_bytes: usize) {
    bench(bencher, &batch(Codec::None, value_bytes), rules());
}

#[divan::bench]
fn plain_with_log_append_time(bencher: Bencher<'_, '_>) {
    let rules = ValidateRules { timestamp_type: TimestampType::LogAppendTime, ..rules() };
    bench(bencher, &batch(Codec::None, 1000), rules);
}

#[divan::bench(args = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd])]
fn compressed(bencher: Bencher<'_, '_>, codec: Codec) {
    bench(bencher, &batch(codec, 1000), rules());
}

#[divan::bench(args = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd])]
fn plain_rebuilt_as(bencher: Bencher<'_, '_>, codec: Codec) {
    let compression = TargetCompression::Topic(Compression::new(codec));
    bench(bencher, &batch(Codec::None, 1000), ValidateRules { compression, ..rules() });
}

//! What a batch costs to look at: `cargo bench -p ottla-protocol --bench records`. Batches of
//! 64 KiB, of records of 100 bytes and of 1 KiB.
//!
//! Allocations are counted: looking at a batch, and walking through one that is not compressed,
//! makes none.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use divan::counter::{BytesCount, ItemsCount};
use divan::{AllocProfiler, Bencher, black_box};
use integer_encoding::VarInt;
use ottla_protocol::record::batch::BatchHeader;
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_protocol::record::compression::{Codec, Compression, DecompressLimits, Decompressor};
use ottla_protocol::record::set::{Batch, Batches};
use ottla_protocol::record::stream::RecordStream;
use ottla_protocol::varint;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const BATCH_BYTES: usize = 64 * 1024;

fn main() {
    divan::main();
}

fn value_of(index: usize, value_bytes: usize) -> Vec<u8> {
    let words = ["kafka ", "ottla ", "batch ", "record ", "offset ", "segment ", "leader "];
    let word = |at: usize| words[(index * 31 + at * 17 + at / 7) % words.len()];
    (0..value_bytes).map(word).flat_map(str::bytes).take(value_bytes).collect()
}

fn values(value_bytes: usize) -> Vec<Vec<u8>> {
    (0..BATCH_BYTES / (value_bytes + 12)).map(|index| value_of(index, value_bytes)).collect()
}

fn batch(codec: Codec, value_bytes: usize) -> Vec<u8> {
    batch_of(codec, &values(value_bytes))
}

fn batch_of(codec: Codec, values: &[Vec<u8>]) -> Vec<u8> {
    let compression = Compression::new(codec);
    let options = BatchOptions { compression, ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options).unwrap();
    let key = b"a key";
    for (timestamp, value) in (1_700_000_000_000..).zip(values) {
        let record = NewRecord { timestamp, key: Some(key), value: Some(value), headers: &[] };
        builder.append(&record).unwrap();
    }
    builder.build().unwrap()
}

#[divan::bench]
fn header_view(bencher: Bencher<'_, '_>) {
    let bytes = batch(Codec::None, 100);
    bencher.bench(|| {
        let header = BatchHeader::new(black_box(&bytes)).unwrap();
        (header.last_offset(), header.max_timestamp(), header.producer_id(), header.attributes())
    });
}

/// A set of 64 batches of one record each.
#[divan::bench]
fn set_of_64(bencher: Bencher<'_, '_>) {
    let mut builder = BatchBuilder::new(BatchOptions::default()).unwrap();
    builder.append(&NewRecord { value: Some(&[7; 1000]), ..NewRecord::default() }).unwrap();
    let set = builder.build().unwrap().repeat(64);
    bencher.counter(ItemsCount::new(64_u32)).bench(|| {
        let headers = Batches::new(black_box(&set)).map(|batch| batch.unwrap().header());
        headers.map(|header| header.last_offset()).max()
    });
}

#[divan::bench]
fn crc(bencher: Bencher<'_, '_>) {
    let bytes = batch(Codec::None, 1000);
    bencher
        .counter(BytesCount::of_slice(&bytes))
        .bench(|| Batch::new(black_box(&bytes)).unwrap().check_crc().unwrap());
}

#[divan::bench(args = [100, 1000])]
fn iterate(bencher: Bencher<'_, '_>, value_bytes: usize) {
    let bytes = batch(Codec::None, value_bytes);
    let count = Batch::new(&bytes).unwrap().header().records_count() as u64;
    bencher.counter(ItemsCount::new(count)).bench(|| {
        let records = Batch::new(black_box(&bytes)).unwrap().records().unwrap();
        records.map(|record| record.unwrap().timestamp).max()
    });
}

#[divan::bench(args = Codec::ALL)]
fn walk_compressed(bencher: Bencher<'_, '_>, codec: Codec) {
    let bytes = batch(codec, 1000);
    let plain = batch(Codec::None, 1000).len();
    bencher.counter(BytesCount::new(plain)).bench(|| {
        let batch = Batch::new(black_box(&bytes)).unwrap();
        let limits = DecompressLimits::of_bytes(1 << 20);
        let reader = Decompressor::new(codec, batch.payload(), limits).unwrap();
        let header = batch.header();
        let mut stream = RecordStream::new(reader, header.into(), header.records_count()).unwrap();
        let mut max = -1;
        while let Some(facts) = stream.next_facts().unwrap() {
            max = facts.timestamp.max(max);
        }
        max
    });
}

#[divan::bench(args = Codec::ALL)]
fn build(bencher: Bencher<'_, '_>, codec: Codec) {
    let plain = batch(Codec::None, 1000).len();
    let values = values(1000);
    bencher.counter(BytesCount::new(plain)).bench(|| batch_of(codec, black_box(&values)));
}

fn varints() -> Vec<u8> {
    let mut bytes = Vec::new();
    // As a small record has them: three of one byte, and one of two.
    for value in [12, 3, 5, 100].iter().cycle().take(4000) {
        varint::encode_i64(*value, &mut bytes);
    }
    bytes
}

#[divan::bench]
fn varints_by_hand(bencher: Bencher<'_, '_>) {
    let bytes = varints();
    bencher.counter(ItemsCount::new(4000_u32)).bench(|| {
        let (mut at, mut sum) = (0, 0);
        while at < bytes.len() {
            let (value, used) = varint::decode_i64(black_box(&bytes[at..])).unwrap();
            (at, sum) = (at + used, sum + value);
        }
        sum
    });
}

#[divan::bench]
fn varints_by_integer_encoding(bencher: Bencher<'_, '_>) {
    let bytes = varints();
    bencher.counter(ItemsCount::new(4000_u32)).bench(|| {
        let (mut at, mut sum) = (0, 0);
        while at < bytes.len() {
            let (value, used) = i64::decode_var(black_box(&bytes[at..])).unwrap();
            (at, sum) = (at + used, sum + value);
        }
        sum
    });
}

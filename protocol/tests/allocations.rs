//! Whatever bytes come in, memory is taken by what they hold and not by what they claim.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use ottla_protocol::record::compression::{Codec, DecompressLimits, Decompressor, decompress};
use ottla_protocol::record::legacy::LegacyEntry;
use ottla_protocol::record::record::{RecordBase, Records};
use ottla_protocol::record::set::{Entries, Entry};
use ottla_protocol::record::stream::RecordStream;
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// What a decoder may hold besides its input: its tables, a buffer, an LZ4 block of the usual size.
/// zstd's context is in C, and not counted.
const CONSTANT_BYTES: usize = 256 * 1024;

/// xorshift, so that every run sees the same bytes.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Bytes, half of them from a few values that make lengths and ends.
    fn bytes(&mut self, length: usize) -> Vec<u8> {
        const LIKELY: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0xff, 0xfe, 0x40];
        let mut byte = || {
            let random = self.next();
            let likely = LIKELY[(random >> 8) as usize % LIKELY.len()];
            if random & 1 == 0 { likely } else { (random >> 16) as u8 }
        };
        (0..length).map(|_| byte()).collect()
    }
}

fn peak_of(work: impl FnOnce()) -> usize {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    work();
    HEAP.peak_usage().saturating_sub(before)
}

/// Everything that this crate does with bytes from elsewhere, as records.
fn read_in_every_way(bytes: &[u8]) {
    let limits = DecompressLimits::of_bytes(bytes.len() as u64 * 4);
    let base = RecordBase { offset: 0, timestamp: 0, log_append_time: None };
    for record in Records::new(bytes, base, i32::MAX).unwrap().flatten() {
        record.headers.for_each(drop);
    }
    for codec in Codec::ALL {
        drop(decompress(codec, bytes, limits));
        let reader = Decompressor::new(codec, bytes, limits).unwrap();
        let mut stream = RecordStream::new(reader, base, i32::MAX).unwrap();
        while let Ok(Some(_)) = stream.next_facts() {}
        let reader = Decompressor::new(codec, bytes, limits).unwrap();
        let mut stream = RecordStream::new(reader, base, i32::MAX).unwrap();
        while let Ok(Some(_)) = stream.next_record(usize::MAX) {}
    }
    for entry in Entries::new(bytes) {
        match entry {
            Ok(Entry::Batch(batch)) => {
                if let Ok(records) = batch.records() {
                    records.for_each(drop);
                }
            }
            Ok(Entry::Legacy { bytes, .. }) => {
                if let Ok(records) = LegacyEntry::new(bytes).and_then(|entry| entry.records(limits))
                {
                    records.iter().for_each(drop);
                }
            }
            Err(_) => {}
        }
    }
}

/// The one test here, since the peak is the whole process's.
#[test]
fn memory_follows_the_input_and_not_its_claims() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let heads: [&[u8]; 8] = [
        b"",
        b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01",
        b"\x04\x22\x4d\x18\x60\x70\x73",
        b"\x04\x22\x4d\x18\x60\x40\x82",
        b"\x1f\x8b\x08\0\0\0\0\0\0\xff",
        b"\x28\xb5\x2f\xfd",
        // A batch and a message whose lengths fit the bytes that follow.
        b"\0\0\0\0\0\0\0\0\0\0\0\x90\0\0\0\0\x02",
        b"\0\0\0\0\0\0\0\0\0\0\0\x90\0\0\0\0\x01",
    ];
    for round in 0..2000 {
        let head = heads[round % heads.len()];
        let length = [10, 200, 1000, 20_000][round / 500];
        let mut bytes = [head, &random.bytes(length)].concat();
        if head.starts_with(b"\x04\x22\x4d\x18") {
            // One block of all that follows.
            let block = (bytes.len() - head.len() - 4) as u32;
            bytes[head.len()..head.len() + 4].copy_from_slice(&block.to_le_bytes());
        }
        let peak = peak_of(|| read_in_every_way(&bytes));
        assert!(peak <= 8 * bytes.len() + CONSTANT_BYTES, "round {round}: {peak} bytes");
    }
}

//! Record batches of magic 2, plain or compressed as Java's producer does it.

use std::io::{self, Write};

use clap::ValueEnum;

use super::Frame;

/// What Java's stream of snappy begins with: a name, its version and the least that can read it.
const XERIAL: &[u8; 16] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
/// Java compresses so much at a time by snappy.
const XERIAL_BLOCK_BYTES: usize = 32 << 10;
/// Java's default.
const ZSTD_LEVEL: i32 = 3;
/// Chance and repeated bytes take turns, so many of each.
const RUN_BYTES: usize = 32;
const REPEATED: &[u8; RUN_BYTES] = b"the same words again and again, ";
/// From so many records it is told how well they compress.
const SAMPLE_RECORDS: i32 = 64;

/// How a batch's records are compressed; the discriminants are those of its attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Codec {
    None = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    Zstd = 4,
}

impl Codec {
    fn compress(self, records: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(records.to_vec()),
            Self::Gzip => {
                let level = flate2::Compression::default();
                let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
                gzip.write_all(records)?;
                gzip.finish()
            }
            Self::Snappy => {
                let mut stream = Frame(XERIAL.to_vec());
                let mut encoder = snap::raw::Encoder::new();
                for block in records.chunks(XERIAL_BLOCK_BYTES) {
                    stream.bytes(&encoder.compress_vec(block).map_err(io::Error::other)?);
                }
                Ok(stream.0)
            }
            Self::Lz4 => {
                use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
                let info = FrameInfo::new()
                    .block_size(BlockSize::Max64KB)
                    .block_mode(BlockMode::Independent);
                let mut frame = FrameEncoder::with_frame_info(info, Vec::new());
                frame.write_all(records)?;
                frame.finish().map_err(io::Error::other)
            }
            Self::Zstd => zstd::stream::encode_all(records, ZSTD_LEVEL),
        }
    }
}

/// A batch and how many records are in it.
pub(crate) struct Packed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) records: i32,
}

/// A batch of about `wire_bytes`, compressed, of records of `record_bytes` each that compress to
/// about a half. It has one record at least.
///
/// # Errors
/// None for sizes that fit into memory.
pub(crate) fn packed(codec: Codec, record_bytes: usize, wire_bytes: usize) -> io::Result<Packed> {
    let build = |count| {
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
        let records = records(count, |_| None, |value| chance.half_fill(value, record_bytes));
        Ok::<_, io::Error>(seal(codec, count, &codec.compress(&records)?))
    };
    let sample = build(SAMPLE_RECORDS)?.len();
    let records = (SAMPLE_RECORDS as usize * wire_bytes / sample).max(1) as i32;
    Ok(Packed { bytes: build(records)?, records })
}

/// A batch of `count` records of `record_bytes` each, values only, uncompressed.
pub(crate) fn batch(count: i32, record_bytes: usize) -> Vec<u8> {
    batch_of(count, record_bytes, |_| None)
}

/// [`batch`] with keys.
pub(crate) fn batch_of(
    count: i32,
    record_bytes: usize,
    key: impl FnMut(i32) -> Option<String>,
) -> Vec<u8> {
    let value = |value: &mut Vec<u8>| {
        value.extend((0..record_bytes).map(|place| (place % 251) as u8));
    };
    seal(Codec::None, count, &records(count, key, value))
}

/// Records one behind the other; `value` appends a value to what it is given.
fn records(
    count: i32,
    mut key: impl FnMut(i32) -> Option<String>,
    mut value: impl FnMut(&mut Vec<u8>),
) -> Vec<u8> {
    let (mut records, mut body, mut filled) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..count {
        body.clear();
        body.push(0);
        zigzag(&mut body, 0);
        zigzag(&mut body, i64::from(index));
        match key(index) {
            Some(key) => {
                zigzag(&mut body, key.len() as i64);
                body.extend_from_slice(key.as_bytes());
            }
            None => zigzag(&mut body, -1),
        }
        filled.clear();
        value(&mut filled);
        zigzag(&mut body, filled.len() as i64);
        body.extend_from_slice(&filled);
        zigzag(&mut body, 0);
        zigzag(&mut records, body.len() as i64);
        records.extend_from_slice(&body);
    }
    records
}

/// Puts the header before `count` records, which are as `codec` leaves them.
fn seal(codec: Codec, count: i32, records: &[u8]) -> Vec<u8> {
    let now_ms = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_millis() as i64);
    let mut covered = Frame(Vec::new());
    covered.i16(codec as i16).i32(count - 1).i64(now_ms).i64(now_ms);
    covered.i64(-1).i16(-1).i32(-1).i32(count);
    covered.raw(records);
    let mut batch = Frame(Vec::new());
    batch.i64(0).i32((9 + covered.0.len()) as i32).i32(-1).i8(2);
    batch.raw(&crc32c::crc32c(&covered.0).to_be_bytes()).raw(&covered.0);
    batch.0
}

/// Bytes that do not compress, the same in every run: Marsaglia's xorshift64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Appends `bytes` bytes, half of them by chance.
    fn half_fill(&mut self, value: &mut Vec<u8>, bytes: usize) {
        let end = value.len() + bytes;
        while value.len() < end {
            for _ in 0..RUN_BYTES / 8 {
                value.extend_from_slice(&self.next().to_be_bytes());
            }
            value.extend_from_slice(REPEATED);
        }
        value.truncate(end);
    }
}

fn zigzag(to: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        to.push((rest as u8) | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn unpack(codec: Codec, mut bytes: &[u8]) -> Vec<u8> {
        let mut records = Vec::new();
        match codec {
            Codec::None => records.extend_from_slice(bytes),
            Codec::Gzip => {
                flate2::read::GzDecoder::new(bytes).read_to_end(&mut records).unwrap();
            }
            Codec::Snappy => {
                bytes = bytes.strip_prefix(XERIAL).unwrap();
                while let Some((length, rest)) = bytes.split_first_chunk() {
                    let (block, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
                    records.extend(snap::raw::Decoder::new().decompress_vec(block).unwrap());
                    bytes = rest;
                }
            }
            Codec::Lz4 => {
                lz4_flex::frame::FrameDecoder::new(bytes).read_to_end(&mut records).unwrap();
            }
            Codec::Zstd => records = zstd::stream::decode_all(bytes).unwrap(),
        }
        records
    }

    #[test]
    fn a_packed_batch_has_the_size_that_is_wanted_and_its_records_in_it() {
        for &codec in Codec::value_variants() {
            let batch = packed(codec, 1024, 64 << 10).unwrap();
            let size = batch.bytes.len();
            assert!((60 << 10..68 << 10).contains(&size), "{codec:?}: {size}");
            assert_eq!(batch.bytes[22], codec as u8);
            let records = unpack(codec, &batch.bytes[61..]);
            // Length, attributes, times, key, length of the value, headers.
            let each = records.len() / batch.records as usize;
            assert!((1032..=1034).contains(&each), "{codec:?}: {each}");
            let ratio = size as f64 / records.len() as f64;
            let wanted = if codec == Codec::None { 0.99..1.01 } else { 0.45..0.65 };
            assert!(wanted.contains(&ratio), "{codec:?}: {ratio}");
        }
    }

    #[test]
    fn a_plain_batch_has_its_sizes_in_its_header() {
        let batch = batch(3, 10);
        let word = |at: usize| i32::from_be_bytes(batch[at..at + 4].try_into().unwrap());
        assert_eq!(word(8) as usize, batch.len() - 12);
        assert_eq!(word(23), 2);
        assert_eq!(word(57), 3);
        assert_eq!(word(17).cast_unsigned(), crc32c::crc32c(&batch[21..]));
    }
}

//! Snappy, in the two framings that Kafka's clients write.
//!
//! The JVM's library puts a 16-byte head before blocks of 32 KiB, each after its compressed length
//! (int32); librdkafka and the Go clients send one raw block. Neither is Snappy's own framing
//! format. The head's versions are ignored: some producers write them in the wrong byte order.
//!
//! A raw block begins with its uncompressed length, and copies in it may reach back to its start,
//! so all of a block is decompressed at once. Where the announced length is more than the block
//! easily makes, `produced_bytes` therefore adds up first what its elements really make.

use std::io::{self, Write};

use snap::raw::{Decoder, Encoder, max_compress_len};

use super::DecompressError;
use super::scratch::room;

/// What the JVM library's streams begin with.
pub const XERIAL_MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
const XERIAL_HEAD_BYTES: usize = 16;
/// The magic, version 1, compatible with version 1.
const XERIAL_HEAD: [u8; XERIAL_HEAD_BYTES] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
/// The uncompressed bytes of a block that the JVM's library writes.
const XERIAL_BLOCK_BYTES: usize = 32 * 1024;
/// A block may announce so much without a look at whether it makes that, or else
/// `TRUSTED_RATIO` times its own length: what it takes is then bounded by what is there.
const TRUSTED_BYTES: usize = 64 * 1024;
const TRUSTED_RATIO: usize = 4;

/// One raw block, as librdkafka and others write it.
///
/// # Errors
/// When `bytes` are more than 2^32 - 1.
pub fn compress_raw(bytes: &[u8]) -> io::Result<Vec<u8>> {
    Ok(Encoder::new().compress_vec(bytes)?)
}

/// Writes the JVM library's framing onto the end of a buffer.
pub(super) struct XerialWriter {
    buffer: Vec<u8>,
    block: Vec<u8>,
    encoder: Encoder,
}

impl XerialWriter {
    pub(super) fn new(mut buffer: Vec<u8>) -> Self {
        buffer.extend_from_slice(&XERIAL_HEAD);
        Self { buffer, block: Vec::with_capacity(XERIAL_BLOCK_BYTES), encoder: Encoder::new() }
    }

    pub(super) fn get_ref(&self) -> &Vec<u8> {
        &self.buffer
    }

    pub(super) fn finish(mut self) -> io::Result<Vec<u8>> {
        if !self.block.is_empty() {
            self.write_block()?;
        }
        Ok(self.buffer)
    }

    fn write_block(&mut self) -> io::Result<()> {
        let start = self.buffer.len();
        let body = start + 4;
        self.buffer.resize(body + max_compress_len(self.block.len()), 0);
        let length = self.encoder.compress(&self.block, &mut self.buffer[body..])?;
        self.buffer.truncate(body + length);
        self.buffer[start..body].copy_from_slice(&(length as u32).to_be_bytes());
        self.block.clear();
        Ok(())
    }
}

impl Write for XerialWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(XERIAL_BLOCK_BYTES - self.block.len());
        self.block.extend_from_slice(&bytes[..count]);
        if self.block.len() == XERIAL_BLOCK_BYTES {
            self.write_block()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads either framing.
pub(super) struct SnappyReader<'a> {
    rest: &'a [u8],
    framed: bool,
    bytes_max: u64,
}

impl<'a> SnappyReader<'a> {
    /// `bytes_max` caps a single block, since it is not streamed.
    pub(super) fn new(blob: &'a [u8], bytes_max: u64) -> Self {
        let framed = blob.len() >= XERIAL_HEAD_BYTES && blob.starts_with(&XERIAL_MAGIC);
        let rest = if framed { &blob[XERIAL_HEAD_BYTES..] } else { blob };
        Self { rest, framed, bytes_max }
    }

    /// The next raw block; `None` at the end.
    fn take_block(&mut self) -> io::Result<Option<&'a [u8]>> {
        if !self.framed {
            let block = std::mem::take(&mut self.rest);
            // Nothing is not a block, but an empty one has its length.
            return Ok((!block.is_empty()).then_some(block));
        }
        loop {
            // As in the JVM's library: fewer than four bytes are the end, and a head may come
            // again where streams were put together.
            let Some((length, rest)) = self.rest.split_first_chunk::<4>() else { return Ok(None) };
            if *length == XERIAL_MAGIC[..4] && self.rest.len() >= XERIAL_HEAD_BYTES {
                self.rest = &self.rest[XERIAL_HEAD_BYTES..];
                continue;
            }
            let length = usize::try_from(i32::from_be_bytes(*length)).ok();
            let block = length.and_then(|length| rest.split_at_checked(length));
            let (block, rest) =
                block.ok_or_else(|| corrupt("a block reaches beyond the end of the data"))?;
            self.rest = rest;
            return Ok(Some(block));
        }
    }

    /// Decodes the next block that is not empty into `buffer` from `at` on, and answers its length;
    /// 0 at the end.
    pub(super) fn next_block(&mut self, buffer: &mut Vec<u8>, at: usize) -> io::Result<usize> {
        while let Some(block) = self.take_block()? {
            let length = self.decode(block, buffer, at)?;
            if length > 0 {
                return Ok(length);
            }
        }
        Ok(0)
    }

    fn decode(&self, block: &[u8], buffer: &mut Vec<u8>, at: usize) -> io::Result<usize> {
        let malformed = || corrupt("a block is malformed");
        let (announced, _) = crate::varint::decode_u32(block).map_err(|_| malformed())?;
        let announced = announced as usize;
        let trusted = TRUSTED_BYTES.max(block.len().saturating_mul(TRUSTED_RATIO));
        let allowed = announced as u64 <= self.bytes_max;
        if (announced > trusted || !allowed) && produced_bytes(block) != Some(announced) {
            return Err(malformed());
        }
        if !allowed {
            return Err(DecompressError::TooLarge { bytes_max: self.bytes_max }.into());
        }
        Ok(Decoder::new().decompress(block, room(buffer, at, announced))?)
    }
}

fn corrupt(detail: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, detail)
}

/// The bytes that a raw block's elements make; `None` when an element is cut short, or when they
/// make another number than the block announces. Where copies reach back to is the decoder's to
/// check.
fn produced_bytes(block: &[u8]) -> Option<usize> {
    let (announced, mut at) = crate::varint::decode_u32(block).ok()?;
    let mut produced = 0_u64;
    while let Some(&tag) = block.get(at) {
        at += 1;
        let high = usize::from(tag >> 2);
        let (made, follow) = match tag & 0b11 {
            0 if high < 60 => (high + 1, high + 1),
            0 => {
                // The length less one is in the next one to four bytes.
                let size = high - 59;
                let mut length = [0; 8];
                length[..size].copy_from_slice(block.get(at..at + size)?);
                let length = usize::try_from(u64::from_le_bytes(length)).ok()? + 1;
                (length, length.checked_add(size)?)
            }
            1 => ((high & 0b111) + 4, 1),
            2 => (high + 1, 2),
            _ => (high + 1, 4),
        };
        produced += made as u64;
        at = at.checked_add(follow).filter(|&at| at <= block.len())?;
    }
    (produced == u64::from(announced)).then_some(produced as usize)
}

//! The LZ4 frame format, as far as Kafka's JVM client reads it.
//!
//! | magic `04 22 4d 18` | FLG | BD | content size, 0 or 8 | HC | blocks | end mark, 4 zero bytes |
//! |---|---|---|---|---|---|---|
//!
//! FLG: bits 7 and 6 are the version, 01; 5 says that blocks are independent, which the JVM client
//! demands; 4 that each block has a checksum, 3 that the content size is there, 2 that a checksum
//! of the content follows the end mark; 1 is reserved, 0 would be a dictionary, which it refuses.
//! BD: bits 6 to 4 are the largest block, 4 for 64 KiB to 7 for 4 MiB; the others are reserved.
//! HC is the second byte of the xxHash32 of what stands between the magic and itself.
//!
//! This reader is as strict and as lenient, so that what the broker takes, every consumer reads:
//! the content's size and checksum are passed over, and what follows the end mark is ignored. It
//! is not `lz4_flex`'s frame decoder because that one reserves two blocks of 4 MiB for a header
//! of seven bytes, and takes a frame without its end mark.

use std::hash::Hasher;
use std::io;

use lz4_flex::block::decompress_into;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use twox_hash::XxHash32;

use super::scratch::room;

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
const FLG_VERSION: u8 = 0b1100_0000;
const FLG_VERSION_1: u8 = 0b0100_0000;
const FLG_INDEPENDENT: u8 = 1 << 5;
const FLG_BLOCK_CHECKSUM: u8 = 1 << 4;
const FLG_CONTENT_SIZE: u8 = 1 << 3;
const FLG_CONTENT_CHECKSUM: u8 = 1 << 2;
const FLG_RESERVED: u8 = 0b11;
const BD_RESERVED: u8 = 0b1000_1111;
/// The bit of a block's length that says that it is stored as it is.
const STORED: u32 = 1 << 31;
/// The block size that nearly all frames have, and that a buffer is taken for without a look.
const USUAL_BLOCK_BYTES: usize = 64 * 1024;

/// Whether a frame's header checksum counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderChecksum {
    /// It must be right.
    Checked,
    /// It may be wrong. The producers of magic 0 summed the frame's magic with the header.
    Ignored,
}

pub(super) type Lz4Writer = FrameEncoder<Vec<u8>>;

/// Writes what Kafka's broker does: FLG 0x60, BD 0x40. There is no level: the compressor is a
/// fast one only, so that Kafka's levels 1 to 17 are all the same here.
pub(super) fn writer(buffer: Vec<u8>) -> Lz4Writer {
    let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    FrameEncoder::with_frame_info(info, buffer)
}

/// What a frame's header says about its blocks.
#[derive(Clone, Copy)]
struct Frame {
    block_bytes_max: usize,
    block_checksum: bool,
    content_checksum: bool,
}

enum State {
    Start,
    Blocks(Frame),
    End,
}

/// Reads the first frame of a blob.
pub(super) struct Lz4Reader<'a> {
    rest: &'a [u8],
    header_checksum: HeaderChecksum,
    state: State,
}

impl<'a> Lz4Reader<'a> {
    pub(super) fn new(blob: &'a [u8], header_checksum: HeaderChecksum) -> Self {
        Self { rest: blob, header_checksum, state: State::Start }
    }

    fn take(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let cut = || corrupt("the frame is cut short");
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(cut)?;
        self.rest = rest;
        Ok(taken)
    }

    fn take_u32(&mut self) -> io::Result<u32> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn read_header(&mut self) -> io::Result<Frame> {
        if self.take(4)? != MAGIC {
            return Err(corrupt("the data does not begin with a frame"));
        }
        let descriptor = self.rest;
        let &[flg, bd] = self.take(2)? else { return Err(corrupt("the frame is cut short")) };
        if flg & FLG_VERSION != FLG_VERSION_1 {
            return Err(corrupt("the frame's version is not 1"));
        }
        if flg & FLG_RESERVED != 0 || bd & BD_RESERVED != 0 {
            return Err(corrupt("reserved bits are set, or a dictionary is wanted"));
        }
        if flg & FLG_INDEPENDENT == 0 {
            return Err(corrupt("the blocks depend on each other"));
        }
        let size_code = bd >> 4;
        if size_code < 4 {
            return Err(corrupt("the block size is unknown"));
        }
        if flg & FLG_CONTENT_SIZE != 0 {
            self.take(8)?;
        }
        let descriptor = &descriptor[..descriptor.len() - self.rest.len()];
        let checksum = self.take(1)?[0];
        if self.header_checksum == HeaderChecksum::Checked
            && checksum != (xxh32(descriptor) >> 8) as u8
        {
            return Err(corrupt("the header's checksum is wrong"));
        }
        Ok(Frame {
            block_bytes_max: 1 << (8 + 2 * size_code),
            block_checksum: flg & FLG_BLOCK_CHECKSUM != 0,
            content_checksum: flg & FLG_CONTENT_CHECKSUM != 0,
        })
    }

    /// Decodes the next block that is not empty into `buffer` from `at` on, and answers its length;
    /// 0 at the end.
    pub(super) fn next_block(&mut self, buffer: &mut Vec<u8>, at: usize) -> io::Result<usize> {
        loop {
            match self.state {
                State::Start => self.state = State::Blocks(self.read_header()?),
                State::Blocks(frame) => match self.read_block(frame, buffer, at)? {
                    None => self.state = State::End,
                    Some(0) => {}
                    Some(length) => return Ok(length),
                },
                State::End => return Ok(0),
            }
        }
    }

    /// Decodes the next block; `None` at the end mark.
    fn read_block(
        &mut self,
        frame: Frame,
        buffer: &mut Vec<u8>,
        at: usize,
    ) -> io::Result<Option<usize>> {
        let length = self.take_u32()?;
        if length == 0 {
            if frame.content_checksum {
                self.take(4)?;
            }
            return Ok(None);
        }
        let stored = length & STORED != 0;
        let length = (length & !STORED) as usize;
        if length > frame.block_bytes_max {
            return Err(corrupt("a block is larger than the frame allows"));
        }
        let bytes = self.take(length)?;
        if frame.block_checksum && self.take_u32()? != xxh32(bytes) {
            return Err(corrupt("a block's checksum is wrong"));
        }
        if stored {
            room(buffer, at, length).copy_from_slice(bytes);
            return Ok(Some(length));
        }
        let most = match frame.block_bytes_max {
            USUAL_BLOCK_BYTES => USUAL_BLOCK_BYTES,
            _ => produced_bytes(bytes).ok_or_else(|| corrupt("a block is malformed"))?,
        };
        let to = room(buffer, at, most.min(frame.block_bytes_max));
        decompress_into(bytes, to).map(Some).map_err(io::Error::other)
    }
}

/// The bytes that a block's sequences make; `None` when one is cut short. Where matches reach back
/// to is the decoder's to check.
///
/// A sequence is a token of two lengths, literals of the first, and a match of the second, copied
/// from an offset of two bytes. A length of 15 goes on in the bytes that follow, up to one under
/// 255. The last sequence has no match.
fn produced_bytes(block: &[u8]) -> Option<usize> {
    let mut produced = 0_usize;
    let mut at = 0;
    let length = |at: &mut usize, nibble: u8| {
        let mut length = usize::from(nibble);
        if nibble == 15 {
            loop {
                let &more = block.get(*at)?;
                *at += 1;
                length += usize::from(more);
                if more < 255 {
                    break;
                }
            }
        }
        Some(length)
    };
    while let Some(&token) = block.get(at) {
        at += 1;
        let literals = length(&mut at, token >> 4)?;
        at = at.checked_add(literals).filter(|&at| at <= block.len())?;
        produced += literals;
        if at == block.len() {
            break;
        }
        at += 2;
        produced += 4 + length(&mut at, token & 15)?;
    }
    Some(produced)
}

fn xxh32(bytes: &[u8]) -> u32 {
    let mut hasher = XxHash32::with_seed(0);
    hasher.write(bytes);
    hasher.finish() as u32
}

fn corrupt(detail: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, detail)
}

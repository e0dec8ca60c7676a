//! Variable-length integers: base-128 groups, least significant first, plain or zigzag.
//!
//! A decoder reads from the start of a slice and answers the value with the bytes it took. Like
//! Kafka's, it refuses a number of more than 5 (or 10) groups and drops the bits of the last group
//! that do not fit; it takes a number padded with empty groups.
//!
//! Written by hand because its answers are Kafka's: `integer-encoding` does not tell a number that
//! is cut short from one that is too long, and takes more groups than the JVM. It is as fast (a
//! batch of small records is four of these for each record, nearly all of one byte), and that crate
//! is the oracle of the tests.

use std::error::Error;
use std::fmt;

/// The most bytes that a 32-bit number takes.
pub const VARINT_BYTES_MAX: usize = 5;
/// The most bytes that a 64-bit number takes.
pub const VARLONG_BYTES_MAX: usize = 10;

/// Why bytes are not a variable-length integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VarintError {
    /// The bytes end before the number does.
    Incomplete,
    /// The last group that the type has room for says that another follows.
    TooLong,
}

impl fmt::Display for VarintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Incomplete => "the bytes end within a variable-length integer",
            Self::TooLong => "a variable-length integer is too long",
        })
    }
}

impl Error for VarintError {}

/// Reads an unsigned 32-bit number.
#[inline]
pub fn decode_u32(bytes: &[u8]) -> Result<(u32, usize), VarintError> {
    match *bytes {
        [first, ..] if first < 0x80 => Ok((u32::from(first), 1)),
        [first, second, ..] if second < 0x80 => Ok((two_groups(first, second), 2)),
        _ => decode_groups(bytes, VARINT_BYTES_MAX).map(|(value, used)| (value as u32, used)),
    }
}

/// Reads a zigzag 32-bit number.
#[inline]
pub fn decode_i32(bytes: &[u8]) -> Result<(i32, usize), VarintError> {
    decode_u32(bytes).map(|(value, used)| (unzigzag_32(value), used))
}

/// Reads an unsigned 64-bit number.
#[inline]
pub fn decode_u64(bytes: &[u8]) -> Result<(u64, usize), VarintError> {
    match *bytes {
        [first, ..] if first < 0x80 => Ok((u64::from(first), 1)),
        [first, second, ..] if second < 0x80 => Ok((two_groups(first, second).into(), 2)),
        _ => decode_groups(bytes, VARLONG_BYTES_MAX),
    }
}

/// Reads a zigzag 64-bit number.
#[inline]
pub fn decode_i64(bytes: &[u8]) -> Result<(i64, usize), VarintError> {
    decode_u64(bytes).map(|(value, used)| (unzigzag_64(value), used))
}

fn two_groups(first: u8, second: u8) -> u32 {
    u32::from(first & 0x7f) | u32::from(second) << 7
}

fn decode_groups(bytes: &[u8], bytes_max: usize) -> Result<(u64, usize), VarintError> {
    let mut value = 0_u64;
    for (index, &byte) in bytes.iter().take(bytes_max).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Ok((value, index + 1));
        }
    }
    Err(if bytes.len() < bytes_max { VarintError::Incomplete } else { VarintError::TooLong })
}

/// Appends an unsigned 32-bit number.
#[inline]
pub fn encode_u32(value: u32, to: &mut Vec<u8>) {
    encode_u64(u64::from(value), to);
}

/// Appends a zigzag 32-bit number.
#[inline]
pub fn encode_i32(value: i32, to: &mut Vec<u8>) {
    encode_u32(zigzag_32(value), to);
}

/// Appends an unsigned 64-bit number.
#[inline]
pub fn encode_u64(mut value: u64, to: &mut Vec<u8>) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// Appends a zigzag 64-bit number.
#[inline]
pub fn encode_i64(value: i64, to: &mut Vec<u8>) {
    encode_u64(zigzag_64(value), to);
}

/// The bytes that [`encode_u32`] appends.
#[inline]
pub fn size_u32(value: u32) -> usize {
    size_u64(u64::from(value))
}

/// The bytes that [`encode_i32`] appends.
#[inline]
pub fn size_i32(value: i32) -> usize {
    size_u32(zigzag_32(value))
}

/// The bytes that [`encode_u64`] appends.
#[inline]
pub fn size_u64(value: u64) -> usize {
    let bits = u64::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// The bytes that [`encode_i64`] appends.
#[inline]
pub fn size_i64(value: i64) -> usize {
    size_u64(zigzag_64(value))
}

fn zigzag_32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

/// Undoes zigzag: 0, 1, 2, 3 become 0, -1, 1, -2.
pub(crate) fn unzigzag_32(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

fn zigzag_64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Undoes zigzag: 0, 1, 2, 3 become 0, -1, 1, -2.
pub(crate) fn unzigzag_64(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests;

//! What a search for a good batch behind damage sums, and how much of it.

use std::ops::RangeInclusive;

use ottla_protocol::record::batch::{
    BATCH_HEADER_BYTES, BatchHeader, LOG_OVERHEAD_BYTES, MAGIC_AT, MAGIC_V2,
};

/// The smallest messages of magic 0 and 1: those with neither key nor value.
pub(crate) const LEGACY_BYTES_MIN: [u64; 2] = [26, 34];
/// A search sums so many times the bytes that are left, at most: records can be full of bytes that
/// look like long batches.
pub(crate) const SEARCH_SUMS_MAX: u64 = 8;

/// Whether these bytes, `left` of which are in the file, may be a good batch or a message of an old
/// format with one of these offsets. Most bytes are neither, and nothing is summed for them.
pub(crate) fn likely(bytes: &[u8], offsets: &RangeInclusive<i64>, left: u64) -> bool {
    let Some((offset, rest)) = bytes.split_first_chunk() else { return false };
    let Some(length) = rest.first_chunk() else { return false };
    let size = LOG_OVERHEAD_BYTES as i64 + i64::from(i32::from_be_bytes(*length));
    if size < LEGACY_BYTES_MIN[0] as i64
        || size > left.try_into().unwrap_or(i64::MAX)
        || !offsets.contains(&i64::from_be_bytes(*offset))
        || !bytes.get(MAGIC_AT).is_some_and(|magic| (0..=MAGIC_V2).contains(&(*magic as i8)))
    {
        return false;
    }
    let header = header_at(bytes);
    let view = BatchHeader::new(&header).expect("the array has a header's length");
    let key_at = match view.magic() {
        0 => LEGACY_BYTES_MIN[0] as usize - 8,
        1 => LEGACY_BYTES_MIN[1] as usize - 8,
        _ => {
            return size >= BATCH_HEADER_BYTES as i64
                && view.last_offset_delta() >= 0
                && view.attributes().0 & !0x7f == 0;
        }
    };
    // The codec, and of magic 1 which kind of timestamp; the key, and a length of the value.
    let key = i32::from_be_bytes(header[key_at..key_at + 4].try_into().expect("four bytes"));
    let least = key_at as i64 + 8;
    header[MAGIC_AT + 1] & !0x0f == 0 && key >= -1 && size >= least + i64::from(key.max(0))
}

/// As much of a header as is there, then zeros.
pub(crate) fn header_at(bytes: &[u8]) -> [u8; BATCH_HEADER_BYTES] {
    let mut header = [0; BATCH_HEADER_BYTES];
    let there = bytes.len().min(BATCH_HEADER_BYTES);
    header[..there].copy_from_slice(&bytes[..there]);
    header
}

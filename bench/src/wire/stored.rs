//! Record batches as a broker gives them back.

use std::io;

use super::{Codec, Fields};

/// A batch's header, up to the number of records.
const HEADER_BYTES: usize = 61;
/// Base offset and length, which the length does not count.
const UNCOUNTED_BYTES: usize = 12;
const CRC_AT: usize = 17;
/// From where on the CRC covers a batch.
const ATTRIBUTES_AT: usize = 21;
const CODEC_MASK: u8 = 7;

/// A whole batch.
#[derive(Clone, Copy)]
pub(crate) struct Stored<'a> {
    pub(crate) base_offset: i64,
    /// One less than there are records.
    pub(crate) last_offset_delta: i32,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Stored<'a> {
    /// Cuts the first batch from a set; none when what is left is not whole.
    pub(crate) fn cut(set: &mut &'a [u8]) -> io::Result<Option<Self>> {
        if set.len() < HEADER_BYTES {
            return Ok(None);
        }
        let mut header = Fields(set);
        let base_offset = header.i64()?;
        let length = UNCOUNTED_BYTES + header.i32()?.max(0) as usize;
        // Leader epoch, magic, CRC, attributes.
        header.raw(4 + 1 + 4 + 2)?;
        let last_offset_delta = header.i32()?;
        let Some((bytes, rest)) = set.split_at_checked(length) else { return Ok(None) };
        *set = rest;
        if last_offset_delta < 0 || length < HEADER_BYTES {
            return Err(io::Error::other(format!("no batch at offset {base_offset}")));
        }
        Ok(Some(Self { base_offset, last_offset_delta, bytes }))
    }

    /// The offset behind its last record.
    pub(crate) fn end(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta) + 1)
    }

    /// Checks its CRC and how its records are compressed.
    pub(crate) fn check(&self, codec: Codec) -> io::Result<()> {
        let (head, summed) = self.bytes.split_at(ATTRIBUTES_AT);
        if head[CRC_AT..] != crc32c::crc32c(summed).to_be_bytes() {
            return Err(io::Error::other("a stored batch has another CRC"));
        }
        match summed[1] & CODEC_MASK {
            bits if bits == codec as u8 => Ok(()),
            bits => Err(io::Error::other(format!("stored by codec {bits}, not as {codec:?}"))),
        }
    }
}

/// Checks that the first batch of a set holds `offset`, and that each other one begins where the
/// one before it ends.
pub(crate) fn check_set(mut set: &[u8], offset: i64) -> io::Result<()> {
    let none = || io::Error::other(format!("no whole batch at offset {offset}"));
    let first = Stored::cut(&mut set)?.ok_or_else(none)?;
    let mut end = first.end();
    if !(first.base_offset..end).contains(&offset) {
        let told = format!("asked for offset {offset}, got a batch at {}", first.base_offset);
        return Err(io::Error::other(told));
    }
    while let Some(next) = Stored::cut(&mut set)? {
        if next.base_offset != end {
            return Err(io::Error::other(format!("offset {} behind {end}", next.base_offset)));
        }
        end = next.end();
    }
    Ok(())
}

/// A batch as it is stored at an offset.
#[cfg(test)]
pub(super) fn batch_at(offset: i64, count: i32) -> Vec<u8> {
    let mut batch = super::batch(count, 10);
    batch[..8].copy_from_slice(&offset.to_be_bytes());
    batch
}

#[cfg(test)]
mod tests {
    use super::batch_at as at;
    use super::*;
    use crate::wire;

    #[test]
    fn a_set_holds_what_was_asked_for_and_has_no_gaps() {
        let set = [at(5, 3), at(8, 2), at(10, 1)[..70].to_vec()].concat();
        for offset in 5..8 {
            check_set(&set, offset).unwrap();
        }
        for offset in [4, 8, 9] {
            assert!(check_set(&set, offset).is_err(), "{offset}");
        }
        assert!(check_set(&[at(5, 3), at(9, 2)].concat(), 5).is_err());
        assert!(check_set(&at(5, 3)[..80], 5).is_err());
        assert!(check_set(&[], 0).is_err());
    }

    #[test]
    fn a_stored_batch_is_summed_and_compressed_as_it_should_be() {
        let packed = wire::packed(Codec::Lz4, 100, 2000).unwrap().bytes;
        let batch = Stored::cut(&mut &packed[..]).unwrap().unwrap();
        batch.check(Codec::Lz4).unwrap();
        assert!(batch.check(Codec::None).is_err());
        let mut torn = packed.clone();
        torn[100] ^= 1;
        assert!(Stored::cut(&mut &torn[..]).unwrap().unwrap().check(Codec::Lz4).is_err());
    }
}

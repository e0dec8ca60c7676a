//! A record's value that tells where it comes from.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | the run, big-endian as all numbers |
//! | 8..12 | the producer |
//! | 12..16 | CRC-32C of the rest: bytes 0..12 and 16.. |
//! | 16..24 | the producer's number of the record |
//! | 24.. | padding that follows from the number |

/// Bytes in front of the padding.
pub const VALUE_BYTES_MIN: usize = 24;

/// Which record this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId {
    /// Who sent it.
    pub producer: u32,
    /// The producer's number of it, over all its partitions.
    pub sequence: u64,
}

/// A value as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Payload {
    /// A whole value of this run.
    Value {
        /// Which.
        id: ValueId,
        /// The CRC in it, which stands for all its bytes.
        crc: u32,
    },
    /// Bytes that no producer of this run has made, with their CRC-32C.
    Foreign {
        /// Of all bytes.
        crc: u32,
    },
}

impl Payload {
    /// Reads a value; what is not one of this run is [`Payload::Foreign`].
    pub fn read(bytes: &[u8], run: u64) -> Payload {
        decode(bytes, run).unwrap_or(Payload::Foreign { crc: crc32c::crc32c(bytes) })
    }

    /// Which record it is, unless foreign.
    pub fn id(&self) -> Option<ValueId> {
        match self {
            Payload::Value { id, .. } => Some(*id),
            Payload::Foreign { .. } => None,
        }
    }
}

/// The bytes of a value, [`VALUE_BYTES_MIN`] and the padding.
pub fn encode(run: u64, id: ValueId, padding_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(VALUE_BYTES_MIN + padding_bytes);
    bytes.extend_from_slice(&run.to_be_bytes());
    bytes.extend_from_slice(&id.producer.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&id.sequence.to_be_bytes());
    // Records next to each other must not look alike when they are cut or swapped.
    let start = id.sequence.wrapping_mul(31).to_le_bytes()[0];
    bytes.extend((0..padding_bytes).map(|n| start.wrapping_add(n.to_le_bytes()[0])));
    let crc = crc_of(&bytes);
    bytes[12..16].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn crc_of(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
}

fn decode(bytes: &[u8], run: u64) -> Option<Payload> {
    if bytes.len() < VALUE_BYTES_MIN {
        return None;
    }
    let number = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
    let short = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    let crc = short(12)?;
    let id = ValueId { producer: short(8)?, sequence: number(16)? };
    (number(0)? == run && crc == crc_of(bytes)).then_some(Payload::Value { id, crc })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_back_and_no_other_one() {
        let id = ValueId { producer: 7, sequence: 300 };
        let bytes = encode(5, id, 40);
        assert_eq!(bytes.len(), 64);
        assert_eq!(Payload::read(&bytes, 5).id(), Some(id));
        assert_eq!(Payload::read(&bytes, 6).id(), None);
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_eq!(Payload::read(&other, 5).id(), None, "byte {at}");
            assert_eq!(Payload::read(&bytes[..at], 5).id(), None, "cut at {at}");
        }
    }
}

//! Producer snapshots and transaction indexes, entry by entry.

use std::fmt;
use std::io;

use super::Source;
use crate::txn_index::{AbortedTxn, ENTRY_BYTES};

const SNAPSHOT_VERSION: i16 = 1;
const CRC_COVERS_FROM: usize = 6;
const PRODUCER_BYTES: usize = 46;
/// What Kafka's tool says first of a file that is not laid out as a snapshot.
const INVALID: &str = "Snapshot failed schema validation: ";
/// A snapshot has 46 bytes for each producer; more than this is none.
const SNAPSHOT_BYTES_MAX: u64 = i32::MAX as u64;

/// A producer as a snapshot has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerInspected {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// The sequence of its last record; -1 for none.
    pub last_sequence: i32,
    /// The offset of its last record; negative for none.
    pub last_offset: i64,
    /// The last batch's last offset less its first.
    pub offset_delta: i32,
    /// The last batch's timestamp, ms.
    pub timestamp: i64,
    /// The epoch of the coordinator that ended its last transaction; -1 for none.
    pub coordinator_epoch: i32,
    /// Where its open transaction begins; negative for none.
    pub current_txn_first_offset: i64,
}

impl ProducerInspected {
    /// The sequence of the last batch's first record.
    pub fn first_sequence(&self) -> i32 {
        let (last, delta) = (self.last_sequence, self.offset_delta);
        if last < delta {
            i32::MAX.wrapping_sub(delta.wrapping_sub(last)).wrapping_add(1)
        } else {
            last.wrapping_sub(delta)
        }
    }
}

/// Why a file is no snapshot, in the words of Kafka's tool.
#[derive(Debug)]
pub enum SnapshotDamage {
    /// The operating system failed.
    Io(io::Error),
    /// A version that is not known.
    Version(i16),
    /// The sum does not match.
    Crc {
        /// As stored.
        stored: u32,
        /// Of the bytes.
        computed: u32,
    },
    /// The file ends too early, for which Kafka has no text.
    Truncated,
    /// A negative count.
    Null,
    /// More producers announced than there are bytes.
    Count {
        /// The number announced.
        count: i32,
        /// Bytes that are left.
        left: usize,
    },
}

impl fmt::Display for SnapshotDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Version(got) => {
                write!(f, "{INVALID}Snapshot contained an unknown file version {got}")
            }
            Self::Crc { stored, computed } => write!(
                f,
                "Snapshot is corrupt (CRC is no longer valid). Stored crc: {stored}. Computed \
                 crc: {computed}"
            ),
            Self::Truncated => write!(f, "{INVALID}null"),
            Self::Null => {
                write!(f, "{INVALID}non-nullable field producerEntries was serialized as null")
            }
            Self::Count { count, left } => write!(
                f,
                "{INVALID}Tried to allocate a collection of size {count}, but there are only \
                 {left} bytes remaining."
            ),
        }
    }
}

impl std::error::Error for SnapshotDamage {}

/// The producers of a snapshot, in the file's order.
///
/// # Errors
/// When it is none, or damaged.
pub fn producers<S: Source + ?Sized>(source: &S) -> Result<Vec<ProducerInspected>, SnapshotDamage> {
    let length = source.length().map_err(SnapshotDamage::Io)?;
    if length > SNAPSHOT_BYTES_MAX {
        return Err(SnapshotDamage::Io(io::ErrorKind::FileTooLarge.into()));
    }
    let mut bytes = vec![0; length as usize];
    source.fill_at(&mut bytes, 0).map_err(SnapshotDamage::Io)?;
    let mut rest = Fields(&bytes);
    let version = i16::from_be_bytes(rest.take()?);
    if version != SNAPSHOT_VERSION {
        return Err(SnapshotDamage::Version(version));
    }
    let stored = u32::from_be_bytes(rest.take()?);
    let count = i32::from_be_bytes(rest.take()?);
    let wanted = usize::try_from(count).map_err(|_| SnapshotDamage::Null)?;
    let left = rest.0.len();
    if wanted > left {
        return Err(SnapshotDamage::Count { count, left });
    }
    let mut producers = Vec::with_capacity(wanted.min(left / PRODUCER_BYTES));
    for _ in 0..wanted {
        producers.push(producer(&mut rest)?);
    }
    let computed = crc32c::crc32c(&bytes[CRC_COVERS_FROM..]);
    match stored == computed {
        true => Ok(producers),
        false => Err(SnapshotDamage::Crc { stored, computed }),
    }
}

fn producer(rest: &mut Fields<'_>) -> Result<ProducerInspected, SnapshotDamage> {
    Ok(ProducerInspected {
        producer_id: i64::from_be_bytes(rest.take()?),
        producer_epoch: i16::from_be_bytes(rest.take()?),
        last_sequence: i32::from_be_bytes(rest.take()?),
        last_offset: i64::from_be_bytes(rest.take()?),
        offset_delta: i32::from_be_bytes(rest.take()?),
        timestamp: i64::from_be_bytes(rest.take()?),
        coordinator_epoch: i32::from_be_bytes(rest.take()?),
        current_txn_first_offset: i64::from_be_bytes(rest.take()?),
    })
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], SnapshotDamage> {
        let (field, rest) = self.0.split_first_chunk().ok_or(SnapshotDamage::Truncated)?;
        self.0 = rest;
        Ok(*field)
    }
}

/// An entry of a transaction index, and the version in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnInspected {
    /// The entry's version, 0 or damaged.
    pub version: i8,
    /// The aborted transaction; the version when that is not known.
    pub txn: Result<AbortedTxn, i8>,
}

/// The entries of a transaction index. Bytes behind the last whole one are left out, as by Kafka.
///
/// # Errors
/// What the source says.
pub fn aborted_txns<S: Source + ?Sized>(
    source: &S,
) -> io::Result<impl Iterator<Item = io::Result<TxnInspected>>> {
    let count = source.length()? / ENTRY_BYTES as u64;
    Ok((0..count).map(move |n| {
        let mut bytes = [0; ENTRY_BYTES];
        source.fill_at(&mut bytes, n * ENTRY_BYTES as u64)?;
        Ok(TxnInspected { version: bytes[0] as i8, txn: AbortedTxn::decode(&bytes) })
    }))
}

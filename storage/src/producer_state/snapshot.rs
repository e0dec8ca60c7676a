//! The `.snapshot` file: producers as they were before an offset.
//!
//! | offset | type | field |
//! |---:|---|---|
//! | 0 | i16 | version, 1 |
//! | 2 | u32 | CRC-32C of bytes 6 to the end |
//! | 6 | i32 | count of producers |
//! | 10 | 46 bytes each | producers |
//!
//! A producer: id i64, epoch i16, last sequence i32, last offset i64, offset delta i32, timestamp
//! i64, coordinator epoch i32, first offset of the open transaction i64 (-1 for none). Integers are
//! big-endian. Only the last batch of each producer is kept; the older ones are looked up in the
//! log, see [`super::Recall`], where Kafka answers their duplicates with a sequence error.

use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use super::entry::{BatchMetadata, ProducerEntry};
use super::{ProducerState, sequence};
use crate::disk::{Disk, Open};
use crate::file_name::{FileKind, segment_file_name};
use crate::whole_file::{self, WholeFileError};

const VERSION: i16 = 1;
const CRC_COVERS_FROM: usize = 6;
const HEADER_BYTES: usize = 10;
const ENTRY_BYTES: usize = 46;

const _: () = assert!(8 + 2 + 4 + 8 + 4 + 8 + 4 + 8 == ENTRY_BYTES);

/// A file that is not a snapshot. It is never fatal: an older one is used, or the log is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    /// Fewer bytes than its header and count ask for.
    Short {
        /// How many there are.
        bytes: usize,
    },
    /// More bytes than its count asks for.
    Long {
        /// How many there are.
        bytes: usize,
    },
    /// A version that is not 1.
    Version {
        /// The number found.
        got: i16,
    },
    /// The sum does not match.
    Crc {
        /// As stored.
        expected: u32,
        /// Of the bytes.
        got: u32,
    },
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { bytes } => write!(f, "producer snapshot is cut to {bytes} bytes"),
            Self::Long { bytes } => {
                write!(f, "producer snapshot has {bytes} bytes, more than its count asks for")
            }
            Self::Version { got } => {
                write!(f, "producer snapshot has version {got}, expected {VERSION}")
            }
            Self::Crc { expected, got } => {
                write!(f, "producer snapshot has crc {got:#010x}, expected {expected:#010x}")
            }
        }
    }
}

impl std::error::Error for SnapshotError {}

/// The bytes of a snapshot of `state`, producers in the order of their ids.
pub fn encode(state: &ProducerState) -> Vec<u8> {
    let mut producers: Vec<_> = state.producers().collect();
    producers.sort_unstable_by_key(|(producer_id, _)| *producer_id);
    let count = i32::try_from(producers.len()).expect("producers fit into memory, 2^31 would not");
    let mut bytes = Vec::with_capacity(HEADER_BYTES + producers.len() * ENTRY_BYTES);
    bytes.extend(VERSION.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(count.to_be_bytes());
    for (producer_id, entry) in producers {
        encode_entry(producer_id, entry, &mut bytes);
    }
    let crc = crc32c::crc32c(&bytes[CRC_COVERS_FROM..]);
    bytes[2..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn encode_entry(producer_id: i64, entry: &ProducerEntry, bytes: &mut Vec<u8>) {
    const NONE: BatchMetadata = BatchMetadata {
        last_sequence: sequence::NO_SEQUENCE,
        offset_delta: 0,
        last_offset: -1,
        timestamp: -1,
    };
    let last = entry.last_batch().unwrap_or(&NONE);
    bytes.extend(producer_id.to_be_bytes());
    bytes.extend(entry.producer_epoch.to_be_bytes());
    bytes.extend(last.last_sequence.to_be_bytes());
    bytes.extend(last.last_offset.to_be_bytes());
    bytes.extend(last.offset_delta.to_be_bytes());
    bytes.extend(entry.last_timestamp.to_be_bytes());
    bytes.extend(entry.coordinator_epoch.to_be_bytes());
    bytes.extend(entry.current_txn_first_offset.unwrap_or(-1).to_be_bytes());
}

/// Reads a snapshot: producers with their ids.
///
/// # Errors
/// [`SnapshotError`] when it is not one, or damaged.
pub fn decode(bytes: &[u8]) -> Result<Vec<(i64, ProducerEntry)>, SnapshotError> {
    let short = SnapshotError::Short { bytes: bytes.len() };
    let (header, entries) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(short)?;
    let mut fields = Fields(header);
    let version = i16::from_be_bytes(fields.take());
    if version != VERSION {
        return Err(SnapshotError::Version { got: version });
    }
    let expected = u32::from_be_bytes(fields.take());
    let got = crc32c::crc32c(&bytes[CRC_COVERS_FROM..]);
    if got != expected {
        return Err(SnapshotError::Crc { expected, got });
    }
    let count = usize::try_from(i32::from_be_bytes(fields.take())).map_err(|_| short)?;
    // The count is compared with what is there before it sizes anything.
    let (entries, rest) = entries.as_chunks::<ENTRY_BYTES>();
    match entries.len().cmp(&count) {
        std::cmp::Ordering::Less => return Err(short),
        std::cmp::Ordering::Equal if rest.is_empty() => {}
        _ => return Err(SnapshotError::Long { bytes: bytes.len() }),
    }
    Ok(entries.iter().map(decode_entry).collect())
}

fn decode_entry(bytes: &[u8; ENTRY_BYTES]) -> (i64, ProducerEntry) {
    let mut fields = Fields(bytes);
    let producer_id = i64::from_be_bytes(fields.take());
    let mut entry = ProducerEntry::default();
    entry.producer_epoch = i16::from_be_bytes(fields.take());
    let last_sequence = i32::from_be_bytes(fields.take());
    let last_offset = i64::from_be_bytes(fields.take());
    let offset_delta = i32::from_be_bytes(fields.take());
    let timestamp = i64::from_be_bytes(fields.take());
    if 0 <= last_offset {
        entry.push_batch(BatchMetadata { last_sequence, offset_delta, last_offset, timestamp });
    }
    entry.last_timestamp = timestamp;
    entry.coordinator_epoch = i32::from_be_bytes(fields.take());
    let first_offset = i64::from_be_bytes(fields.take());
    entry.current_txn_first_offset = (0 <= first_offset).then_some(first_offset);
    (producer_id, entry)
}

/// Takes fields off the front of an array that is known to hold them.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().expect("the layout's sum is asserted");
        self.0 = rest;
        *field
    }
}

/// The path of the snapshot at `offset` in a partition's directory.
pub fn path(dir: &Path, offset: i64) -> PathBuf {
    dir.join(segment_file_name(offset, FileKind::ProducerSnapshot))
}

/// When a written snapshot must be on the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Before [`write()`] returns.
    Now,
    /// When the segment is flushed, by [`sync`]. Until then a power loss may leave it damaged,
    /// which its sum shows.
    WithSegment,
}

/// Writes the bytes of a snapshot at `offset` into the partition's directory.
///
/// # Errors
/// What the disk says.
pub fn write(
    disk: &dyn Disk,
    dir: &Path,
    offset: i64,
    bytes: &[u8],
    durability: Durability,
) -> io::Result<()> {
    let path = path(dir, offset);
    match durability {
        Durability::Now => whole_file::replace(disk, &path, bytes),
        Durability::WithSegment => {
            if matches!(whole_file::read(disk, &path), Ok(Some(present)) if present == bytes) {
                // As in nearly all logs of thousands after a crash.
                return Ok(());
            }
            disk.open(&path, Open::Truncate)?.write_all_at(&[IoSlice::new(bytes)], 0)
        }
    }
}

/// Makes a snapshot durable that was written [`Durability::WithSegment`]; one that is gone since is
/// no matter. The directory is left to the caller, who syncs it once for the whole segment.
///
/// # Errors
/// What the disk says.
pub fn sync(disk: &dyn Disk, dir: &Path, offset: i64) -> io::Result<()> {
    match disk.open(&path(dir, offset), Open::ReadWrite) {
        Ok(file) => file.sync_all().map_err(whole_file::sync_failed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Reads the snapshot at `offset`; `None` when there is none.
///
/// # Errors
/// What the disk says, or [`SnapshotError`]; the caller then removes the file and goes on without.
pub fn read(
    disk: &dyn Disk,
    dir: &Path,
    offset: i64,
) -> Result<Option<Vec<(i64, ProducerEntry)>>, WholeFileError<SnapshotError>> {
    whole_file::read_as(disk, &path(dir, offset), decode)
}

#[cfg(test)]
mod tests;

//! The transaction index of a segment, `.txnindex`: transactions that were aborted.
//!
//! | offset | type | field |
//! |---:|---|---|
//! | 0 | i16 | version, 0 |
//! | 2 | i64 | producer id |
//! | 10 | i64 | first offset of the transaction |
//! | 18 | i64 | last offset: that of the abort marker |
//! | 26 | i64 | last stable offset once it was aborted |
//!
//! Entries of 34 bytes, big-endian, one behind the other, in the order of their last offsets. An
//! entry stands in the segment that holds the marker. Most segments have none and no such file, so
//! nothing is kept in memory or open: each function takes the path, and a missing file is empty.
//! Callers keep order among writers; a reader beside an append sees whole entries only, since a
//! file's length grows after its bytes are there.

use std::fmt;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::Path;

use crate::disk::{Disk, DiskFile, Open};
use crate::producer_state::CompletedTxn;
use crate::whole_file::{WholeFileError, sync_failed};

/// Bytes of an entry.
pub const ENTRY_BYTES: usize = 34;
const VERSION: i16 = 0;
/// Entries that are read at once: about a page.
const CHUNK_ENTRIES: usize = 120;

const _: () = assert!(2 + 4 * 8 == ENTRY_BYTES);

/// An aborted transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTxn {
    /// Whose it was.
    pub producer_id: i64,
    /// The offset of its first record in the partition.
    pub first_offset: i64,
    /// The offset of its marker.
    pub last_offset: i64,
    /// The last stable offset once it was aborted.
    pub last_stable_offset: i64,
}

impl AbortedTxn {
    /// The entry for a transaction that has ended; `None` for a committed one.
    pub fn of(txn: &CompletedTxn) -> Option<Self> {
        txn.aborted.then_some(Self {
            producer_id: txn.producer_id,
            first_offset: txn.first_offset,
            last_offset: txn.last_offset,
            last_stable_offset: txn.last_stable_offset,
        })
    }

    /// Its bytes.
    pub fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..2].copy_from_slice(&VERSION.to_be_bytes());
        let fields =
            [self.producer_id, self.first_offset, self.last_offset, self.last_stable_offset];
        for (target, field) in bytes[2..].chunks_exact_mut(8).zip(fields) {
            target.copy_from_slice(&field.to_be_bytes());
        }
        bytes
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// The version, when it is not known. Only its first byte is looked at, as Kafka does.
    pub fn decode(bytes: &[u8; ENTRY_BYTES]) -> Result<Self, i8> {
        let version = bytes[0] as i8;
        if i16::from(version) > VERSION {
            return Err(version);
        }
        let field = |start: usize| {
            let mut field = [0; 8];
            field.copy_from_slice(&bytes[start..start + 8]);
            i64::from_be_bytes(field)
        };
        Ok(Self {
            producer_id: field(2),
            first_offset: field(10),
            last_offset: field(18),
            last_stable_offset: field(26),
        })
    }
}

/// What is wrong with a transaction index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxnIndexDamage {
    /// An entry of an unknown version.
    Version {
        /// Where it begins, bytes.
        position: u64,
        /// The version found.
        got: i8,
    },
    /// An entry that does not belong into the segment.
    BelowBase {
        /// Where it begins, bytes.
        position: u64,
        /// Its last offset.
        last_offset: i64,
        /// The segment's base offset.
        base_offset: i64,
    },
    /// An entry to be appended is not behind the last one.
    OutOfOrder {
        /// Where it would begin, bytes.
        position: u64,
        /// Its last offset.
        last_offset: i64,
        /// That of the entry before it.
        previous: i64,
    },
}

impl fmt::Display for TxnIndexDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { position, got } => {
                write!(f, "entry at byte {position} has version {got}, expected {VERSION}")
            }
            Self::BelowBase { position, last_offset, base_offset } => write!(
                f,
                "entry at byte {position} has last offset {last_offset}, below the segment's base \
                 {base_offset}"
            ),
            Self::OutOfOrder { position, last_offset, previous } => write!(
                f,
                "entry for byte {position} has last offset {last_offset}, not above {previous}"
            ),
        }
    }
}

impl std::error::Error for TxnIndexDamage {}

/// The outcome of a call on the index at a path.
pub type TxnIndexResult<T> = Result<T, WholeFileError<TxnIndexDamage>>;

/// What [`search`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Aborted transactions with records in the range, by their last offsets.
    pub aborted: Vec<AbortedTxn>,
    /// No later segment can have more of them.
    pub is_complete: bool,
}

/// Appends entries, with one write; makes the file when it is missing. A torn entry at the end is
/// overwritten.
///
/// # Errors
/// What the disk says. [`TxnIndexDamage::OutOfOrder`], with nothing written, when last offsets do
/// not increase.
pub fn append(disk: &dyn Disk, path: &Path, txns: &[AbortedTxn]) -> TxnIndexResult<()> {
    if txns.is_empty() {
        return Ok(());
    }
    let index = Index { path, file: disk.open(path, Open::Create).map_err(|e| io_at(path, e))? };
    let end = index.end()?;
    let mut previous = match end.checked_sub(ENTRY_BYTES as u64) {
        Some(position) => index.entry(position)?.last_offset,
        None => -1,
    };
    let mut bytes = Vec::with_capacity(txns.len() * ENTRY_BYTES);
    for txn in txns {
        if txn.last_offset <= previous {
            let position = end + bytes.len() as u64;
            let last_offset = txn.last_offset;
            return Err(index.damage(TxnIndexDamage::OutOfOrder {
                position,
                last_offset,
                previous,
            }));
        }
        previous = txn.last_offset;
        bytes.extend(txn.encode());
    }
    index.file.write_all_at(&[IoSlice::new(&bytes)], end).map_err(|e| io_at(path, e))
}

/// The aborted transactions of one segment that reach into `offsets`. When the search is not
/// complete, go on with the next segment.
///
/// # Errors
/// What the disk says, or an entry of an unknown version.
pub fn search(disk: &dyn Disk, path: &Path, offsets: Range<i64>) -> TxnIndexResult<Search> {
    let mut found = Search::default();
    visit(disk, path, |_, txn| {
        if offsets.start <= txn.last_offset && txn.first_offset < offsets.end {
            found.aborted.push(txn);
        }
        // All transactions that this one left open begin at its last stable offset or behind.
        found.is_complete = offsets.end <= txn.last_stable_offset;
        Ok(!found.is_complete)
    })?;
    Ok(found)
}

/// All entries.
///
/// # Errors
/// What the disk says, or an entry of an unknown version.
pub fn read(disk: &dyn Disk, path: &Path) -> TxnIndexResult<Vec<AbortedTxn>> {
    let mut all = Vec::new();
    visit(disk, path, |_, txn| {
        all.push(txn);
        Ok(true)
    })?;
    Ok(all)
}

/// Checks that all entries can belong to the segment at `base_offset`; done for every segment when
/// a log is loaded, and one that fails is recovered.
///
/// # Errors
/// What the disk says, or [`TxnIndexDamage`].
pub fn check(disk: &dyn Disk, path: &Path, base_offset: i64) -> TxnIndexResult<()> {
    visit(disk, path, |position, AbortedTxn { last_offset, .. }| {
        if last_offset < base_offset {
            return Err(TxnIndexDamage::BelowBase { position, last_offset, base_offset });
        }
        Ok(true)
    })
}

/// Cuts the file at the first entry whose last offset is not below `offset`.
///
/// # Errors
/// What the disk says, or an entry of an unknown version.
pub fn truncate(disk: &dyn Disk, path: &Path, offset: i64) -> TxnIndexResult<()> {
    let mut cut = None;
    visit(disk, path, |position, txn| {
        cut = (offset <= txn.last_offset).then_some(position);
        Ok(cut.is_none())
    })?;
    match cut {
        Some(position) => set_len(disk, path, position),
        None => Ok(()),
    }
}

/// Empties the file, if there is one, before it is built anew.
///
/// # Errors
/// What the disk says.
pub fn reset(disk: &dyn Disk, path: &Path) -> TxnIndexResult<()> {
    set_len(disk, path, 0)
}

/// Makes the entries durable, if there is a file. Its name is made durable with the directory.
///
/// # Errors
/// What the disk says.
pub fn sync(disk: &dyn Disk, path: &Path) -> TxnIndexResult<()> {
    match open_existing(disk, path, Open::ReadWrite)? {
        Some(index) => index.file.sync_all().map_err(|e| io_at(path, sync_failed(e))),
        None => Ok(()),
    }
}

fn set_len(disk: &dyn Disk, path: &Path, len: u64) -> TxnIndexResult<()> {
    match open_existing(disk, path, Open::ReadWrite)? {
        Some(index) => index.file.set_len(len).map_err(|e| io_at(path, e)),
        None => Ok(()),
    }
}

struct Index<'a> {
    path: &'a Path,
    file: std::sync::Arc<dyn DiskFile>,
}

impl Index<'_> {
    /// The end of the last whole entry.
    fn end(&self) -> TxnIndexResult<u64> {
        let len = self.file.len().map_err(|e| io_at(self.path, e))?;
        Ok(len - len % ENTRY_BYTES as u64)
    }

    fn entry(&self, position: u64) -> TxnIndexResult<AbortedTxn> {
        let mut bytes = [0; ENTRY_BYTES];
        self.file.read_exact_at(&mut bytes, position).map_err(|e| io_at(self.path, e))?;
        self.decode(&bytes, position)
    }

    fn decode(&self, bytes: &[u8; ENTRY_BYTES], position: u64) -> TxnIndexResult<AbortedTxn> {
        AbortedTxn::decode(bytes)
            .map_err(|got| self.damage(TxnIndexDamage::Version { position, got }))
    }

    fn damage(&self, error: TxnIndexDamage) -> WholeFileError<TxnIndexDamage> {
        WholeFileError::Content { path: self.path.to_owned(), error }
    }
}

fn io_at(path: &Path, error: io::Error) -> WholeFileError<TxnIndexDamage> {
    WholeFileError::Io { path: path.to_owned(), error }
}

fn open_existing<'a>(
    disk: &dyn Disk,
    path: &'a Path,
    how: Open,
) -> TxnIndexResult<Option<Index<'a>>> {
    match disk.open(path, how) {
        Ok(file) => Ok(Some(Index { path, file })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_at(path, error)),
    }
}

/// Shows all whole entries with their positions to `see`, until it says false.
fn visit(
    disk: &dyn Disk,
    path: &Path,
    mut see: impl FnMut(u64, AbortedTxn) -> Result<bool, TxnIndexDamage>,
) -> TxnIndexResult<()> {
    let Some(index) = open_existing(disk, path, Open::Read)? else { return Ok(()) };
    let end = index.end()?;
    let mut chunk = [0; CHUNK_ENTRIES * ENTRY_BYTES];
    let mut position = 0;
    while position < end {
        let wanted = chunk.len().min(usize::try_from(end - position).unwrap_or(usize::MAX));
        let bytes = &mut chunk[..wanted];
        index.file.read_exact_at(bytes, position).map_err(|e| io_at(path, e))?;
        for entry in bytes.as_chunks().0 {
            let txn = index.decode(entry, position)?;
            if !see(position, txn).map_err(|damage| index.damage(damage))? {
                return Ok(());
            }
            position += ENTRY_BYTES as u64;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

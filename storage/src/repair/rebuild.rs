//! Files that are made anew from the batches of a log.

use std::io;
use std::path::Path;

use crate::disk::{Disk, Open};
use crate::file_name::{FileKind, FileName, segment_file_name};
use crate::producer_state::ProducerState;
use crate::producer_state::snapshot as snapshot_file;
use crate::txn_index::AbortedTxn;
use crate::verify::{BatchReader, ProducerCheck, Step};
use crate::whole_file;

/// Makes both indexes of a segment anew, by the rule that appends follow: an entry for a batch when
/// more than the interval was passed since the last one, and the largest timestamp at the end.
pub(super) fn indexes(
    disk: &dyn Disk,
    dir: &Path,
    base_offset: i64,
    index_interval_bytes: u32,
) -> io::Result<()> {
    let file = disk.open(&dir.join(segment_file_name(base_offset, FileKind::Log)), Open::Read)?;
    let mut reader = BatchReader::new(&*file, file.len()?, None);
    let (mut offsets, mut times) = (Vec::new(), Times::new(base_offset));
    let mut since = 0;
    while let Step::Batch(batch) = reader.next()? {
        times.see(batch.max_timestamp_ms, batch.last_offset);
        if since > u64::from(index_interval_bytes) {
            offsets.extend(relative(batch.last_offset, base_offset)?.to_be_bytes());
            let position = i32::try_from(batch.position);
            let position = position.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
            offsets.extend(position.to_be_bytes());
            times.add()?;
            since = 0;
        }
        since += batch.size;
    }
    times.add()?;
    let path = dir.join(segment_file_name(base_offset, FileKind::TimeIndex));
    whole_file::replace(disk, &path, &times.bytes)?;
    let path = dir.join(segment_file_name(base_offset, FileKind::OffsetIndex));
    whole_file::replace(disk, &path, &offsets)
}

/// A time index in the making.
struct Times {
    base_offset: i64,
    bytes: Vec<u8>,
    /// The largest timestamp and its offset.
    max: (i64, i64),
    last_ms: i64,
}

impl Times {
    fn new(base_offset: i64) -> Self {
        Self { base_offset, bytes: Vec::new(), max: (-1, base_offset), last_ms: -1 }
    }

    fn see(&mut self, timestamp_ms: i64, offset: i64) {
        if timestamp_ms > self.max.0 {
            self.max = (timestamp_ms, offset);
        }
    }

    fn add(&mut self) -> io::Result<()> {
        let (timestamp_ms, offset) = self.max;
        if timestamp_ms > self.last_ms {
            self.bytes.extend(timestamp_ms.to_be_bytes());
            self.bytes.extend(relative(offset, self.base_offset)?.to_be_bytes());
            self.last_ms = timestamp_ms;
        }
        Ok(())
    }
}

fn relative(offset: i64, base_offset: i64) -> io::Result<i32> {
    i32::try_from(offset.wrapping_sub(base_offset))
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

/// Makes the transaction index of a segment anew; without aborted transactions it has none.
pub(super) fn txn_index(
    disk: &dyn Disk,
    dir: &Path,
    base_offset: i64,
    compacted: bool,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    replay(disk, dir, i64::MAX, compacted, &mut |base, txn| {
        if base == base_offset {
            bytes.extend(txn.encode());
        }
    })?;
    let path = dir.join(segment_file_name(base_offset, FileKind::TxnIndex));
    if bytes.is_empty() {
        unlink(disk, &path)?;
        return disk.sync_dir(dir);
    }
    whole_file::replace(disk, &path, &bytes)
}

/// Makes a producer snapshot anew.
pub(super) fn snapshot(
    disk: &dyn Disk,
    dir: &Path,
    offset: i64,
    compacted: bool,
) -> io::Result<()> {
    let state = replay(disk, dir, offset, compacted, &mut |_, _| {})?;
    let path = snapshot_file::path(dir, offset);
    whole_file::replace(disk, &path, &snapshot_file::encode(&state))
}

/// The state of producers as the log has it below `end_offset`. Aborted transactions are shown
/// with the base offset of their segment.
fn replay(
    disk: &dyn Disk,
    dir: &Path,
    end_offset: i64,
    compacted: bool,
    on_aborted: &mut dyn FnMut(i64, AbortedTxn),
) -> io::Result<ProducerState> {
    let (mut bases, mut snapshots) = (Vec::new(), Vec::new());
    for entry in disk.list(dir)? {
        match FileName::parse(&entry.name) {
            Ok(FileName::Segment { base_offset, kind: FileKind::Log }) => bases.push(base_offset),
            Ok(FileName::Segment { base_offset, kind: FileKind::ProducerSnapshot })
                if base_offset < end_offset =>
            {
                snapshots.push(base_offset);
            }
            _ => {}
        }
    }
    bases.sort_unstable();
    let first_base = bases.first().copied().unwrap_or(0);
    let mut check = ProducerCheck::new(disk, dir, &snapshots, first_base);
    check.trust_snapshots(compacted);
    for base_offset in bases {
        let path = dir.join(segment_file_name(base_offset, FileKind::Log));
        let file = disk.open(&path, Open::Read)?;
        let mut reader = BatchReader::new(&*file, file.len()?, None);
        while let Step::Batch(batch) = reader.next()? {
            if batch.base_offset >= end_offset {
                return Ok(check.into_state(end_offset));
            }
            let effect = check.see(&batch, &*file, &path)?;
            for txn in effect.completed.iter().filter_map(AbortedTxn::of) {
                on_aborted(base_offset, txn);
            }
        }
    }
    Ok(check.into_state(end_offset))
}

/// Removes a file; that it is gone already is no matter.
pub(super) fn unlink(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.unlink(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

//! Walks indexes and producer snapshots.

use std::path::Path;

use ottla_storage::disk::{Disk, DiskFile};
use ottla_storage::inspect::{
    self, Damage, FileBatch, FileBatches, IndexDamage, OffsetEntries, SnapshotDamage, TimeEntries,
    TimeEntry,
};

use super::failure::{Failure, Stop};
use super::java::JavaPath;
use super::printer::{Mismatch, Printer};
use super::segment::{file_bytes, whole};
use super::{Options, open};

/// What no timestamp is.
const NO_TIMESTAMP: i64 = -1;

/// Dumps an offset index, and compares it with its log.
pub(super) fn offsets(
    path: &JavaPath,
    options: &Options,
    disk: &dyn Disk,
    printer: &mut dyn Printer,
) -> Result<(), Stop> {
    let base_offset = path.offset()?;
    let log = Log::open(path, disk)?;
    let file = open(disk, path.as_str())?;
    let index = OffsetEntries::new(&*file, base_offset).map_err(Damage::Io)?;
    if index.count() == 0 {
        return Ok(printer.empty_index(path)?);
    }
    if options.sanity_only {
        index.sanity().map_err(Damage::Io)?.map_err(|damage| insane("Index", damage, path))?;
        return Ok(printer.sane_index(path)?);
    }
    for n in 0..index.count() {
        let entry = index.entry(n).map_err(Damage::Io)?;
        // The zeros behind the entries of an index that was not closed.
        if entry.offset == base_offset && n > 0 {
            break;
        }
        let end = log.slice(entry.position, options.message_size_max)?;
        let last = match FileBatches::new(&*log.file, &log.path, entry.position as u64, end).next()
        {
            None => return Err(Failure::silent("java.util.NoSuchElementException").into()),
            Some(batch) => log.last_offset(&batch?)?,
        };
        if last != entry.offset {
            printer.mismatch(path, Mismatch::Offset { index: entry.offset, log: last });
        }
        if !options.verify_only {
            printer.offset_entry(entry)?;
        }
    }
    Ok(())
}

/// Dumps a time index, and compares it with its log.
pub(super) fn times(
    path: &JavaPath,
    options: &Options,
    disk: &dyn Disk,
    printer: &mut dyn Printer,
) -> Result<(), Stop> {
    let base_offset = path.offset()?;
    let log = Log::open(path, disk)?;
    let offsets = path.sibling(".index");
    let exists = disk.exists(Path::new(&offsets)).map_err(Damage::Io)?;
    if !exists {
        // Kafka makes the file, and then finds that it was not told how large.
        let text = "Invalid max index size: -1".to_owned();
        return Err(Failure::new("java.lang.IllegalArgumentException", text).into());
    }
    let offsets = open(disk, &offsets)?;
    let offsets = OffsetEntries::new(&*offsets, base_offset).map_err(Damage::Io)?;
    let file = open(disk, path.as_str())?;
    let index = TimeEntries::new(&*file, base_offset).map_err(Damage::Io)?;
    if options.sanity_only {
        index.sanity().map_err(Damage::Io)?.map_err(|damage| insane("Time", damage, path))?;
        return Ok(printer.sane_index(path)?);
    }
    let mut previous = NO_TIMESTAMP;
    for n in 0..index.count() {
        let entry = index.entry(n).map_err(Damage::Io)?;
        if entry.offset == base_offset && n > 0 {
            break;
        }
        let position = offsets.lookup(entry.offset).map_err(Damage::Io)?.position;
        let end = log.slice(position, i32::MAX)?;
        if n == 0 {
            // Kafka lists all batches from here to the end before it looks at one.
            log.batches(position, end).try_for_each(|batch| batch.map(|_| ()))?;
        }
        for mismatch in compare(&log, position, end, entry, previous)? {
            printer.mismatch(path, mismatch);
        }
        if !options.verify_only {
            printer.time_entry(entry)?;
        }
        previous = entry.timestamp;
    }
    Ok(())
}

fn compare(
    log: &Log,
    position: i32,
    end: u64,
    entry: TimeEntry,
    previous: i64,
) -> Result<Vec<Mismatch>, Stop> {
    let (index, mut found) = (entry.offset, None);
    for batch in log.batches(position, end) {
        let batch = batch?;
        let last = log.last_offset(&batch)?;
        if last >= entry.offset {
            found = Some((batch, last));
            break;
        }
    }
    let Some((batch, last)) = found else { return Ok(vec![Mismatch::NotFound { index, log: -1 }]) };
    if last != entry.offset {
        return Ok(vec![Mismatch::NotFound { index, log: last }]);
    }
    let mut max_timestamp = NO_TIMESTAMP;
    let bytes = batch.load(&*log.file)?;
    batch.records(&bytes)?.for_each::<Damage>(&mut |record| {
        max_timestamp = max_timestamp.max(record.timestamp);
        Ok(())
    })?;
    let mut mismatches = Vec::new();
    let index = entry.timestamp;
    if max_timestamp != index {
        mismatches.push(Mismatch::Timestamp { index, log: max_timestamp });
    }
    if previous >= index {
        mismatches.push(Mismatch::Order { index, previous });
    }
    Ok(mismatches)
}

/// What makes a broker build the index anew, in Kafka's words.
fn insane(kind: &str, damage: IndexDamage, path: &JavaPath) -> Failure {
    let file = path.absolute();
    let text = match (kind, damage) {
        ("Index", IndexDamage::LastOffset { last, base }) => format!(
            "Corrupt index found, index file {file} has non-zero size but the last offset is \
             {last} which is less than the base offset {base}"
        ),
        (_, IndexDamage::LastOffset { last, base }) => format!(
            "Corrupt time index found, time index file ({file}) has non-zero size but the last \
             offset is {last} which is less than the first offset {base}"
        ),
        (_, IndexDamage::LastTimestamp { last, first }) => format!(
            "Corrupt time index found, time index file ({file}) has non-zero size but the last \
             timestamp is {last} which is less than the first timestamp {first}"
        ),
        (_, IndexDamage::Length { bytes, entry_bytes }) => {
            let kind = if kind == "Index" { "Index" } else { "Time index" };
            format!(
                "{kind} file {file} is corrupt, found {bytes} bytes which is neither positive nor \
                 a multiple of {entry_bytes}"
            )
        }
    };
    Failure::new("org.apache.kafka.storage.internals.log.CorruptIndexException", text)
}

/// The log beside an index.
struct Log {
    path: String,
    file: std::sync::Arc<dyn DiskFile>,
    bytes: u64,
}

impl Log {
    fn open(index: &JavaPath, disk: &dyn Disk) -> Result<Self, Stop> {
        let path = index.sibling(".log");
        let file = open(disk, &path)?;
        let bytes = file_bytes(&*file, &path)?;
        Ok(Self { path, file, bytes })
    }

    /// Where a slice of at most `size` bytes from `position` ends.
    fn slice(&self, position: i32, size: i32) -> Result<u64, Stop> {
        let whole = whole(self.bytes, &self.path);
        let text = match (u64::try_from(position), u64::try_from(size)) {
            (Err(_), _) => format!("Invalid position: {position} in read from {whole}"),
            (Ok(at), _) if at > self.bytes => {
                format!("Slice from position {position} exceeds end position of {whole}")
            }
            (_, Err(_)) => format!("Invalid size: {size} in read from {whole}"),
            (Ok(at), Ok(size)) => return Ok((at + size).min(self.bytes)),
        };
        Err(Failure::new("java.lang.IllegalArgumentException", text).into())
    }

    fn batches(&self, position: i32, end: u64) -> FileBatches<'_, dyn DiskFile> {
        FileBatches::new(&*self.file, &self.path, position.max(0) as u64, end)
    }

    fn last_offset(&self, batch: &FileBatch) -> Result<i64, Stop> {
        if batch.magic < 2 {
            return Ok(batch.offset);
        }
        Ok(batch.header(&*self.file, &self.path)?.last_offset)
    }
}

/// Dumps a producer snapshot.
pub(super) fn producers(
    path: &JavaPath,
    disk: &dyn Disk,
    printer: &mut dyn Printer,
) -> Result<(), Stop> {
    let file = open(disk, path.as_str())?;
    match inspect::producers(&*file) {
        Ok(producers) => producers.iter().try_for_each(|one| Ok(printer.producer(one)?)),
        Err(SnapshotDamage::Io(error)) => Err(Damage::Io(error).into()),
        Err(damage) => Ok(printer.noted(&damage.to_string())?),
    }
}

/// Dumps a transaction index.
pub(super) fn transactions(
    path: &JavaPath,
    disk: &dyn Disk,
    printer: &mut dyn Printer,
) -> Result<(), Stop> {
    path.offset()?;
    if !disk.exists(Path::new(path.as_str())).map_err(Damage::Io)? {
        return Ok(());
    }
    let file = open(disk, path.as_str())?;
    // Kafka reads all before it prints one.
    for print in [false, true] {
        for transaction in inspect::aborted_txns(&*file).map_err(Damage::Io)? {
            let transaction = transaction.map_err(Damage::Io)?;
            if let Err(version) = transaction.txn {
                let text = format!(
                    "Unexpected aborted transaction version {version} in transaction index {}, \
                     current version is 0",
                    path.absolute()
                );
                return Err(Failure::new("org.apache.kafka.common.KafkaException", text).into());
            }
            if print {
                printer.transaction(&transaction)?;
            }
        }
    }
    Ok(())
}

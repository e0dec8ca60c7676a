//! What lies in the log directories: partitions, their bytes and offsets, and the transactions that
//! are open in them, all read without a lock and without a write.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use ottla_protocol::record::batch::{BATCH_HEADER_BYTES, BatchHeader, MAGIC_V2};
use ottla_storage::checkpoint::{
    self, LOG_START_OFFSET_CHECKPOINT, Offsets, REPLICATION_OFFSET_CHECKPOINT,
};
use ottla_storage::disk::{Disk, DiskFile, Open};
use ottla_storage::file_name::{FileKind, FileName, segment_file_name};
use ottla_storage::partition_dir::{DirState, PartitionDir, TopicPartition};
use ottla_storage::producer_state::snapshot;

use crate::metadata_log;

/// Bytes of a log that are read at a time while batch headers are looked for.
const WINDOW_BYTES: usize = 64 << 10;
/// The shortest message of any magic: offset, length, CRC, magic, attributes, key and value length.
const BATCH_BYTES_MIN: u64 = 26;

/// A transaction that is open in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OpenTransaction {
    /// Where.
    pub(super) topic_partition: TopicPartition,
    /// Whose.
    pub(super) producer_id: i64,
    /// Where `read_committed` stops.
    pub(super) first_offset: i64,
}

/// A log directory.
#[derive(Clone, Debug, Default)]
pub(super) struct SurveyedDir {
    /// Where it is.
    pub(super) path: PathBuf,
    /// Why it cannot be used, if so.
    pub(super) problem: Option<String>,
    /// Whether a running broker has it.
    pub(super) is_in_use: bool,
    /// Partitions in it.
    pub(super) partitions: Vec<TopicPartition>,
    /// Partitions that are being deleted, were set aside as stray, or move to another directory.
    pub(super) leftovers: usize,
    /// Bytes of their `.log` files.
    pub(super) bytes: u64,
    /// Offsets from log start to log end, which is how many records there are where none were
    /// compacted away.
    pub(super) offsets: u64,
    /// Open transactions.
    pub(super) open: Vec<OpenTransaction>,
    /// Directories that are none of a broker's, which neither Kafka nor Ottla starts beside.
    pub(super) strangers: Vec<String>,
    /// Files that could not be read, or do not hold what they should.
    pub(super) damaged: Vec<String>,
}

/// Looks at one log directory.
pub(super) fn survey(disk: &dyn Disk, path: &Path) -> SurveyedDir {
    let mut dir = SurveyedDir { path: path.to_owned(), ..SurveyedDir::default() };
    if let Err(error) = dir.fill(disk) {
        dir.problem = Some(error.to_string());
    }
    // The one checkpoint without which a start takes the directory offline, as Kafka does.
    let watermarks = path.join(REPLICATION_OFFSET_CHECKPOINT);
    if let (None, Err(error)) = (&dir.problem, checkpoint::read_offsets(disk, &watermarks)) {
        dir.problem = Some(error.to_string());
    }
    dir
}

impl SurveyedDir {
    fn fill(&mut self, disk: &dyn Disk) -> io::Result<()> {
        let entries = disk.list(&self.path)?;
        let lock = self.path.join(".lock");
        // Without the file nobody can hold it, and taking a lock would make it.
        self.is_in_use = disk.exists(&lock)? && disk.lock(&lock)?.is_none();
        let starts = checkpoint::read_offsets(disk, &self.path.join(LOG_START_OFFSET_CHECKPOINT));
        let starts = starts.unwrap_or_default();
        let dirs = entries.iter().filter(|entry| entry.is_dir);
        let no_partition = [metadata_log::DIR_NAME, "remote-log-index-cache"];
        for name in dirs.map(|entry| &*entry.name).filter(|name| !no_partition.contains(name)) {
            let Ok(PartitionDir { topic_partition, state }) = PartitionDir::parse(name) else {
                self.strangers.push(name.to_owned());
                continue;
            };
            if state != DirState::Live {
                self.leftovers += 1;
                continue;
            }
            let path = self.path.join(name);
            if let Err(error) = self.add_partition(disk, &path, &topic_partition, &starts) {
                self.damaged.push(format!("{}: {error}", path.display()));
            }
            self.partitions.push(topic_partition);
        }
        Ok(())
    }

    fn add_partition(
        &mut self,
        disk: &dyn Disk,
        path: &Path,
        topic_partition: &TopicPartition,
        starts: &Offsets,
    ) -> io::Result<()> {
        let (mut bases, mut snapshots) = (Vec::new(), Vec::new());
        for entry in disk.list(path)? {
            match FileName::parse(&entry.name) {
                Ok(FileName::Segment { base_offset, kind: FileKind::Log }) => {
                    bases.push(base_offset);
                }
                Ok(FileName::Segment { base_offset, kind: FileKind::ProducerSnapshot }) => {
                    snapshots.push(base_offset);
                }
                _ => {}
            }
        }
        bases.sort_unstable();
        snapshots.sort_unstable();
        let (producers_at, mut producers) = newest_producers(disk, path, &snapshots);
        let mut end = bases.first().copied().unwrap_or(0);
        for (at, base) in bases.iter().enumerate() {
            let file_name = segment_file_name(*base, FileKind::Log);
            let file = disk.open(&path.join(&file_name), Open::Read)?;
            let is_last = at + 1 == bases.len();
            let mut len = file.len()?;
            if is_last || producers_at < bases[at + 1] {
                let each = |header: BatchHeader<'_>| follow(&mut producers, producers_at, header);
                let whole = scan(&*file, *base, each)?;
                // A file that was given its room beforehand is longer than its records.
                (end, len) = (whole.end_offset, whole.bytes);
            }
            self.bytes += len;
        }
        let start = starts.get(topic_partition).copied().unwrap_or(0);
        let start = start.max(bases.first().copied().unwrap_or(0));
        self.offsets += u64::try_from(end - start).unwrap_or(0);
        let open = producers.into_iter().filter_map(|(producer_id, first_offset)| {
            let topic_partition = topic_partition.clone();
            Some(OpenTransaction { topic_partition, producer_id, first_offset: first_offset? })
        });
        self.open.extend(open);
        Ok(())
    }
}

/// The first offset of each producer's open transaction.
type Producers = BTreeMap<i64, Option<i64>>;

/// The newest snapshot of producers that can be read, and its offset; else none, from the start.
fn newest_producers(disk: &dyn Disk, dir: &Path, offsets: &[i64]) -> (i64, Producers) {
    for offset in offsets.iter().rev() {
        if let Ok(Some(entries)) = snapshot::read(disk, dir, *offset) {
            let producers = entries.into_iter();
            let open = producers.map(|(id, entry)| (id, entry.current_txn_first_offset));
            return (*offset, open.collect());
        }
    }
    (0, Producers::new())
}

fn follow(producers: &mut Producers, from: i64, header: BatchHeader<'_>) {
    if header.base_offset() < from || !header.attributes().is_transactional() {
        return;
    }
    let first_offset = producers.entry(header.producer_id()).or_default();
    if header.attributes().is_control() {
        *first_offset = None;
    } else {
        first_offset.get_or_insert(header.base_offset());
    }
}

/// The whole batches at the beginning of a segment.
struct Whole {
    /// The offset after the last one.
    end_offset: i64,
    /// Their length.
    bytes: u64,
}

/// Calls `each` for the header of every batch of magic 2 in a segment, and answers where the last
/// one ends, of whatever magic. What is behind the last whole batch is left to the start.
fn scan(
    file: &dyn DiskFile,
    base_offset: i64,
    mut each: impl FnMut(BatchHeader<'_>),
) -> io::Result<Whole> {
    let len = file.len()?;
    let mut window = Window::default();
    let (mut position, mut end) = (0_u64, base_offset);
    while position + BATCH_BYTES_MIN <= len {
        let Some(header) = window.header_at(file, len, position)? else { break };
        let Some(size_bytes) = header.size_bytes().map(|size| size as u64) else { break };
        let is_v2 = header.magic() == MAGIC_V2;
        let last_offset = if is_v2 { header.last_offset() } else { header.base_offset() };
        let is_whole = BATCH_BYTES_MIN <= size_bytes && position + size_bytes <= len;
        if !is_whole || last_offset < end {
            break;
        }
        if is_v2 {
            each(header);
        }
        end = last_offset + 1;
        position += size_bytes;
    }
    Ok(Whole { end_offset: end, bytes: position })
}

/// A part of a file in memory.
#[derive(Default)]
struct Window {
    at: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// The header at `position` of a file of `len` bytes. Of an old and short message the rest is
    /// zeros.
    fn header_at(
        &mut self,
        file: &dyn DiskFile,
        len: u64,
        position: u64,
    ) -> io::Result<Option<BatchHeader<'_>>> {
        let end = self.at + self.bytes.len() as u64;
        if position < self.at || end < position + BATCH_HEADER_BYTES as u64 {
            let rest = usize::try_from(len - position).unwrap_or(usize::MAX).min(WINDOW_BYTES);
            self.bytes = vec![0; rest.max(BATCH_HEADER_BYTES)];
            file.read_exact_at(&mut self.bytes[..rest], position)?;
            self.at = position;
        }
        let at = usize::try_from(position - self.at).unwrap_or(usize::MAX);
        Ok(self.bytes.get(at..).and_then(BatchHeader::new))
    }
}

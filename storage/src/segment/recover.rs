//! Making a segment good again after an unclean stop.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottla_protocol::record::batch::CRC_COVERS_FROM;

use super::{BatchAt, BatchFacts, BatchScanner, Segment, SegmentWriter};
use crate::disk::{DiskFile, Open};
use crate::error::StorageError;

/// Read at a time when a batch's sum is checked.
const BUFFER_BYTES: usize = 64 << 10;

/// What a recovery found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// Bytes cut off the end.
    pub(crate) truncated_bytes: u64,
    /// The offset behind the last good batch; the base offset without one.
    pub(crate) next_offset: i64,
}

/// A good batch met by a recovery.
pub(crate) struct RecoveredBatch<'a> {
    pub(crate) batch: &'a BatchAt,
    /// The whole batch, unless it is longer than 64 KiB.
    pub(crate) bytes: Option<&'a [u8]>,
}

impl Segment {
    /// Checks every batch, cuts the file before the first bad one, and builds both indexes anew.
    /// Good batches are shown to `on_batch` in order. The segment is sealed afterwards.
    ///
    /// Beyond Kafka's checks, a batch whose offsets do not lie behind those before it is bad.
    pub(crate) fn recover(
        self: &Arc<Self>,
        index_bytes: u32,
        index_interval_bytes: u32,
        on_batch: &mut dyn FnMut(RecoveredBatch<'_>) -> Result<(), StorageError>,
    ) -> Result<Recovered, StorageError> {
        let path = self.path();
        let opened = self.disk.open(&path, Open::ReadWrite);
        let file = opened.map_err(StorageError::io("open", &path))?;
        let length = file.len().map_err(StorageError::io("stat", &path))?;
        self.make_indexes_active(index_bytes, true)?;
        self.set_max_timestamp(Some(self.no_timestamp()));
        self.size.store(0, Ordering::Release);

        let mut writer = SegmentWriter::default();
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut next_offset = self.base_offset();
        let mut scanner = BatchScanner::new(&*file, &path, 0, length);
        loop {
            let batch = match scanner.next() {
                Ok(Some(batch)) => batch,
                Ok(None) => break,
                Err(error @ StorageError::Corrupt { .. }) => {
                    log::warn!("recovery stops: {error}");
                    break;
                }
                Err(error) => return Err(error),
            };
            if let Some(problem) = self.problem(&*file, &path, &batch, next_offset, &mut buffer)? {
                log::warn!(
                    "{}: recovery stops at byte {}: {problem}",
                    path.display(),
                    batch.position
                );
                break;
            }
            let whole = (batch.size as usize) <= buffer.len();
            let bytes = whole.then(|| &buffer[..batch.size as usize]);
            on_batch(RecoveredBatch { batch: &batch, bytes })?;
            next_offset = batch.last_offset + 1;
            let facts = [BatchFacts {
                size: batch.size,
                last_offset: batch.last_offset,
                max_timestamp_ms: batch.max_timestamp_ms,
            }];
            let total = u64::from(batch.size);
            self.reserve_index_entries(&writer, index_interval_bytes, &facts, total)?;
            self.note_appended(&mut writer, index_interval_bytes, &facts)?;
            self.size.store(batch.end(), Ordering::Release);
        }
        let truncated_bytes = length - self.size();
        if truncated_bytes > 0 {
            let cut = file.set_len(self.size());
            cut.map_err(StorageError::io("truncate", &path))?;
        }
        drop(file);
        self.finish()?;
        self.sealed.store(true, Ordering::Release);
        self.budget.admit(self);
        Ok(Recovered { truncated_bytes, next_offset })
    }

    /// What is wrong with a batch, if anything. A batch that fits is left whole in `buffer`.
    fn problem(
        &self,
        file: &dyn DiskFile,
        path: &Path,
        batch: &BatchAt,
        next_offset: i64,
        buffer: &mut [u8],
    ) -> Result<Option<String>, StorageError> {
        let (crc_covers_from, stored) = match batch.magic {
            0 | 1 => (16, u32::from_be_bytes(batch.header[12..16].try_into().expect("4 bytes"))),
            2 => (CRC_COVERS_FROM as u64, batch.view().crc()),
            magic => return Ok(Some(format!("magic {magic}, at most 2 expected"))),
        };
        if batch.last_offset < batch.base_offset || batch.last_offset < next_offset {
            return Ok(Some(format!(
                "last offset {}, {next_offset} or more expected",
                batch.last_offset
            )));
        }
        if batch.last_offset - self.base_offset() > i64::from(i32::MAX) {
            return Ok(Some(format!("offset {} out of the segment's reach", batch.last_offset)));
        }
        let computed = checksum(file, batch, crc_covers_from, buffer);
        let computed = computed.map_err(StorageError::io("read", path))?;
        Ok((computed != stored)
            .then(|| format!("crc is {stored:#010x}, expected {computed:#010x}")))
    }
}

/// The CRC-32C, of old messages the CRC-32, of a batch from byte `covers_from` of it.
fn checksum(
    file: &dyn DiskFile,
    batch: &BatchAt,
    covers_from: u64,
    buffer: &mut [u8],
) -> std::io::Result<u32> {
    let mut legacy = crc32fast::Hasher::new();
    let mut modern = 0;
    let mut position = batch.position;
    let mut skip = covers_from as usize;
    while position < batch.end() {
        let n = buffer.len().min((batch.end() - position) as usize);
        file.read_exact_at(&mut buffer[..n], position)?;
        if batch.magic < 2 {
            legacy.update(&buffer[skip..n]);
        } else {
            modern = crc32c::crc32c_append(modern, &buffer[skip..n]);
        }
        skip = 0;
        position += n as u64;
    }
    Ok(if batch.magic < 2 { legacy.finalize() } else { modern })
}

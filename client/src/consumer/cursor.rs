//! Reads records out of fetched batches: checks, decompresses, and leaves out what is not to be
//! seen.

use std::collections::HashSet;
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use ottla_protocol::record::batch::BatchHeader;
use ottla_protocol::record::compression::{Codec, DecompressError, DecompressLimits, Decompressor};
use ottla_protocol::record::control::ControlType;
use ottla_protocol::record::legacy::LegacyEntry;
use ottla_protocol::record::record::{MalformedRecord, Record, RecordBase};
use ottla_protocol::record::set::{Batch, Entries, Entry as SetEntry};

use super::chunk::{At, Chunk};
use super::record::{Entry, Field, NO_ENCODING, Origin, Payload, Records};
use crate::error::{Error, ErrorKind};

/// How batches are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) checks_crcs: bool,
    pub(super) is_read_committed: bool,
    /// What a batch may decompress to.
    pub(super) batch_bytes_max: usize,
}

/// A chunk, and how far it was read.
pub(super) struct Cursor {
    pub(super) chunk: Chunk,
    /// The next record to be given, unless there is none of this offset.
    pub(super) next: At,
    /// What was read of the chunk's bytes, up to the end of the open batch; and to its begin.
    at: usize,
    batch_at: usize,
    batch: Option<OpenBatch>,
    /// What records that lie in the frame have in common, to be shared by batches.
    fetched: Option<Arc<Origin>>,
    /// What the last batch decompressed to.
    expanded: usize,
    /// The first of the aborted transactions that did not begin yet.
    aborted_at: usize,
    /// Who has an aborted transaction here.
    aborting: HashSet<i64>,
}

/// A batch whose records are being given.
struct OpenBatch {
    origin: Arc<Origin>,
    records: Left,
    /// The last record's place, and what follows.
    last_offset: i64,
    epoch: i32,
}

/// The records that are left of a batch.
enum Left {
    Encoded {
        base: RecordBase,
        bytes: Range<usize>,
        count: u32,
    },
    /// Of an old format.
    Found(std::vec::IntoIter<Entry>),
}

impl Cursor {
    pub(super) fn new(mut chunk: Chunk) -> Self {
        chunk.aborted.sort_by_key(|transaction| transaction.first_offset);
        let next = chunk.start;
        Self {
            chunk,
            next,
            at: 0,
            batch_at: 0,
            batch: None,
            fetched: None,
            expanded: 0,
            aborted_at: 0,
            aborting: HashSet::new(),
        }
    }

    /// Moves what is left to memory of its own if that is much less than it keeps now.
    pub(super) fn detach(&mut self, held: &Arc<AtomicUsize>) {
        if self.batch.take().is_some() {
            // It is opened again, and what was given of it is passed over.
            self.at = self.batch_at;
        }
        self.chunk.range.start += std::mem::take(&mut self.at);
        self.fetched = None;
        self.chunk.detach(held);
    }

    /// Bytes that are not read yet.
    pub(super) fn bytes_left(&self) -> usize {
        self.chunk.range.len() - self.at
    }

    /// Adds records until there are `count` in all, or there are no more. Whether there may be
    /// more.
    ///
    /// # Errors
    /// The batch at the next offset is not valid. What was added before it is, and another call has
    /// the same error.
    pub(super) fn read(
        &mut self,
        count: usize,
        reading: Reading,
        into: &mut Records,
    ) -> Result<bool, Error> {
        while into.entries.len() < count {
            if self.batch.is_none() && !self.open(reading).map_err(|wrong| self.wrong(&wrong))? {
                return Ok(false);
            }
            if self.give(count, into).map_err(|wrong| self.wrong(&wrong.to_string()))? {
                self.batch = None;
            }
        }
        Ok(true)
    }

    fn wrong(&self, wrong: &str) -> Error {
        let (partition, offset) = (&self.chunk.partition, self.next.offset);
        let detail = format!("at offset {offset}: {wrong}; seek past it to go on");
        let error = Error::new(ErrorKind::Corrupt, detail);
        error.of_partition(&partition.topic, partition.partition)
    }

    /// Opens the next batch that has records to give; false when there is none.
    fn open(&mut self, reading: Reading) -> Result<bool, String> {
        let frame = Arc::clone(&self.chunk.frame);
        loop {
            let start = self.chunk.range.start + self.at;
            let mut entries = Entries::new(&frame.bytes()[start..self.chunk.range.end]);
            let Some(entry) = entries.next() else { return Ok(false) };
            let size = entries.position();
            self.batch_at = self.at;
            match entry.map_err(|error| error.to_string())? {
                SetEntry::Batch(batch) => {
                    let header = batch.header();
                    let after = At {
                        offset: header.last_offset().wrapping_add(1),
                        epoch: header.partition_leader_epoch(),
                    };
                    if after.offset > self.next.offset {
                        if reading.checks_crcs {
                            batch.check_crc().map_err(|error| error.to_string())?;
                        }
                        if self.is_seen(&batch, reading) {
                            let begin = start + batch.bytes().len() - batch.payload().len();
                            self.batch = Some(self.opened(&batch, begin, reading)?);
                            self.at += size;
                            return Ok(true);
                        }
                        self.next = after;
                    }
                }
                SetEntry::Legacy { bytes, .. } => {
                    let found = self.of_legacy(bytes, reading)?;
                    self.at += size;
                    self.batch = Some(found);
                    return Ok(true);
                }
            }
            self.at += size;
        }
    }

    /// Whether a batch's records are for those who read: no control records, and none of a
    /// transaction that was aborted.
    fn is_seen(&mut self, batch: &Batch<'_>, reading: Reading) -> bool {
        let header = batch.header();
        let (attributes, producer) = (header.attributes(), header.producer_id());
        if reading.is_read_committed && producer >= 0 {
            let begun = self.chunk.aborted[self.aborted_at..]
                .iter()
                .take_while(|transaction| transaction.first_offset <= header.last_offset());
            let begun: Vec<i64> = begun.map(|transaction| transaction.producer_id).collect();
            self.aborted_at += begun.len();
            self.aborting.extend(begun);
            if attributes.is_control() {
                if is_abort(batch) {
                    self.aborting.remove(&producer);
                }
            } else if attributes.is_transactional() && self.aborting.contains(&producer) {
                return false;
            }
        }
        !attributes.is_control()
    }

    /// The records of a batch whose payload begins at `begin` in the frame.
    fn opened(
        &mut self,
        batch: &Batch<'_>,
        begin: usize,
        reading: Reading,
    ) -> Result<OpenBatch, String> {
        let header = batch.header();
        let codec_id = header.attributes().codec_id();
        let codec = batch.codec().ok_or_else(|| format!("the codec {codec_id} is nobody's"))?;
        let count = header.records_count();
        let count = u32::try_from(count)
            .map_err(|_| MalformedRecord::NegativeCount { count }.to_string())?;
        let (origin, bytes) = if codec == Codec::None {
            (self.shared_origin(header), begin..begin + batch.payload().len())
        } else {
            let limits = DecompressLimits::of_bytes(reading.batch_bytes_max as u64);
            // Batches of a partition are much alike.
            let room = self.expanded.max(2 * batch.payload().len()).min(reading.batch_bytes_max);
            let bytes = expand(codec, batch.payload(), limits, room).map_err(|error| {
                format!("{error}; receive.message.max.bytes is the limit for a batch")
            })?;
            self.expanded = bytes.len();
            let range = 0..bytes.len();
            (Arc::new(self.origin(header, Payload::Decompressed(bytes))), range)
        };
        let base = RecordBase::from(header);
        Ok(OpenBatch {
            origin,
            records: Left::Encoded { base, bytes, count },
            last_offset: header.last_offset(),
            epoch: header.partition_leader_epoch(),
        })
    }

    fn origin(&self, header: BatchHeader<'_>, payload: Payload) -> Origin {
        Origin {
            partition: self.chunk.partition.clone(),
            leader_epoch: header.partition_leader_epoch(),
            timestamp_type: header.attributes().timestamp_type(),
            payload,
        }
    }

    /// That of records which lie in the frame: batches of few records have one in common.
    fn shared_origin(&mut self, header: BatchHeader<'_>) -> Arc<Origin> {
        let timestamp_type = header.attributes().timestamp_type();
        if let Some(origin) = &self.fetched
            && origin.leader_epoch == header.partition_leader_epoch()
            && origin.timestamp_type == timestamp_type
        {
            return Arc::clone(origin);
        }
        let payload = Payload::Fetched(Arc::clone(&self.chunk.frame));
        let origin = Arc::new(self.origin(header, payload));
        self.fetched = Some(Arc::clone(&origin));
        origin
    }

    /// The messages of an old format, which are copied: no broker has written any for years.
    fn of_legacy(&self, bytes: &[u8], reading: Reading) -> Result<OpenBatch, String> {
        let entry = LegacyEntry::new(bytes).map_err(|error| error.to_string())?;
        if reading.checks_crcs {
            entry.check_crc().map_err(|error| error.to_string())?;
        }
        let limits = DecompressLimits::of_bytes(reading.batch_bytes_max as u64);
        let records = entry.records(limits).map_err(|error| error.to_string())?;
        let (mut payload, mut found) = (Vec::new(), Vec::new());
        for record in records.iter() {
            let record = record.map_err(|error| error.to_string())?;
            let mut put = |field: Option<&[u8]>| {
                let start = payload.len() as u32;
                let Some(field) = field else { return Field { start, length: -1 } };
                payload.extend_from_slice(field);
                Field { start, length: field.len() as i32 }
            };
            found.push(Entry {
                offset: record.offset,
                timestamp: record.timestamp,
                start: NO_ENCODING,
                key: put(record.key),
                value: put(record.value),
            });
        }
        let origin = Origin {
            partition: self.chunk.partition.clone(),
            leader_epoch: -1,
            timestamp_type: entry.timestamp_type(),
            payload: Payload::Decompressed(payload),
        };
        Ok(OpenBatch {
            origin: Arc::new(origin),
            records: Left::Found(found.into_iter()),
            last_offset: entry.offset(),
            epoch: -1,
        })
    }

    /// Gives records of the open batch; whether it has no more.
    fn give(&mut self, count: usize, into: &mut Records) -> Result<bool, MalformedRecord> {
        let Some(batch) = &mut self.batch else { return Ok(true) };
        let given = into.entries.len();
        let result = batch.give(&mut self.next, count, &mut into.entries);
        if into.entries.len() > given {
            into.extend_run(&batch.origin);
        }
        let is_over = result?;
        if is_over {
            // Also over those that compaction has left out.
            self.next = At { offset: batch.last_offset.wrapping_add(1), epoch: batch.epoch };
        }
        Ok(is_over)
    }
}

impl OpenBatch {
    fn give(
        &mut self,
        next: &mut At,
        wanted: usize,
        into: &mut Vec<Entry>,
    ) -> Result<bool, MalformedRecord> {
        let (base, range, count) = match &mut self.records {
            Left::Encoded { base, bytes, count } => (*base, bytes, count),
            Left::Found(found) => {
                let room = wanted.saturating_sub(into.len());
                let from = next.offset;
                let seen = found.by_ref().filter(|entry| entry.offset >= from);
                into.extend(seen.take(room));
                if let Some(last) = into.last() {
                    next.offset = next.offset.max(last.offset.wrapping_add(1));
                }
                return Ok(found.len() == 0);
            }
        };
        let payload = self.origin.payload.bytes();
        let bytes = &payload[..range.end];
        // A record has seven bytes at least, whatever its batch announces.
        let there = (*count as usize).min(range.len() / 7);
        into.reserve(there.min(wanted.saturating_sub(into.len())));
        while *count > 0 && into.len() < wanted {
            if range.start == range.end {
                return Err(MalformedRecord::MissingRecords { missing: *count });
            }
            let (record, used) = Record::parse(&bytes[range.start..], &base)?;
            // Those before the offset that was asked for are in the batch all the same.
            if record.offset >= next.offset {
                if record.offset > self.last_offset {
                    return Err(MalformedRecord::TrailingBytes);
                }
                into.push(Entry {
                    offset: record.offset,
                    timestamp: record.timestamp,
                    start: range.start as u32,
                    key: Field::of(record.key, payload),
                    value: Field::of(record.value, payload),
                });
                *next = At { offset: record.offset + 1, epoch: self.epoch };
            }
            range.start += used;
            *count -= 1;
        }
        match *count {
            0 if range.start < range.end => Err(MalformedRecord::TrailingBytes),
            count => Ok(count == 0),
        }
    }
}

/// What a payload decompresses to; `room` is how much that may be, at a guess.
fn expand(
    codec: Codec,
    payload: &[u8],
    limits: DecompressLimits,
    room: usize,
) -> Result<Vec<u8>, DecompressError> {
    let mut bytes = Vec::with_capacity(room);
    let mut reader = Decompressor::new(codec, payload, limits)?;
    let read = reader.read_to_end(&mut bytes);
    read.map_err(|error| DecompressError::from_read(codec, error))?;
    if bytes.capacity() > 2 * bytes.len() {
        bytes.shrink_to_fit();
    }
    Ok(bytes)
}

/// Whether a control batch says that its producer's transaction was aborted.
fn is_abort(batch: &Batch<'_>) -> bool {
    let record = batch.records().ok().and_then(|mut records| records.next()?.ok());
    let key = record.and_then(|record| record.key);
    ControlType::from_key(key) == Ok(ControlType::Abort)
}

#[cfg(test)]
mod tests;

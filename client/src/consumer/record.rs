//! Records as a poll returns them: they lie where they were fetched to, or where their batch was
//! decompressed to.

use std::collections::HashSet;
use std::fmt;
use std::iter::FusedIterator;
use std::ops::Range;
use std::sync::Arc;

use ottla_protocol::record::batch::TimestampType;
use ottla_protocol::record::record::{Headers, Record as Encoded, RecordBase};

use super::chunk::Frame;
use crate::partition::TopicPartition;

/// Records of one poll: of each partition in the order of their offsets.
///
/// They keep the answers that they came in in memory as long as they live. Iterating over a
/// reference gives [`Record`]s, which borrow; iterating over the value gives [`OwnedRecord`]s,
/// which are as cheap, and may be kept and sent to other threads. [`Records::partitions`] and
/// [`Records::of`] go by partitions:
///
/// ```
/// # fn show(records: &ottla_client::Records) {
/// for partition in records.partitions() {
///     println!("{partition}: {} records", records.of(partition).count());
/// }
/// # }
/// # show(&ottla_client::Records::default());
/// ```
#[derive(Clone, Default)]
pub struct Records {
    pub(super) runs: Vec<Run>,
    pub(super) entries: Vec<Entry>,
}

/// Records that have much in common, and the end of them in the entries.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) origin: Arc<Origin>,
    pub(super) end: usize,
}

/// What records have in common.
pub(super) struct Origin {
    pub(super) partition: TopicPartition,
    pub(super) leader_epoch: i32,
    pub(super) timestamp_type: TimestampType,
    pub(super) payload: Payload,
}

/// Bytes that records are in.
pub(super) enum Payload {
    Fetched(Arc<Frame>),
    Decompressed(Vec<u8>),
}

/// Where a record is in its payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) offset: i64,
    pub(super) timestamp: i64,
    /// Its encoding; [`NO_ENCODING`] for one of an old format, which has no headers.
    pub(super) start: u32,
    pub(super) key: Field,
    pub(super) value: Field,
}

/// A key or value: its place, and its length or -1 for null.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) start: u32,
    pub(super) length: i32,
}

pub(super) const NO_ENCODING: u32 = u32::MAX;

impl Payload {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Fetched(frame) => frame.bytes(),
            Self::Decompressed(bytes) => bytes,
        }
    }
}

impl Field {
    /// Of a slice of `payload`.
    #[inline]
    pub(super) fn of(field: Option<&[u8]>, payload: &[u8]) -> Self {
        let Some(field) = field else { return Self { start: 0, length: -1 } };
        let start = field.as_ptr() as usize - payload.as_ptr() as usize;
        Self { start: start as u32, length: field.len() as i32 }
    }

    #[inline]
    fn in_payload(self, payload: &[u8]) -> Option<&[u8]> {
        let length = usize::try_from(self.length).ok()?;
        let start = self.start as usize;
        Some(&payload[start..start + length])
    }
}

/// A record, as long as what it was returned in is there. Cheap to copy.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    origin: &'a Arc<Origin>,
    payload: &'a [u8],
    entry: Entry,
}

impl<'a> Record<'a> {
    /// Its topic.
    pub fn topic(&self) -> &'a str {
        &self.origin.partition.topic
    }

    /// The number of its partition.
    pub fn partition(&self) -> i32 {
        self.origin.partition.partition
    }

    /// Its partition.
    pub fn topic_partition(&self) -> &'a TopicPartition {
        &self.origin.partition
    }

    /// Its offset in the partition.
    pub fn offset(&self) -> i64 {
        self.entry.offset
    }

    /// The leader's epoch when it was appended; `None` for one of an old format.
    pub fn leader_epoch(&self) -> Option<i32> {
        (self.origin.leader_epoch >= 0).then_some(self.origin.leader_epoch)
    }

    /// Its timestamp, ms since the epoch; -1 for none.
    pub fn timestamp(&self) -> i64 {
        self.entry.timestamp
    }

    /// Whose clock the timestamp is of.
    pub fn timestamp_type(&self) -> TimestampType {
        self.origin.timestamp_type
    }

    /// Its key.
    #[inline]
    pub fn key(&self) -> Option<&'a [u8]> {
        self.entry.key.in_payload(self.payload)
    }

    /// Its value; `None` is a tombstone.
    #[inline]
    pub fn value(&self) -> Option<&'a [u8]> {
        self.entry.value.in_payload(self.payload)
    }

    /// Its headers, in their order.
    pub fn headers(&self) -> Headers<'a> {
        if self.entry.start == NO_ENCODING {
            return Headers::default();
        }
        // Headers do not depend on what is added to the record's numbers.
        let base = RecordBase { offset: 0, timestamp: 0, log_append_time: None };
        match Encoded::parse(&self.payload[self.entry.start as usize..], &base) {
            Ok((record, _)) => record.headers,
            // It was parsed when it was found.
            Err(_) => Headers::default(),
        }
    }

    /// The same for keeping: no bytes are copied.
    pub fn to_owned(&self) -> OwnedRecord {
        OwnedRecord { origin: Arc::clone(self.origin), entry: self.entry }
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("partition", &format_args!("{}", self.origin.partition))
            .field("offset", &self.offset())
            .field("timestamp", &self.timestamp())
            .field("key", &self.key())
            .field("value", &self.value())
            .finish_non_exhaustive()
    }
}

/// A record that may be kept. It keeps in memory the answer that it came in, or its batch when that
/// was compressed.
#[derive(Clone)]
pub struct OwnedRecord {
    origin: Arc<Origin>,
    entry: Entry,
}

impl OwnedRecord {
    /// The record.
    pub fn get(&self) -> Record<'_> {
        Record { origin: &self.origin, payload: self.origin.payload.bytes(), entry: self.entry }
    }
}

impl fmt::Debug for OwnedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl Records {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> RecordsIter<'_> {
        RecordsIter { runs: self.runs.iter(), run: None, entries: &self.entries, at: 0 }
    }

    /// The partitions that they are of, each once, in the order of their first records.
    pub fn partitions(&self) -> Vec<&TopicPartition> {
        let mut seen = HashSet::new();
        let all = self.spans().map(|(origin, _)| &origin.partition);
        all.filter(|partition| seen.insert(*partition)).collect()
    }

    /// Those of one partition, in the order of their offsets; none for one that has none here.
    pub fn of<'a>(
        &'a self,
        partition: &TopicPartition,
    ) -> impl Iterator<Item = Record<'a>> + use<'a> {
        let partition = partition.clone();
        let spans = self.spans().filter(move |(origin, _)| origin.partition == partition);
        spans.flat_map(|(origin, places)| {
            let payload = origin.payload.bytes();
            let entries = self.entries[places].iter();
            entries.map(move |entry| Record { origin, payload, entry: *entry })
        })
    }

    /// What records that come together have in common, and where they are.
    fn spans(&self) -> impl Iterator<Item = (&Arc<Origin>, Range<usize>)> {
        let mut start = 0;
        let spans = self.runs.iter().map(move |run| {
            let span = start..run.end;
            start = run.end;
            (&run.origin, span)
        });
        spans.filter(|(_, span)| !span.is_empty())
    }

    pub(super) fn drop_entries_from(&mut self, count: usize) {
        self.entries.truncate(count);
        while self.runs.len() > 1 && self.runs[self.runs.len() - 2].end >= count {
            self.runs.pop();
        }
        match self.runs.last_mut() {
            Some(last) if count > 0 => last.end = last.end.min(count),
            _ => self.runs.clear(),
        }
    }

    /// Room for the entries of a run: another one unless the last is of the same origin.
    pub(super) fn extend_run(&mut self, origin: &Arc<Origin>) {
        let end = self.entries.len();
        match self.runs.last_mut() {
            Some(last) if Arc::ptr_eq(&last.origin, origin) => last.end = end,
            _ => self.runs.push(Run { origin: Arc::clone(origin), end }),
        }
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// Borrowed records; see [`Records::iter`].
#[derive(Clone)]
pub struct RecordsIter<'a> {
    runs: std::slice::Iter<'a, Run>,
    run: Option<(&'a Run, &'a [u8])>,
    entries: &'a [Entry],
    at: usize,
}

impl<'a> Iterator for RecordsIter<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        let entry = *self.entries.get(self.at)?;
        let (run, payload) = match self.run {
            Some(run) if self.at < run.0.end => run,
            _ => {
                let run = self.runs.find(|run| self.at < run.end)?;
                *self.run.insert((run, run.origin.payload.bytes()))
            }
        };
        self.at += 1;
        Some(Record { origin: &run.origin, payload, entry })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.entries.len() - self.at;
        (left, Some(left))
    }
}

impl ExactSizeIterator for RecordsIter<'_> {}
impl FusedIterator for RecordsIter<'_> {}

impl fmt::Debug for RecordsIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = Record<'a>;
    type IntoIter = RecordsIter<'a>;

    fn into_iter(self) -> RecordsIter<'a> {
        self.iter()
    }
}

impl IntoIterator for Records {
    type Item = OwnedRecord;
    type IntoIter = RecordsIntoIter;

    fn into_iter(self) -> RecordsIntoIter {
        RecordsIntoIter { left: 0..self.entries.len(), run: 0, records: self }
    }
}

/// Records to keep; see [`Records`].
#[derive(Clone, Debug)]
pub struct RecordsIntoIter {
    records: Records,
    left: Range<usize>,
    run: usize,
}

impl Iterator for RecordsIntoIter {
    type Item = OwnedRecord;

    fn next(&mut self) -> Option<OwnedRecord> {
        let at = self.left.next()?;
        while self.records.runs[self.run].end <= at {
            self.run += 1;
        }
        let origin = Arc::clone(&self.records.runs[self.run].origin);
        Some(OwnedRecord { origin, entry: self.records.entries[at] })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }
}

impl ExactSizeIterator for RecordsIntoIter {}
impl FusedIterator for RecordsIntoIter {}

#[cfg(test)]
mod tests;

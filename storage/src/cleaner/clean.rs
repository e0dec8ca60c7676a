//! Copies segments without the records that go, and puts the copies in their place.

use std::collections::HashMap;
use std::sync::Arc;

use ottla_protocol::record::batch::BATCH_HEADER_BYTES;
use ottla_protocol::record::set::Batch;

use super::decide::{BatchFacts, LastRecord, RecordFacts, Round};
use super::map_keys::control_of;
use super::offset_map::{MapLimits, OffsetMap};
use super::reader::{BatchReader, What};
use super::rewrite::{self, Left};
use super::select::{Cleanable, GroupLimits, SourceFacts, group_len};
use super::transactions::{Marker, Transactions};
use super::{CleanTally, Halt, Pace};
use crate::error::StorageError;
use crate::log::{Cleaning, PartitionLog};
use crate::segment::{CleanedSegment, Segment};

/// Segments that one is made of at most: so many files are renamed while reads wait.
const GROUP_SEGMENTS_MAX: usize = 128;
/// So many bytes of batches take some 100 us.
const PIECE_BYTES: usize = 32 * 1024;

/// The cleaning of one log.
pub(super) struct Job<'a> {
    pub(super) log: &'a PartitionLog,
    pub(super) cleaning: &'a Cleaning<'a>,
    pub(super) pace: &'a dyn Pace,
    pub(super) now_ms: i64,
    pub(super) cleanable: Cleanable,
    pub(super) last_records: HashMap<i64, LastRecord>,
    pub(super) buffer_bytes: usize,
    pub(super) buffer: Vec<u8>,
    /// Bytes of batches since others were let go on.
    pub(super) worked_bytes: usize,
    pub(super) tally: &'a mut CleanTally,
}

/// What all segments of the cleaning are copied by.
struct Rules {
    map: OffsetMap,
    round: Round,
    txns: Transactions,
}

/// A source segment and where it ends.
type Source = (Arc<Segment>, SourceFacts);

impl Job<'_> {
    /// Cleans the log; returns the offset below which it is clean.
    pub(super) fn run(&mut self, limits: MapLimits) -> Result<i64, Halt> {
        let map = self.map_keys(limits)?;
        let end_offset = map.latest_offset() + 1;
        let round = Round {
            last_records: std::mem::take(&mut self.last_records),
            end_offset: self.cleanable.end_offset,
            now_ms: self.now_ms,
            delete_retention_ms: self.log.config().delete_retention_ms,
        };
        let mut rules = Rules { map, round, txns: Transactions::default() };
        let config = self.log.config();
        let limits = GroupLimits {
            log_bytes: u64::from(config.segment_bytes),
            index_bytes: u64::from(config.segment_index_bytes),
            segments: GROUP_SEGMENTS_MAX,
        };
        let sources = self.sources(end_offset)?;
        let facts: Vec<_> = sources.iter().map(|source| source.1).collect();
        let mut at = 0;
        while at < sources.len() {
            let group = &sources[at..at + group_len(&facts[at..], limits)];
            if let Err(halt) = self.copy_group(group, &mut rules) {
                self.log.discard_cleaned(group[0].1.base_offset);
                return Err(halt);
            }
            let old: Vec<_> = group.iter().map(|(segment, _)| Arc::clone(segment)).collect();
            self.log.swap_in(self.cleaning, &old, self.now_ms)?;
            self.tally.segments_read += group.len();
            self.tally.segments_written += 1;
            at += group.len();
        }
        Ok(end_offset)
    }

    /// All segments with offsets below `end_offset`.
    fn sources(&self, end_offset: i64) -> Result<Vec<Source>, StorageError> {
        let all = self.log.segments_now();
        let until = all.partition_point(|segment| segment.base_offset() < end_offset);
        let mut sources = Vec::with_capacity(until);
        for (n, segment) in all[..until].iter().enumerate() {
            let (index_bytes, time_index_bytes) = segment.index_bytes()?;
            let facts = SourceFacts {
                base_offset: segment.base_offset(),
                end_offset: all.get(n + 1).map_or(i64::MAX, |next| next.base_offset()),
                log_bytes: segment.size(),
                index_bytes,
                time_index_bytes,
            };
            sources.push((Arc::clone(segment), facts));
        }
        Ok(sources)
    }

    /// Makes one segment of a group, to be put in their place.
    fn copy_group(&mut self, group: &[Source], rules: &mut Rules) -> Result<(), Halt> {
        let base_offset = group[0].1.base_offset;
        let mut output = self.log.create_cleaned(base_offset, self.buffer_bytes)?;
        // The last batch, if nothing of it is left.
        let mut dropped = None;
        for (segment, facts) in group {
            rules.txns.add_aborted(self.log.aborted_between(base_and_end(facts))?);
            self.clean_segment((segment, facts.end_offset), rules, &mut output, &mut dropped)?;
        }
        if let Some(placeholder) = dropped {
            // The new segment reaches as far as the old ones did, so that a load that has to finish
            // the swap knows all of those that it replaces.
            self.write(&mut output, &placeholder)?;
        }
        let last = &group[group.len() - 1].0;
        let written = output.finish(last.modified_ms()?)?;
        self.spend(written)?;
        self.check_wanted()
    }

    fn clean_segment(
        &mut self,
        (segment, end_offset): (&Arc<Segment>, i64),
        rules: &mut Rules,
        output: &mut CleanedSegment,
        dropped: &mut Option<[u8; BATCH_HEADER_BYTES]>,
    ) -> Result<(), Halt> {
        let buffer = std::mem::take(&mut self.buffer);
        let leader_epoch = self.leader_epoch_of(segment);
        let what = What { position: 0, end_offset, leader_epoch };
        let mut reader = BatchReader::new(segment, what, self.buffer_bytes, buffer)?;
        while let Some(batch) = reader.next()? {
            self.count_work(batch.bytes().len());
            let cleaned = clean_batch(&batch, rules, output, self.tally);
            let left = match cleaned {
                Ok(left) => left,
                Err(problem) => return Err(reader.corrupt(problem).into()),
            };
            *dropped = None;
            match &left {
                Left::All => self.write(output, batch.bytes())?,
                Left::Some(bytes) => self.write(output, bytes)?,
                Left::Header(bytes) => self.write(output, bytes)?,
                Left::Nothing => *dropped = Some(rewrite::placeholder(batch.header())),
            }
            let bytes = reader.take_bytes_read();
            self.tally.bytes_read += bytes;
            self.spend(bytes)?;
        }
        self.buffer = reader.into_buffer();
        Ok(())
    }

    fn write(&mut self, output: &mut CleanedSegment, batch: &[u8]) -> Result<(), Halt> {
        self.tally.bytes_written += batch.len() as u64;
        let written = output.add(batch)?;
        self.spend(written)
    }

    /// Lets others go on after some bytes of batches: many come with one read.
    pub(super) fn count_work(&mut self, bytes: usize) {
        self.worked_bytes += bytes;
        if self.worked_bytes >= PIECE_BYTES {
            self.worked_bytes = 0;
            self.pace.give_way();
        }
    }

    /// Accounts for bytes read or written.
    pub(super) fn spend(&self, bytes: u64) -> Result<(), Halt> {
        if bytes == 0 {
            return Ok(());
        }
        let goes_on = self.pace.spend(bytes, &|| self.cleaning.is_unwanted());
        if goes_on { self.check_wanted() } else { Err(Halt::Unwanted) }
    }

    pub(super) fn check_wanted(&self) -> Result<(), Halt> {
        if self.cleaning.is_unwanted() { Err(Halt::Unwanted) } else { Ok(()) }
    }

    /// The leader epoch of a segment's first record, for messages that do not have their own.
    pub(super) fn leader_epoch_of(&self, segment: &Segment) -> i32 {
        self.log.epoch_for_offset(segment.base_offset()).unwrap_or(0)
    }
}

fn base_and_end(facts: &SourceFacts) -> std::ops::Range<i64> {
    facts.base_offset..facts.end_offset
}

/// Decides about a batch.
fn clean_batch(
    batch: &Batch<'_>,
    rules: &mut Rules,
    output: &mut CleanedSegment,
    tally: &mut CleanTally,
) -> Result<Left, String> {
    let header = batch.header();
    let attributes = header.attributes();
    let (producer_id, last_offset) = (header.producer_id(), header.last_offset());
    let is_control = attributes.is_control();
    let is_spent = if is_control {
        let control = control_of(batch)?;
        match rules.txns.on_control(producer_id, last_offset, control) {
            Marker::Idle => true,
            Marker::Needed => false,
            Marker::Indexed(txn) => {
                output.add_aborted(txn);
                false
            }
        }
    } else {
        rules.txns.on_data(producer_id, last_offset, attributes.is_transactional())
    };
    let horizon_ms = rewrite::delete_horizon_ms(header);
    let facts = BatchFacts {
        producer_id,
        producer_epoch: header.producer_epoch(),
        is_control,
        last_offset,
        delete_horizon_ms: horizon_ms,
    };
    let (round, map) = (&rules.round, &rules.map);
    let verdict = round.judge(facts, is_spent);
    let mut without_key = 0;
    let filtered = rewrite::filter(batch, verdict, round, &mut |record| {
        let facts = RecordFacts {
            offset: record.offset,
            mapped_to: map.latest_offset(),
            last_offset_of_key: record.key.map(|key| map.get(key)),
            has_value: record.value.is_some(),
        };
        let stays = is_control || round.keeps(facts, horizon_ms);
        without_key += u64::from(!stays && record.key.is_none());
        stays
    });
    let (left, counts) = filtered?;
    tally.records_read += counts.read;
    tally.records_kept += counts.kept;
    tally.records_without_key += without_key;
    Ok(left)
}

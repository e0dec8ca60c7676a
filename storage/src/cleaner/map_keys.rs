//! Notes the last offset of each key in the dirty part of a log.

use std::sync::Arc;

use ottla_protocol::record::control::ControlType;
use ottla_protocol::record::set::Batch;

use super::Halt;
use super::clean::Job;
use super::offset_map::{MapLimits, OffsetMap, SLOT_BYTES};
use super::reader::{BatchReader, What};
use super::rewrite::each_record;
use super::transactions::{Control, Transactions};
use crate::error::StorageError;
use crate::segment::{BatchScanner, Segment};

/// What a control batch says.
pub(super) fn control_of(batch: &Batch<'_>) -> Result<Control, String> {
    let mut control = Control::Empty;
    each_record(batch, &mut |record| {
        if control == Control::Empty {
            let control_type = ControlType::from_key(record.key);
            control = match control_type.map_err(|error| error.to_string())? {
                ControlType::Commit => Control::Commit,
                ControlType::Abort => Control::Abort,
                _ => Control::Other,
            };
        }
        Ok(())
    })?;
    Ok(control)
}

impl Job<'_> {
    /// The map of the dirty part, or of as much of it as fits.
    pub(super) fn map_keys(&mut self, limits: MapLimits) -> Result<OffsetMap, Halt> {
        let (first, end) = (self.cleanable.first_dirty_offset, self.cleanable.end_offset);
        let all = self.log.segments_now();
        let behind = all.partition_point(|segment| segment.base_offset() <= first);
        let until = all.partition_point(|segment| segment.base_offset() < end);
        let dirty = &all[behind.saturating_sub(1).min(until)..until];
        let mut map = OffsetMap::new(limits, self.count_records(dirty, limits)?);
        let mut txns = Transactions::default();
        txns.add_aborted(self.log.aborted_between(first..end)?);
        for (n, segment) in dirty.iter().enumerate() {
            let next_base = dirty.get(n + 1).map_or(end, |next| next.base_offset());
            if !self.map_segment((segment, next_base), &mut map, &mut txns)? {
                break;
            }
            map.raise_latest_offset(next_base - 1);
        }
        self.tally.keys = map.len();
        Ok(map)
    }

    /// How many records there may be, by the batches' headers. No more than fit a map are counted.
    fn count_records(&self, dirty: &[Arc<Segment>], limits: MapLimits) -> Result<u64, Halt> {
        let enough = (limits.bytes / SLOT_BYTES) as u64;
        let mut count = 0_u64;
        for segment in dirty {
            let (file, path) = (segment.file()?, segment.path());
            let start = self.dirty_position(segment)?;
            let mut scanner = BatchScanner::new(&*file, &path, start, segment.size());
            while let Some(batch) = scanner.next()? {
                if batch.magic < 2 {
                    // It may hold any number.
                    return Ok(enough);
                }
                if !scanner.header().attributes().is_control() {
                    count += u64::try_from(scanner.header().records_count()).unwrap_or(0);
                }
                self.spend(scanner.take_bytes_read())?;
                if count >= enough {
                    return Ok(count);
                }
            }
        }
        Ok(count)
    }

    /// Where in the segment the dirty part begins.
    fn dirty_position(&self, segment: &Arc<Segment>) -> Result<u64, StorageError> {
        let first = segment.find_batch(self.cleanable.first_dirty_offset, segment.size())?;
        Ok(first.map_or(segment.size(), |batch| batch.position))
    }

    /// Notes a segment's keys; false when the map is full.
    fn map_segment(
        &mut self,
        (segment, end_offset): (&Arc<Segment>, i64),
        map: &mut OffsetMap,
        txns: &mut Transactions,
    ) -> Result<bool, Halt> {
        let position = self.dirty_position(segment)?;
        let buffer = std::mem::take(&mut self.buffer);
        let leader_epoch = self.leader_epoch_of(segment);
        let what = What { position, end_offset, leader_epoch };
        let mut reader = BatchReader::new(segment, what, self.buffer_bytes, buffer)?;
        let first = self.cleanable.first_dirty_offset;
        let mut has_room = true;
        while has_room && let Some(batch) = reader.next()? {
            self.count_work(batch.bytes().len());
            match map_batch(&batch, first, map, txns) {
                Ok(fits) => has_room = fits,
                Err(problem) => return Err(reader.corrupt(problem).into()),
            }
            let bytes = reader.take_bytes_read();
            self.tally.bytes_mapped += bytes;
            self.spend(bytes)?;
        }
        self.buffer = reader.into_buffer();
        Ok(has_room)
    }
}

/// Notes a batch's keys; false when the map is full.
fn map_batch(
    batch: &Batch<'_>,
    first_offset: i64,
    map: &mut OffsetMap,
    txns: &mut Transactions,
) -> Result<bool, String> {
    let header = batch.header();
    let (producer_id, last_offset) = (header.producer_id(), header.last_offset());
    let mut has_room = true;
    if header.attributes().is_control() {
        txns.on_control(producer_id, last_offset, control_of(batch)?);
    } else if !txns.on_data(producer_id, last_offset, header.attributes().is_transactional()) {
        each_record(batch, &mut |record| {
            if let Some(key) = record.key
                && record.offset >= first_offset
            {
                // A key that is noted already would fit, but those behind it might not.
                has_room = has_room && map.put(key, record.offset).is_ok();
            }
            Ok(())
        })?;
    }
    if has_room {
        map.raise_latest_offset(last_offset);
    }
    Ok(has_room)
}

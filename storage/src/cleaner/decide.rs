//! What stays of a batch and of a record, as pure rules.

use std::collections::HashMap;

/// The last that a log has of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LastRecord {
    /// The last offset of its newest batch of the epoch; `None` after a marker alone.
    pub(crate) last_data_offset: Option<i64>,
    /// Its epoch.
    pub(crate) producer_epoch: i16,
}

/// What all batches of a cleaning are judged by.
#[derive(Debug)]
pub(crate) struct Round {
    /// Of every producer that the log knows, by its id.
    pub(crate) last_records: HashMap<i64, LastRecord>,
    /// Where the part of the log ends that may be cleaned.
    pub(crate) end_offset: i64,
    /// The time, ms since the epoch.
    pub(crate) now_ms: i64,
    /// `delete.retention.ms`.
    pub(crate) delete_retention_ms: i64,
}

/// What a batch's header says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchFacts {
    /// Negative for none.
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) is_control: bool,
    pub(crate) last_offset: i64,
    /// Until when its tombstones or its marker stay, once that is decided.
    pub(crate) delete_horizon_ms: Option<i64>,
}

/// What is left of a batch of which no record stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remains {
    /// A header, so that the log does not forget a producer's sequence, or where it has ended.
    Header,
    /// Nothing.
    Nothing,
}

/// What is to become of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// No record stays, whatever the records say.
    pub(crate) discard_records: bool,
    /// Of a batch without records.
    pub(crate) remains: Remains,
    /// It is the marker of a transaction of which nothing is left: it gets a horizon.
    pub(crate) is_idle_marker: bool,
}

impl Round {
    /// Judges a batch. `is_spent`: of data, that it was aborted; of a control batch, that nothing
    /// is left which it ends.
    pub(crate) fn judge(&self, batch: BatchFacts, is_spent: bool) -> Verdict {
        let is_past = batch.delete_horizon_ms.is_some_and(|horizon_ms| horizon_ms <= self.now_ms);
        let is_last_of_round = batch.last_offset.saturating_add(1) == self.end_offset;
        let is_kept = self.is_last_of_producer(batch) || is_last_of_round;
        Verdict {
            discard_records: is_spent && (!batch.is_control || is_past),
            remains: if is_kept { Remains::Header } else { Remains::Nothing },
            is_idle_marker: is_spent && batch.is_control,
        }
    }

    /// Whether a batch holds what the log must know of its producer: the last sequence or, after a
    /// marker without data, the epoch.
    fn is_last_of_producer(&self, batch: BatchFacts) -> bool {
        let last = self.last_records.get(&batch.producer_id).filter(|_| batch.producer_id >= 0);
        last.is_some_and(|last| match last.last_data_offset {
            Some(last_offset) => batch.last_offset == last_offset,
            None => batch.is_control && batch.producer_epoch == last.producer_epoch,
        })
    }

    /// Whether a record of data stays whose batch is not discarded.
    pub(crate) fn keeps(&self, record: RecordFacts, delete_horizon_ms: Option<i64>) -> bool {
        if record.offset > record.mapped_to {
            return true;
        }
        let Some(last_offset) = record.last_offset_of_key else { return false };
        let waits = delete_horizon_ms.is_none_or(|horizon_ms| self.now_ms < horizon_ms);
        record.offset >= last_offset && (record.has_value || waits)
    }

    /// The horizon that a batch gets if one of its records that stay is a tombstone, or if it is
    /// the marker of a transaction of which nothing is left. `None`: it has one.
    pub(crate) fn new_horizon_ms(&self, delete_horizon_ms: Option<i64>) -> Option<i64> {
        match delete_horizon_ms {
            Some(_) => None,
            None => Some(self.now_ms.saturating_add(self.delete_retention_ms)),
        }
    }
}

/// What is known of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordFacts {
    pub(crate) offset: i64,
    /// Up to where keys were noted.
    pub(crate) mapped_to: i64,
    /// The last offset noted for its key, -1 for none; `None` for a record without a key.
    pub(crate) last_offset_of_key: Option<i64>,
    pub(crate) has_value: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round() -> Round {
        let with_data = LastRecord { last_data_offset: Some(19), producer_epoch: 3 };
        let marker_only = LastRecord { last_data_offset: None, producer_epoch: 4 };
        Round {
            last_records: [(7, with_data), (8, marker_only)].into(),
            end_offset: 100,
            now_ms: 1000,
            delete_retention_ms: 50,
        }
    }

    const DATA: BatchFacts = BatchFacts {
        producer_id: -1,
        producer_epoch: -1,
        is_control: false,
        last_offset: 9,
        delete_horizon_ms: None,
    };

    #[test]
    fn batches_that_must_be_remembered_leave_their_headers() {
        let marker = BatchFacts { is_control: true, producer_id: 8, producer_epoch: 4, ..DATA };
        let table = [
            (DATA, Remains::Nothing),
            (BatchFacts { last_offset: 99, ..DATA }, Remains::Header),
            (BatchFacts { last_offset: 98, ..DATA }, Remains::Nothing),
            (BatchFacts { producer_id: 7, last_offset: 19, ..DATA }, Remains::Header),
            (BatchFacts { producer_id: 7, last_offset: 18, ..DATA }, Remains::Nothing),
            (BatchFacts { producer_id: 9, last_offset: 19, ..DATA }, Remains::Nothing),
            (marker, Remains::Header),
            (BatchFacts { producer_epoch: 3, ..marker }, Remains::Nothing),
            (BatchFacts { is_control: false, ..marker }, Remains::Nothing),
        ];
        for (batch, remains) in table {
            assert_eq!(round().judge(batch, false).remains, remains, "{batch:?}");
            assert!(!round().judge(batch, false).discard_records);
        }
    }

    #[test]
    fn aborted_data_goes_at_once_and_idle_markers_after_their_horizon() {
        assert!(round().judge(DATA, true).discard_records);
        for (delete_horizon_ms, discarded) in
            [(None, false), (Some(1001), false), (Some(1000), true)]
        {
            let marker = BatchFacts { is_control: true, delete_horizon_ms, ..DATA };
            let verdict = round().judge(marker, true);
            assert_eq!((verdict.discard_records, verdict.is_idle_marker), (discarded, true));
            assert!(!round().judge(marker, false).discard_records);
        }
    }

    #[test]
    fn of_each_key_the_last_record_stays() {
        let record =
            RecordFacts { offset: 5, mapped_to: 20, last_offset_of_key: Some(5), has_value: true };
        let tombstone = RecordFacts { has_value: false, ..record };
        let table = [
            (record, None, true),
            (record, Some(1), true),
            (RecordFacts { last_offset_of_key: Some(6), ..record }, None, false),
            (RecordFacts { last_offset_of_key: Some(-1), ..record }, None, true),
            (RecordFacts { last_offset_of_key: None, ..record }, None, false),
            (RecordFacts { last_offset_of_key: None, mapped_to: 4, ..record }, None, true),
            (RecordFacts { last_offset_of_key: Some(6), mapped_to: 4, ..record }, None, true),
            (tombstone, None, true),
            (tombstone, Some(1001), true),
            (tombstone, Some(1000), false),
            (RecordFacts { mapped_to: 4, ..tombstone }, Some(1000), true),
            (RecordFacts { last_offset_of_key: Some(6), ..tombstone }, None, false),
        ];
        for (record, horizon, kept) in table {
            assert_eq!(round().keeps(record, horizon), kept, "{record:?} {horizon:?}");
        }
        assert_eq!(round().new_horizon_ms(None), Some(1050));
        assert_eq!(round().new_horizon_ms(Some(7)), None);
    }
}

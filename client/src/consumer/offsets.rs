//! Offsets of times, and where partitions begin and end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Consumer;
use super::inquiry::{Inquiry, Told, What, Whose};
use super::positions::{EARLIEST, LATEST};
use crate::error::{Error, ErrorKind};
use crate::partition::TopicPartition;
use crate::pending::{Pending, pending};

/// A record that a time was looked for of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetAndTimestamp {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, ms since the epoch.
    pub timestamp: i64,
    /// The leader's epoch when it was appended, if that is known.
    pub leader_epoch: Option<i32>,
}

impl Consumer {
    /// Of each of these partitions the first record whose timestamp is this one, ms since the
    /// epoch, or later; `None` when all are earlier. The partitions need not be assigned.
    ///
    /// # Errors
    /// A time is negative; a partition's leader does not tell within `default.api.timeout.ms`.
    pub fn offsets_for_times(
        &self,
        times: &[(TopicPartition, i64)],
    ) -> Result<BTreeMap<TopicPartition, Option<OffsetAndTimestamp>>, Error> {
        if let Some((partition, time)) = times.iter().find(|(_, time)| *time < 0) {
            let detail = format!("the time {time} is negative");
            return Err(Error::new(ErrorKind::Usage, detail).of(partition));
        }
        let told = self.ask_leaders(times)?.into_iter();
        let found = |told: Told| OffsetAndTimestamp {
            offset: told.offset,
            timestamp: told.timestamp,
            leader_epoch: (told.leader_epoch >= 0).then_some(told.leader_epoch),
        };
        Ok(told.map(|(of, told)| (of, (told.offset >= 0).then(|| found(told)))).collect())
    }

    /// The first offset of each of these partitions. They need not be assigned.
    ///
    /// # Errors
    /// A partition's leader does not tell within `default.api.timeout.ms`.
    pub fn beginning_offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i64>, Error> {
        self.ends(partitions, EARLIEST)
    }

    /// The offset behind the last record of each of these partitions; with
    /// `isolation.level=read_committed` behind the last one that no open transaction comes before.
    /// They need not be assigned.
    ///
    /// # Errors
    /// A partition's leader does not tell within `default.api.timeout.ms`.
    pub fn end_offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i64>, Error> {
        self.ends(partitions, LATEST)
    }

    fn ends(
        &self,
        partitions: &[TopicPartition],
        timestamp: i64,
    ) -> Result<BTreeMap<TopicPartition, i64>, Error> {
        let wanted: Vec<_> = partitions.iter().map(|of| (of.clone(), timestamp)).collect();
        let told = self.ask_leaders(&wanted)?.into_iter();
        Ok(told.map(|(of, told)| (of, told.offset)).collect())
    }

    fn ask_leaders(
        &self,
        wanted: &[(TopicPartition, i64)],
    ) -> Result<BTreeMap<TopicPartition, Told>, Error> {
        let begun = Instant::now();
        let timeout = self.shared.settings.api_timeout;
        let mut asked: Vec<(&TopicPartition, Pending<Told>)> = Vec::new();
        let mut state = self.shared.state();
        if state.is_over {
            return Err(Error::closed("consumer"));
        }
        for (partition, timestamp) in wanted {
            let (promise, waiting) = pending();
            let (what, whose) = (What::OffsetOf(*timestamp), Whose::Caller(promise));
            let inquiry = Inquiry::new(partition.clone(), what, whose);
            state.inquiries.push(Inquiry { deadline: Some(begun + timeout), ..inquiry });
            asked.push((partition, waiting));
        }
        drop(state);
        self.wake();
        let mut all = BTreeMap::new();
        for (partition, waiting) in asked {
            let left = timeout.saturating_sub(begun.elapsed()) + GRACE;
            let told = waiting.wait_for(left).map_err(|error| error.of(partition))?;
            all.insert(partition.clone(), told);
        }
        Ok(all)
    }
}

/// The client's thread has the time to say why there was no answer.
const GRACE: Duration = Duration::from_secs(1);

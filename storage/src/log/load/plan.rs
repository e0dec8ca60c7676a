//! Deciding, before any segment of a log is changed, which are to be recovered, and whether what
//! they hold allows it. Only what a cleaning or a removal had left half done was finished before.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Loader, OpenLogError};
use crate::error::StorageError;
use crate::log::damage::{Cut, GoodBatch, LogDamage, Recovery};
use crate::producer_state::snapshots::Shutdown;
use crate::segment::{Segment, Sound};

/// Segments to be recovered by their base offsets, each with the byte up to which its batches were
/// summed already.
pub(super) type Plan = BTreeMap<i64, u64>;

impl Loader<'_> {
    /// Which segments to recover: after a crash those from the recovery point on, and always those
    /// in `unindexed`. What was durable in them is checked.
    pub(super) fn plan(
        &self,
        unindexed: &[i64],
        recovery: &Recovery<'_>,
    ) -> Result<Plan, OpenLogError> {
        let durable_to = match recovery.cut {
            Cut::AboveRecoveryPoint => self.open.recovery_point,
            Cut::TornEndFrom(offset) => offset.max(self.open.recovery_point),
        };
        let mut plan = Plan::new();
        for (n, segment) in self.segments.iter().enumerate() {
            let base_offset = segment.base_offset();
            let is_last = n + 1 == self.segments.len();
            let is_due = base_offset >= self.recovery_base()
                || unindexed.contains(&base_offset)
                || is_last && !self.ends_well(segment, durable_to)?;
            if is_due {
                let later = &self.segments[n + 1..];
                plan.insert(base_offset, self.check(segment, later, durable_to, recovery)?);
            }
        }
        if self.segments.is_empty() && self.is_lost(0, self.open.recovery_point) {
            let problem = format!("no segment is here, records up to {durable_to} expected");
            return Err(OpenLogError::damaged(LogDamage {
                path: self.open.dir.clone(),
                position: 0,
                problem,
                good_to: None,
                next_good: None,
                is_searched: true,
                durable_to: Some(durable_to),
            }));
        }
        Ok(plan)
    }

    /// The base offset of the first segment that a crash leaves in doubt.
    pub(super) fn recovery_base(&self) -> i64 {
        self.recovery_base_of(self.segments.iter().map(|segment| segment.base_offset()))
    }

    /// The same, of segments with these base offsets.
    pub(super) fn recovery_base_of(&self, bases: impl DoubleEndedIterator<Item = i64>) -> i64 {
        if self.open.after == Shutdown::Clean {
            return i64::MAX;
        }
        bases.rev().find(|base| *base <= self.open.recovery_point).unwrap_or(0)
    }

    /// Whether records from `good_to` on were durable and are above the log start.
    fn is_lost(&self, good_to: i64, durable_to: i64) -> bool {
        good_to.max(self.open.log_start_offset) < durable_to
    }

    /// Whether the last segment of a log ends as one that was closed in order: a torn batch there
    /// would be in the way of all that is appended.
    fn ends_well(&self, last: &Arc<Segment>, durable_to: i64) -> Result<bool, StorageError> {
        match last.read_end() {
            Ok((next_offset, end)) => {
                Ok(end == last.size() && !self.is_lost(next_offset, durable_to))
            }
            Err(StorageError::Corrupt { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Checks what was durable of a segment. Returns up to which byte it was summed.
    fn check(
        &self,
        segment: &Segment,
        later: &[Arc<Segment>],
        durable_to: i64,
        recovery: &Recovery<'_>,
    ) -> Result<u64, OpenLogError> {
        let all = matches!(recovery.cut, Cut::TornEndFrom(_));
        if segment.base_offset() >= durable_to && !all {
            return Ok(0);
        }
        let up_to = if all { i64::MAX } else { durable_to };
        let sound = segment.check_up_to(up_to, recovery.on_bytes)?;
        let is_followed = later.iter().any(|segment| segment.size() > 0);
        let is_more_than_torn = sound.is_more_than_torn(durable_to, is_followed);
        let Sound { position, next_offset, problem, next_good, is_searched } = sound;
        let is_lost = self.is_lost(next_offset, durable_to);
        let problem = match problem {
            Some(problem) if is_lost || all && is_more_than_torn => problem,
            // A log may also end before what a snapshot of it stands for.
            None if is_lost && later.is_empty() && !all => {
                format!("the log ends here with offset {next_offset}, {durable_to} expected")
            }
            _ => return Ok(position),
        };
        let next_good =
            next_good.map(|(base_offset, position)| GoodBatch { base_offset, position });
        Err(OpenLogError::damaged(LogDamage {
            path: segment.path(),
            position,
            problem,
            good_to: Some(next_offset),
            next_good,
            is_searched,
            durable_to: Some(durable_to),
        }))
    }
}

//! When each record is due.

use std::time::{Duration, Instant};

/// A schedule of evenly spaced records, or none.
///
/// A latency is counted from the time that a record was due. Counted from when it was sent, those
/// that wait behind a slow one would not show (coordinated omission).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    start: Instant,
    /// Records a second; `None` for as many as there can be.
    throughput: Option<f64>,
}

impl Pace {
    pub(crate) fn new(start: Instant, throughput: Option<f64>) -> Self {
        Self { start, throughput: throughput.filter(|rate| rate.is_finite() && *rate > 0.0) }
    }

    /// When the record of this number is due; `None` when it is as soon as can be.
    pub(crate) fn due(&self, index: u64) -> Option<Instant> {
        let seconds = index as f64 / self.throughput?;
        let after = Duration::try_from_secs_f64(seconds).ok()?;
        self.start.checked_add(after)
    }

    /// How long to wait for it, and the time that its latency is counted from.
    pub(crate) fn wait(&self, index: u64, now: Instant) -> (Duration, Instant) {
        match self.due(index) {
            Some(due) => (due.saturating_duration_since(now), due),
            None => (Duration::ZERO, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_due_evenly_whatever_happens() {
        let start = Instant::now();
        let pace = Pace::new(start, Some(1000.0));
        assert_eq!(pace.wait(0, start), (Duration::ZERO, start));
        let due = start + Duration::from_millis(5);
        assert_eq!(pace.wait(5, start), (Duration::from_millis(5), due));
        // One that comes late was due no later for it.
        assert_eq!(pace.wait(5, start + Duration::from_secs(3)), (Duration::ZERO, due));
    }

    #[test]
    fn without_a_rate_a_record_is_due_when_it_comes() {
        let start = Instant::now();
        for none in [None, Some(0.0), Some(-1.0), Some(f64::NAN), Some(f64::INFINITY)] {
            let now = start + Duration::from_secs(1);
            assert_eq!(Pace::new(start, none).wait(9, now), (Duration::ZERO, now));
        }
        // A time that no clock can tell is no wait.
        let pace = Pace::new(start, Some(f64::MIN_POSITIVE));
        assert_eq!(pace.wait(u64::MAX, start), (Duration::ZERO, start));
    }
}

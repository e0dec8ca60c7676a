//! Counts and latencies while they come.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use ottla_client::Error;

/// Latencies in µs, to three digits, up to [`LATENCY_MAX_US`].
pub(crate) type Latencies = Histogram<u64>;

/// An hour: no delivery takes longer, and what does is counted as this.
const LATENCY_MAX_US: u64 = 3_600_000_000;

/// What was done by some time.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) failed: u64,
    pub(crate) latencies: Latencies,
}

impl Counts {
    pub(crate) fn new() -> Self {
        let latencies = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3);
        let latencies = latencies.expect("these bounds are valid");
        Self { records: 0, bytes: 0, failed: 0, latencies }
    }

    fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.failed += other.failed;
        self.latencies.add(&other.latencies).expect("both have the same bounds");
    }

    fn clear(&mut self) {
        (self.records, self.bytes, self.failed) = (0, 0, 0);
        self.latencies.reset();
    }
}

/// Takes results from any thread, without allocating for them.
#[derive(Debug)]
pub(crate) struct Meter {
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Since the last interval ended.
    interval: Counts,
    /// Before it.
    before: Counts,
    first_error: Option<Error>,
    last_done: Instant,
}

/// What was done since the interval before.
#[derive(Debug)]
pub(crate) struct Interval {
    pub(crate) counts: Counts,
}

impl Meter {
    pub(crate) fn new(start: Instant) -> Self {
        let (interval, before) = (Counts::new(), Counts::new());
        let state = State { interval, before, first_error: None, last_done: start };
        Self { start, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts records that were done now. `since`: when the latency of each began, if it has one.
    pub(crate) fn done(&self, records: u64, bytes: u64, since: Option<Instant>, now: Instant) {
        let mut state = self.state();
        state.interval.records += records;
        state.interval.bytes += bytes;
        state.last_done = now;
        if let Some(since) = since {
            let micros = now.saturating_duration_since(since).as_micros();
            let micros = u64::try_from(micros).unwrap_or(u64::MAX).max(1);
            state.interval.latencies.saturating_record_n(micros, records);
        }
    }

    /// Counts a record that failed.
    pub(crate) fn failed(&self, error: Error) {
        let mut state = self.state();
        state.interval.failed += 1;
        state.first_error.get_or_insert(error);
    }

    /// How many records were done.
    pub(crate) fn records(&self) -> u64 {
        let state = self.state();
        state.before.records + state.interval.records
    }

    /// Ends an interval.
    pub(crate) fn interval(&self) -> Interval {
        let mut state = self.state();
        let State { interval, before, .. } = &mut *state;
        before.add(interval);
        let counts = interval.clone();
        interval.clear();
        Interval { counts }
    }

    /// All of it, the time up to the last record, and the first error.
    pub(crate) fn total(&self) -> (Counts, Duration, Option<Error>) {
        self.interval();
        let state = self.state();
        let took = state.last_done.saturating_duration_since(self.start);
        (state.before.clone(), took, state.first_error.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_add_up() {
        let start = Instant::now();
        let meter = Meter::new(start);
        let at = |ms| start + Duration::from_millis(ms);
        meter.done(1, 100, Some(at(0)), at(2));
        meter.done(3, 300, Some(at(4)), at(8));
        let first = meter.interval();
        assert_eq!((first.counts.records, first.counts.bytes, meter.records()), (4, 400, 4));
        assert_eq!(first.counts.latencies.len(), 4);
        meter.done(1, 1, None, at(10));
        let second = meter.interval();
        assert_eq!((second.counts.records, meter.records()), (1, 5));
        assert!(second.counts.latencies.is_empty());
        let (total, took, error) = meter.total();
        assert_eq!((total.records, total.bytes, total.failed), (5, 401, 0));
        assert_eq!((took, error.is_none()), (Duration::from_millis(10), true));
        let p50 = total.latencies.value_at_quantile(0.5);
        assert!((4000..=4003).contains(&p50), "{p50}");
    }

    #[test]
    fn a_latency_out_of_bounds_is_counted_all_the_same() {
        let start = Instant::now();
        let meter = Meter::new(start);
        // A clock that other threads read may seem to go back a little.
        meter.done(1, 1, Some(start + Duration::from_secs(1)), start);
        meter.done(1, 1, Some(start), start + Duration::from_secs(100_000));
        let (total, ..) = meter.total();
        assert_eq!((total.latencies.len(), total.latencies.min()), (2, 1));
        assert!(total.latencies.max() >= LATENCY_MAX_US);
    }
}

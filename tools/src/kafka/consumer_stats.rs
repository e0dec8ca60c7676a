//! What `kafka-consumer-perf-test` counts and prints.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use ottla_client::TopicPartition;

use super::java::fixed;

const MIB: f64 = (1 << 20) as f64;

/// What has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) records: u64,
    /// Of keys and values.
    pub(super) bytes: u64,
}

impl Totals {
    fn mib(self) -> f64 {
        self.bytes as f64 / MIB
    }

    /// The row at the end. `joined` of the time was spent on joining the group.
    pub(super) fn row(self, times: &[String; 2], took: Duration, joined: Duration) -> String {
        let (seconds, joined_ms) = (millis(took) as f64 / 1000.0, millis(joined));
        let fetch_ms = millis(took) - joined_ms;
        let fetch_seconds = fetch_ms as f64 / 1000.0;
        let (mib, records) = (self.mib(), self.records as f64);
        format!(
            "{}, {}, {}, {}, {}, {}, {joined_ms}, {fetch_ms}, {}, {}\n",
            times[0],
            times[1],
            fixed(mib, 4),
            fixed(mib / seconds, 4),
            self.records,
            fixed(records / seconds, 4),
            fixed(mib / fetch_seconds, 4),
            fixed(records / fetch_seconds, 4),
        )
    }
}

/// A row from time to time.
#[derive(Debug)]
pub(super) struct Interval {
    start: Instant,
    every: Duration,
    /// What had come when the last one was printed.
    before: Totals,
}

impl Interval {
    pub(super) fn new(start: Instant, every: Duration) -> Self {
        Self { start, every, before: Totals::default() }
    }

    /// How long it was, if it is over; another begins.
    pub(super) fn end(&mut self, now: Instant) -> Option<Duration> {
        let took = now.saturating_duration_since(self.start);
        if took < self.every {
            return None;
        }
        self.start = now;
        Some(took)
    }

    /// The row without its time.
    pub(super) fn row(&mut self, totals: Totals, took: Duration, joined: Duration) -> String {
        let records = (totals.records - self.before.records) as f64;
        let mib = (totals.bytes - self.before.bytes) as f64 / MIB;
        self.before = totals;
        let (took_ms, joined_ms) = (millis(took), millis(joined));
        let fetch_ms = took_ms - joined_ms;
        let a_second = |count: f64, ms: i64| fixed(1000.0 * count / ms as f64, 4);
        let fetched = |count| a_second(if fetch_ms <= 0 { 0.0 } else { count }, fetch_ms.max(1));
        format!(
            "{}, {}, {}, {}, {joined_ms}, {fetch_ms}, {}, {}\n",
            fixed(totals.mib(), 4),
            a_second(mib, took_ms),
            totals.records,
            a_second(records, took_ms),
            fetched(mib),
            fetched(records),
        )
    }
}

/// How long a member was without partitions until it got some.
#[derive(Debug)]
pub(super) struct JoinTime {
    since: Instant,
    assigned: HashSet<TopicPartition>,
    total: Duration,
    /// Of the total, what was told by [`JoinTime::since_last`].
    told: Duration,
}

impl JoinTime {
    pub(super) fn new(start: Instant) -> Self {
        let (total, told) = (Duration::ZERO, Duration::ZERO);
        Self { since: start, assigned: HashSet::new(), total, told }
    }

    pub(super) fn assigned(&mut self, partitions: &[TopicPartition], now: Instant) {
        if self.assigned.is_empty() {
            self.total += now.saturating_duration_since(self.since);
            // A group may say several times that there are none.
            self.since = now;
        }
        self.assigned.extend(partitions.iter().cloned());
    }

    pub(super) fn revoked(&mut self, partitions: &[TopicPartition], now: Instant) {
        for partition in partitions {
            self.assigned.remove(partition);
        }
        if self.assigned.is_empty() {
            self.since = now;
        }
    }

    pub(super) fn total(&self) -> Duration {
        self.total
    }

    /// What has come to it since this was last called.
    pub(super) fn since_last(&mut self) -> Duration {
        let since = self.total - self.told;
        self.told = self.total;
        since
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn rates_are_of_all_the_time_and_of_that_without_joining() {
        let totals = Totals { records: 1000, bytes: 1 << 20 };
        let times = ["a", "b"].map(str::to_owned);
        assert_eq!(
            totals.row(&times, ms(2000), ms(1500)),
            "a, b, 1.0000, 0.5000, 1000, 500.0000, 1500, 500, 2.0000, 2000.0000\n"
        );
        let none = Totals::default().row(&times, ms(2), ms(2));
        assert_eq!(none, "a, b, 0.0000, 0.0000, 0, 0.0000, 2, 0, NaN, NaN\n");
    }

    #[test]
    fn an_interval_is_what_came_in_it() {
        let start = Instant::now();
        let mut interval = Interval::new(start, ms(1000));
        assert_eq!(interval.end(start + ms(999)), None);
        let took = interval.end(start + ms(2000)).unwrap();
        let totals = Totals { records: 10, bytes: 1 << 20 };
        let row = interval.row(totals, took, ms(1000));
        assert_eq!(row, "1.0000, 0.5000, 10, 5.0000, 1000, 1000, 1.0000, 10.0000\n");
        let took = interval.end(start + ms(3000)).unwrap();
        let totals = Totals { records: 30, bytes: 3 << 20 };
        let row = interval.row(totals, took, ms(1001));
        assert_eq!(row, "3.0000, 2.0000, 30, 20.0000, 1001, -1, 0.0000, 0.0000\n");
    }

    #[test]
    fn joining_is_the_time_without_partitions() {
        let start = Instant::now();
        let mut time = JoinTime::new(start);
        let partitions = [0, 1].map(|index| TopicPartition::new("t", index));
        time.assigned(&partitions[..1], start + ms(10));
        time.assigned(&partitions[1..], start + ms(20));
        assert_eq!((time.total(), time.since_last()), (ms(10), ms(10)));
        time.revoked(&partitions[..1], start + ms(30));
        time.revoked(&partitions[1..], start + ms(40));
        time.assigned(&[], start + ms(45));
        time.assigned(&partitions, start + ms(50));
        assert_eq!((time.total(), time.since_last()), (ms(20), ms(10)));
        assert_eq!(time.since_last(), Duration::ZERO);
    }
}

//! What `kafka-producer-perf-test` counts and prints.

use std::time::{Duration, Instant};

use super::java::fixed;
use crate::flow::perf::meter::Counts;

const MIB: f64 = (1 << 20) as f64;
const QUANTILES: [(&str, f64); 4] =
    [("50th", 0.5), ("95th", 0.95), ("99th", 0.99), ("99.9th", 0.999)];

/// Records that were acknowledged, of the whole test or of its steady state.
#[derive(Debug)]
pub(super) struct Stats {
    start: Instant,
    every: Duration,
    is_steady: bool,
    /// Another prints instead.
    is_quiet: bool,
    counts: Counts,
    latency_us: Sum,
    window: Window,
}

/// Since the last line was printed.
#[derive(Debug)]
struct Window {
    start: Instant,
    records: u64,
    bytes: u64,
    latency_us: Sum,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    all: u64,
    max: u64,
}

impl Sum {
    fn add(&mut self, micros: u64) {
        self.all = self.all.saturating_add(micros);
        self.max = self.max.max(micros);
    }

    /// ms: the mean of so many, and the longest.
    fn millis(self, records: u64) -> (f64, f64) {
        (self.all as f64 / records as f64 / 1000.0, self.max as f64 / 1000.0)
    }
}

impl Window {
    fn new(start: Instant) -> Self {
        Self { start, records: 0, bytes: 0, latency_us: Sum::default() }
    }
}

impl Stats {
    pub(super) fn new(start: Instant, every: Duration, is_steady: bool) -> Self {
        let counts = Counts::new();
        let (latency_us, window) = (Sum::default(), Window::new(start));
        Self { start, every, is_steady, is_quiet: false, counts, latency_us, window }
    }

    /// From now on it is printed at the end only.
    pub(super) fn be_quiet(&mut self) {
        self.is_quiet = true;
    }

    /// Counts a record that was sent at `sent` and acknowledged now. What is to be printed, if an
    /// interval is over.
    pub(super) fn done(&mut self, bytes: u64, sent: Instant, now: Instant) -> Option<String> {
        let micros = now.saturating_duration_since(sent).as_micros();
        let micros = u64::try_from(micros).unwrap_or(u64::MAX);
        self.counts.records += 1;
        self.counts.bytes += bytes;
        self.counts.latencies.saturating_record(micros);
        self.latency_us.add(micros);
        self.window.records += 1;
        self.window.bytes += bytes;
        self.window.latency_us.add(micros);
        let took = now.saturating_duration_since(self.window.start);
        if took < self.every {
            return None;
        }
        let is_first = self.window.records == self.counts.records;
        let window = std::mem::replace(&mut self.window, Window::new(now));
        if self.is_quiet {
            return None;
        }
        let front = if self.is_steady && is_first { "In steady state.\n" } else { "" };
        Some(format!("{front}{}", window.line(took)))
    }

    /// The last line.
    pub(super) fn total(&self, now: Instant) -> String {
        let Counts { records, bytes, latencies, .. } = &self.counts;
        let seconds = now.saturating_duration_since(self.start).as_secs_f64();
        let (mean, max) = self.latency_us.millis(*records);
        let mut text = format!(
            "{records}{} records sent, {} records/sec ({} MB/sec), {} ms avg latency, {} ms max \
             latency",
            if self.is_steady { " steady state" } else { "" },
            fixed(*records as f64 / seconds, 6),
            fixed(*bytes as f64 / MIB / seconds, 2),
            fixed(mean, 2),
            fixed(max, 2),
        );
        // Each is the first above so many, as the tool takes it.
        let mut above = latencies
            .iter_recorded()
            .map(|step| (step.count_since_last_iteration(), step.value_iterated_to()));
        let (mut seen, mut micros) = (0, 0);
        for (name, quantile) in QUANTILES {
            let before = (quantile * *records as f64) as u64;
            while seen <= before
                && let Some((count, value)) = above.next()
            {
                seen += count;
                micros = value.min(self.latency_us.max);
            }
            text += &format!(", {} ms {name}", micros / 1000);
        }
        text + ".\n"
    }
}

impl Window {
    fn line(&self, took: Duration) -> String {
        let seconds = took.as_secs_f64();
        let (mean, max) = self.latency_us.millis(self.records);
        format!(
            "{} records sent, {} records/sec ({} MB/sec), {} ms avg latency, {} ms max latency.\n",
            self.records,
            fixed(self.records as f64 / seconds, 1),
            fixed(self.bytes as f64 / MIB / seconds, 2),
            fixed(mean, 1),
            fixed(max, 1),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(1);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_line_is_printed_when_an_interval_is_over() {
        let start = Instant::now();
        let mut stats = Stats::new(start, EVERY, false);
        assert_eq!(stats.done(1 << 20, start, start + ms(10)), None);
        assert_eq!(
            stats.done(1 << 20, start + ms(970), start + ms(1000)).unwrap(),
            "2 records sent, 2.0 records/sec (2.00 MB/sec), 20.0 ms avg latency, 30.0 ms max \
             latency.\n"
        );
        assert_eq!(stats.done(0, start, start + ms(1999)), None, "another has begun");
        assert_eq!(
            stats.total(start + ms(2000)),
            "3 records sent, 1.500000 records/sec (1.00 MB/sec), 679.67 ms avg latency, 1999.00 ms \
             max latency, 30 ms 50th, 1999 ms 95th, 1999 ms 99th, 1999 ms 99.9th.\n"
        );
    }

    #[test]
    fn the_steady_state_is_announced_once_and_the_whole_is_silent() {
        let start = Instant::now();
        let [mut whole, mut steady] = [false, true].map(|steady| Stats::new(start, EVERY, steady));
        whole.be_quiet();
        assert_eq!(whole.done(1, start, start + EVERY), None);
        let first = steady.done(1, start, start + EVERY).unwrap();
        assert!(first.starts_with("In steady state.\n1 records sent, "), "{first}");
        let second = steady.done(1, start, start + EVERY * 2).unwrap();
        assert!(second.starts_with("1 records sent, "), "{second}");
        let total = steady.total(start + EVERY * 2);
        assert!(total.starts_with("2 steady state records sent, 1.000000 records/sec"), "{total}");
    }

    #[test]
    fn percentiles_are_those_of_a_sorted_list() {
        let start = Instant::now();
        let mut stats = Stats::new(start, EVERY, false);
        for n in 1..=100 {
            stats.done(1, start, start + ms(n));
        }
        let total = stats.total(start + EVERY);
        assert!(
            total.ends_with("51 ms 50th, 96 ms 95th, 100 ms 99th, 100 ms 99.9th.\n"),
            "{total}"
        );
    }

    #[test]
    fn nothing_sent_has_no_mean() {
        let start = Instant::now();
        assert_eq!(
            Stats::new(start, EVERY, false).total(start + EVERY),
            "0 records sent, 0.000000 records/sec (0.00 MB/sec), NaN ms avg latency, 0.00 ms max \
             latency, 0 ms 50th, 0 ms 95th, 0 ms 99th, 0 ms 99.9th.\n"
        );
    }
}

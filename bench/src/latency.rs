//! Times that were waited.

use std::io;
use std::time::Instant;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// How often what was waited, in nanoseconds to three digits.
pub(crate) struct Latency(Histogram<u64>);

impl Latency {
    pub(crate) fn new() -> io::Result<Self> {
        Histogram::new(3).map(Self).map_err(io::Error::other)
    }

    /// So many waited from `due` to `now`.
    pub(crate) fn record(&mut self, due: Instant, now: Instant, count: u64) -> io::Result<()> {
        let waited = now.saturating_duration_since(due).as_nanos() as u64;
        self.0.record_n(waited.max(1), count).map_err(io::Error::other)
    }

    /// Adds percentiles to the figures, in milliseconds, as `{prefix}p99_ms`.
    pub(crate) fn tell(&self, prefix: &str, figures: &mut Value) {
        for (name, percentile) in [("p50", 50.0), ("p99", 99.0), ("p999", 99.9), ("max", 100.0)] {
            figures[format!("{prefix}{name}_ms")] = json!(self.ms(percentile));
        }
    }

    /// What so many of a hundred did not wait longer than, milliseconds.
    pub(crate) fn ms(&self, percentile: f64) -> f64 {
        self.0.value_at_percentile(percentile) as f64 / 1e6
    }
}

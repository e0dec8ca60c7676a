//! How far a load of all logs is.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counted up by the threads that open logs, and read by whoever wants to tell.
#[derive(Debug, Default)]
pub struct LoadProgress {
    logs_total: AtomicU64,
    logs_done: AtomicU64,
    bytes_total: AtomicU64,
    bytes_done: AtomicU64,
}

/// A load's progress at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Logs found so far.
    pub logs_total: u64,
    /// Logs opened.
    pub logs_done: u64,
    /// Bytes that a crash has left to be checked.
    pub bytes_total: u64,
    /// How many of them are.
    pub bytes_done: u64,
}

impl LoadProgress {
    /// The counts now.
    pub fn now(&self) -> Loaded {
        Loaded {
            logs_total: self.logs_total.load(Ordering::Relaxed),
            logs_done: self.logs_done.load(Ordering::Relaxed),
            bytes_total: self.bytes_total.load(Ordering::Relaxed),
            bytes_done: self.bytes_done.load(Ordering::Relaxed),
        }
    }

    pub(super) fn found(&self, logs: u64, bytes: u64) {
        self.logs_total.fetch_add(logs, Ordering::Relaxed);
        self.bytes_total.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn opened_one(&self) {
        self.logs_done.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn checked(&self, bytes: u64) {
        self.bytes_done.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Loaded {
    /// One line for the log, `elapsed_ms` after the load began. What remains is guessed from what
    /// was done.
    pub fn line(&self, elapsed_ms: u64) -> String {
        let Self { logs_total, logs_done, bytes_total, bytes_done } = *self;
        let mut line = format!("{logs_done} of {logs_total} logs opened");
        if bytes_total == 0 {
            return line;
        }
        let percent = (bytes_done.saturating_mul(100) / bytes_total).min(100);
        line += &format!(
            ", {} of {} checked ({percent} %)",
            bytes_text(bytes_done),
            bytes_text(bytes_total)
        );
        if elapsed_ms > 0 {
            let gib_per_s = bytes_done as f64 / (1_u64 << 30) as f64 / elapsed_ms as f64 * 1000.0;
            line += &format!(", {gib_per_s:.2} GiB/s");
        }
        let left = bytes_total.saturating_sub(bytes_done);
        if bytes_done > 0 && left > 0 {
            let left_ms = u128::from(left) * u128::from(elapsed_ms) / u128::from(bytes_done);
            line += &format!(", about {} s left", left_ms.div_ceil(1000));
        }
        line
    }
}

fn bytes_text(bytes: u64) -> String {
    let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let loaded = |logs_done, bytes_total, bytes_done| Loaded {
            logs_total: 12,
            logs_done,
            bytes_total,
            bytes_done,
        };
        let gib = 1_u64 << 30;
        let table = [
            (loaded(0, 0, 0), 0, "0 of 12 logs opened"),
            (loaded(12, 0, 0), 5000, "12 of 12 logs opened"),
            (loaded(0, gib, 0), 0, "0 of 12 logs opened, 0 B of 1.0 GiB checked (0 %)"),
            (
                loaded(3, 10 * gib, 5 * gib / 2),
                2500,
                "3 of 12 logs opened, 2.5 GiB of 10.0 GiB checked (25 %), 1.00 GiB/s, about 8 s \
                 left",
            ),
            (
                loaded(12, 3 << 20, 3 << 20),
                1,
                "12 of 12 logs opened, 3.0 MiB of 3.0 MiB checked (100 %), 2.93 GiB/s",
            ),
            (
                loaded(1, 100, 200),
                1,
                "1 of 12 logs opened, 200 B of 100 B checked (100 %), 0.00 GiB/s",
            ),
        ];
        for (loaded, elapsed_ms, expected) in table {
            assert_eq!(loaded.line(elapsed_ms), expected);
        }
    }
}

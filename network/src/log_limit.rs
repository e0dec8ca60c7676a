//! One log line a second about what peers do, so that they cannot fill the log.

use std::sync::Mutex;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_secs(1);

/// Lets one line per interval through and counts the others.
#[derive(Debug, Default)]
pub(crate) struct LogLimit {
    last: Mutex<(Option<Instant>, u64)>,
}

impl LogLimit {
    /// Logs `text` as a warning, unless there was one just now.
    pub(crate) fn warn(&self, text: &str) {
        if let Some(left_out) = self.admit(Instant::now()) {
            match left_out {
                0 => log::warn!("{text}"),
                _ => log::warn!("{text} ({left_out} lines like this left out)"),
            }
        }
    }

    /// How many lines were left out since the last; `None` when this one is to be left out too.
    fn admit(&self, now: Instant) -> Option<u64> {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.0.is_some_and(|then| now.saturating_duration_since(then) < INTERVAL) {
            last.1 += 1;
            return None;
        }
        last.0 = Some(now);
        Some(std::mem::take(&mut last.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_an_interval() {
        let (limit, start) = (LogLimit::default(), Instant::now());
        assert_eq!(limit.admit(start), Some(0));
        assert_eq!(limit.admit(start), None);
        assert_eq!(limit.admit(start + INTERVAL / 2), None);
        assert_eq!(limit.admit(start + INTERVAL), Some(2));
    }
}

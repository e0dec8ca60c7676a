//! Brokers that take nothing although something is to be sent to them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Since when each of them takes nothing.
#[derive(Debug, Default)]
pub(super) struct Blocked {
    since: HashMap<i32, Instant>,
}

impl Blocked {
    /// Notes whether a broker left something that was to be sent to it.
    pub(super) fn note(&mut self, broker: i32, has_left: bool, now: Instant) {
        if has_left {
            self.since.entry(broker).or_insert(now);
        } else {
            self.since.remove(&broker);
        }
    }

    /// Whether partitions of the broker count as unavailable: it has taken nothing for `timeout`,
    /// and that is not zero.
    pub(super) fn is_unavailable(&self, broker: i32, timeout: Duration, now: Instant) -> bool {
        let since = self.since.get(&broker);
        !timeout.is_zero() && since.is_some_and(|&since| since + timeout <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_unavailable_after_the_time_for_it() {
        let (start, timeout) = (Instant::now(), Duration::from_millis(100));
        let at = |ms| start + Duration::from_millis(ms);
        let mut blocked = Blocked::default();
        blocked.note(1, true, at(0));
        blocked.note(1, true, at(90));
        blocked.note(2, true, at(90));
        assert!(!blocked.is_unavailable(1, timeout, at(99)));
        assert!(blocked.is_unavailable(1, timeout, at(100)));
        assert!(!blocked.is_unavailable(2, timeout, at(100)));
        assert!(!blocked.is_unavailable(3, timeout, at(100)));
        assert!(!blocked.is_unavailable(1, Duration::ZERO, at(100)));
        blocked.note(1, false, at(110));
        blocked.note(1, true, at(120));
        assert!(!blocked.is_unavailable(1, timeout, at(219)));
        assert!(blocked.is_unavailable(1, timeout, at(220)));
    }
}

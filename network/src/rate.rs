//! How many connections may be accepted a second. Performs no I/O and reads no clock.

/// What may be accepted at once after a quiet time, in seconds' worth of the rate. Kafka measures
/// the rate over this time, too.
const BURST_NS: u64 = 10_000_000_000;

/// A rate and what was made use of it lately.
#[derive(Debug)]
pub(crate) struct RateLimit {
    /// What one connection costs, ns: the inverse of the rate. 0 is no limit.
    cost_ns: u64,
    /// When all that was accepted is paid for.
    paid_ns: u64,
}

impl RateLimit {
    /// A limit of `per_second`; at 0 one connection every ten seconds comes through, so that
    /// somebody can still come and change it.
    pub(crate) fn new(per_second: u32) -> RateLimit {
        RateLimit { cost_ns: cost_ns(per_second), paid_ns: 0 }
    }

    /// Changes the limit. What was accepted lately counts under the new one.
    pub(crate) fn set(&mut self, per_second: u32, now_ns: u64) {
        let cost_ns = cost_ns(per_second);
        let debt_ns = u128::from(self.paid_ns.saturating_sub(now_ns));
        let scaled = debt_ns * u128::from(cost_ns) / u128::from(self.cost_ns.max(1));
        let scaled = u64::try_from(scaled).unwrap_or(u64::MAX).min(BURST_NS);
        *self = RateLimit { cost_ns, paid_ns: now_ns.saturating_add(scaled) };
    }

    /// When the next connection may be accepted: not after `now_ns` if at once.
    pub(crate) fn next_ns(&self, now_ns: u64) -> u64 {
        let paid_ns = self.paid_ns.max(now_ns).saturating_add(self.cost_ns);
        paid_ns.saturating_sub(BURST_NS)
    }

    /// A connection was accepted.
    pub(crate) fn count(&mut self, now_ns: u64) {
        self.paid_ns = self.paid_ns.max(now_ns).saturating_add(self.cost_ns);
    }
}

fn cost_ns(per_second: u32) -> u64 {
    match per_second {
        0 => BURST_NS,
        // Kafka's largest number means no limit.
        rate if i32::MAX as u32 <= rate => 0,
        rate => 1_000_000_000 / u64::from(rate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Accepts as early as allowed from `from_ns` until `to_ns`; tells how many.
    fn accept(limit: &mut RateLimit, from_ns: u64, to_ns: u64) -> usize {
        let (mut now_ns, mut accepted) = (from_ns, 0);
        loop {
            now_ns = now_ns.max(limit.next_ns(now_ns));
            if to_ns <= now_ns {
                return accepted;
            }
            limit.count(now_ns);
            accepted += 1;
        }
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut limit = RateLimit::new(5);
        assert_eq!(accept(&mut limit, 100 * SECOND, 100 * SECOND + 1), 50);
        assert_eq!(accept(&mut limit, 100 * SECOND, 120 * SECOND), 99);
        assert_eq!(accept(&mut limit, 300 * SECOND, 300 * SECOND + 1), 50, "forgotten");
    }

    #[test]
    fn no_limit_and_none_let_in() {
        let limit = RateLimit::new(i32::MAX as u32);
        assert_eq!(limit.next_ns(0), 0);
        let mut limit = RateLimit::new(0);
        assert_eq!(accept(&mut limit, 0, 60 * SECOND), 6);
    }

    #[test]
    fn a_change_keeps_what_was_accepted_in_mind() {
        let mut limit = RateLimit::new(10);
        assert_eq!(accept(&mut limit, 0, 1), 100);
        limit.set(20, 0);
        assert_eq!(accept(&mut limit, 0, 1), 100, "200 in ten seconds now");
        limit.set(1, 0);
        assert_eq!(accept(&mut limit, 0, 10 * SECOND), 9);
        limit.set(i32::MAX as u32, 10 * SECOND);
        assert!(limit.next_ns(10 * SECOND) <= 10 * SECOND);
        limit.set(5, 10 * SECOND);
        assert_eq!(accept(&mut limit, 10 * SECOND, 10 * SECOND + 1), 50);
    }
}

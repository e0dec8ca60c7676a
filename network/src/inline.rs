//! Decides which requests a Processor serves itself. Performs no I/O and reads no clock.
//!
//! Handing a request over and its answer back costs two thread switches, which is as much as a
//! small request itself. Serving it on the Processor costs the Processor's other connections the
//! time that it takes. So it is right as long as that time is short, and wrong as soon as the
//! service blocks, say on a disk that stalls.

use crate::config::InlinePolicy;

/// What inline calls of one turn may take together before the rest is handed over, ns: the order of
/// what a hand-over delays a request anyway.
const TURN_NS: u64 = 200_000;
/// When calls take longer than this on average, the service blocks, ns.
const SLOW_NS: u64 = 1_000_000;
/// One call counts for no more in the average, ns: a thread that had to wait for a core is not yet
/// a slow service.
const SAMPLE_NS_MAX: u64 = 6_000_000;
/// How long everything is handed over then, ms: a disk that stalls costs the Processor's
/// connections two of its writes a second at most.
const SLOW_SPELL_MS: u64 = 1000;

/// What the policy has seen.
#[derive(Debug)]
pub(crate) struct Inline {
    policy: InlinePolicy,
    /// What calls take usually, ns; an average that forgets.
    usual_ns: u64,
    /// Until when all is handed over, ms since the server's start.
    slow_until_ms: u64,
}

/// What one turn of a Processor has brought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// Requests that wait to be served.
    pub(crate) calls: usize,
    /// Whether there is nothing else to do, as far as anyone knows.
    pub(crate) alone: bool,
    /// Milliseconds since the server's start.
    pub(crate) now_ms: u64,
}

impl Inline {
    pub(crate) fn new(policy: InlinePolicy) -> Inline {
        Inline { policy, usual_ns: 0, slow_until_ms: 0 }
    }

    /// How many of the turn's requests the Processor serves itself.
    pub(crate) fn share(&self, turn: Turn) -> usize {
        match self.policy {
            InlinePolicy::Never => 0,
            InlinePolicy::WhenAlone => usize::from(turn.alone && turn.calls == 1),
            InlinePolicy::WhileQuick if turn.now_ms < self.slow_until_ms => 0,
            InlinePolicy::WhileQuick => {
                let fit = TURN_NS / self.usual_ns.max(1);
                turn.calls.min(usize::try_from(fit).unwrap_or(usize::MAX).max(1))
            }
            InlinePolicy::Always => turn.calls,
        }
    }

    /// Learns that a call took `ns`.
    pub(crate) fn took(&mut self, ns: u64, now_ms: u64) {
        self.usual_ns = (self.usual_ns * 7 + ns.min(SAMPLE_NS_MAX)) / 8;
        if self.usual_ns > SLOW_NS {
            self.slow_until_ms = now_ms + SLOW_SPELL_MS;
            // One slow call after the spell begins the next, some quick ones forget it.
            self.usual_ns = SLOW_NS * 7 / 8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(calls: usize, now_ms: u64) -> Turn {
        Turn { calls, alone: false, now_ms }
    }

    #[test]
    fn the_simple_policies() {
        let alone = Turn { calls: 1, alone: true, now_ms: 0 };
        for (policy, one_alone, one_of_many) in [
            (InlinePolicy::Never, 0, 0),
            (InlinePolicy::WhenAlone, 1, 0),
            (InlinePolicy::WhileQuick, 1, 9),
            (InlinePolicy::Always, 1, 9),
        ] {
            let inline = Inline::new(policy);
            assert_eq!((inline.share(alone), inline.share(turn(9, 0))), (one_alone, one_of_many));
        }
    }

    #[test]
    fn long_calls_leave_the_rest_to_the_handlers() {
        let mut inline = Inline::new(InlinePolicy::WhileQuick);
        (0..100).for_each(|_| inline.took(20_000, 0));
        assert_eq!(inline.share(turn(100, 0)), 10);
        (0..100).for_each(|_| inline.took(900_000, 0));
        assert_eq!(inline.share(turn(100, 0)), 1, "one is always served");
    }

    #[test]
    fn a_stall_hands_everything_over_for_a_while() {
        let mut inline = Inline::new(InlinePolicy::WhileQuick);
        inline.took(4_000_000, 100);
        assert_eq!(inline.share(turn(3, 100)), 1, "one may be chance");
        (0..30).for_each(|_| inline.took(10_000, 200));
        assert_eq!(inline.share(turn(3, 200)), 3, "and is forgotten");
        (0..3).for_each(|_| inline.took(4_000_000, 500));
        assert_eq!(inline.share(turn(3, 500 + SLOW_SPELL_MS - 1)), 0);
        assert_eq!(inline.share(turn(3, 500 + SLOW_SPELL_MS)), 1, "a probe");
        inline.took(4_000_000, 2000);
        assert_eq!(inline.share(turn(3, 2000)), 0, "still slow");
    }
}

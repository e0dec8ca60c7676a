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
/// How long everything is handed over then at first, ms. A thousand logs that get their files may
/// stall for a moment, and what follows is quick again.
const SPELL_MS_MIN: u64 = 32;
/// How long at most, ms: each spell that follows soon on another is twice as long. A disk that
/// stalls on and on costs the Processor's connections two of its writes a second.
const SPELL_MS_MAX: u64 = 1024;

/// What the policy has seen.
#[derive(Debug)]
pub(crate) struct Inline {
    policy: InlinePolicy,
    /// What calls take usually, ns; an average that forgets.
    usual_ns: u64,
    /// Until when all is handed over, ms since the server's start.
    slow_until_ms: u64,
    /// How long the last such spell was, ms; 0 before the first.
    spell_ms: u64,
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
        Inline { policy, usual_ns: 0, slow_until_ms: 0, spell_ms: 0 }
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
            // Slow calls of the turn that began the spell do not make it longer.
            if now_ms >= self.slow_until_ms {
                let is_soon = now_ms < self.slow_until_ms + self.spell_ms;
                let longer = if is_soon { self.spell_ms * 2 } else { 0 };
                self.spell_ms = longer.clamp(SPELL_MS_MIN, SPELL_MS_MAX);
                self.slow_until_ms = now_ms + self.spell_ms;
            }
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
        assert_eq!(inline.share(turn(3, 500 + SPELL_MS_MIN - 1)), 0);
        assert_eq!(inline.share(turn(3, 500 + SPELL_MS_MIN)), 1, "a probe");
        inline.took(4_000_000, 600);
        assert_eq!(inline.share(turn(3, 600)), 0, "still slow");
    }

    #[test]
    fn a_stall_that_goes_on_is_probed_ever_less() {
        let mut inline = Inline::new(InlinePolicy::WhileQuick);
        let mut probe = |now_ms, ns| {
            let own = inline.share(turn(1, now_ms));
            (0..own).for_each(|_| inline.took(ns, now_ms));
            own
        };
        let probes: Vec<u64> = (0..5000).filter(|ms| probe(*ms, 6_000_000) > 0).collect();
        let lengths: Vec<u64> = probes.windows(2).map(|two| two[1] - two[0]).collect();
        assert_eq!(lengths, [1, 32, 64, 128, 256, 512, 1024, 1024, 1024]);
        // Over for longer than the last spell: the next stall is a new one.
        assert!((6000..9000).all(|ms| probe(ms, 10_000) == 1));
        let probes: Vec<u64> = (9000..9200).filter(|ms| probe(*ms, 6_000_000) > 0).collect();
        assert_eq!(probes, [9000, 9001, 9033, 9097]);
    }
}

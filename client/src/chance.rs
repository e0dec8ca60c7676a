//! Chance, for jitter and for choices that do not matter. Not for secrets.

use std::time::Duration;

/// A stream of numbers (xorshift64*, Vigna 2014).
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// Seeded by the system.
    pub(crate) fn new() -> Self {
        Self::seeded(getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id())))
    }

    /// The same numbers for the same seed.
    pub(crate) fn seeded(seed: u64) -> Self {
        // Zero is the one state that it would not leave.
        Self(seed | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`; 0 for 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        // Of a product's upper half no number is much likelier than others.
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }
}

/// How long to wait before the next attempt: more each time, and never quite the same, so that many
/// clients do not come back at once (Kafka's ExponentialBackoff: doubled each time, 20 % jitter).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    pub(crate) first: Duration,
    pub(crate) max: Duration,
}

impl Backoff {
    /// Before the attempt after `failed` failed ones; none before the first.
    pub(crate) fn after(&self, failed: u32, chance: &mut Chance) -> Duration {
        let Some(doublings) = failed.checked_sub(1) else { return Duration::ZERO };
        let factor = 2u32.saturating_pow(doublings);
        let full = self.first.saturating_mul(factor).min(self.max);
        // 80 to 120 %.
        full.saturating_mul(80 + chance.below(41) as u32) / 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_a_limit() {
        let backoff =
            Backoff { first: Duration::from_millis(100), max: Duration::from_millis(1000) };
        let mut chance = Chance::seeded(7);
        assert_eq!(backoff.after(0, &mut chance), Duration::ZERO);
        for (failed, ms) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1000), (u32::MAX, 1000)] {
            for _ in 0..100 {
                let wait = backoff.after(failed, &mut chance).as_millis();
                assert!(ms * 8 / 10 <= wait && wait <= ms * 12 / 10, "{failed}: {wait}");
            }
        }
    }

    #[test]
    fn all_numbers_below_a_limit_come() {
        let mut chance = Chance::seeded(0);
        let mut seen = [false; 7];
        for _ in 0..1000 {
            seen[chance.below(7)] = true;
        }
        assert_eq!(seen, [true; 7]);
        assert_eq!(chance.below(0), 0);
    }
}

//! Chance from a seed.

/// A source of numbers that are the same for the same seed (SplitMix64).
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        // Neighboring seeds shall have nothing in common.
        let mut chance = Self(seed ^ 0x6a09_e667_f3bc_c909);
        chance.bits();
        chance
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below the limit, which is not 0.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.bits() % limit as u64).unwrap()
    }

    pub(super) fn between(&mut self, from: i64, to: i64) -> i64 {
        from + self.below(usize::try_from(to - from + 1).unwrap()) as i64
    }

    pub(super) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(super) fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// One of the events, each as often as its weight says.
    pub(super) fn weighed<T: Copy>(&mut self, events: &[(usize, T)]) -> T {
        let mut at = self.below(events.iter().map(|(weight, _)| weight).sum());
        for (weight, event) in events {
            if at < *weight {
                return *event;
            }
            at -= weight;
        }
        unreachable!("the weights were summed")
    }
}

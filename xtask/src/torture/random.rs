//! Random numbers that a seed repeats.

/// Xorshift: small, and the same numbers from the same seed everywhere.
#[derive(Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// Any seed is good.
    pub(crate) fn new(seed: u64) -> Random {
        // Seeds next to each other must not begin alike, and 0 would stay 0.
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            random.next();
        }
        random
    }

    /// Another series, for a part that runs beside this one.
    pub(crate) fn fork(&mut self, number: u64) -> Random {
        Random::new(self.next() ^ number.rotate_left(32))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end
    }

    /// True once in so many times.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of a slice that is not empty.
    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        let at = usize::try_from(self.below(list.len() as u64)).unwrap_or(0);
        &list[at]
    }
}

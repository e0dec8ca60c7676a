//! Time and chance, as the broker's rules are given them.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ottla_storage::retention::Moment;

/// The wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl Clock {
    /// Milliseconds since the epoch; 0 on a machine whose clock stands before it.
    pub fn now_ms(self) -> i64 {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
    }

    /// Milliseconds since the first call, on a clock that nobody sets.
    pub fn monotonic_ms(self) -> i64 {
        static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
        i64::try_from(BEGUN.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// Both clocks at once.
    pub fn moment(self) -> Moment {
        Moment { wall_ms: self.now_ms(), monotonic_ms: self.monotonic_ms() }
    }
}

/// The machine's source of random bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entropy;

impl Entropy {
    /// Fresh random bytes.
    ///
    /// # Panics
    /// When the kernel gives none, without which ids would collide.
    pub fn bytes<const N: usize>(self) -> [u8; N] {
        let mut bytes = [0; N];
        getrandom::fill(&mut bytes).expect("the kernel has random bytes");
        bytes
    }

    /// A random word.
    pub fn u32(self) -> u32 {
        u32::from_ne_bytes(self.bytes())
    }
}

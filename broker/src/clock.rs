//! Time and chance, as the broker's rules are given them.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};
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

    /// The wall clock and one that nobody sets, at once. The latter goes on while the machine is
    /// suspended, or each time that a laptop wakes up would look like a jump of the wall clock.
    pub fn moment(self) -> Moment {
        let since_boot = clock_gettime(ClockId::CLOCK_BOOTTIME)
            .map_or_else(|_| self.monotonic_ms(), |time| time.num_milliseconds());
        Moment { wall_ms: self.now_ms(), monotonic_ms: since_boot }
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

//! Messages about what peers and disks do wrong, a few a second at most: nobody may fill the
//! operator's disk with them.

use std::fmt::Display;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How many messages of one kind a window may have.
const PER_WINDOW: u32 = 5;
const WINDOW: Duration = Duration::from_secs(1);

/// One kind of message.
#[derive(Debug)]
pub(crate) struct Noise {
    window: Mutex<Window>,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    said: u32,
    unsaid: u64,
}

impl Default for Noise {
    fn default() -> Self {
        Self { window: Mutex::new(Window { began: Instant::now(), said: 0, unsaid: 0 }) }
    }
}

impl Noise {
    /// Logs a message, unless there were too many of late; those are counted and told of later.
    pub(crate) fn say(&self, level: log::Level, message: impl Display) {
        let Some(unsaid) = self.admit(Instant::now()) else { return };
        if unsaid == 0 {
            log::log!(level, "{message}");
        } else {
            log::log!(level, "{message} (and {unsaid} such messages before it)");
        }
    }

    /// Whether one more may be said, and how many were not since the last.
    fn admit(&self, now: Instant) -> Option<u64> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(window.began) >= WINDOW {
            window.began = now;
            window.said = 0;
        }
        if window.said == PER_WINDOW {
            window.unsaid += 1;
            return None;
        }
        window.said += 1;
        Some(std::mem::take(&mut window.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_told_of_once() {
        let noise = Noise::default();
        let start = Instant::now();
        let admitted = (0..100).filter(|_| noise.admit(start) == Some(0)).count();
        assert_eq!(admitted, PER_WINDOW as usize);
        assert_eq!(noise.admit(start + WINDOW), Some(95));
        assert_eq!(noise.admit(start + WINDOW), Some(0));
    }
}

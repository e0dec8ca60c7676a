//! How much smaller a topic's records become by compression, as seen so far: a compressor tells
//! only at a batch's end, and the batch shall end when it is full.

use std::sync::atomic::{AtomicU32, Ordering};

/// The estimate follows what is seen quickly upwards and slowly downwards, since a batch that turns
/// out too large costs more than one that could have been larger (the Java client's
/// CompressionRatioEstimator).
#[derive(Debug)]
pub(super) struct Ratio(AtomicU32);

const STEP_UP: f32 = 0.05;
const STEP_DOWN: f32 = 0.005;

impl Default for Ratio {
    fn default() -> Self {
        Self(AtomicU32::new(1f32.to_bits()))
    }
}

impl Ratio {
    /// Compressed bytes for each byte.
    pub(super) fn estimate(&self) -> f32 {
        f32::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// Notes what a batch's records became.
    pub(super) fn note(&self, plain: usize, compressed: usize) {
        if plain == 0 {
            return;
        }
        let (seen, known) = (compressed as f32 / plain as f32, self.estimate());
        let next =
            if seen > known { seen.max(known + STEP_UP) } else { seen.max(known - STEP_DOWN) };
        self.0.store(next.to_bits(), Ordering::Relaxed);
    }

    /// A batch was refused as too large: the estimate was too low.
    pub(super) fn reset(&self) {
        self.0.store(1f32.to_bits(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_up_at_once_and_down_slowly() {
        let ratio = Ratio::default();
        ratio.note(100, 20);
        assert_eq!(ratio.estimate(), 0.995);
        for _ in 0..1000 {
            ratio.note(100, 20);
        }
        assert_eq!(ratio.estimate(), 0.2);
        ratio.note(100, 22);
        assert_eq!(ratio.estimate(), 0.25);
        ratio.note(100, 80);
        assert_eq!(ratio.estimate(), 0.8);
        ratio.note(0, 61);
        ratio.reset();
        assert_eq!(ratio.estimate(), 1.0);
    }
}

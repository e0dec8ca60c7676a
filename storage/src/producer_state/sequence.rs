//! Arithmetic of record sequences, which count from 0 to 2,147,483,647 and go on from 0.

/// Stands for "no sequence".
pub const NO_SEQUENCE: i32 = -1;

/// The sequence `delta` places behind `sequence`. Neither may be negative.
pub fn increment(sequence: i32, delta: i32) -> i32 {
    debug_assert!(0 <= sequence && 0 <= delta, "{sequence} + {delta}");
    // The ring has 2^31 places, so the sum of two of them, cut to 31 bits, is the place.
    sequence.wrapping_add(delta) & i32::MAX
}

/// The sequence `delta` places before `sequence`. Neither may be negative.
pub fn decrement(sequence: i32, delta: i32) -> i32 {
    debug_assert!(0 <= sequence && 0 <= delta, "{sequence} - {delta}");
    sequence.wrapping_sub(delta) & i32::MAX
}

/// Whether `next` is the sequence right behind `last`, where -1 comes before 0.
pub fn follows(last: i32, next: i32) -> bool {
    if last == i32::MAX { next == 0 } else { next == last + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAX: i32 = i32::MAX;

    #[test]
    fn the_ring_closes() {
        for (sequence, delta, sum) in [(0, 0, 0), (5, 7, 12), (MAX, 1, 0), (MAX, MAX, MAX - 1)] {
            assert_eq!(increment(sequence, delta), sum, "{sequence} + {delta}");
            assert_eq!(decrement(sum, delta), sequence, "{sum} - {delta}");
        }
        assert!(follows(-1, 0) && follows(MAX, 0) && follows(4, 5));
        assert!(!follows(-1, 1) && !follows(MAX, 1) && !follows(4, 4) && !follows(MAX, i32::MIN));
    }

    proptest! {
        /// Kafka's own formulas.
        #[test]
        fn agrees_with_the_definition(sequence in 0..=MAX, delta in 0..=MAX) {
            let room = MAX - sequence;
            let sum = if room < delta { delta - room - 1 } else { sequence + delta };
            prop_assert_eq!(increment(sequence, delta), sum);
            let difference =
                if sequence < delta { MAX - (delta - sequence) + 1 } else { sequence - delta };
            prop_assert_eq!(decrement(sequence, delta), difference);
        }
    }
}

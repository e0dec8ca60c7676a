//! The warm-section binary search of both indexes.
//!
//! Most lookups are near the end of the log. Plain bisection touches other pages each time that
//! the index grows by a page, and each such page may have to come from the disk while a producer
//! waits. So the last 8 KiB, the warm section, are searched on their own:
//!
//! ```text
//! first_warm = entries - 1 - 8192 / entry size, at least 0
//! key(first_warm) < target: bisect [first_warm, last]
//! key(0) > target:          before the first entry
//! else:                     bisect [0, first_warm]
//! ```
//!
//! The warm section spans at most three pages of 4 KiB, and every search in it touches its first,
//! middle and last entries: all its pages stay in memory. A larger one would hold pages that not
//! every search touches.

/// Bytes of an index's warm section.
const WARM_BYTES: u32 = 8192;

/// Which neighbor of the target is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// The last slot whose key is at most the target.
    Lower,
    /// The first slot whose key is at least the target.
    Upper,
}

/// An index as the search sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// How many slots are filled.
    pub(super) entries: u32,
    /// Bytes of one.
    pub(super) entry_bytes: u32,
}

/// Finds the slot that neighbors `target`, or `None` when all keys are on its other side. Keys
/// must not decrease from slot to slot.
pub(super) fn search(
    shape: Shape,
    target: i64,
    bound: Bound,
    key: impl Fn(u32) -> i64,
) -> Option<u32> {
    let last = shape.entries.checked_sub(1)?;
    let first_warm = last.saturating_sub(WARM_BYTES / shape.entry_bytes);
    let (lo, hi) = if key(first_warm) < target {
        (first_warm, last)
    } else if key(0) > target {
        return (bound == Bound::Upper).then_some(0);
    } else {
        (0, first_warm)
    };
    bisect(lo, hi, last, target, bound, key)
}

/// Bisects `[lo, hi]`, whose first key is at most the target.
fn bisect(
    mut lo: u32,
    mut hi: u32,
    last: u32,
    target: i64,
    bound: Bound,
    key: impl Fn(u32) -> i64,
) -> Option<u32> {
    let mut found = key(lo);
    while lo < hi {
        let mid = lo + (hi - lo).div_ceil(2);
        let at_mid = key(mid);
        if at_mid > target {
            hi = mid - 1;
        } else if at_mid < target {
            (lo, found) = (mid, at_mid);
        } else {
            return Some(mid);
        }
    }
    match bound {
        Bound::Lower => Some(lo),
        Bound::Upper if found == target => Some(lo),
        Bound::Upper => (lo < last).then(|| lo + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::{Bound, Shape, search};

    fn naive(keys: &[i64], target: i64, bound: Bound) -> Option<u32> {
        let found = match bound {
            Bound::Lower => keys.iter().rposition(|key| *key <= target),
            Bound::Upper => keys.iter().position(|key| *key >= target),
        };
        found.map(|slot| slot as u32)
    }

    fn check(keys: &[i64], entry_bytes: u32) {
        let shape = Shape { entries: keys.len() as u32, entry_bytes };
        let end = keys.last().map_or(2, |last| last + 2);
        for target in -1..end {
            for bound in [Bound::Lower, Bound::Upper] {
                let found = search(shape, target, bound, |slot| keys[slot as usize]);
                assert_eq!(found, naive(keys, target, bound), "{target} {bound:?} in {keys:?}");
            }
        }
    }

    /// Every set of up to 6 keys out of 0 to 9, with a warm section of 0, 1, 2 and of all slots.
    #[test]
    fn equals_a_linear_search_in_every_small_world() {
        for set in 0u32..1 << 10 {
            if set.count_ones() > 6 {
                continue;
            }
            let keys: Vec<i64> = (0..10).filter(|bit| set >> bit & 1 == 1).map(i64::from).collect();
            for entry_bytes in [8, 12, 4096, 8192, 16384] {
                check(&keys, entry_bytes);
            }
        }
    }

    #[test]
    fn equals_a_linear_search_across_the_warm_border() {
        for entries in [1023, 1024, 1025, 1026, 2100] {
            let keys: Vec<i64> = (0..entries).map(|slot| slot * 3 + 1).collect();
            let shape = Shape { entries: entries as u32, entry_bytes: 8 };
            for target in 0..entries * 3 + 3 {
                for bound in [Bound::Lower, Bound::Upper] {
                    let expected = match bound {
                        Bound::Lower => (target >= 1).then(|| ((target - 1) / 3).min(entries - 1)),
                        Bound::Upper => Some((target + 1) / 3).filter(|slot| *slot < entries),
                    };
                    let found = search(shape, target, bound, |slot| keys[slot as usize]);
                    assert_eq!(found.map(i64::from), expected, "{target} {bound:?} of {entries}");
                }
            }
        }
    }

    #[test]
    fn reads_only_the_warm_section_for_recent_targets() {
        let key = |slot: u32| {
            assert!(slot >= 100_000 - 1 - 1024, "slot {slot} is cold");
            i64::from(slot)
        };
        let shape = Shape { entries: 100_000, entry_bytes: 8 };
        assert_eq!(search(shape, 99_500, Bound::Lower, key), Some(99_500));
    }
}

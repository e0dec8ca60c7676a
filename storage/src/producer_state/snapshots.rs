//! Which producer snapshots a partition keeps, and how its state is rebuilt from them.
//!
//! A snapshot at the base of a segment lets recovery begin with that segment; one at the log end,
//! taken by a clean close, makes replay needless. Everything here is a decision over offsets; the
//! log carries it out.

use std::collections::BTreeSet;

/// The offsets of a partition's snapshot files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshots {
    offsets: BTreeSet<i64>,
}

impl FromIterator<i64> for Snapshots {
    fn from_iter<I: IntoIterator<Item = i64>>(offsets: I) -> Self {
        Self { offsets: offsets.into_iter().collect() }
    }
}

impl Snapshots {
    /// All of them, ascending.
    pub fn offsets(&self) -> impl DoubleEndedIterator<Item = i64> {
        self.offsets.iter().copied()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// The largest one.
    pub fn newest(&self) -> Option<i64> {
        self.offsets.last().copied()
    }

    /// Whether there is one at `offset`.
    pub fn contains(&self, offset: i64) -> bool {
        self.offsets.contains(&offset)
    }

    /// A file was written.
    pub fn insert(&mut self, offset: i64) {
        self.offsets.insert(offset);
    }

    /// A file was removed.
    pub fn remove(&mut self, offset: i64) {
        self.offsets.remove(&offset);
    }

    /// Takes all out of the set; their files are to be removed.
    pub fn take_all(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.offsets).into_iter().collect()
    }

    /// Takes those out of the set that belong to no segment; their files are to be removed. The
    /// largest stray one stays when it is not below the last segment's base: a clean close made it
    /// at the log end.
    pub fn take_strays(&mut self, segment_bases: &BTreeSet<i64>) -> Vec<i64> {
        let is_stray = |offset: &&i64| !segment_bases.contains(offset);
        let mut strays: Vec<i64> = self.offsets.iter().filter(is_stray).copied().collect();
        if let Some(&largest) = strays.last()
            && segment_bases.last().is_none_or(|&last_base| last_base <= largest)
        {
            strays.pop();
        }
        self.take(&strays);
        strays
    }

    /// Takes those out of the set that lie outside the log: at or below its start, or above
    /// `end_offset`. Their files are to be removed.
    pub fn take_out_of_range(&mut self, range: LogRange) -> Vec<i64> {
        let is_outside =
            |&&offset: &&i64| offset <= range.log_start_offset || range.end_offset < offset;
        let outside: Vec<i64> = self.offsets.iter().filter(is_outside).copied().collect();
        self.take(&outside);
        outside
    }

    fn take(&mut self, offsets: &[i64]) {
        for offset in offsets {
            self.offsets.remove(offset);
        }
    }

    /// How to rebuild the state of a log with these segments.
    pub fn plan_rebuild(&self, segment_bases: &BTreeSet<i64>, after: Shutdown) -> Rebuild {
        // A clean shutdown leaves a snapshot at the log end. Where there is none at all the log was
        // written by a broker older than snapshots, which had no producers.
        if self.offsets.is_empty() && after == Shutdown::Clean {
            return Rebuild::EmptySnapshots { at: last_two(segment_bases) };
        }
        Rebuild::Replay { snapshot_at: last_two(segment_bases) }
    }
}

/// From where to where a log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRange {
    /// The first offset.
    pub log_start_offset: i64,
    /// The end, exclusive.
    pub end_offset: i64,
}

/// How the broker was stopped before the log is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// In order.
    Clean,
    /// By a crash.
    Unclean,
}

/// How to rebuild producer state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rebuild {
    /// There is nothing to replay: take empty snapshots at these offsets and at the log end.
    EmptySnapshots {
        /// The bases of the last two segments.
        at: Vec<i64>,
    },
    /// Restore the newest good snapshot that is in range, then replay all batches behind it, and
    /// take a snapshot when a segment with one of these bases is reached, and at the log end.
    Replay {
        /// The bases of the last two segments.
        snapshot_at: Vec<i64>,
    },
}

fn last_two(segment_bases: &BTreeSet<i64>) -> Vec<i64> {
    let skipped = segment_bases.len().saturating_sub(2);
    segment_bases.iter().skip(skipped).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(offsets: &[i64]) -> BTreeSet<i64> {
        offsets.iter().copied().collect()
    }

    #[test]
    fn strays_go_but_the_one_of_a_clean_close() {
        let table: [(&[i64], &[i64], &[i64]); 6] = [
            (&[0, 10, 20], &[0, 10, 20], &[]),
            (&[0, 10, 20, 25], &[0, 10, 20], &[]),
            (&[5, 10, 25, 30], &[0, 10, 20], &[5, 25]),
            (&[5, 10, 15], &[0, 10, 20], &[5, 15]),
            (&[5], &[], &[]),
            (&[5, 7], &[], &[5]),
        ];
        for (offsets, bases, removed) in table {
            let mut snapshots: Snapshots = offsets.iter().copied().collect();
            assert_eq!(snapshots.take_strays(&set(bases)), removed, "{offsets:?} of {bases:?}");
            assert!(removed.iter().all(|&offset| !snapshots.contains(offset)));
            assert_eq!(snapshots.offsets().count(), offsets.len() - removed.len());
        }
    }

    #[test]
    fn only_what_lies_inside_the_log_stays() {
        let mut snapshots: Snapshots = [0, 5, 10, 20, 30].into_iter().collect();
        let range = LogRange { log_start_offset: 5, end_offset: 20 };
        assert_eq!(snapshots.take_out_of_range(range), [0, 5, 30]);
        assert_eq!(snapshots.offsets().collect::<Vec<_>>(), [10, 20]);
        assert_eq!(snapshots.newest(), Some(20));
        snapshots.insert(15);
        snapshots.remove(20);
        assert_eq!(snapshots.take_all(), [10, 15]);
        assert!(snapshots.is_empty());
    }

    #[test]
    fn rebuild() {
        let bases = set(&[0, 10, 20]);
        let none = Snapshots::default();
        let some: Snapshots = [10].into_iter().collect();
        let replay = Rebuild::Replay { snapshot_at: vec![10, 20] };
        let empty = Rebuild::EmptySnapshots { at: vec![10, 20] };
        assert_eq!(none.plan_rebuild(&bases, Shutdown::Clean), empty);
        assert_eq!(none.plan_rebuild(&bases, Shutdown::Unclean), replay);
        assert_eq!(some.plan_rebuild(&bases, Shutdown::Clean), replay);
        let one = Rebuild::Replay { snapshot_at: vec![7] };
        assert_eq!(some.plan_rebuild(&set(&[7]), Shutdown::Unclean), one);
    }
}

//! Which part of a log may be cleaned, how dirty it is, and which segments are merged.

/// A segment, as far as the choice asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentFacts {
    pub(crate) base_offset: i64,
    pub(crate) size_bytes: u64,
}

/// Where a log stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogFacts<'a> {
    /// All segments in order; the last one is active.
    pub(crate) segments: &'a [SegmentFacts],
    pub(crate) log_start_offset: i64,
    pub(crate) last_stable_offset: i64,
    pub(crate) log_end_offset: i64,
}

/// The clean and the dirty part of a log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cleanable {
    /// Below it, all was cleaned.
    pub(crate) first_dirty_offset: i64,
    /// From there on nothing may be cleaned; the base of a segment.
    pub(crate) end_offset: i64,
    pub(crate) clean_bytes: u64,
    pub(crate) cleanable_bytes: u64,
}

impl Cleanable {
    /// The dirty share of what may be cleaned; 0 when there is nothing.
    pub(crate) fn ratio(&self) -> f64 {
        let total = self.clean_bytes + self.cleanable_bytes;
        if total == 0 { 0.0 } else { self.cleanable_bytes as f64 / total as f64 }
    }

    /// Whether it is worth a cleaning, or must be cleaned.
    pub(crate) fn is_due(&self, ratio_min: f64, must_now: bool) -> bool {
        must_now && self.cleanable_bytes > 0 || self.ratio() > ratio_min
    }
}

impl LogFacts<'_> {
    /// Where the dirty part begins, from the checkpoint. One that lies outside the log says
    /// nothing, and all is dirty.
    pub(crate) fn first_dirty_offset(&self, checkpoint: Option<i64>) -> i64 {
        let inside = self.log_start_offset..=self.log_end_offset;
        checkpoint.filter(|offset| inside.contains(offset)).unwrap_or(self.log_start_offset)
    }

    /// The numbers of the segments from the one that holds `offset` to the last before the active
    /// one.
    pub(crate) fn sealed_from(&self, offset: i64) -> std::ops::Range<usize> {
        let active = self.segments.len().saturating_sub(1);
        let behind = self.segments.partition_point(|segment| segment.base_offset <= offset);
        behind.saturating_sub(1).min(active)..active
    }

    /// The parts of the log, when the first segment that is too young is number `young`.
    pub(crate) fn cleanable(&self, first_dirty_offset: i64, young: Option<usize>) -> Cleanable {
        let base_of = |n: usize| self.segments[n].base_offset;
        let active = self.segments.len() - 1;
        let limit = self.last_stable_offset.min(base_of(active));
        let limit = young.map_or(limit, |n| limit.min(base_of(n))).max(first_dirty_offset);
        let end_offset = self.sealed_from(limit).next().map_or(base_of(active), base_of);
        let from = self.sealed_from(first_dirty_offset.min(end_offset)).start;
        let sum = |segments: &[SegmentFacts]| segments.iter().map(|each| each.size_bytes).sum();
        let below = |offset| self.segments.partition_point(|each| each.base_offset < offset);
        let end = below(end_offset);
        Cleanable {
            first_dirty_offset,
            end_offset,
            clean_bytes: sum(&self.segments[..below(first_dirty_offset)]),
            cleanable_bytes: sum(&self.segments[from.min(end)..end]),
        }
    }
}

/// The files of a segment that is to be cleaned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceFacts {
    pub(crate) base_offset: i64,
    /// Behind its last possible offset.
    pub(crate) end_offset: i64,
    pub(crate) log_bytes: u64,
    pub(crate) index_bytes: u64,
    pub(crate) time_index_bytes: u64,
}

/// What a merged segment may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupLimits {
    /// `segment.bytes`.
    pub(crate) log_bytes: u64,
    /// `segment.index.bytes`.
    pub(crate) index_bytes: u64,
    /// How many segments one may be made of, so that a swap is short however many small ones
    /// there are.
    pub(crate) segments: usize,
}

/// How many of the first segments become one: as many as fit, at least one.
pub(crate) fn group_len(sources: &[SourceFacts], limits: GroupLimits) -> usize {
    let Some(first) = sources.first() else { return 0 };
    let (mut log, mut index, mut time) = (0_u64, 0_u64, 0_u64);
    let fits = |source: &&SourceFacts| {
        log = log.saturating_add(source.log_bytes);
        index = index.saturating_add(source.index_bytes);
        time = time.saturating_add(source.time_index_bytes);
        let reach = source.end_offset - 1 - first.base_offset;
        log <= limits.log_bytes
            && index <= limits.index_bytes
            && time <= limits.index_bytes
            && reach <= i64::from(i32::MAX)
    };
    sources.iter().take(limits.segments).take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENTS: [SegmentFacts; 4] = [
        SegmentFacts { base_offset: 0, size_bytes: 100 },
        SegmentFacts { base_offset: 10, size_bytes: 200 },
        SegmentFacts { base_offset: 20, size_bytes: 400 },
        SegmentFacts { base_offset: 30, size_bytes: 800 },
    ];

    fn log(last_stable_offset: i64) -> LogFacts<'static> {
        LogFacts {
            segments: &SEGMENTS,
            log_start_offset: 5,
            last_stable_offset,
            log_end_offset: 40,
        }
    }

    #[test]
    fn a_checkpoint_outside_the_log_says_nothing() {
        for (checkpoint, first) in
            [(None, 5), (Some(4), 5), (Some(5), 5), (Some(25), 25), (Some(40), 40), (Some(41), 5)]
        {
            assert_eq!(log(40).first_dirty_offset(checkpoint), first, "{checkpoint:?}");
        }
    }

    #[test]
    fn the_active_segment_and_what_is_undecided_or_young_stay() {
        // last stable, first dirty, too young from; end, clean bytes, cleanable bytes
        let table = [
            (40, 5, None, 30, 100, 700),
            (40, 20, None, 30, 300, 400),
            (40, 30, None, 30, 700, 0),
            (40, 35, None, 30, 1500, 0),
            (25, 5, None, 20, 100, 300),
            (20, 5, None, 20, 100, 300),
            (19, 5, None, 10, 100, 100),
            (7, 5, None, 0, 100, 0),
            (40, 5, Some(2), 20, 100, 300),
            (40, 5, Some(0), 0, 100, 0),
            (40, 15, None, 30, 300, 600),
            (40, 15, Some(1), 10, 300, 0),
        ];
        for (stable, dirty, young, end_offset, clean_bytes, cleanable_bytes) in table {
            let found = log(stable).cleanable(dirty, young);
            let first_dirty_offset = dirty;
            let expected =
                Cleanable { first_dirty_offset, end_offset, clean_bytes, cleanable_bytes };
            assert_eq!(found, expected, "{stable} {dirty} {young:?}");
        }
        assert_eq!(log(40).sealed_from(15), 1..3);
        assert_eq!(log(40).sealed_from(35), 3..3);
    }

    #[test]
    fn dirt() {
        let cleanable = |clean_bytes, cleanable_bytes| Cleanable {
            first_dirty_offset: 0,
            end_offset: 0,
            clean_bytes,
            cleanable_bytes,
        };
        assert_eq!(cleanable(0, 0).ratio(), 0.0);
        assert_eq!(cleanable(300, 100).ratio(), 0.25);
        assert!(!cleanable(100, 100).is_due(0.5, false), "more than the ratio");
        assert!(cleanable(100, 101).is_due(0.5, false));
        assert!(cleanable(100, 1).is_due(0.5, true));
        assert!(!cleanable(100, 0).is_due(0.5, true));
        assert!(!cleanable(0, 0).is_due(0.0, true));
    }

    #[test]
    fn neighbors_are_merged_as_far_as_they_fit() {
        let source = |base_offset: i64, log_bytes, index_bytes, time_index_bytes| SourceFacts {
            base_offset,
            end_offset: base_offset + 10,
            log_bytes,
            index_bytes,
            time_index_bytes,
        };
        let limits = GroupLimits { log_bytes: 100, index_bytes: 40, segments: 3 };
        let count = |sources: &[SourceFacts]| group_len(sources, limits);
        assert_eq!(count(&[]), 0);
        assert_eq!(count(&[source(0, 500, 500, 500)]), 1, "at least one");
        assert_eq!(count(&[source(0, 50, 8, 12), source(10, 50, 8, 12), source(20, 1, 0, 0)]), 2);
        assert_eq!(count(&[source(0, 1, 8, 12), source(10, 1, 33, 12)]), 1);
        assert_eq!(count(&[source(0, 1, 8, 12), source(10, 1, 8, 29)]), 1);
        let far = i64::from(i32::MAX);
        assert_eq!(count(&[source(0, 1, 8, 12), source(far - 9, 1, 8, 12)]), 2);
        assert_eq!(count(&[source(0, 1, 8, 12), source(far - 8, 1, 8, 12)]), 1);
        assert_eq!(count(&[source(0, 0, 0, 0); 5]), 3, "so many at a time");
    }
}

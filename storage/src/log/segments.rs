//! The segments of a log, in order.
//!
//! Readers far outnumber rolls: the list is never changed but replaced as a whole, so that a
//! reader takes no lock and keeps what it saw for as long as it needs it. A replacement copies one
//! pointer a segment, once in `segment.bytes` of appends.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::segment::Segment;

/// See the module. Changed only under the log's append lock.
#[derive(Debug)]
pub(super) struct Segments(ArcSwap<Vec<Arc<Segment>>>);

impl Segments {
    /// A log's segments: at least one, in order of base offsets.
    pub(super) fn new(segments: Vec<Arc<Segment>>) -> Self {
        assert!(!segments.is_empty() && segments.is_sorted_by_key(|segment| segment.base_offset()));
        Self(ArcSwap::from_pointee(segments))
    }

    /// All of them as they are now.
    pub(super) fn all(&self) -> Arc<Vec<Arc<Segment>>> {
        self.0.load_full()
    }

    /// The last one.
    pub(super) fn active(&self) -> Arc<Segment> {
        Arc::clone(self.0.load().last().expect("a log has a segment"))
    }

    /// Those from the one that may hold `offset` on; empty when all begin behind it.
    pub(super) fn from(&self, offset: i64) -> SegmentsFrom {
        let all = self.all();
        let behind = all.partition_point(|segment| segment.base_offset() <= offset);
        SegmentsFrom { next: behind.checked_sub(1).unwrap_or(all.len()), all }
    }

    /// The same, but all of them when all begin behind it.
    pub(super) fn all_from(&self, offset: i64) -> SegmentsFrom {
        let all = self.all();
        let behind = all.partition_point(|segment| segment.base_offset() <= offset);
        SegmentsFrom { next: behind.saturating_sub(1), all }
    }

    /// Replaces all.
    pub(super) fn replace(&self, segments: Vec<Arc<Segment>>) {
        assert!(!segments.is_empty(), "a log has a segment");
        self.0.store(Arc::new(segments));
    }

    /// Adds one behind the last.
    pub(super) fn push(&self, segment: Arc<Segment>) {
        let mut segments = Vec::clone(&self.0.load());
        assert!(segments.last().is_none_or(|last| last.base_offset() < segment.base_offset()));
        segments.push(segment);
        self.replace(segments);
    }
}

/// Walks segments in order.
pub(super) struct SegmentsFrom {
    all: Arc<Vec<Arc<Segment>>>,
    next: usize,
}

impl SegmentsFrom {
    /// The base offset of the segment behind the one last returned.
    pub(super) fn following_base_offset(&self) -> Option<i64> {
        self.all.get(self.next).map(|segment| segment.base_offset())
    }
}

impl Iterator for SegmentsFrom {
    type Item = Arc<Segment>;

    fn next(&mut self) -> Option<Arc<Segment>> {
        let segment = self.all.get(self.next)?;
        self.next += 1;
        Some(Arc::clone(segment))
    }
}

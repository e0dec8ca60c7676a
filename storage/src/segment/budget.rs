//! How many sealed segments may hold a descriptor and maps.
//!
//! A stock machine allows a process about 20,000 descriptors and 65,530 maps, and a broker may have
//! many more sealed segments, few of which are read at a time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::Segment;

/// Closes the sealed segments that were not read for the longest time when more than so many are
/// open. Each holds up to one descriptor and two maps.
#[derive(Debug)]
pub struct OpenBudget {
    segments_max: usize,
    /// Counts openings; a segment's time of last use is what it read here.
    clock: AtomicU64,
    open: Mutex<Vec<Weak<Segment>>>,
}

impl OpenBudget {
    /// At most `segments_max`, but always the one just opened.
    pub fn new(segments_max: usize) -> Arc<Self> {
        let open = Mutex::new(Vec::new());
        Arc::new(Self { segments_max: segments_max.max(1), clock: AtomicU64::new(0), open })
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }

    /// Counts a segment that was just opened or sealed, and closes others for it. Must be called
    /// without holding any lock of a segment.
    pub(crate) fn admit(&self, segment: &Arc<Segment>) {
        segment.used_at.store(self.clock.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        let closing = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let weak = Arc::downgrade(segment);
            if !open.iter().any(|known| known.ptr_eq(&weak)) {
                open.push(weak);
            }
            if open.len() > self.segments_max { self.oldest(&mut open) } else { Vec::new() }
        };
        for segment in closing {
            segment.release();
        }
    }

    /// Takes the oldest out of `open`, an eighth more than needed so that the sorting pays.
    fn oldest(&self, open: &mut Vec<Weak<Segment>>) -> Vec<Arc<Segment>> {
        let mut live: Vec<Arc<Segment>> = open
            .drain(..)
            .filter_map(|weak| weak.upgrade())
            .filter(|segment| segment.sealed.load(Ordering::Acquire) && segment.is_open())
            .collect();
        live.sort_by_key(|segment| segment.used_at.load(Ordering::Relaxed));
        let kept = self.segments_max - self.segments_max / 8;
        let closing = live.len().saturating_sub(self.segments_max);
        let closing = if closing == 0 { 0 } else { live.len() - kept };
        open.extend(live[closing..].iter().map(Arc::downgrade));
        live.truncate(closing);
        live
    }
}

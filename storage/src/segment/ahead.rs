//! Blocks ahead of the active segment's end.
//!
//! An append into blocks that are there already spares the file system the reservation of each
//! page. A log takes them only as it grows, so that thousands of small ones take nothing, and gives
//! them back when the segment is sealed or cut. What a crash leaves, the recovery of the segment
//! gives back.

use std::sync::Arc;

use super::{Segment, SegmentWriter};
use crate::config::LogConfig;
use crate::error::StorageError;

/// Most bytes allocated ahead. More were no faster.
const AHEAD_BYTES_MAX: u64 = 4 << 20;
/// Fewer are not worth a system call.
const AHEAD_BYTES_MIN: u64 = 64 << 10;
/// As a share of what the segment has: one part in so many.
const AHEAD_SHARE: u64 = 16;

/// Up to which byte there are to be blocks when a segment comes to have `size` bytes and may come
/// to have `size_max`; `None` if no more than have been asked for, up to `allocated_to`.
fn ahead_of(size: u64, allocated_to: u64, size_max: u64) -> Option<u64> {
    if size <= allocated_to {
        return None;
    }
    let ahead = (size / AHEAD_SHARE).min(AHEAD_BYTES_MAX);
    let wanted = (size + ahead).min(size_max);
    (wanted.saturating_sub(size) >= AHEAD_BYTES_MIN).then_some(wanted)
}

/// The size up to which a segment may have blocks ahead; 0 for none.
fn size_max(config: &LogConfig) -> u64 {
    if config.preallocate { 0 } else { u64::from(config.segment_bytes) }
}

impl Segment {
    /// Before an append of `bytes`: allocates blocks for it and for those that follow, if it is
    /// time. Whether that succeeds makes no difference, and is not tried again before its end.
    pub(crate) fn allocate_ahead(
        self: &Arc<Self>,
        writer: &mut SegmentWriter,
        config: &LogConfig,
        bytes: u64,
    ) -> Result<(), StorageError> {
        let start = self.size();
        let wanted = ahead_of(start + bytes, writer.allocated_to, size_max(config));
        if let Some(wanted) = wanted {
            let from = start.max(writer.allocated_to);
            writer.allocated_to = wanted;
            self.file()?.allocate_ahead(from, wanted - from);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;

    #[test]
    fn only_logs_that_have_grown_take_blocks() {
        assert_eq!(ahead_of(0, 0, GIB), None);
        assert_eq!(ahead_of(4 * KIB, 0, GIB), None);
        assert_eq!(ahead_of(MIB - 1, 0, GIB), None);
        assert_eq!(ahead_of(MIB, 0, GIB), Some(MIB + 64 * KIB));
        assert_eq!(ahead_of(64 * MIB, 0, GIB), Some(68 * MIB));
        assert_eq!(ahead_of(500 * MIB, 0, GIB), Some(504 * MIB));
    }

    #[test]
    fn they_are_asked_for_once() {
        assert_eq!(ahead_of(64 * MIB, 64 * MIB, GIB), None);
        assert_eq!(ahead_of(64 * MIB, 68 * MIB, GIB), None);
        assert_eq!(ahead_of(64 * MIB + 1, 64 * MIB, GIB), Some(68 * MIB + 1));
    }

    #[test]
    fn none_lie_where_the_segment_cannot_end() {
        assert_eq!(ahead_of(GIB - MIB, 0, GIB), Some(GIB));
        assert_eq!(ahead_of(GIB - 64 * KIB, 0, GIB), Some(GIB));
        assert_eq!(ahead_of(GIB - 64 * KIB + 1, 0, GIB), None);
        assert_eq!(ahead_of(GIB, 0, GIB), None);
        // A segment that became too large when its setting became smaller.
        assert_eq!(ahead_of(GIB, 0, MIB), None);
        assert_eq!(ahead_of(GIB, 0, 0), None);
        let preallocate = LogConfig { preallocate: true, ..LogConfig::default() };
        assert_eq!(size_max(&preallocate), 0);
        assert_eq!(size_max(&LogConfig::default()), GIB);
    }

    #[test]
    fn they_are_few_beside_the_data() {
        let (mut size, mut allocated_to, mut calls) = (0, 0, 0);
        while size < GIB {
            size += 16 * KIB;
            if let Some(wanted) = ahead_of(size, allocated_to, GIB) {
                allocated_to = wanted;
                calls += 1;
            }
            let ahead = allocated_to.saturating_sub(size);
            assert!(ahead <= size / 16 && ahead <= 4 * MIB, "{ahead} at {size}");
        }
        assert!(calls < 400, "{calls}");
    }
}

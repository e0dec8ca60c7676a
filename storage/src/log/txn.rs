//! The transaction index of a log: which transactions were aborted.

use std::ops::Range;
use std::sync::Arc;

use super::PartitionLog;
use super::read::AbortedTxn;
use super::segments::SegmentsFrom;
use crate::disk::Disk;
use crate::error::StorageError;
use crate::producer_state::CompletedTxn;
use crate::segment::Segment;

/// A segment's transaction index while the segment is recovered: begun anew, and filled with what
/// the batches tell.
pub(super) struct Rebuilt;

impl Rebuilt {
    pub(super) fn new(_disk: &dyn Disk, _segment: &Segment) -> Result<Self, StorageError> {
        Ok(Self)
    }

    pub(super) fn add(&mut self, _txn: CompletedTxn) -> Result<(), StorageError> {
        Ok(())
    }

    pub(super) fn finish(self) -> Result<(), StorageError> {
        Ok(())
    }
}

impl PartitionLog {
    /// Transactions that were aborted and may have records within `bounds`, from the index of
    /// `segment` on.
    pub(super) fn aborted_txns(
        &self,
        _segment: Arc<Segment>,
        _following: SegmentsFrom,
        _bounds: Range<i64>,
    ) -> Result<Vec<AbortedTxn>, StorageError> {
        Ok(Vec::new())
    }

    /// Puts transactions that ended by a batch in `segment` into its index.
    pub(super) fn index_completed(
        &self,
        _segment: &Segment,
        _completed: &[CompletedTxn],
    ) -> Result<(), StorageError> {
        Ok(())
    }
}

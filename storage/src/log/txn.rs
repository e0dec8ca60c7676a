//! The transaction index of a log: which transactions were aborted.
//!
//! An entry stands in the segment that holds the abort marker. It must be there before the log end
//! passes the marker, or a reader of committed records could be shown what was aborted.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::PartitionLog;
use super::read::AbortedTxn;
use super::segments::SegmentsFrom;
use crate::disk::Disk;
use crate::error::StorageError;
use crate::file_name::FileKind;
use crate::producer_state::CompletedTxn;
use crate::segment::Segment;
use crate::txn_index;

/// Puts transactions that ended by a batch in `segment` into its index, the aborted ones.
pub(super) fn add(
    disk: &dyn Disk,
    segment: &Segment,
    completed: &[CompletedTxn],
) -> Result<(), StorageError> {
    let aborted: Vec<_> = completed.iter().filter_map(txn_index::AbortedTxn::of).collect();
    if aborted.is_empty() {
        return Ok(());
    }
    let path = segment.path_of(FileKind::TxnIndex);
    txn_index::append(disk, &path, &aborted).map_err(StorageError::from)
}

impl PartitionLog {
    /// Transactions that were aborted and may have records within `bounds`, from the index of
    /// `segment` on.
    pub(super) fn aborted_txns(
        &self,
        segment: Arc<Segment>,
        following: SegmentsFrom,
        bounds: Range<i64>,
    ) -> Result<Vec<AbortedTxn>, StorageError> {
        let mut aborted = Vec::new();
        for segment in [segment].into_iter().chain(following) {
            let path = segment.path_of(FileKind::TxnIndex);
            let found = txn_index::search(&*self.disk, &path, bounds.clone())?;
            if segment.is_gone() {
                // Its index may have been gone before it was looked at.
                return Err(StorageError::io("read", &path)(io::ErrorKind::NotFound.into()));
            }
            aborted.extend(found.aborted.iter().map(|txn| AbortedTxn {
                producer_id: txn.producer_id,
                first_offset: txn.first_offset,
            }));
            if found.is_complete {
                break;
            }
        }
        Ok(aborted)
    }
}

//! What a group of either kind tells those who need not know which kind it is.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::uuid::Uuid;

use crate::record::Record;

/// Who commits offsets, as they say themselves.
#[derive(Clone, Copy, Debug)]
pub struct CommitFence<'a> {
    /// The member's id; empty for none.
    pub member_id: &'a str,
    /// The member's own lasting name.
    pub instance_id: Option<&'a str>,
    /// The generation, or the member's epoch; -1 for none.
    pub generation_or_epoch: i32,
    /// The version of the OffsetCommit request.
    pub version: i16,
}

/// Which committed offsets of a group may expire, by its state alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetExpiry {
    /// None.
    Never,
    /// All, counted from when the group came into its state, in ms since 1970.
    AllSince(i64),
    /// All, counted from their commits.
    All,
    /// Those of topics that no member subscribes to, counted from their commits.
    Unsubscribed,
}

/// A group of either kind.
pub trait GroupState {
    /// Whether offsets may be committed so.
    ///
    /// # Errors
    /// Kafka's code for this commit, given for each of its partitions.
    fn check_commit(&self, fence: &CommitFence<'_>) -> Result<(), ErrorCode>;
    /// Whether the offset of this partition may be committed so, after `check_commit` allowed the
    /// commit as a whole. A member of a consumer group may commit with an older epoch whatever it
    /// has had since then (KIP-1251); one partition of which that is not true fails all of them.
    ///
    /// # Errors
    /// Kafka's code for this commit, given for each of its partitions.
    fn check_commit_partition(
        &self,
        _fence: &CommitFence<'_>,
        _topic_id: Uuid,
        _partition: i32,
    ) -> Result<(), ErrorCode> {
        Ok(())
    }
    /// Whether a member may read the offsets; -1 for no epoch.
    ///
    /// # Errors
    /// Kafka's code for the group.
    fn check_fetch(&self, member_id: Option<&str>, member_epoch: i32) -> Result<(), ErrorCode>;
    /// Whether offsets may be deleted.
    ///
    /// # Errors
    /// Kafka's code for the group.
    fn check_delete_offsets(&self) -> Result<(), ErrorCode>;
    /// Whether the group may be deleted.
    ///
    /// # Errors
    /// Kafka's code for the group.
    fn check_delete(&self) -> Result<(), ErrorCode>;
    /// Whether a member subscribes to the topic.
    fn is_subscribed_to(&self, topic: &str) -> bool;
    /// Which offsets may expire.
    fn offset_expiry(&self) -> OffsetExpiry;
    /// Whether it has no members, so that it may go when it has no offsets.
    fn is_empty(&self) -> bool;
    /// Adds the records that delete the group itself.
    fn push_tombstones(&self, group_id: &str, records: &mut Vec<Record>);
}

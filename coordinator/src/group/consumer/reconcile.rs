//! How a member comes from what it has to what it shall have, so that no partition is ever with two
//! members.
//!
//! ```text
//!            some of what it has is not in the target
//!   Stable ────────────────────────────────> UnrevokedPartitions   keeps its epoch, is told to
//!     ^  │                                          │              keep only the rest
//!     │  │ all else                                 │ has given them up
//!     │  v                                          v
//!     └─ next epoch: takes what is free ─────> UnreleasedPartitions  while others still have
//!        nobody has any of the rest                                  some of its target
//! ```
//!
//! A member has given a partition up when a heartbeat of it lists what it owns, and that is not
//! among it. Only then is it free for others.

use ottla_protocol::error_code::ErrorCode;

use super::member::{Member, MemberState, Owned};
use super::partitions::{Held, TopicPartition, find, merge, split};

/// What a member is to be brought to, and what is known of it.
pub(super) struct Reconciliation<'a> {
    /// The epoch of the target assignment.
    pub(super) target_epoch: i32,
    /// The member's part of it, sorted.
    pub(super) target: &'a [TopicPartition],
    /// Whether the member subscribes to the topic.
    pub(super) subscribes: &'a dyn Fn(ottla_protocol::uuid::Uuid) -> bool,
    /// Whether the member's subscription has changed with this very request.
    pub(super) subscription_changed: bool,
    /// Whether any member has the partition.
    pub(super) is_held: &'a dyn Fn(TopicPartition) -> bool,
    /// What the member says it owns; `None` when it does not say.
    pub(super) owned: Option<Owned<'a>>,
}

impl Reconciliation<'_> {
    /// The member as it is from now on.
    ///
    /// # Errors
    /// [`ErrorCode::FENCED_MEMBER_EPOCH`] when the member must give up everything and join anew.
    pub(super) fn next(&self, member: &Member) -> Result<Member, ErrorCode> {
        match member.state {
            MemberState::Stable if member.epoch != self.target_epoch => Ok(self.advance(member)),
            MemberState::Stable => Ok(self.drop_unsubscribed(member)),
            MemberState::UnrevokedPartitions if self.still_owns(&member.revoking) => {
                Ok(self.drop_unsubscribed(member))
            }
            MemberState::UnrevokedPartitions | MemberState::UnreleasedPartitions => {
                Ok(self.advance(member))
            }
            MemberState::Unknown => {
                if self.owned.is_none_or(|owned| !owned.is_empty()) {
                    return Err(ErrorCode::FENCED_MEMBER_EPOCH);
                }
                let mut member = member.clone();
                member.epoch = self.target_epoch;
                Ok(self.advance(&member))
            }
        }
    }

    /// A member that does not say what it owns may own all of them.
    fn still_owns(&self, revoking: &[Held]) -> bool {
        self.owned.is_none_or(|owned| owned.iter().any(|at| find(revoking, at).is_some()))
    }

    /// The target waits, but what the member no longer subscribes to goes at once: its consumer
    /// would not know what to do with it.
    fn drop_unsubscribed(&self, member: &Member) -> Member {
        let mut next = member.clone();
        if !self.subscription_changed {
            return next;
        }
        let (kept, dropped) = split(&member.assigned, |at| (self.subscribes)(at.topic));
        if dropped.is_empty() {
            return next;
        }
        let revoking = merge(&member.revoking, &dropped);
        next.advance(member.epoch);
        next.assigned = kept;
        if self.still_owns(&revoking) {
            next.state = MemberState::UnrevokedPartitions;
            next.revoking = revoking;
        }
        next
    }

    /// Goes to the target's epoch, unless there is something to give up first.
    fn advance(&self, member: &Member) -> Member {
        let wanted: Vec<TopicPartition> =
            self.target.iter().copied().filter(|at| (self.subscribes)(at.topic)).collect();
        let (kept, revoking) = split(&member.assigned, |at| wanted.binary_search(&at).is_ok());
        let mut next = member.clone();
        if !revoking.is_empty() && self.still_owns(&revoking) {
            next.advance(member.epoch);
            next.state = MemberState::UnrevokedPartitions;
            next.assigned = kept;
            next.revoking = revoking;
            return next;
        }
        // What it had to give up it may get back at once.
        let is_free = |at| !(self.is_held)(at) || find(&member.revoking, at).is_some();
        let missing: Vec<TopicPartition> =
            wanted.into_iter().filter(|&at| find(&kept, at).is_none()).collect();
        let added: Vec<Held> = missing
            .iter()
            .filter(|at| is_free(**at))
            .map(|&at| Held { at, epoch: self.target_epoch })
            .collect();
        next.state = if added.len() < missing.len() {
            MemberState::UnreleasedPartitions
        } else {
            MemberState::Stable
        };
        next.advance(self.target_epoch);
        next.assigned = merge(&kept, &added);
        next.revoking = Vec::new();
        next
    }
}

//! A member of a consumer group.

use std::sync::Arc;

use ottla_protocol::internal::consumer_group::{
    ClassicMemberMetadata, ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataValue,
};
use ottla_protocol::uuid::Uuid;

use super::partitions::{Held, TopicPartition, find, held_from_record};

/// The epoch with which a member joins.
pub(in crate::group) const JOIN_EPOCH: i32 = 0;
/// The epoch with which a member leaves for good.
pub(in crate::group) const LEAVE_EPOCH: i32 = -1;
/// The epoch with which a static member leaves for a while: its partitions are kept for it.
pub(in crate::group) const STATIC_LEAVE_EPOCH: i32 = -2;

/// How far a member is with its assignment; the numbers are those of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::group) enum MemberState {
    /// It has all that it shall have.
    Stable,
    /// It has yet to give partitions up.
    UnrevokedPartitions,
    /// It waits for partitions that others have yet to give up.
    UnreleasedPartitions,
    /// A newer Kafka has written a state that is not known here: the member must join anew.
    Unknown,
}

impl MemberState {
    pub(super) fn number(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::UnrevokedPartitions => 1,
            Self::UnreleasedPartitions => 2,
            Self::Unknown => 127,
        }
    }

    fn numbered(number: i8) -> Self {
        match number {
            0 => Self::Stable,
            1 => Self::UnrevokedPartitions,
            2 => Self::UnreleasedPartitions,
            _ => Self::Unknown,
        }
    }
}

/// What a member that speaks the classic protocol said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::group) struct ClassicMetadata {
    pub(in crate::group) session_timeout_ms: i32,
    /// Its protocols (assignors) and its subscription in the format of each, the preferred first.
    pub(in crate::group) protocols: Vec<(Arc<str>, Arc<[u8]>)>,
}

/// Topic names, sorted and each once. Members that subscribe to the same share one list.
pub(in crate::group) type Names = Arc<[Arc<str>]>;

/// A member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::group) struct Member {
    pub(in crate::group) epoch: i32,
    pub(in crate::group) previous_epoch: i32,
    pub(in crate::group) state: MemberState,
    pub(in crate::group) instance_id: Option<Arc<str>>,
    pub(in crate::group) rack_id: Option<Arc<str>>,
    pub(in crate::group) client_id: Arc<str>,
    pub(in crate::group) client_host: Arc<str>,
    pub(in crate::group) names: Names,
    /// A regular expression for more topics. Empty says "none" too, and is what records have for
    /// members that never gave one.
    pub(in crate::group) regex: Option<Arc<str>>,
    pub(in crate::group) assignor: Option<Arc<str>>,
    pub(in crate::group) rebalance_timeout_ms: i32,
    pub(in crate::group) classic: Option<Arc<ClassicMetadata>>,
    /// What it has, sorted.
    pub(in crate::group) assigned: Vec<Held>,
    /// What it has but must give up, sorted.
    pub(in crate::group) revoking: Vec<Held>,
}

impl Default for Member {
    fn default() -> Self {
        Self {
            epoch: JOIN_EPOCH,
            previous_epoch: -1,
            state: MemberState::Stable,
            instance_id: None,
            rack_id: None,
            client_id: Arc::from(""),
            client_host: Arc::from(""),
            names: Arc::from([]),
            regex: Some(Arc::from("")),
            assignor: None,
            rebalance_timeout_ms: -1,
            classic: None,
            assigned: Vec::new(),
            revoking: Vec::new(),
        }
    }
}

impl Member {
    /// The regular expression, if there is one.
    pub(super) fn regex(&self) -> Option<&Arc<str>> {
        self.regex.as_ref().filter(|regex| !regex.is_empty())
    }

    /// Whether it speaks the classic protocol.
    pub(in crate::group) fn is_classic(&self) -> bool {
        self.classic.is_some()
    }

    /// Whether it has all that the target of this epoch gives it.
    pub(super) fn is_reconciled_to(&self, assignment_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == assignment_epoch
    }

    /// Goes to another epoch, and remembers the one before: the answer may be lost.
    pub(super) fn advance(&mut self, epoch: i32) {
        self.previous_epoch = self.epoch;
        self.epoch = epoch;
    }

    /// Since which epoch it has the partition, be it that it must give it up.
    pub(super) fn held_since(&self, at: TopicPartition) -> Option<i32> {
        find(&self.assigned, at).or_else(|| find(&self.revoking, at)).map(|held| held.epoch)
    }

    /// All partitions that no other member may have.
    pub(super) fn held(&self) -> impl Iterator<Item = TopicPartition> {
        self.assigned.iter().chain(&self.revoking).map(|held| held.at)
    }

    /// Whether all that the member says it has is assigned to it; `false` when it does not say.
    pub(super) fn is_assigned_all(&self, owned: Option<Owned<'_>>) -> bool {
        owned.is_some_and(|owned| owned.iter().all(|at| find(&self.assigned, at).is_some()))
    }

    /// Takes over what a member's record says; `names` is made of its names.
    pub(super) fn update(&mut self, value: &ConsumerGroupMemberMetadataValue<'_>, names: Names) {
        self.instance_id = value.instance_id.map(Arc::from);
        self.rack_id = value.rack_id.map(Arc::from);
        reuse(&mut self.client_id, value.client_id);
        reuse(&mut self.client_host, value.client_host);
        self.names = names;
        self.regex = value.subscribed_topic_regex.map(Arc::from);
        self.assignor = value.server_assignor.map(Arc::from);
        self.rebalance_timeout_ms = value.rebalance_timeout_ms;
        // That nothing was written means the default, which is not null in Kafka's schema but the
        // same as null here: only members of the classic protocol have protocols.
        self.classic = value
            .classic_member_metadata
            .as_ref()
            .filter(|classic| **classic != ClassicMemberMetadata::default())
            .map(|classic| Arc::new(ClassicMetadata::of_record(classic)));
    }

    /// Takes over what the record of its current assignment says.
    pub(super) fn update_assignment(&mut self, value: &ConsumerGroupCurrentMemberAssignmentValue) {
        self.epoch = value.member_epoch;
        self.previous_epoch = value.previous_member_epoch;
        self.state = MemberState::numbered(value.state);
        self.assigned = held_from_record(&value.assigned_partitions, value.member_epoch);
        self.revoking = held_from_record(&value.partitions_pending_revocation, value.member_epoch);
    }
}

impl ClassicMetadata {
    fn of_record(record: &ClassicMemberMetadata<'_>) -> Self {
        let protocols = record.supported_protocols.iter();
        Self {
            session_timeout_ms: record.session_timeout_ms,
            protocols: protocols
                .map(|protocol| (Arc::from(protocol.name), Arc::from(protocol.metadata)))
                .collect(),
        }
    }
}

/// Replaces a text unless it is the same.
pub(super) fn reuse(text: &mut Arc<str>, by: &str) {
    if **text != *by {
        *text = Arc::from(by);
    }
}

/// The partitions that a member says it has, as its request lists them.
#[derive(Clone, Copy)]
pub(super) enum Owned<'a> {
    /// By topic ids.
    Listed(&'a [ottla_protocol::messages::consumer_group_heartbeat::TopicPartitions]),
    /// One by one.
    Flat(&'a [TopicPartition]),
}

impl<'a> Owned<'a> {
    pub(super) fn iter(self) -> impl Iterator<Item = TopicPartition> + 'a {
        let (listed, flat): (&[_], &[_]) = match self {
            Self::Listed(listed) => (listed, &[]),
            Self::Flat(flat) => (&[], flat),
        };
        let at = |topic: Uuid| move |&partition: &i32| TopicPartition { topic, partition };
        let listed = listed.iter().flat_map(move |one| one.partitions.iter().map(at(one.topic_id)));
        listed.chain(flat.iter().copied())
    }

    pub(super) fn is_empty(self) -> bool {
        match self {
            Self::Listed(listed) => listed.is_empty(),
            Self::Flat(flat) => flat.is_empty(),
        }
    }
}

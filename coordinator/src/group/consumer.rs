//! Consumer groups (KIP-848): the coordinator makes the assignment.
//!
//! A member says what it subscribes to and, with each heartbeat, what it owns; it is told what it
//! shall own. Three numbers keep them together:
//!
//! | epoch | goes up when |
//! |---|---|
//! | of the group | subscriptions or the topics themselves change |
//! | of the assignment | a target assignment is made for the group's epoch |
//! | of a member | the member gets to the target, as far as others let it |
//!
//! | file | what it holds |
//! |---|---|
//! | `heartbeat.rs` | ConsumerGroupHeartbeat: checks, joining, staying |
//! | `leave.rs` | leaving, fencing, deadlines |
//! | `assignor.rs` and below, `target.rs` | who shall have which partition |
//! | `reconcile.rs` | how a member gets there |
//! | `regexes.rs`, `pattern.rs` | subscriptions by regular expression |
//! | `classic_members.rs`, `migrate.rs` | members that speak the classic protocol; conversion |
//! | `records.rs`, `replay.rs` | what is kept in the log |
//! | `describe.rs` | what tools are shown |

pub mod assignor;
mod classic_members;
mod describe;
mod heartbeat;
mod leave;
mod member;
mod metadata_hash;
mod migrate;
mod partitions;
mod pattern;
mod reconcile;
mod records;
mod regexes;
mod replay;
mod subscriptions;
mod target;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::uuid::Uuid;

use super::classic::ClassicGroup;
use super::state::{CommitFence, GroupState, OffsetExpiry};
use crate::context::{ClusterView, TopicFacts};
use crate::record::Record;
pub use heartbeat::ConsumerHeartbeatAnswer;
pub(super) use leave::ConsumerTimer;
use member::{Member, Names};
use partitions::TopicPartition;
use regexes::{Matching, Resolved};
use subscriptions::{Subscriptions, count};

/// The first version of OffsetCommit that carries a member epoch.
const COMMIT_HAS_EPOCH: i16 = 9;

/// A consumer group.
pub(super) struct ConsumerGroup {
    epoch: i32,
    metadata_hash: i64,
    /// The epoch of the target assignment; -1 for none.
    assignment_epoch: i32,
    /// When the target assignment was made, in ms since 1970; 0 for never.
    assigned_ms: i64,
    members: BTreeMap<Arc<str>, Member>,
    /// What each member shall have, sorted.
    targets: HashMap<Arc<str>, Vec<TopicPartition>>,
    resolved: BTreeMap<Arc<str>, Resolved>,
    /// Whether there is a record of key 4, which is to be deleted.
    has_partition_metadata: bool,

    // What follows from the members.
    /// The member that has each partition, or has to give it up.
    owners: HashMap<TopicPartition, Arc<str>>,
    /// The ids of static members by their lasting names.
    static_members: HashMap<Arc<str>, Arc<str>>,
    names: Subscriptions,
    /// How many members use each regular expression.
    regexes: BTreeMap<Arc<str>, usize>,
    /// How many members want each assignor.
    assignors: BTreeMap<Arc<str>, usize>,
    /// How many members speak the classic protocol.
    classic_count: usize,
    /// How many of them know each protocol.
    classic_protocols: BTreeMap<Arc<str>, usize>,

    // What no record has.
    /// The version of the topics and the epoch with which the hash was last computed.
    hashed_at: Option<(u64, i32)>,
    topic_hashes: HashMap<Arc<str>, (TopicFacts, u64)>,
    /// The version of the topics that regular expressions were last matched with, and when.
    looked_at: Option<(i64, i64)>,
    /// While regular expressions are matched.
    matching: Option<Matching>,
    /// The epoch that each member must leave before its rebalance timeout.
    rebalancing: HashMap<Arc<str>, i32>,
    /// The classic group that it becomes when its records are written.
    becoming: Option<Box<ClassicGroup>>,
}

impl Default for ConsumerGroup {
    fn default() -> Self {
        Self {
            epoch: 1,
            metadata_hash: 0,
            // As if the first epoch had an assignment: there is nothing to assign in it.
            assignment_epoch: 1,
            assigned_ms: 0,
            members: BTreeMap::new(),
            targets: HashMap::new(),
            resolved: BTreeMap::new(),
            has_partition_metadata: false,
            owners: HashMap::new(),
            static_members: HashMap::new(),
            names: Subscriptions::default(),
            regexes: BTreeMap::new(),
            assignors: BTreeMap::new(),
            classic_count: 0,
            classic_protocols: BTreeMap::new(),
            hashed_at: None,
            topic_hashes: HashMap::new(),
            looked_at: None,
            matching: None,
            rebalancing: HashMap::new(),
            becoming: None,
        }
    }
}

impl ConsumerGroup {
    /// The group's state, as Kafka names it.
    pub(super) fn state_name(&self) -> &'static str {
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch > self.assignment_epoch {
            "Assigning"
        } else if self.members.values().all(|one| one.is_reconciled_to(self.assignment_epoch)) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    /// The member that now has this lasting name.
    fn static_member(&self, instance_id: &str) -> Option<(&Arc<str>, &Member)> {
        self.members.get_key_value(self.static_members.get(instance_id)?)
    }

    /// What the member shall have.
    fn target(&self, member_id: &str) -> &[TopicPartition] {
        self.targets.get(member_id).map_or(&[], Vec::as_slice)
    }

    /// Whether any member has the partition.
    fn is_held(&self, at: TopicPartition) -> bool {
        self.owners.contains_key(&at)
    }

    /// The assignor that most members want.
    fn preferred_assignor(&self) -> Option<&Arc<str>> {
        most_wanted(&self.assignors)
    }

    /// The member's id as it is kept here, or a new copy.
    fn member_id(&self, member_id: &str) -> Arc<str> {
        let kept = self.members.get_key_value(member_id).map(|(kept, _)| kept);
        kept.map_or_else(|| Arc::from(member_id), Arc::clone)
    }

    /// Sorts names, drops repeated ones, and shares the texts that are kept already.
    fn intern(&self, names: &[&str]) -> Names {
        let mut names = names.to_vec();
        names.sort_unstable();
        names.dedup();
        // Most members subscribe to the same: the last one's list will do for this one too.
        if let Some(member) = self.members.values().next_back()
            && member.names.iter().map(|name| &**name).eq(names.iter().copied())
        {
            return Arc::clone(&member.names);
        }
        names
            .into_iter()
            .map(|name| self.names.kept(name).map_or_else(|| Arc::from(name), Arc::clone))
            .collect()
    }

    /// Puts a member in; there is none of that id.
    fn put_member(&mut self, member_id: Arc<str>, member: Member) {
        self.count_member(&member, true);
        for at in member.held() {
            self.owners.insert(at, Arc::clone(&member_id));
        }
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(Arc::clone(instance_id), Arc::clone(&member_id));
        }
        self.members.insert(member_id, member);
    }

    /// Takes a member out, and all that follows from it.
    fn take_member(&mut self, member_id: &str) -> Option<Member> {
        let member = self.members.remove(member_id)?;
        self.count_member(&member, false);
        for at in member.held() {
            if self.owners.get(&at).is_some_and(|owner| **owner == *member_id) {
                self.owners.remove(&at);
            }
        }
        if let Some(instance_id) = &member.instance_id
            && self.static_members.get(instance_id).is_some_and(|id| **id == *member_id)
        {
            self.static_members.remove(instance_id);
        }
        Some(member)
    }

    /// Takes a member out for good.
    fn remove_member(&mut self, member_id: &str) {
        self.take_member(member_id);
        self.rebalancing.remove(member_id);
    }

    fn count_member(&mut self, member: &Member, more: bool) {
        for topic in member.names.iter() {
            self.names.count_name(topic, more);
        }
        if let Some(regex) = member.regex() {
            count(&mut self.regexes, regex, more);
        }
        if let Some(assignor) = &member.assignor {
            count(&mut self.assignors, assignor, more);
        }
        if let Some(classic) = &member.classic {
            self.classic_count =
                if more { self.classic_count + 1 } else { self.classic_count.saturating_sub(1) };
            for (protocol, _) in &classic.protocols {
                count(&mut self.classic_protocols, protocol, more);
            }
        }
    }

    /// Whether the member subscribes to the topic of this id.
    fn subscribes(&self, member: &Member, topic: Uuid, cluster: &dyn ClusterView) -> bool {
        let Some(name) = cluster.topic_name(topic) else { return false };
        let has = |names: &Names| names.binary_search_by(|one| (**one).cmp(name)).is_ok();
        has(&member.names)
            || member
                .regex()
                .and_then(|regex| self.resolved.get(regex))
                .is_some_and(|resolved| has(&resolved.topics))
    }
}

/// The key with the highest count; among several the last, as there must be some rule.
fn most_wanted(counts: &BTreeMap<Arc<str>, usize>) -> Option<&Arc<str>> {
    counts.iter().max_by_key(|(_, users)| **users).map(|(key, _)| key)
}

impl GroupState for ConsumerGroup {
    fn check_commit(&self, fence: &CommitFence<'_>) -> Result<(), ErrorCode> {
        let epoch = fence.generation_or_epoch;
        if epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self.members.get(fence.member_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if !member.is_classic() && fence.version < COMMIT_HAS_EPOCH {
            return Err(ErrorCode::UNSUPPORTED_VERSION);
        }
        if epoch > member.epoch { Err(stale(member)) } else { Ok(()) }
    }

    fn check_commit_partition(
        &self,
        fence: &CommitFence<'_>,
        topic_id: Uuid,
        partition: i32,
    ) -> Result<(), ErrorCode> {
        let Some(member) = self.members.get(fence.member_id) else {
            // A commit without a member was allowed, or it would not have come this far.
            return Ok(());
        };
        let epoch = fence.generation_or_epoch;
        if epoch == member.epoch {
            return Ok(());
        }
        match member.held_since(TopicPartition { topic: topic_id, partition }) {
            Some(since) if epoch >= since => Ok(()),
            _ => Err(stale(member)),
        }
    }

    fn check_fetch(&self, member_id: Option<&str>, member_epoch: i32) -> Result<(), ErrorCode> {
        let Some(member_id) = member_id else {
            return if member_epoch < 0 { Ok(()) } else { Err(ErrorCode::UNKNOWN_MEMBER_ID) };
        };
        let member = self.members.get(member_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if member_epoch == member.epoch { Ok(()) } else { Err(stale(member)) }
    }

    fn check_delete_offsets(&self) -> Result<(), ErrorCode> {
        Ok(())
    }

    fn check_delete(&self) -> Result<(), ErrorCode> {
        if self.members.is_empty() { Ok(()) } else { Err(ErrorCode::NON_EMPTY_GROUP) }
    }

    fn is_subscribed_to(&self, topic: &str) -> bool {
        self.names.contains(topic)
    }

    fn offset_expiry(&self) -> OffsetExpiry {
        OffsetExpiry::Unsubscribed
    }

    fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    fn push_tombstones(&self, group_id: &str, records: &mut Vec<Record>) {
        let members: Vec<&str> = self.members.keys().map(|id| &**id).collect();
        self.push_tombstones_of(group_id, &members, records);
    }
}

/// The code for a commit or a fetch with an epoch that is not the member's.
fn stale(member: &Member) -> ErrorCode {
    if member.is_classic() { ErrorCode::ILLEGAL_GENERATION } else { ErrorCode::STALE_MEMBER_EPOCH }
}

impl ConsumerGroup {
    /// Adds the records that delete the group with these members.
    fn push_tombstones_of(&self, group_id: &str, members: &[&str], records: &mut Vec<Record>) {
        records.extend(members.iter().map(|id| records::no_current(group_id, id)));
        records.extend(members.iter().map(|id| records::no_member_target(group_id, id)));
        records.push(records::no_target(group_id));
        records.extend(members.iter().map(|id| records::no_member(group_id, id)));
        records.extend(self.resolved.keys().map(|regex| records::no_regex(group_id, regex)));
        records.push(records::no_partition_metadata(group_id));
        records.push(records::no_group(group_id));
    }
}

#[cfg(test)]
mod tests;

//! What a member's request changes of its group: the epoch, the target assignment, and what the
//! member itself has.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::uuid::Uuid;

use super::assignor::{Assignor, GroupSpec, MemberSpec};
use super::leave::ConsumerTimer;
use super::member::{Member, MemberState, Owned};
use super::metadata_hash::{group_hash, topic_hash};
use super::partitions::TopicPartition;
use super::reconcile::Reconciliation;
use super::subscriptions::{Subscriptions, count};
use super::{ConsumerGroup, most_wanted, records};
use crate::context::{ClusterView, Context};
use crate::group::TimerKey;
use crate::group::config::GroupConfig;
use crate::record::Record;
use crate::timers::Timers;

/// What one request leads to, as far as it has come.
pub(super) struct Draft<'a> {
    pub(super) group_id: &'a Arc<str>,
    pub(super) config: &'a GroupConfig,
    pub(super) cx: &'a Context<'a>,
    pub(super) records: Vec<Record>,
    timers: Vec<(ConsumerTimer, Option<i32>)>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(
        group_id: &'a Arc<str>,
        config: &'a GroupConfig,
        cx: &'a Context<'a>,
    ) -> Self {
        Self { group_id, config, cx, records: Vec::new(), timers: Vec::new() }
    }

    /// Has the deadline set to so many ms from now.
    pub(super) fn set_timer(&mut self, timer: ConsumerTimer, after_ms: i32) {
        self.timers.push((timer, Some(after_ms)));
    }

    /// Has the deadline taken away.
    pub(super) fn cancel_timer(&mut self, timer: ConsumerTimer) {
        self.timers.push((timer, None));
    }

    /// Moves the deadlines, and hands over the records.
    pub(super) fn finish(self, timers: &mut Timers<TimerKey>) -> Vec<Record> {
        for (timer, after_ms) in self.timers {
            let key = TimerKey::Consumer(timer);
            match after_ms {
                Some(after_ms) => timers.set(key, self.cx.now.mono_ms + i64::from(after_ms)),
                None => timers.cancel(&key),
            }
        }
        self.records
    }
}

/// A member as its group has it, and as its request leaves it.
pub(super) struct Change<'a> {
    pub(super) member_id: &'a Arc<str>,
    pub(super) member: &'a Member,
    pub(super) updated: &'a Member,
}

/// A group's epoch, and whether its members then subscribe to the same topics.
#[derive(Clone, Copy, Debug)]
pub(super) struct GroupEpoch {
    pub(super) epoch: i32,
    pub(super) homogeneous: bool,
}

impl ConsumerGroup {
    /// The hash of these topics, in the order of their names.
    pub(super) fn hash_topics<'t>(
        &mut self,
        topics: impl Iterator<Item = &'t Arc<str>>,
        cluster: &dyn ClusterView,
    ) -> i64 {
        let mut hashes = Vec::new();
        for topic in topics {
            let Some(facts) = cluster.topic(topic) else {
                self.topic_hashes.remove(topic);
                continue;
            };
            let hash = match self.topic_hashes.get(topic) {
                Some((known, hash)) if *known == facts => *hash,
                _ => {
                    let racks = |partition| cluster.partition_racks(facts.id, partition);
                    let hash = topic_hash(topic, facts, racks);
                    self.topic_hashes.insert(Arc::clone(topic), (facts, hash));
                    hash
                }
            };
            hashes.push(hash);
        }
        if self.topic_hashes.len() > 2 * hashes.len() + 16 {
            let names = &self.names;
            self.topic_hashes.retain(|topic, _| names.contains(topic));
        }
        group_hash(&hashes)
    }

    /// Whether a topic that a member subscribes to has changed since the hash was last looked at,
    /// or it never was.
    pub(super) fn must_hash(&mut self, cluster: &dyn ClusterView) -> bool {
        let version = cluster.version();
        match self.hashed_at {
            None => true,
            // An epoch that was drawn up but not written asks for another try.
            Some((_, epoch)) if self.epoch < epoch => true,
            Some((seen, _)) if seen == version => false,
            Some((_, epoch)) => {
                let known = |topic| self.topic_hashes.get(topic).map(|(facts, _)| *facts);
                let changed = self.names.topics().any(|topic| cluster.topic(topic) != known(topic));
                if !changed {
                    self.hashed_at = Some((version, epoch));
                }
                changed
            }
        }
    }

    /// The group's epoch with the changed member, another one if `bump` or topics have changed.
    pub(super) fn update_epoch(
        &mut self,
        draft: &mut Draft<'_>,
        change: &Change<'_>,
        bump: bool,
    ) -> GroupEpoch {
        if !bump && !self.must_hash(draft.cx.cluster) {
            let homogeneous = self.names.are_homogeneous(&self.regexes, self.members.len());
            return GroupEpoch { epoch: self.epoch, homogeneous };
        }
        let (names, regexes) = self.subscriptions_after(change);
        let hash = self.hash_topics(names.topics(), draft.cx.cluster);
        let is_new = !self.members.contains_key(change.member_id)
            && change
                .updated
                .instance_id
                .as_ref()
                .is_none_or(|one| !self.static_members.contains_key(one));
        let member_count = self.members.len() + usize::from(is_new);
        let homogeneous = names.are_homogeneous(&regexes, member_count);
        let mut epoch = self.epoch;
        if bump || hash != self.metadata_hash {
            epoch = epoch.wrapping_add(1);
            log::debug!("group {} comes to epoch {epoch}", draft.group_id);
            draft.records.push(records::group(draft.group_id, epoch, hash));
        }
        self.hashed_at = Some((draft.cx.cluster.version(), epoch));
        if self.has_partition_metadata {
            draft.records.push(records::no_partition_metadata(draft.group_id));
        }
        GroupEpoch { epoch, homogeneous }
    }

    /// Who subscribes to what with the changed member.
    fn subscriptions_after(
        &self,
        change: &Change<'_>,
    ) -> (Subscriptions, BTreeMap<Arc<str>, usize>) {
        let (mut names, mut regexes) = (self.names.clone(), self.regexes.clone());
        change.member.names.iter().for_each(|topic| names.count_name(topic, false));
        change.updated.names.iter().for_each(|topic| names.count_name(topic, true));
        let (old, new) = (change.member.regex(), change.updated.regex());
        if old != new {
            if let Some(old) = old {
                if self.regexes.get(old) == Some(&1) {
                    let topics = self.resolved.get(old).map(|resolved| &resolved.topics);
                    topics.into_iter().flat_map(|topics| topics.iter()).for_each(|topic| {
                        names.count_regex(topic, false);
                    });
                }
                count(&mut regexes, old, false);
            }
            if let Some(new) = new {
                count(&mut regexes, new, true);
            }
        }
        (names, regexes)
    }

    /// The epoch of the target assignment and the changed member's part of it. A new one is made
    /// when the group's epoch asks for it, but not within the assignment interval of the last: the
    /// next heartbeat then sees to it.
    pub(super) fn update_target(
        &self,
        draft: &mut Draft<'_>,
        change: &Change<'_>,
        epoch: GroupEpoch,
    ) -> (i32, Vec<TopicPartition>) {
        let now_ms = draft.cx.now.wall_ms;
        let interval_ms = draft
            .cx
            .cluster
            .group_overrides(draft.group_id)
            .consumer_assignment_interval_ms
            .unwrap_or(draft.config.consumer_assignment_interval_ms);
        // A clock that went back must not keep the group waiting.
        let next_ms = self.assigned_ms.saturating_add(i64::from(interval_ms));
        let waits = (self.assigned_ms..next_ms).contains(&now_ms);
        if self.assignment_epoch >= epoch.epoch || (self.assigned_ms != 0 && waits) {
            let last = match &change.updated.instance_id {
                None => Some(change.member_id),
                Some(instance_id) => self.static_members.get(instance_id),
            };
            let target = last.map_or(&[][..], |member_id| self.target(member_id));
            return (self.assignment_epoch, target.to_vec());
        }
        let assignor = self.assignor_after(change, draft.config);
        let mut target = Vec::new();
        let members = self.members_after(change);
        let assignment = assign(self, &members, epoch.homogeneous, assignor, draft.cx.cluster);
        for ((member_id, _), partitions) in members.iter().zip(assignment) {
            if self.targets.get(*member_id) != Some(&partitions) {
                let record = records::member_target(draft.group_id, member_id, &partitions);
                draft.records.push(record);
            }
            if *member_id == change.member_id {
                target = partitions;
            }
        }
        draft.records.push(records::target(draft.group_id, epoch.epoch, now_ms));
        (epoch.epoch, target)
    }

    /// The assignor that most want with the changed member, or else the broker's first.
    fn assignor_after(&self, change: &Change<'_>, config: &GroupConfig) -> Assignor {
        let mut wanted = self.assignors.clone();
        if let Some(assignor) = &change.member.assignor {
            count(&mut wanted, assignor, false);
        }
        if let Some(assignor) = &change.updated.assignor {
            count(&mut wanted, assignor, true);
        }
        let preferred = most_wanted(&wanted).and_then(|name| Assignor::named(name));
        preferred.unwrap_or_else(|| default_assignor(config))
    }

    /// The members in the order of their ids, with the changed one. One with its lasting name but
    /// another id has made way for it.
    fn members_after<'m>(&'m self, change: &Change<'m>) -> Vec<(&'m Arc<str>, &'m Member)> {
        let instance_id = change.updated.instance_id.as_ref();
        let replaced = instance_id.and_then(|one| self.static_members.get(one));
        let others = self.members.iter();
        let mut members: Vec<_> =
            others.filter(|(id, _)| *id != change.member_id && Some(*id) != replaced).collect();
        let place = members.partition_point(|(id, _)| *id < change.member_id);
        members.insert(place, (change.member_id, change.updated));
        members
    }

    /// What the member may go on to, and has from now on.
    ///
    /// # Errors
    /// [`ErrorCode::FENCED_MEMBER_EPOCH`] when it must join anew.
    pub(super) fn reconcile(
        &mut self,
        draft: &mut Draft<'_>,
        change: &Change<'_>,
        target: (i32, &[TopicPartition]),
        subscription_changed: bool,
        owned: Option<Owned<'_>>,
    ) -> Result<Member, ErrorCode> {
        let updated = change.updated;
        if !subscription_changed && updated.is_reconciled_to(target.0) {
            return Ok(updated.clone());
        }
        let reconciled = Reconciliation {
            target_epoch: target.0,
            target: target.1,
            subscribes: &|topic| self.subscribes(updated, topic, draft.cx.cluster),
            subscription_changed,
            is_held: &|at| self.is_held(at),
            owned,
        }
        .next(updated)?;
        if reconciled == *updated {
            return Ok(reconciled);
        }
        draft.records.push(records::current(draft.group_id, change.member_id, &reconciled));
        if !reconciled.is_classic() {
            let (group_id, member_id) = (Arc::clone(draft.group_id), Arc::clone(change.member_id));
            let timer = ConsumerTimer::Rebalance(group_id, Arc::clone(&member_id));
            if reconciled.state == MemberState::UnrevokedPartitions {
                draft.set_timer(timer, reconciled.rebalance_timeout_ms);
                self.rebalancing.insert(member_id, reconciled.epoch);
            } else {
                draft.cancel_timer(timer);
                self.rebalancing.remove(&member_id);
            }
        }
        Ok(reconciled)
    }
}

/// The first assignor that the broker offers.
pub(super) fn default_assignor(config: &GroupConfig) -> Assignor {
    let offered = config.consumer_assignors.iter();
    offered.filter_map(|name| Assignor::named(name)).next().unwrap_or(Assignor::Uniform)
}

/// Assigns all partitions of all topics that the members subscribe to.
fn assign(
    group: &ConsumerGroup,
    members: &[(&Arc<str>, &Member)],
    homogeneous: bool,
    assignor: Assignor,
    cluster: &dyn ClusterView,
) -> super::assignor::Assignment {
    let mut partition_counts = BTreeMap::new();
    // Members that subscribe to the same have the same list, which is looked up once.
    let mut known: HashMap<_, Arc<[Uuid]>> = HashMap::new();
    let mut specs = Vec::with_capacity(members.len());
    for (member_id, member) in members {
        let key = (member.names.as_ptr(), member.regex());
        let topics = known.entry(key).or_insert_with(|| {
            let resolved = member.regex().and_then(|regex| group.resolved.get(regex));
            let matching = resolved.into_iter().flat_map(|resolved| resolved.topics.iter());
            let existing = member.names.iter().chain(matching).filter_map(|name| {
                let facts = cluster.topic(name)?;
                partition_counts.insert(facts.id, facts.partition_count);
                Some(facts.id)
            });
            let mut topics: Vec<Uuid> = existing.collect();
            topics.sort_unstable();
            topics.dedup();
            topics.into()
        });
        // A static member that came back under another id has what it had before.
        let before = member.instance_id.as_ref().and_then(|one| group.static_members.get(one));
        let current = match before {
            Some(before) if before != *member_id => group.target(before),
            _ => group.target(member_id),
        };
        specs.push(MemberSpec {
            member_id,
            instance_id: member.instance_id.as_deref(),
            topics: Arc::clone(topics),
            current,
        });
    }
    assignor.assign(&GroupSpec { members: specs, partition_counts, homogeneous })
}

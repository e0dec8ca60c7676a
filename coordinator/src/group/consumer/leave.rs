//! How members go: by their own will, or because they were not heard of in time.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest;

use super::heartbeat::{ConsumerHeartbeatAnswer, Refusal};
use super::member::{Member, MemberState, STATIC_LEAVE_EPOCH};
use super::subscriptions::count;
use super::{ConsumerGroup, records};
use crate::context::Context;
use crate::effects::{Answer, Effects, Then, Ticket, Write};
use crate::group::{Group, GroupShard, TimerKey};
use crate::record::Record;

/// When to look again whether members are gone that were to go: the write may fail, and nobody
/// would look after them any more. Kafka waits as long before it tries such a write again.
const RETRY_MS: i64 = 500;

/// What a deadline of a consumer group is for: of a member (the second id) of a group, or of a
/// group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::group) enum ConsumerTimer {
    /// The member was not heard of.
    Session(Arc<str>, Arc<str>),
    /// The member has not given its partitions up.
    Rebalance(Arc<str>, Arc<str>),
    /// The member, which speaks the classic protocol, has not joined again.
    Join(Arc<str>, Arc<str>),
    /// The same, it has not asked for its assignment.
    Sync(Arc<str>, Arc<str>),
    /// The group's regular expressions are to be matched.
    Resolve(Arc<str>),
}

impl GroupShard {
    /// A member leaves.
    pub(super) fn leave_by_heartbeat(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest<'_>,
        cx: &Context<'_>,
    ) -> Result<Effects<ConsumerHeartbeatAnswer>, Refusal> {
        let Some(Group::Consumer(group)) = self.groups.get(request.group_id) else {
            let message = "there is no such consumer group";
            return Err(Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, message));
        };
        let (member_id, member) = group
            .identified(request.member_id, request.instance_id)
            .map_err(|error| Refusal::new(error, "the group has no such member"))?;
        let response = ConsumerHeartbeatAnswer {
            member_id: Some(Arc::clone(member_id)),
            member_epoch: request.member_epoch,
            ..ConsumerHeartbeatAnswer::refusal(ErrorCode::NONE, None)
        };
        if request.member_epoch == STATIC_LEAVE_EPOCH {
            let away = away(member);
            let records = vec![records::current(request.group_id, member_id, &away)];
            let write = Some(Write { records, then: Then::Replay });
            return Ok(Effects { write, response, answers: Vec::new() });
        }
        let leaving = BTreeSet::from([Arc::clone(member_id)]);
        log::debug!("member {member_id} leaves group {}", request.group_id);
        let effects = self.fence(request.group_id, &leaving, cx);
        Ok(effects.map(|()| response))
    }

    /// Takes members out, and leads the group to another epoch.
    pub(super) fn fence(
        &mut self,
        group_id: &str,
        leaving: &BTreeSet<Arc<str>>,
        cx: &Context<'_>,
    ) -> Effects {
        let config = Arc::clone(&self.config);
        let Some(Group::Consumer(group)) = self.groups.get_mut(group_id) else {
            return Effects::response(());
        };
        if leaving.is_empty() {
            return Effects::response(());
        }
        let effects = if group.may_downgrade_without(leaving, &config) {
            group.downgrade_without(group_id, leaving, cx)
        } else {
            let records = group.without(group_id, leaving, cx);
            Effects {
                write: Some(Write { records, then: Then::Replay }),
                response: (),
                answers: Vec::new(),
            }
        };
        self.stop_timers(group_id, leaving);
        let group_id = self.group_id(group_id);
        for member_id in leaving {
            let timer = ConsumerTimer::Session(Arc::clone(&group_id), Arc::clone(member_id));
            self.timers.set(TimerKey::Consumer(timer), cx.now.mono_ms + RETRY_MS);
        }
        effects
    }

    /// Waits for nothing of these members any more.
    pub(super) fn stop_timers<'m>(
        &mut self,
        group_id: &str,
        members: impl IntoIterator<Item = &'m Arc<str>>,
    ) {
        let group_id = self.group_id(group_id);
        for member_id in members {
            for timer in [
                ConsumerTimer::Session,
                ConsumerTimer::Rebalance,
                ConsumerTimer::Join,
                ConsumerTimer::Sync,
            ] {
                let timer = timer(Arc::clone(&group_id), Arc::clone(member_id));
                self.timers.cancel(&TimerKey::Consumer(timer));
            }
        }
    }

    /// Does what a deadline that has passed calls for.
    pub(in crate::group) fn consumer_timer(
        &mut self,
        timer: ConsumerTimer,
        cx: &Context<'_>,
    ) -> Effects {
        let (group_id, member_id, is_late): (_, _, fn(&ConsumerGroup, &str) -> bool) = match timer {
            ConsumerTimer::Resolve(group_id) => return self.resolve_regexes(&group_id, cx),
            ConsumerTimer::Rebalance(group, member) => {
                (group, member, ConsumerGroup::is_late_to_revoke)
            }
            ConsumerTimer::Session(group, member)
            | ConsumerTimer::Join(group, member)
            | ConsumerTimer::Sync(group, member) => (group, member, |_, _| true),
        };
        match self.groups.get(&group_id) {
            Some(Group::Consumer(group))
                if group.members.contains_key(&member_id) && is_late(group, &member_id) =>
            {
                log::info!("member {member_id} of group {group_id} is late and taken out");
                self.fence(&group_id, &BTreeSet::from([member_id]), cx)
            }
            _ => Effects::response(()),
        }
    }

    /// Arms the deadlines of the groups that were loaded.
    pub(in crate::group) fn consumer_loaded(&mut self, cx: &Context<'_>) -> Vec<Effects> {
        let Self { groups, timers, config, .. } = self;
        for (group_id, group) in groups {
            let Group::Consumer(group) = group else { continue };
            let overrides = cx.cluster.group_overrides(group_id);
            let session_ms =
                overrides.consumer_session_timeout_ms.unwrap_or(config.consumer_session_timeout_ms);
            let mut set = |timer, after_ms| {
                timers.set(TimerKey::Consumer(timer), cx.now.mono_ms + i64::from(after_ms));
            };
            let mut rebalancing = Vec::new();
            for (member_id, member) in &group.members {
                let ids = || (Arc::clone(group_id), Arc::clone(member_id));
                let (group_id, id) = ids();
                set(ConsumerTimer::Session(group_id, id), session_ms);
                if member.state == MemberState::UnrevokedPartitions {
                    let (group_id, id) = ids();
                    let timer = ConsumerTimer::Rebalance(group_id, id);
                    set(timer, member.rebalance_timeout_ms);
                    rebalancing.push((Arc::clone(member_id), member.epoch));
                }
            }
            group.rebalancing.extend(rebalancing);
        }
        Vec::new()
    }

    /// Answers what waits: nothing does in a consumer group.
    #[expect(clippy::unused_self, reason = "the twin of the classic groups' method")]
    pub(in crate::group) fn close_consumer(&mut self, _: ErrorCode) -> Vec<(Ticket, Answer)> {
        Vec::new()
    }

    /// Takes the group out.
    pub(super) fn remove_consumer_group(&mut self, group_id: &str) {
        self.groups.remove(group_id);
    }
}

/// A static member that leaves for a while keeps its partitions; commits of any epoch count.
fn away(member: &Member) -> Member {
    let mut away = member.clone();
    away.epoch = STATIC_LEAVE_EPOCH;
    away.revoking = Vec::new();
    away.assigned.iter_mut().for_each(|held| held.epoch = 0);
    away
}

impl ConsumerGroup {
    /// The member that a request names.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, or FENCED_INSTANCE_ID when another has the instance id.
    pub(super) fn identified(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(&Arc<str>, &Member), ErrorCode> {
        match instance_id {
            None => self.members.get_key_value(member_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID),
            Some(instance_id) => match self.static_member(instance_id) {
                Some((id, _)) if **id != *member_id => Err(ErrorCode::FENCED_INSTANCE_ID),
                found => found.ok_or(ErrorCode::UNKNOWN_MEMBER_ID),
            },
        }
    }

    /// Whether the member is still in the epoch that it was to leave.
    fn is_late_to_revoke(&self, member_id: &str) -> bool {
        self.members.get(member_id).is_some_and(|member| {
            member.state == MemberState::UnrevokedPartitions
                && self.rebalancing.get(member_id) == Some(&member.epoch)
        })
    }

    /// The records that take members out, and those of the group that follow.
    fn without(
        &mut self,
        group_id: &str,
        leaving: &BTreeSet<Arc<str>>,
        cx: &Context<'_>,
    ) -> Vec<Record> {
        let mut records = Vec::new();
        let (mut names, mut regexes) = (self.names.clone(), self.regexes.clone());
        for member_id in leaving {
            records::push_no_member(&mut records, group_id, member_id);
            let Some(member) = self.members.get(member_id) else { continue };
            member.names.iter().for_each(|topic| names.count_name(topic, false));
            if let Some(regex) = member.regex() {
                count(&mut regexes, regex, false);
            }
        }
        for regex in self.regexes.keys().filter(|regex| !regexes.contains_key(*regex)) {
            records.push(records::no_regex(group_id, regex));
            if let Some(resolved) = self.resolved.get(regex) {
                resolved.topics.iter().for_each(|topic| names.count_regex(topic, false));
            }
        }
        let hash = self.hash_topics(names.topics(), cx.cluster);
        let epoch = self.epoch.wrapping_add(1);
        records.push(records::group(group_id, epoch, hash));
        // Should this not be written, the topics are looked at again.
        self.hashed_at = Some((cx.cluster.version(), epoch));
        records
    }
}

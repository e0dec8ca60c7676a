//! Subscriptions by regular expression: which topics match is found out here, after the heartbeat
//! that brought the expression, and kept in records.
//!
//! All expressions of a group are matched, one after the other, and again when
//!
//! - one is new,
//! - topics have changed,
//! - `group.consumer.regex.refresh.interval.ms` has passed,
//!
//! but not within ten seconds of the last time. It is the next heartbeat that notices. Topics that
//! begin or cease to match lead to another epoch of the group. When topics have changed but none
//! that matter here, nothing is written (Kafka writes all expressions anew).

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;

use super::ConsumerGroup;
use super::leave::ConsumerTimer;
use super::member::{Member, Names};
use super::pattern::Pattern;
use super::records;
use crate::context::{ClusterView, Context};
use crate::effects::{Effects, Then, Write};
use crate::group::{Group, GroupShard, TimerKey};
use crate::record::Record;

/// All expressions of a group are not matched again before this has passed, in ms.
const RESOLVE_INTERVAL_MIN_MS: i64 = 10_000;

/// What a regular expression came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    /// The topics that match.
    pub(super) topics: Names,
    /// The version of the topics then.
    pub(super) version: i64,
    /// When that was, in ms since 1970.
    pub(super) resolved_ms: i64,
}

/// The expressions of a group while they are matched, which takes a while.
#[derive(Debug)]
pub(super) struct Matching {
    /// The version of the topics when it began.
    version: i64,
    /// When that was, in ms since 1970.
    resolved_ms: i64,
    /// Those that are left, the last one first.
    left: Vec<Arc<str>>,
    done: Vec<(Arc<str>, Resolved)>,
}

/// What a request did to its member's regular expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RegexChange {
    /// Nothing.
    None,
    /// It is another one, whose topics are not known yet.
    Updated,
    /// It is another one, or there is none any more: the topics are known.
    UpdatedAndResolved,
}

/// The version of the topics as records have it.
fn version(cluster: &dyn ClusterView) -> i64 {
    cluster.version().cast_signed()
}

/// Whether it is no more than `ms` since `since_ms`. It is not when the clock was set back to
/// before then: nobody shall wait until it has caught up.
fn is_within(cx: &Context<'_>, since_ms: i64, ms: i64) -> bool {
    (since_ms..=since_ms.saturating_add(ms)).contains(&cx.now.wall_ms)
}

impl ConsumerGroup {
    /// Takes note of a member's regular expression. Adds a record if the old one is not used any
    /// more.
    ///
    /// # Errors
    /// [`ErrorCode::INVALID_REGULAR_EXPRESSION`] when the new one cannot be compiled.
    pub(super) fn update_regex(
        &self,
        group_id: &str,
        member: &Member,
        updated: &Member,
        records: &mut Vec<Record>,
    ) -> Result<RegexChange, ErrorCode> {
        if member.regex == updated.regex {
            return Ok(RegexChange::None);
        }
        let users = |regex| self.regexes.get(regex).copied().unwrap_or(0);
        if let Some(old) = member.regex().filter(|old| users(*old) == 1) {
            records.push(records::no_regex(group_id, old));
        }
        match updated.regex() {
            Some(new) if users(new) == 0 => {
                let invalid = |_| ErrorCode::INVALID_REGULAR_EXPRESSION;
                Pattern::compile(new).map_err(invalid)?;
                Ok(RegexChange::Updated)
            }
            Some(new) if self.resolved.contains_key(new) => Ok(RegexChange::UpdatedAndResolved),
            Some(_) => Ok(RegexChange::Updated),
            None if member.regex().is_some() => Ok(RegexChange::UpdatedAndResolved),
            None => Ok(RegexChange::Updated),
        }
    }

    /// Whether the expressions are to be matched now, as the group is with the updated member.
    fn must_resolve(
        &self,
        member: &Member,
        updated: &Member,
        cx: &Context<'_>,
        refresh_ms: i64,
    ) -> bool {
        let is_new = updated.regex() != member.regex()
            && updated.regex().is_some_and(|regex| !self.regexes.contains_key(regex));
        if !is_new && self.regexes.is_empty() {
            return false;
        }
        let looked = self.looked_at.map(|(_, looked_ms)| looked_ms);
        let last_ms = looked.or(self.resolved_ms());
        if last_ms.is_some_and(|last_ms| is_within(cx, last_ms, RESOLVE_INTERVAL_MIN_MS)) {
            return false;
        }
        let (old, new) = (member.regex(), updated.regex());
        let mut used = self.regexes.len();
        if old != new {
            used -= usize::from(old.is_some_and(|old| self.regexes.get(old) == Some(&1)));
            used += usize::from(is_new);
        }
        let version = version(cx.cluster);
        let last = self.resolved.values().next();
        let outdated = last.is_none_or(|last| last.version != version)
            && self.looked_at.is_none_or(|(looked, _)| looked != version);
        let due =
            is_new || used != self.resolved.len() || outdated || self.must_refresh(cx, refresh_ms);
        due && used > 0
    }

    /// When the expressions were last resolved, in ms since 1970.
    fn resolved_ms(&self) -> Option<i64> {
        self.resolved.values().next().map(|resolved| resolved.resolved_ms)
    }

    fn must_refresh(&self, cx: &Context<'_>, refresh_ms: i64) -> bool {
        self.resolved_ms().is_none_or(|last_ms| !is_within(cx, last_ms, refresh_ms))
    }

    /// Matches all topics with one expression more; whether it was the last. One that does not
    /// compile any more matches none.
    fn match_next(&mut self, cx: &Context<'_>) -> bool {
        let mut matching = self.matching.take().unwrap_or_else(|| {
            let (version, resolved_ms) = (version(cx.cluster), cx.now.wall_ms);
            self.looked_at = Some((version, resolved_ms));
            let left = self.regexes.keys().rev().map(Arc::clone).collect();
            Matching { version, resolved_ms, left, done: Vec::new() }
        });
        // One after the other: thousands of members with a pattern each would take gigabytes.
        if let Some(regex) = matching.left.pop() {
            let mut topics: Vec<Arc<str>> = Vec::new();
            if let Ok(pattern) = Pattern::compile(&regex) {
                cx.cluster.for_each_topic(&mut |topic, _| {
                    if pattern.matches(topic) {
                        let kept = self.names.kept(topic).map(Arc::clone);
                        topics.push(kept.unwrap_or_else(|| topic.into()));
                    }
                });
            }
            topics.sort_unstable();
            let Matching { version, resolved_ms, .. } = matching;
            matching.done.push((regex, Resolved { topics: topics.into(), version, resolved_ms }));
        }
        let is_done = matching.left.is_empty();
        self.matching = Some(matching);
        is_done
    }

    /// Makes the records of what came out, when all expressions are matched.
    fn matched_to_records(
        &mut self,
        group_id: &str,
        cx: &Context<'_>,
        refresh_ms: i64,
    ) -> Vec<Record> {
        let all_known = self.regexes.keys().all(|regex| self.resolved.contains_key(regex));
        let must_write = !all_known || self.must_refresh(cx, refresh_ms);
        let mut records = Vec::new();
        let mut names = self.names.clone();
        let mut changed = false;
        let matched = self.matching.take().map_or_else(Vec::new, |matching| matching.done);
        // Meanwhile members may have gone, and others come, whose turn is the next time.
        for (regex, resolved) in matched {
            if !self.regexes.contains_key(&regex) {
                continue;
            }
            let old = self.resolved.get(&regex).map(|old| &old.topics);
            let had: &[Arc<str>] = old.map_or(&[], |topics| topics);
            if had != &*resolved.topics {
                changed = true;
                had.iter().for_each(|topic| names.count_regex(topic, false));
                resolved.topics.iter().for_each(|topic| names.count_regex(topic, true));
            }
            records.push(records::regex(group_id, &regex, &resolved));
        }
        let hash = self.hash_topics(names.topics(), cx.cluster);
        if changed || hash != self.metadata_hash {
            let epoch = self.epoch.wrapping_add(1);
            records.push(records::group(group_id, epoch, hash));
            self.hashed_at = Some((cx.cluster.version(), epoch));
        } else if !must_write {
            records.clear();
        }
        records
    }
}

impl GroupShard {
    /// Has the group's regular expressions matched soon, if that is due.
    pub(super) fn schedule_resolution(
        &mut self,
        group_id: &Arc<str>,
        member: &Member,
        updated: &Member,
        cx: &Context<'_>,
    ) {
        let timer = TimerKey::Consumer(ConsumerTimer::Resolve(Arc::clone(group_id)));
        let refresh_ms = i64::from(self.config.consumer_regex_refresh_interval_ms);
        let due = match self.groups.get(group_id) {
            Some(Group::Consumer(group)) => group.must_resolve(member, updated, cx, refresh_ms),
            // The group is made by this very request.
            _ => updated.regex().is_some(),
        };
        if due && !self.timers.is_set(&timer) {
            self.timers.set(timer, cx.now.mono_ms);
        }
    }

    /// Matches one of the group's regular expressions, and has the next one matched after whoever
    /// waits for the shard; the last one brings the records of all.
    pub(super) fn resolve_regexes(&mut self, group_id: &str, cx: &Context<'_>) -> Effects {
        let refresh_ms = i64::from(self.config.consumer_regex_refresh_interval_ms);
        let mut effects = Effects::response(());
        if let Some(Group::Consumer(group)) = self.groups.get_mut(group_id) {
            if !group.match_next(cx) {
                let timer = ConsumerTimer::Resolve(self.group_id(group_id));
                self.timers.set(TimerKey::Consumer(timer), cx.now.mono_ms);
                return effects;
            }
            let records = group.matched_to_records(group_id, cx, refresh_ms);
            if !records.is_empty() {
                effects.write = Some(Write { records, then: Then::Replay });
            }
        }
        effects
    }
}

//! Offsets that a group has come to.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use ottla_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse,
};
use ottla_protocol::wire::WriteError;

use super::Consumer;
use super::chunk::At;
use super::shared::Shared;
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Outgoing};
use crate::partition::TopicPartition;
use crate::pending::{Pending, pending};
use crate::session::calls::{Ask, Key};
use crate::session::{Route, question};

/// What a commit says that comes too late.
const OUT: &str = "the group goes on without this consumer, whose partitions others may have by \
                   now; polls take it back in, and give records again that were not committed";

/// How far a group has come in a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffsetAndMetadata {
    /// The next offset to be read.
    pub offset: i64,
    /// The leader's epoch of the last record that was read; `None` when it is not known.
    pub leader_epoch: Option<i32>,
    /// A note of whoever commits; at most `offset.metadata.max.bytes` of the broker, 4096.
    pub metadata: String,
}

/// Of each partition.
pub(super) type Offsets = BTreeMap<TopicPartition, OffsetAndMetadata>;

impl From<i64> for OffsetAndMetadata {
    fn from(offset: i64) -> Self {
        Self { offset, ..Self::default() }
    }
}

impl From<At> for OffsetAndMetadata {
    fn from(at: At) -> Self {
        let leader_epoch = (at.epoch >= 0).then_some(at.epoch);
        Self { offset: at.offset, leader_epoch, metadata: String::new() }
    }
}

impl OffsetAndMetadata {
    pub(super) fn at(&self) -> At {
        At { offset: self.offset, epoch: self.leader_epoch.unwrap_or(-1) }
    }
}

impl Consumer {
    /// Commits what polls have returned, and waits until it is, for `default.api.timeout.ms` at
    /// most. Records of the last poll count as done.
    ///
    /// # Errors
    /// There is no `group.id`; the group's coordinator refuses, or does not answer in time. It
    /// refuses what comes of a consumer whom the group goes on without, with ILLEGAL_GENERATION,
    /// UNKNOWN_MEMBER_ID or STALE_MEMBER_EPOCH: Java's `CommitFailedException`.
    pub fn commit_sync(&self) -> Result<(), Error> {
        let offsets = self.shared.state().consumed();
        self.commit(offsets, true)?.wait()
    }

    /// Commits these offsets, each the next one to be read, and waits as [`Consumer::commit_sync`].
    ///
    /// # Errors
    /// As [`Consumer::commit_sync`].
    pub fn commit_sync_offsets(
        &self,
        offsets: &[(TopicPartition, OffsetAndMetadata)],
    ) -> Result<(), Error> {
        self.commit(offsets.iter().cloned().collect(), true)?.wait()
    }

    /// Commits what polls have returned. It is not tried again, since a later commit may have been
    /// made by then.
    ///
    /// # Errors
    /// There is no `group.id`. What goes wrong later the [`Pending`] tells.
    pub fn commit_async(&self) -> Result<Pending<()>, Error> {
        let offsets = self.shared.state().consumed();
        self.commit(offsets, false)
    }

    /// Commits these offsets, each the next one to be read, as [`Consumer::commit_async`].
    ///
    /// # Errors
    /// As [`Consumer::commit_async`].
    pub fn commit_async_offsets(
        &self,
        offsets: &[(TopicPartition, OffsetAndMetadata)],
    ) -> Result<Pending<()>, Error> {
        self.commit(offsets.iter().cloned().collect(), false)
    }

    /// What the group has committed of these partitions; `None` where there is nothing.
    ///
    /// # Errors
    /// There is no `group.id`; the group's coordinator does not tell within
    /// `default.api.timeout.ms`.
    pub fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<OffsetAndMetadata>>, Error> {
        let group = self.group()?;
        let wanted = partitions.to_vec();
        let (ask, waiting) = fetch(group, wanted);
        self.ask(ask)?;
        let mut found = waiting.wait()?;
        Ok(partitions.iter().map(|of| (of.clone(), found.remove(of))).collect())
    }

    fn group(&self) -> Result<Arc<str>, Error> {
        let detail = "without group.id there are no committed offsets";
        let group = self.shared.settings.group.clone();
        group.ok_or_else(|| Error::new(ErrorKind::Usage, detail))
    }

    pub(super) fn commit(&self, offsets: Offsets, is_repeated: bool) -> Result<Pending<()>, Error> {
        self.commit_until(self.api_deadline(), offsets, is_repeated)
    }

    pub(super) fn commit_until(
        &self,
        deadline: Instant,
        offsets: Offsets,
        is_repeated: bool,
    ) -> Result<Pending<()>, Error> {
        let group = self.group()?;
        if let Some((of, wrong)) = offsets.iter().find(|(_, offset)| offset.offset < 0) {
            let detail = format!("the offset {} is negative", wrong.offset);
            return Err(Error::new(ErrorKind::Usage, detail).of(of));
        }
        if offsets.is_empty() {
            let (promise, done) = pending();
            promise.keep(Ok(()));
            return Ok(done);
        }
        self.shared.state().check_member()?;
        let (ask, waiting) = put(group, offsets, is_repeated, &self.shared);
        self.ask_until(deadline, ask)?;
        Ok(waiting)
    }

    /// Commits what earlier polls have returned, when it is time to.
    pub(super) fn commit_automatically(&self) {
        let Some(interval) = self.shared.settings.auto_commit else { return };
        let now = Instant::now();
        let mut state = self.shared.state();
        let due = *state.commit_due.get_or_insert(now + interval);
        if now < due {
            return;
        }
        state.commit_due = Some(now + interval);
        let offsets = state.consumed();
        drop(state);
        self.commit_behind(offsets);
    }

    /// Commits, and has it done soon again if it fails and that may help.
    pub(super) fn commit_behind(&self, offsets: Offsets) {
        let Ok(committed) = self.commit(offsets, false) else { return };
        let shared = Arc::clone(&self.shared);
        committed.then(move |result| {
            let Err(error) = result else { return };
            log::warn!("offsets were not committed: {error}");
            if error.is_retriable() {
                let again = Instant::now() + shared.settings.retry_backoff.first;
                shared.state().commit_due = Some(again);
            }
        });
    }

    pub(super) fn api_deadline(&self) -> Instant {
        Instant::now() + self.shared.settings.api_timeout
    }

    pub(super) fn ask(&self, ask: Box<dyn Ask>) -> Result<(), Error> {
        self.ask_until(self.api_deadline(), ask)
    }

    fn ask_until(&self, deadline: Instant, ask: Box<dyn Ask>) -> Result<(), Error> {
        let mut state = self.shared.state();
        if state.is_over {
            return Err(Error::closed("consumer"));
        }
        state.asks.push((ask, deadline));
        drop(state);
        self.wake();
        Ok(())
    }
}

/// The partitions of each topic.
fn by_topic<'a, T: 'a>(
    all: impl Iterator<Item = (&'a TopicPartition, T)>,
) -> BTreeMap<&'a str, Vec<T>> {
    let mut topics: BTreeMap<&str, Vec<T>> = BTreeMap::new();
    for (of, what) in all {
        topics.entry(&of.topic).or_default().push(what);
    }
    topics
}

/// To commit offsets.
pub(super) fn put(
    group: Arc<str>,
    offsets: Offsets,
    is_repeated: bool,
    shared: &Arc<Shared>,
) -> (Box<dyn Ask>, Pending<()>) {
    let key = Key::Group(group.to_string());
    let unfinished = Unfinished::new(&shared.commits);
    let sent_with = Arc::new(AtomicI32::new(-1));
    let (member_of, sent) = (Arc::clone(shared), Arc::clone(&sent_with));
    let build = move |version, timeout: Duration| -> Result<Outgoing, WriteError> {
        let topics = by_topic(offsets.iter().map(|(of, offset)| {
            let partition = OffsetCommitRequestPartition {
                partition_index: of.partition,
                committed_offset: offset.offset,
                committed_leader_epoch: offset.leader_epoch.unwrap_or(-1),
                committed_metadata: Some(&offset.metadata),
            };
            (of, partition)
        }));
        let topics = topics.into_iter();
        // Who has partitions by assign() is no member, and says so.
        let member = member_of.state().identity();
        let generation_or_epoch = member.as_ref().map_or(-1, |member| member.generation_or_epoch);
        sent.store(generation_or_epoch, Ordering::SeqCst);
        let request = OffsetCommitRequest {
            group_id: &group,
            generation_id_or_member_epoch: generation_or_epoch,
            member_id: member.as_ref().map_or("", |member| &member.member_id),
            group_instance_id: member.as_ref().and_then(|member| member.instance_id.as_deref()),
            topics: topics
                .map(|(name, partitions)| OffsetCommitRequestTopic {
                    name,
                    partitions,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        Outgoing::new(&request, version, timeout)
    };
    let read = |answer: &Answer| {
        let read: OffsetCommitResponse<'_> = answer.read()?;
        for topic in &read.topics {
            for told in &topic.partitions {
                let result = Error::of_code(told.error_code, None);
                result.map_err(|error| error.of_partition(topic.name, told.partition_index))?;
            }
        }
        Ok(())
    };
    // Version 10 has ids in place of topics' names and nothing else that is new: brokers of 4.x
    // answer version 9 in full, and who commits need not know the ids.
    let api = (ApiKey::OffsetCommit, 2..=9);
    let (ask, waiting) = question(Route::Coordinator(key), api, build, read);
    let shared = Arc::clone(shared);
    (Box::new(Commit { ask, is_repeated, shared, sent_with, _unfinished: unfinished }), waiting)
}

/// A commit on its way.
struct Commit {
    ask: Box<dyn Ask>,
    is_repeated: bool,
    shared: Arc<Shared>,
    /// The generation or epoch that it was sent with last.
    sent_with: Arc<AtomicI32>,
    _unfinished: Unfinished,
}

/// Counts as long as it is there.
struct Unfinished(Arc<AtomicUsize>);

impl Unfinished {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Ask for Commit {
    fn route(&self) -> Route {
        self.ask.route()
    }

    fn api(&self) -> (ApiKey, RangeInclusive<i16>) {
        self.ask.api()
    }

    fn request(&mut self, version: i16, timeout: Duration) -> Result<Outgoing, Error> {
        self.ask.request(version, timeout)
    }

    fn answered(&mut self, answer: &Answer) -> Result<(), Error> {
        self.ask.answered(answer)
    }

    fn is_repeated(&self, error: &Error) -> bool {
        // The request is built anew, as the member is by then.
        let may_pass = match error.code() {
            Some(ErrorCode::STALE_MEMBER_EPOCH | ErrorCode::REBALANCE_IN_PROGRESS) => true,
            // It was sent behind a join, and heard after it.
            Some(ErrorCode::ILLEGAL_GENERATION) => {
                let now = self.shared.state().identity();
                now.is_some_and(|now| {
                    now.generation_or_epoch != self.sent_with.load(Ordering::SeqCst)
                })
            }
            _ => error.is_retriable(),
        };
        self.is_repeated && may_pass
    }

    fn failed(self: Box<Self>, error: Error) {
        let is_out = matches!(
            error.code(),
            Some(
                ErrorCode::ILLEGAL_GENERATION
                    | ErrorCode::UNKNOWN_MEMBER_ID
                    | ErrorCode::STALE_MEMBER_EPOCH
            )
        );
        self.ask.failed(if is_out { error.about(OUT) } else { error });
    }
}

/// To be told what a group has committed of these partitions.
pub(super) fn fetch(
    group: Arc<str>,
    wanted: Vec<TopicPartition>,
) -> (Box<dyn Ask>, Pending<Offsets>) {
    let key = Key::Group(group.to_string());
    let build = move |version, timeout: Duration| {
        let topics = by_topic(wanted.iter().map(|of| (of, of.partition))).into_iter();
        // Transactions that may still change an offset are waited for; older brokers know none.
        let require_stable = version >= 7;
        let request = if version < 8 {
            let topics = topics
                .map(|(name, partition_indexes)| OffsetFetchRequestTopic {
                    name,
                    partition_indexes,
                })
                .collect();
            let (group_id, topics) = (&*group, Some(topics));
            OffsetFetchRequest { group_id, topics, require_stable, ..Default::default() }
        } else {
            let of = |(name, partition_indexes)| OffsetFetchRequestTopics {
                name,
                partition_indexes,
                ..Default::default()
            };
            let (group_id, topics) = (&*group, Some(topics.map(of).collect()));
            let group = OffsetFetchRequestGroup { group_id, topics, ..Default::default() };
            OffsetFetchRequest { groups: vec![group], require_stable, ..Default::default() }
        };
        Outgoing::new(&request, version, timeout)
    };
    // Version 10 has ids in place of topics' names and nothing else that is new.
    question(Route::Coordinator(key), (ApiKey::OffsetFetch, 1..=9), build, fetched)
}

fn fetched(answer: &Answer) -> Result<Offsets, Error> {
    let read: OffsetFetchResponse<'_> = answer.read()?;
    Error::of_code(read.error_code, None)?;
    let mut all = Offsets::new();
    let mut take = |(topic, partition): (&str, i32), code, (offset, epoch): (i64, i32), text| {
        Error::of_code(code, None).map_err(|error| error.of_partition(topic, partition))?;
        // -1 stands for none.
        if offset >= 0 {
            let metadata = Option::<&str>::unwrap_or_default(text).to_owned();
            let leader_epoch = (epoch >= 0).then_some(epoch);
            let committed = OffsetAndMetadata { offset, leader_epoch, metadata };
            all.insert(TopicPartition::new(topic, partition), committed);
        }
        Ok(())
    };
    // Up to version 7 it is one group, and behind that a list.
    for topic in &read.topics {
        for told in &topic.partitions {
            let at = (told.committed_offset, told.committed_leader_epoch);
            take((topic.name, told.partition_index), told.error_code, at, told.metadata)?;
        }
    }
    for group in &read.groups {
        Error::of_code(group.error_code, None)?;
        for topic in &group.topics {
            for told in &topic.partitions {
                let at = (told.committed_offset, told.committed_leader_epoch);
                take((topic.name, told.partition_index), told.error_code, at, told.metadata)?;
            }
        }
    }
    Ok(all)
}

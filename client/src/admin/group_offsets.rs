//! Offsets that groups have committed: read, set and deleted.

use std::time::Instant;

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use ottla_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
};
use ottla_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchResponse,
};

use super::spread::{Asked, GroupId, by_topic, distinct, sorted};
use super::{Admin, Results};
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Outgoing};
use crate::partition::TopicPartition;
use crate::pending::Pending;
use crate::session::Route;
use crate::session::calls::Key;

/// How far a group has come in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next offset to be read.
    pub offset: i64,
    /// The leader's epoch of the last record that was read; `None` when it was not told.
    pub leader_epoch: Option<i32>,
    /// What whoever committed left beside it.
    pub metadata: String,
}

/// What a broker tells of an offset: partition, code, offset and epoch, and the text beside.
type Told<'a> = ((&'a str, i32), ErrorCode, (i64, i32), Option<&'a str>);

impl Admin {
    /// How far a group has come, in all partitions that it has committed an offset of. A group that
    /// is not there has come nowhere.
    ///
    /// # Errors
    /// The group's coordinator did not answer, or may not tell.
    pub fn committed_offsets(&self, group: &str) -> Result<Vec<CommittedOffset>, Error> {
        let of = self.committed_offsets_of(&[group])?.into_iter().next();
        of.map_or_else(|| Ok(Vec::new()), |(_, offsets)| offsets)
    }

    /// How far groups have come, each as [`Admin::committed_offsets`] says it.
    ///
    /// # Errors
    /// A group is there twice. Of a group: its coordinator did not answer, or may not tell.
    pub fn committed_offsets_of(
        &self,
        groups: &[&str],
    ) -> Result<Results<String, Vec<CommittedOffset>>, Error> {
        let results = self.of_coordinators(groups, |broker, groups, deadline| {
            vec![self.fetch(broker, groups, deadline)]
        })?;
        // Brokers of before 3.0 are asked of one group at a time.
        let is_old = |result: &Result<_, Error>| {
            let error = result.as_ref().err();
            error.is_some_and(|error| error.kind() == ErrorKind::UnsupportedVersion)
        };
        let again = results.into_iter().map(|(group, result)| {
            let pending = is_old(&result).then(|| self.fetch_one(&group));
            (group, result, pending)
        });
        let again: Vec<_> = again.collect();
        let result = |(group, result, pending): (String, _, Option<Pending<_>>)| {
            let result = match pending {
                Some(pending) => pending.wait().map_err(|error| error.of_group(&group)),
                None => result,
            };
            (group, result)
        };
        Ok(again.into_iter().map(result).collect())
    }

    /// Of groups that a broker coordinates.
    fn fetch(
        &self,
        broker: i32,
        groups: Vec<GroupId>,
        deadline: Instant,
    ) -> Asked<GroupId, Vec<CommittedOffset>> {
        let (asked, of) = (groups.clone(), groups.clone());
        let build = move |version, timeout| {
            let groups = asked.iter().map(|group| OffsetFetchRequestGroup {
                group_id: &group.0,
                topics: None,
                ..Default::default()
            });
            let request = OffsetFetchRequest { groups: groups.collect(), ..Default::default() };
            Outgoing::new(&request, version, timeout)
        };
        let read = move |answer: &Answer| {
            let read: OffsetFetchResponse<'_> = answer.read()?;
            let told = read.groups.iter().map(|group| {
                let offsets = group.topics.iter().flat_map(|topic| {
                    topic.partitions.iter().map(move |told| {
                        let at = (told.committed_offset, told.committed_leader_epoch);
                        let of = (topic.name, told.partition_index);
                        (of, told.error_code, at, told.metadata)
                    })
                });
                let result = Error::of_code(group.error_code, None);
                (GroupId(group.group_id.to_owned()), result.and_then(|()| committed(offsets)))
            });
            sorted(ApiKey::OffsetFetch, &of, told)
        };
        // From version 10 on topics have ids in place of names.
        let (route, api) = (Route::Once(broker), (ApiKey::OffsetFetch, 8..=9));
        (groups, self.remote.ask_until(deadline, route, api, build, read))
    }

    fn fetch_one(&self, group: &str) -> Pending<Vec<CommittedOffset>> {
        let group_id = group.to_owned();
        let build = move |version, timeout| {
            let request =
                OffsetFetchRequest { group_id: &group_id, topics: None, ..Default::default() };
            Outgoing::new(&request, version, timeout)
        };
        let read = |answer: &Answer| {
            let read: OffsetFetchResponse<'_> = answer.read()?;
            Error::of_code(read.error_code, None)?;
            committed(read.topics.iter().flat_map(|topic| {
                topic.partitions.iter().map(move |told| {
                    let at = (told.committed_offset, told.committed_leader_epoch);
                    ((topic.name, told.partition_index), told.error_code, at, told.metadata)
                })
            }))
        };
        let route = Route::Coordinator(Key::Group(group.to_owned()));
        self.remote.ask(route, (ApiKey::OffsetFetch, 2..=7), build, read)
    }

    /// Sets how far a group has come. The group must have no members; one that is not there is
    /// made.
    ///
    /// # Errors
    /// A partition is there twice; the group's coordinator did not answer. Of a partition: the
    /// coordinator's, such as UNKNOWN_MEMBER_ID of a group that has members.
    pub fn alter_consumer_group_offsets(
        &self,
        group: &str,
        offsets: &[CommittedOffset],
    ) -> Result<Results<TopicPartition, ()>, Error> {
        let asked: Vec<TopicPartition> =
            offsets.iter().map(|of| TopicPartition::new(&of.topic, of.partition)).collect();
        distinct(&asked)?;
        let (id, mut offsets) = (group.to_owned(), offsets.to_vec());
        offsets.sort_by(|one, other| one.topic.cmp(&other.topic));
        let build = move |version, timeout| {
            let topics = offsets.chunk_by(|one, other| one.topic == other.topic);
            let topics = topics.map(|of| OffsetCommitRequestTopic {
                name: of.first().map_or("", |first| &first.topic),
                partitions: of.iter().map(CommittedOffset::request).collect(),
                ..Default::default()
            });
            let topics = topics.collect();
            let request = OffsetCommitRequest { group_id: &id, topics, ..Default::default() };
            Outgoing::new(&request, version, timeout)
        };
        let read = move |answer: &Answer| {
            let read: OffsetCommitResponse<'_> = answer.read()?;
            let told = read.topics.iter().flat_map(|topic| {
                topic.partitions.iter().map(|told| {
                    let at = TopicPartition::new(topic.name, told.partition_index);
                    (at, told.error_code)
                })
            });
            of_partitions(ApiKey::OffsetCommit, &asked, told)
        };
        let route = Route::Coordinator(Key::Group(group.to_owned()));
        // From version 10 on topics have ids in place of names.
        let pending = self.remote.ask(route, (ApiKey::OffsetCommit, 2..=9), build, read);
        of_group(group, pending.wait())
    }

    /// Forgets how far a group has come in partitions.
    ///
    /// # Errors
    /// A partition is there twice; the group's coordinator did not answer, or refuses, as with
    /// GROUP_ID_NOT_FOUND. Of a partition: the coordinator's, such as GROUP_SUBSCRIBED_TO_TOPIC.
    pub fn delete_consumer_group_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Results<TopicPartition, ()>, Error> {
        distinct(partitions)?;
        let (id, asked, of) = (group.to_owned(), partitions.to_vec(), partitions.to_vec());
        let build = move |version, timeout| {
            let partition = |partition_index| OffsetDeleteRequestPartition { partition_index };
            let topics = by_topic(&asked).into_iter().map(|(name, partitions)| {
                let partitions = partitions.into_iter().map(partition).collect();
                OffsetDeleteRequestTopic { name, partitions }
            });
            let request = OffsetDeleteRequest { group_id: &id, topics: topics.collect() };
            Outgoing::new(&request, version, timeout)
        };
        let read = move |answer: &Answer| {
            let read: OffsetDeleteResponse<'_> = answer.read()?;
            Error::of_code(read.error_code, None)?;
            let told = read.topics.iter().flat_map(|topic| {
                topic.partitions.iter().map(|told| {
                    let at = TopicPartition::new(topic.name, told.partition_index);
                    (at, told.error_code)
                })
            });
            of_partitions(ApiKey::OffsetDelete, &of, told)
        };
        let route = Route::Coordinator(Key::Group(group.to_owned()));
        let pending = self.remote.ask(route, (ApiKey::OffsetDelete, 0..=0), build, read);
        of_group(group, pending.wait())
    }
}

impl CommittedOffset {
    fn request(&self) -> OffsetCommitRequestPartition<'_> {
        OffsetCommitRequestPartition {
            partition_index: self.partition,
            committed_offset: self.offset,
            committed_leader_epoch: self.leader_epoch.unwrap_or(-1),
            committed_metadata: Some(&self.metadata),
        }
    }
}

fn committed<'a>(told: impl Iterator<Item = Told<'a>>) -> Result<Vec<CommittedOffset>, Error> {
    let mut all = Vec::new();
    for ((topic, partition), code, (offset, epoch), text) in told {
        Error::of_code(code, None).map_err(|error| error.of_partition(topic, partition))?;
        // -1 stands for none.
        if offset >= 0 {
            all.push(CommittedOffset {
                topic: topic.to_owned(),
                partition,
                offset,
                leader_epoch: (epoch >= 0).then_some(epoch),
                metadata: text.unwrap_or_default().to_owned(),
            });
        }
    }
    all.sort_by(|one, other| (&one.topic, one.partition).cmp(&(&other.topic, other.partition)));
    Ok(all)
}

/// What a coordinator told of partitions.
///
/// # Errors
/// It is not the coordinator, or not yet: it is to be asked again.
fn of_partitions(
    api: ApiKey,
    asked: &[TopicPartition],
    told: impl Iterator<Item = (TopicPartition, ErrorCode)> + Clone,
) -> Result<Results<TopicPartition, ()>, Error> {
    for (_, code) in told.clone() {
        if matches!(
            code,
            ErrorCode::NOT_COORDINATOR
                | ErrorCode::COORDINATOR_NOT_AVAILABLE
                | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        ) {
            Error::of_code(code, None)?;
        }
    }
    sorted(api, asked, told.map(|(at, code)| (at, Error::of_code(code, None))))
}

fn of_group<T>(
    group: &str,
    results: Result<Results<TopicPartition, T>, Error>,
) -> Result<Results<TopicPartition, T>, Error> {
    let results = results.map_err(|error| error.of_group(group))?;
    let of =
        |(at, result): (_, Result<T, Error>)| (at, result.map_err(|error| error.of_group(group)));
    Ok(results.into_iter().map(of).collect())
}

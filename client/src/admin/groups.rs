//! Groups: which there are, and where they are.

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use ottla_protocol::messages::list_groups::{ListGroupsRequest, ListGroupsResponse};
use ottla_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchResponse,
};

use super::{Admin, Results};
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Outgoing};
use crate::pending::Pending;
use crate::session::Route;
use crate::session::calls::Key;

/// A group as a listing has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// Its id.
    pub id: String,
    /// What its members speak: `consumer`, `connect`; empty for one that has offsets only.
    pub protocol_type: String,
    /// Its state: `Stable`, `Empty`; empty when the broker is too old to tell.
    pub state: String,
    /// Its kind: `classic`, `consumer`, `share`; empty when the broker is too old to tell.
    pub kind: String,
}

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

impl Admin {
    /// All groups, by their ids.
    ///
    /// # Errors
    /// A broker of the cluster did not answer: its groups are not known.
    pub fn list_groups(&self) -> Result<Vec<GroupListing>, Error> {
        let asked: Vec<Pending<Vec<GroupListing>>> = self
            .describe_cluster()?
            .brokers
            .iter()
            .map(|broker| self.groups_of(broker.id))
            .collect();
        let mut groups = Vec::new();
        for listed in asked {
            groups.extend(listed.wait()?);
        }
        groups.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(groups)
    }

    /// The groups that a broker coordinates.
    fn groups_of(&self, broker: i32) -> Pending<Vec<GroupListing>> {
        let build =
            |version, timeout| Outgoing::new(&ListGroupsRequest::default(), version, timeout);
        let read = |answer: &Answer| {
            let read: ListGroupsResponse<'_> = answer.read()?;
            Error::of_code(read.error_code, None)?;
            let listed = read.groups.iter().map(|group| GroupListing {
                id: group.group_id.to_owned(),
                protocol_type: group.protocol_type.to_owned(),
                state: group.group_state.to_owned(),
                kind: group.group_type.to_owned(),
            });
            Ok(listed.collect())
        };
        self.remote.ask(Route::Broker(broker), (ApiKey::ListGroups, 0..=5), build, read)
    }

    /// How far a group has come, in all partitions that it has committed an offset of. A group that
    /// is not there has come nowhere.
    ///
    /// # Errors
    /// The group's coordinator did not answer, or may not tell.
    pub fn committed_offsets(&self, group: &str) -> Result<Vec<CommittedOffset>, Error> {
        let id = group.to_owned();
        let build = move |version, timeout| {
            let request = if version < 8 {
                OffsetFetchRequest { group_id: &id, topics: None, ..Default::default() }
            } else {
                let group =
                    OffsetFetchRequestGroup { group_id: &id, topics: None, ..Default::default() };
                OffsetFetchRequest { groups: vec![group], ..Default::default() }
            };
            Outgoing::new(&request, version, timeout)
        };
        let key = Key::Group(group.to_owned());
        // From version 10 on topics have ids in place of names.
        let api = (ApiKey::OffsetFetch, 2..=9);
        self.remote.ask(Route::Coordinator(key), api, build, committed).wait()
    }

    /// Deletes groups that have no members, and all their offsets.
    ///
    /// # Errors
    /// Of a group: its coordinator did not answer, or refuses, as with NON_EMPTY_GROUP.
    pub fn delete_groups(&self, groups: &[&str]) -> Results<String, ()> {
        let asked: Vec<_> =
            groups.iter().map(|group| ((*group).to_owned(), self.delete_group(group))).collect();
        asked.into_iter().map(|(group, deleted)| (group, deleted.wait())).collect()
    }

    fn delete_group(&self, group: &str) -> Pending<()> {
        let id = group.to_owned();
        let build = move |version, timeout| {
            let request = DeleteGroupsRequest { groups_names: vec![&id] };
            Outgoing::new(&request, version, timeout)
        };
        let read = |answer: &Answer| {
            let read: DeleteGroupsResponse<'_> = answer.read()?;
            let of = |what: &str| Error::new(ErrorKind::Malformed, what);
            let told = read.results.first().ok_or_else(|| of("DeleteGroups: no word about it"))?;
            Error::of_code(told.error_code, None)
        };
        let route = Route::Coordinator(Key::Group(group.to_owned()));
        self.remote.ask(route, (ApiKey::DeleteGroups, 0..=2), build, read)
    }
}

fn committed(answer: &Answer) -> Result<Vec<CommittedOffset>, Error> {
    let read: OffsetFetchResponse<'_> = answer.read()?;
    Error::of_code(read.error_code, None)?;
    let mut all = Vec::new();
    let mut take = |(topic, partition): (&str, i32), code, (offset, epoch): (i64, i32), text| {
        Error::of_code(code, None).map_err(|error| error.of_partition(topic, partition))?;
        // -1 stands for none.
        if offset >= 0 {
            all.push(CommittedOffset {
                topic: topic.to_owned(),
                partition,
                offset,
                leader_epoch: (epoch >= 0).then_some(epoch),
                metadata: Option::<&str>::unwrap_or_default(text).to_owned(),
            });
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
    let key = |one: &CommittedOffset| (one.topic.clone(), one.partition);
    all.sort_by_key(key);
    Ok(all)
}

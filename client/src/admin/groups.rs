//! Groups: which there are, and their end.

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use ottla_protocol::messages::list_groups::{ListGroupsRequest, ListGroupsResponse};

use super::spread::{GroupId, sorted};
use super::{Admin, Results};
use crate::error::Error;
use crate::net::{Answer, Outgoing};
use crate::pending::Pending;
use crate::session::Route;

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

/// Which groups are listed. With nothing said, all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupFilter {
    states: Vec<String>,
    kinds: Vec<String>,
}

impl GroupFilter {
    /// All groups.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only groups in one of these states: `Stable`, `Empty`, `PreparingRebalance`,
    /// `CompletingRebalance`, `Assigning`, `Reconciling`, `Dead`. From Kafka 2.6 on.
    #[must_use]
    pub fn states(mut self, states: &[&str]) -> Self {
        self.states = states.iter().map(|&state| state.to_owned()).collect();
        self
    }

    /// Only groups of one of these kinds: `classic`, `consumer`, `share`, `streams`. From Kafka 3.8
    /// on.
    #[must_use]
    pub fn kinds(mut self, kinds: &[&str]) -> Self {
        self.kinds = kinds.iter().map(|&kind| kind.to_owned()).collect();
        self
    }

    /// The first version of ListGroups that can be told of it.
    fn version_min(&self) -> i16 {
        match (self.states.is_empty(), self.kinds.is_empty()) {
            (_, false) => 5,
            (false, true) => 4,
            (true, true) => 0,
        }
    }
}

impl Admin {
    /// All groups, by their ids.
    ///
    /// # Errors
    /// A broker of the cluster did not answer: its groups are not known.
    pub fn list_groups(&self) -> Result<Vec<GroupListing>, Error> {
        self.find_groups(&GroupFilter::new())
    }

    /// The groups that a filter lets pass, by their ids.
    ///
    /// # Errors
    /// As [`Admin::list_groups`]; a broker is too old for the filter (`UnsupportedVersion`).
    pub fn find_groups(&self, filter: &GroupFilter) -> Result<Vec<GroupListing>, Error> {
        let brokers = self.describe_cluster()?.brokers;
        let asked = brokers.iter().map(|broker| self.groups_of(broker.id, filter));
        let mut groups = Vec::new();
        for listed in asked.collect::<Vec<_>>() {
            groups.extend(listed.wait()?);
        }
        groups.sort_by(|one, other| one.id.cmp(&other.id));
        // A group that moves from broker to broker may be with both.
        groups.dedup_by(|one, other| one.id == other.id);
        Ok(groups)
    }

    /// The groups that a broker coordinates.
    fn groups_of(&self, broker: i32, filter: &GroupFilter) -> Pending<Vec<GroupListing>> {
        let api = (ApiKey::ListGroups, filter.version_min()..=5);
        let filter = filter.clone();
        let build = move |version, timeout| {
            let request = ListGroupsRequest {
                states_filter: filter.states.iter().map(String::as_str).collect(),
                types_filter: filter.kinds.iter().map(String::as_str).collect(),
            };
            Outgoing::new(&request, version, timeout)
        };
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
        self.remote.ask(Route::Broker(broker), api, build, read)
    }

    /// Deletes groups that have no members, and all their offsets.
    ///
    /// # Errors
    /// A group is there twice. Of a group: its coordinator did not answer, or refuses, as with
    /// NON_EMPTY_GROUP.
    pub fn delete_groups(&self, groups: &[&str]) -> Result<Results<String, ()>, Error> {
        self.of_coordinators(groups, |broker, items, deadline| {
            let (asked, of) = (items.clone(), items.clone());
            let build = move |version, timeout| {
                let groups_names = asked.iter().map(|group| group.0.as_str()).collect();
                Outgoing::new(&DeleteGroupsRequest { groups_names }, version, timeout)
            };
            let read = move |answer: &Answer| {
                let read: DeleteGroupsResponse<'_> = answer.read()?;
                let told = read.results.iter().map(|told| {
                    (GroupId(told.group_id.to_owned()), Error::of_code(told.error_code, None))
                });
                sorted(ApiKey::DeleteGroups, &of, told)
            };
            let (route, api) = (Route::Once(broker), (ApiKey::DeleteGroups, 0..=2));
            vec![(items, self.remote.ask_until(deadline, route, api, build, read))]
        })
    }
}

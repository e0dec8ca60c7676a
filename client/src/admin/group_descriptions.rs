//! Groups and their members, of both protocols.

use std::time::Instant;

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::internal::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription,
};
use ottla_protocol::messages::{consumer_group_describe, describe_groups};
use ottla_protocol::wire::{Message, ReadError, Reader, Ver, Wire};

use super::operations::{AclOperation, authorized};
use super::spread::{Asked, GroupId, sorted};
use super::{Admin, Results};
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Outgoing};
use crate::partition::TopicPartition;
use crate::session::Route;

/// How a group's members agree on who reads what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GroupKind {
    /// One of the members says it, in rebalances that all take part in.
    Classic,
    /// The coordinator says it to each member (KIP-848).
    Consumer,
}

/// What Kafka's tools print.
impl std::fmt::Display for GroupKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
        })
    }
}

/// What there is to know of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupDescription {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: GroupKind,
    /// Its state: `Stable`, `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Assigning`,
    /// `Reconciling`, `Dead`.
    pub state: String,
    /// What its members speak: `consumer`, `connect`; empty for one that has offsets only.
    pub protocol_type: String,
    /// The assignor in use: `range`, `uniform`; empty when there is none.
    pub assignor: String,
    /// The id of the broker that coordinates it.
    pub coordinator: i32,
    /// How often it has changed; `None` for a classic group.
    pub epoch: Option<i32>,
    /// The epoch for which the target assignment was made; `None` for a classic group.
    pub assignment_epoch: Option<i32>,
    /// Its members.
    pub members: Vec<MemberDescription>,
    /// What this client may do to it; `None` when the broker does not tell.
    pub authorized_operations: Option<Vec<AclOperation>>,
}

/// What there is to know of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberDescription {
    /// Its id, given by the coordinator or by itself.
    pub id: String,
    /// Its own lasting name (`group.instance.id`), if it is a static member.
    pub instance_id: Option<String>,
    /// Its rack; `None` when it has not told one.
    pub rack: Option<String>,
    /// Its `client.id`.
    pub client_id: String,
    /// The address that it came from, as the broker has it: `/127.0.0.1`.
    pub host: String,
    /// The epoch that it has come to; `None` in a classic group.
    pub epoch: Option<i32>,
    /// Whether it speaks the classic protocol within a consumer group; `None` when the broker does
    /// not tell (before Kafka 4.0).
    pub is_classic: Option<bool>,
    /// The topics that it wants, by their names.
    pub topics: Vec<String>,
    /// The regular expression of the topics that it wants.
    pub topic_regex: Option<String>,
    /// The partitions that it has; `None` when its protocol is not that of consumers.
    pub assignment: Option<Vec<TopicPartition>>,
    /// The partitions that it is going to have; `None` in a classic group.
    pub target_assignment: Option<Vec<TopicPartition>>,
}

impl Admin {
    /// What there is to know of groups of consumers, of both kinds.
    ///
    /// # Errors
    /// A group is there twice. Of a group: its coordinator's, such as GROUP_ID_NOT_FOUND, or that
    /// it did not answer.
    pub fn describe_groups(
        &self,
        groups: &[&str],
    ) -> Result<Results<String, GroupDescription>, Error> {
        let mut results = self.of_coordinators(groups, |broker, groups, deadline| {
            vec![self.describe_consumer(broker, groups, deadline)]
        })?;
        // Who is not of one kind may be of the other, or the broker knows of one kind only.
        let is_open = |result: &Result<_, Error>| {
            result.as_ref().is_err_and(|error| {
                error.kind() == ErrorKind::UnsupportedVersion
                    || error.code() == Some(ErrorCode::GROUP_ID_NOT_FOUND)
            })
        };
        let open = results.iter().filter(|(_, result)| is_open(result));
        let open: Vec<String> = open.map(|(group, _)| group.clone()).collect();
        let open: Vec<&str> = open.iter().map(String::as_str).collect();
        let classic = self.of_coordinators(&open, |broker, groups, deadline| {
            vec![self.describe_classic(broker, groups, deadline)]
        })?;
        let places = results.iter_mut().filter(|(_, result)| is_open(result));
        for (place, (_, result)) in places.zip(classic) {
            place.1 = result;
        }
        Ok(results)
    }

    fn describe_consumer(
        &self,
        broker: i32,
        groups: Vec<GroupId>,
        deadline: Instant,
    ) -> Asked<GroupId, GroupDescription> {
        use consumer_group_describe::{
            ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse,
        };

        let (asked, of) = (groups.clone(), groups.clone());
        let build = move |version, timeout| {
            let request = ConsumerGroupDescribeRequest {
                group_ids: asked.iter().map(|group| group.0.as_str()).collect(),
                include_authorized_operations: true,
            };
            Outgoing::new(&request, version, timeout)
        };
        let read = move |answer: &Answer| {
            let read: ConsumerGroupDescribeResponse<'_> = answer.read()?;
            let told = read.groups.iter().map(|group| {
                let result = Error::of_code(group.error_code, group.error_message);
                let described = result.map(|()| GroupDescription::of_consumer(group, broker));
                (GroupId(group.group_id.to_owned()), described)
            });
            sorted(ApiKey::ConsumerGroupDescribe, &of, told)
        };
        let (route, api) = (Route::Once(broker), (ApiKey::ConsumerGroupDescribe, 0..=1));
        (groups, self.remote.ask_until(deadline, route, api, build, read))
    }

    fn describe_classic(
        &self,
        broker: i32,
        groups: Vec<GroupId>,
        deadline: Instant,
    ) -> Asked<GroupId, GroupDescription> {
        use describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse};

        let (asked, of) = (groups.clone(), groups.clone());
        let build = move |version, timeout| {
            let request = DescribeGroupsRequest {
                groups: asked.iter().map(|group| group.0.as_str()).collect(),
                include_authorized_operations: version >= 3,
            };
            Outgoing::new(&request, version, timeout)
        };
        let read = move |answer: &Answer| {
            let read: DescribeGroupsResponse<'_> = answer.read()?;
            let told = read.groups.iter().map(|group| {
                // Up to version 5 a group that is not there is told as a dead one.
                let code = match (group.error_code, answer.version(), group.group_state) {
                    (ErrorCode::NONE, ..6, "Dead") => ErrorCode::GROUP_ID_NOT_FOUND,
                    (code, ..) => code,
                };
                let result = Error::of_code(code, group.error_message);
                let described = result.map(|()| GroupDescription::of_classic(group, broker));
                (GroupId(group.group_id.to_owned()), described)
            });
            sorted(ApiKey::DescribeGroups, &of, told)
        };
        let (route, api) = (Route::Once(broker), (ApiKey::DescribeGroups, 0..=6));
        (groups, self.remote.ask_until(deadline, route, api, build, read))
    }
}

impl GroupDescription {
    fn of_consumer(told: &consumer_group_describe::DescribedGroup<'_>, coordinator: i32) -> Self {
        Self {
            id: told.group_id.to_owned(),
            kind: GroupKind::Consumer,
            state: told.group_state.to_owned(),
            protocol_type: "consumer".to_owned(),
            assignor: told.assignor_name.to_owned(),
            coordinator,
            epoch: Some(told.group_epoch),
            assignment_epoch: Some(told.assignment_epoch),
            members: told.members.iter().map(MemberDescription::of_consumer).collect(),
            authorized_operations: authorized(told.authorized_operations),
        }
    }

    fn of_classic(told: &describe_groups::DescribedGroup<'_>, coordinator: i32) -> Self {
        // A group of offsets only has no type, and no members either.
        let is_consumer = told.protocol_type == "consumer";
        let member = |of| MemberDescription::of_classic(of, is_consumer);
        Self {
            id: told.group_id.to_owned(),
            kind: GroupKind::Classic,
            state: told.group_state.to_owned(),
            protocol_type: told.protocol_type.to_owned(),
            assignor: told.protocol_data.to_owned(),
            coordinator,
            epoch: None,
            assignment_epoch: None,
            members: told.members.iter().map(member).collect(),
            authorized_operations: authorized(told.authorized_operations),
        }
    }
}

impl MemberDescription {
    fn of_consumer(told: &consumer_group_describe::Member<'_>) -> Self {
        Self {
            id: told.member_id.to_owned(),
            instance_id: told.instance_id.map(str::to_owned),
            rack: told.rack_id.map(str::to_owned),
            client_id: told.client_id.to_owned(),
            host: told.client_host.to_owned(),
            epoch: Some(told.member_epoch),
            is_classic: match told.member_type {
                0 => Some(true),
                1 => Some(false),
                _ => None,
            },
            topics: told.subscribed_topic_names.iter().map(|&name| name.to_owned()).collect(),
            topic_regex: (told.subscribed_topic_regex)
                .filter(|regex| !regex.is_empty())
                .map(str::to_owned),
            assignment: Some(partitions(&told.assignment)),
            target_assignment: Some(partitions(&told.target_assignment)),
        }
    }

    fn of_classic(told: &describe_groups::DescribedGroupMember<'_>, is_consumer: bool) -> Self {
        let subscription = ConsumerProtocolSubscription::from_metadata(told.member_metadata);
        // Bytes of other protocols may look like those of consumers.
        let subscription = subscription.ok().filter(|_| is_consumer);
        Self {
            id: told.member_id.to_owned(),
            instance_id: told.group_instance_id.map(str::to_owned),
            rack: subscription.as_ref().and_then(|of| of.rack_id).map(str::to_owned),
            client_id: told.client_id.to_owned(),
            host: told.client_host.to_owned(),
            topics: subscription
                .map(|of| of.topics.into_iter().map(str::to_owned).collect())
                .unwrap_or_default(),
            assignment: if is_consumer { assigned(told.member_assignment).ok() } else { None },
            ..Self::default()
        }
    }
}

fn partitions(told: &consumer_group_describe::Assignment<'_>) -> Vec<TopicPartition> {
    let mut all: Vec<_> = (told.topic_partitions.iter())
        .flat_map(|of| of.partitions.iter().map(|&at| TopicPartition::new(of.topic_name, at)))
        .collect();
    all.sort();
    all
}

/// The assignment that a member of a classic group of consumers has got. No bytes stand for one
/// that has got none yet.
fn assigned(bytes: &[u8]) -> Result<Vec<TopicPartition>, ReadError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut reader = Reader::new(bytes);
    let version = i16::read(&mut reader, Ver { version: 0, flexible: false })?;
    // Versions from the future only add fields at the end.
    let version = version.min(*ConsumerProtocolAssignment::VERSIONS.end());
    let read = ConsumerProtocolAssignment::decode(&mut reader, version)?;
    let mut all: Vec<_> = (read.assigned_partitions.iter())
        .flat_map(|of| of.partitions.iter().map(|&at| TopicPartition::new(of.topic, at)))
        .collect();
    all.sort();
    Ok(all)
}

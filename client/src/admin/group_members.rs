//! Members that are taken out of groups.

use std::fmt;

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::leave_group::{
    LeaveGroupRequest, LeaveGroupResponse, MemberIdentity,
};

use super::spread::{Item, distinct, sorted};
use super::{Admin, Results};
use crate::error::Error;
use crate::net::{Answer, Outgoing};
use crate::session::Route;
use crate::session::calls::Key;

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupMember {
    /// By its id.
    Id(String),
    /// A static member, by its own lasting name (`group.instance.id`).
    InstanceId(String),
}

impl fmt::Display for GroupMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "member {id}"),
            Self::InstanceId(id) => write!(f, "instance {id}"),
        }
    }
}

impl Item for GroupMember {
    fn blame(&self, error: Error) -> Error {
        error.about(self)
    }
}

impl Admin {
    /// Takes members out of a group, as if they had left. `reason`: why, for the broker's log. From
    /// Kafka 2.4 on.
    ///
    /// # Errors
    /// A member is there twice; the group's coordinator did not answer, or refuses. Of a member:
    /// the coordinator's, such as UNKNOWN_MEMBER_ID.
    pub fn remove_members_from_group(
        &self,
        group: &str,
        members: &[GroupMember],
        reason: &str,
    ) -> Result<Results<GroupMember, ()>, Error> {
        distinct(members)?;
        let (id, reason) = (group.to_owned(), reason.to_owned());
        let (asked, of) = (members.to_vec(), members.to_vec());
        let build = move |version, timeout| {
            let members = asked.iter().map(|member| {
                let (member_id, group_instance_id) = match member {
                    GroupMember::Id(id) => (id.as_str(), None),
                    GroupMember::InstanceId(id) => ("", Some(id.as_str())),
                };
                MemberIdentity { member_id, group_instance_id, reason: Some(&reason) }
            });
            let members = members.collect();
            let request = LeaveGroupRequest { group_id: &id, members, ..Default::default() };
            Outgoing::new(&request, version, timeout)
        };
        let read = move |answer: &Answer| {
            let read: LeaveGroupResponse<'_> = answer.read()?;
            Error::of_code(read.error_code, None)?;
            let told = read.members.iter().map(|told| {
                let member = match told.group_instance_id {
                    Some(id) => GroupMember::InstanceId(id.to_owned()),
                    None => GroupMember::Id(told.member_id.to_owned()),
                };
                (member, Error::of_code(told.error_code, None))
            });
            sorted(ApiKey::LeaveGroup, &of, told)
        };
        let route = Route::Coordinator(Key::Group(group.to_owned()));
        let results = self.remote.ask(route, (ApiKey::LeaveGroup, 3..=5), build, read).wait();
        let results = results.map_err(|error| error.of_group(group))?;
        let of = |(member, result): (_, Result<(), Error>)| {
            (member, result.map_err(|error| error.of_group(group)))
        };
        Ok(results.into_iter().map(of).collect())
    }
}

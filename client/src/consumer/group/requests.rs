//! What a member of a classic group asks its coordinator.

use std::time::{Duration, Instant};

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use ottla_protocol::messages::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};
use ottla_protocol::messages::leave_group::{
    LeaveGroupRequest, LeaveGroupResponse, MemberIdentity,
};
use ottla_protocol::messages::sync_group::{
    SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
};

use super::assignor::{Assignor, Member};
use super::protocol::Subscription;
use super::settings::{ClassicSettings, GroupSettings};
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Outgoing, millis};
use crate::pending::Pending;
use crate::session::calls::Key;
use crate::session::{Route, Session, question};

/// What such groups are for.
const PROTOCOL_TYPE: &str = "consumer";
/// How much later than promised the answer to a join may come, as with Java.
const JOIN_SLACK: Duration = Duration::from_secs(5);

/// What became of a join.
#[derive(Debug)]
pub(super) enum Joined {
    /// The member has this id now, and is to join with it (KIP-394).
    NeedsId(String),
    Member(JoinedMember),
}

/// A member of a generation that begins.
#[derive(Debug)]
pub(super) struct JoinedMember {
    pub(super) member_id: String,
    pub(super) generation: i32,
    pub(super) assignor: Assignor,
    /// All members, if it leads.
    pub(super) leads: Option<Vec<Member>>,
    /// Whether, although it leads, the assignment stays as it is (KIP-814).
    pub(super) skips_assignment: bool,
}

/// Who asks.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) group: String,
    pub(super) instance_id: Option<String>,
    pub(super) member_id: String,
    /// -1 for none.
    pub(super) generation: i32,
}

impl Asker {
    fn route(&self) -> Route {
        Route::Coordinator(Key::Group(self.group.clone()))
    }

    /// Joins with a subscription for each assignor, in their order.
    pub(super) fn join(
        self,
        protocols: Vec<(Assignor, Vec<u8>)>,
        (settings, classic): (&GroupSettings, &ClassicSettings),
        session: &mut Session,
        now: Instant,
    ) -> Pending<Joined> {
        let rebalance_timeout = settings.max_poll_interval;
        let session_timeout_ms = millis(classic.session_timeout);
        // The answer comes when all members have joined.
        let wait = settings.request_timeout.max(rebalance_timeout + JOIN_SLACK);
        let asker = self.clone();
        let build = move |version, _| {
            let protocols = protocols
                .iter()
                .map(|(assignor, metadata)| JoinGroupRequestProtocol {
                    name: assignor.name(),
                    metadata,
                })
                .collect();
            let request = JoinGroupRequest {
                group_id: &asker.group,
                session_timeout_ms,
                rebalance_timeout_ms: millis(rebalance_timeout),
                member_id: &asker.member_id,
                group_instance_id: asker.instance_id.as_deref(),
                protocol_type: PROTOCOL_TYPE,
                protocols,
                reason: None,
            };
            Outgoing::new(&request, version, wait)
        };
        let api = (ApiKey::JoinGroup, 0..=9);
        let (ask, pending) = question(self.route(), api, build, joined);
        session.calls.ask(ask, now + wait, now);
        pending
    }

    /// Gives the assignment, if it leads, and takes its own.
    pub(super) fn sync(
        self,
        assignor: Assignor,
        assignments: Vec<(String, Vec<u8>)>,
        settings: &GroupSettings,
        session: &mut Session,
        now: Instant,
    ) -> Pending<Vec<u8>> {
        let wait = settings.request_timeout.max(settings.max_poll_interval + JOIN_SLACK);
        let asker = self.clone();
        let build = move |version, _| {
            let assignments = assignments
                .iter()
                .map(|(member_id, assignment)| SyncGroupRequestAssignment { member_id, assignment })
                .collect();
            let request = SyncGroupRequest {
                group_id: &asker.group,
                generation_id: asker.generation,
                member_id: &asker.member_id,
                group_instance_id: asker.instance_id.as_deref(),
                protocol_type: Some(PROTOCOL_TYPE),
                protocol_name: Some(assignor.name()),
                assignments,
            };
            Outgoing::new(&request, version, wait)
        };
        let read = move |answer: &Answer| {
            let read: SyncGroupResponse<'_> = answer.read()?;
            Error::of_code(read.error_code, None)?;
            if read.protocol_name.is_some_and(|name| name != assignor.name()) {
                let detail = format!("SyncGroup: the protocol {:?}", read.protocol_name);
                return Err(Error::new(ErrorKind::Malformed, detail));
            }
            Ok(read.assignment.to_vec())
        };
        let (ask, pending) = question(self.route(), (ApiKey::SyncGroup, 0..=5), build, read);
        session.calls.ask(ask, now + wait, now);
        pending
    }

    /// Says that it is there.
    pub(super) fn heartbeat(
        self,
        deadline: Instant,
        session: &mut Session,
        now: Instant,
    ) -> Pending<()> {
        let asker = self.clone();
        let build = move |version, timeout| {
            let request = HeartbeatRequest {
                group_id: &asker.group,
                generation_id: asker.generation,
                member_id: &asker.member_id,
                group_instance_id: asker.instance_id.as_deref(),
            };
            Outgoing::new(&request, version, timeout)
        };
        let read = |answer: &Answer| {
            let read: HeartbeatResponse = answer.read()?;
            Error::of_code(read.error_code, None)
        };
        let (ask, pending) = question(self.route(), (ApiKey::Heartbeat, 0..=4), build, read);
        session.calls.ask(ask, deadline, now);
        pending
    }

    /// Leaves the group.
    pub(super) fn leave(
        self,
        deadline: Instant,
        session: &mut Session,
        now: Instant,
    ) -> Pending<()> {
        let asker = self.clone();
        let build = move |version, timeout| {
            let member_id = &*asker.member_id;
            let request = if version < 3 {
                LeaveGroupRequest { group_id: &asker.group, member_id, members: Vec::new() }
            } else {
                let member = MemberIdentity { member_id, group_instance_id: None, reason: None };
                LeaveGroupRequest {
                    group_id: &asker.group,
                    members: vec![member],
                    ..LeaveGroupRequest::default()
                }
            };
            Outgoing::new(&request, version, timeout)
        };
        let read = |answer: &Answer| {
            let read: LeaveGroupResponse<'_> = answer.read()?;
            Error::of_code(read.error_code, None)?;
            read.members.iter().try_for_each(|member| Error::of_code(member.error_code, None))
        };
        let (ask, pending) = question(self.route(), (ApiKey::LeaveGroup, 0..=5), build, read);
        session.calls.ask(ask, deadline, now);
        pending
    }
}

fn joined(answer: &Answer) -> Result<Joined, Error> {
    let read: JoinGroupResponse<'_> = answer.read()?;
    if read.error_code == ErrorCode::MEMBER_ID_REQUIRED && !read.member_id.is_empty() {
        return Ok(Joined::NeedsId(read.member_id.to_owned()));
    }
    Error::of_code(read.error_code, None)?;
    let name = read.protocol_name.unwrap_or_default();
    let assignor = Assignor::of_name(name).ok_or_else(|| {
        Error::new(ErrorKind::Malformed, format!("JoinGroup: the protocol {name:?}"))
    })?;
    let members = read.members.iter().map(|member| Member {
        id: member.member_id.to_owned(),
        instance_id: member.group_instance_id.map(str::to_owned),
        subscription: Subscription::of_bytes(member.metadata).unwrap_or_else(|error| {
            // It gets nothing; the group goes on.
            log::warn!("the subscription of {} cannot be read: {error}", member.member_id);
            Subscription::default()
        }),
    });
    Ok(Joined::Member(JoinedMember {
        member_id: read.member_id.to_owned(),
        generation: read.generation_id,
        assignor,
        leads: (read.leader == read.member_id).then(|| members.collect()),
        skips_assignment: read.skip_assignment,
    }))
}

//! One request of each group API, in any version.

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_describe::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse,
};
use ottla_protocol::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};
use ottla_protocol::messages::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use ottla_protocol::messages::describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse};
use ottla_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use ottla_protocol::messages::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};
use ottla_protocol::messages::leave_group::{
    LeaveGroupRequest, LeaveGroupResponse, MemberIdentity,
};
use ottla_protocol::messages::list_groups::{ListGroupsRequest, ListGroupsResponse};
use ottla_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use ottla_protocol::messages::offset_delete::{OffsetDeleteRequest, OffsetDeleteResponse};
use ottla_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse,
};
use ottla_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use ottla_protocol::uuid::Uuid;

use crate::harness::Client;

/// The answer's code, which is none for a group that commits without members.
pub(crate) fn code(
    client: &mut Client,
    api: ApiKey,
    version: i16,
    topic_id: Uuid,
) -> Option<ErrorCode> {
    match api {
        ApiKey::OffsetCommit => Some(commit(client, version, topic_id)),
        ApiKey::OffsetFetch => Some(fetch(client, version, topic_id)),
        ApiKey::OffsetDelete => {
            let request = OffsetDeleteRequest { group_id: "simple", topics: vec![] };
            let answer = client.call(api, version, &request);
            let response: OffsetDeleteResponse<'_> = answer.message();
            Some(response.error_code)
        }
        ApiKey::DescribeGroups => {
            let request = DescribeGroupsRequest { groups: vec!["simple"], ..Default::default() };
            let answer = client.call(api, version, &request);
            let response: DescribeGroupsResponse<'_> = answer.message();
            assert_eq!(response.groups[0].group_state, "Empty");
            Some(response.groups[0].error_code)
        }
        ApiKey::ListGroups => {
            let answer = client.call(api, version, &ListGroupsRequest::default());
            let response: ListGroupsResponse<'_> = answer.message();
            assert!(response.groups.iter().any(|group| group.group_id == "simple"));
            Some(response.error_code)
        }
        ApiKey::DeleteGroups => {
            let request = DeleteGroupsRequest { groups_names: vec!["nobody's"] };
            let answer = client.call(api, version, &request);
            let response: DeleteGroupsResponse<'_> = answer.message();
            Some(or_not_found(response.results[0].error_code))
        }
        ApiKey::ConsumerGroupHeartbeat => {
            let request = ConsumerGroupHeartbeatRequest {
                group_id: "nobody's",
                member_id: "m",
                member_epoch: 5,
                ..Default::default()
            };
            let answer = client.call(api, version, &request);
            let response: ConsumerGroupHeartbeatResponse<'_> = answer.message();
            Some(or_not_found(response.error_code))
        }
        ApiKey::ConsumerGroupDescribe => {
            let request =
                ConsumerGroupDescribeRequest { group_ids: vec!["simple"], ..Default::default() };
            let answer = client.call(api, version, &request);
            let response: ConsumerGroupDescribeResponse<'_> = answer.message();
            Some(or_not_found(response.groups[0].error_code))
        }
        _ => member(client, api, version),
    }
}

/// What is asked for a group that is not there has to be answered so.
fn or_not_found(code: ErrorCode) -> ErrorCode {
    if code == ErrorCode::GROUP_ID_NOT_FOUND { ErrorCode::NONE } else { code }
}

fn commit(client: &mut Client, version: i16, topic_id: Uuid) -> ErrorCode {
    let topic = OffsetCommitRequestTopic {
        name: "known",
        topic_id,
        partitions: vec![OffsetCommitRequestPartition {
            committed_offset: 1,
            ..Default::default()
        }],
    };
    let request =
        OffsetCommitRequest { group_id: "simple", topics: vec![topic], ..Default::default() };
    let answer = client.call(ApiKey::OffsetCommit, version, &request);
    let response: OffsetCommitResponse<'_> = answer.message();
    response.topics[0].partitions[0].error_code
}

fn fetch(client: &mut Client, version: i16, topic_id: Uuid) -> ErrorCode {
    let mut request = OffsetFetchRequest::default();
    if version < 8 {
        let topic = OffsetFetchRequestTopic { name: "known", partition_indexes: vec![0] };
        request.group_id = "simple";
        request.topics = Some(vec![topic]);
    } else {
        let topic =
            OffsetFetchRequestTopics { name: "known", topic_id, partition_indexes: vec![0] };
        request.groups = vec![OffsetFetchRequestGroup {
            group_id: "simple",
            topics: Some(vec![topic]),
            ..Default::default()
        }];
    }
    let answer = client.call(ApiKey::OffsetFetch, version, &request);
    let response: OffsetFetchResponse<'_> = answer.message();
    let (offset, code) = if version < 8 {
        let partition = &response.topics[0].partitions[0];
        (partition.committed_offset, partition.error_code)
    } else {
        let partition = &response.groups[0].topics[0].partitions[0];
        (partition.committed_offset, partition.error_code)
    };
    assert_eq!(offset, 1);
    code
}

/// What a member asks. Only joining goes well without one, and only where no id is asked for.
fn member(client: &mut Client, api: ApiKey, version: i16) -> Option<ErrorCode> {
    let group_id = "members";
    let (code, expected) = match api {
        ApiKey::JoinGroup => {
            let request = JoinGroupRequest {
                group_id,
                session_timeout_ms: 10_000,
                rebalance_timeout_ms: 10_000,
                protocol_type: "consumer",
                protocols: vec![JoinGroupRequestProtocol { name: "range", metadata: b"" }],
                ..Default::default()
            };
            // A group of its own for each, since one that has a member waits for it.
            let group_id = format!("members-{version}");
            let request = JoinGroupRequest { group_id: &group_id, ..request };
            let answer = client.call(api, version, &request);
            let response: JoinGroupResponse<'_> = answer.message();
            let asked = if version < 4 { ErrorCode::NONE } else { ErrorCode::MEMBER_ID_REQUIRED };
            (response.error_code, asked)
        }
        ApiKey::SyncGroup => {
            let request = SyncGroupRequest {
                group_id,
                protocol_type: Some("consumer"),
                protocol_name: Some("range"),
                ..Default::default()
            };
            let answer = client.call(api, version, &request);
            let response: SyncGroupResponse<'_> = answer.message();
            (response.error_code, ErrorCode::UNKNOWN_MEMBER_ID)
        }
        ApiKey::Heartbeat => {
            let answer =
                client.call(api, version, &HeartbeatRequest { group_id, ..Default::default() });
            let response: HeartbeatResponse = answer.message();
            (response.error_code, ErrorCode::UNKNOWN_MEMBER_ID)
        }
        ApiKey::LeaveGroup => {
            let mut request = LeaveGroupRequest { group_id, ..Default::default() };
            if version >= 3 {
                request.members = vec![MemberIdentity { member_id: "m", ..Default::default() }];
            } else {
                request.member_id = "m";
            }
            let answer = client.call(api, version, &request);
            let response: LeaveGroupResponse<'_> = answer.message();
            let code = response.members.first().map_or(response.error_code, |m| m.error_code);
            (code, ErrorCode::UNKNOWN_MEMBER_ID)
        }
        _ => return None,
    };
    Some(if code == expected { ErrorCode::NONE } else { code })
}

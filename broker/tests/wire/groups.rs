//! Groups as their members meet them: joining, committing, a restart in between.

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
use ottla_protocol::messages::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
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
use ottla_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
};
use ottla_protocol::messages::sync_group::{
    SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
};

use crate::harness::{Client, PATIENCE, TestBroker};

fn broker() -> TestBroker {
    TestBroker::with(&["group.initial.rebalance.delay.ms=0", "offsets.topic.num.partitions=3"])
}

pub(super) fn find(client: &mut Client, group: &str) -> (ErrorCode, i32) {
    let request = FindCoordinatorRequest { coordinator_keys: vec![group], ..Default::default() };
    let answer = client.call(ApiKey::FindCoordinator, 4, &request);
    let response: FindCoordinatorResponse<'_> = answer.message();
    (response.coordinators[0].error_code, response.coordinators[0].node_id)
}

fn join<'a>(group_id: &'a str, member_id: &'a str) -> JoinGroupRequest<'a> {
    JoinGroupRequest {
        group_id,
        member_id,
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "consumer",
        protocols: vec![JoinGroupRequestProtocol { name: "range", metadata: b"what I want" }],
        ..Default::default()
    }
}

/// Joins with an id that the coordinator gives; the id, when it is known.
fn new_member(client: &mut Client, group: &str) -> String {
    let answer = client.call(ApiKey::JoinGroup, 9, &join(group, ""));
    let response: JoinGroupResponse<'_> = answer.message();
    assert_eq!(response.error_code, ErrorCode::MEMBER_ID_REQUIRED);
    response.member_id.to_owned()
}

/// Joins and leads; the generation.
fn lead(client: &mut Client, group: &str, member: &str) -> i32 {
    let answer = client.call(ApiKey::JoinGroup, 9, &join(group, member));
    let response: JoinGroupResponse<'_> = answer.message();
    assert_eq!(response.error_code, ErrorCode::NONE);
    assert_eq!((response.leader, response.protocol_name), (member, Some("range")));
    response.generation_id
}

fn sync<'a>(
    group_id: &'a str,
    member_id: &'a str,
    generation_id: i32,
    assignments: &[(&'a str, &'a [u8])],
) -> SyncGroupRequest<'a> {
    let assignments = assignments
        .iter()
        .map(|(member_id, assignment)| SyncGroupRequestAssignment { member_id, assignment });
    SyncGroupRequest {
        group_id,
        generation_id,
        member_id,
        protocol_type: Some("consumer"),
        protocol_name: Some("range"),
        assignments: assignments.collect(),
        ..Default::default()
    }
}

fn synced(client: &mut Client, request: &SyncGroupRequest<'_>) -> (ErrorCode, Vec<u8>) {
    let answer = client.call(ApiKey::SyncGroup, 5, request);
    let response: SyncGroupResponse<'_> = answer.message();
    (response.error_code, response.assignment.to_vec())
}

fn heartbeat(
    client: &mut Client,
    group_id: &str,
    member_id: &str,
    generation_id: i32,
) -> ErrorCode {
    let request = HeartbeatRequest { group_id, generation_id, member_id, ..Default::default() };
    let answer = client.call(ApiKey::Heartbeat, 4, &request);
    let response: HeartbeatResponse = answer.message();
    response.error_code
}

/// Commits an offset of partition 0 of topic `t`.
fn commit(client: &mut Client, who: (&str, &str, i32), committed_offset: i64) -> ErrorCode {
    commit_with(client, who, committed_offset, "so far")
}

pub(super) fn commit_with(
    client: &mut Client,
    who: (&str, &str, i32),
    committed_offset: i64,
    metadata: &str,
) -> ErrorCode {
    let (group_id, member_id, generation_id_or_member_epoch) = who;
    let partition = OffsetCommitRequestPartition {
        committed_offset,
        committed_metadata: Some(metadata),
        ..Default::default()
    };
    let topic =
        OffsetCommitRequestTopic { name: "t", partitions: vec![partition], ..Default::default() };
    let request = OffsetCommitRequest {
        group_id,
        member_id,
        generation_id_or_member_epoch,
        topics: vec![topic],
        ..Default::default()
    };
    let answer = client.call(ApiKey::OffsetCommit, 9, &request);
    let response: OffsetCommitResponse<'_> = answer.message();
    response.topics[0].partitions[0].error_code
}

/// All that a group has committed: topic, partition, offset, metadata.
pub(super) fn committed(client: &mut Client, group_id: &str) -> Vec<(String, i32, i64, String)> {
    let group = OffsetFetchRequestGroup { group_id, topics: None, ..Default::default() };
    let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
    let answer = client.call(ApiKey::OffsetFetch, 9, &request);
    let response: OffsetFetchResponse<'_> = answer.message();
    let group = &response.groups[0];
    assert_eq!(group.error_code, ErrorCode::NONE);
    let mut all = Vec::new();
    for topic in &group.topics {
        for partition in &topic.partitions {
            assert_eq!(partition.error_code, ErrorCode::NONE);
            all.push((
                topic.name.to_owned(),
                partition.partition_index,
                partition.committed_offset,
                partition.metadata.unwrap().to_owned(),
            ));
        }
    }
    all
}

/// Each group's id, state and type, by id.
fn groups(client: &mut Client) -> Vec<(String, String, String)> {
    // Right after a start the groups may not be loaded yet.
    let begun = std::time::Instant::now();
    loop {
        let answer = client.call(ApiKey::ListGroups, 5, &ListGroupsRequest::default());
        let response: ListGroupsResponse<'_> = answer.message();
        let loads = response.error_code == ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
        if loads && begun.elapsed() < PATIENCE {
            std::thread::sleep(std::time::Duration::from_millis(10));
            continue;
        }
        assert_eq!(response.error_code, ErrorCode::NONE);
        let mut all: Vec<_> = response
            .groups
            .iter()
            .map(|group| {
                let told = [group.group_id, group.group_state, group.group_type];
                let [id, state, kind] = told.map(str::to_owned);
                (id, state, kind)
            })
            .collect();
        all.sort_unstable();
        return all;
    }
}

fn listed(id: &str, state: &str, kind: &str) -> (String, String, String) {
    (id.to_owned(), state.to_owned(), kind.to_owned())
}

#[test]
fn the_topic_of_groups_is_made_for_the_first_who_asks() {
    let broker = broker();
    let mut client = broker.client();
    assert_eq!(groups(&mut client), []);
    assert_eq!(heartbeat(&mut client, "g", "m", 1), ErrorCode::NOT_COORDINATOR);
    assert!(!broker.dir().join("__consumer_offsets-0").exists());
    assert_eq!(find(&mut client, "g"), (ErrorCode::NONE, 1));
    assert!(broker.dir().join("__consumer_offsets-2").exists());
    assert_eq!(heartbeat(&mut client, "g", "m", 1), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn two_members_share_a_group_and_one_leaves() {
    let broker = broker();
    let (mut one, mut two) = (broker.client(), broker.client());
    find(&mut one, "g");
    let first = new_member(&mut one, "g");
    let generation = lead(&mut one, "g", &first);
    assert_eq!(generation, 1);
    assert_eq!(
        synced(&mut one, &sync("g", &first, 1, &[(&first, b"all")])),
        (ErrorCode::NONE, b"all".to_vec())
    );
    assert_eq!(heartbeat(&mut one, "g", &first, 1), ErrorCode::NONE);

    // The second waits until the first has come again.
    let second = new_member(&mut two, "g");
    two.send(ApiKey::JoinGroup, 9, &join("g", &second));
    while heartbeat(&mut one, "g", &first, 1) != ErrorCode::REBALANCE_IN_PROGRESS {}
    assert_eq!(lead(&mut one, "g", &first), 2);
    let answer = two.answer(ApiKey::JoinGroup, 9);
    let response: JoinGroupResponse<'_> = answer.message();
    assert_eq!((response.error_code, response.generation_id), (ErrorCode::NONE, 2));
    assert_eq!((response.leader, response.members.len()), (&*first, 0));

    // A follower's assignment comes when the leader has given it.
    two.send(ApiKey::SyncGroup, 5, &sync("g", &second, 2, &[]));
    let shares: [(&str, &[u8]); 2] = [(&first, b"half"), (&second, b"other half")];
    assert_eq!(synced(&mut one, &sync("g", &first, 2, &shares)).1, b"half");
    let answer = two.answer(ApiKey::SyncGroup, 5);
    let response: SyncGroupResponse<'_> = answer.message();
    assert_eq!(response.assignment, b"other half");

    let request = DescribeGroupsRequest { groups: vec!["g"], ..Default::default() };
    let answer = one.call(ApiKey::DescribeGroups, 5, &request);
    let response: DescribeGroupsResponse<'_> = answer.message();
    let group = &response.groups[0];
    assert_eq!((group.group_state, group.protocol_data), ("Stable", "range"));
    assert_eq!(group.members.len(), 2);
    assert!(group.members.iter().all(|member| member.client_host == "/127.0.0.1"));
    assert!(group.members.iter().all(|member| member.client_id == "test"));

    let member = MemberIdentity { member_id: &second, ..Default::default() };
    let request = LeaveGroupRequest { group_id: "g", members: vec![member], ..Default::default() };
    let answer = two.call(ApiKey::LeaveGroup, 5, &request);
    let response: LeaveGroupResponse<'_> = answer.message();
    assert_eq!(response.members[0].error_code, ErrorCode::NONE);
    assert_eq!(heartbeat(&mut one, "g", &first, 2), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(heartbeat(&mut two, "g", &second, 2), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn members_and_offsets_are_still_there_after_a_restart() {
    let mut broker = broker();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    find(&mut client, "g");
    let member = new_member(&mut client, "g");
    let generation = lead(&mut client, "g", &member);
    synced(&mut client, &sync("g", &member, generation, &[(&member, b"all")]));
    assert_eq!(commit(&mut client, ("g", &member, generation), 5), ErrorCode::NONE);
    assert_eq!(commit(&mut client, ("g", &member, generation), 7), ErrorCode::NONE);
    assert_eq!(commit(&mut client, ("g", &member, 0), 3), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(commit(&mut client, ("simple", "", -1), 4), ErrorCode::NONE);
    for restarts in 0..2 {
        let before = groups(&mut client);
        assert_eq!(
            before,
            [listed("g", "Stable", "classic"), listed("simple", "Empty", "classic")]
        );
        let expected = [("t".to_owned(), 0, 7 + restarts, "so far".to_owned())];
        assert_eq!(committed(&mut client, "g"), expected);
        assert_eq!(committed(&mut client, "simple")[0].2, 4);
        broker.restart();
        client = broker.client();
        assert_eq!(groups(&mut client), before);
        assert_eq!(committed(&mut client, "g"), expected);
        assert_eq!(heartbeat(&mut client, "g", &member, generation), ErrorCode::NONE);
        let commit = commit(&mut client, ("g", &member, generation), 8 + restarts);
        assert_eq!(commit, ErrorCode::NONE);
    }
    // The same assignment is still known to the group.
    let request = sync("g", &member, generation, &[]);
    assert_eq!(synced(&mut client, &request), (ErrorCode::NONE, b"all".to_vec()));
}

#[test]
fn groups_are_deleted_when_they_are_empty() {
    let mut broker = broker();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    find(&mut client, "g");
    let member = new_member(&mut client, "g");
    let generation = lead(&mut client, "g", &member);
    synced(&mut client, &sync("g", &member, generation, &[]));
    commit(&mut client, ("g", &member, generation), 1);
    commit(&mut client, ("h", "", -1), 1);
    let request = DeleteGroupsRequest { groups_names: vec!["g", "h", "i", "h"] };
    let answer = client.call(ApiKey::DeleteGroups, 2, &request);
    let response: DeleteGroupsResponse<'_> = answer.message();
    let codes: Vec<_> = response.results.iter().map(|result| result.error_code).collect();
    assert_eq!(codes, [ErrorCode::NON_EMPTY_GROUP, ErrorCode::NONE, ErrorCode::GROUP_ID_NOT_FOUND]);
    assert_eq!(groups(&mut client).len(), 1);
    broker.restart();
    let mut client = broker.client();
    assert_eq!(groups(&mut client).len(), 1);
    assert_eq!(committed(&mut client, "h"), []);
}

#[test]
fn a_deleted_topic_takes_its_offsets_along() {
    let mut broker = broker();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    find(&mut client, "g");
    assert_eq!(commit(&mut client, ("g", "", -1), 1), ErrorCode::NONE);
    client.delete_topic("t");
    assert_eq!(committed(&mut client, "g"), []);
    let unknown = commit(&mut client, ("g", "", -1), 1);
    assert_eq!(unknown, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    broker.restart();
    let mut client = broker.client();
    groups(&mut client);
    assert_eq!(committed(&mut client, "g"), []);
}

#[test]
fn a_consumer_group_assigns_on_the_server() {
    let mut broker = broker();
    let mut client = broker.client();
    let topic_id = client.create_topic("t", 2, &[]);
    find(&mut client, "g");
    let request = ConsumerGroupHeartbeatRequest {
        group_id: "g",
        member_id: "AAAAAAAAAAAAAAAAAAAAAQ",
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(vec!["t"]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    };
    let answer = client.call(ApiKey::ConsumerGroupHeartbeat, 1, &request);
    let response: ConsumerGroupHeartbeatResponse<'_> = answer.message();
    assert_eq!(response.error_code, ErrorCode::NONE, "{:?}", response.error_message);
    let assigned = &response.assignment.as_ref().unwrap().topic_partitions;
    assert_eq!(assigned.len(), 1);
    assert_eq!((assigned[0].topic_id, &*assigned[0].partitions), (topic_id, &[0, 1][..]));
    let epoch = response.member_epoch;
    assert_eq!(groups(&mut client), [listed("g", "Stable", "consumer")]);
    broker.restart();
    let mut client = broker.client();
    assert_eq!(groups(&mut client), [listed("g", "Stable", "consumer")]);
    let beat = ConsumerGroupHeartbeatRequest {
        member_epoch: epoch,
        rebalance_timeout_ms: -1,
        subscribed_topic_names: None,
        topic_partitions: None,
        ..request
    };
    let answer = client.call(ApiKey::ConsumerGroupHeartbeat, 1, &beat);
    let response: ConsumerGroupHeartbeatResponse<'_> = answer.message();
    assert_eq!((response.error_code, response.member_epoch), (ErrorCode::NONE, epoch));
}

#[test]
fn what_is_asked_again_and_again_is_told_once() {
    let broker = broker();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    find(&mut client, "g");
    let metadata = "m".repeat(4_096);
    assert_eq!(commit_with(&mut client, ("g", "", -1), 1, &metadata), ErrorCode::NONE);

    let ids = vec!["g", "h", "g", "g"];
    let request = DescribeGroupsRequest { groups: ids.clone(), ..Default::default() };
    let answer = client.call(ApiKey::DescribeGroups, 5, &request);
    let response: DescribeGroupsResponse<'_> = answer.message();
    let told: Vec<&str> = response.groups.iter().map(|group| group.group_id).collect();
    assert_eq!(told, ["g", "h"]);
    let request = ConsumerGroupDescribeRequest { group_ids: ids, ..Default::default() };
    let answer = client.call(ApiKey::ConsumerGroupDescribe, 1, &request);
    let response: ConsumerGroupDescribeResponse<'_> = answer.message();
    assert_eq!(response.groups.len(), 2);

    let all = OffsetFetchRequestGroup { group_id: "g", topics: None, ..Default::default() };
    let listed = |partitions| OffsetFetchRequestGroup {
        group_id: "g",
        topics: Some(vec![OffsetFetchRequestTopics {
            name: "t",
            partition_indexes: vec![0; partitions],
            ..Default::default()
        }]),
        ..Default::default()
    };
    let groups = vec![all.clone(), listed(2), all.clone(), listed(1), all];
    let request = OffsetFetchRequest { groups, ..Default::default() };
    let answer = client.call(ApiKey::OffsetFetch, 9, &request);
    let response: OffsetFetchResponse<'_> = answer.message();
    let told = response.groups.iter().map(|group| group.topics[0].partitions.len());
    assert_eq!(told.collect::<Vec<_>>(), [1, 2, 1]);

    // 300 MB for 300 kB.
    let request = OffsetFetchRequest { groups: vec![listed(75_000)], ..Default::default() };
    let mut greedy = broker.client();
    greedy.send(ApiKey::OffsetFetch, 9, &request);
    greedy.assert_closed("much metadata");
    let request = OffsetFetchRequest { groups: vec![listed(1_000_001)], ..Default::default() };
    let mut greedy = broker.client();
    greedy.send(ApiKey::OffsetFetch, 9, &request);
    greedy.assert_closed("1,000,001 partitions");
    assert_eq!(committed(&mut client, "g").len(), 1);
}

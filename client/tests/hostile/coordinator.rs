//! A broker that coordinates the group `g`, and lies where a test has it lie.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ottla_protocol::internal::consumer_protocol::{
    AssignedTopicPartition, ConsumerProtocolAssignment,
};
use ottla_protocol::internal::value_bytes;
use ottla_protocol::messages::consumer_group_heartbeat::{
    Assignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use ottla_protocol::messages::fetch::FetchResponse;
use ottla_protocol::messages::find_coordinator::{Coordinator, FindCoordinatorResponse};
use ottla_protocol::messages::heartbeat::HeartbeatResponse;
use ottla_protocol::messages::join_group::JoinGroupResponse;
use ottla_protocol::messages::leave_group::LeaveGroupResponse;
use ottla_protocol::messages::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use ottla_protocol::messages::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::messages::offset_commit::OffsetCommitResponse;
use ottla_protocol::messages::offset_fetch::{OffsetFetchResponse, OffsetFetchResponseGroup};
use ottla_protocol::messages::sync_group::SyncGroupResponse;
use ottla_protocol::uuid::Uuid;
use ottla_protocol::wire::Message;

use crate::server::{Asked, framed, server_that_knows_itself, versions, whole_request};

pub(crate) const FETCH: i16 = 1;
pub(crate) const HEARTBEAT: i16 = 12;
pub(crate) const JOIN: i16 = 11;
pub(crate) const LEAVE: i16 = 13;
pub(crate) const SYNC: i16 = 14;
pub(crate) const BEAT: i16 = 68;

/// The id of the topic `t`, which has one partition.
pub(crate) const TOPIC: Uuid = Uuid::from_bytes([1; 16]);

/// How many requests there were of each kind.
pub(crate) type Asks = Arc<Mutex<BTreeMap<i16, usize>>>;

/// Serves the group. `lie` is told what is asked and how often that was, and may answer.
pub(crate) fn coordinator(
    lie: impl Fn(Asked, usize) -> Option<Vec<u8>> + Send + Sync + Clone + 'static,
) -> (SocketAddr, Asks) {
    let asks = Asks::default();
    let counted = Arc::clone(&asks);
    let address = server_that_knows_itself(move |mut stream, own| {
        while let Some((asked, body)) = whole_request(&mut stream) {
            let turn = {
                let mut counted = counted.lock().unwrap();
                let count = counted.entry(asked.0).or_default();
                *count += 1;
                *count
            };
            let answer = lie(asked, turn).unwrap_or_else(|| sound(asked, turn, &body, own));
            _ = stream.write_all(&answer);
        }
    });
    (address, asks)
}

/// What a broker answers that does not lie.
fn sound(asked: Asked, turn: usize, body: &[u8], own: SocketAddr) -> Vec<u8> {
    match asked.0 {
        FETCH => {
            thread::sleep(Duration::from_millis(50));
            framed(asked, &FetchResponse::default())
        }
        2 => ends(asked, body),
        3 => metadata(asked, own),
        8 => framed(asked, &OffsetCommitResponse::default()),
        9 => {
            let group = OffsetFetchResponseGroup { group_id: "g", ..Default::default() };
            framed(asked, &OffsetFetchResponse { groups: vec![group], ..Default::default() })
        }
        10 => {
            let found = Coordinator {
                key: "g",
                node_id: 1,
                host: "127.0.0.1",
                port: own.port().into(),
                ..Default::default()
            };
            framed(
                asked,
                &FindCoordinatorResponse { coordinators: vec![found], ..Default::default() },
            )
        }
        JOIN => framed(asked, &joined(turn)),
        HEARTBEAT => framed(asked, &HeartbeatResponse::default()),
        LEAVE => framed(asked, &LeaveGroupResponse::default()),
        SYNC => framed(asked, &synced(&assignment(&[0]))),
        18 => framed(asked, &versions()),
        BEAT => {
            let request = ConsumerGroupHeartbeatRequest::from_bytes(body, asked.1).unwrap();
            let epoch = request.member_epoch;
            framed(asked, &beaten(if epoch < 0 { epoch } else { 1 }, TOPIC, &[0]))
        }
        other => panic!("a request of kind {other}"),
    }
}

/// One broker, and the topic `t` in its second leader epoch.
pub(crate) fn metadata(asked: Asked, own: SocketAddr) -> Vec<u8> {
    let port = own.port().into();
    let broker = MetadataResponseBroker { node_id: 1, host: "127.0.0.1", port, rack: None };
    let partition =
        MetadataResponsePartition { leader_id: 1, leader_epoch: 1, ..Default::default() };
    let topic = MetadataResponseTopic {
        name: Some("t"),
        topic_id: TOPIC,
        partitions: vec![partition],
        ..Default::default()
    };
    let (brokers, topics) = (vec![broker], vec![topic]);
    framed(asked, &MetadataResponse { brokers, topics, ..Default::default() })
}

/// All partitions are empty.
fn ends(asked: Asked, body: &[u8]) -> Vec<u8> {
    let request = ListOffsetsRequest::from_bytes(body, asked.1).unwrap();
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|of| ListOffsetsPartitionResponse {
            partition_index: of.partition_index,
            offset: 0,
            ..Default::default()
        });
        ListOffsetsTopicResponse { name: topic.name, partitions: partitions.collect() }
    });
    framed(asked, &ListOffsetsResponse { topics: topics.collect(), ..Default::default() })
}

/// A member that follows, in a generation of its own.
pub(crate) fn joined(turn: usize) -> JoinGroupResponse<'static> {
    JoinGroupResponse {
        generation_id: i32::try_from(turn).unwrap(),
        protocol_type: Some("consumer"),
        protocol_name: Some("range"),
        leader: "another",
        member_id: "m",
        ..Default::default()
    }
}

pub(crate) fn synced(assignment: &[u8]) -> SyncGroupResponse<'_> {
    SyncGroupResponse { assignment, ..Default::default() }
}

/// These partitions of `t`.
pub(crate) fn assignment(partitions: &[i32]) -> Vec<u8> {
    let topic = AssignedTopicPartition { topic: "t", partitions: partitions.to_vec() };
    let assigned_partitions = vec![topic];
    value_bytes(&ConsumerProtocolAssignment { assigned_partitions, user_data: None }, 3).unwrap()
}

/// What the coordinator of a group of KIP-848 answers.
pub(crate) fn beaten(
    member_epoch: i32,
    topic_id: Uuid,
    partitions: &[i32],
) -> ConsumerGroupHeartbeatResponse<'static> {
    let of = TopicPartitions { topic_id, partitions: partitions.to_vec() };
    ConsumerGroupHeartbeatResponse {
        member_epoch,
        heartbeat_interval_ms: 100,
        assignment: Some(Assignment { topic_partitions: vec![of] }),
        ..Default::default()
    }
}

//! Answers that this broker does not give, or not for want of other brokers: made up, and then
//! changed as the others are.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use ottla_client::{
    AclBinding, AclFilter, AclOperation, AclPatternType, AclPermission, AclResourceType, Admin,
    Consumer, TopicPartition, TransactionFilter,
};
use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::create_acls::{
    AclCreationResult, CreateAclsRequest, CreateAclsResponse,
};
use ottla_protocol::messages::delete_acls::{
    DeleteAclsFilterResult, DeleteAclsMatchingAcl, DeleteAclsRequest, DeleteAclsResponse,
};
use ottla_protocol::messages::describe_acls::{
    AclDescription, DescribeAclsResource, DescribeAclsResponse,
};
use ottla_protocol::messages::fetch::{
    FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData,
};
use ottla_protocol::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use ottla_protocol::messages::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use ottla_protocol::messages::list_partition_reassignments::{
    ListPartitionReassignmentsResponse, OngoingPartitionReassignment, OngoingTopicReassignment,
};
use ottla_protocol::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};
use ottla_protocol::messages::{describe_transactions, list_transactions};
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_protocol::wire::{Message, Records};

use crate::admin::{admin, is_done};
use crate::coordinator::{TOPIC, metadata};
use crate::memory::Alone;
use crate::proxy::Proxy;
use crate::server::{Asked, framed, versions};
use crate::trial::{Trial, seed};

pub(crate) const UNSERVED: &[&str] = &[
    "CreateAcls",
    "DeleteAcls",
    "DescribeAcls",
    "DescribeTransactions",
    "FindCoordinator",
    "ListPartitionReassignments",
    "ListTransactions",
];

/// Who may do something, as many times as there are.
const PRINCIPALS: [&str; 3] = ["User:alice", "User:bob", "User:*"];

#[test]
fn of_admin_calls_that_this_broker_does_not_serve() {
    let (alone, proxy) = (Alone::new(), Proxy::start(seed()).made_up(unserved));
    let act = |admin: &Admin, _| {
        let acl = |name: &str| AclBinding {
            resource_type: AclResourceType::Topic,
            resource_name: name.to_owned(),
            pattern_type: AclPatternType::Literal,
            principal: PRINCIPALS[0].to_owned(),
            host: "*".to_owned(),
            operation: AclOperation::Read,
            permission: AclPermission::Allow,
        };
        let any = AclFilter::any();
        let filters = [any.clone(), AclFilter { host: Some("*".to_owned()), ..any.clone() }];
        let deleted = admin.delete_acls(&filters).unwrap_or_default();
        let deleted = deleted.into_iter().filter_map(|(_, deleted)| deleted.ok());
        [
            is_done(admin.create_acls(&[acl("t"), acl("u")])),
            deleted.map(|deleted| deleted.len()).sum::<usize>() == 6,
            admin.describe_acls(&any).is_ok_and(|told| told.len() == 6),
            is_done(admin.describe_transactions(&["x", "y"])),
            admin.list_partition_reassignments(None).is_ok_and(|told| told.len() == 4),
            admin.list_transactions(&TransactionFilter::new()).is_ok_and(|told| told.len() == 2),
        ] == [true; 6]
    };
    Trial { kinds: UNSERVED, make: admin, act }.run(&alone, &proxy);
}

fn unserved(asked: Asked, body: &[u8], own: SocketAddr) -> Option<Vec<u8>> {
    Some(match ApiKey::from_i16(asked.0)? {
        ApiKey::ApiVersions => framed(asked, &versions()),
        ApiKey::CreateAcls => {
            let request = CreateAclsRequest::from_bytes(body, asked.1).unwrap();
            let created = AclCreationResult { error_code: ErrorCode::NONE, error_message: None };
            let results = vec![created; request.creations.len()];
            framed(asked, &CreateAclsResponse { results, ..Default::default() })
        }
        ApiKey::DeleteAcls => deleted_acls(asked, body),
        ApiKey::DescribeAcls => acls(asked),
        ApiKey::DescribeTransactions => transactions(asked, body),
        ApiKey::FindCoordinator => return coordinator_of_transactions(asked, body, own),
        ApiKey::ListPartitionReassignments => reassignments(asked),
        ApiKey::ListTransactions => {
            let of = |(transactional_id, producer_id, transaction_state)| {
                list_transactions::TransactionState {
                    transactional_id,
                    producer_id,
                    transaction_state,
                }
            };
            let states = [("x", 7, "Ongoing"), ("y", -1, "Empty")].map(of);
            let transaction_states = states.into();
            framed(
                asked,
                &list_transactions::ListTransactionsResponse {
                    transaction_states,
                    ..Default::default()
                },
            )
        }
        _ => return None,
    })
}

fn acls(asked: Asked) -> Vec<u8> {
    let acl = |principal| AclDescription { principal, host: "*", operation: 3, permission_type: 3 };
    let resource = |(resource_type, resource_name)| DescribeAclsResource {
        resource_type,
        resource_name,
        pattern_type: 3,
        acls: PRINCIPALS.map(acl).into(),
    };
    let resources = [(2, "t"), (3, "g")].map(resource).into();
    framed(asked, &DescribeAclsResponse { error_message: None, resources, ..Default::default() })
}

fn deleted_acls(asked: Asked, body: &[u8]) -> Vec<u8> {
    let request = DeleteAclsRequest::from_bytes(body, asked.1).unwrap();
    let acl = |principal| DeleteAclsMatchingAcl {
        error_message: None,
        resource_type: 2,
        resource_name: "t",
        pattern_type: 3,
        principal,
        host: "*",
        operation: 3,
        permission_type: 3,
        ..Default::default()
    };
    let result = DeleteAclsFilterResult {
        error_message: None,
        matching_acls: PRINCIPALS.map(acl).into(),
        ..Default::default()
    };
    let filter_results = vec![result; request.filters.len()];
    framed(asked, &DeleteAclsResponse { filter_results, ..Default::default() })
}

fn transactions(asked: Asked, body: &[u8]) -> Vec<u8> {
    use describe_transactions::{
        DescribeTransactionsRequest, DescribeTransactionsResponse, TopicData, TransactionState,
    };

    let request = DescribeTransactionsRequest::from_bytes(body, asked.1).unwrap();
    let topics = ["t", "u"].map(|topic| TopicData { topic, partitions: vec![0, 1, 2] });
    let states = request.transactional_ids.iter().map(|transactional_id| TransactionState {
        transactional_id,
        transaction_state: "Ongoing",
        transaction_timeout_ms: 60_000,
        transaction_start_time_ms: 1_700_000_000_000,
        producer_id: 7,
        topics: topics.to_vec(),
        ..Default::default()
    });
    let transaction_states = states.collect();
    framed(asked, &DescribeTransactionsResponse { transaction_states, ..Default::default() })
}

/// `None`: groups have one.
fn coordinator_of_transactions(asked: Asked, body: &[u8], own: SocketAddr) -> Option<Vec<u8>> {
    let request = FindCoordinatorRequest::from_bytes(body, asked.1).unwrap();
    if request.key_type != 1 {
        return None;
    }
    let (node_id, host, port) = (1, "127.0.0.1", own.port().into());
    let of = |key| Coordinator { key, node_id, host, port, ..Default::default() };
    Some(match asked.1 {
        ..4 => {
            framed(asked, &FindCoordinatorResponse { node_id, host, port, ..Default::default() })
        }
        _ => {
            let coordinators = request.coordinator_keys.iter().copied().map(of).collect();
            framed(asked, &FindCoordinatorResponse { coordinators, ..Default::default() })
        }
    })
}

fn reassignments(asked: Asked) -> Vec<u8> {
    let partition = |partition_index| OngoingPartitionReassignment {
        partition_index,
        replicas: vec![1, 2, 3],
        adding_replicas: vec![3],
        removing_replicas: vec![1, 2],
    };
    let topic = |name| OngoingTopicReassignment { name, partitions: [0, 1].map(partition).into() };
    let told = ListPartitionReassignmentsResponse {
        error_message: None,
        topics: ["t", "u"].map(topic).into(),
        ..Default::default()
    };
    framed(asked, &told)
}

pub(crate) const EPOCHS: &[&str] = &["OffsetForLeaderEpoch"];

/// Records of the first leader's epoch, 0; those that lead after it ask where it ends.
const RECORDS: i64 = 5;

#[test]
fn of_consumers_after_an_election() {
    let (alone, proxy) = (Alone::new(), Proxy::start(seed()).made_up(of_the_next_leader));
    proxy.lie_only_of(EPOCHS);
    let trial = Trial {
        kinds: EPOCHS,
        make: |properties| {
            Consumer::new(&properties.with("auto.offset.reset", "earliest")).unwrap()
        },
        act: |consumer, timeout| {
            consumer.assign(&[]).unwrap();
            consumer.assign(&[TopicPartition::new("t", 0)]).unwrap();
            let until = Instant::now() + timeout;
            let mut count = 0;
            while count < RECORDS && Instant::now() < until {
                if let Ok(records) = consumer.poll(Duration::from_millis(20)) {
                    count += records.iter().map(|_| 1).sum::<i64>();
                }
            }
            count == RECORDS
        },
    };
    trial.run(&alone, &proxy);
}

/// The second leader of the topic `t`, which has written nothing yet.
fn of_the_next_leader(asked: Asked, body: &[u8], own: SocketAddr) -> Option<Vec<u8>> {
    Some(match ApiKey::from_i16(asked.0)? {
        ApiKey::Fetch => fetched(asked, body),
        ApiKey::ListOffsets => {
            // Before version 4 it has no epochs.
            let leader_epoch = if asked.1 < 4 { -1 } else { 0 };
            let partition =
                ListOffsetsPartitionResponse { offset: 0, leader_epoch, ..Default::default() };
            let topic = ListOffsetsTopicResponse { name: "t", partitions: vec![partition] };
            framed(asked, &ListOffsetsResponse { topics: vec![topic], ..Default::default() })
        }
        ApiKey::Metadata => metadata(asked, own),
        ApiKey::OffsetForLeaderEpoch => {
            let end = EpochEndOffset { leader_epoch: 0, end_offset: RECORDS, ..Default::default() };
            let topic = OffsetForLeaderTopicResult { topic: "t", partitions: vec![end] };
            let topics = vec![topic];
            framed(asked, &OffsetForLeaderEpochResponse { topics, ..Default::default() })
        }
        _ => return None,
    })
}

fn fetched(asked: Asked, body: &[u8]) -> Vec<u8> {
    let request = FetchRequest::from_bytes(body, asked.1).unwrap();
    let at = request.topics[0].partitions[0].fetch_offset;
    if at >= RECORDS {
        thread::sleep(Duration::from_millis(20));
    }
    let options = BatchOptions { base_offset: at, partition_leader_epoch: 0, ..Default::default() };
    let mut batch = BatchBuilder::new(options).unwrap();
    for _ in at..RECORDS {
        let record = NewRecord { timestamp: 0, key: None, value: Some(b"a"), headers: &[] };
        batch.append(&record).unwrap();
    }
    let records = if at < RECORDS { batch.build().unwrap() } else { Vec::new() };
    let partition = PartitionData {
        high_watermark: RECORDS,
        records: Some(Records::Bytes(&records)),
        ..Default::default()
    };
    let partitions = vec![partition];
    let topic = FetchableTopicResponse { topic: "t", topic_id: TOPIC, partitions };
    framed(asked, &FetchResponse { responses: vec![topic], ..Default::default() })
}

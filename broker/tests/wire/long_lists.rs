//! Requests that list very much: the work for them grows with their length, and no faster.

use std::time::{Duration, Instant};

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use ottla_protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use ottla_protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use ottla_protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use ottla_protocol::messages::describe_topic_partitions::{
    DescribeTopicPartitionsRequest, TopicRequest,
};
use ottla_protocol::messages::fetch::FetchPartition;
use ottla_protocol::messages::find_coordinator::FindCoordinatorRequest;
use ottla_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use ottla_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use ottla_protocol::messages::produce::PartitionProduceData;
use ottla_protocol::uuid::Uuid;
use ottla_protocol::wire::{Message, Records};

use crate::bad_input::alone;
use crate::bystander::Bystander;
use crate::harness::{Client, TestBroker, fetch_request, produce_request};

/// Comparing each entry with each other would be 10 billion steps.
const ENTRIES: i32 = 100_000;
/// What a request may take in a debug build on a busy machine.
const SOON: Duration = Duration::from_secs(20);

fn quick<'m>(client: &mut Client, api: ApiKey, version: i16, message: &impl Message<'m>) {
    let begun = Instant::now();
    let answer = client.call(api, version, message);
    assert!(!answer.bytes.is_empty());
    assert!(begun.elapsed() < SOON, "{api:?} took {:?}", begun.elapsed());
}

#[test]
fn partitions() {
    let _alone = alone();
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    client.create_topic("bystander", 1, &[]);
    let bystander = Bystander::start(broker.address());
    let mut produce = produce_request("t", None, 1);
    let records = Some(Records::Bytes(&[0; 30]));
    let of_produce = |index| PartitionProduceData { index, records };
    produce.topic_data[0].partition_data = (0..ENTRIES).map(of_produce).collect();
    quick(&mut client, ApiKey::Produce, 9, &produce);
    let mut fetch = fetch_request("t", Uuid::ZERO, 0);
    let of_fetch = |partition| FetchPartition { partition, ..Default::default() };
    fetch.topics[0].partitions = (0..ENTRIES).map(of_fetch).collect();
    quick(&mut client, ApiKey::Fetch, 11, &fetch);
    let of_list = |partition_index| ListOffsetsPartition {
        partition_index,
        timestamp: -1,
        ..Default::default()
    };
    let topic = ListOffsetsTopic { name: "t", partitions: (0..ENTRIES).map(of_list).collect() };
    let list = ListOffsetsRequest { topics: vec![topic], ..Default::default() };
    quick(&mut client, ApiKey::ListOffsets, 5, &list);
    bystander.finish();
}

#[test]
fn topics() {
    let _alone = alone();
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("bystander", 1, &[]);
    let bystander = Bystander::start(broker.address());
    // No topic may have these names, so that none is made.
    let names: Vec<String> = (0..ENTRIES).map(|n| format!("/{n}")).collect();
    let topic = |name| MetadataRequestTopic { name: Some(name), ..Default::default() };
    let topics = Some(names.iter().map(|name| topic(name)).collect());
    let metadata = MetadataRequest { topics, ..Default::default() };
    quick(&mut client, ApiKey::Metadata, 12, &metadata);
    let topic = |name| CreatableTopic {
        name,
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    let topics = names.iter().map(|name| topic(name)).collect();
    let create = CreateTopicsRequest { topics, ..Default::default() };
    quick(&mut client, ApiKey::CreateTopics, 7, &create);
    let topic = |name| DeleteTopicState { name: Some(name), ..Default::default() };
    let topics = names.iter().map(|name| topic(name)).collect();
    let delete = DeleteTopicsRequest { topics, ..Default::default() };
    quick(&mut client, ApiKey::DeleteTopics, 6, &delete);
    let topic = |name| CreatePartitionsTopic { name, count: 2, assignments: None };
    let topics = names.iter().map(|name| topic(name)).collect();
    let grow = CreatePartitionsRequest { topics, ..Default::default() };
    quick(&mut client, ApiKey::CreatePartitions, 3, &grow);
    let topics = names.iter().map(|name| TopicRequest { name }).collect();
    let describe = DescribeTopicPartitionsRequest { topics, ..Default::default() };
    quick(&mut client, ApiKey::DescribeTopicPartitions, 0, &describe);
    bystander.finish();
}

#[test]
fn answers_many_times_as_long_as_their_request_are_not_given() {
    let broker = TestBroker::start();
    let mut bystander = broker.client();
    let mut client = broker.client();
    let names: Vec<String> = (0..200).map(|n| format!("{n}.{}", "x".repeat(32_000))).collect();
    let set = |name| AlterableConfig { name, value: Some(""), ..Default::default() };
    let configs = names.iter().map(|name| set(name)).collect();
    let resource = AlterConfigsResource { resource_type: 4, resource_name: "", configs };
    let alter = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    quick(&mut client, ApiKey::IncrementalAlterConfigs, 1, &alter);
    let described = |resource_type, resource_name, times| DescribeConfigsRequest {
        resources: vec![
            DescribeConfigsResource {
                resource_type,
                resource_name,
                configuration_keys: None
            };
            times
        ],
        ..Default::default()
    };
    quick(&mut client, ApiKey::DescribeConfigs, 4, &described(4, "", 2));
    client.send(ApiKey::DescribeConfigs, 4, &described(4, "", 50));
    client.assert_closed("the same 6 MiB, 50 times");
    let mut client = broker.client();
    quick(&mut client, ApiKey::DescribeConfigs, 4, &described(16, "subscription", 10_001));
    client.send(ApiKey::DescribeConfigs, 4, &described(16, "subscription", 100_001));
    client.assert_closed("100,001 resources");
    let topic = MetadataRequestTopic { name: Some("t"), ..Default::default() };
    let metadata = MetadataRequest { topics: Some(vec![topic; 1_000_001]), ..Default::default() };
    let mut client = broker.client();
    client.send(ApiKey::Metadata, 8, &metadata);
    client.assert_closed("1,000,001 topics");
    let create = CreateTopicsRequest {
        topics: vec![CreatableTopic { num_partitions: 0, ..Default::default() }; 100_001],
        ..Default::default()
    };
    let mut client = broker.client();
    client.send(ApiKey::CreateTopics, 7, &create);
    client.assert_closed("100,001 topics");
    let find =
        FindCoordinatorRequest { coordinator_keys: vec!["g"; 100_001], ..Default::default() };
    let mut client = broker.client();
    client.send(ApiKey::FindCoordinator, 4, &find);
    client.assert_closed("100,001 keys");
    bystander.create_topic("t", 1, &[]);
}

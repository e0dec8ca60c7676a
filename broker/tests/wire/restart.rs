//! What a broker still knows after it was stopped and started.

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use ottla_protocol::messages::metadata::{MetadataRequest, MetadataResponse};
use ottla_protocol::record::batch::BatchHeader;
use ottla_protocol::record::set::Batches;
use ottla_protocol::uuid::Uuid;

use crate::harness::{Client, TestBroker, batch};

/// Cluster id, and of each topic its name, id, and leader epochs.
fn cluster(client: &mut Client) -> (String, Vec<(String, Uuid, Vec<i32>)>) {
    let request = MetadataRequest { topics: None, ..Default::default() };
    let answer = client.call(ApiKey::Metadata, 12, &request);
    let response: MetadataResponse<'_> = answer.message();
    let mut topics: Vec<_> = response
        .topics
        .iter()
        .map(|topic| {
            let epochs = topic.partitions.iter().map(|partition| partition.leader_epoch);
            (topic.name.unwrap().to_owned(), topic.topic_id, epochs.collect())
        })
        .collect();
    topics.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    (response.cluster_id.unwrap().to_owned(), topics)
}

fn latest(client: &mut Client) -> (i64, i32) {
    let partition = ListOffsetsPartition { timestamp: -1, ..Default::default() };
    let topic = ListOffsetsTopic { name: "t", partitions: vec![partition] };
    let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
    let answer = client.call(ApiKey::ListOffsets, 5, &request);
    let response: ListOffsetsResponse<'_> = answer.message();
    let told = &response.topics[0].partitions[0];
    (told.offset, told.leader_epoch)
}

#[test]
fn ids_records_and_offsets_stay_and_epochs_go_up_by_two() {
    let mut broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    client.create_topic("u", 2, &[("max.message.bytes", "100")]);
    let (cluster_id, topics) = cluster(&mut client);
    let mut expected = Vec::new();
    for restarts in 0..3 {
        assert_eq!(latest(&mut client), (2 * i64::from(restarts), 2 * restarts));
        client.append("t", &batch(&[b"a", b"b"]));
        expected.push((2 * i64::from(restarts), 2 * restarts));
        broker.restart();
        client = broker.client();
        let (same_id, same_topics) = cluster(&mut client);
        assert_eq!(same_id, cluster_id);
        for ((old_name, old_id, _), (name, id, epochs)) in topics.iter().zip(&same_topics) {
            assert_eq!((old_name, old_id), (name, id));
            assert!(epochs.iter().all(|epoch| *epoch == 2 * (restarts + 1)), "{epochs:?}");
        }
        let fetched = client.fetch("t", 0);
        assert_eq!(fetched.high_watermark, 2 * i64::from(restarts + 1));
        let batches: Vec<(i64, i32)> = Batches::new(&fetched.records)
            .map(|batch| {
                let header: BatchHeader<'_> = batch.unwrap().header();
                (header.base_offset(), header.partition_leader_epoch())
            })
            .collect();
        assert_eq!(batches, expected);
    }
    let too_large = client.produce("u", &batch(&[&[0; 200]]));
    assert_eq!(too_large.code.0, 10, "the topic's settings stay too");
    let epochs = std::fs::read_to_string(broker.dir().join("t-0/leader-epoch-checkpoint")).unwrap();
    assert_eq!(epochs, "0\n3\n0 0\n2 2\n4 4\n", "nothing was appended in epoch 6");
}

#[test]
fn restarts_without_appends_leave_no_epochs() {
    let mut broker = TestBroker::start();
    broker.client().create_topic("t", 1, &[]);
    broker.client().append("t", &batch(&[b"v"]));
    for _ in 0..3 {
        broker.restart();
    }
    let path = broker.dir().join("t-0/leader-epoch-checkpoint");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "0\n1\n0 0\n");
    broker.client().append("t", &batch(&[b"w"]));
    // The flush behind an epoch's first record writes it down; a stop flushes.
    broker.restart();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "0\n2\n0 0\n6 1\n");
}

#[test]
fn deleted_topics_stay_deleted() {
    let mut broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    client.append("t", &batch(&[b"v"]));
    client.delete_topic("t");
    broker.restart();
    assert!(cluster(&mut broker.client()).1.is_empty());
    let id = broker.client().create_topic("t", 1, &[]);
    broker.restart();
    assert_eq!(cluster(&mut broker.client()).1, [("t".to_owned(), id, vec![2])]);
}

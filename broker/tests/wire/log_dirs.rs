//! Log directories: what lies in them, and where it shall lie.

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_replica_log_dirs::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
};
use ottla_protocol::messages::describe_log_dirs::{
    DescribableLogDirTopic, DescribeLogDirsRequest, DescribeLogDirsResponse,
};

use crate::harness::{Client, TestBroker, batch};

/// Of each directory, its path and of each partition in it topic, number and size.
type Described = Vec<(String, Vec<(String, i32, i64)>)>;

fn describe(client: &mut Client, asked: Option<&[(&str, &[i32])]>) -> Described {
    let topics = asked.map(|asked| {
        let topic = |(topic, partitions): &(&'static str, &[i32])| DescribableLogDirTopic {
            topic,
            partitions: partitions.to_vec(),
        };
        let asked: Vec<(&'static str, &[i32])> =
            asked.iter().map(|(name, list)| (&*name.to_string().leak(), *list)).collect();
        asked.iter().map(topic).collect()
    });
    let answer = client.call(ApiKey::DescribeLogDirs, 5, &DescribeLogDirsRequest { topics });
    let response: DescribeLogDirsResponse<'_> = answer.message();
    assert_eq!(response.error_code, ErrorCode::NONE);
    let mut described = vec![];
    for dir in &response.results {
        assert_eq!((dir.error_code, dir.is_cordoned), (ErrorCode::NONE, false));
        assert!(dir.total_bytes >= dir.usable_bytes && dir.usable_bytes >= 0);
        let mut found = vec![];
        for topic in &dir.topics {
            for partition in &topic.partitions {
                assert_eq!((partition.offset_lag, partition.is_future_key), (0, false));
                let name = topic.name.to_owned();
                found.push((name, partition.partition_index, partition.partition_size));
            }
        }
        described.push((dir.log_dir.to_owned(), found));
    }
    described
}

fn place(client: &mut Client, path: &str, topic: &str, partition: i32) -> ErrorCode {
    let topic = AlterReplicaLogDirTopic { name: topic, partitions: vec![partition] };
    let dir = AlterReplicaLogDir { path, topics: vec![topic] };
    let request = AlterReplicaLogDirsRequest { dirs: vec![dir] };
    let answer = client.call(ApiKey::AlterReplicaLogDirs, 2, &request);
    let response: AlterReplicaLogDirsResponse<'_> = answer.message();
    response.results[0].partitions[0].error_code
}

#[test]
fn directories_are_described() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("a", 2, &[]);
    client.create_topic("b", 1, &[]);
    let records = batch(&[b"some", b"records"]);
    client.append("a", &records);
    let dir = broker.dir().to_str().unwrap().to_owned();
    let size = records.len() as i64;
    let here = |found: &[(&str, i32, i64)]| {
        let found = found.iter().map(|(name, number, size)| (name.to_string(), *number, *size));
        vec![(dir.clone(), found.collect())]
    };
    assert_eq!(describe(&mut client, None), here(&[("a", 0, size), ("a", 1, 0), ("b", 0, 0)]));
    let asked = describe(&mut client, Some(&[("a", &[0, 9, -1]), ("nope", &[0]), ("b", &[])]));
    assert_eq!(asked, here(&[("a", 0, size)]), "what is not there is left out");
    assert_eq!(describe(&mut client, Some(&[])), here(&[]));
    assert_eq!(describe(&mut client, Some(&[("__cluster_metadata", &[0])])), here(&[]));
}

#[test]
fn replicas_are_placed_where_there_is_a_directory() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("a", 1, &[]);
    let dir = broker.dir().to_str().unwrap().to_owned();
    let (unknown, nowhere) = (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::LOG_DIR_NOT_FOUND);
    let table = [
        (&*dir, "a", 0, ErrorCode::NONE),
        (&*dir, "a", 1, unknown),
        (&*dir, "a", -1, unknown),
        (&*dir, "nope", 0, unknown),
        (&*dir, "__cluster_metadata", 0, unknown),
        ("/nowhere", "a", 0, nowhere),
        ("/nowhere", "nope", 0, nowhere),
        ("relative", "a", 0, nowhere),
        ("", "a", 0, nowhere),
    ];
    for (path, topic, partition, expected) in table {
        let told = place(&mut client, path, topic, partition);
        assert_eq!(told, expected, "{path} {topic} {partition}");
    }
}

//! Tables of what the controller refuses and of what it writes.

mod client_quotas;
mod elections;
mod features;
mod reassignments;
mod scram;

use super::*;
use crate::bootstrap;
use crate::image::{ConfigEntries, ConfigResourceType, Endpoint, FeatureRange, Partition};
use crate::replay::Replay;
use ottla_protocol::metadata::MetadataRecord;
use ottla_protocol::metadata::cluster::{
    BeginTransactionRecord, FeatureLevelRecord, ProducerIdsRecord,
};
use ottla_protocol::metadata::config::ConfigRecord;
use ottla_protocol::metadata::topic::PartitionRecord;
use proptest::prelude::*;

const DIRECTORY: Uuid = Uuid::from_bytes([7; 16]);
const DEFAULTS: TopicDefaults = TopicDefaults { num_partitions: 4, replication_factor: 1 };

/// Rules of a few keys, enough to tell what the controller does with the answers.
struct Rules;

impl ConfigRules for Rules {
    fn key(&self, _: ConfigResourceType, key: &str) -> Option<ConfigKey> {
        match key {
            "cleanup.policy" => Some(ConfigKey { is_list: true, default: Some("delete".into()) }),
            "listed" => Some(ConfigKey { is_list: true, default: None }),
            "retention.ms" | "min.insync.replicas" => {
                Some(ConfigKey { is_list: false, default: None })
            }
            _ => None,
        }
    }

    fn validate(&self, validation: &ConfigValidation<'_>) -> Result<(), Refused> {
        let code = match validation.resource_type {
            ConfigResourceType::Broker => ErrorCode::INVALID_REQUEST,
            _ => ErrorCode::INVALID_CONFIG,
        };
        for (key, value) in validation.entries {
            let is_known = self.key(validation.resource_type, key).is_some();
            let is_good = match &**key {
                "retention.ms" | "min.insync.replicas" => value.parse::<i64>().is_ok(),
                _ => true,
            };
            if !is_known || !is_good {
                return Err(Refused::new(code, format!("{key}={value}")));
            }
        }
        if validation.changed.contains(&"read.only") {
            return Err(Refused::new(code, "read.only"));
        }
        Ok(())
    }
}

/// Any number of ids, each a valid one.
fn random() -> impl FnMut() -> [u8; 16] {
    let mut next = 0_u64;
    move || {
        next += 1;
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&next.to_be_bytes());
        bytes
    }
}

/// Numbered ids, each a valid one.
fn ids() -> impl FnMut() -> [u8; 16] {
    let mut next = 0;
    move || {
        next += 1;
        let mut bytes = [0; 16];
        bytes[15] = next;
        bytes
    }
}

fn node_start(incarnation: u8, previous_broker_epoch: i64) -> NodeStart {
    let endpoint = |name: &str, port| Endpoint {
        name: name.into(),
        host: "127.0.0.1".into(),
        port,
        security_protocol: 0,
    };
    let features: Vec<FeatureRange> = crate::features::FEATURES
        .iter()
        .map(|feature| FeatureRange {
            name: feature.name.into(),
            min: feature.min,
            max: feature.max,
        })
        .collect();
    NodeStart {
        controller: ControllerRegistration {
            id: 1,
            incarnation_id: Uuid::from_bytes([incarnation; 16]),
            endpoints: vec![endpoint("CONTROLLER", 9093)],
            features: features.clone(),
        },
        broker: BrokerRegistration {
            id: 1,
            incarnation_id: Uuid::from_bytes([incarnation; 16]),
            endpoints: vec![endpoint("PLAINTEXT", 9092)],
            features,
            rack: Some("here".into()),
            directories: vec![DIRECTORY],
            previous_broker_epoch,
        },
        cordoned_directories: vec![],
        min_insync_replicas: "1".to_owned(),
    }
}

/// A cluster of one broker, driven as the shell around the controller does.
struct Cluster {
    replay: Replay,
}

impl Cluster {
    fn fresh() -> Self {
        let mut cluster = Cluster { replay: Replay::new(Image::empty()) };
        cluster.start(-1);
        cluster
    }

    /// One with topics `a.b` of 2 partitions, `orders` of 3.
    fn with_topics() -> Self {
        let mut cluster = Cluster::fresh();
        cluster.create(vec![topic("a.b", 2, 1), topic("orders", 3, 1)]);
        cluster
    }

    fn image(&self) -> &Image {
        self.replay.image()
    }

    fn write(&mut self, records: &Records) {
        for value in records.iter() {
            self.replay.apply_value(value, self.replay.offset() + 1).unwrap();
        }
    }

    fn start(&mut self, previous_broker_epoch: i64) {
        self.start_as(&node_start(1, previous_broker_epoch));
    }

    fn start_as(&mut self, node: &NodeStart) {
        let next_offset = self.replay.offset() + 1;
        let batches = start(&self.replay, node, &bootstrap::records(), next_offset).unwrap();
        batches.iter().for_each(|batch| self.write(batch));
    }

    fn stop(&mut self) -> i64 {
        let batches = stop(self.image(), 1, self.replay.offset() + 1).unwrap();
        batches.iter().for_each(|batch| self.write(batch));
        self.image().brokers()[&1].epoch
    }

    fn create(&mut self, topics: Vec<NewTopic<'_>>) {
        let request = CreateTopics { topics, validate_only: false };
        let (records, answers) =
            create_topics(self.image(), &request, DEFAULTS, &Rules, &mut ids());
        answers.iter().for_each(|(name, answer)| assert!(answer.is_ok(), "{name} {answer:?}"));
        self.write(&records);
    }

    fn partition(&self, topic: &str, number: i32) -> &Partition {
        self.image().topics().partition(topic, number).unwrap()
    }
}

fn topic(name: &str, num_partitions: i32, replication_factor: i16) -> NewTopic<'_> {
    NewTopic { name, num_partitions, replication_factor, assignments: vec![], configs: vec![] }
}

fn assigned<'a>(name: &'a str, assignments: &[(i32, &[i32])]) -> NewTopic<'a> {
    let assignment = |(partition_index, ids): &(i32, &[i32])| ReplicaAssignment {
        partition_index: *partition_index,
        broker_ids: ids.to_vec(),
    };
    let assignments = assignments.iter().map(assignment).collect();
    NewTopic { assignments, ..topic(name, -1, -1) }
}

fn configured<'a>(topic: NewTopic<'a>, key: &'a str, value: Option<&'a str>) -> NewTopic<'a> {
    NewTopic { configs: vec![(key, value)], ..topic }
}

fn code<T>(result: &Result<T, Refused>) -> ErrorCode {
    result.as_ref().err().map_or(ErrorCode::NONE, |refused| refused.code)
}

#[test]
fn a_broker_with_all_directories_cordoned_gets_no_partitions() {
    let mut cluster = Cluster { replay: Replay::new(Image::empty()) };
    let other = Uuid::from_bytes([9; 16]);
    let mut node = node_start(1, -1);
    node.broker.directories = vec![DIRECTORY, other];
    node.cordoned_directories = vec![other];
    cluster.start_as(&node);
    let told = |cluster: &Cluster| cluster.image().brokers()[&1].cordoned_directories.clone();
    assert_eq!(told(&cluster), Some(vec![other]), "told with the start");
    let create = |cluster: &Cluster, name| {
        let request = CreateTopics { topics: vec![topic(name, 1, 1)], validate_only: false };
        let made = create_topics(cluster.image(), &request, DEFAULTS, &Rules, &mut ids());
        (made.0, made.1[0].1.clone())
    };
    assert!(create(&cluster, "t").1.is_ok());
    let cordon = |cluster: &mut Cluster, ids: &[Uuid]| {
        let records = cordon_directories(cluster.image(), 1, ids).unwrap();
        cluster.write(&records);
        records.len()
    };
    assert_eq!(cordon(&mut cluster, &[other]), 0, "that is known");
    assert_eq!(cordon(&mut cluster, &[DIRECTORY, other]), 1);
    let refused = create(&cluster, "t").1.unwrap_err();
    assert_eq!(refused.code, ErrorCode::INVALID_REPLICATION_FACTOR);
    assert!(refused.message.ends_with("have all their log directories cordoned."));
    assert_eq!(cordon(&mut cluster, &[]), 1);
    assert!(create(&cluster, "t").1.is_ok());
    assert_eq!(told(&cluster), Some(vec![]));
}

#[test]
fn create_topics_refuses() {
    use ErrorCode as E;
    let cluster = Cluster::with_topics();
    let long = "a".repeat(250);
    let table = [
        (topic("", 1, 1), E::INVALID_TOPIC_EXCEPTION),
        (topic(".", 1, 1), E::INVALID_TOPIC_EXCEPTION),
        (topic("a b", 1, 1), E::INVALID_TOPIC_EXCEPTION),
        (topic(&long, 1, 1), E::INVALID_TOPIC_EXCEPTION),
        (topic("a_b", 1, 1), E::INVALID_TOPIC_EXCEPTION),
        (topic("a.b", 1, 1), E::TOPIC_ALREADY_EXISTS),
        (topic("__cluster_metadata", 1, 1), E::INVALID_REQUEST),
        (topic("t", 0, 1), E::INVALID_PARTITIONS),
        (topic("t", -2, 1), E::INVALID_PARTITIONS),
        (topic("t", 1, 0), E::INVALID_REPLICATION_FACTOR),
        (topic("t", 1, -2), E::INVALID_REPLICATION_FACTOR),
        (topic("t", 1, 2), E::INVALID_REPLICATION_FACTOR),
        (topic("t", 0, 0), E::INVALID_REPLICATION_FACTOR),
        (topic("t", 10_001, 1), E::POLICY_VIOLATION),
        (topic("t", i32::MAX, 1), E::POLICY_VIOLATION),
        (configured(topic("t", 1, 1), "retention.ms", None), E::INVALID_CONFIG),
        (configured(topic("t", 1, 1), "retention.ms", Some("x")), E::INVALID_CONFIG),
        (configured(topic("t", 0, 1), "unknown", Some("x")), E::INVALID_CONFIG),
        (configured(topic("a.b", 1, 1), "unknown", Some("x")), E::TOPIC_ALREADY_EXISTS),
        (NewTopic { num_partitions: 1, ..assigned("t", &[(0, &[1])]) }, E::INVALID_REQUEST),
        (NewTopic { replication_factor: 1, ..assigned("t", &[(0, &[1])]) }, E::INVALID_REQUEST),
        (assigned("t", &[(0, &[1]), (0, &[1])]), E::INVALID_REPLICA_ASSIGNMENT),
        (assigned("t", &[(1, &[1])]), E::INVALID_REPLICA_ASSIGNMENT),
        (assigned("t", &[(-1, &[1]), (0, &[1])]), E::INVALID_REPLICA_ASSIGNMENT),
        (assigned("t", &[(0, &[])]), E::INVALID_REPLICA_ASSIGNMENT),
        (assigned("t", &[(0, &[7])]), E::INVALID_REPLICA_ASSIGNMENT),
        (assigned("t", &[(0, &[1, 1])]), E::INVALID_REPLICA_ASSIGNMENT),
        (topic("__mine", 1, 1), E::NONE),
        (topic("a-b", 1, 1), E::NONE),
        (topic("t", -1, -1), E::NONE),
        (assigned("t", &[(1, &[1]), (0, &[1])]), E::NONE),
        (configured(topic("t", 1, 1), "cleanup.policy", Some("")), E::NONE),
    ];
    for (topic, expected) in table {
        let name = topic.name;
        let request = CreateTopics { topics: vec![topic.clone()], validate_only: false };
        let (records, answers) =
            create_topics(cluster.image(), &request, DEFAULTS, &Rules, &mut ids());
        assert_eq!((answers[0].0, answers.len()), (name, 1));
        assert_eq!(code(&answers[0].1), expected, "{topic:?}");
        assert_eq!(records.is_empty(), expected != E::NONE, "{topic:?}");

        let request = CreateTopics { validate_only: true, ..request };
        let (records, again) =
            create_topics(cluster.image(), &request, DEFAULTS, &Rules, &mut ids());
        assert_eq!(again, answers, "what is only validated is answered alike");
        assert!(records.is_empty());
    }
}

#[test]
fn topics_of_one_request_see_each_other() {
    let cluster = Cluster::fresh();
    let topics = vec![
        topic("twice", 1, 1),
        topic("c.d", 1, 1),
        topic("c_d", 1, 1),
        topic("twice", 1, 1),
        topic("fine", -1, -1),
    ];
    let request = CreateTopics { topics, validate_only: false };
    let (records, answers) = create_topics(cluster.image(), &request, DEFAULTS, &Rules, &mut ids());
    let codes: Vec<_> = answers.iter().map(|(name, answer)| (*name, code(answer))).collect();
    let expected = [
        ("twice", ErrorCode::INVALID_REQUEST),
        ("c.d", ErrorCode::NONE),
        ("c_d", ErrorCode::INVALID_TOPIC_EXCEPTION),
        ("fine", ErrorCode::NONE),
    ];
    assert_eq!(codes, expected);
    let fine = answers[3].1.as_ref().unwrap();
    assert_eq!((fine.num_partitions, fine.replication_factor), (4, 1));
    // A topic and a partition, a topic and four partitions.
    assert_eq!(records.len(), 2 + 5);
}

#[test]
fn names_that_collide_are_found_whatever_lies_between() {
    let mut node = Cluster::fresh();
    node.create(vec![topic("a.b", 1, 1), topic("a.b.c", 1, 1), topic("a_b-c", 1, 1)]);
    let colliding = |node: &Cluster, name: &str| node.image().topics().colliding(name).is_some();
    for (name, expected) in [
        ("a_b", true),
        ("a.b_c", true),
        ("a_b_c", true),
        ("a.b-c", true),
        ("a.b", false),
        ("ab", false),
        ("a", false),
        ("a-b", false),
        ("a_b_", false),
    ] {
        assert_eq!(colliding(&node, name), expected, "{name}");
    }
    let doomed = TopicToDelete { name: Some("a.b"), id: Uuid::ZERO };
    node.write(&delete_topics(node.image(), &[doomed]).0);
    assert!(!colliding(&node, "a_b") && colliding(&node, "a_b_c"));
}

#[test]
fn a_name_is_not_compared_with_each_other_one() {
    let node = Cluster::fresh();
    let names: Vec<String> = (0..10_000).map(|n| format!("a_common_beginning_{n}")).collect();
    let topics = names.iter().map(|name| topic(name, 1, 1)).collect();
    let request = CreateTopics { topics, validate_only: true };
    let begun = std::time::Instant::now();
    let (_, answers) = create_topics(node.image(), &request, DEFAULTS, &Rules, &mut random());
    assert!(answers.iter().all(|(_, result)| result.is_ok()));
    // 50 million pairs take a minute in a debug build.
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
}

#[test]
fn a_config_that_is_given_twice_is_written_once() {
    let node = Cluster::fresh();
    let given = configured(topic("t", 1, 1), "retention.ms", Some("1"));
    let topics = vec![configured(given, "retention.ms", Some("2"))];
    let request = CreateTopics { topics, validate_only: false };
    let (records, _) = create_topics(node.image(), &request, DEFAULTS, &Rules, &mut ids());
    assert_eq!(records.len(), 3, "the topic, its config and its partition");
    let mut image = node.image().clone();
    records.apply_to(&mut image, node.image().offset() + 1).unwrap();
    assert_eq!(image.configs().topic("t").unwrap()["retention.ms"], "2".into());
}

#[test]
fn a_new_topic_is_led_at_once() {
    let mut cluster = Cluster::fresh();
    let with_config = configured(topic("t", 2, 1), "min.insync.replicas", Some("1"));
    cluster.create(vec![with_config]);
    let partition = cluster.partition("t", 1);
    assert_eq!((partition.leader, partition.leader_epoch, partition.partition_epoch), (1, 0, 0));
    assert_eq!((&*partition.replicas, &*partition.isr), (&[1][..], &[1][..]));
    assert_eq!(partition.directories, [DIRECTORY]);
    assert_eq!(cluster.image().topics().by_name("t").unwrap().id.as_bytes()[6] & 0xf0, 0x40);
}

#[test]
fn ids_are_fresh_and_never_look_like_options() {
    let cluster = Cluster::with_topics();
    let taken = *cluster.image().topics().by_name("a.b").unwrap().id.as_bytes();
    let mut given = vec![[1; 16], taken, [0xfb; 16], [1; 16]].into_iter();
    let request = CreateTopics { topics: vec![topic("t", 1, 1)], validate_only: false };
    let mut entropy = || given.next().unwrap();
    let (_, answers) = create_topics(cluster.image(), &request, DEFAULTS, &Rules, &mut entropy);
    let id = answers[0].1.as_ref().unwrap().id;
    assert_eq!(Some(id), Uuid::random_v4([1; 16]));
    assert_eq!(given.next(), None, "the seed, a taken id and one that begins with a dash");

    let (_, answers) =
        create_topics(cluster.image(), &request, DEFAULTS, &Rules, &mut || [0xff; 16]);
    let is_dash = Uuid::random_v4([0xff; 16]).is_none();
    assert_eq!(answers[0].1.is_err(), is_dash, "no entropy is no endless loop");
}

#[test]
fn a_new_topic_does_not_inherit_configs_of_an_old_one() {
    let mut cluster = Cluster::fresh();
    let mut orphan = Records::new();
    for name in ["retention.ms", "cleanup.policy"] {
        let record = ConfigRecord { resource_type: 2, resource_name: "t", name, value: Some("1") };
        orphan.push(&MetadataRecord::Config(record), 0);
    }
    cluster.write(&orphan);
    cluster.create(vec![configured(topic("t", 1, 1), "retention.ms", Some("5"))]);
    let expected: ConfigEntries = [("retention.ms".into(), "5".into())].into();
    assert_eq!(cluster.image().configs().topic("t"), Some(&expected));
}

#[test]
fn delete_topics_refuses() {
    use ErrorCode as E;
    let cluster = Cluster::with_topics();
    let id = cluster.image().topics().by_name("orders").unwrap().id;
    let by_name = |name| TopicToDelete { name: Some(name), id: Uuid::ZERO };
    let by_id = |id| TopicToDelete { name: None, id };
    let none = |wanted: TopicToDelete<'_>, expected: ErrorCode| {
        let (records, answers) = delete_topics(cluster.image(), &[wanted]);
        assert_eq!(code(&answers[0].result), expected, "{wanted:?}");
        assert!(records.is_empty());
    };
    none(by_name("unknown"), E::UNKNOWN_TOPIC_OR_PARTITION);
    none(by_id(Uuid::from_bytes([9; 16])), E::UNKNOWN_TOPIC_ID);
    none(by_id(Uuid::ZERO), E::INVALID_REQUEST);
    none(TopicToDelete { name: Some("orders"), id }, E::INVALID_REQUEST);

    for twice in [[by_name("orders"), by_id(id)], [by_id(id), by_id(id)]] {
        let (records, answers) = delete_topics(cluster.image(), &twice);
        assert_eq!((answers.len(), code(&answers[0].result)), (1, E::INVALID_REQUEST));
        assert!(records.is_empty());
    }
    let (_, answers) = delete_topics(cluster.image(), &[by_name("x"), by_name("x")]);
    assert_eq!((answers.len(), code(&answers[0].result)), (1, E::INVALID_REQUEST));
}

#[test]
fn deleted_topics_are_gone_with_their_configs() {
    let mut cluster = Cluster::with_topics();
    cluster.create(vec![configured(topic("t", 1, 1), "retention.ms", Some("5"))]);
    let id = cluster.image().topics().by_name("t").unwrap().id;
    let wanted =
        [TopicToDelete { name: None, id }, TopicToDelete { name: Some("a.b"), id: Uuid::ZERO }];
    let (records, answers) = delete_topics(cluster.image(), &wanted);
    let names: Vec<_> = answers.iter().map(|answer| answer.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["t", "a.b"]);
    cluster.write(&records);
    assert_eq!(cluster.image().topics().len(), 1);
    assert_eq!(cluster.image().topics().partition_count(), 3);
    assert!(cluster.image().topics().by_id(id).is_none());
    assert_eq!(cluster.image().configs().topic("t"), None);
}

#[test]
fn create_partitions_refuses() {
    use ErrorCode as E;
    let cluster = Cluster::with_topics();
    let more = |name, count, assignments: Option<&[&[i32]]>| MorePartitions {
        name,
        count,
        assignments: assignments.map(|lists| lists.iter().map(|ids| ids.to_vec()).collect()),
    };
    let table = [
        (more("unknown", 9, None), E::UNKNOWN_TOPIC_OR_PARTITION),
        (more("orders", 3, None), E::INVALID_PARTITIONS),
        (more("orders", 2, None), E::INVALID_PARTITIONS),
        (more("orders", 0, None), E::INVALID_PARTITIONS),
        (more("orders", -1, None), E::INVALID_PARTITIONS),
        (more("orders", i32::MAX, None), E::POLICY_VIOLATION),
        (more("orders", 10_004, None), E::POLICY_VIOLATION),
        (more("orders", 5, Some(&[&[1]])), E::INVALID_REPLICA_ASSIGNMENT),
        (more("orders", 4, Some(&[&[1], &[1]])), E::INVALID_REPLICA_ASSIGNMENT),
        (more("orders", 4, Some(&[&[]])), E::INVALID_REPLICA_ASSIGNMENT),
        (more("orders", 4, Some(&[&[7]])), E::INVALID_REPLICA_ASSIGNMENT),
        (more("orders", 4, Some(&[&[1, 1]])), E::INVALID_REPLICA_ASSIGNMENT),
        (more("orders", 4, None), E::NONE),
        (more("orders", 10_003, None), E::NONE),
        (more("orders", 5, Some(&[&[1], &[1]])), E::NONE),
    ];
    for (more, expected) in table {
        let request = [more.clone()];
        let (records, answers) = create_partitions(cluster.image(), &request, false, &mut ids());
        assert_eq!(code(&answers[0].1), expected, "{more:?}");
        assert_eq!(records.is_empty(), expected != E::NONE);
        let (records, again) = create_partitions(cluster.image(), &request, true, &mut ids());
        assert_eq!(again, answers);
        assert!(records.is_empty());
    }
    let twice = [more("orders", 4, None), more("a.b", 3, None), more("orders", 5, None)];
    let (records, answers) = create_partitions(cluster.image(), &twice, false, &mut ids());
    let codes: Vec<_> = answers.iter().map(|(name, answer)| (*name, code(answer))).collect();
    assert_eq!(codes, [("orders", E::INVALID_REQUEST), ("a.b", E::NONE)]);
    assert_eq!(records.len(), 1);
}

#[test]
fn new_partitions_are_led_at_once() {
    let mut cluster = Cluster::with_topics();
    let more = [MorePartitions { name: "a.b", count: 4, assignments: None }];
    let (records, _) = create_partitions(cluster.image(), &more, false, &mut ids());
    cluster.write(&records);
    assert_eq!(cluster.image().topics().by_name("a.b").unwrap().partitions.len(), 4);
    assert_eq!(cluster.partition("a.b", 3).leader, 1);
}

fn step<'a>(key: &'a str, operation: i8, value: Option<&'a str>) -> ConfigOperation<'a> {
    ConfigOperation { key, operation, value }
}

#[test]
fn incremental_alter_configs_refuses() {
    use ErrorCode as E;
    const SET: i8 = ConfigOperation::SET;
    const DELETE: i8 = ConfigOperation::DELETE;
    const APPEND: i8 = ConfigOperation::APPEND;
    const SUBTRACT: i8 = ConfigOperation::SUBTRACT;
    let cluster = Cluster::with_topics();
    let set = step("retention.ms", SET, Some("5"));
    let min_isr = |operation| step("min.insync.replicas", operation, Some("1"));
    let table: [(i8, &str, &[ConfigOperation<'_>], ErrorCode); 29] = [
        (2, "unknown", &[set], E::UNKNOWN_TOPIC_OR_PARTITION),
        (2, "unknown", &[step("unknown", SET, Some("x"))], E::INVALID_CONFIG),
        (2, "", &[set], E::INVALID_REQUEST),
        (2, "a b", &[set], E::INVALID_TOPIC_EXCEPTION),
        (2, "orders", &[step("retention.ms", SET, None)], E::INVALID_REQUEST),
        (2, "orders", &[step("cleanup.policy", APPEND, None)], E::INVALID_REQUEST),
        (2, "orders", &[set, set], E::INVALID_REQUEST),
        (2, "orders", &[step("retention.ms", SET, Some("x"))], E::INVALID_CONFIG),
        (2, "orders", &[step("unknown", SET, Some("x"))], E::INVALID_CONFIG),
        (2, "orders", &[set, step("unknown", SET, Some("x"))], E::INVALID_CONFIG),
        (2, "orders", &[step("retention.ms", APPEND, Some("5"))], E::INVALID_CONFIG),
        (2, "orders", &[step("unknown", SUBTRACT, Some("5"))], E::INVALID_CONFIG),
        (2, "orders", &[step("retention.ms", 4, Some("5"))], E::UNKNOWN_SERVER_ERROR),
        (2, "orders", &[step("retention.ms", -1, Some("5"))], E::UNKNOWN_SERVER_ERROR),
        (4, "1", &[step("retention.ms", 4, Some("5"))], E::INVALID_REQUEST),
        (4, "x", &[set], E::INVALID_REQUEST),
        (4, "+1", &[set], E::INVALID_REQUEST),
        (4, "9", &[set], E::INVALID_REQUEST),
        (4, "1", &[step("retention.ms", SET, Some("x"))], E::INVALID_REQUEST),
        (4, "1", &[min_isr(SET)], E::INVALID_CONFIG),
        (4, "", &[min_isr(DELETE)], E::INVALID_CONFIG),
        (8, "1", &[set], E::INVALID_REQUEST),
        (16, "", &[set], E::INVALID_REQUEST),
        (32, "", &[set], E::INVALID_REQUEST),
        (3, "orders", &[set], E::INVALID_REQUEST),
        (2, "orders", &[step("unknown", DELETE, None)], E::NONE),
        (4, "", &[min_isr(SET)], E::NONE),
        (32, "g", &[set], E::NONE),
        (2, "orders", &[set], E::NONE),
    ];
    for (resource_type, resource_name, steps, expected) in table {
        let operations = steps.to_vec();
        let change = [ConfigChange { resource_type, resource_name, operations }];
        let (records, answers) = incremental_alter_configs(cluster.image(), &change, false, &Rules);
        assert_eq!(code(&answers[0]), expected, "{change:?}");
        assert!(expected == E::NONE || records.is_empty(), "{change:?}");
        let (records, again) = incremental_alter_configs(cluster.image(), &change, true, &Rules);
        assert_eq!(again, answers);
        assert!(records.is_empty());
    }
    let good = ConfigChange { resource_type: 2, resource_name: "orders", operations: vec![set] };
    let bad = ConfigChange { resource_name: "unknown", ..good.clone() };
    let other = ConfigChange { resource_name: "a.b", ..good.clone() };
    let request = [good.clone(), bad, other, good];
    let (records, answers) = incremental_alter_configs(cluster.image(), &request, false, &Rules);
    let codes: Vec<_> = answers.iter().map(code).collect();
    let expected = [E::INVALID_REQUEST, E::UNKNOWN_TOPIC_OR_PARTITION, E::NONE, E::INVALID_REQUEST];
    assert_eq!(codes, expected);
    assert_eq!(records.len(), 1);
}

#[test]
fn one_request_changes_only_so_many_keys() {
    let cluster = Cluster::with_topics();
    let names: Vec<String> = (0..=10_000).map(|n| format!("g{n}")).collect();
    let change = |name| {
        let set = step("retention.ms", ConfigOperation::SET, Some("5"));
        ConfigChange { resource_type: 32, resource_name: name, operations: vec![set] }
    };
    let mut request: Vec<_> = names.iter().map(|name| change(name)).collect();
    let (records, answers) = incremental_alter_configs(cluster.image(), &request, false, &Rules);
    assert!(records.is_empty());
    assert!(answers.iter().all(|answer| code(answer) == ErrorCode::POLICY_VIOLATION));
    request.pop();
    let (records, _) = incremental_alter_configs(cluster.image(), &request, false, &Rules);
    assert_eq!(records.len(), 10_000);
}

#[test]
fn configs_change_step_by_step() {
    let mut cluster = Cluster::with_topics();
    // What is done to one key of one topic, in this order, and what it then is.
    let table = [
        ("cleanup.policy", 2, "compact", Some("delete,compact"), 1),
        ("cleanup.policy", 2, "compact, compact", Some("delete,compact"), 0),
        ("cleanup.policy", 3, "delete", Some("compact"), 1),
        ("listed", 3, "a", Some(""), 1),
        ("listed", 2, "a,b", Some("a,b"), 1),
        ("listed", 1, "", None, 1),
        ("retention.ms", 0, "5", Some("5"), 1),
        ("retention.ms", 0, "5", Some("5"), 0),
        ("retention.ms", 1, "", None, 1),
        ("retention.ms", 1, "", None, 0),
        ("min.insync.replicas", 0, "2", Some("2"), 2),
        ("min.insync.replicas", 1, "", None, 2),
    ];
    for (key, operation, value, expected, records_count) in table {
        let operations = vec![step(key, operation, Some(value))];
        let change = [ConfigChange { resource_type: 2, resource_name: "orders", operations }];
        let (records, answers) = incremental_alter_configs(cluster.image(), &change, false, &Rules);
        assert_eq!((answers, records.len()), (vec![Ok(())], records_count), "{change:?}");
        cluster.write(&records);
        let configs = cluster.image().configs();
        assert_eq!(configs.value(ConfigResourceType::Topic, "orders", key), expected);
    }
    // A broker is told again even if nothing changes.
    for _ in 0..2 {
        let operations = vec![step("retention.ms", 0, Some("5"))];
        let change = [ConfigChange { resource_type: 4, resource_name: "1", operations }];
        let (records, _) = incremental_alter_configs(cluster.image(), &change, false, &Rules);
        assert_eq!(records.len(), 1);
        cluster.write(&records);
    }
}

#[test]
fn alter_configs_replaces_all_that_is_set() {
    let mut cluster = Cluster::with_topics();
    for (set, expected) in [
        (&[("retention.ms", "5"), ("listed", "a")][..], 2),
        (&[("listed", "b")][..], 1),
        (&[][..], 0),
    ] {
        let operations = set.iter().map(|(key, value)| step(key, 0, Some(value))).collect();
        let change = [ConfigChange { resource_type: 2, resource_name: "orders", operations }];
        let (records, answers) = alter_configs(cluster.image(), &change, false, &Rules);
        assert_eq!(answers, [Ok(())]);
        cluster.write(&records);
        let entries = cluster.image().configs().topic("orders").map_or(0, ConfigEntries::len);
        assert_eq!(entries, expected);
    }
}

#[test]
fn producer_ids_come_in_blocks() {
    let mut cluster = Cluster::fresh();
    let epoch = cluster.image().brokers()[&1].epoch;
    for first in [0, 1000, 2000] {
        let (records, block) = allocate_producer_ids(cluster.image(), 1, epoch).unwrap();
        assert_eq!(block, ProducerIdBlock { first, len: 1000 });
        cluster.write(&records);
    }
    let refused = |id, epoch| allocate_producer_ids(cluster.image(), id, epoch).unwrap_err().code;
    assert_eq!(refused(2, epoch), ErrorCode::BROKER_ID_NOT_REGISTERED);
    assert_eq!(refused(1, epoch + 1), ErrorCode::STALE_BROKER_EPOCH);

    let mut last = Records::new();
    let next_producer_id = i64::MAX - 999;
    let record = ProducerIdsRecord { broker_id: 1, broker_epoch: epoch, next_producer_id };
    last.push(&MetadataRecord::ProducerIds(record), 0);
    cluster.write(&last);
    let refused = allocate_producer_ids(cluster.image(), 1, epoch).unwrap_err();
    assert_eq!(refused.code, ErrorCode::UNKNOWN_SERVER_ERROR);
}

#[test]
fn a_clean_restart_gives_each_partition_the_next_epoch() {
    let mut cluster = Cluster::with_topics();
    let epoch = cluster.stop();
    let partition = cluster.partition("orders", 0);
    assert_eq!((partition.leader, partition.leader_epoch), (-1, 1));
    assert_eq!((&*partition.isr, &*partition.elr), (&[][..], &[1][..]));
    assert!(!cluster.image().is_broker_active(1));
    cluster.start(epoch);
    let partition = cluster.partition("orders", 0);
    assert_eq!((partition.leader, partition.leader_epoch), (1, 2));
    assert_eq!((&*partition.isr, &*partition.elr), (&[1][..], &[][..]));
    assert_eq!((&*partition.last_known_elr, partition.leader_recovery_state), (&[][..], 0));
    assert!(cluster.image().is_broker_active(1));
}

#[test]
fn a_restart_after_a_kill_takes_the_last_leader_back() {
    let mut cluster = Cluster::with_topics();
    cluster.start(-1);
    let partition = cluster.partition("orders", 0);
    assert_eq!((partition.leader, partition.leader_recovery_state), (1, 1));
    assert_eq!((&*partition.isr, &*partition.elr), (&[1][..], &[][..]));
    assert_eq!(partition.leader_epoch, 2);
}

#[test]
fn a_stop_of_a_stopped_broker_changes_nothing() {
    let mut cluster = Cluster::with_topics();
    cluster.stop();
    let batches = stop(cluster.image(), 1, 999).unwrap();
    assert!(batches.is_empty());
    let refused = stop(cluster.image(), 2, 999).unwrap_err();
    assert_eq!(refused.code, ErrorCode::BROKER_ID_NOT_REGISTERED);
}

#[test]
fn a_transaction_left_open_is_aborted() {
    let mut cluster = Cluster::fresh();
    let mut begun = Records::new();
    begun.push(&MetadataRecord::BeginTransaction(BeginTransactionRecord::default()), 0);
    cluster.write(&begun);
    assert!(cluster.replay.open_transaction().is_some());
    cluster.start(-1);
    assert_eq!(cluster.replay.open_transaction(), None);
    assert!(cluster.image().is_broker_active(1));
}

#[test]
fn registrations_are_refused() {
    use ErrorCode as E;
    let mut cluster = Cluster::fresh();
    let good = node_start(2, -1).broker;
    let refused = |cluster: &Cluster, broker: &BrokerRegistration| {
        code(&register_broker(cluster.image(), broker, 99))
    };
    assert_eq!(refused(&cluster, &good), E::DUPLICATE_BROKER_REGISTRATION);
    cluster.stop();
    assert_eq!(refused(&cluster, &good), E::NONE);
    let mut features = good.features.clone();
    features[0].max = 29;
    let table = [
        (BrokerRegistration { features, ..good.clone() }, E::UNSUPPORTED_VERSION),
        (BrokerRegistration { features: vec![], ..good.clone() }, E::UNSUPPORTED_VERSION),
        (BrokerRegistration { directories: vec![], ..good.clone() }, E::INVALID_REGISTRATION),
        (
            BrokerRegistration { directories: vec![DIRECTORY; 2], ..good.clone() },
            E::INVALID_REGISTRATION,
        ),
        (
            BrokerRegistration { directories: vec![Uuid::ZERO], ..good.clone() },
            E::INVALID_REGISTRATION,
        ),
        (BrokerRegistration { endpoints: vec![], ..good.clone() }, E::INVALID_REGISTRATION),
    ];
    for (broker, expected) in table {
        assert_eq!(refused(&cluster, &broker), expected, "{broker:?}");
    }
}

#[test]
fn directories_are_assigned_once() {
    let mut cluster = Cluster::with_topics();
    let id = cluster.image().topics().by_name("orders").unwrap().id;
    let other = Uuid::from_bytes([8; 16]);
    for (directory, count) in [(DIRECTORY, 0), (other, 1), (other, 0)] {
        let records = assign_directories(cluster.image(), 1, &[(id, 2, directory)]).unwrap();
        assert_eq!(records.len(), count);
        cluster.write(&records);
        assert_eq!(cluster.partition("orders", 2).directories, [directory]);
    }
    let assign = |broker, topic, partition| {
        code(&assign_directories(cluster.image(), broker, &[(topic, partition, other)]))
    };
    assert_eq!(assign(1, Uuid::ONE, 0), ErrorCode::UNKNOWN_TOPIC_ID);
    assert_eq!(assign(1, id, 3), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(assign(2, id, 0), ErrorCode::NOT_LEADER_OR_FOLLOWER);
}

#[test]
fn epochs_at_their_end_are_errors() {
    let mut cluster = Cluster::with_topics();
    let topic_id = cluster.image().topics().by_name("orders").unwrap().id;
    let mut last = Records::new();
    let record = PartitionRecord {
        partition_id: 0,
        topic_id,
        replicas: vec![1],
        isr: vec![1],
        directories: vec![DIRECTORY],
        leader: 1,
        leader_epoch: i32::MAX,
        partition_epoch: 0,
        ..PartitionRecord::default()
    };
    last.push(&MetadataRecord::Partition(record), 2);
    cluster.write(&last);
    let next_offset = cluster.replay.offset() + 1;
    let stopped = stop(cluster.image(), 1, next_offset);
    assert_eq!(code(&stopped), ErrorCode::UNKNOWN_SERVER_ERROR);
    let started = start(&cluster.replay, &node_start(1, -1), &bootstrap::records(), next_offset);
    assert!(matches!(started, Err(StartError::Replay(_))), "{started:?}");
    let started = start(&cluster.replay, &node_start(1, -1), &bootstrap::records(), 0);
    assert!(matches!(started, Err(StartError::Replay(_))), "{started:?}");
}

/// Every level from Kafka 3.3 on has a cluster that starts, stops and is written as a snapshot,
/// with eligible leaders asked for or not.
#[test]
fn clusters_of_older_releases_work() {
    for level in 7..=30 {
        for elr in [0, 1] {
            let mut levels = Records::new();
            for (name, feature_level) in
                [("metadata.version", level), ("eligible.leader.replicas.version", elr)]
            {
                let record = FeatureLevelRecord { name, feature_level };
                levels.push(&MetadataRecord::FeatureLevel(record), 0);
            }
            let mut cluster = Cluster { replay: Replay::new(Image::empty()) };
            for previous_broker_epoch in [-1, -1] {
                let next_offset = cluster.replay.offset() + 1;
                let node = node_start(1, previous_broker_epoch);
                let batches = start(&cluster.replay, &node, &levels, next_offset).unwrap();
                batches.iter().for_each(|batch| cluster.write(batch));
                if cluster.image().topics().is_empty() {
                    cluster.create(vec![topic("t", 1, 1)]);
                }
            }
            assert_eq!(cluster.partition("t", 0).leader, 1, "level {level}");
            cluster.stop();
            assert_eq!(cluster.partition("t", 0).leader, -1, "level {level}");
            cluster.start(-1);
            assert_eq!(cluster.partition("t", 0).isr, [1], "level {level}");
            let (id, bytes) = crate::snapshot::of_replay(&cluster.replay, 5).unwrap();
            let read = crate::snapshot::read(&bytes, id).unwrap();
            assert_eq!(read.image(), cluster.image(), "level {level}");
        }
    }
}

/// What can happen to a cluster.
#[derive(Clone, Debug)]
enum Event {
    Create(u8, u8, bool),
    Delete(u8),
    Extend(u8, u8),
    Configure(u8, u8, bool),
    ProducerIds,
    Restart,
    Kill,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (0..12_u8, 1..5_u8, any::<bool>()).prop_map(|(n, p, c)| Event::Create(n, p, c)),
        2 => (0..12_u8).prop_map(Event::Delete),
        2 => (0..12_u8, 1..9_u8).prop_map(|(n, p)| Event::Extend(n, p)),
        2 => (0..12_u8, 0..9_u8, any::<bool>()).prop_map(|(n, v, s)| Event::Configure(n, v, s)),
        1 => Just(Event::ProducerIds),
        1 => Just(Event::Restart),
        1 => Just(Event::Kill),
    ];
    proptest::collection::vec(event, 0..24)
}

impl Cluster {
    /// Does what the event asks for, refused or not; returns the batches written.
    fn happen(&mut self, event: &Event) {
        let name = |n: u8| format!("topic.{n}");
        let records = match *event {
            Event::Create(n, partitions, configures) => {
                let name = name(n);
                let mut new = topic(&name, i32::from(partitions), 1);
                if configures {
                    new = configured(new, "min.insync.replicas", Some("1"));
                }
                let request = CreateTopics { topics: vec![new], validate_only: false };
                let mut entropy = || [n.wrapping_mul(3).wrapping_add(1); 16];
                create_topics(self.image(), &request, DEFAULTS, &Rules, &mut entropy).0
            }
            Event::Delete(n) => {
                let name = name(n);
                let wanted = TopicToDelete { name: Some(&name), id: Uuid::ZERO };
                delete_topics(self.image(), &[wanted]).0
            }
            Event::Extend(n, count) => {
                let name = name(n);
                let more =
                    MorePartitions { name: &name, count: i32::from(count), assignments: None };
                create_partitions(self.image(), &[more], false, &mut ids()).0
            }
            Event::Configure(n, value, sets) => {
                let (name, value) = (name(n), value.to_string());
                let operation = if sets { ConfigOperation::SET } else { ConfigOperation::DELETE };
                let change = ConfigChange {
                    resource_type: 2,
                    resource_name: &name,
                    operations: vec![step("retention.ms", operation, Some(&value))],
                };
                incremental_alter_configs(self.image(), &[change], false, &Rules).0
            }
            Event::ProducerIds => {
                let epoch = self.image().brokers()[&1].epoch;
                allocate_producer_ids(self.image(), 1, epoch).unwrap().0
            }
            Event::Restart => {
                let epoch = self.stop();
                return self.start(epoch);
            }
            Event::Kill => return self.start(-1),
        };
        self.write(&records);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_happens_each_partition_is_led_and_survives_a_snapshot(events in events()) {
        let mut cluster = Cluster::fresh();
        for event in &events {
            cluster.happen(event);
            for topic in cluster.image().topics().iter() {
                for partition in topic.partitions.values() {
                    prop_assert_eq!(partition.leader, 1);
                    prop_assert_eq!(&*partition.isr, &[1][..]);
                }
            }
        }
        let (id, bytes) = crate::snapshot::of_replay(&cluster.replay, 5).unwrap();
        let read = crate::snapshot::read(&bytes, id).unwrap();
        prop_assert_eq!(read.image(), cluster.image());
    }
}

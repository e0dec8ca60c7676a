//! The shell around groups: its locks, its clocks, and requests that wait.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use ottla_coordinator::context::Caller;
use ottla_metadata::controller::TopicToDelete;
use ottla_network::Answer;
use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_fetch::OffsetFetchRequestGroup;
use ottla_storage::retention::Moment;
use tempfile::TempDir;

use super::*;
use crate::broker::RunningBroker;
use crate::cli::Start;
use crate::config::StaticConfig;
use crate::delayed::{DelayedOperation, Event, OperationId, TimerKey};

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
const DAY_MS: i64 = 24 * 3600 * 1000;

fn broker(settings: &[&str]) -> (RunningBroker, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let mut statics = StaticConfig::standalone(dir.path().to_str().unwrap());
    statics.set_override("listeners=PLAINTEXT://127.0.0.1:0").unwrap();
    statics.set_override("offsets.topic.num.partitions=1").unwrap();
    for setting in settings {
        statics.set_override(setting).unwrap();
    }
    let broker = RunningBroker::start(Start::new(statics).unwrap()).unwrap();
    broker.node().groups.prepare(broker.node()).unwrap();
    (broker, dir)
}

/// A JoinGroup that waits for the first delay of its group.
fn waiting(node: &Node) -> Waiting {
    let request = JoinGroupRequest {
        group_id: "g",
        session_timeout_ms: 10_000,
        protocol_type: "consumer",
        protocols: vec![JoinGroupRequestProtocol { name: "range", metadata: b"" }],
        ..JoinGroupRequest::default()
    };
    let caller = Caller { client_id: "c", client_host: "/127.0.0.1", version: 0 };
    let ran = node.groups.run_waiting(node, "g", |shard, ticket, context| {
        shard.join(&request, &caller, ticket, context)
    });
    match ran.unwrap() {
        Ran::Waits(waiting) => waiting,
        Ran::Answered(answer) => panic!("{answer:?}"),
    }
}

struct Told(Mutex<Sender<()>>);

impl DelayedOperation for Told {
    fn on_event(&self, _: Event) {}

    fn on_deadline(&self) {
        self.0.lock().unwrap().send(()).unwrap();
    }
}

#[test]
fn deadlines_of_groups_hold_up_no_others() {
    let (broker, _dir) = broker(&["group.initial.rebalance.delay.ms=50"]);
    let node = broker.node();
    let _waiting = waiting(node);
    let (sender, told) = channel();
    node.groups.look(node, &["g"], |_, _| {
        // The group's deadline passes now, but its shard is locked.
        std::thread::sleep(Duration::from_millis(300));
        let key = TimerKey::after(Duration::from_millis(1), OperationId::next());
        node.timer.add(key, Arc::new(Told(Mutex::new(sender))));
        assert_eq!(told.recv_timeout(PATIENCE), Ok(()));
    });
    broker.stop().unwrap();
}

#[test]
fn a_request_that_waits_is_answered_though_the_topic_is_another_one_now() {
    let (broker, _dir) = broker(&["group.initial.rebalance.delay.ms=60000"]);
    let node = broker.node();
    let waiting = waiting(node);
    let gone = TopicToDelete { name: Some(OFFSETS_TOPIC), id: Uuid::ZERO };
    assert!(node.delete_topics(&[gone])[0].result.is_ok());
    node.groups.prepare(node).unwrap();
    let (sender, answers) = channel();
    let reply = Reply::detached(move |answer| sender.send(answer).unwrap());
    waiting.park(Envelope::of(ApiKey::JoinGroup, 0), reply);
    assert!(matches!(answers.recv_timeout(PATIENCE), Ok(Answer::Response(_))));
    broker.stop().unwrap();
}

/// Commits an offset that expires at once.
fn commit_shortly(node: &Node) {
    let partition = OffsetCommitRequestPartition { committed_offset: 1, ..Default::default() };
    let topic =
        OffsetCommitRequestTopic { name: "t", partitions: vec![partition], ..Default::default() };
    let request = OffsetCommitRequest {
        group_id: "g",
        retention_time_ms: 1,
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    };
    let caller = Caller { client_id: "c", client_host: "/127.0.0.1", version: 4 };
    let committed = node.groups.run(node, "g", |shard, context| {
        let effects = shard.commit_offsets(&request, &caller, context);
        effects.map(|response| response.topics[0].partitions[0].error_code)
    });
    assert_eq!(committed, Ok(ErrorCode::NONE));
    std::thread::sleep(Duration::from_millis(10));
}

/// How many topics the group has offsets of.
fn offsets(node: &Node) -> usize {
    let group = OffsetFetchRequestGroup { group_id: "g", topics: None, ..Default::default() };
    node.groups.look(node, &["g"], |shards, context| {
        shards[0].unwrap().fetch_offsets(&group, false, 9, context).topics.len()
    })
}

#[test]
fn offsets_do_not_expire_because_the_clock_has_jumped() {
    let (broker, _dir) = broker(&[]);
    let node = broker.node();
    let topic = NewTopic {
        name: "t",
        num_partitions: 1,
        replication_factor: 1,
        assignments: Vec::new(),
        configs: Vec::new(),
    };
    let asked = CreateTopics { topics: vec![topic], validate_only: false };
    assert!(node.create_topics(&asked).iter().all(|(_, created)| created.is_ok()));
    commit_shortly(node);
    assert_eq!(offsets(node), 1);
    node.groups.expire_offsets(node);
    assert_eq!(offsets(node), 0);

    // The clock has shown ten days less so far.
    let Moment { wall_ms, monotonic_ms } = node.clock.moment();
    node.logs.trusted_now(Moment { wall_ms: wall_ms - 10 * DAY_MS, monotonic_ms });
    commit_shortly(node);
    node.groups.expire_offsets(node);
    assert_eq!(offsets(node), 1);
    broker.stop().unwrap();
}

#[test]
fn groups_lie_where_kafka_puts_them() {
    // Java: Math.abs("my-group".hashCode()) % 50, and so on.
    assert_eq!(partition_of("", 50), Some(0));
    assert_eq!(partition_of("a", 50), Some(97 % 50));
    assert_eq!(partition_of("ab", 50), Some((97 * 31 + 98) % 50));
    // Its hash is -2147483648.
    assert_eq!(partition_of("polygenelubricants", 50), Some(0));
    assert_eq!(partition_of("g", 0), None);
    // Outside the basic plane a character is two code units.
    assert_eq!(partition_of("\u{1f600}", 1 << 20), Some((0xd83d * 31 + 0xde00) % (1 << 20)));
}

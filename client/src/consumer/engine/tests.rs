//! A consumer's thread against brokers that a test plays.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::api_versions::ApiVersion;
use ottla_protocol::messages::fetch::{
    FetchRequest, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch, PartitionData,
};
use ottla_protocol::messages::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use ottla_protocol::messages::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
use ottla_protocol::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
    OffsetForLeaderTopicResult,
};
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_protocol::uuid::Uuid;
use ottla_protocol::wire::Records as WireRecords;

use super::*;
use crate::chance::Backoff;
use crate::config::{COMMON, CONSUMER, Properties, Settings};
use crate::consumer::chunk::At;
use crate::consumer::positions::State as PlaceState;
use crate::consumer::settings::ConsumerSettings;
use crate::error::{Error, ErrorKind};
use crate::net::Node;
use crate::net::tests::fake::{FakeNet, Sent};

const SECOND: Duration = Duration::from_secs(1);
const ID: Uuid = Uuid::from_bytes([7; 16]);

/// A consumer of topic `t`, which has partitions 0 to 2, and brokers 1 and 2.
struct Stage {
    engine: Engine,
    shared: Arc<Shared>,
    net: FakeNet,
    now: Instant,
    /// Of each partition the leader and its epoch.
    leaders: BTreeMap<i32, (i32, i32)>,
}

fn of(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

/// A Fetch request: to whom, its session and epoch, and offsets by partition.
type Fetched = (Sent, i32, (i32, i32), Vec<(i32, i64)>);

/// A batch of records at these offsets.
fn batch(offsets: std::ops::Range<i64>, partition_leader_epoch: i32) -> Vec<u8> {
    let base_offset = offsets.start;
    let options = BatchOptions { base_offset, partition_leader_epoch, ..Default::default() };
    let mut builder = BatchBuilder::new(options).unwrap();
    for offset in offsets {
        let value = offset.to_be_bytes();
        builder.append(&NewRecord { value: Some(&value), ..Default::default() }).unwrap();
    }
    builder.build().unwrap()
}

/// What a broker says of a partition.
fn part(partition_index: i32, records: &[u8]) -> PartitionData<'_> {
    PartitionData {
        partition_index,
        high_watermark: 1_000,
        last_stable_offset: 900,
        log_start_offset: 0,
        records: Some(WireRecords::Bytes(records)),
        ..Default::default()
    }
}

fn refused(partition_index: i32, error_code: ErrorCode) -> PartitionData<'static> {
    PartitionData { partition_index, error_code, ..Default::default() }
}

impl Stage {
    fn new(settings: &[(&str, &str)]) -> Self {
        let mut properties = Properties::new().with("bootstrap.servers", "boot:1");
        properties.set("auto.offset.reset", "earliest");
        settings.iter().for_each(|(name, value)| properties.set(name, value));
        let settings = Settings::new(&[COMMON, CONSUMER], &properties).unwrap();
        let session = settings.session().unwrap();
        let backoff = Backoff { first: SECOND / 10, max: SECOND };
        let own = ConsumerSettings::new(&settings, backoff).unwrap();
        let shared = Arc::new(Shared::new(own, None));
        let engine = Engine::new(Arc::clone(&shared), Session::new(&session));
        let leaders = (0..3).map(|partition| (partition, (1, 5))).collect();
        Self { engine, shared, net: FakeNet::default(), now: Instant::now(), leaders }
    }

    /// One that is at these offsets already, and has fetched nothing.
    fn at(settings: &[(&str, &str)], positions: &[(i32, i64)]) -> Self {
        let mut stage = Self::new(settings);
        let partitions: Vec<_> = positions.iter().map(|(partition, _)| of(*partition)).collect();
        {
            let mut state = stage.shared.state();
            state.positions.assign(&partitions);
            for (partition, offset) in positions {
                let at = At { offset: *offset, epoch: -1 };
                state.positions.set(&of(*partition), PlaceState::at(at));
            }
        }
        stage.turn();
        stage.answer_metadata();
        stage
    }

    fn turn(&mut self) -> Until {
        loop {
            let until = self.engine.turn(&mut self.net, self.now).unwrap();
            if self.net.events.is_empty() {
                return until;
            }
        }
    }

    /// Lets time pass until something is asked.
    fn wait(&mut self) {
        for _ in 0..100 {
            let until = self.turn();
            if !self.net.sent.is_empty() {
                return;
            }
            let Until::Time(time) = until else { panic!("it waits for nothing") };
            self.now = time.max(self.now + Duration::from_millis(1));
        }
        panic!("nothing is asked");
    }

    /// The next request of this kind, with metadata answered on the way.
    fn asked(&mut self, api: ApiKey) -> Sent {
        for _ in 0..10 {
            if self.net.sent.is_empty() {
                self.wait();
            }
            let is_metadata = self.net.sent[0].request.api == ApiKey::Metadata;
            if !is_metadata || api == ApiKey::Metadata {
                let sent = self.net.take();
                assert_eq!(sent.request.api, api);
                return sent;
            }
            self.answer_metadata();
        }
        panic!("nothing but metadata is asked");
    }

    fn answer_metadata(&mut self) {
        let sent = self.asked(ApiKey::Metadata);
        let partitions =
            self.leaders.iter().map(|(partition, (leader, epoch))| MetadataResponsePartition {
                partition_index: *partition,
                leader_id: *leader,
                leader_epoch: *epoch,
                ..Default::default()
            });
        let topic = MetadataResponseTopic {
            name: Some("t"),
            topic_id: ID,
            partitions: partitions.collect(),
            ..Default::default()
        };
        let broker = |node_id| MetadataResponseBroker { node_id, host: "h", port: 1, rack: None };
        let answer = MetadataResponse {
            brokers: vec![broker(1), broker(2)],
            topics: vec![topic],
            ..Default::default()
        };
        self.net.answer(&sent, &answer);
        self.turn();
    }

    /// The next Fetch request.
    fn fetch(&mut self) -> Fetched {
        let sent = self.asked(ApiKey::Fetch);
        let request: FetchRequest<'_> = sent.read();
        let Node::Broker(node) = sent.node else { panic!("{:?}", sent.node) };
        let session = (request.session_id, request.session_epoch);
        let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
        let mut offsets: Vec<_> = partitions.map(|of| (of.partition, of.fetch_offset)).collect();
        offsets.sort();
        (sent, node, session, offsets)
    }

    fn answer_fetch(&mut self, sent: &Sent, session_id: i32, partitions: Vec<PartitionData<'_>>) {
        let is_by_id = sent.request.version > 12;
        let topic = FetchableTopicResponse {
            topic: if is_by_id { "" } else { "t" },
            topic_id: if is_by_id { ID } else { Uuid::ZERO },
            partitions,
        };
        let answer = FetchResponse { session_id, responses: vec![topic], ..Default::default() };
        self.net.answer(sent, &answer);
        self.turn();
    }

    fn answer_offsets(&mut self, sent: &Sent, answers: &[(i32, ErrorCode, i64)]) {
        let of = |&(partition_index, error_code, offset): &_| ListOffsetsPartitionResponse {
            partition_index,
            error_code,
            offset,
            leader_epoch: 5,
            timestamp: -1,
        };
        let partitions = answers.iter().map(of).collect();
        let topics = vec![ListOffsetsTopicResponse { name: "t", partitions }];
        self.net.answer(sent, &ListOffsetsResponse { topics, ..Default::default() });
        self.turn();
    }

    /// Takes all that was fetched: its offsets.
    fn take(&mut self) -> Vec<(i32, i64)> {
        let mut all = Vec::new();
        let mut state = self.shared.state();
        while let Some(mut cursor) = state.take() {
            let reading = crate::consumer::cursor::Reading {
                checks_crcs: true,
                is_read_committed: false,
                batch_bytes_max: 1 << 20,
            };
            let mut records = crate::Records::default();
            assert!(!cursor.read(1_000, reading, &mut records).unwrap());
            let (partition, generation) = (&cursor.chunk.partition, cursor.chunk.generation);
            state.positions.current(partition, generation).unwrap().consume(cursor.next);
            all.extend(records.iter().map(|record| (record.partition(), record.offset())));
        }
        all
    }

    fn position(&self, partition: i32) -> Option<i64> {
        let state = self.shared.state();
        Some(state.positions.get(&of(partition)).unwrap().consumed()?.offset)
    }

    fn error(&self) -> Option<Error> {
        self.shared.state().errors.pop_front()
    }
}

#[test]
fn partitions_begin_at_the_end_that_is_asked_for_in_one_request() {
    let mut stage = Stage::new(&[]);
    stage.shared.state().positions.assign(&[of(0), of(1)]);
    let sent = stage.asked(ApiKey::ListOffsets);
    let request: ListOffsetsRequest<'_> = sent.read();
    let asked: Vec<_> = request.topics[0].partitions.iter().collect();
    assert_eq!(asked.iter().map(|of| of.timestamp).collect::<Vec<_>>(), [-2, -2]);
    assert_eq!(asked[0].current_leader_epoch, 5);
    // One of them has moved: it alone is asked for again, elsewhere.
    stage.leaders.insert(1, (2, 5));
    let moved = ErrorCode::NOT_LEADER_OR_FOLLOWER;
    stage.answer_offsets(&sent, &[(0, ErrorCode::NONE, 30), (1, moved, -1)]);
    assert_eq!((stage.position(0), stage.position(1)), (Some(30), None));
    let (_, node, session, offsets) = stage.fetch();
    assert_eq!((node, session, offsets), (1, (0, 0), vec![(0, 30)]));
    let sent = stage.asked(ApiKey::ListOffsets);
    assert_eq!(sent.node, Node::Broker(2));
    stage.answer_offsets(&sent, &[(1, ErrorCode::NONE, 40)]);
    assert_eq!(stage.position(1), Some(40));
    let (_, node, _, offsets) = stage.fetch();
    assert_eq!((node, offsets), (2, vec![(1, 40)]));
}

#[test]
fn a_begin_that_is_refused_is_told_until_it_is_sought() {
    let mut stage = Stage::new(&[]);
    stage.shared.state().positions.assign(&[of(0)]);
    let sent = stage.asked(ApiKey::ListOffsets);
    stage.answer_offsets(&sent, &[(0, ErrorCode::TOPIC_AUTHORIZATION_FAILED, -1)]);
    let text = "t-0, broker Broker(1): TOPIC_AUTHORIZATION_FAILED (29)";
    assert_eq!(stage.error().unwrap().to_string(), text);
    assert_eq!(stage.shared.state().failed().unwrap().to_string(), text);
    let at = At { offset: 3, epoch: -1 };
    stage.shared.state().positions.set(&of(0), PlaceState::at(at));
    assert!(stage.shared.state().failed().is_none());
    assert_eq!(stage.fetch().3, [(0, 3)]);
}

#[test]
fn it_fetches_on_while_little_waits_by_what_has_changed() {
    let settings = [("max.partition.fetch.bytes", "1000"), ("fetch.max.bytes", "2000")];
    let mut stage = Stage::at(&settings, &[(0, 10), (1, 0)]);
    let (sent, node, session, offsets) = stage.fetch();
    assert_eq!((node, session, offsets), (1, (0, 0), vec![(0, 10), (1, 0)]));
    let small = batch(10..12, 5);
    stage.answer_fetch(&sent, 77, vec![part(0, &small), part(1, &[])]);
    // There is room for more although nothing was taken.
    let (sent, _, session, offsets) = stage.fetch();
    assert_eq!((session, offsets), ((77, 1), vec![(0, 12)]));
    let large = batch(12..90, 5);
    assert!(large.len() > 1_000);
    stage.answer_fetch(&sent, 77, vec![part(0, &large)]);
    assert!(stage.net.sent.is_empty());
    assert!(stage.shared.state().is_full);
    assert_eq!(stage.position(0), Some(10));
    assert_eq!(stage.take().len(), 80);
    assert_eq!(stage.position(0), Some(90));
    let (sent, _, session, offsets) = stage.fetch();
    assert_eq!((session, offsets), ((77, 2), vec![(0, 90)]));
    // A partition that is paused is taken out, and its records wait elsewhere.
    let more = batch(90..92, 5);
    stage.answer_fetch(&sent, 77, vec![part(0, &more)]);
    let (sent, _, _, offsets) = stage.fetch();
    assert_eq!(offsets, [(0, 92)]);
    stage.shared.state().positions.get_mut(&of(0)).unwrap().is_paused = true;
    stage.answer_fetch(&sent, 77, vec![part(0, &[])]);
    let (sent, _, session, offsets) = stage.fetch();
    let request: FetchRequest<'_> = sent.read();
    assert_eq!((session, offsets), ((77, 4), vec![]));
    assert_eq!(request.forgotten_topics_data[0].partitions, [0]);
    assert!(stage.take().is_empty());
    stage.shared.state().positions.get_mut(&of(0)).unwrap().is_paused = false;
    assert_eq!(stage.take(), [(0, 90), (0, 91)]);
}

#[test]
fn what_was_sought_meanwhile_is_not_taken() {
    let mut stage = Stage::at(&[], &[(0, 10)]);
    let (sent, ..) = stage.fetch();
    let at = At { offset: 500, epoch: -1 };
    stage.shared.state().positions.set(&of(0), PlaceState::at(at));
    let old = batch(10..12, 5);
    stage.answer_fetch(&sent, 0, vec![part(0, &old)]);
    assert!(stage.take().is_empty());
    assert_eq!(stage.fetch().3, [(0, 500)]);
}

#[test]
fn a_session_that_the_broker_has_lost_is_begun_anew_at_once() {
    for error_code in
        [ErrorCode::FETCH_SESSION_ID_NOT_FOUND, ErrorCode::INVALID_FETCH_SESSION_EPOCH]
    {
        let mut stage = Stage::at(&[], &[(0, 10), (1, 0)]);
        let (sent, ..) = stage.fetch();
        stage.answer_fetch(&sent, 77, vec![part(0, &[]), part(1, &[])]);
        let (sent, ..) = stage.fetch();
        let before = stage.now;
        stage.net.answer(&sent, &FetchResponse { error_code, ..Default::default() });
        let (_, _, session, offsets) = stage.fetch();
        assert_eq!(session.1, 0);
        assert_eq!((offsets, stage.now), (vec![(0, 10), (1, 0)], before));
        assert!(stage.error().is_none());
    }
}

#[test]
fn another_leader_is_found_and_the_position_looked_for_in_its_log() {
    let mut stage = Stage::at(&[], &[(0, 10)]);
    let (sent, ..) = stage.fetch();
    let records = batch(10..14, 5);
    stage.answer_fetch(&sent, 77, vec![part(0, &records)]);
    assert_eq!(stage.take().len(), 4);
    let (sent, ..) = stage.fetch();
    stage.leaders.insert(0, (2, 6));
    let mut moved = refused(0, ErrorCode::FENCED_LEADER_EPOCH);
    moved.current_leader = LeaderIdAndEpoch { leader_id: 2, leader_epoch: 6 };
    stage.answer_fetch(&sent, 77, vec![moved]);
    let sent = stage.asked(ApiKey::OffsetForLeaderEpoch);
    assert_eq!(sent.node, Node::Broker(2));
    let request: OffsetForLeaderEpochRequest<'_> = sent.read();
    let asked = &request.topics[0].partitions[0];
    assert_eq!((asked.leader_epoch, asked.current_leader_epoch), (5, 6));
    answer_epochs(&mut stage, &sent, 5, 14);
    let (_, node, _, offsets) = stage.fetch();
    assert_eq!((node, offsets), (2, vec![(0, 14)]));
}

fn answer_epochs(stage: &mut Stage, sent: &Sent, leader_epoch: i32, end_offset: i64) {
    let partitions = vec![EpochEndOffset { leader_epoch, end_offset, ..Default::default() }];
    let topics = vec![OffsetForLeaderTopicResult { topic: "t", partitions }];
    stage.net.answer(sent, &OffsetForLeaderEpochResponse { topics, ..Default::default() });
    stage.turn();
}

/// One that has consumed up to 14 and fetched up to 20 of epoch 5, and is asked where that ends.
fn doubted(reset: &str) -> (Stage, Sent) {
    let mut stage = Stage::at(&[("auto.offset.reset", reset)], &[(0, 10)]);
    let (sent, ..) = stage.fetch();
    let records = batch(10..14, 5);
    stage.answer_fetch(&sent, 77, vec![part(0, &records)]);
    assert_eq!(stage.take().len(), 4);
    let (sent, ..) = stage.fetch();
    let records = batch(14..20, 5);
    stage.answer_fetch(&sent, 77, vec![part(0, &records)]);
    let (sent, ..) = stage.fetch();
    stage.leaders.insert(0, (2, 6));
    stage.answer_fetch(&sent, 77, vec![refused(0, ErrorCode::NOT_LEADER_OR_FOLLOWER)]);
    let sent = stage.asked(ApiKey::OffsetForLeaderEpoch);
    (stage, sent)
}

#[test]
fn records_that_were_cut_from_the_log_are_not_given() {
    // What was fetched is gone, what was consumed is there.
    let (mut stage, sent) = doubted("earliest");
    answer_epochs(&mut stage, &sent, 5, 16);
    assert!(stage.take().is_empty());
    let sent = stage.asked(ApiKey::OffsetForLeaderEpoch);
    answer_epochs(&mut stage, &sent, 5, 16);
    assert_eq!(stage.fetch().3, [(0, 14)]);
    // Some of what was consumed is gone: it goes on where the logs part.
    let (mut stage, sent) = doubted("earliest");
    answer_epochs(&mut stage, &sent, 4, 12);
    assert!(stage.take().is_empty());
    assert_eq!(stage.position(0), Some(12));
    // Where they part is not known: it begins as set.
    let (mut stage, sent) = doubted("latest");
    answer_epochs(&mut stage, &sent, -1, -1);
    let sent = stage.asked(ApiKey::ListOffsets);
    let request: ListOffsetsRequest<'_> = sent.read();
    assert_eq!(request.topics[0].partitions[0].timestamp, -1);
    // Or it is an error.
    let (mut stage, sent) = doubted("none");
    answer_epochs(&mut stage, &sent, 4, 12);
    let error = stage.error().unwrap();
    assert_eq!(error.kind(), ErrorKind::Truncated);
    let text = "t-0: the records from offset 12 to 14 were read and are not in the log any more";
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_broker_that_serves_no_fetches_is_told() {
    let mut stage = Stage::new(&[]);
    let all = ApiKey::ALL.iter().filter(|api| **api != ApiKey::Fetch);
    let all = all.map(|api| ApiVersion {
        api_key: api.as_i16(),
        min_version: *api.versions().start(),
        max_version: *api.versions().end(),
    });
    stage.net.served = all.collect();
    stage.shared.state().positions.assign(&[of(0)]);
    stage.shared.state().positions.set(&of(0), PlaceState::at(At { offset: 10, epoch: -1 }));
    stage.turn();
    stage.answer_metadata();
    stage.turn();
    let error = stage.error().unwrap();
    assert_eq!(error.kind(), ErrorKind::UnsupportedVersion, "{error}");
}

#[test]
fn a_broker_that_knows_no_epochs_is_not_asked_for_them() {
    let mut stage = Stage::new(&[]);
    let all = ApiKey::ALL.iter().filter(|api| **api != ApiKey::OffsetForLeaderEpoch);
    let all = all.map(|api| ApiVersion {
        api_key: api.as_i16(),
        min_version: *api.versions().start(),
        max_version: if *api == ApiKey::Fetch { 4 } else { *api.versions().end() },
    });
    stage.net.served = all.collect();
    stage.shared.state().positions.assign(&[of(0)]);
    let at = At { offset: 10, epoch: 3 };
    stage.shared.state().positions.set(&of(0), PlaceState::at(at));
    // Version 4 has neither sessions nor ids nor epochs.
    for offset in [10, 12] {
        let (sent, _, session, offsets) = stage.fetch();
        assert_eq!((session, offsets), ((0, -1), vec![(0, offset)]));
        let records = batch(offset..offset + 2, 5);
        stage.answer_fetch(&sent, 0, vec![part(0, &records)]);
    }
    assert_eq!(stage.take().len(), 4);
}

#[test]
fn an_offset_that_is_not_there_is_reset_or_told() {
    let mut stage = Stage::at(&[], &[(0, 10)]);
    let (sent, ..) = stage.fetch();
    let records = batch(10..14, 5);
    stage.answer_fetch(&sent, 77, vec![part(0, &records)]);
    let (sent, ..) = stage.fetch();
    // That of what was fetched is gone; that of what was consumed may be there.
    stage.answer_fetch(&sent, 77, vec![refused(0, ErrorCode::OFFSET_OUT_OF_RANGE)]);
    assert!(stage.take().is_empty());
    let (sent, _, _, offsets) = stage.fetch();
    assert_eq!(offsets, [(0, 10)]);
    stage.answer_fetch(&sent, 77, vec![refused(0, ErrorCode::OFFSET_OUT_OF_RANGE)]);
    let sent = stage.asked(ApiKey::ListOffsets);
    stage.answer_offsets(&sent, &[(0, ErrorCode::NONE, 55)]);
    assert_eq!(stage.position(0), Some(55));

    let mut stage = Stage::at(&[("auto.offset.reset", "none")], &[(0, 10)]);
    let (sent, ..) = stage.fetch();
    stage.answer_fetch(&sent, 77, vec![refused(0, ErrorCode::OFFSET_OUT_OF_RANGE)]);
    let error = stage.error().unwrap();
    assert_eq!((error.kind(), error.partition()), (ErrorKind::NoOffset, Some(0)));
    stage.turn();
    assert!(stage.net.sent.iter().all(|sent| sent.request.api != ApiKey::Fetch));
    // It does not move, so that it can be committed.
    assert_eq!(stage.position(0), Some(10));
}

#[test]
fn a_replica_nearby_is_read_until_it_fails() {
    let mut stage = Stage::at(&[("client.rack", "r")], &[(0, 10)]);
    let (sent, node, ..) = stage.fetch();
    let request: FetchRequest<'_> = sent.read();
    assert_eq!((node, request.rack_id), (1, "r"));
    let mut nearby = part(0, &[]);
    nearby.preferred_read_replica = 2;
    stage.answer_fetch(&sent, 77, vec![nearby]);
    let (sent, node, session, offsets) = stage.fetch();
    assert_eq!((node, session, offsets), (2, (0, 0), vec![(0, 10)]));
    // It lags behind the leader: no reason to reset anything.
    stage.answer_fetch(&sent, 88, vec![refused(0, ErrorCode::OFFSET_OUT_OF_RANGE)]);
    // The leader's session has it still.
    let (_, node, session, offsets) = stage.fetch();
    assert_eq!((node, session, offsets), (1, (77, 1), vec![]));
}

#[test]
fn a_connection_that_ends_begins_a_session_anew_where_it_was() {
    let mut stage = Stage::at(&[], &[(0, 10)]);
    let (sent, ..) = stage.fetch();
    let records = batch(10..14, 5);
    stage.answer_fetch(&sent, 77, vec![part(0, &records)]);
    stage.turn();
    stage.net.set_there(Node::Broker(1), false, None);
    stage.turn();
    stage.net.set_there(Node::Broker(1), true, None);
    let (_, _, session, offsets) = stage.fetch();
    // What was fetched counts still, and the broker may have the old session.
    assert_eq!((session, offsets), ((77, 0), vec![(0, 14)]));
    assert_eq!(stage.take().len(), 4);
    assert!(stage.error().is_none());
}

#[test]
fn answers_that_make_no_sense_are_told_and_not_asked_for_without_end() {
    let wrong = [
        // Batches before what was asked for, twice the same, bytes that are none.
        batch(3..5, 5),
        [batch(10..12, 5), batch(10..12, 5)].concat(),
        vec![9; 200],
    ];
    for records in wrong {
        let mut stage = Stage::at(&[], &[(0, 10)]);
        let (sent, ..) = stage.fetch();
        stage.answer_fetch(&sent, 77, vec![part(0, &records)]);
        let error = stage.error().unwrap();
        assert_eq!((error.kind(), error.partition()), (ErrorKind::Corrupt, Some(0)));
        assert!(error.to_string().starts_with("t-0: fetched at offset 10: "), "{error}");
        stage.turn();
        assert!(stage.net.sent.is_empty());
    }
    // Partitions that nobody asked for: it tries again, but not at once.
    let mut stage = Stage::at(&[], &[(0, 10)]);
    let before = stage.now;
    let (sent, ..) = stage.fetch();
    let records = batch(0..5, 5);
    stage.answer_fetch(&sent, 77, vec![part(0, &[]), part(2, &records)]);
    assert_eq!(stage.error().unwrap().kind(), ErrorKind::Malformed);
    assert_eq!(stage.fetch().3, [(0, 10)]);
    assert!(stage.now >= before + SECOND / 20);
    assert!(stage.take().is_empty());
}

#[test]
fn a_broker_that_is_too_old_to_fetch_from_is_told() {
    let mut stage = Stage::new(&[]);
    let of_api = |api: &ApiKey| ApiVersion {
        api_key: api.as_i16(),
        min_version: if *api == ApiKey::Fetch { 0 } else { *api.versions().start() },
        max_version: if *api == ApiKey::Fetch { 3 } else { *api.versions().end() },
    };
    stage.net.served = ApiKey::ALL.iter().map(of_api).collect();
    stage.shared.state().positions.assign(&[of(0)]);
    stage.shared.state().positions.set(&of(0), PlaceState::at(At { offset: 1, epoch: -1 }));
    stage.turn();
    stage.answer_metadata();
    let error = stage.error().unwrap();
    assert_eq!(error.kind(), ErrorKind::UnsupportedVersion);
    assert!(error.to_string().contains("Fetch: the broker serves versions 0 to 3"), "{error}");
}

/// The topics of the next Metadata request.
fn topics_asked(stage: &mut Stage) -> Vec<String> {
    stage.engine.session.metadata.refresh();
    let sent = stage.asked(ApiKey::Metadata);
    let request: MetadataRequest<'_> = sent.read();
    let names = request.topics.iter().flatten().filter_map(|topic| topic.name.map(str::to_owned));
    names.collect()
}

#[test]
fn metadata_of_topics_that_are_not_assigned_is_not_asked_for() {
    let mut stage = Stage::at(&[], &[(0, 10)]);
    assert_eq!(stage.fetch().3, [(0, 10)]);
    assert_eq!(topics_asked(&mut stage), ["t"]);
    let mut stage = Stage::at(&[], &[(0, 10)]);
    assert_eq!(stage.fetch().3, [(0, 10)]);
    stage.shared.state().positions.assign(&[TopicPartition::new("u", 0)]);
    assert_eq!(topics_asked(&mut stage), ["u"]);
    let mut stage = Stage::at(&[], &[(0, 10)]);
    assert_eq!(stage.fetch().3, [(0, 10)]);
    stage.shared.state().positions.assign(&[]);
    assert!(topics_asked(&mut stage).is_empty());
}

#[test]
fn a_broker_that_answers_at_once_with_nothing_is_not_asked_without_a_pause() {
    let mut stage = Stage::at(&[("fetch.max.wait.ms", "2000")], &[(0, 10)]);
    let mut pauses = Vec::new();
    for _ in 0..5 {
        let before = stage.now;
        let (sent, ..) = stage.fetch();
        pauses.push(stage.now - before);
        stage.answer_fetch(&sent, 77, vec![part(0, &[])]);
    }
    assert_eq!(pauses[1..], [Duration::ZERO, Duration::ZERO, SECOND, SECOND]);
    // Records end the pauses.
    let (sent, ..) = stage.fetch();
    let records = batch(10..12, 5);
    stage.answer_fetch(&sent, 77, vec![part(0, &records)]);
    let before = stage.now;
    let (sent, ..) = stage.fetch();
    assert_eq!(stage.now, before);
    // So does an answer that has taken its time.
    stage.answer_fetch(&sent, 77, vec![part(0, &[])]);
    let (sent, ..) = stage.fetch();
    stage.now += SECOND;
    stage.answer_fetch(&sent, 77, vec![part(0, &[])]);
    let before = stage.now;
    stage.fetch();
    assert_eq!(stage.now, before);
}

#[test]
fn a_broker_that_knows_no_session_is_not_asked_without_a_pause() {
    let mut stage = Stage::at(&[], &[(0, 10)]);
    let begun = stage.now;
    for _ in 0..5 {
        let (sent, ..) = stage.fetch();
        let error_code = ErrorCode::FETCH_SESSION_ID_NOT_FOUND;
        stage.net.answer(&sent, &FetchResponse { error_code, ..Default::default() });
        stage.turn();
    }
    assert!(stage.now >= begun + SECOND / 2, "{:?}", stage.now - begun);
}

/// Begins the end, and answers the sessions that are ended until the thread has ended: to whom,
/// and which.
fn close(mut stage: Stage) -> Vec<(Node, i32)> {
    stage.shared.state().positions.assign(&[]);
    stage.shared.state().closing = Some(stage.now + 30 * SECOND);
    let mut ended = Vec::new();
    for _ in 0..10 {
        let Some(_) = stage.engine.turn(&mut stage.net, stage.now) else { return ended };
        for sent in std::mem::take(&mut stage.net.sent) {
            let request: FetchRequest<'_> = sent.read();
            if request.session_epoch != -1 {
                continue;
            }
            assert!(request.topics.is_empty() && request.forgotten_topics_data.is_empty());
            ended.push((sent.node, request.session_id));
            stage.net.answer(&sent, &FetchResponse::default());
        }
    }
    panic!("it does not end");
}

#[test]
fn brokers_are_told_that_sessions_end() {
    let mut stage = Stage::at(&[], &[(0, 10), (1, 20)]);
    let (sent, ..) = stage.fetch();
    stage.answer_fetch(&sent, 77, vec![part(0, &[]), part(1, &[])]);
    stage.fetch();
    // Not behind the fetch that is on its way.
    assert_eq!(close(stage), [(Node::Coordinator(1), 77)]);

    let mut stage = Stage::at(&[], &[(0, 10)]);
    let (sent, ..) = stage.fetch();
    stage.shared.state().positions.get_mut(&of(0)).unwrap().is_paused = true;
    stage.answer_fetch(&sent, 78, vec![part(0, &[])]);
    assert_eq!(close(stage), [(Node::Broker(1), 78)]);

    // There is none yet.
    let mut stage = Stage::at(&[], &[(0, 10)]);
    stage.fetch();
    assert!(close(stage).is_empty());
}

#[test]
fn the_end_waits_for_no_broker_that_is_lost_or_silent() {
    let mut stage = Stage::at(&[], &[(0, 10)]);
    let (sent, ..) = stage.fetch();
    stage.answer_fetch(&sent, 77, vec![part(0, &[])]);
    stage.fetch();
    stage.net.set_there(Node::Broker(1), false, None);
    assert!(close(stage).is_empty());

    let mut stage = Stage::at(&[], &[(0, 10)]);
    let (sent, ..) = stage.fetch();
    stage.answer_fetch(&sent, 77, vec![part(0, &[])]);
    stage.fetch();
    stage.shared.state().closing = Some(stage.now + 30 * SECOND);
    let begun = stage.now;
    while let Some(Until::Time(time)) = stage.engine.turn(&mut stage.net, stage.now) {
        assert!(time > stage.now);
        stage.now = time;
    }
    assert_eq!(stage.now - begun, SECOND);
}

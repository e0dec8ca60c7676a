//! A producer's thread against a broker that a test plays.

use std::collections::VecDeque;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
use ottla_protocol::messages::produce::{
    PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use ottla_protocol::record::batch::BatchHeader;
use ottla_protocol::record::builder::NewRecord;

use super::*;
use crate::config::{COMMON, PRODUCER, Properties, Settings};
use crate::net::tests::fake::FakeNet;
use crate::producer::delivery::Delivery;
use crate::producer::queue::{Put, ToPut};
use crate::producer::settings::ProducerSettings;

const SECOND: Duration = Duration::from_secs(1);

/// A producer, and what it asked for.
struct Stage {
    sender: Sender,
    net: FakeNet,
    now: Instant,
    asked: VecDeque<Vec<String>>,
    /// How many bytes of batches each Produce request had.
    lengths: Vec<usize>,
    /// How often a producer id was refused.
    refusals: u32,
}

impl Stage {
    fn new(own: &[(&str, &str)]) -> Self {
        let mut properties = Properties::new()
            .with("bootstrap.servers", "boot:1")
            .with("enable.idempotence", "false")
            .with("metadata.max.idle.ms", "20000")
            .with("metadata.max.age.ms", "8000")
            .with("linger.ms", "0");
        own.iter().for_each(|(name, value)| properties.set(name, value));
        let settings = Settings::new(&[COMMON, PRODUCER], &properties).unwrap();
        let mut session = settings.session().unwrap();
        session.topic_idle_max = settings.duration("metadata.max.idle.ms");
        let own = ProducerSettings::new(&settings, session.retry_backoff).unwrap();
        let sender = Sender::new(Arc::new(Shared::new(own)), Session::new(&session));
        let (net, now) = (FakeNet::default(), Instant::now());
        Self { sender, net, now, asked: VecDeque::new(), lengths: Vec::new(), refusals: 0 }
    }

    fn put(&self, topic: &str) -> Delivery {
        self.put_value(topic, b"v")
    }

    /// Puts a record as [`crate::Producer::send`] does.
    fn put_value(&self, topic: &str, value: &[u8]) -> Delivery {
        let shared = &self.sender.shared;
        if shared.topic(topic).is_none() {
            shared.set_partitions(topic, 1);
        }
        let queue = shared.topic(topic).unwrap().queue(0).unwrap();
        let record = NewRecord { value: Some(value), ..Default::default() };
        let mut to_put = ToPut { record, callback: None };
        let mut room = shared.memory.take(16_384, SECOND, || ()).ok();
        match queue.put(&mut to_put, &shared.settings.batch, &mut room).unwrap() {
            Put::Done { is_news, delivery, .. } => {
                if is_news {
                    shared.news().listed.push(queue);
                }
                delivery
            }
            Put::NeedsBatch { .. } => panic!("there was room"),
        }
    }

    /// Lets time pass, and answers what is asked meanwhile.
    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now <= until {
            self.sender.turn(&mut self.net, self.now).unwrap();
            while let Some(sent) = self.net.sent.pop_front() {
                match sent.request.api {
                    ApiKey::Metadata => self.answer_metadata(&sent),
                    ApiKey::InitProducerId => {
                        self.refusals += 1;
                        let error_code = ErrorCode::CLUSTER_AUTHORIZATION_FAILED;
                        let refused = InitProducerIdResponse { error_code, ..Default::default() };
                        self.net.answer(&sent, &refused);
                    }
                    // What it makes of an answer without a word is not looked at here.
                    _ => {
                        self.lengths.push(sent.request.parts.iter().map(|part| part.len()).sum());
                        self.net.answer(&sent, &ProduceResponse::default());
                    }
                }
                self.sender.turn(&mut self.net, self.now).unwrap();
            }
            self.now += SECOND / 4;
        }
    }

    fn answer_metadata(&mut self, sent: &crate::net::tests::fake::Sent) {
        let request: MetadataRequest<'_> = sent.read();
        let names = request.topics.iter().flatten().filter_map(|topic| topic.name);
        let names: Vec<String> = names.map(str::to_owned).collect();
        let topic = |name| MetadataResponseTopic {
            name: Some(name),
            partitions: vec![MetadataResponsePartition { leader_id: 1, ..Default::default() }],
            ..Default::default()
        };
        let answer = MetadataResponse {
            brokers: vec![MetadataResponseBroker { node_id: 1, host: "h", port: 1, rack: None }],
            topics: names.iter().map(|name| topic(name.as_str())).collect(),
            ..Default::default()
        };
        self.net.answer(sent, &answer);
        self.asked.push_back(names);
    }

    /// The topics that were asked for last.
    fn last_asked(&mut self) -> Vec<String> {
        std::mem::take(&mut self.asked).pop_back().unwrap()
    }
}

#[test]
fn topics_that_nothing_is_sent_to_have_their_metadata_not_asked_for() {
    let mut stage = Stage::new(&[]);
    drop(stage.put("s"));
    drop(stage.put("t"));
    stage.run(10 * SECOND);
    assert_eq!(stage.last_asked(), ["s", "t"]);
    for _ in 0..10 {
        drop(stage.put("t"));
        stage.run(3 * SECOND);
    }
    assert_eq!(stage.last_asked(), ["t"]);
    assert_eq!(stage.sender.session.metadata.cluster().topic("s"), None);
    stage.run(40 * SECOND);
    assert!(stage.last_asked().is_empty());
    // It is known again as soon as something is sent.
    drop(stage.put("s"));
    stage.run(SECOND);
    assert_eq!(stage.last_asked(), ["s"]);
    assert!(stage.sender.active.is_empty(), "it was sent");
}

#[test]
fn who_gets_no_id_asks_for_one_once_for_what_is_sent() {
    let mut stage = Stage::new(&[("enable.idempotence", "true"), ("acks", "all")]);
    let delivery = stage.put("t");
    stage.run(3 * SECOND);
    let error = delivery.wait().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
    assert_eq!((stage.refusals, stage.sender.active.len()), (1, 0));
    // It may have been allowed meanwhile.
    let delivery = stage.put("t");
    stage.run(3 * SECOND);
    assert!(delivery.wait().is_err());
    assert_eq!(stage.refusals, 2);
}

#[test]
fn requests_have_as_many_bytes_as_they_may() {
    let mut stage = Stage::new(&[("max.request.size", "20000")]);
    let topics = ["a", "b", "c", "d", "e"];
    for topic in topics {
        drop(stage.put_value(topic, &[0; 9_000]));
    }
    stage.run(SECOND / 4);
    assert!(stage.lengths.iter().all(|bytes| *bytes <= 20_000), "{:?}", stage.lengths);
    assert_eq!(stage.lengths.iter().sum::<usize>() / 9_000, 5);
    assert_eq!(stage.lengths.len(), 3);
}

#[test]
fn an_id_that_another_one_has_is_given_up() {
    let mut stage = Stage::new(&[("enable.idempotence", "true")]);
    let delivery = stage.put("t");
    let mut written = Vec::new();
    let begun = stage.now;
    while stage.now < begun + 5 * SECOND {
        let mut until = stage.sender.turn(&mut stage.net, stage.now).unwrap();
        while let Some(sent) = stage.net.sent.pop_front() {
            match sent.request.api {
                ApiKey::Metadata => stage.answer_metadata(&sent),
                ApiKey::InitProducerId => {
                    stage.refusals += 1;
                    let producer_id = stage.refusals.into();
                    let told = InitProducerIdResponse { producer_id, ..Default::default() };
                    stage.net.answer(&sent, &told);
                }
                _ => {
                    let id = BatchHeader::new(&sent.request.parts[0]).unwrap().producer_id();
                    written.push(id);
                    let error_code = match id {
                        1 => ErrorCode::INVALID_PRODUCER_EPOCH,
                        _ => ErrorCode::NONE,
                    };
                    let told = PartitionProduceResponse { error_code, ..Default::default() };
                    let partition_responses = vec![told];
                    let told = TopicProduceResponse {
                        name: "t",
                        partition_responses,
                        ..Default::default()
                    };
                    let told = ProduceResponse { responses: vec![told], ..Default::default() };
                    stage.net.answer(&sent, &told);
                }
            }
            until = stage.sender.turn(&mut stage.net, stage.now).unwrap();
        }
        // As its thread is: nothing wakes it before.
        let Until::Time(time) = until else { break };
        stage.now = time.max(stage.now);
    }
    assert_eq!(written, [1, 2]);
    delivery.wait().unwrap();
}

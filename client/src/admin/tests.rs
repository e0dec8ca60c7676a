//! Calls against brokers that a test plays.

use std::sync::mpsc::{self, Receiver};

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::api_versions::ApiVersion;
use ottla_protocol::messages::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};

use super::*;
use crate::error::ErrorKind;
use crate::net::Node;
use crate::net::tests::fake::{FakeNet, Sent};
use crate::partition::TopicPartition;
use crate::session::SessionSettings;

mod access;
mod groups;
mod leaders;
mod pages;
mod transactions;

/// An admin client whose connections are made up.
struct Played<S> {
    answering: Answering,
    net: FakeNet,
    script: S,
}

impl<S: FnMut(&mut FakeNet, Sent) + Send + 'static> Driver for Played<S> {
    fn turn(&mut self, _none: &mut dyn Net, now: Instant) -> Option<Until> {
        loop {
            let until = self.answering.turn(&mut self.net, now)?;
            if self.net.sent.is_empty() && self.net.events.is_empty() {
                return Some(until);
            }
            while let Some(sent) = self.net.sent.pop_front() {
                (self.script)(&mut self.net, sent);
            }
        }
    }
}

/// A client of brokers that answer by `script`.
fn play(
    timeout: Duration,
    served: Vec<ApiVersion>,
    script: impl FnMut(&mut FakeNet, Sent) + Send + 'static,
) -> Admin {
    let properties = Properties::new().with("bootstrap.servers", "h:1");
    let settings = Settings::new(&[COMMON], &properties).unwrap();
    let retry_backoff = Backoff { first: Duration::from_millis(1), max: Duration::from_millis(2) };
    let of_session = SessionSettings { retry_backoff, ..settings.session().unwrap() };
    let session = Session::new(&of_session);
    let inbox = session.inbox();
    let is_stopped = Arc::new(AtomicBool::new(false));
    let answering = Answering { session, is_stopped: Arc::clone(&is_stopped) };
    let mut net = FakeNet::default();
    net.served = served;
    let driver = Played { answering, net, script };
    let handle = Mutex::new(reactor::spawn("played", settings.net(), driver).unwrap());
    let answer_bytes_max = settings.net().frame_bytes_max;
    Admin { remote: Remote { inbox, timeout, retry_backoff, answer_bytes_max, is_stopped, handle } }
}

/// All requests in all versions, but for these.
fn served(but: &[(ApiKey, RangeInclusive<i16>)]) -> Vec<ApiVersion> {
    let of = |api: &ApiKey| {
        let other = but.iter().find(|(of, _)| of == api).map(|(_, versions)| versions.clone());
        let versions = other.unwrap_or_else(|| api.versions());
        let (min_version, max_version) = (*versions.start(), *versions.end());
        ApiVersion { api_key: api.as_i16(), min_version, max_version }
    };
    ApiKey::ALL.iter().map(of).filter(|of| of.min_version <= of.max_version).collect()
}

/// Versions of a request that is not served.
const NONE: RangeInclusive<i16> = RangeInclusive::new(1, 0);

/// Answers a request for metadata: brokers 1 and 2, and of each topic two partitions that these
/// brokers lead.
fn answer_metadata(net: &mut FakeNet, sent: &Sent, leaders: [i32; 2]) {
    let request: MetadataRequest<'_> = sent.read();
    let broker = |node_id| MetadataResponseBroker { node_id, host: "h", port: 9, rack: None };
    let partition = |(index, leader_id): (usize, i32)| MetadataResponsePartition {
        partition_index: index as i32,
        leader_id,
        ..Default::default()
    };
    let topic = |name| MetadataResponseTopic {
        name,
        partitions: leaders.into_iter().enumerate().map(partition).collect(),
        ..Default::default()
    };
    let topics = request.topics.iter().flatten().map(|asked| match asked.name {
        Some("nothing") => MetadataResponseTopic {
            error_code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            ..MetadataResponseTopic { name: asked.name, ..Default::default() }
        },
        name => topic(name),
    });
    let answer = MetadataResponse {
        brokers: vec![broker(1), broker(2)],
        controller_id: 1,
        topics: topics.collect(),
        ..Default::default()
    };
    net.answer(sent, &answer);
}

const LONG: Duration = Duration::from_secs(20);

fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

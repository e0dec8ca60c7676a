//! A session against brokers that a test plays.

use std::sync::mpsc::{self, Receiver, Sender};

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::api_versions::ApiVersion;
use ottla_protocol::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use ottla_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use ottla_protocol::messages::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponseTopic,
};

use super::calls::Key;
use super::*;
use crate::error::ErrorKind;
use crate::net::tests::fake::FakeNet;
use crate::net::{Node, Outgoing};

const SECOND: Duration = Duration::from_secs(1);

type Told = Result<(), Error>;

/// A session, its connections, and a clock.
struct Stage {
    session: Session,
    net: FakeNet,
    now: Instant,
    told: (Sender<Told>, Receiver<Told>),
}

impl Stage {
    fn new() -> Self {
        let settings = SessionSettings {
            bootstrap: vec![("boot".to_owned(), 1), ("strap".to_owned(), 2)],
            metadata_max_age: 300 * SECOND,
            retry_backoff: Backoff { first: SECOND / 10, max: SECOND },
            request_timeout: 30 * SECOND,
            may_create_topics: false,
            topic_idle_max: 60 * SECOND,
        };
        let session = Session::new(&settings);
        Self { session, net: FakeNet::default(), now: Instant::now(), told: mpsc::channel() }
    }

    /// One whose metadata is known: brokers 1 and 2, of which 2 is the controller.
    fn ready() -> Self {
        let mut stage = Self::new();
        stage.turn();
        stage.answer_metadata(2);
        stage
    }

    fn turn(&mut self) -> Until {
        loop {
            while let Some(event) = self.net.next_event() {
                let left = self.session.take(event, &mut self.net, self.now);
                assert!(left.is_none());
            }
            let until = self.session.turn(&mut self.net, self.now);
            if self.net.events.is_empty() {
                return until;
            }
        }
    }

    /// Lets as much time pass as it asks for; answers how much.
    fn wait(&mut self) -> Duration {
        let Until::Time(time) = self.turn() else { panic!("it waits for nothing") };
        let waited = time.saturating_duration_since(self.now);
        self.now = time.max(self.now);
        self.turn();
        waited
    }

    fn answer_metadata(&mut self, controller_id: i32) -> Vec<String> {
        let sent = self.net.take();
        assert_eq!(sent.request.api, ApiKey::Metadata);
        let request: MetadataRequest<'_> = sent.read();
        let asked: Vec<String> = request
            .topics
            .iter()
            .flatten()
            .filter_map(|topic| topic.name.map(str::to_owned))
            .collect();
        let broker = |node_id: i32| MetadataResponseBroker {
            node_id,
            host: "h",
            port: 9091 + node_id,
            rack: None,
        };
        let topic = |name| MetadataResponseTopic { name: Some(name), ..Default::default() };
        let answer = MetadataResponse {
            brokers: vec![broker(1), broker(2)],
            controller_id,
            topics: asked.iter().map(|name| topic(name.as_str())).collect(),
            ..Default::default()
        };
        self.net.answer(&sent, &answer);
        self.turn();
        asked
    }

    /// Asks something that is answered by an error code; when there is more to do.
    fn ask(&mut self, route: Route, deadline: Duration) -> Until {
        let told = self.told.0.clone();
        let build =
            |version, timeout| Outgoing::new(&HeartbeatRequest::default(), version, timeout);
        let read = |answer: &Answer| {
            let read: HeartbeatResponse = answer.read()?;
            Error::of_code(read.error_code, None)
        };
        let (ask, pending) = question(route, (ApiKey::Heartbeat, 0..=4), build, read);
        pending.then(move |result| told.send(result).unwrap());
        self.session.calls.ask(ask, self.now + deadline, self.now);
        self.turn()
    }

    fn answer(&mut self, error_code: ErrorCode) -> Node {
        let sent = self.net.take();
        assert_eq!(sent.request.api, ApiKey::Heartbeat);
        self.net.answer(&sent, &HeartbeatResponse { error_code, ..Default::default() });
        self.turn();
        sent.node
    }

    fn answer_coordinator(&mut self, node_id: i32, error_code: ErrorCode) {
        let sent = self.net.take();
        let request: FindCoordinatorRequest<'_> = sent.read();
        let keys = request.coordinator_keys.iter();
        let coordinators = keys
            .map(|key| Coordinator { key, node_id, error_code, ..Default::default() })
            .collect();
        let answer = FindCoordinatorResponse { coordinators, ..Default::default() };
        self.net.answer(&sent, &answer);
        self.turn();
    }

    fn told(&self) -> Option<Result<(), Error>> {
        self.told.1.try_recv().ok()
    }
}

#[test]
fn it_learns_of_the_cluster_from_any_bootstrap_address() {
    let mut stage = Stage::new();
    stage.turn();
    let Node::Bootstrap(first) = stage.net.sent[0].node else { panic!("it knows no broker") };
    let later = stage.now + SECOND;
    stage.net.set_there(Node::Bootstrap(first), false, Some(later));
    stage.wait();
    assert_eq!(stage.net.sent[0].node, Node::Bootstrap(1 - first));
    stage.answer_metadata(1);
    let cluster = stage.session.metadata.cluster();
    assert_eq!(cluster.brokers.keys().copied().collect::<Vec<_>>(), [1, 2]);
    // From here on it asks brokers.
    stage.session.metadata.refresh();
    stage.wait();
    assert!(matches!(stage.net.sent[0].node, Node::Broker(_)));
}

#[test]
fn metadata_is_asked_for_when_it_is_old_or_a_topic_is_missing() {
    let mut stage = Stage::ready();
    assert!(stage.net.sent.is_empty());
    let waited = stage.wait();
    assert!(299 * SECOND < waited && waited <= 300 * SECOND, "{waited:?}");
    assert!(stage.answer_metadata(1).is_empty());
    stage.session.metadata.want("t", stage.now);
    let waited = stage.wait();
    assert!(waited <= SECOND / 5, "{waited:?}");
    assert_eq!(stage.answer_metadata(1), ["t"]);
    stage.session.metadata.want("t", stage.now);
    stage.turn();
    assert!(stage.net.sent.is_empty());
}

#[test]
fn a_topic_that_nobody_wants_any_more_is_not_asked_for_or_known() {
    let mut stage = Stage::ready();
    let begun = stage.now;
    for topic in ["s", "t"] {
        stage.session.metadata.want(topic, stage.now);
    }
    stage.wait();
    assert_eq!(stage.answer_metadata(1), ["s", "t"]);
    stage.now = begun + 60 * SECOND;
    stage.session.metadata.refresh();
    stage.turn();
    assert_eq!(stage.answer_metadata(1), ["s", "t"]);
    stage.session.metadata.want("t", stage.now);
    stage.now += SECOND;
    stage.session.metadata.refresh();
    stage.turn();
    assert_eq!(stage.answer_metadata(1), ["t"]);
    let cluster = stage.session.metadata.cluster();
    assert!(cluster.topic("t").is_some() && cluster.topic("s").is_none());
    // It is asked for at once when it is wanted again.
    stage.session.metadata.want("s", stage.now);
    stage.wait();
    assert_eq!(stage.answer_metadata(1), ["s", "t"]);
}

#[test]
fn without_a_broker_all_addresses_are_tried_again() {
    let mut stage = Stage::ready();
    for node in [Node::Broker(1), Node::Broker(2)] {
        let later = stage.now + 400 * SECOND;
        stage.net.set_there(node, false, Some(later));
    }
    stage.session.metadata.refresh();
    stage.wait();
    assert!(matches!(stage.net.sent[0].node, Node::Bootstrap(_)));
}

#[test]
fn a_call_goes_to_whom_it_is_for() {
    let mut stage = Stage::ready();
    for (route, node) in [(Route::Broker(1), Node::Broker(1)), (Route::Controller, Node::Broker(2))]
    {
        stage.ask(route, SECOND);
        assert_eq!(stage.answer(ErrorCode::NONE), node);
        stage.told().unwrap().unwrap();
    }
    let key = Key::Group("g".to_owned());
    for _ in 0..2 {
        stage.ask(Route::Coordinator(key.clone()), SECOND);
        // It is looked for once.
        if stage.net.sent[0].request.api == ApiKey::FindCoordinator {
            stage.answer_coordinator(1, ErrorCode::NONE);
        }
        // Not on the connection that other requests to it take.
        assert_eq!(stage.answer(ErrorCode::NONE), Node::Coordinator(1));
        stage.told().unwrap().unwrap();
    }
}

#[test]
fn what_may_pass_is_tried_again_until_the_deadline() {
    let mut stage = Stage::ready();
    let begun = stage.now;
    stage.ask(Route::Broker(1), 5 * SECOND);
    let mut waits = Vec::new();
    while let Some(sent) = stage.net.sent.front() {
        assert_eq!(sent.node, Node::Broker(1));
        stage.answer(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
        waits.push(stage.wait());
        while stage.net.sent.front().is_some_and(|sent| sent.request.api == ApiKey::Metadata) {
            stage.answer_metadata(2);
        }
    }
    assert!(waits[0] < SECOND / 8 && waits[5] > SECOND / 2, "{waits:?}");
    let error = stage.told().unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error}");
    assert!(error.to_string().contains("COORDINATOR_LOAD_IN_PROGRESS (14)"), "{error}");
    assert_eq!(stage.now - begun, 5 * SECOND);
}

#[test]
fn what_may_pass_and_comes_too_late_to_be_tried_again_is_a_timeout() {
    for (route, is_timeout) in [(Route::Broker(1), true), (Route::Once(1), false)] {
        let mut stage = Stage::ready();
        stage.ask(route, SECOND);
        stage.now += SECOND;
        stage.answer(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
        let error = stage.told().unwrap().unwrap_err();
        let text = error.to_string();
        let cause = "broker Broker(1): COORDINATOR_LOAD_IN_PROGRESS (14)";
        assert_eq!(matches!(error.kind(), ErrorKind::Timeout(SECOND)), is_timeout, "{text}");
        let told = format!("not done within 1000 ms: Heartbeat: {cause}");
        assert_eq!(text, if is_timeout { &told } else { cause });
    }
}

#[test]
fn what_cannot_pass_fails_at_once() {
    let mut stage = Stage::ready();
    stage.ask(Route::Broker(1), 5 * SECOND);
    stage.answer(ErrorCode::ILLEGAL_GENERATION);
    let error = stage.told().unwrap().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::ILLEGAL_GENERATION));
    assert_eq!(error.broker(), Some("Broker(1)"));
    let served = ApiVersion { api_key: 12, min_version: 7, max_version: 9 };
    let metadata = ApiVersion { api_key: 3, min_version: 0, max_version: 13 };
    stage.net.served = vec![served, metadata];
    stage.ask(Route::Broker(1), 5 * SECOND);
    let error = stage.told().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsupportedVersion);
}

#[test]
fn a_coordinator_that_cannot_be_asked_for_fails_at_once() {
    let mut stage = Stage::ready();
    let served = |api_key, max_version| ApiVersion { api_key, min_version: 0, max_version };
    stage.net.served = vec![served(3, 13), served(10, 0), served(12, 4)];
    let until = stage.ask(Route::Coordinator(Key::Group("g".to_owned())), 5 * SECOND);
    assert_eq!(until, Until::Time(stage.now));
    stage.turn();
    let error = stage.told().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsupportedVersion);
}

#[test]
fn what_is_asked_once_is_not_asked_again() {
    let mut stage = Stage::ready();
    stage.ask(Route::Once(1), 5 * SECOND);
    stage.answer(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    let error = stage.told().unwrap().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS));
    // Nor is a broker waited for that cannot be reached.
    stage.ask(Route::Once(1), 5 * SECOND);
    let later = stage.now + SECOND;
    stage.net.set_there(Node::Broker(1), false, Some(later));
    stage.turn();
    assert_eq!(stage.told().unwrap().unwrap_err().kind(), ErrorKind::Network);
    stage.ask(Route::Once(1), 5 * SECOND);
    assert_eq!(stage.told().unwrap().unwrap_err().kind(), ErrorKind::Network);
}

#[test]
fn a_coordinator_that_is_none_any_more_is_looked_for_again() {
    let mut stage = Stage::ready();
    stage.ask(Route::Coordinator(Key::Group("g".to_owned())), 5 * SECOND);
    stage.answer_coordinator(1, ErrorCode::NONE);
    assert_eq!(stage.answer(ErrorCode::NOT_COORDINATOR), Node::Coordinator(1));
    stage.wait();
    stage.answer_coordinator(0, ErrorCode::COORDINATOR_NOT_AVAILABLE);
    stage.wait();
    stage.answer_coordinator(2, ErrorCode::NONE);
    assert_eq!(stage.answer(ErrorCode::NONE), Node::Coordinator(2));
    stage.told().unwrap().unwrap();
    // One that will never be there fails what waits for it.
    stage.ask(Route::Coordinator(Key::Group("secret".to_owned())), 5 * SECOND);
    stage.answer_coordinator(0, ErrorCode::GROUP_AUTHORIZATION_FAILED);
    let error = stage.told().unwrap().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::GROUP_AUTHORIZATION_FAILED));
}

/// Every consumer in a group begins so. A broker may get to a needless request only when the
/// client has gone, and that one may make a topic that was deleted meanwhile.
#[test]
fn a_coordinator_that_is_told_before_the_brokers_costs_no_second_question() {
    let mut stage = Stage::new();
    stage.ask(Route::Coordinator(Key::Group("g".to_owned())), 5 * SECOND);
    assert_eq!(stage.net.sent[1].request.api, ApiKey::Metadata);
    stage.answer_coordinator(1, ErrorCode::NONE);
    stage.answer_metadata(2);
    assert_eq!(stage.answer(ErrorCode::NONE), Node::Coordinator(1));
    stage.told().unwrap().unwrap();
    stage.now += SECOND;
    stage.turn();
    assert!(stage.net.sent.is_empty(), "{:?}", stage.net.sent[0].request.api);
    // One that the answer does not have is looked for all the same.
    stage.ask(Route::Coordinator(Key::Group("h".to_owned())), 5 * SECOND);
    stage.answer_coordinator(3, ErrorCode::NONE);
    stage.answer_metadata(2);
    stage.wait();
    stage.answer_metadata(2);
}

#[test]
fn a_controller_that_moved_is_found() {
    let mut stage = Stage::ready();
    stage.ask(Route::Controller, 5 * SECOND);
    assert_eq!(stage.answer(ErrorCode::NOT_CONTROLLER), Node::Broker(2));
    while stage.net.sent.front().is_none_or(|sent| sent.request.api != ApiKey::Metadata) {
        match stage.net.sent.front() {
            Some(_again) => drop(stage.answer(ErrorCode::NOT_CONTROLLER)),
            None => drop(stage.wait()),
        }
    }
    stage.answer_metadata(1);
    while stage.net.sent.front().is_none_or(|sent| sent.request.api != ApiKey::Heartbeat) {
        match stage.net.sent.front() {
            Some(_asked_once_more) => drop(stage.answer_metadata(1)),
            None => drop(stage.wait()),
        }
    }
    assert_eq!(stage.answer(ErrorCode::NONE), Node::Broker(1));
    stage.told().unwrap().unwrap();
}

#[test]
fn nobody_there_is_told_with_its_cause() {
    let mut stage = Stage::new();
    stage.turn();
    for place in [0, 1] {
        let later = stage.now + 100 * SECOND;
        stage.net.set_there(Node::Bootstrap(place), false, Some(later));
    }
    stage.ask(Route::Any, 2 * SECOND);
    stage.wait();
    while stage.told.1.try_recv().map(|told| stage.told.0.send(told)).is_err() {
        stage.wait();
    }
    let error = stage.told().unwrap().unwrap_err();
    let text = "not done within 2000 ms: Heartbeat: nobody is there";
    assert_eq!(error.to_string(), text);
}

#[test]
fn an_answer_after_the_deadline_is_nobodys() {
    let mut stage = Stage::ready();
    stage.ask(Route::Broker(1), SECOND);
    stage.now += SECOND;
    stage.turn();
    assert!(stage.told().unwrap().is_err());
    let sent = stage.net.take();
    stage.net.answer(&sent, &HeartbeatResponse::default());
    let event = stage.net.next_event().unwrap();
    let left = stage.session.take(event, &mut stage.net, stage.now);
    assert!(matches!(left, Some(Event::Answered { .. })));
    assert!(stage.told().is_none());
}

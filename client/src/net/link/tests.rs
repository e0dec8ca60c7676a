//! A connection whose other end is a test.

use ottla_protocol::messages::api_versions::ApiVersion;
use ottla_protocol::messages::metadata::MetadataRequest;
use ottla_protocol::wire::Reader;

use super::*;

/// Both directions in memory.
#[derive(Default)]
struct Pipe {
    sent: Vec<u8>,
    received: VecDeque<u8>,
    /// What one call takes.
    room: usize,
    /// Nothing comes after what was received.
    is_ended: bool,
}

impl Read for Pipe {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self.received.read(to)? {
            0 if !self.is_ended => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.room);
        self.sent.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const TIMEOUT: Duration = Duration::from_secs(30);

fn link(now: Instant) -> Link<Pipe> {
    let pipe = Pipe { room: usize::MAX, ..Pipe::default() };
    let mut link = Link::new(pipe, "me".into(), 1 << 20, (TIMEOUT, now)).unwrap();
    link.write(now).unwrap();
    link
}

impl Link<Pipe> {
    /// The header and the body of each request that was sent since.
    fn requests(&mut self) -> Vec<(i16, i16, i32, Vec<u8>)> {
        let mut requests = Vec::new();
        let mut sent = &std::mem::take(&mut self.stream.sent)[..];
        while let Some((head, rest)) = sent.split_first_chunk::<4>() {
            let (frame, rest) = rest.split_at(u32::from_be_bytes(*head) as usize);
            let mut reader = Reader::new(frame);
            let header = RequestHeader::read(&mut reader).unwrap();
            assert_eq!(header.client_id, Some("me"));
            let body = reader.remaining().to_vec();
            requests.push((header.api_key, header.api_version, header.correlation_id, body));
            sent = rest;
        }
        requests
    }

    fn answer<'a>(&mut self, correlation_id: i32, body: &impl Message<'a>, version: i16) {
        let body = body.to_bytes(version).unwrap();
        let mut frame = correlation_id.to_be_bytes().to_vec();
        frame.extend_from_slice(&body);
        self.stream.received.extend((frame.len() as u32).to_be_bytes());
        self.stream.received.extend(frame);
    }

    fn receive(&mut self, now: Instant) -> Result<Vec<Event>, Error> {
        let mut events = VecDeque::new();
        self.read(&mut events, now)?;
        Ok(events.into())
    }
}

fn served(error_code: ErrorCode) -> ApiVersionsResponse<'static> {
    let api = |api_key, max_version| ApiVersion { api_key, min_version: 0, max_version };
    let api_keys = vec![api(3, 8), api(18, 3)];
    ApiVersionsResponse { error_code, api_keys, ..Default::default() }
}

fn ready(now: Instant) -> Link<Pipe> {
    let mut link = link(now);
    link.requests();
    link.answer(0, &served(ErrorCode::NONE), 4);
    assert!(matches!(link.receive(now).unwrap()[..], [Event::Changed]));
    link
}

#[test]
fn it_asks_for_versions_first() {
    let now = Instant::now();
    let mut link = link(now);
    assert!(link.versions().is_none());
    let requests = link.requests();
    assert_eq!((requests.len(), requests[0].0, requests[0].1), (1, 18, 4));
    link.answer(0, &served(ErrorCode::NONE), 4);
    link.receive(now).unwrap();
    let versions = link.versions().unwrap();
    assert_eq!(versions.pick(ApiKey::Metadata, 0..=13).unwrap(), 8);
}

#[test]
fn it_asks_again_in_a_version_that_the_broker_has() {
    let now = Instant::now();
    let mut link = link(now);
    link.requests();
    link.answer(0, &served(ErrorCode::UNSUPPORTED_VERSION), 0);
    assert!(link.receive(now).unwrap().is_empty());
    let requests = link.requests();
    assert_eq!((requests[0].1, requests[0].2), (3, 1));
    link.answer(1, &served(ErrorCode::NONE), 3);
    assert_eq!(link.receive(now).unwrap().len(), 1);
    // And not for ever.
    let mut other = self::link(now);
    other.answer(0, &served(ErrorCode::UNSUPPORTED_VERSION), 0);
    other.receive(now).unwrap();
    other.answer(1, &served(ErrorCode::UNSUPPORTED_VERSION), 3);
    let error = other.receive(now).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UNSUPPORTED_VERSION));
}

#[test]
fn answers_belong_to_requests_by_their_order() {
    let now = Instant::now();
    let mut link = ready(now);
    for tag in [70, 71] {
        let request = Outgoing::new(&MetadataRequest::default(), 8, TIMEOUT).unwrap();
        link.send(request, tag, now).unwrap();
    }
    link.stream.room = 3;
    link.write(now).unwrap();
    assert_eq!(link.requests().len(), 2);
    assert_eq!(link.waiting(), 2);
    for correlation_id in [1, 2] {
        let answer = ottla_protocol::messages::metadata::MetadataResponse {
            cluster_id: Some("c"),
            ..Default::default()
        };
        link.answer(correlation_id, &answer, 8);
    }
    let events = link.receive(now).unwrap();
    let tags: Vec<Tag> = events
        .iter()
        .map(|event| match event {
            Event::Answered { tag, result: Ok(answer) } => {
                let read =
                    answer.read::<ottla_protocol::messages::metadata::MetadataResponse<'_>>();
                assert_eq!(read.unwrap().cluster_id, Some("c"));
                *tag
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(tags, [70, 71]);
    assert_eq!(link.due(), None);
}

#[test]
fn bytes_of_others_are_sent_in_their_places() {
    use ottla_protocol::messages::produce::{
        PartitionProduceData, ProduceRequest, TopicProduceData,
    };
    use ottla_protocol::wire::Records;
    let now = Instant::now();
    let mut link = ready(now);
    let parts: Vec<Arc<Vec<u8>>> = vec![Arc::new(vec![7; 100]), Arc::new(vec![8; 30])];
    let request = |spliced: bool| {
        let records = |token: u32| match &parts[token as usize] {
            part if spliced => Records::Spliced { token, length: part.len() as u32 },
            part => Records::Bytes(part),
        };
        let partition =
            |index| PartitionProduceData { index, records: Some(records(index as u32)) };
        let topic = TopicProduceData {
            name: "t",
            partition_data: vec![partition(0), partition(1)],
            ..Default::default()
        };
        let request =
            ProduceRequest { acks: 0, topic_data: vec![topic], ..ProduceRequest::default() };
        Outgoing::new(&request, 9, TIMEOUT).unwrap()
    };
    link.send(Outgoing { is_answered: false, ..request(false) }, 1, now).unwrap();
    let with_parts = Outgoing { is_answered: false, parts: parts.clone(), ..request(true) };
    link.send(with_parts, 2, now).unwrap();
    link.stream.room = 11;
    link.write(now).unwrap();
    let requests = link.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].3, requests[1].3);
    // Nobody answers a request with acks=0.
    assert_eq!(link.waiting(), 0);
}

#[test]
fn what_nobody_asked_for_ends_the_connection() {
    let now = Instant::now();
    let mut link = ready(now);
    link.answer(1, &served(ErrorCode::NONE), 3);
    assert_eq!(link.receive(now).unwrap_err().kind(), ErrorKind::Malformed);
    let mut link = ready(now);
    link.send(Outgoing::new(&MetadataRequest::default(), 8, TIMEOUT).unwrap(), 5, now).unwrap();
    link.answer(7, &served(ErrorCode::NONE), 3);
    let error = link.receive(now).unwrap_err();
    let text = "malformed answer: Metadata: the answer's correlation id is 7, expected 1";
    assert_eq!(error.to_string(), text);
    // Whoever asked is told.
    let mut events = VecDeque::new();
    link.fail(&error, &mut events);
    assert!(matches!(events[0], Event::Answered { tag: 5, result: Err(_) }));
}

#[test]
fn its_end_is_told_to_all_that_wait() {
    let now = Instant::now();
    let mut link = ready(now);
    for tag in [5, 6] {
        let request = Outgoing::new(&MetadataRequest::default(), 8, TIMEOUT).unwrap();
        link.send(request, tag, now).unwrap();
    }
    link.stream.is_ended = true;
    let error = link.receive(now).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    let mut events = VecDeque::new();
    link.fail(&error, &mut events);
    let failed = |event: &Event| matches!(event, Event::Answered { result: Err(_), .. });
    assert!(events.len() == 2 && events.iter().all(failed));
}

#[test]
fn an_answer_can_be_overdue() {
    let now = Instant::now();
    let mut link = ready(now);
    assert_eq!(link.due(), None);
    let request = Outgoing::new(&MetadataRequest::default(), 8, TIMEOUT).unwrap();
    link.send(request, 5, now).unwrap();
    assert_eq!(link.due(), Some(now + TIMEOUT));
    assert!(link.overdue(now + TIMEOUT - Duration::from_nanos(1)).is_none());
    let error = link.overdue(now + TIMEOUT).unwrap();
    assert_eq!(error.to_string(), "not done within 30000 ms: no answer to Metadata");
}

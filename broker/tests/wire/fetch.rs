//! Fetching: from every offset, by every limit, in sessions and out of them.

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::fetch::{FetchRequest, FetchResponse, ForgottenTopic};
use ottla_protocol::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopic,
};
use ottla_protocol::record::batch::BatchHeader;
use ottla_protocol::record::set::Batches;
use ottla_protocol::uuid::Uuid;

use crate::harness::{Client, TestBroker, batch, fetch_request};

#[test]
fn an_empty_fetch_has_records_of_length_0() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    let id = client.create_topic("t", 1, &[]);
    for version in 4..=18 {
        let answer = client.call(ApiKey::Fetch, version, &fetch_request("t", id, 0));
        let end: &[u8] = if version < 12 { b"\0\0\0\0" } else { b"\x01\0\0\0" };
        assert!(answer.bytes.ends_with(end), "{version}: {:02x?}", answer.bytes);
        // Null would be ff ff ff ff, or 00 in the compact form.
        let response: FetchResponse<'_> = answer.message();
        let data = &response.responses[0].partitions[0];
        assert_eq!(data.records.map(|records| records.bytes().len()), Some(0), "{version}");
    }
    // The whole answer: no diverging_epoch, current_leader, snapshot_id or node_endpoints.
    let answer = client.call(ApiKey::Fetch, 12, &fetch_request("t", id, 0));
    let expected = b"\0\0\0\x11\0\0\0\0\0\0\0\0\0\0\0\x02\x02t\x02\0\0\0\0\0\0\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\x01\0\0\0";
    assert_eq!(answer.bytes, expected);
}

#[test]
fn failed_partitions_have_records_of_length_0_too() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    let id = client.create_topic("t", 1, &[]);
    for (request, version, expected) in [
        (fetch_request("unknown", Uuid::ZERO, 0), 12, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        (fetch_request("", Uuid::ONE, 0), 13, ErrorCode::UNKNOWN_TOPIC_ID),
        (fetch_request("", Uuid::ZERO, 0), 18, ErrorCode::UNKNOWN_TOPIC_ID),
        (fetch_request("t", id, 1), 12, ErrorCode::OFFSET_OUT_OF_RANGE),
        (fetch_request("t", id, -1), 17, ErrorCode::OFFSET_OUT_OF_RANGE),
        (fetch_request("t", id, i64::MAX), 4, ErrorCode::OFFSET_OUT_OF_RANGE),
        (fetch_request("t", id, i64::MIN), 4, ErrorCode::OFFSET_OUT_OF_RANGE),
    ] {
        let fetched = client.fetch_with(&request, version);
        assert_eq!(fetched.code, expected, "{request:?}");
        assert_eq!((fetched.high_watermark, fetched.log_start_offset), (-1, -1));
        assert!(fetched.records.is_empty());
    }
    for index in [-1, 1, i32::MAX] {
        let mut request = fetch_request("t", id, 0);
        request.topics[0].partitions[0].partition = index;
        let code = client.fetch_with(&request, 12).code;
        assert_eq!(code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "{index}");
    }
}

#[test]
fn unknown_isolation_levels_are_refused() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    for isolation_level in [-1, 2, 127] {
        let request = FetchRequest { isolation_level, ..fetch_request("t", Uuid::ZERO, 0) };
        let answer = client.call(ApiKey::Fetch, 12, &request);
        let response: FetchResponse<'_> = answer.message();
        assert_eq!(response.error_code, ErrorCode::UNKNOWN_SERVER_ERROR);
        let data = &response.responses[0].partitions[0];
        assert_eq!(data.error_code, ErrorCode::UNKNOWN_SERVER_ERROR);
    }
}

#[test]
fn read_committed_lists_aborted_transactions() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    client.append("t", &batch(&[b"v"]));
    for (isolation_level, expected) in [(0, None), (1, Some(0))] {
        let request = FetchRequest { isolation_level, ..fetch_request("t", Uuid::ZERO, 0) };
        let answer = client.call(ApiKey::Fetch, 12, &request);
        let response: FetchResponse<'_> = answer.message();
        let data = &response.responses[0].partitions[0];
        assert_eq!(data.aborted_transactions.as_ref().map(Vec::len), expected);
        assert_eq!(data.last_stable_offset, 1);
    }
}

/// Batches of 1 to 3 records in segments of a few batches each; the offset after the last record.
fn fill(client: &mut Client, topic: &str) -> i64 {
    let segments = ("internal.segment.bytes", "1500");
    client.create_topic(topic, 1, &[segments, ("index.interval.bytes", "200")]);
    let mut end = 0;
    for n in 0..60_usize {
        let value = vec![b'a' + (n % 26) as u8; 40 + 13 * (n % 11)];
        let values: Vec<&[u8]> = vec![&value; 1 + n % 3];
        assert_eq!(client.append(topic, &batch(&values)), end);
        end += values.len() as i64;
    }
    end
}

#[test]
fn every_offset_of_sealed_segments_by_every_limit() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    let end = fill(&mut client, "t");
    let logs = std::fs::read_dir(broker.dir().join("t-0")).unwrap();
    let segments = logs
        .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|e| e == "log"))
        .count();
    assert!(segments > 5, "{segments} segments");
    for offset in 0..end {
        for limit in [0, 1, 60, 61, 100, 250, 400, 1000, 1500, 4000, i32::MAX] {
            let mut request = fetch_request("t", Uuid::ZERO, offset);
            request.topics[0].partitions[0].partition_max_bytes = limit;
            check_read(&mut client, &request, offset, limit);
            request.topics[0].partitions[0].partition_max_bytes = i32::MAX;
            request.max_bytes = limit;
            check_read(&mut client, &request, offset, limit);
        }
    }
    assert!(client.fetch("t", end).records.is_empty());
}

fn check_read(client: &mut Client, request: &FetchRequest<'_>, offset: i64, limit: i32) {
    let fetched = client.fetch_with(request, 11);
    assert_eq!(fetched.code, ErrorCode::NONE);
    let first = BatchHeader::new(&fetched.records).expect("a batch always comes");
    assert!(
        first.base_offset() <= offset && offset <= first.last_offset(),
        "asked for {offset}, got {}..={}",
        first.base_offset(),
        first.last_offset()
    );
    let whole = first.size_bytes().unwrap();
    assert!(fetched.records.len() >= whole, "the first batch is whole");
    assert!(fetched.records.len() <= whole.max(limit as usize));
    let mut next = first.base_offset();
    for batch in Batches::new(&fetched.records) {
        let batch = batch.unwrap();
        assert_eq!(batch.header().base_offset(), next, "no batch is skipped");
        next = batch.header().last_offset() + 1;
    }
}

#[test]
fn a_reader_gets_through_all_segments() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    let end = fill(&mut client, "t");
    let (mut offset, mut reads) = (0, 0);
    while offset < end {
        let set = client.fetch("t", offset).records;
        let last = Batches::new(&set).map(|batch| batch.unwrap().header().last_offset()).last();
        offset = last.unwrap() + 1;
        reads += 1;
    }
    assert!((5..60).contains(&reads), "a read takes what its segment has: {reads}");
}

#[test]
fn leader_epochs_are_compared() {
    let mut broker = TestBroker::start();
    broker.client().create_topic("t", 1, &[]);
    broker.restart();
    let mut client = broker.client();
    client.append("t", &batch(&[b"v"]));
    let ask = |client: &mut Client, current_leader_epoch: i32, leader_epoch: i32| {
        let partition =
            OffsetForLeaderPartition { partition: 0, current_leader_epoch, leader_epoch };
        let topic = OffsetForLeaderTopic { topic: "t", partitions: vec![partition] };
        let request = OffsetForLeaderEpochRequest { topics: vec![topic], ..Default::default() };
        let answer = client.call(ApiKey::OffsetForLeaderEpoch, 4, &request);
        let response: OffsetForLeaderEpochResponse<'_> = answer.message();
        let told = &response.topics[0].partitions[0];
        (told.error_code, told.leader_epoch, told.end_offset)
    };
    let fetch = |client: &mut Client, epoch: i32, version: i16| {
        let mut request = fetch_request("t", Uuid::ZERO, 0);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        client.fetch_with(&request, version).code
    };
    // A restart counts the epoch up by two, one for the stop and one for the election.
    for (epoch, expected) in [
        (-1, ErrorCode::NONE),
        (0, ErrorCode::FENCED_LEADER_EPOCH),
        (1, ErrorCode::FENCED_LEADER_EPOCH),
        (2, ErrorCode::NONE),
        (3, ErrorCode::UNKNOWN_LEADER_EPOCH),
        (i32::MAX, ErrorCode::UNKNOWN_LEADER_EPOCH),
    ] {
        assert_eq!(fetch(&mut client, epoch, 9), expected, "{epoch}");
        assert_eq!(fetch(&mut client, epoch, 12), expected, "{epoch}");
        assert_eq!(ask(&mut client, epoch, 2).0, expected, "{epoch}");
    }
    assert_eq!(ask(&mut client, -1, 2), (ErrorCode::NONE, 2, 1));
    assert_eq!(ask(&mut client, -1, 3), (ErrorCode::NONE, -1, -1));
    assert_eq!(ask(&mut client, -1, -1), (ErrorCode::NONE, -1, -1));
    let mut request = fetch_request("t", Uuid::ZERO, 0);
    request.topics[0].partitions[0].last_fetched_epoch = 2;
    assert_eq!(client.fetch_with(&request, 12).diverging, (-1, -1));
    request.topics[0].partitions[0].last_fetched_epoch = 3;
    assert_eq!(client.fetch_with(&request, 12).code, ErrorCode::OFFSET_OUT_OF_RANGE);
}

#[test]
fn old_epochs_are_told_who_leads() {
    let mut broker = TestBroker::start();
    let id = broker.client().create_topic("t", 1, &[]);
    broker.restart();
    let mut client = broker.client();
    let mut request = fetch_request("t", id, 0);
    request.topics[0].partitions[0].current_leader_epoch = 0;
    for version in [15, 16, 18] {
        let answer = client.call(ApiKey::Fetch, version, &request);
        let response: FetchResponse<'_> = answer.message();
        let leader = &response.responses[0].partitions[0].current_leader;
        let endpoints: Vec<i32> = response.node_endpoints.iter().map(|node| node.port).collect();
        if version < 16 {
            assert_eq!((leader.leader_id, endpoints.len()), (-1, 0));
        } else {
            assert_eq!((leader.leader_id, leader.leader_epoch), (1, 2));
            assert_eq!(endpoints, [i32::from(broker.address().port())]);
        }
    }
}

/// Session id, error and the partitions told, with the length of their records.
type Told = (i32, ErrorCode, Vec<(i32, usize)>);

fn session(client: &mut Client, id: i32, epoch: i32, version: i16, add: &[(i32, i64)]) -> Told {
    let mut request = fetch_request("t", Uuid::ZERO, 0);
    request.session_id = id;
    request.session_epoch = epoch;
    let template = request.topics[0].partitions.remove(0);
    for (partition, fetch_offset) in add {
        let mut asked = template.clone();
        (asked.partition, asked.fetch_offset) = (*partition, *fetch_offset);
        request.topics[0].partitions.push(asked);
    }
    tell(client, &request, version)
}

fn tell(client: &mut Client, request: &FetchRequest<'_>, version: i16) -> Told {
    let answer = client.call(ApiKey::Fetch, version, request);
    let response: FetchResponse<'_> = answer.message();
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    let told = partitions.map(|data| (data.partition_index, data.records.unwrap().bytes().len()));
    (response.session_id, response.error_code, told.collect())
}

#[test]
fn sessions_tell_only_what_is_new() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 2, &[]);
    let (id, code, told) = session(&mut client, 0, 0, 12, &[(0, 0), (1, 0)]);
    assert!(id > 0 && code == ErrorCode::NONE && told == [(0, 0), (1, 0)]);
    assert_eq!(session(&mut client, id, 1, 12, &[]), (id, ErrorCode::NONE, vec![]));
    let size = batch(&[b"v"]).len();
    client.append("t", &batch(&[b"v"]));
    // Sessions belong to the broker, not to a connection.
    let mut other = broker.client();
    assert_eq!(session(&mut other, id, 2, 12, &[]), (id, ErrorCode::NONE, vec![(0, size)]));
    assert_eq!(session(&mut other, id, 3, 12, &[(0, 1)]), (id, ErrorCode::NONE, vec![]));
    let invalid = (0, ErrorCode::INVALID_FETCH_SESSION_EPOCH, vec![]);
    assert_eq!(session(&mut client, id, 3, 12, &[]), invalid);
    assert_eq!(session(&mut client, id, 5, 12, &[]), invalid);
    let mixed = (0, ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR, vec![]);
    assert_eq!(session(&mut client, id, 4, 13, &[]), mixed);
    // Whoever was refused has not used the number up.
    assert_eq!(session(&mut client, id, 4, 12, &[]), (id, ErrorCode::NONE, vec![]));
    let mut request = fetch_request("t", Uuid::ZERO, 0);
    (request.session_id, request.session_epoch) = (id, 5);
    request.topics.clear();
    request.forgotten_topics_data =
        vec![ForgottenTopic { topic: "t", topic_id: Uuid::ZERO, partitions: vec![0, 1] }];
    assert_eq!(tell(&mut client, &request, 12), (0, ErrorCode::NONE, vec![]), "nothing is left");
    let gone = (0, ErrorCode::FETCH_SESSION_ID_NOT_FOUND, vec![]);
    assert_eq!(session(&mut client, id, 6, 12, &[]), gone);
    assert_eq!(session(&mut client, id ^ 1, 1, 12, &[]), gone);
}

#[test]
fn sessions_are_closed_and_replaced() {
    let broker = TestBroker::with(&["max.incremental.fetch.session.cache.slots=1"]);
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    let (id, ..) = session(&mut client, 0, 0, 11, &[(0, 0)]);
    assert_eq!(session(&mut client, 0, 0, 11, &[(0, 0)]).0, 0, "there is one slot");
    let (next, ..) = session(&mut client, id, 0, 11, &[(0, 0)]);
    assert!(next != 0 && next != id);
    let (none, code, told) = session(&mut client, next, -1, 11, &[(0, 0)]);
    assert_eq!((none, code, told.len()), (0, ErrorCode::NONE, 1));
    let gone = session(&mut client, next, 1, 11, &[]).1;
    assert_eq!(gone, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
}

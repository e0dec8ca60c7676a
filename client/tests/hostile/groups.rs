//! Coordinators and leaders of groups that lie: a member asks no more often than it should, tells
//! what is wrong when Java's does, and leaves in time.

use std::thread;
use std::time::{Duration, Instant};

use ottla_client::{Consumer, ErrorKind, Properties};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat::ConsumerGroupHeartbeatResponse;
use ottla_protocol::messages::heartbeat::HeartbeatResponse;
use ottla_protocol::messages::join_group::JoinGroupResponse;
use ottla_protocol::messages::sync_group::SyncGroupResponse;
use ottla_protocol::uuid::Uuid;

use crate::coordinator::{
    BEAT, FETCH, HEARTBEAT, JOIN, LEAVE, SYNC, assignment, beaten, coordinator, joined, synced,
};
use crate::server::{Asked, framed};

const CLASSIC: &[(&str, &str)] = &[
    ("partition.assignment.strategy", "range"),
    ("session.timeout.ms", "2000"),
    ("heartbeat.interval.ms", "50"),
];
const COOPERATIVE: &[(&str, &str)] = &[
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("session.timeout.ms", "2000"),
    ("heartbeat.interval.ms", "50"),
];
const NEXT_GEN: &[(&str, &str)] = &[("group.protocol", "consumer")];

/// How long a member is lied to, and how many requests it may make about its group in that time.
const LIED_TO: Duration = Duration::from_millis(600);
const ASKS_MAX: usize = 60;

/// An answer to what is asked, for the n-th time.
type Lie = fn(Asked, usize) -> Option<Vec<u8>>;

/// The kinds of errors that polls told, each once in a row, and how many requests there were.
fn lied_to(way: &[(&str, &str)], lie: Lie) -> (Vec<ErrorKind>, usize) {
    let (address, asks) = coordinator(lie);
    let mut properties = Properties::new()
        .with("bootstrap.servers", &address.to_string())
        .with("group.id", "g")
        .with("auto.offset.reset", "earliest")
        .with("default.api.timeout.ms", "1500")
        .with("request.timeout.ms", "1000");
    way.iter().for_each(|(name, value)| properties.set(name, value));
    let consumer = Consumer::new(&properties).unwrap();
    consumer.subscribe(&["t"]).unwrap();
    let until = Instant::now() + LIED_TO;
    let mut errors = Vec::new();
    while Instant::now() < until {
        if let Err(error) = consumer.poll(Duration::from_millis(20)) {
            errors.push(error.kind());
            thread::sleep(Duration::from_millis(1));
        }
    }
    errors.dedup();
    let count = |asks: &std::collections::BTreeMap<i16, usize>| -> usize {
        asks.iter().filter(|(kind, _)| **kind != FETCH).map(|(_, count)| count).sum()
    };
    let asked = count(&asks.lock().unwrap());
    let begun = Instant::now();
    // What it says is another matter.
    _ = consumer.close(Duration::from_secs(1));
    assert!(begun.elapsed() < Duration::from_secs(3), "closed in {:?}", begun.elapsed());
    println!("{asked} requests, {errors:?}, {:?}", asks.lock().unwrap());
    (errors, asked)
}

fn is_patient(way: &[(&str, &str)], lie: Lie) {
    let (errors, asked) = lied_to(way, lie);
    assert_eq!(errors, []);
    assert!((3..ASKS_MAX).contains(&asked), "{asked} requests");
}

fn is_told(way: &[(&str, &str)], expected: ErrorKind, lie: Lie) {
    let (errors, asked) = lied_to(way, lie);
    assert_eq!(errors, [expected]);
    assert!((3..ASKS_MAX).contains(&asked), "{asked} requests");
}

fn join_refused(asked: Asked, error_code: ErrorCode) -> Option<Vec<u8>> {
    let told = JoinGroupResponse { error_code, ..Default::default() };
    (asked.0 == JOIN).then(|| framed(asked, &told))
}

fn sync_refused(asked: Asked, error_code: ErrorCode) -> Option<Vec<u8>> {
    let told = SyncGroupResponse { error_code, ..Default::default() };
    (asked.0 == SYNC).then(|| framed(asked, &told))
}

fn heartbeat_refused(asked: Asked, error_code: ErrorCode) -> Option<Vec<u8>> {
    let told = HeartbeatResponse { error_code, throttle_time_ms: 0 };
    (asked.0 == HEARTBEAT).then(|| framed(asked, &told))
}

fn beat_refused(asked: Asked, error_code: ErrorCode) -> Option<Vec<u8>> {
    let told = ConsumerGroupHeartbeatResponse { error_code, ..Default::default() };
    (asked.0 == BEAT).then(|| framed(asked, &told))
}

#[test]
fn rebalances_without_end_at_joins() {
    is_patient(CLASSIC, |asked, _| join_refused(asked, ErrorCode::REBALANCE_IN_PROGRESS));
}

#[test]
fn rebalances_without_end_at_syncs() {
    is_patient(CLASSIC, |asked, _| sync_refused(asked, ErrorCode::REBALANCE_IN_PROGRESS));
}

#[test]
fn a_new_generation_at_each_heartbeat() {
    // A heartbeat is due every 50 ms, and leads to some five requests.
    for way in [CLASSIC, COOPERATIVE] {
        let (errors, asked) =
            lied_to(way, |asked, _| heartbeat_refused(asked, ErrorCode::REBALANCE_IN_PROGRESS));
        assert_eq!(errors, []);
        assert!((15..12 * 6 + 10).contains(&asked), "{asked} requests");
    }
}

#[test]
fn a_generation_that_is_never_the_right_one() {
    is_patient(CLASSIC, |asked, _| sync_refused(asked, ErrorCode::ILLEGAL_GENERATION));
}

#[test]
fn a_member_id_that_is_never_known() {
    is_patient(CLASSIC, |asked, _| join_refused(asked, ErrorCode::UNKNOWN_MEMBER_ID));
    is_patient(CLASSIC, |asked, _| sync_refused(asked, ErrorCode::UNKNOWN_MEMBER_ID));
}

#[test]
fn a_member_id_that_is_always_required() {
    is_patient(CLASSIC, |asked, turn| {
        let told = JoinGroupResponse {
            error_code: ErrorCode::MEMBER_ID_REQUIRED,
            member_id: "m",
            ..joined(turn)
        };
        (asked.0 == JOIN).then(|| framed(asked, &told))
    });
}

#[test]
fn an_assignment_that_is_another_each_time() {
    is_patient(COOPERATIVE, |asked, turn| match asked.0 {
        JOIN => {
            let protocol_name = Some("cooperative-sticky");
            Some(framed(asked, &JoinGroupResponse { protocol_name, ..joined(turn) }))
        }
        SYNC => {
            let partition = i32::try_from(turn % 2).unwrap();
            Some(framed(asked, &synced(&assignment(&[partition]))))
        }
        _ => heartbeat_refused(asked, ErrorCode::REBALANCE_IN_PROGRESS),
    });
}

#[test]
fn partitions_that_do_not_exist() {
    is_patient(CLASSIC, |asked, _| {
        (asked.0 == SYNC).then(|| framed(asked, &synced(&assignment(&[-1, 1, 7, i32::MAX]))))
    });
    is_patient(NEXT_GEN, |asked, _| {
        (asked.0 == BEAT).then(|| framed(asked, &beaten(1, Uuid::from_bytes([9; 16]), &[-5, 3])))
    });
}

#[test]
fn bytes_that_are_no_assignment() {
    is_told(CLASSIC, ErrorKind::Malformed, |asked, _| {
        (asked.0 == SYNC).then(|| framed(asked, &synced(&[0, 3, 0x7f, 0xff, 0xff, 0xff, 0, 1])))
    });
}

#[test]
fn a_leave_that_nobody_answers() {
    is_patient(CLASSIC, |asked, _| (asked.0 == LEAVE).then(Vec::new));
    is_patient(NEXT_GEN, |asked, turn| (asked.0 == BEAT && turn > 5).then(Vec::new));
}

#[test]
fn an_epoch_that_is_always_fenced() {
    is_patient(NEXT_GEN, |asked, _| beat_refused(asked, ErrorCode::FENCED_MEMBER_EPOCH));
    is_patient(NEXT_GEN, |asked, _| beat_refused(asked, ErrorCode::UNKNOWN_MEMBER_ID));
}

#[test]
fn an_epoch_that_is_fenced_as_soon_as_it_is_given() {
    is_patient(NEXT_GEN, |asked, turn| match turn % 2 {
        0 => beat_refused(asked, ErrorCode::FENCED_MEMBER_EPOCH),
        _ => None,
    });
}

#[test]
fn an_epoch_that_is_none() {
    is_patient(NEXT_GEN, |asked, _| {
        (asked.0 == BEAT).then(|| framed(asked, &ConsumerGroupHeartbeatResponse::default()))
    });
}

#[test]
fn a_heartbeat_that_is_refused_for_good() {
    let refused = ErrorKind::Broker(ErrorCode::GROUP_MAX_SIZE_REACHED);
    is_told(NEXT_GEN, refused, |asked, _| beat_refused(asked, ErrorCode::GROUP_MAX_SIZE_REACHED));
}

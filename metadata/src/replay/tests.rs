//! Transactions, prefixes and bytes that nobody wrote.

use super::*;
use crate::controller::Records;
use crate::log_codec::BatchPlace;
use crate::snapshot::{self, SnapshotId};
use crate::{bootstrap, quorum_state::QuorumState};
use ottla_protocol::metadata::cluster::*;
use ottla_protocol::metadata::topic::TopicRecord;
use ottla_protocol::record::control::ControlType;
use ottla_protocol::uuid::Uuid;
use proptest::prelude::*;

fn begin() -> MetadataRecord<'static> {
    BeginTransactionRecord::default().into()
}

fn end() -> MetadataRecord<'static> {
    EndTransactionRecord::default().into()
}

fn abort() -> MetadataRecord<'static> {
    AbortTransactionRecord::default().into()
}

fn topic(name: &str) -> MetadataRecord<'_> {
    let mut id = [1; 16];
    id[..name.len()].copy_from_slice(name.as_bytes());
    TopicRecord { name, topic_id: Uuid::from_bytes(id) }.into()
}

fn replay(records: &[MetadataRecord<'_>]) -> Replay {
    let mut replay = Replay::new(Image::empty());
    for (record, offset) in records.iter().zip(0..) {
        replay.apply(record, offset).unwrap();
    }
    replay
}

fn names(replay: &Replay) -> Vec<&str> {
    replay.image().topics().iter().map(|topic| &*topic.name).collect()
}

#[test]
fn a_transaction_is_seen_as_a_whole_or_not_at_all() {
    let open = replay(&[topic("a"), begin(), topic("b")]);
    assert_eq!((names(&open), open.image().offset(), open.offset()), (vec!["a"], 0, 2));
    assert_eq!(open.open_transaction(), Some(1));
    assert_eq!(snapshot::of_replay(&open, 0), None);

    let ended = replay(&[topic("a"), begin(), topic("b"), end()]);
    assert_eq!((names(&ended), ended.image().offset()), (vec!["a", "b"], 3));
    assert_eq!(ended.open_transaction(), None);

    let aborted = replay(&[topic("a"), begin(), topic("b"), abort(), topic("b")]);
    assert_eq!((names(&aborted), aborted.image().offset()), (vec!["a", "b"], 4));
    let aborted = replay(&[topic("a"), begin(), topic("b"), abort()]);
    assert_eq!((names(&aborted), aborted.image().offset()), (vec!["a"], 3));
    assert!(snapshot::of_replay(&aborted, 0).is_some());
}

#[test]
fn markers_out_of_place_are_refused() {
    let mut open = replay(&[topic("a"), begin()]);
    let error = ReplayError::TransactionOpen { open: 1, offset: 2 };
    assert_eq!(open.apply(&begin(), 2), Err(error));
    assert_eq!(open.open_transaction(), Some(1));
    let mut closed = replay(&[topic("a")]);
    for marker in [end(), abort()] {
        assert_eq!(closed.apply(&marker, 1), Err(ReplayError::NoTransaction { offset: 1 }));
    }
    for marker in [end(), abort()] {
        let error = ReplayError::OffsetNotAbove { last: 1, got: 1 };
        assert_eq!(open.apply(&marker, 1), Err(error));
    }
}

#[test]
fn what_the_log_says_of_the_quorum_goes_into_snapshots() {
    let place = BatchPlace { base_offset: 0, epoch: 3, now_ms: 77 };
    let controls = [
        (ControlType::LeaderChange, &b"leader"[..]),
        (ControlType::KraftVersion, b"version"),
        (ControlType::KraftVoters, b"old voters"),
        (ControlType::KraftVoters, b"voters"),
    ];
    let mut log = log_codec::control_batch(controls, place).unwrap();
    let (records, _) = bootstrap::first_records(&bootstrap::records(), "1", 4).unwrap();
    let place = BatchPlace { base_offset: 4, ..place };
    log.extend(log_codec::records_batch(&records, place).unwrap());

    let mut replay = Replay::new(Image::empty());
    assert_eq!(replay.apply_batches(&log), Ok(log.len()));
    let quorum = QuorumRecords {
        kraft_version: Some(b"version".to_vec()),
        voters: Some(b"voters".to_vec()),
    };
    assert_eq!(*replay.progress(), Progress { epoch: 3, timestamp_ms: 77, quorum });
    let (id, bytes) = snapshot::of_replay(&replay, 5).unwrap();
    assert_eq!(id, SnapshotId { end_offset: 13, epoch: 3 });
    let read = snapshot::read(&bytes, id).unwrap();
    assert_eq!((read.image(), read.progress()), (replay.image(), replay.progress()));
}

#[test]
fn no_records_are_no_bytes() {
    let place = BatchPlace { base_offset: 7, epoch: 0, now_ms: 0 };
    assert!(log_codec::records_batch(&Records::new(), place).unwrap().is_empty());
    let mut replay = Replay::new(Image::empty());
    assert_eq!(replay.apply_batches(&[]), Ok(0));
    let empty = snapshot::file(&Records::new(), &snapshot::Header::default(), place);
    assert!(snapshot::read_file(&empty).unwrap().0.is_empty());
}

#[test]
fn snapshots_are_cut_into_batches() {
    let mut records = Records::new();
    let names: Vec<String> = (0..3000).map(|number| format!("t{number}")).collect();
    names.iter().for_each(|name| records.push(&topic(name), 0));
    let place = BatchPlace { base_offset: 0, epoch: 0, now_ms: 0 };
    let bytes = snapshot::file(&records, &snapshot::Header::default(), place);
    let mut batches = log_codec::batches(&bytes);
    let mut last_offsets = vec![];
    while let Some(batch) = batches.next_batch().unwrap() {
        last_offsets.push(batch.last_offset());
    }
    assert_eq!(last_offsets, [0, 1024, 2048, 3000, 3001]);
    assert_eq!(snapshot::read_file(&bytes).unwrap().0, records);
}

/// A value that looks like a record as far as the kind, and no further.
fn values() -> impl Strategy<Value = Vec<u8>> {
    let body = proptest::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..20),
        (0..30_u8, 0..6_u8, body).prop_map(|(kind, version, body)| {
            let mut value = vec![1, kind, version];
            value.extend(body);
            value
        }),
    ]
}

/// Any record, be it possible or not, out of few names and ids so that they meet.
fn markers_and_topics() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(begin().to_bytes(0).unwrap()),
        Just(end().to_bytes(0).unwrap()),
        Just(abort().to_bytes(0).unwrap()),
        (0..4_u8).prop_map(|n| topic(["a", "b", "c", "d"][usize::from(n)]).to_bytes(0).unwrap()),
        values(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_value_panics_and_a_refused_one_changes_nothing(
        values in proptest::collection::vec(markers_and_topics(), 0..30),
    ) {
        let mut replay = Replay::new(Image::empty());
        for (value, offset) in values.iter().zip(0..) {
            let before = replay.clone();
            if replay.apply_value(value, offset).is_err() {
                prop_assert_eq!(replay.image(), before.image());
                prop_assert_eq!(replay.offset(), before.offset());
                prop_assert_eq!(replay.open_transaction(), before.open_transaction());
            }
        }
        // What was let in can be written and read again.
        if let Some((id, bytes)) = snapshot::of_replay(&replay, 0) {
            let read = snapshot::read(&bytes, id).unwrap();
            prop_assert_eq!(read.image().topics(), replay.image().topics());
        }
    }

    #[test]
    fn batches_of_any_values_do_not_panic(
        values in proptest::collection::vec(values(), 1..20),
        base_offset in -2..5_i64,
    ) {
        let place = BatchPlace { base_offset, epoch: 1, now_ms: 5 };
        let batch = log_codec::data_batch(values.iter().map(Vec::as_slice), place).unwrap();
        let _ = Replay::new(Image::empty()).apply_batches(&batch);
        let _ = snapshot::read_file(&batch);
    }

    #[test]
    fn any_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Replay::new(Image::empty()).apply_batches(&bytes);
        let _ = bootstrap::read_checkpoint(&bytes);
        let _ = QuorumState::parse(&String::from_utf8_lossy(&bytes));
    }
}

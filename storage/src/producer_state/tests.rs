//! The rules, case by case, and idempotence beside a model.

mod model;
mod recall;

use super::*;

const MAX: i32 = i32::MAX;

fn batch(producer_epoch: i16, base_sequence: i32, base_offset: i64) -> ProducerBatch {
    ProducerBatch {
        producer_id: 1,
        producer_epoch,
        base_sequence,
        base_offset,
        last_offset_delta: 0,
        max_timestamp: 100,
        kind: BatchKind::Plain,
    }
}

fn of(producer_id: i64, batch: ProducerBatch) -> ProducerBatch {
    ProducerBatch { producer_id, ..batch }
}

fn transactional(batch: ProducerBatch) -> ProducerBatch {
    ProducerBatch { kind: BatchKind::Transactional, ..batch }
}

fn marker(producer_epoch: i16, base_offset: i64, aborted: bool) -> ProducerBatch {
    let marker =
        EndTxnMarker { aborted, coordinator_epoch: 3, timestamp: 200, transaction_version: 0 };
    ProducerBatch { kind: BatchKind::EndTxn(marker), ..batch(producer_epoch, -1, base_offset) }
}

fn with_marker(
    batch: ProducerBatch,
    change: impl FnOnce(EndTxnMarker) -> EndTxnMarker,
) -> ProducerBatch {
    let BatchKind::EndTxn(marker) = batch.kind else { panic!("{batch:?} is no marker") };
    ProducerBatch { kind: BatchKind::EndTxn(change(marker)), ..batch }
}

fn state() -> ProducerState {
    let settings = ProducerSettings { verification_enabled: false, ..Default::default() };
    ProducerState::new(settings, 0)
}

fn append_from(
    state: &mut ProducerState,
    origin: Origin,
    batch: ProducerBatch,
) -> Result<Vec<CompletedTxn>, ProducerError> {
    match state.check(&[batch], origin, VerificationGuard::NONE)? {
        Checked::New(update) => Ok(state.apply(update, batch.last_offset() + 1)),
        Checked::Duplicate(known) => panic!("{batch:?} is a duplicate of {known:?}"),
    }
}

fn append(state: &mut ProducerState, batch: ProducerBatch) -> Result<(), ProducerError> {
    append_from(state, Origin::Client, batch).map(drop)
}

fn duplicate(state: &ProducerState, batch: ProducerBatch) -> Option<BatchMetadata> {
    match state.check(&[batch], Origin::Client, VerificationGuard::NONE) {
        Ok(Checked::Duplicate(known)) => Some(known),
        _ => None,
    }
}

fn out_of_order(offset: i64, got: i32, last: i32) -> Result<(), ProducerError> {
    Err(ProducerError::OutOfOrderSequence { producer_id: 1, offset, got, last })
}

#[test]
fn the_last_five_batches_are_known() {
    let mut state = state();
    for n in 0..7 {
        append(&mut state, batch(0, n, 10 + i64::from(n))).unwrap();
    }
    for n in 2..7 {
        let known = duplicate(&state, batch(0, n, 17)).unwrap();
        let offset = 10 + i64::from(n);
        assert_eq!(
            (known.first_offset(), known.last_offset, known.timestamp),
            (offset, offset, 100)
        );
    }
    // Older ones are out of order, and so is a batch that only overlaps a known one.
    for n in 0..2 {
        assert_eq!(append(&mut state, batch(0, n, 17)), out_of_order(17, n, 6));
    }
    let longer = ProducerBatch { last_offset_delta: 1, ..batch(0, 6, 17) };
    assert_eq!(append(&mut state, longer), out_of_order(17, 6, 6));
    assert_eq!(state.map_end_offset(), 17);
}

#[test]
fn a_gap_is_refused_and_changes_nothing() {
    let mut state = state();
    append(&mut state, batch(0, 0, 0)).unwrap();
    let before = state.producer(1).cloned();
    assert_eq!(append(&mut state, batch(0, 2, 1)), out_of_order(1, 2, 0));
    // A good batch before the bad one of the same append does not count either.
    let both = [batch(0, 1, 1), batch(0, 3, 2)];
    let outcome = state.check(&both, Origin::Client, VerificationGuard::NONE);
    assert_eq!(outcome.map(drop), out_of_order(2, 3, 1));
    assert_eq!(state.producer(1).cloned(), before);
    let both = [batch(0, 1, 1), batch(0, 2, 2)];
    let Ok(Checked::New(update)) = state.check(&both, Origin::Client, VerificationGuard::NONE)
    else {
        panic!("two batches in order");
    };
    assert!(!update.is_empty());
    assert_eq!(state.producer(1).cloned(), before, "nothing changes before the bytes are written");
    state.apply(update, 3);
    assert_eq!(state.producer(1).unwrap().last_sequence(), 2);
}

#[test]
fn sequences_wrap() {
    let mut state = state();
    let across = ProducerBatch { last_offset_delta: 3, ..batch(0, MAX - 1, 0) };
    append(&mut state, across).unwrap();
    assert_eq!(state.producer(1).unwrap().last_sequence(), 1);
    assert_eq!(duplicate(&state, across).unwrap().first_sequence(), MAX - 1);
    append(&mut state, batch(0, 2, 4)).unwrap();
    let mut state = self::state();
    append(&mut state, batch(0, MAX, 0)).unwrap();
    assert_eq!(append(&mut state, batch(0, 1, 1)), out_of_order(1, 1, MAX));
    append(&mut state, batch(0, 0, 1)).unwrap();
}

#[test]
fn epochs() {
    let mut state = state();
    append(&mut state, batch(3, 17, 0)).unwrap(); // unknown: any sequence
    let old = ProducerError::InvalidProducerEpoch { producer_id: 1, offset: 1, got: 2, known: 3 };
    assert_eq!(append(&mut state, batch(2, 18, 1)), Err(old));
    assert_eq!(append(&mut state, batch(4, 18, 1)), out_of_order(1, 18, 17));
    append(&mut state, batch(4, 0, 1)).unwrap();
    assert_eq!(state.producer(1).unwrap().batches().len(), 1, "old batches are forgotten");
    assert_eq!(duplicate(&state, batch(3, 17, 2)), None);
    assert_eq!(
        append_from(&mut state, Origin::Coordinator, batch(3, 0, 2)).map(drop),
        Err(ProducerError::InvalidProducerEpoch { producer_id: 1, offset: 2, got: 3, known: 4 })
    );
    // What stands in the leader's log is taken as it is.
    state.replay(&[batch(2, 55, 2)], 3).unwrap();
    assert_eq!(state.producer(1).unwrap().producer_epoch, 2);
    assert_eq!(state.producer(1).unwrap().last_sequence(), 55);
}

/// A marker alone makes a producer known, without a sequence.
#[test]
fn after_a_marker_alone_only_zero_follows() {
    let mut state = state();
    append_from(&mut state, Origin::Coordinator, marker(5, 0, false)).unwrap();
    assert_eq!(state.producer(1).unwrap().last_sequence(), -1);
    assert_eq!(append(&mut state, batch(5, 1, 1)), out_of_order(1, 1, -1));
    append(&mut state, batch(5, 0, 1)).unwrap();
}

#[test]
fn coordinators_write_without_sequences_in_order() {
    let mut state = state();
    for offset in 0..3 {
        append_from(&mut state, Origin::Coordinator, transactional(batch(0, 0, offset))).unwrap();
    }
    assert_eq!(state.producer(1).unwrap().current_txn_first_offset, Some(0));
}

#[test]
fn transactions_hold_back_the_last_stable_offset() {
    let mut state = state();
    append(&mut state, of(1, transactional(batch(0, 0, 10)))).unwrap();
    append(&mut state, of(2, transactional(batch(0, 0, 11)))).unwrap();
    append(&mut state, of(1, transactional(batch(0, 1, 12)))).unwrap();
    assert_eq!(state.first_unstable_offset(), Some(10));
    assert!(state.has_ongoing_txn(1, 0) && !state.has_ongoing_txn(1, 1));

    let reason = "a batch outside the transaction that is open";
    let refused = ProducerError::InvalidTxnState { producer_id: 1, offset: 13, reason };
    assert_eq!(append(&mut state, batch(0, 2, 13)), Err(refused));

    let ended = append_from(&mut state, Origin::Coordinator, of(1, marker(0, 13, true))).unwrap();
    let expected = CompletedTxn {
        producer_id: 1,
        first_offset: 10,
        last_offset: 13,
        aborted: true,
        last_stable_offset: 11,
    };
    assert_eq!(ended, [expected]);
    // Decided, but a new leader may not have the marker.
    assert_eq!(state.first_unstable_offset(), Some(10));
    state.on_high_watermark(13);
    assert_eq!(state.first_unstable_offset(), Some(10));
    state.on_high_watermark(14);
    assert_eq!(state.first_unstable_offset(), Some(11));

    let ended = append_from(&mut state, Origin::Coordinator, of(2, marker(0, 14, false))).unwrap();
    assert_eq!((ended[0].aborted, ended[0].last_stable_offset), (false, 15));
    state.on_log_start_offset(15, None);
    assert_eq!(state.first_unstable_offset(), None);
    assert_eq!((state.map_end_offset(), state.snapshot_due()), (15, None));
    // Sequences go on across transactions of one epoch.
    append(&mut state, of(1, transactional(batch(0, 2, 15)))).unwrap();
}

#[test]
fn markers() {
    let mut state = state();
    // Of a transaction without records here: nothing ends.
    let ended = append_from(&mut state, Origin::Coordinator, marker(1, 0, true)).unwrap();
    assert_eq!(ended, []);
    let entry = state.producer(1).unwrap();
    assert_eq!((entry.producer_epoch, entry.coordinator_epoch, entry.last_timestamp), (1, 3, 200));

    let from_old = with_marker(marker(1, 1, true), |m| EndTxnMarker { coordinator_epoch: 2, ..m });
    let fenced =
        ProducerError::TransactionCoordinatorFenced { producer_id: 1, offset: 1, got: 2, known: 3 };
    assert_eq!(append_from(&mut state, Origin::Coordinator, from_old), Err(fenced));
    let old_epoch = append_from(&mut state, Origin::Coordinator, marker(0, 1, true));
    assert!(matches!(old_epoch, Err(ProducerError::InvalidProducerEpoch { got: 0, known: 1, .. })));
    // The same epoch again: fine for version 0, stale for version 2 (KIP-890).
    append_from(&mut state, Origin::Coordinator, marker(1, 1, true)).unwrap();
    let version_2 = |epoch, offset| {
        with_marker(marker(epoch, offset, true), |m| EndTxnMarker { transaction_version: 2, ..m })
    };
    let stale = append_from(&mut state, Origin::Coordinator, version_2(1, 2));
    assert!(matches!(stale, Err(ProducerError::InvalidProducerEpoch { got: 1, known: 1, .. })));
    append_from(&mut state, Origin::Coordinator, version_2(2, 2)).unwrap();
    // Replicas take even these.
    state
        .replay(
            &[with_marker(marker(1, 3, true), |m| EndTxnMarker { coordinator_epoch: 1, ..m })],
            4,
        )
        .unwrap();
    assert_eq!(state.producer(1).unwrap().coordinator_epoch, 1);
    let empty = ProducerBatch { kind: BatchKind::EmptyControl, ..batch(9, -1, 4) };
    state.replay(&[empty], 5).unwrap();
    assert_eq!((state.producer(1).unwrap().producer_epoch, state.map_end_offset()), (1, 5));
}

#[test]
fn a_transaction_begins_only_when_it_was_verified() {
    let mut state = ProducerState::new(ProducerSettings::default(), 0);
    let begins = transactional(batch(0, 0, 0));
    let request = VerificationRequest {
        producer_id: 1,
        producer_epoch: 0,
        base_sequence: 0,
        supports_epoch_bump: false,
        now_ms: 0,
    };
    let is_verified = |state: &ProducerState, batch, origin, guard| {
        !matches!(
            state.check(&[batch], origin, guard),
            Err(ProducerError::InvalidTxnState { offset: 0, .. })
        )
    };
    for origin in [Origin::Client, Origin::Coordinator] {
        assert!(!is_verified(&state, begins, origin, VerificationGuard::NONE));
    }
    for origin in [Origin::Replication, Origin::RaftLeader] {
        assert!(is_verified(&state, begins, origin, VerificationGuard::NONE));
    }
    let guard = state.start_verification(request);
    assert_eq!(state.start_verification(request), guard, "one at a time for a producer");
    assert!(is_verified(&state, begins, Origin::Client, guard));
    assert!(!is_verified(&state, of(2, begins), Origin::Client, guard));
    let Ok(Checked::New(update)) = state.check(&[begins], Origin::Client, guard) else {
        panic!("it was verified")
    };
    state.apply(update, 1);
    // Once it is open, no more guards are needed or given.
    append(&mut state, transactional(batch(0, 1, 1))).unwrap();
    assert_eq!(state.start_verification(request), VerificationGuard::NONE);
    // A marker that overtakes the next append makes its guard worthless.
    append_from(&mut state, Origin::Coordinator, marker(0, 2, true)).unwrap();
    let guard = state.start_verification(request);
    append_from(&mut state, Origin::Coordinator, marker(0, 3, true)).unwrap();
    let late = state.check(&[transactional(batch(0, 2, 4))], Origin::Client, guard);
    assert!(matches!(late, Err(ProducerError::InvalidTxnState { .. })));
}

#[test]
fn verification_keeps_sequences_in_order() {
    let mut state = ProducerState::new(ProducerSettings::default(), 0);
    let request = |base_sequence, producer_epoch, now_ms| VerificationRequest {
        producer_id: 1,
        producer_epoch,
        base_sequence,
        supports_epoch_bump: true,
        now_ms,
    };
    let guard = state.start_verification(request(5, 0, 0));
    let check = |state: &ProducerState, epoch, sequence| {
        state.check(&[transactional(batch(epoch, sequence, 0))], Origin::Client, guard).map(drop)
    };
    // Nothing is known of the producer, but it would have begun at 0.
    assert_eq!(check(&state, 0, 5), out_of_order(0, 5, -1));
    state.start_verification(request(0, 0, 0));
    assert_eq!(check(&state, 0, 0), Ok(()));
    assert_eq!(check(&state, 0, 5), out_of_order(0, 5, -1));
    state.start_verification(request(3, 0, 0));
    assert_eq!(check(&state, 0, 3), out_of_order(0, 3, -1), "the lowest one stays");
    state.start_verification(request(0, 1, 0));
    assert_eq!(check(&state, 1, 0), Ok(()));
    state.expire(86_400_000);
    assert!(matches!(check(&state, 1, 0), Err(ProducerError::InvalidTxnState { .. })));
}

#[test]
fn silent_producers_expire_by_the_time_of_their_records() {
    let mut state = state();
    append(&mut state, of(1, batch(0, 0, 0))).unwrap();
    append(&mut state, of(2, transactional(batch(0, 0, 1)))).unwrap();
    let expiration_ms = ProducerSettings::default().producer_id_expiration_ms;
    assert_eq!(state.expire(99 + expiration_ms), 0);
    assert_eq!(state.expire(100 + expiration_ms), 1);
    assert_eq!(state.producers().map(|(id, _)| id).collect::<Vec<_>>(), [2]);
    // A restored snapshot leaves expired ones out, too.
    append_from(&mut state, Origin::Coordinator, of(2, marker(0, 2, true))).unwrap();
    let all = snapshot::decode(&snapshot::encode(&state)).unwrap();
    state.restore(3, all.clone(), 199 + expiration_ms);
    assert_eq!(state.producers().len(), 1);
    state.restore(3, all, 200 + expiration_ms);
    assert_eq!(state.producers().len(), 0);
}

#[test]
fn snapshots_are_due_when_the_state_moved() {
    let mut state = state();
    assert_eq!(state.snapshot_due(), None);
    state.set_map_end_offset(5);
    assert_eq!(state.snapshot_due(), Some(5));
    state.on_snapshot_taken(5);
    assert_eq!(state.snapshot_due(), None);
    append(&mut state, batch(0, 0, 5)).unwrap();
    state.reset(9);
    assert_eq!((state.map_end_offset(), state.snapshot_due()), (9, None));
    assert_eq!(state.producers().len(), 0);
}

//! Batches of a partition, sent and answered in every order.

use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_protocol::record::set::Batch;

use super::super::memory::Memory;
use super::*;

const ME: Identity = Identity { id: 7, epoch: 0 };
const WAIT: Duration = Duration::from_millis(100);

fn room() -> Arc<Room> {
    Arc::new(Memory::new(1).take(0, WAIT, || {}).unwrap())
}

/// A lane, a clock, and ids.
struct Stage {
    lane: Lane,
    now: Instant,
    next_id: BatchId,
}

impl Stage {
    fn new() -> Self {
        Self { lane: Lane::default(), now: Instant::now(), next_id: 0 }
    }

    /// Makes a batch of so many records and puts it behind the others.
    fn push(&mut self, records: i32) -> BatchId {
        assert!(self.lane.takes_more(Some(ME)));
        let (producer_id, producer_epoch, base_sequence) = self.lane.next(Some(ME), records);
        let options =
            BatchOptions { producer_id, producer_epoch, base_sequence, ..Default::default() };
        let mut builder = BatchBuilder::new(options).unwrap();
        for _ in 0..records {
            builder.append(&NewRecord { value: Some(b"v"), ..Default::default() }).unwrap();
        }
        self.next_id += 1;
        let bytes = builder.build().unwrap();
        let delivery = BatchDelivery::new("t".into(), 0);
        let of = (self.now, room());
        let sealed = Sealed::new((self.next_id, bytes), records, delivery, Vec::new(), of);
        self.lane.push(sealed);
        self.next_id
    }

    /// What is sent now, by id and sequence.
    fn sent(&mut self) -> Vec<(BatchId, i32)> {
        let mut sent = Vec::new();
        while let Some(batch) = self.lane.send(true, self.now) {
            let header = Batch::new(&batch.bytes).unwrap();
            header.check_crc().unwrap();
            assert_eq!(header.header().base_sequence(), batch.base_sequence);
            sent.push((batch.id, batch.base_sequence));
        }
        sent
    }

    fn answer(&mut self, id: BatchId, code: ErrorCode) -> After {
        let appended = Appended { base_offset: 0, log_append_time: -1 };
        let result = Error::of_code(code, None).map(|()| appended);
        self.lane.answered(id, result, |_| Some(WAIT), self.now)
    }
}

fn is_again(after: &After) -> bool {
    matches!(after, After::Again)
}

#[test]
fn several_are_in_flight_in_their_order() {
    let mut stage = Stage::new();
    for records in [3, 2, 4] {
        stage.push(records);
        assert_eq!(stage.sent().len(), 1);
    }
    assert_eq!(stage.lane.len(), 3);
    for id in [1, 2, 3] {
        let After::Finished(batch, Ok(_)) = stage.answer(id, ErrorCode::NONE) else { panic!() };
        assert_eq!(batch.id, id);
    }
    stage.push(1);
    assert_eq!(stage.sent(), [(4, 9)]);
}

#[test]
fn after_a_failure_the_first_goes_alone() {
    let mut stage = Stage::new();
    for _ in 0..3 {
        stage.push(1);
        stage.sent();
    }
    assert!(is_again(&stage.answer(1, ErrorCode::NOT_LEADER_OR_FOLLOWER)));
    assert!(is_again(&stage.answer(2, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)));
    assert!(!stage.lane.takes_more(Some(ME)));
    assert!(stage.sent().is_empty());
    stage.now += WAIT;
    assert_eq!(stage.lane.retry_due(true), Some(stage.now));
    assert_eq!(stage.sent(), [(1, 0)]);
    assert!(is_again(&stage.answer(3, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)));
    stage.now += WAIT;
    assert!(stage.sent().is_empty());
    assert!(matches!(stage.answer(1, ErrorCode::NONE), After::Finished(..)));
    assert_eq!(stage.sent(), [(2, 1)]);
    assert!(matches!(stage.answer(2, ErrorCode::NONE), After::Finished(..)));
    assert_eq!(stage.sent(), [(3, 2)]);
    assert!(!stage.lane.is_broken());
}

#[test]
fn what_a_broker_has_already_is_done() {
    let mut stage = Stage::new();
    stage.push(1);
    stage.sent();
    let after = stage.answer(1, ErrorCode::DUPLICATE_SEQUENCE_NUMBER);
    assert!(matches!(after, After::Finished(_, Ok(Appended { base_offset: -1, .. }))));
}

#[test]
fn behind_a_batch_that_failed_for_good_all_begins_anew() {
    let mut stage = Stage::new();
    for _ in 0..3 {
        stage.push(2);
        stage.sent();
    }
    assert!(matches!(stage.answer(1, ErrorCode::INVALID_RECORD), After::Finished(_, Err(_))));
    assert!(is_again(&stage.answer(2, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)));
    // One is still in flight.
    assert!(!stage.lane.is_broken());
    assert!(is_again(&stage.answer(3, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)));
    assert!(stage.lane.is_broken());
    stage.now += WAIT;
    assert!(stage.sent().is_empty());
    let next = Identity { epoch: 1, ..ME };
    stage.lane.restart(next);
    assert_eq!(stage.sent(), [(2, 0)]);
    let header = BatchHeader::new(&stage.lane.batches[1].bytes).unwrap().producer_epoch();
    assert_eq!(header, 1);
    assert!(matches!(stage.answer(2, ErrorCode::NONE), After::Finished(..)));
    assert_eq!(stage.sent(), [(3, 2)]);
    // A new batch waits until those of the last identity are gone.
    assert!(!stage.lane.takes_more(Some(ME)));
    assert!(stage.lane.takes_more(Some(next)));
}

#[test]
fn a_sequence_that_the_broker_has_lost_begins_anew() {
    for code in [ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, ErrorCode::UNKNOWN_PRODUCER_ID] {
        let mut stage = Stage::new();
        stage.push(1);
        stage.sent();
        assert!(is_again(&stage.answer(1, code)));
        assert!(stage.lane.is_broken());
    }
}

#[test]
fn what_is_too_large_is_split_in_its_place() {
    let mut stage = Stage::new();
    stage.push(2);
    stage.sent();
    stage.push(1);
    stage.sent();
    let After::Split(large, place) = stage.answer(1, ErrorCode::MESSAGE_TOO_LARGE) else {
        panic!()
    };
    let part = |id: BatchId, sequence: i32| {
        let options = BatchOptions {
            producer_id: ME.id,
            producer_epoch: ME.epoch,
            base_sequence: sequence,
            ..Default::default()
        };
        let mut builder = BatchBuilder::new(options).unwrap();
        builder.append(&NewRecord::default()).unwrap();
        let delivery = BatchDelivery::new("t".into(), 0);
        let of = (large.created, room());
        Sealed::new((id, builder.build().unwrap()), 1, delivery, Vec::new(), of)
    };
    stage.lane.replace(place, vec![part(8, 0), part(9, 1)]);
    assert_eq!(stage.lane.len(), 3);
    assert!(is_again(&stage.answer(2, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)));
    stage.now += WAIT;
    assert_eq!(stage.sent(), [(8, 0), (9, 1)]);
}

#[test]
fn what_is_too_old_has_failed() {
    let mut stage = Stage::new();
    let timeout = Duration::from_secs(1);
    stage.push(1);
    stage.sent();
    stage.push(1);
    assert_eq!(stage.lane.expires(timeout), Some(stage.now + timeout));
    let first = stage.lane.batches.remove(1).unwrap();
    assert_eq!(stage.lane.expires(timeout), None);
    stage.lane.push(first);
    assert!(stage.lane.expire(timeout, stage.now).is_empty());
    stage.now += timeout;
    let late = stage.lane.expire(timeout, stage.now);
    assert_eq!(late.len(), 1);
    assert_eq!(late[0].0.id, 2);
    // What follows would leave a gap; but one is still in flight.
    assert!(!stage.lane.is_broken() && stage.sent().is_empty());
    assert!(is_again(&stage.answer(1, ErrorCode::NOT_LEADER_OR_FOLLOWER)));
    let late = stage.lane.expire(timeout, stage.now);
    assert!(late[0].1.to_string().contains("NOT_LEADER_OR_FOLLOWER"), "{}", late[0].1);
    assert!(stage.lane.is_broken());
}

#[test]
fn without_idempotence_each_goes_when_it_can() {
    let mut stage = Stage::new();
    for id in 1..=2 {
        let bytes = {
            let mut builder = BatchBuilder::new(BatchOptions::default()).unwrap();
            builder.append(&NewRecord::default()).unwrap();
            builder.build().unwrap()
        };
        let delivery = BatchDelivery::new("t".into(), 0);
        stage.lane.push(Sealed::new((id, bytes), 1, delivery, Vec::new(), (stage.now, room())));
        stage.lane.send(false, stage.now).unwrap();
    }
    assert!(is_again(&stage.answer(2, ErrorCode::NOT_LEADER_OR_FOLLOWER)));
    assert_eq!(stage.lane.retry_due(false), Some(stage.now + WAIT));
    stage.now += WAIT;
    assert_eq!(stage.lane.send(false, stage.now).unwrap().id, 2);
    assert!(!stage.lane.is_broken());
}

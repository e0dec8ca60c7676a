//! Idempotent producers: repeats, gaps and old epochs.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};

use crate::harness::{Client, Produced, TestBroker, now_ms};

/// Produces a batch of two records, of now: a producer whose last records are older than
/// `producer.id.expiration.ms` is forgotten by a restart.
fn produce(client: &mut Client, producer_epoch: i16, base_sequence: i32) -> Produced {
    let options =
        BatchOptions { producer_id: 4000, producer_epoch, base_sequence, ..Default::default() };
    let mut builder = BatchBuilder::new(options).unwrap();
    for value in [b"a", b"b"] {
        let value = Some(&value[..]);
        builder.append(&NewRecord { timestamp: now_ms(), value, ..Default::default() }).unwrap();
    }
    client.produce("t", &builder.build().unwrap())
}

#[test]
fn repeats_are_answered_with_the_first_offset_and_not_appended() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    let begun = now_ms();
    for n in 0..7 {
        let produced = produce(&mut client, 0, 2 * n);
        assert_eq!((produced.code, produced.base_offset), (ErrorCode::NONE, i64::from(2 * n)));
    }
    for n in 2..7 {
        let again = produce(&mut client, 0, 2 * n);
        assert_eq!((again.code, again.base_offset), (ErrorCode::NONE, i64::from(2 * n)), "{n}");
        // Kafka answers a repeat with the time of the batch that it remembers.
        assert!((begun..=now_ms()).contains(&again.log_append_time_ms));
    }
    let too_old = produce(&mut client, 0, 2);
    assert_eq!(too_old.code, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, "of the last five only");
    let gap = produce(&mut client, 0, 16);
    assert_eq!(gap.code, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!((gap.base_offset, gap.log_start_offset), (-1, 0));
    assert_eq!(client.fetch("t", 0).high_watermark, 14);
}

#[test]
fn epochs_go_up_only() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    assert_eq!(produce(&mut client, 3, 0).code, ErrorCode::NONE);
    let wrong_start = produce(&mut client, 4, 2);
    assert_eq!(wrong_start.code, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(produce(&mut client, 4, 0).base_offset, 2);
    let old = produce(&mut client, 3, 2);
    assert_eq!(old.code, ErrorCode::INVALID_PRODUCER_EPOCH);
    assert_eq!((old.base_offset, old.log_start_offset), (-1, 0));
}

#[test]
fn after_a_restart_the_last_batches_are_remembered() {
    let mut broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    for sequence in [0, 2, 4] {
        produce(&mut client, 0, sequence);
    }
    broker.restart();
    let mut client = broker.client();
    for sequence in [4, 2, 0] {
        let again = produce(&mut client, 0, sequence);
        assert_eq!((again.code, again.base_offset), (ErrorCode::NONE, i64::from(sequence)));
    }
    assert_eq!(produce(&mut client, 0, 8).code, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(produce(&mut client, 0, 6).base_offset, 6);
}

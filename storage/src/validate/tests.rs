//! Every rule of the leader, with the Kafka error that it is answered with.

use ottla_protocol::record::batch::{BatchHeader, CRC_COVERS_FROM};
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};

use super::*;

const NOW_MS: i64 = 1_700_000_000_000;

fn rules() -> ValidateRules {
    ValidateRules { now_ms: NOW_MS, ..ValidateRules::default() }
}

fn batch_of(options: BatchOptions, timestamps: &[i64]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(options).unwrap();
    for &timestamp in timestamps {
        let record = NewRecord { timestamp, key: Some(b"k"), value: Some(b"value"), headers: &[] };
        builder.append(&record).unwrap();
    }
    builder.build().unwrap()
}

fn batch() -> Vec<u8> {
    batch_of(BatchOptions::default(), &[NOW_MS, NOW_MS + 5, NOW_MS + 1])
}

/// The batch with some header fields changed, and the CRC right again.
fn with_header(mut batch: Vec<u8>, change: impl Fn(&mut HeaderFields)) -> Vec<u8> {
    let mut header = HeaderFields::from(BatchHeader::new(&batch).unwrap());
    change(&mut header);
    header.seal(&mut batch).unwrap();
    batch
}

fn stored(validated: &Validated<'_>, base_offset: i64, epoch: i32) -> Vec<u8> {
    [&validated.header_bytes(base_offset, epoch), validated.payload()].concat()
}

fn class_of(records: &[u8], rules: &ValidateRules) -> ErrorClass {
    validate(records, rules).unwrap_err().class()
}

#[test]
fn a_good_batch_is_borrowed_and_keeps_its_crc() {
    let sent = batch();
    let validated = validate(&sent, &rules()).unwrap();
    assert!(!validated.is_rebuilt());
    assert_eq!(validated.header().crc, Batch::new(&sent).unwrap().header().crc());
    assert_eq!(validated.max_timestamp(), NOW_MS + 5);
    assert_eq!(validated.last_offset_delta(), 2);
    assert_eq!(validated.log_append_time_ms(), None);
    assert!(!validated.has_producer_id());
    let bytes = stored(&validated, 77, 3);
    let batch = Batch::new(&bytes).unwrap();
    batch.check_crc().unwrap();
    assert_eq!((batch.header().base_offset(), batch.header().last_offset()), (77, 79));
    assert_eq!(batch.header().partition_leader_epoch(), 3);
    assert_eq!(bytes[CRC_COVERS_FROM..], sent[CRC_COVERS_FROM..]);
}

#[test]
fn log_append_time_is_patched_with_the_crc() {
    let sent = batch();
    let rules = ValidateRules { timestamp_type: TimestampType::LogAppendTime, ..rules() };
    let validated = validate(&sent, &rules).unwrap();
    assert_eq!(validated.log_append_time_ms(), Some(NOW_MS));
    let bytes = stored(&validated, 0, 0);
    let batch = Batch::new(&bytes).unwrap();
    batch.check_crc().unwrap();
    assert!(batch.header().attributes().is_log_append_time());
    for record in batch.records().unwrap() {
        assert_eq!(record.unwrap().timestamp, NOW_MS);
    }
}

#[test]
fn a_wrong_max_timestamp_is_put_right() {
    let sent = with_header(batch(), |header| header.max_timestamp = 7);
    let validated = validate(&sent, &rules()).unwrap();
    assert_eq!(validated.max_timestamp(), NOW_MS + 5);
    Batch::new(&stored(&validated, 0, 0)).unwrap().check_crc().unwrap();
}

#[test]
fn the_log_append_time_bit_of_a_client() {
    let sent = with_header(batch(), |header| {
        header.attributes = Attributes(Attributes::LOG_APPEND_TIME);
        header.max_timestamp = NOW_MS + 9;
    });
    // Cleared where the topic keeps the producer's time.
    let validated = validate(&sent, &rules()).unwrap();
    assert_eq!(validated.header().attributes, Attributes(0));
    assert_eq!(validated.max_timestamp(), NOW_MS + 9);
    Batch::new(&stored(&validated, 0, 0)).unwrap().check_crc().unwrap();
    // Refused where the broker sets the time.
    let rules = ValidateRules { timestamp_type: TimestampType::LogAppendTime, ..rules() };
    let error = validate(&sent, &rules).unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidTimestamp);
    assert_eq!(error.record_errors().len(), 3);
}

#[test]
fn the_structure_of_the_set() {
    let one = batch();
    let two = [one.clone(), one.clone()].concat();
    let mut old = one.clone();
    old[16] = 1;
    let mut unknown = one.clone();
    unknown[16] = 3;
    let mut tiny = one.clone();
    tiny[8..12].copy_from_slice(&13_i32.to_be_bytes());
    let cases: [(&[u8], ErrorClass); 8] = [
        (&[], ErrorClass::InvalidRecord),
        (&one[..one.len() - 1], ErrorClass::InvalidRecord),
        (&one[..5], ErrorClass::InvalidRecord),
        (&two, ErrorClass::InvalidRecord),
        (&old, ErrorClass::InvalidRecord),
        (&unknown, ErrorClass::CorruptMessage),
        (&tiny, ErrorClass::CorruptMessage),
        (&[&one[..], &unknown[..]].concat(), ErrorClass::CorruptMessage),
    ];
    for (index, (set, class)) in cases.into_iter().enumerate() {
        assert_eq!(class_of(set, &rules()), class, "case {index}");
    }
    // What is left of a second batch is dropped.
    let validated = validate(&two[..two.len() - 1], &rules()).unwrap();
    assert_eq!(validated.size_bytes(), one.len());
}

#[test]
fn the_fields_of_the_header() {
    type Change = fn(&mut HeaderFields);
    let cases: [(Change, ErrorClass); 12] = [
        (|header| header.base_offset = 1, ErrorClass::InvalidRecord),
        (|header| header.last_offset_delta = -1, ErrorClass::InvalidRecord),
        (|header| header.last_offset_delta = 3, ErrorClass::InvalidRecord),
        (|header| header.last_offset_delta = i32::MAX, ErrorClass::InvalidRecord),
        (|header| header.records_count = 0, ErrorClass::InvalidRecord),
        (|header| header.records_count = -1, ErrorClass::InvalidRecord),
        (|header| header.attributes = Attributes(Attributes::CONTROL), ErrorClass::InvalidRecord),
        (|header| header.producer_id = 5, ErrorClass::InvalidRecord),
        (|header| header.attributes = Attributes(5), ErrorClass::UnknownServerError),
        (|header| header.attributes = Attributes(7), ErrorClass::UnknownServerError),
        (
            |header| (header.records_count, header.last_offset_delta) = (4, 3),
            ErrorClass::InvalidRecord,
        ),
        (
            |header| (header.records_count, header.last_offset_delta) = (2, 1),
            ErrorClass::InvalidRecord,
        ),
    ];
    for (index, (change, class)) in cases.into_iter().enumerate() {
        assert_eq!(class_of(&with_header(batch(), change), &rules()), class, "case {index}");
    }
    let idempotent = with_header(batch(), |header| {
        (header.producer_id, header.producer_epoch, header.base_sequence) = (5, 0, 0);
    });
    assert!(validate(&idempotent, &rules()).unwrap().has_producer_id());
}

#[test]
fn any_flipped_bit_under_the_crc_is_corrupt() {
    let sent = batch();
    for bit in CRC_COVERS_FROM * 8..sent.len() * 8 {
        let mut flipped = sent.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(class_of(&flipped, &rules()), ErrorClass::CorruptMessage, "{bit}");
    }
}

#[test]
fn size_and_its_order_among_the_checks() {
    let sent = batch();
    let exact = ValidateRules { max_message_bytes: sent.len(), ..rules() };
    assert!(validate(&sent, &exact).is_ok());
    let small = ValidateRules { max_message_bytes: sent.len() - 1, ..rules() };
    assert_eq!(class_of(&sent, &small), ErrorClass::MessageTooLarge);
    // Too large comes before a broken CRC, and after a base offset.
    let mut broken = sent.clone();
    broken[20] ^= 1;
    assert_eq!(class_of(&broken, &small), ErrorClass::MessageTooLarge);
    let shifted = with_header(sent, |header| header.base_offset = 1);
    assert_eq!(class_of(&shifted, &small), ErrorClass::InvalidRecord);
}

#[test]
fn timestamps_out_of_range_name_their_records() {
    let hour = 3_600_000;
    let sent = batch_of(BatchOptions::default(), &[NOW_MS + hour, NOW_MS + hour + 1, -1, 0]);
    let error = validate(&sent, &rules()).unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidTimestamp);
    let [only] = error.record_errors() else { panic!("{error:?}") };
    assert_eq!(only.batch_index, 1);
    assert_eq!(
        only.message(&rules()),
        format!(
            "Timestamp {} of message with offset 1 is out of range. The timestamp should be \
             within [{}, {}]",
            NOW_MS + hour + 1,
            NOW_MS.saturating_sub(i64::MAX),
            NOW_MS + hour
        )
    );
    let recent = ValidateRules { timestamp_before_max_ms: hour, ..rules() };
    let indexes = |error: &InvalidBatch| {
        error.record_errors().iter().map(|error| error.batch_index).collect::<Vec<_>>()
    };
    assert_eq!(indexes(&validate(&sent, &recent).unwrap_err()), [1, 3]);
    // No range where the broker sets the time.
    let append = ValidateRules { timestamp_type: TimestampType::LogAppendTime, ..recent };
    assert!(validate(&sent, &append).is_ok());
}

#[test]
fn a_compacted_topic_wants_keys() {
    let mut builder = BatchBuilder::new(BatchOptions::default()).unwrap();
    for key in [Some(&b"k"[..]), None, Some(b"")] {
        let record = NewRecord { timestamp: NOW_MS, key, ..NewRecord::default() };
        builder.append(&record).unwrap();
    }
    let sent = builder.build().unwrap();
    assert!(validate(&sent, &rules()).is_ok());
    let rules = ValidateRules { compacted: true, ..rules() };
    let error = validate(&sent, &rules).unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidRecord);
    let null_key = RecordError { batch_index: 1, reason: RecordErrorReason::NullKey };
    assert_eq!(error.record_errors(), [null_key]);
}

#[test]
fn a_coordinators_batch_is_its_own() {
    let marker = batch_of(
        BatchOptions {
            base_offset: 9,
            control: true,
            transactional: true,
            producer_id: 4,
            producer_epoch: 1,
            ..BatchOptions::default()
        },
        &[NOW_MS],
    );
    assert_eq!(class_of(&marker, &rules()), ErrorClass::InvalidRecord);
    let rules = ValidateRules { origin: AppendOrigin::Coordinator, ..rules() };
    let validated = validate(&marker, &rules).unwrap();
    assert!(validated.is_control() && validated.is_transactional());
    let built = Validated::from_built(marker.clone()).unwrap();
    assert_eq!(stored(&built, 3, 4), stored(&validated, 3, 4));
    assert!(Validated::from_built(&marker[..60]).is_err());
    assert!(Validated::from_built(&marker[..marker.len() - 1]).is_err());
}

#[test]
fn malformed_records_under_a_right_crc() {
    let sent = batch();
    for cut in 0..sent.len() - 61 {
        let short = with_header(sent[..61 + cut].to_vec(), |_| {});
        assert_eq!(class_of(&short, &rules()), ErrorClass::InvalidRecord, "{cut}");
    }
    let long = with_header([&sent[..], b"x"].concat(), |_| {});
    assert_eq!(class_of(&long, &rules()), ErrorClass::InvalidRecord);
}

mod compressed;

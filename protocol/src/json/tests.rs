//! Text of records, as the JVM prints it. The spec step of the gate compares every record's text
//! with what Kafka's own converters make of the same bytes.

use proptest::prelude::*;

use super::*;
use crate::internal::{self, value_bytes};
use crate::metadata;
use crate::record::control::ControlType;
use crate::wire::Message;
use crate::wire::reflect::Seed;

#[test]
fn a_committed_offset() {
    let key = b"\0\x01\0\x02g1\0\x01t\0\0\0\0";
    let value = b"\0\x03\0\0\0\0\0\0\0\x2a\xff\xff\xff\xff\0\0\0\0\x01\x7c\x12\x09\xd9\x01";
    let line = Decoder::offsets().decode(0, Some(key), Some(value)).unwrap();
    let expected = r#"{"type":"1","data":{"group":"g1","topic":"t","partition":0}}"#;
    assert_eq!(line.key.as_deref(), Some(expected));
    let expected = concat!(
        r#"{"version":"3","data":{"offset":42,"leaderEpoch":-1,"metadata":"","#,
        r#""commitTimestamp":1632390207745}}"#
    );
    assert_eq!(line.payload.as_deref(), Some(expected));
}

#[test]
fn tagged_fields_stand_where_kafka_has_them() {
    let value = internal::transaction::TransactionLogValue {
        producer_id: 13,
        previous_producer_id: 13,
        transaction_timeout_ms: 60_000,
        transaction_partitions: None,
        transaction_last_update_timestamp_ms: 5,
        transaction_start_timestamp_ms: -1,
        client_transaction_version: 2,
        ..Default::default()
    };
    let value = value_bytes(&value, 1).unwrap();
    let line = Decoder::transactions().decode(0, Some(b"\0\0\0\x02tx"), Some(&value)).unwrap();
    let expected = r#"{"type":"0","data":{"transactionalId":"tx"}}"#;
    assert_eq!(line.key.as_deref(), Some(expected));
    let expected = concat!(
        r#"{"version":"1","data":{"producerId":13,"previousProducerId":13,"producerEpoch":0,"#,
        r#""transactionTimeoutMs":60000,"transactionStatus":0,"transactionPartitions":null,"#,
        r#""transactionLastUpdateTimestampMs":5,"transactionStartTimestampMs":-1,"#,
        r#""clientTransactionVersion":2}}"#
    );
    assert_eq!(line.payload.as_deref(), Some(expected));
}

#[test]
fn what_consumers_say_of_themselves_is_read() {
    // Of the classic protocol: version 0, topic `t`, no user data.
    let subscription = b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff";
    let member = internal::classic_group::MemberMetadata {
        member_id: "m",
        subscription,
        assignment: b"\0",
        ..Default::default()
    };
    let mut group = internal::classic_group::GroupMetadataValue {
        protocol_type: "consumer",
        members: vec![member],
        ..Default::default()
    };
    let payload = |group: &internal::classic_group::GroupMetadataValue<'_>| {
        let value = value_bytes(group, 3).unwrap();
        let line = Decoder::offsets().decode(0, Some(b"\0\x02\0\x01g"), Some(&value)).unwrap();
        line.payload.unwrap()
    };
    let text = payload(&group);
    // An assignment that is not of the protocol stays as it is.
    let expected = r#""subscription":{"topics":["t"],"userData":null},"assignment":"AA=="}"#;
    assert!(text.contains(expected), "{text}");
    group.protocol_type = "connect";
    assert!(payload(&group).contains(r#""subscription":"AAAAAAABAAF0/////w==""#));
}

#[test]
fn records_that_cannot_be_read_say_why() {
    let offsets = Decoder::offsets();
    for (key, value, expected) in [
        (&b"\0\x63"[..], None, "Unknown record type 99 at offset 7, skipping."),
        (b"", None, "Error at offset 7, skipping. Could not read version from key's buffer."),
        (
            b"\0\x02\xff\xff",
            None,
            "Error at offset 7, skipping. Could not read record with version 0 from key's buffer \
             due to: non-nullable field group was serialized as null.",
        ),
        (
            b"\0\x02\0\x05g",
            None,
            "Error at offset 7, skipping. Could not read record with version 0 from key's buffer \
             due to: Error reading byte array of 5 byte(s): only 1 byte(s) available.",
        ),
        (
            b"\0\x02\0\x01g",
            Some(&b"\0\x09"[..]),
            "Error at offset 7, skipping. Found an unknown record version 9 for 2 type",
        ),
        (
            b"\0\x02\0\x01g",
            Some(b"\0\x03\0"),
            "Error at offset 7, skipping. Could not read record with version 3 from value's \
             buffer due to: null.",
        ),
    ] {
        let line = offsets.decode(7, Some(key), value).unwrap();
        assert_eq!((line.key.as_deref(), line.payload), (Some(expected), None));
    }
    assert_eq!(offsets.decode(7, None, None), Err(MissingKey));
    for (value, expected) in [
        (None, "Error at 7, skipping. Error while reading frame version"),
        (
            Some(&b"\x02"[..]),
            "Error at 7, skipping. Could not deserialize metadata record due to \
             unknown frame version 2(only frame version 1 is supported)",
        ),
        (Some(b"\x01\x09\0\x01"), "Error at 7, skipping. Failed to deserialize record with type 9"),
        (Some(b"\x01\x14\0\0\x07"), "Error at 7, skipping. Found 1 byte(s) of garbage after 20"),
        (Some(b"\x01\x14\0\0"), r#"{"type":"NO_OP_RECORD","version":0,"data":{}}"#),
    ] {
        assert_eq!(metadata_record(7, value), expected);
    }
}

#[test]
fn a_feature_level() {
    let value = b"\x01\x0c\0\x11metadata.version\0\x1e\0";
    let expected = concat!(
        r#"{"type":"FEATURE_LEVEL_RECORD","version":0,"#,
        r#""data":{"name":"metadata.version","featureLevel":30}}"#
    );
    assert_eq!(metadata_record(0, Some(value)), expected);
}

#[test]
fn control_records() {
    let bytes =
        metadata::control::KRaftVersionRecord { version: 0, kraft_version: 1 }.to_bytes(0).unwrap();
    let json = control(ControlType::KraftVersion, &bytes).unwrap().unwrap();
    assert_eq!(json, r#"{"version":0,"kRaftVersion":1}"#);
    assert!(control(ControlType::Abort, &bytes).is_none());
    assert_eq!(control(ControlType::SnapshotFooter, b"\0"), Some(Err(Fault(None))));
}

#[test]
fn text_is_spelled_as_java_and_jackson_do() {
    let mut out = String::new();
    push_quoted(&mut out, "a\"\\\n\r\t\u{8}\u{c}\u{1}\u{1f}/\u{7f}é");
    assert_eq!(out, "\"a\\\"\\\\\\n\\r\\t\\b\\f\\u0001\\u001F/\u{7f}é\"");
    for (value, expected) in [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (0.001, "0.001"),
        (0.0001, "1.0E-4"),
        (1234567.5, "1234567.5"),
        (1e7, "1.0E7"),
        (-1.25e10, "-1.25E10"),
        (f64::NAN, "\"NaN\""),
        (f64::NEG_INFINITY, "\"-Infinity\""),
    ] {
        let mut out = String::new();
        text::push_double(&mut out, value);
        assert_eq!(out, expected);
    }
    assert_eq!(java_string(b"a\xffb"), "a\u{fffd}b");
    assert_eq!(java_string(b"\xed\xa0\x80"), "\u{fffd}");
    assert_eq!(java_string(b"\xed\xa0A"), "\u{fffd}A");
    assert_eq!(java_string(b"\xed\xa0"), "\u{fffd}");
    assert_eq!(java_string("grüße".as_bytes()), "grüße");
}

#[test]
fn every_sample_of_every_record_is_read_to_its_end() {
    let mut tables = metadata::registry();
    tables.extend(metadata::control::registry());
    tables.extend(internal::registry());
    for table in tables {
        let schema = Schema::from(&table);
        for version in table.versions.clone() {
            for seed in 0..20 {
                let bytes = (table.sample)(&mut Seed(seed), version);
                let (json, left) = schema.json(&bytes, version).unwrap();
                assert_eq!(left, 0, "{} {version}: {json}", table.name);
                assert!(schema.json(&bytes[..bytes.len() - 1], version).is_err());
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        key in prop::collection::vec(any::<u8>(), 0..40),
        kind in 0u8..26,
        value in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let key = [&[0, kind][..], &key].concat();
        for decoder in [Decoder::offsets(), Decoder::transactions(), Decoder::share_state()] {
            decoder.decode(0, Some(&key), Some(&value)).unwrap();
        }
        metadata_record(0, Some(&value));
        metadata_record(0, Some(&[&[1, kind, 0][..], &value].concat()));
        for id in 0..7 {
            let _ = control(ControlType::from_id(id), &value);
        }
        java_string(&value);
    }
}

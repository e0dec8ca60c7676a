//! Frames as Kafka 4.3.1 writes them, and every record at every version.

use super::*;
use crate::record::control::ControlType;
use crate::uuid::Uuid;
use control::MetadataControl;

/// Values made from the format: frame 1, api key, version, fields, count of tags.
fn golden() -> Vec<(&'static [u8], MetadataRecord<'static>, i16)> {
    let feature = FeatureLevelRecord { name: "metadata.version", feature_level: 30 };
    let config = ConfigRecord {
        resource_type: 4,
        resource_name: "",
        name: "min.insync.replicas",
        value: Some("1"),
    };
    let partition = PartitionRecord {
        partition_id: 1,
        topic_id: Uuid::from_u64s(0x0102, 3),
        replicas: vec![1],
        isr: vec![1],
        leader: 1,
        leader_epoch: 0,
        partition_epoch: 0,
        directories: vec![Uuid::from_u64s(0, 9)],
        ..PartitionRecord::default()
    };
    let begin = BeginTransactionRecord { name: Some("Bootstrap records") };
    vec![
        (b"\x01\x0c\0\x11metadata.version\0\x1e\0", feature.into(), 0),
        (b"\x01\x04\0\x04\x01\x14min.insync.replicas\x021\0", config.into(), 0),
        (b"\x01\x14\0\0", NoOpRecord {}.into(), 0),
        (b"\x01\x17\0\x01\0\x12\x12Bootstrap records", begin.into(), 0),
        (b"\x01\x18\0\0", EndTransactionRecord {}.into(), 0),
        (
            b"\x01\x03\x02\0\0\0\x01\0\0\0\0\0\0\x01\x02\0\0\0\0\0\0\0\x03\x02\0\0\0\x01\
              \x02\0\0\0\x01\x01\x01\0\0\0\x01\0\0\0\0\0\0\0\0\
              \x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x09\0",
            partition.into(),
            2,
        ),
        (
            b"\x01\x7f\x05whatever",
            MetadataRecord::Unknown(UnknownRecord { api_key: 127, version: 5, body: b"whatever" }),
            5,
        ),
    ]
}

#[test]
fn frames_are_those_of_kafka() {
    for (bytes, record, version) in golden() {
        assert_eq!(MetadataRecord::read(bytes), Ok((record.clone(), version)));
        assert_eq!(record.to_bytes(version).unwrap(), bytes, "{record:?}");
        if matches!(record, MetadataRecord::Unknown(_)) {
            continue;
        }
        for cut in 0..bytes.len() {
            assert!(MetadataRecord::read(&bytes[..cut]).is_err(), "{record:?} cut at {cut}");
        }
        let longer = [bytes, b"\0"].concat();
        let error = MetadataRecord::read(&longer).unwrap_err();
        assert_eq!(error, ReadError { at: bytes.len(), kind: ReadErrorKind::TrailingBytes });
    }
}

#[test]
fn frames_from_elsewhere_are_refused() {
    for (bytes, kind) in [
        (&b"\0\x14\0\0"[..], ReadErrorKind::UnsupportedFrame),
        (b"\x02\x14\0\0", ReadErrorKind::UnsupportedFrame),
        (b"\x01\x80\x80\x02\0\0", ReadErrorKind::UnsupportedFrame),
        // A partition in a version of the future cannot be kept in ignorance.
        (b"\x01\x03\x03\0", ReadErrorKind::UnsupportedVersion),
    ] {
        assert_eq!(MetadataRecord::read(bytes).unwrap_err().kind, kind, "{bytes:x?}");
    }
}

#[test]
fn control_records_state_their_version() {
    let header = control::SnapshotHeaderRecord { version: 0, last_contained_log_timestamp: 7 };
    let bytes = b"\0\0\0\0\0\0\0\0\0\x07\0";
    let control = MetadataControl::SnapshotHeader(header);
    assert_eq!(control.to_bytes().unwrap(), bytes);
    assert_eq!(MetadataControl::read(ControlType::SnapshotHeader, bytes), Ok(Some(control)));
    assert_eq!(MetadataControl::read(ControlType::Commit, bytes), Ok(None));
    let error = MetadataControl::read(ControlType::SnapshotHeader, b"\0\x09\0").unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::UnsupportedVersion);

    // The first record of a fresh node with one static voter: node 1, epoch in the batch.
    let voter = || vec![control::Voter { voter_id: 1, ..Default::default() }];
    let change = MetadataControl::LeaderChange(control::LeaderChangeMessage {
        version: 0,
        leader_id: 1,
        voters: voter(),
        granting_voters: voter(),
    });
    let bytes = b"\0\0\0\0\0\x01\x02\0\0\0\x01\0\x02\0\0\0\x01\0\0";
    assert_eq!(change.to_bytes().unwrap(), bytes);
    assert_eq!(MetadataControl::read(ControlType::LeaderChange, bytes), Ok(Some(change)));
}

#[test]
fn numbers_are_in_order() {
    assert!(API_KEYS.is_sorted());
    assert_eq!(API_KEYS.len(), registry().len());
}

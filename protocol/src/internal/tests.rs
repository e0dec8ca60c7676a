//! Keys and values as Kafka 4.3.1 writes them.

use super::*;
use crate::uuid::Uuid;

#[test]
fn keys_begin_with_their_kind() {
    let offset = GroupKey::OffsetCommit(OffsetCommitKey { group: "g", topic: "t", partition: 2 });
    let group = GroupKey::GroupMetadata(GroupMetadataKey { group: "g" });
    for (bytes, key) in [
        (&b"\0\x01\0\x01g\0\x01t\0\0\0\x02"[..], offset),
        (b"\0\x02\0\x01g", group),
        (b"\0\x0f", GroupKey::Unknown(15)),
    ] {
        assert_eq!(GroupKey::read(bytes), Ok(key.clone()));
        assert_eq!(key.to_bytes().unwrap(), bytes);
        for cut in 0..bytes.len() {
            assert!(GroupKey::read(&bytes[..cut]).is_err(), "{key:?} cut at {cut}");
        }
    }
    assert_eq!(GroupKey::read(b"\0\x0a rest of a share group's key"), Ok(GroupKey::Unknown(10)));
    let bytes = b"\0\0\0\x03tx1";
    let key = TransactionKey::TransactionLog(TransactionLogKey { transactional_id: "tx1" });
    assert_eq!(TransactionKey::read(bytes), Ok(key.clone()));
    assert_eq!(key.to_bytes().unwrap(), bytes);
}

#[test]
fn an_offset_in_all_its_versions() {
    let value = OffsetCommitValue {
        offset: 5,
        leader_epoch: 1,
        metadata: "m",
        commit_timestamp: 9,
        expire_timestamp: -1,
        topic_id: Uuid::ZERO,
    };
    let offset = b"\0\0\0\0\0\0\0\x05";
    let time = b"\0\0\0\0\0\0\0\x09";
    for (version, bytes) in [
        (0, [&b"\0\0"[..], offset, b"\0\x01m", time].concat()),
        (1, [&b"\0\x01"[..], offset, b"\0\x01m", time, &[0xff; 8]].concat()),
        (3, [&b"\0\x03"[..], offset, b"\0\0\0\x01\0\x01m", time].concat()),
        (4, [&b"\0\x04"[..], offset, b"\0\0\0\x01\x02m", time, b"\0"].concat()),
    ] {
        assert_eq!(value_bytes(&value, version).unwrap(), bytes, "{version}");
        let read: OffsetCommitValue<'_> = read_value(&bytes).unwrap();
        assert_eq!(read.offset, 5);
        assert_eq!(read.leader_epoch, if version < 3 { -1 } else { 1 });
        for cut in 0..bytes.len() {
            assert!(read_value::<OffsetCommitValue<'_>>(&bytes[..cut]).is_err(), "{version} {cut}");
        }
    }
}

#[test]
fn an_empty_transaction_has_null_partitions() {
    let value = TransactionLogValue {
        producer_id: 7,
        transaction_timeout_ms: 60_000,
        transaction_partitions: None,
        transaction_last_update_timestamp_ms: 1,
        transaction_start_timestamp_ms: -1,
        client_transaction_version: 2,
        ..TransactionLogValue::default()
    };
    let bytes = [
        &b"\0\x01"[..],
        b"\0\0\0\0\0\0\0\x07",
        b"\0\0",
        b"\0\0\xea\x60",
        b"\0",
        b"\0",
        b"\0\0\0\0\0\0\0\x01",
        &[0xff; 8],
        b"\x01\x02\x02\0\x02",
    ]
    .concat();
    assert_eq!(value_bytes(&value, 1).unwrap(), bytes);
    assert_eq!(read_value(&bytes), Ok(value));
}

#[test]
fn a_subscription_from_the_future() {
    use super::consumer_protocol::ConsumerProtocolSubscription;
    // Version 0 of an old client, version 3, and one that does not exist yet.
    let old = b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff";
    let owned = b"\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x02";
    let new = [&b"\0\x03"[..], &old[2..], owned, b"\0\0\0\x05\0\x01r"].concat();
    let future = [b"\0\x09", &new[2..], b"more"].concat();
    for (bytes, generation_id, rack_id) in
        [(&old[..], -1, None), (&new, 5, Some("r")), (&future, 5, Some("r"))]
    {
        let subscription = ConsumerProtocolSubscription::from_metadata(bytes).unwrap();
        assert_eq!(subscription.topics, ["t"]);
        assert_eq!(subscription.generation_id, generation_id);
        assert_eq!(subscription.rack_id, rack_id);
    }
    assert!(ConsumerProtocolSubscription::from_metadata(b"\xff\xff").is_err());
}

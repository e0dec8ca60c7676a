//! What is built is what Kafka builds, and reads back.

use proptest::prelude::*;

use super::*;
use crate::record::set::Batch;
use crate::record::testdata;

#[test]
fn builds_the_golden_batch() {
    let options =
        BatchOptions { base_offset: 1, partition_leader_epoch: 0, ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options).unwrap();
    let timestamp = 1_632_390_207_746;
    let record = NewRecord { timestamp, value: Some(b"hello"), ..NewRecord::default() };
    builder.append(&record).unwrap();
    assert_eq!(builder.build().unwrap(), testdata::hello_set()[73..146]);
}

#[test]
fn offsets_may_have_gaps_but_not_go_back() {
    let set = testdata::hello_set();
    let batch = Batch::new(&set[..73]).unwrap();
    let record = batch.records().unwrap().next().unwrap().unwrap();
    let mut builder =
        BatchBuilder::new(BatchOptions { base_offset: 10, ..Default::default() }).unwrap();
    builder.append_at(12, &record).unwrap();
    assert!(matches!(
        builder.append_at(12, &record),
        Err(BuildError::OffsetOutOfRange { offset: 12 })
    ));
    builder.append_at(20, &record).unwrap();
    builder.append_copy(&record).unwrap();
    let bytes = builder.build().unwrap();
    let batch = Batch::new(&bytes).unwrap();
    let offsets: Vec<_> = batch.records().unwrap().map(|record| record.unwrap().offset).collect();
    assert_eq!(offsets, [12, 20, 21]);
    assert_eq!(batch.header().last_offset(), 21);
    assert_eq!(batch.header().records_count(), 3);
}

#[test]
fn what_compaction_leaves_keeps_its_range_and_may_have_a_horizon() {
    let set = testdata::hello_set();
    let batch = Batch::new(&set[..73]).unwrap();
    let record = batch.records().unwrap().next().unwrap().unwrap();
    let options = BatchOptions { base_offset: 10, ..Default::default() };
    let mut builder = BatchBuilder::new(options).unwrap();
    builder.set_delete_horizon(record.timestamp + 5);
    builder.append_at(12, &record).unwrap();
    let bytes = builder.build_to(14).unwrap();
    let built = Batch::new(&bytes).unwrap();
    let header = built.header();
    assert!(header.attributes().has_delete_horizon());
    assert_eq!((header.base_offset(), header.last_offset()), (10, 14));
    assert_eq!(header.base_timestamp(), record.timestamp + 5);
    assert_eq!(header.max_timestamp(), record.timestamp);
    let kept = built.records().unwrap().next().unwrap().unwrap();
    assert_eq!((kept.offset, kept.timestamp), (12, record.timestamp));
    for (last_offset, fits) in [(11, false), (12, true), (i64::MAX, false)] {
        let mut builder = BatchBuilder::new(options).unwrap();
        builder.append_at(12, &record).unwrap();
        assert_eq!(builder.build_to(last_offset).is_ok(), fits, "{last_offset}");
    }
}

type OwnedHeaders = Vec<(Vec<u8>, Option<Vec<u8>>)>;

prop_compose! {
    fn some_record()(
        timestamp in prop_oneof![Just(-1), any::<i64>(), 0..10_i64],
        key in prop::option::of(prop::collection::vec(any::<u8>(), 0..100)),
        value in prop::option::of(prop::collection::vec(any::<u8>(), 0..300)),
        headers in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..9),
             prop::option::of(prop::collection::vec(any::<u8>(), 0..9))),
            0..4,
        ),
    ) -> (i64, Option<Vec<u8>>, Option<Vec<u8>>, OwnedHeaders) {
        (timestamp, key, value, headers)
    }
}

proptest! {
    #[test]
    fn round_trip(records in prop::collection::vec(some_record(), 1..8)) {
        let mut builder = BatchBuilder::new(BatchOptions::default()).unwrap();
        for (timestamp, key, value, headers) in &records {
            let headers: Vec<_> = headers
                .iter()
                .map(|(key, value)| RecordHeader { key, value: value.as_deref() })
                .collect();
            builder
                .append(&NewRecord {
                    timestamp: *timestamp,
                    key: key.as_deref(),
                    value: value.as_deref(),
                    headers: &headers,
                })
                .unwrap();
        }
        let bytes = builder.build().unwrap();
        let batch = Batch::new(&bytes).unwrap();
        batch.check_crc().unwrap();
        let mut copy = BatchBuilder::new(BatchOptions::default()).unwrap();
        let mut read = batch.records().unwrap();
        for (index, (timestamp, key, value, headers)) in records.iter().enumerate() {
            let record = read.next().unwrap().unwrap();
            prop_assert_eq!(record.offset, index as i64);
            prop_assert_eq!(record.timestamp, *timestamp);
            prop_assert_eq!(record.key, key.as_deref());
            prop_assert_eq!(record.value, value.as_deref());
            prop_assert_eq!(record.headers.len(), headers.len());
            for (theirs, ours) in record.headers.zip(headers) {
                prop_assert_eq!((theirs.key, theirs.value), (&ours.0[..], ours.1.as_deref()));
            }
            copy.append_copy(&record).unwrap();
        }
        prop_assert!(read.next().is_none());
        prop_assert_eq!(copy.build().unwrap(), bytes);
    }
}

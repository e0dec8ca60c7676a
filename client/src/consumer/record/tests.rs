//! Records of several partitions that come together.

use super::*;

/// Runs of records: of which partition, and at which offsets.
fn records(runs: &[(i32, Range<i64>)]) -> Records {
    let mut records = Records::default();
    for (partition, offsets) in runs {
        let none = Field { start: 0, length: -1 };
        let entries = offsets.clone().map(|offset| Entry {
            offset,
            timestamp: -1,
            start: NO_ENCODING,
            key: none,
            value: none,
        });
        records.entries.extend(entries);
        records.extend_run(&Arc::new(Origin {
            partition: TopicPartition::new("t", *partition),
            leader_epoch: 0,
            timestamp_type: TimestampType::CreateTime,
            payload: Payload::Decompressed(Vec::new()),
        }));
    }
    records
}

fn by_partition(records: &Records) -> Vec<(i32, Vec<i64>)> {
    let of = |of: &TopicPartition| records.of(of).map(|record| record.offset()).collect();
    records.partitions().into_iter().map(|partition| (partition.partition, of(partition))).collect()
}

#[test]
fn records_are_given_by_partition() {
    let mut records = records(&[(1, 10..12), (0, 5..6), (1, 12..15), (2, 0..0), (0, 6..8)]);
    let expected = [(1, vec![10, 11, 12, 13, 14]), (0, vec![5, 6, 7])];
    assert_eq!(by_partition(&records), expected);
    assert_eq!(records.of(&TopicPartition::new("t", 2)).count(), 0);
    assert_eq!(records.of(&TopicPartition::new("other", 1)).count(), 0);
    records.drop_entries_from(4);
    assert_eq!(by_partition(&records), [(1, vec![10, 11, 12]), (0, vec![5])]);
    records.drop_entries_from(0);
    assert!(by_partition(&records).is_empty() && records.is_empty());
}

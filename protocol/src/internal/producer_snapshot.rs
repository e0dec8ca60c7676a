//! The `.snapshot` file of a partition, which has the int16 version 1 in front.

use crate::wire::messages;

messages! {
    /// A partition's producers, as the `.snapshot` file has them after its version.
    struct ProducerSnapshot [1..=1] {
        /// CRC-32C of the file from after this field.
        crc: u32 [1..=1];
        /// One entry a producer.
        producer_entries: Vec<ProducerEntry> [1..=1];
    }

    /// A producer.
    struct ProducerEntry {
        /// The producer's id; -1 for none.
        producer_id: i64 [1..=1];
        /// The producer's epoch.
        epoch: i16 [1..=1];
        /// The sequence of the producer's last record; -1 for none.
        last_sequence: i32 [1..=1];
        /// The offset of the producer's last record; -1 for none.
        last_offset: i64 [1..=1];
        /// The last offset minus the first of the producer's last batch.
        offset_delta: i32 [1..=1];
        /// The timestamp of the producer's last batch, in ms.
        timestamp: i64 [1..=1];
        /// The epoch of the coordinator that wrote the last marker; -1 for none.
        coordinator_epoch: i32 [1..=1];
        /// The first offset of the open transaction; -1 for none.
        current_txn_first_offset: i64 [1..=1];
    }
}

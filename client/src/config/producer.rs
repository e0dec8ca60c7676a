//! Settings of producers.

use super::{Table, defs};

const MS_MAX: i64 = i64::MAX;
const INT_MAX: i64 = i32::MAX as i64;

/// Beside those that every client has.
pub(crate) const PRODUCER: &Table = &defs! {
    "acks": Choice(&["all", "-1", "0", "1"]) = "all",
        "Who must have a record before it counts as appended: all in-sync replicas, the leader \
         (1), or nobody (0), and then no offsets are known.";
    "batch.size": Number(0, INT_MAX) = "16384",
        "Bytes of a partition's records that are sent together.";
    "linger.ms": Number(0, MS_MAX) = "5",
        "How long a record waits for others that are sent with it.";
    "buffer.memory": Number(0, MS_MAX) = "33554432",
        "Bytes of records that wait to be sent; who sends more waits for room.";
    "max.block.ms": Number(0, MS_MAX) = "60000",
        "How long sending waits for room, and for a topic's metadata.";
    "metadata.max.idle.ms": Number(5000, MS_MAX) = "300000",
        "After how long a topic that nothing is sent to has its metadata not asked for any more.";
    "compression.type": Choice(&["none", "gzip", "snappy", "lz4", "zstd"]) = "none",
        "The codec of batches.";
    "compression.gzip.level": Number(-1, 9) = "-1",
        "How hard gzip tries, from 1 to 9; -1 for its own choice.";
    "compression.lz4.level": Number(1, 17) = "9",
        "How hard lz4 tries.";
    "compression.zstd.level": Number(-131_072, 22) = "3",
        "How hard zstd tries.";
    "max.request.size": Number(0, INT_MAX) = "1048576",
        "Bytes of a request, and of a record before it is compressed.";
    "delivery.timeout.ms": Number(0, INT_MAX) = "120000",
        "After how long a record that is not acknowledged has failed, with all repetitions.";
    "retries": Number(0, INT_MAX) = "2147483647",
        "How often a batch is sent again.";
    "max.in.flight.requests.per.connection": Number(1, INT_MAX) = "5",
        "Requests that a broker is sent before it has answered; at most 5 with idempotence.";
    "enable.idempotence": Flag = "true",
        "Whether batches are numbered, so that repetitions are neither doubled nor out of order.";
    "partitioner.ignore.keys": Flag = "false",
        "Whether records with a key go wherever those without do.";
    "partitioner.adaptive.partitioning.enable": Flag = "true",
        "Whether partitions that are faster get more of the records without a key (KIP-794).";
    "partitioner.availability.timeout.ms": Number(0, MS_MAX) = "0",
        "How long a broker may take nothing before its partitions get no more of the records \
         without a key; 0 for ever (KIP-794).";
};

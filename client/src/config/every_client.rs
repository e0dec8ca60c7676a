//! Settings that every client has.

use super::{Table, defs};

const MS_MAX: i64 = i64::MAX;
const INT_MAX: i64 = i32::MAX as i64;

/// In Kafka's order: where the brokers are, then how they are talked to.
pub(crate) const COMMON: &Table = &defs! {
    "bootstrap.servers": List,
        "Where to find the cluster: HOST:PORT of some of its brokers, with commas between them.";
    "client.id": Text = "",
        "A name for this client, which brokers log and can limit.";
    "metadata.max.age.ms": Number(0, MS_MAX) = "300000",
        "After how long the cluster's metadata is asked for again although nothing seems wrong.";
    "request.timeout.ms": Number(0, INT_MAX) = "30000",
        "How long an answer may take before the connection is given up.";
    "default.api.timeout.ms": Number(0, INT_MAX) = "60000",
        "How long a call may take in all, with everything that is tried again.";
    "retry.backoff.ms": Number(0, MS_MAX) = "100",
        "How long to wait before the first repetition of a request.";
    "retry.backoff.max.ms": Number(0, MS_MAX) = "1000",
        "How long to wait before a repetition at most; it doubles up to there.";
    "reconnect.backoff.ms": Number(0, MS_MAX) = "50",
        "How long to wait before the first repetition of an attempt to connect.";
    "reconnect.backoff.max.ms": Number(0, MS_MAX) = "1000",
        "How long to wait before an attempt to connect at most; it doubles up to there.";
    "socket.connection.setup.timeout.ms": Number(0, MS_MAX) = "10000",
        "How long it may take until a connection is there.";
    "socket.connection.setup.timeout.max.ms": Number(0, MS_MAX) = "30000",
        "How long it may take at most; it doubles up to there with each attempt that failed.";
    "send.buffer.bytes": Number(-1, INT_MAX) = "-1",
        "The kernel's buffer for what a connection sends, bytes; -1 leaves it to the kernel.";
    "receive.buffer.bytes": Number(-1, INT_MAX) = "-1",
        "The kernel's buffer for what a connection receives, bytes; -1 leaves it to the kernel.";
    "connections.max.idle.ms": Number(-1, MS_MAX) = "540000",
        "After how long an unused connection is closed; -1 for never.";
    "receive.message.max.bytes": Number(1024, INT_MAX) = "104857600",
        "How long an answer may be: longer ones end the connection (librdkafka's name). What a \
         batch may decompress to, for a consumer.";
    "security.protocol": Choice(&["PLAINTEXT"]) = "PLAINTEXT",
        "How to talk to brokers. TLS and SASL are not there yet.";
};

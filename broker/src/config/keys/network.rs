//! Listeners, connections and request limits.

use super::keys;
use crate::config::ConfigDef;

pub(super) const KEYS: &[ConfigDef] = keys! {
    List "listeners" = "PLAINTEXT://:9092", NonEmptyList, PerBroker, Acts,
        "Where to listen, as NAME://host:port. An empty host means every address.";
    List "advertised.listeners" = null, NonEmptyList, ReadOnly, Acts,
        "What clients are told to connect to; `listeners` when null.";
    String "listener.security.protocol.map" =
        "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT", Any,
        PerBroker, Acts,
        "Which protocol each listener name speaks. Ottla speaks PLAINTEXT.";
    String "inter.broker.listener.name" = null, Any, ReadOnly, Acts,
        "The listener that brokers use among themselves; must be one of the listeners.";
    String "security.inter.broker.protocol" =
        "PLAINTEXT", OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]), ReadOnly, NoEffect,
        "The protocol among brokers when no inter-broker listener is named.";
    List "early.start.listeners" = null, Any, ReadOnly, NoEffect,
        "Listeners that answer before the authorizer is ready.";
    Int "num.network.threads" = "3", AtLeast(1), ClusterWide, Acts,
        "Threads that read requests and write answers, for each listener; at most one a core.";
    Int "num.io.threads" = "8", AtLeast(1), ClusterWide, Acts,
        "Threads that handle requests.";
    Int "queued.max.requests" = "500", AtLeast(1), ReadOnly, Acts,
        "Requests that may wait for a handler before sockets are no longer read.";
    Long "queued.max.request.bytes" = "-1", Any, ReadOnly, Acts,
        "Bytes of waiting requests before sockets are no longer read; -1 for no limit.";
    Int "socket.request.max.bytes" = "104857600", AtLeast(1), ReadOnly, Acts,
        "The largest request; a longer one closes its connection.";
    Int "socket.send.buffer.bytes" = "102400", Any, ReadOnly, Acts,
        "The sockets' SO_SNDBUF. Where it is not set, or -1, the system sizes it as needed.";
    Int "socket.receive.buffer.bytes" = "102400", Any, ReadOnly, Acts,
        "The sockets' SO_RCVBUF; -1 leaves the system's default.";
    Int "socket.listen.backlog.size" = "50", AtLeast(1), ReadOnly, Acts,
        "Connections that may wait to be accepted.";
    Long "socket.connection.setup.timeout.ms" = "10000", Any, ReadOnly, NoEffect,
        "How long connecting to another broker may take at first.";
    Long "socket.connection.setup.timeout.max.ms" = "30000", Any, ReadOnly, NoEffect,
        "How long connecting to another broker may take at most.";
    Int "max.connections" = "2147483647", AtLeast(0), ClusterWide, Acts,
        "Connections of the whole broker; further ones wait.";
    Int "max.connections.per.ip" = "2147483647", AtLeast(0), ClusterWide, Acts,
        "Connections from one address; further ones are closed.";
    String "max.connections.per.ip.overrides" = "", Any, ClusterWide, Acts,
        "Exceptions to `max.connections.per.ip` as host:count,host:count.";
    Int "max.connection.creation.rate" = "2147483647", AtLeast(0), ClusterWide, Acts,
        "New connections a second.";
    Long "connections.max.idle.ms" = "600000", Any, ReadOnly, Acts,
        "Connections that are silent for longer are closed.";
    Long "connections.max.reauth.ms" = "0", Any, ReadOnly, NotYet,
        "How long an authenticated session lasts.";
    Int "connection.failed.authentication.delay.ms" = "100", AtLeast(0), ReadOnly, NotYet,
        "How long the close after a failed authentication is put off.";
    Int "request.timeout.ms" = "30000", Any, ReadOnly, NoEffect,
        "How long requests to other brokers may take.";
    Int "fetch.max.bytes" = "57671680", AtLeast(1024), ReadOnly, Acts,
        "Most bytes of records in one fetch response, whatever the client asks for.";
    Int "max.incremental.fetch.session.cache.slots" = "1000", AtLeast(0), ReadOnly, Acts,
        "Incremental fetch sessions that are kept.";
    Int "max.request.partition.size.limit" = "2000", AtLeast(1), ReadOnly, Acts,
        "Most partitions in one DescribeTopicPartitions response.";
    Int "fetch.purgatory.purge.interval.requests" = "1000", Any, ReadOnly, NoEffect,
        "When finished fetches are swept out; Ottla removes them at once.";
    Int "producer.purgatory.purge.interval.requests" = "1000", Any, ReadOnly, NoEffect,
        "When finished produces are swept out; Ottla removes them at once.";
    Int "delete.records.purgatory.purge.interval.requests" = "1", Any, ReadOnly, NoEffect,
        "When finished record deletions are swept out; Ottla removes them at once.";
    Int "share.fetch.purgatory.purge.interval.requests" = "1000", Any, ReadOnly, NoEffect,
        "When finished share fetches are swept out; Ottla removes them at once.";
};

//! Metadata: brokers, topics, partitions and their leaders.

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::messages;

messages! {
    /// Request 3. Brokers, topics, partitions and their leaders.
    struct MetadataRequest<'a> [0..=13, flexible (9..)] {
        /// The topics asked for. Version 0: empty asks for all; later: null does, and empty for
        /// none.
        topics: Option<Vec<MetadataRequestTopic<'a>>> [0..; null 1..] = Some(Vec::new());
        /// Whether asking for a topic that does not exist may create it.
        allow_auto_topic_creation: bool [4..] = true;
        /// Whether to say what the client may do to the cluster.
        include_cluster_authorized_operations: bool [8..=10];
        /// Whether to say what the client may do to each topic.
        include_topic_authorized_operations: bool [8..];
    }

    /// A topic asked for.
    struct MetadataRequestTopic<'a> {
        /// The topic's id; zero when it is given by name.
        topic_id: Uuid [10.., ignorable];
        /// The topic's name; null when it is given by id.
        name: Option<&'a str> [0..; null 10..] = Some("");
    }

    /// The answer to [`MetadataRequest`].
    struct MetadataResponse<'a> [0..=13, flexible (9..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [3.., ignorable];
        /// The brokers, at their endpoints on the listener that was asked.
        brokers: Vec<MetadataResponseBroker<'a>> [0..];
        /// The cluster's id.
        cluster_id: Option<&'a str> [2.., ignorable];
        /// The controller's id; -1 when there is none. KRaft brokers name some broker.
        controller_id: i32 [1.., ignorable] = -1;
        /// One entry a topic.
        topics: Vec<MetadataResponseTopic<'a>> [0..];
        /// What the client may do, bit n for operation code n; `i32::MIN` when not asked for.
        cluster_authorized_operations: i32 [8..=10] = i32::MIN;
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [13.., ignorable];
    }

    /// A broker.
    struct MetadataResponseBroker<'a> {
        /// The node's id.
        node_id: i32 [0..];
        /// Where to connect: a host name or an address.
        host: &'a str [0..];
        /// Where to connect: the TCP port.
        port: i32 [0..];
        /// The node's rack; null when it has none.
        rack: Option<&'a str> [1.., ignorable];
    }

    /// A topic.
    struct MetadataResponseTopic<'a> {
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// The topic's name; null when an id was asked for that does not exist.
        name: Option<&'a str> [0..; null 12..] = Some("");
        /// The topic's id.
        topic_id: Uuid [10.., ignorable];
        /// Whether Kafka keeps its own state in the topic.
        is_internal: bool [1.., ignorable];
        /// One entry a partition.
        partitions: Vec<MetadataResponsePartition> [0..];
        /// What the client may do, bit n for operation code n; `i32::MIN` when not asked for.
        topic_authorized_operations: i32 [8..] = i32::MIN;
    }

    /// A partition.
    struct MetadataResponsePartition {
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// The partition's number within its topic.
        partition_index: i32 [0..];
        /// The leader's node id; -1 when there is none.
        leader_id: i32 [0..];
        /// The leader's epoch, counted up by each election; -1 when not known.
        leader_epoch: i32 [7.., ignorable] = -1;
        /// All replicas' node ids, the preferred leader first.
        replica_nodes: Vec<i32> [0..];
        /// The node ids of the replicas that are in sync.
        isr_nodes: Vec<i32> [0..];
        /// The node ids of the replicas that are down.
        offline_replicas: Vec<i32> [5.., ignorable];
    }
}

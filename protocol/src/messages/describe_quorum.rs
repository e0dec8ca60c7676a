//! DescribeQuorum: state of the metadata quorum.

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::messages;

messages! {
    /// Request 55. State of the metadata quorum.
    struct DescribeQuorumRequest<'a> [0..=2, flexible (0..)] {
        /// One entry a topic.
        topics: Vec<TopicData<'a>> [0..];
    }

    /// A topic asked about.
    struct TopicData<'a> {
        /// The topic's name.
        topic_name: &'a str [0..];
        /// One entry a partition.
        partitions: Vec<PartitionData> [0..];
    }

    /// A partition asked about.
    struct PartitionData {
        /// The partition's number within its topic.
        partition_index: i32 [0..];
    }

    /// The answer to [`DescribeQuorumRequest`].
    struct DescribeQuorumResponse<'a> [0..=2, flexible (0..)] {
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [2.., ignorable] = Some("");
        /// One entry a topic.
        topics: Vec<ResponseTopicData<'a>> [0..];
        /// Where the nodes are.
        nodes: Vec<Node<'a>> [2..];
    }

    /// A topic.
    struct ResponseTopicData<'a> {
        /// The topic's name.
        topic_name: &'a str [0..];
        /// One entry a partition.
        partitions: Vec<ResponsePartitionData<'a>> [0..];
    }

    /// A partition and its quorum.
    struct ResponsePartitionData<'a> {
        /// The partition's number within its topic.
        partition_index: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [2.., ignorable] = Some("");
        /// The leader's node id; -1 when there is none.
        leader_id: i32 [0..];
        /// The leader's epoch, counted up by each election; -1 when not known.
        leader_epoch: i32 [0..];
        /// Offsets below it are on all in-sync replicas; -1 when not known.
        high_watermark: i64 [0..];
        /// The voters.
        current_voters: Vec<ReplicaState> [0..];
        /// Nodes that follow the log without a vote.
        observers: Vec<ReplicaState> [0..];
    }

    /// How far a replica is.
    struct ReplicaState {
        /// The replica's node id.
        replica_id: i32 [0..];
        /// The id of the log directory that holds the replica.
        replica_directory_id: Uuid [2..];
        /// The next offset of the replica's log; -1 when not known.
        log_end_offset: i64 [0..];
        /// When the leader last heard the replica fetch, in ms; -1 when not known.
        last_fetch_timestamp: i64 [1.., ignorable] = -1;
        /// When the replica last had the whole log, in ms; -1 when not known.
        last_caught_up_timestamp: i64 [1.., ignorable] = -1;
    }

    /// A node of the quorum.
    struct Node<'a> {
        /// The node's id.
        node_id: i32 [2..];
        /// The node's endpoints.
        listeners: Vec<Listener<'a>> [2..];
    }

    /// A node's endpoint.
    struct Listener<'a> {
        /// The listener's name.
        name: &'a str [2..];
        /// Where to connect: a host name or an address.
        host: &'a str [2..];
        /// Where to connect: the TCP port.
        port: u16 [2..];
    }
}

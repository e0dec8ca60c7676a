//! Fetch: read record batches, waiting for them if asked to.

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{Records, messages};

messages! {
    /// Request 1. Read record batches, waiting for them if asked to.
    struct FetchRequest<'a> [4..=18, flexible (12..)] {
        /// The follower's node id; -1 from consumers.
        replica_id: i32 [0..=14] = -1;
        /// How long to wait for `min_bytes`, in ms.
        max_wait_ms: i32 [0..];
        /// Answer as soon as this many bytes can be sent.
        min_bytes: i32 [0..];
        /// Send about this many bytes at most; the first batch is sent whatever its size.
        max_bytes: i32 [3.., ignorable] = i32::MAX;
        /// 0 reads all up to the high watermark, 1 committed transactions only.
        isolation_level: i8 [4.., ignorable];
        /// The fetch session; 0 for none, or for a new one.
        session_id: i32 [7.., ignorable];
        /// The request's number in its session: 0 opens one, -1 closes it or does without.
        session_epoch: i32 [7.., ignorable] = -1;
        /// One entry a topic.
        topics: Vec<FetchTopic<'a>> [0..];
        /// Partitions to take out of the session.
        forgotten_topics_data: Vec<ForgottenTopic<'a>> [7..];
        /// The consumer's rack, for reading from a replica nearby.
        rack_id: &'a str [11.., ignorable];
    } tagged {
        /// The cluster's id, so that one cluster does not fetch from another; null from consumers.
        0 => cluster_id: Option<&'a str> [12.., ignorable];
        /// Who fetches, when it is not a consumer.
        1 => replica_state: ReplicaState [15..];
    }

    /// Who fetches.
    struct ReplicaState {
        /// The follower's node id; -1 from consumers.
        replica_id: i32 [15..] = -1;
        /// The follower's broker epoch; -1 when not known.
        replica_epoch: i64 [15..] = -1;
    }

    /// Partitions to fetch from.
    struct FetchTopic<'a> {
        /// The topic's name.
        topic: &'a str [0..=12, ignorable];
        /// The topic's id.
        topic_id: Uuid [13.., ignorable];
        /// One entry a partition.
        partitions: Vec<FetchPartition> [0..];
    }

    /// A partition to fetch from.
    struct FetchPartition {
        /// The partition's number within its topic.
        partition: i32 [0..];
        /// The leader epoch that the client knows, checked against the broker's; -1 for no check.
        current_leader_epoch: i32 [9.., ignorable] = -1;
        /// The first offset wanted.
        fetch_offset: i64 [0..];
        /// The leader epoch of the last record fetched, to find a divergence; -1 for no check.
        last_fetched_epoch: i32 [12..] = -1;
        /// The first offset that the follower has; -1 from consumers.
        log_start_offset: i64 [5.., ignorable] = -1;
        /// Send about this many bytes of this partition at most.
        partition_max_bytes: i32 [0..];
    } tagged {
        /// The id of the log directory that holds the replica.
        0 => replica_directory_id: Uuid [17.., ignorable];
        /// The high watermark that the follower knows; -1 when it knows none, the maximum when it
        /// does not track this.
        1 => high_watermark: i64 [18.., ignorable] = i64::MAX;
    }

    /// Partitions to take out of the session.
    struct ForgottenTopic<'a> {
        /// The topic's name.
        topic: &'a str [7..=12, ignorable];
        /// The topic's id.
        topic_id: Uuid [13.., ignorable];
        /// The partitions' numbers within their topic.
        partitions: Vec<i32> [7..];
    }

    /// The answer to [`FetchRequest`].
    struct FetchResponse<'a> [4..=18, flexible (12..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [1.., ignorable];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [7.., ignorable];
        /// The fetch session; 0 for none, or for a new one.
        session_id: i32 [7..];
        /// One entry a topic.
        responses: Vec<FetchableTopicResponse<'a>> [0..];
    } tagged {
        /// Where the leaders in this answer are.
        0 => node_endpoints: Vec<NodeEndpoint<'a>> [16..];
    }

    /// A topic's records.
    struct FetchableTopicResponse<'a> {
        /// The topic's name.
        topic: &'a str [0..=12, ignorable];
        /// The topic's id.
        topic_id: Uuid [13.., ignorable];
        /// One entry a partition.
        partitions: Vec<PartitionData<'a>> [0..];
    }

    /// A partition's records.
    struct PartitionData<'a> {
        /// The partition's number within its topic.
        partition_index: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// Offsets below it are on all in-sync replicas; -1 when not known.
        high_watermark: i64 [0..];
        /// Offsets below it belong to no open transaction; -1 when not known.
        last_stable_offset: i64 [4.., ignorable] = -1;
        /// The first offset of the log; -1 when not known.
        log_start_offset: i64 [5.., ignorable] = -1;
        /// Aborted transactions that overlap the records; null unless committed reads were asked
        /// for.
        aborted_transactions: Option<Vec<AbortedTransaction>> [4.., ignorable] = Some(Vec::new());
        /// The node id of a replica to read from instead; -1 for none.
        preferred_read_replica: i32 [11..] = -1;
        /// Record batches, as in a segment file.
        records: Option<Records<'a>> [0..];
    } tagged {
        /// Where the follower's log stops to agree with the leader's; unset when they agree.
        0 => diverging_epoch: EpochEndOffset [12..];
        /// Who leads the partition, when the client asked the wrong broker.
        1 => current_leader: LeaderIdAndEpoch [12..];
        /// The snapshot to fetch first, when the offset is before the log; metadata quorum only.
        2 => snapshot_id: SnapshotId [12..];
    }

    /// Where an epoch ends.
    struct EpochEndOffset {
        /// The largest epoch that the leader knows up to the one asked for; -1 for none.
        epoch: i32 [12..] = -1;
        /// The offset after the epoch's last record; -1 when not known.
        end_offset: i64 [12..] = -1;
    }

    /// A partition's leader.
    struct LeaderIdAndEpoch {
        /// The leader's node id; -1 when there is none.
        leader_id: i32 [12..] = -1;
        /// The leader's epoch, counted up by each election; -1 when not known.
        leader_epoch: i32 [12..] = -1;
    }

    /// A snapshot of the metadata log.
    struct SnapshotId {
        /// The offset after the snapshot's last record; -1 for no snapshot.
        end_offset: i64 [0..] = -1;
        /// The leader epoch of the snapshot's last record; -1 for no snapshot.
        epoch: i32 [0..] = -1;
    }

    /// A transaction that was aborted.
    struct AbortedTransaction {
        /// The producer's id; -1 for none.
        producer_id: i64 [4..];
        /// The transaction's first offset in this partition.
        first_offset: i64 [4..];
    }

    /// Where a node is.
    struct NodeEndpoint<'a> {
        /// The node's id.
        node_id: i32 [16..];
        /// Where to connect: a host name or an address.
        host: &'a str [16..];
        /// Where to connect: the TCP port.
        port: i32 [16..];
        /// The node's rack; null when it has none.
        rack: Option<&'a str> [16..];
    }
}

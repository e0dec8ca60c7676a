//! DescribeCluster: the cluster and its brokers.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 60. The cluster and its brokers.
    struct DescribeClusterRequest [0..=2, flexible (0..)] {
        /// Whether to say what the client may do to the cluster.
        include_cluster_authorized_operations: bool [0..];
        /// Which nodes: 1 brokers, 2 controllers.
        endpoint_type: i8 [1..] = 1;
        /// Whether brokers that are fenced are wanted too.
        include_fenced_brokers: bool [2..];
    }

    /// The answer to [`DescribeClusterRequest`].
    struct DescribeClusterResponse<'a> [0..=2, flexible (0..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..];
        /// Which nodes: 1 brokers, 2 controllers.
        endpoint_type: i8 [1..] = 1;
        /// The cluster's id.
        cluster_id: &'a str [0..];
        /// The controller's id; -1 when there is none. KRaft brokers name some broker.
        controller_id: i32 [0..] = -1;
        /// The brokers, at their endpoints on the listener that was asked.
        brokers: Vec<DescribeClusterBroker<'a>> [0..];
        /// What the client may do, bit n for operation code n; `i32::MIN` when not asked for.
        cluster_authorized_operations: i32 [0..] = i32::MIN;
    }

    /// A broker.
    struct DescribeClusterBroker<'a> {
        /// The broker's node id.
        broker_id: i32 [0..];
        /// Where to connect: a host name or an address.
        host: &'a str [0..];
        /// Where to connect: the TCP port.
        port: i32 [0..];
        /// The node's rack; null when it has none.
        rack: Option<&'a str> [0..];
        /// Whether the broker is fenced: registered, but not in use.
        is_fenced: bool [2..];
    }
}

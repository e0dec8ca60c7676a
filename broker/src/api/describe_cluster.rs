//! DescribeCluster: the cluster and its brokers, which here is this one.

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};

use super::{Call, Outcome, Unanswerable};
use crate::node::{CLUSTER_OPERATIONS, Node};

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: DescribeClusterRequest = call.body()?;
    let refused = match request.endpoint_type {
        BROKERS => None,
        // Version 0 has no other types, and the codes came with version 1 (KIP-919).
        _ if call.version() == 0 => Some((ErrorCode::INVALID_REQUEST, "unknown endpoint type")),
        CONTROLLERS => Some((
            ErrorCode::MISMATCHED_ENDPOINT_TYPE,
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of \
             type CONTROLLER",
        )),
        _ => Some((ErrorCode::UNSUPPORTED_ENDPOINT_TYPE, "Unsupported endpoint type")),
    };
    if let Some((error_code, message)) = refused {
        return call.answer(&DescribeClusterResponse {
            error_code,
            error_message: Some(message),
            ..Default::default()
        });
    }
    let endpoint = node.endpoint_for(call.connection.listener);
    call.answer(&DescribeClusterResponse {
        cluster_id: &node.cluster_id,
        controller_id: node.config.node_id,
        brokers: vec![DescribeClusterBroker {
            broker_id: node.config.node_id,
            host: &endpoint.host,
            port: i32::from(endpoint.port),
            rack: node.config.rack.as_deref(),
            is_fenced: false,
        }],
        cluster_authorized_operations: if request.include_cluster_authorized_operations {
            CLUSTER_OPERATIONS
        } else {
            i32::MIN
        },
        ..Default::default()
    })
}

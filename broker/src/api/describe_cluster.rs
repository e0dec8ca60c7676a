//! DescribeCluster: the cluster and its brokers, which here is this one.

use std::sync::Arc;

use ottla_metadata::image::Image;
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
    let image = node.cluster.image();
    let mut brokers = vec![DescribeClusterBroker {
        broker_id: node.config.node_id,
        host: &endpoint.host,
        port: i32::from(endpoint.port),
        rack: node.config.rack.as_deref(),
        is_fenced: false,
    }];
    if request.include_fenced_brokers {
        brokers.extend(fenced(&image, node.config.node_id, &endpoint.listener));
    }
    call.answer(&DescribeClusterResponse {
        cluster_id: &node.cluster_id,
        controller_id: node.config.node_id,
        brokers,
        cluster_authorized_operations: if request.include_cluster_authorized_operations {
            CLUSTER_OPERATIONS
        } else {
            i32::MIN
        },
        ..Default::default()
    })
}

/// The brokers that are registered and not running: those of a larger cluster that this one was.
fn fenced<'a>(
    image: &'a Image,
    node_id: i32,
    listener: &str,
) -> impl Iterator<Item = DescribeClusterBroker<'a>> {
    let others = image.brokers().values().filter(move |broker| broker.id != node_id);
    others.filter(|broker| broker.fenced).filter_map(move |broker| {
        let endpoint = broker.endpoint(listener)?;
        Some(DescribeClusterBroker {
            broker_id: broker.id,
            host: &endpoint.host,
            port: i32::from(endpoint.port),
            rack: broker.rack.as_deref(),
            is_fenced: true,
        })
    })
}

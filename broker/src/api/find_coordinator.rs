//! FindCoordinator: who coordinates a group or a transaction. Of groups it is this broker;
//! transactions have no coordinator yet, and TRANSACTIONAL_ID_AUTHORIZATION_FAILED says so, which
//! clients take for final. With COORDINATOR_NOT_AVAILABLE they ask again, Java's admin client
//! without a pause.

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};

use super::{Call, Outcome, Unanswerable, check_count};
use crate::node::Node;

/// From this version on a request has a list of keys.
const LISTS_FROM: i16 = 4;
/// From this version on an answer has a message. An answer about one key that went well has this
/// one in Kafka.
const WELL: &str = "NONE";
const NO_TRANSACTIONS: &str = "this broker coordinates no transactions yet";

/// An answer repeats each key with some 80 bytes more.
const KEYS_MAX: usize = 100_000;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: FindCoordinatorRequest<'_> = call.body()?;
    check_count(request.coordinator_keys.len(), KEYS_MAX)?;
    let found = match request.key_type {
        GROUP => node.groups.prepare(node).map_err(|error_code| (error_code, "")),
        TRANSACTION => Err((ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED, NO_TRANSACTIONS)),
        _ => Err((ErrorCode::INVALID_REQUEST, "")),
    };
    let endpoint = node.endpoint_for(call.connection.listener);
    let coordinator = |key| match found {
        Ok(()) => Coordinator {
            key,
            node_id: node.config.node_id,
            host: &endpoint.host,
            port: i32::from(endpoint.port),
            ..Default::default()
        },
        Err((error_code, message)) => Coordinator {
            key,
            node_id: -1,
            host: "",
            port: -1,
            error_code,
            error_message: Some(message),
        },
    };
    if call.version() < LISTS_FROM {
        let Coordinator { node_id, host, port, error_code, error_message, .. } =
            coordinator(request.key);
        let error_message = if error_code == ErrorCode::NONE { Some(WELL) } else { error_message };
        return call.answer(&FindCoordinatorResponse {
            error_code,
            error_message,
            node_id,
            host,
            port,
            ..Default::default()
        });
    }
    let coordinators = request.coordinator_keys.iter().map(|key| coordinator(key));
    call.answer(&FindCoordinatorResponse {
        coordinators: coordinators.collect(),
        ..Default::default()
    })
}

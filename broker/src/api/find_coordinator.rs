//! FindCoordinator: who coordinates a group or a transaction. Nobody does here yet, and that is
//! what it says: COORDINATOR_NOT_AVAILABLE.

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};

use super::{Call, Outcome, Unanswerable, check_count};
use crate::node::Node;

/// From this version on a request has a list of keys.
const LISTS_FROM: i16 = 4;
const MESSAGE: &str = "this broker coordinates no groups and no transactions yet";

/// An answer repeats each key with some 80 bytes more.
const KEYS_MAX: usize = 100_000;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

pub(super) fn handle(_: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: FindCoordinatorRequest<'_> = call.body()?;
    check_count(request.coordinator_keys.len(), KEYS_MAX)?;
    let error_code = match request.key_type {
        GROUP | TRANSACTION => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        _ => ErrorCode::INVALID_REQUEST,
    };
    let error_message = Some(MESSAGE);
    if call.version() < LISTS_FROM {
        return call.answer(&FindCoordinatorResponse {
            error_code,
            error_message,
            node_id: -1,
            port: -1,
            ..Default::default()
        });
    }
    let coordinators = request.coordinator_keys.iter().map(|key| Coordinator {
        key,
        node_id: -1,
        host: "",
        port: -1,
        error_code,
        error_message,
    });
    call.answer(&FindCoordinatorResponse {
        coordinators: coordinators.collect(),
        ..Default::default()
    })
}

//! InitProducerId: an id for an idempotent producer.

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

use super::{Call, Outcome, Unanswerable};
use crate::node::Node;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: InitProducerIdRequest<'_> = call.body()?;
    call.answer(&match init(node, &request) {
        Ok(producer_id) => InitProducerIdResponse { producer_id, ..Default::default() },
        // The epoch of a refused request is -1, as in Kafka.
        Err(error_code) => {
            InitProducerIdResponse { error_code, producer_epoch: -1, ..Default::default() }
        }
    })
}

fn init(node: &Node, request: &InitProducerIdRequest<'_>) -> Result<i64, ErrorCode> {
    match request.transactional_id {
        Some("") => return Err(ErrorCode::INVALID_REQUEST),
        // Transactions have no coordinator here yet, which FindCoordinator says the same way.
        Some(_) => return Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
        None => {}
    }
    if (request.producer_id == -1) != (request.producer_epoch == -1) {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    node.next_producer_id().map_err(|error| {
        log::error!("no producer id: {error}");
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
    })
}

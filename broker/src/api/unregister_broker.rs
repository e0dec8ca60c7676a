//! UnregisterBroker: a broker that will not come back is forgotten.

use std::sync::Arc;

use ottla_metadata::controller::{self, Records, Refused};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::unregister_broker::{
    UnregisterBrokerRequest, UnregisterBrokerResponse,
};

use super::{Call, Outcome, Unanswerable};
use crate::node::Node;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: UnregisterBrokerRequest = call.body()?;
    let done = unregister(node, request.broker_id);
    let refused = done.as_ref().err();
    call.answer(&UnregisterBrokerResponse {
        error_code: refused.map_or(ErrorCode::NONE, |refused| refused.code),
        error_message: Some(refused.map_or("", |refused| &refused.message)),
        ..Default::default()
    })
}

fn unregister(node: &Node, id: i32) -> Result<(), Refused> {
    if id == node.config.node_id {
        // Kafka does it, and leaves a cluster that serves nothing until it is started again.
        let message = format!("Broker {id} is running; it must be stopped first.");
        return Err(Refused::new(ErrorCode::INVALID_REQUEST, message));
    }
    node.change_partitions(|image| match controller::unregister_broker(image, id) {
        Ok(records) => (records, Ok(())),
        Err(refused) => (Records::new(), Err(refused)),
    })?
}

//! IncrementalAlterConfigs: sets and deletes single keys of resources, and edits lists.

use std::sync::Arc;

use ottla_metadata::controller::{ConfigChange, ConfigOperation, Refused};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterConfigsResourceResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};

use super::{Call, ITEMS_MAX, Outcome, Unanswerable, check_count};
use crate::altering::Way;
use crate::node::Node;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: IncrementalAlterConfigsRequest<'_> = call.body()?;
    check_count(request.resources.len(), ITEMS_MAX)?;
    let changes: Vec<ConfigChange<'_>> = request.resources.iter().map(change).collect();
    let results = node.alter_configs(&changes, Way::Incremental, request.validate_only);
    let responses = changes.iter().zip(&results).map(|(change, result)| {
        let (error_code, error_message) = told(result);
        AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type: change.resource_type,
            resource_name: change.resource_name,
        }
    });
    let responses = responses.collect();
    call.answer(&IncrementalAlterConfigsResponse { responses, ..Default::default() })
}

fn change<'a>(resource: &AlterConfigsResource<'a>) -> ConfigChange<'a> {
    let steps = resource.configs.iter().map(|config| ConfigOperation {
        key: config.name,
        operation: config.config_operation,
        value: config.value,
    });
    ConfigChange {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
        operations: steps.collect(),
    }
}

/// The longest message, bytes: it repeats what the client sent, which the older forms of the answer
/// may have no room for.
const MESSAGE_BYTES_MAX: usize = 4096;

/// The code and the message of one resource.
pub(super) fn told(result: &Result<(), Refused>) -> (ErrorCode, Option<&str>) {
    match result {
        Ok(()) => (ErrorCode::NONE, None),
        Err(Refused { code, message }) => {
            let end = message.floor_char_boundary(MESSAGE_BYTES_MAX);
            (*code, Some(&message[..end]))
        }
    }
}

//! AlterConfigs: replaces all that is set on resources. The older of the two ways; tools that know
//! IncrementalAlterConfigs use that.

use std::sync::Arc;

use ottla_metadata::controller::{ConfigChange, ConfigOperation};
use ottla_protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse, AlterConfigsResponse,
};

use super::incremental_alter_configs::told;
use super::{Call, ITEMS_MAX, Outcome, Unanswerable, check_count};
use crate::altering::Way;
use crate::node::Node;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: AlterConfigsRequest<'_> = call.body()?;
    check_count(request.resources.len(), ITEMS_MAX)?;
    let changes: Vec<ConfigChange<'_>> = request.resources.iter().map(change).collect();
    let results = node.alter_configs(&changes, Way::Replace, request.validate_only);
    let responses = changes.iter().zip(&results).map(|(change, result)| {
        let (error_code, error_message) = told(result);
        AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type: change.resource_type,
            resource_name: change.resource_name,
        }
    });
    call.answer(&AlterConfigsResponse { responses: responses.collect(), ..Default::default() })
}

fn change<'a>(resource: &AlterConfigsResource<'a>) -> ConfigChange<'a> {
    let set = resource.configs.iter().map(|config| ConfigOperation {
        key: config.name,
        operation: ConfigOperation::SET,
        value: config.value,
    });
    ConfigChange {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
        operations: set.collect(),
    }
}

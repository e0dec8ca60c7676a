//! ListGroups: the groups of this broker, by state and type.

use std::sync::Arc;

use ottla_coordinator::group::requests::is_listed;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};

use super::{Call, Outcome, Unanswerable};
use crate::node::Node;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: ListGroupsRequest<'_> = call.body()?;
    node.groups.look_at_all(node, |shards, _| {
        let mut groups = Vec::new();
        for shard in shards {
            match shard {
                Ok(shard) => {
                    let asked = |group: &ListedGroup<'_>| {
                        is_listed(group, &request.states_filter, &request.types_filter)
                    };
                    groups.extend(shard.list().filter(asked));
                }
                // What is gone has no groups; what is being loaded may have any.
                Err(ErrorCode::NOT_COORDINATOR) => {}
                Err(error_code) => {
                    return call.answer(&ListGroupsResponse {
                        error_code: *error_code,
                        ..Default::default()
                    });
                }
            }
        }
        call.answer(&ListGroupsResponse { groups, ..Default::default() })
    })
}

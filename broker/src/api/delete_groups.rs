//! DeleteGroups: groups without members go, and their offsets with them.

use std::collections::HashSet;
use std::sync::Arc;

use ottla_protocol::messages::delete_groups::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse,
};

use super::{Call, Outcome, Unanswerable};
use crate::node::Node;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: DeleteGroupsRequest<'_> = call.body()?;
    // A group that is named twice is deleted and answered for once.
    let mut seen = HashSet::new();
    let names = request.groups_names.iter().filter(|group_id| seen.insert(**group_id));
    let results = names.map(|group_id| {
        let deleted =
            node.groups.run(node, group_id, |shard, context| shard.delete_group(group_id, context));
        DeletableGroupResult { group_id, error_code: deleted.unwrap_or_else(|error| error) }
    });
    call.answer(&DeleteGroupsResponse { results: results.collect(), ..Default::default() })
}

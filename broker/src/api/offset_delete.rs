//! OffsetDelete: a group forgets how far it has come.

use std::sync::Arc;

use ottla_protocol::messages::offset_delete::{OffsetDeleteRequest, OffsetDeleteResponse};

use super::{Call, Outcome, Unanswerable};
use crate::node::Node;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: OffsetDeleteRequest<'_> = call.body()?;
    let deleted = node
        .groups
        .run(node, request.group_id, |shard, context| shard.delete_offsets(&request, context));
    call.answer(
        &deleted
            .unwrap_or_else(|error_code| OffsetDeleteResponse { error_code, ..Default::default() }),
    )
}

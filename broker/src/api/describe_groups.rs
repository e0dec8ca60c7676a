//! DescribeGroups: classic groups and their members.

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup,
};

use super::{Call, Outcome, Unanswerable, check_count, name_once};
use crate::node::{GROUP_OPERATIONS, Node};

/// An answer has some 40 bytes more for each group that it does not find.
const GROUPS_MAX: usize = 100_000;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let mut request: DescribeGroupsRequest<'_> = call.body()?;
    check_count(request.groups.len(), GROUPS_MAX)?;
    name_once(&mut request.groups);
    node.groups.look(node, &request.groups, |shards, _| {
        let asked = || request.groups.iter().zip(shards);
        let reasons = asked().map(|(group_id, shard)| match shard {
            Ok(shard) => shard.why_not_classic(group_id),
            Err(_) => String::new(),
        });
        let reasons: Vec<String> = reasons.collect();
        let groups = asked().zip(&reasons).map(|((group_id, shard), reason)| {
            let mut group = match shard {
                Ok(shard) => shard.describe_classic(group_id, call.version()),
                Err(error_code) => {
                    DescribedGroup { error_code: *error_code, group_id, ..Default::default() }
                }
            };
            if request.include_authorized_operations && group.error_code == ErrorCode::NONE {
                group.authorized_operations = GROUP_OPERATIONS;
            }
            if group.error_code == ErrorCode::GROUP_ID_NOT_FOUND {
                group.error_message = Some(reason);
            }
            group
        });
        call.answer(&DescribeGroupsResponse { groups: groups.collect(), ..Default::default() })
    })
}

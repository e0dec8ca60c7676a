//! DescribeAcls, CreateAcls, DeleteAcls: what Kafka answers when no authorizer is configured, which
//! is the case here.

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::create_acls::{
    AclCreationResult, CreateAclsRequest, CreateAclsResponse,
};
use ottla_protocol::messages::delete_acls::{
    DeleteAclsFilterResult, DeleteAclsRequest, DeleteAclsResponse,
};
use ottla_protocol::messages::describe_acls::{DescribeAclsRequest, DescribeAclsResponse};

use super::{Call, ITEMS_MAX, Outcome, Unanswerable, check_count};
use crate::node::Node;

const MESSAGE: Option<&str> = Some("No Authorizer is configured.");

/// The number that stands for what a client does not know itself. Kafka cannot read a request with
/// it, and closes the connection.
const UNKNOWN: i8 = 0;

fn check(numbers: [i8; 4]) -> Result<(), Unanswerable> {
    if numbers.contains(&UNKNOWN) {
        return Err(Unanswerable::Meaningless("an ACL of an unknown kind"));
    }
    Ok(())
}

pub(super) fn describe(_: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let filter: DescribeAclsRequest<'_> = call.body()?;
    check([
        filter.resource_type_filter,
        filter.pattern_type_filter,
        filter.operation,
        filter.permission_type,
    ])?;
    call.answer(&DescribeAclsResponse {
        error_code: ErrorCode::SECURITY_DISABLED,
        error_message: MESSAGE,
        ..Default::default()
    })
}

pub(super) fn create(_: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: CreateAclsRequest<'_> = call.body()?;
    check_count(request.creations.len(), ITEMS_MAX)?;
    for acl in &request.creations {
        check([acl.resource_type, acl.resource_pattern_type, acl.operation, acl.permission_type])?;
    }
    let refused =
        || AclCreationResult { error_code: ErrorCode::SECURITY_DISABLED, error_message: MESSAGE };
    let results = request.creations.iter().map(|_| refused()).collect();
    call.answer(&CreateAclsResponse { results, ..Default::default() })
}

pub(super) fn delete(_: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: DeleteAclsRequest<'_> = call.body()?;
    check_count(request.filters.len(), ITEMS_MAX)?;
    for filter in &request.filters {
        check([
            filter.resource_type_filter,
            filter.pattern_type_filter,
            filter.operation,
            filter.permission_type,
        ])?;
    }
    let refused = || DeleteAclsFilterResult {
        error_code: ErrorCode::SECURITY_DISABLED,
        error_message: MESSAGE,
        ..Default::default()
    };
    let filter_results = request.filters.iter().map(|_| refused()).collect();
    call.answer(&DeleteAclsResponse { filter_results, ..Default::default() })
}

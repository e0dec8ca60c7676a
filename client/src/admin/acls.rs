//! Access control lists: who may do what to which resource.

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::create_acls::{AclCreation, CreateAclsRequest, CreateAclsResponse};
use ottla_protocol::messages::delete_acls::{
    DeleteAclsFilter, DeleteAclsRequest, DeleteAclsResponse,
};
use ottla_protocol::messages::describe_acls::{DescribeAclsRequest, DescribeAclsResponse};

use super::codes::codes;
use super::operations::AclOperation;
use super::{Admin, Results};
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Outgoing};
use crate::session::Route;

codes! {
    /// What an ACL is about.
    AclResourceType {
        /// Anything: only to look for.
        1 Any "ANY",
        /// Topics.
        2 Topic "TOPIC",
        /// Groups.
        3 Group "GROUP",
        /// The cluster, whose name is `kafka-cluster`.
        4 Cluster "CLUSTER",
        /// Transactional ids.
        5 TransactionalId "TRANSACTIONAL_ID",
        /// Delegation tokens.
        6 DelegationToken "DELEGATION_TOKEN",
        /// Users, as owners of delegation tokens.
        7 User "USER",
    }
}

codes! {
    /// How an ACL's name is meant.
    AclPatternType {
        /// Any way: only to look for.
        1 Any "ANY",
        /// Whatever applies to the resource of this name: only to look for.
        2 Match "MATCH",
        /// The resource of this name; `*` stands for all.
        3 Literal "LITERAL",
        /// All resources whose names begin so.
        4 Prefixed "PREFIXED",
    }
}

codes! {
    /// Whether an ACL lets do something.
    AclPermission {
        /// Either: only to look for.
        1 Any "ANY",
        /// It forbids it, whatever others allow.
        2 Deny "DENY",
        /// It allows it.
        3 Allow "ALLOW",
    }
}

/// An ACL: this principal may, or may not, do this to these resources.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AclBinding {
    /// What it is about.
    pub resource_type: AclResourceType,
    /// The name of the resource, or how it begins.
    pub resource_name: String,
    /// How the name is meant.
    pub pattern_type: AclPatternType,
    /// Whom it is about: `User:alice`, or `User:*` for all.
    pub principal: String,
    /// The address that the client comes from, or `*` for all.
    pub host: String,
    /// What is allowed or forbidden.
    pub operation: AclOperation,
    /// Which of both.
    pub permission: AclPermission,
}

/// Which ACLs are looked for. [`AclFilter::any`] is all of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AclFilter {
    /// What they are about.
    pub resource_type: AclResourceType,
    /// The name that they have; `None` for any.
    pub resource_name: Option<String>,
    /// How the name is meant.
    pub pattern_type: AclPatternType,
    /// Whom they are about; `None` for any.
    pub principal: Option<String>,
    /// The address that they have; `None` for any.
    pub host: Option<String>,
    /// What they allow or forbid.
    pub operation: AclOperation,
    /// Which of both.
    pub permission: AclPermission,
}

impl AclFilter {
    /// All ACLs.
    pub fn any() -> Self {
        Self {
            resource_type: AclResourceType::Any,
            resource_name: None,
            pattern_type: AclPatternType::Any,
            principal: None,
            host: None,
            operation: AclOperation::Any,
            permission: AclPermission::Any,
        }
    }
}

impl Admin {
    /// The ACLs that a filter lets pass, in their order.
    ///
    /// # Errors
    /// No broker answered, or it has no authorizer: SECURITY_DISABLED.
    pub fn describe_acls(&self, filter: &AclFilter) -> Result<Vec<AclBinding>, Error> {
        let filter = filter.clone();
        let build = move |version, timeout| {
            let request = DescribeAclsRequest {
                resource_type_filter: filter.resource_type.into(),
                resource_name_filter: filter.resource_name.as_deref(),
                pattern_type_filter: filter.pattern_type.into(),
                principal_filter: filter.principal.as_deref(),
                host_filter: filter.host.as_deref(),
                operation: filter.operation.into(),
                permission_type: filter.permission.into(),
            };
            Outgoing::new(&request, version, timeout)
        };
        let read = |answer: &Answer| {
            let read: DescribeAclsResponse<'_> = answer.read()?;
            Error::of_code(read.error_code, read.error_message)?;
            let told = read.resources.iter().flat_map(|resource| {
                resource.acls.iter().map(|acl| AclBinding {
                    resource_type: AclResourceType::of(resource.resource_type),
                    resource_name: resource.resource_name.to_owned(),
                    pattern_type: AclPatternType::of(resource.pattern_type),
                    principal: acl.principal.to_owned(),
                    host: acl.host.to_owned(),
                    operation: AclOperation::of(acl.operation),
                    permission: AclPermission::of(acl.permission_type),
                })
            });
            let mut acls: Vec<_> = told.collect();
            acls.sort();
            Ok(acls)
        };
        self.remote.ask(Route::Any, (ApiKey::DescribeAcls, 1..=3), build, read).wait()
    }

    /// Makes ACLs. One that is there already is no error.
    ///
    /// # Errors
    /// No broker answered. Of an ACL: the controller's, such as SECURITY_DISABLED or
    /// INVALID_REQUEST.
    pub fn create_acls(&self, acls: &[AclBinding]) -> Result<Results<AclBinding, ()>, Error> {
        let (acls, of) = (acls.to_vec(), acls.to_vec());
        let build = move |version, timeout| {
            let creations = acls.iter().map(|acl| AclCreation {
                resource_type: acl.resource_type.into(),
                resource_name: &acl.resource_name,
                resource_pattern_type: acl.pattern_type.into(),
                principal: &acl.principal,
                host: &acl.host,
                operation: acl.operation.into(),
                permission_type: acl.permission.into(),
            });
            let request = CreateAclsRequest { creations: creations.collect() };
            Outgoing::new(&request, version, timeout)
        };
        let read = move |answer: &Answer| {
            let read: CreateAclsResponse<'_> = answer.read()?;
            let told = read.results.iter();
            let told = told.map(|told| Error::of_code(told.error_code, told.error_message));
            by_place(ApiKey::CreateAcls, &of, told)
        };
        self.remote.ask(Route::Controller, (ApiKey::CreateAcls, 1..=3), build, read).wait()
    }

    /// Deletes the ACLs that filters let pass; each filter's result is the ACLs that it found, and
    /// whether each of them could be deleted.
    ///
    /// # Errors
    /// No broker answered. Of a filter: the controller's, such as SECURITY_DISABLED.
    pub fn delete_acls(
        &self,
        filters: &[AclFilter],
    ) -> Result<Results<AclFilter, Results<AclBinding, ()>>, Error> {
        let (filters, of) = (filters.to_vec(), filters.to_vec());
        let build = move |version, timeout| {
            let filters = filters.iter().map(|filter| DeleteAclsFilter {
                resource_type_filter: filter.resource_type.into(),
                resource_name_filter: filter.resource_name.as_deref(),
                pattern_type_filter: filter.pattern_type.into(),
                principal_filter: filter.principal.as_deref(),
                host_filter: filter.host.as_deref(),
                operation: filter.operation.into(),
                permission_type: filter.permission.into(),
            });
            let request = DeleteAclsRequest { filters: filters.collect() };
            Outgoing::new(&request, version, timeout)
        };
        let read = move |answer: &Answer| {
            let read: DeleteAclsResponse<'_> = answer.read()?;
            let told = read.filter_results.iter().map(|told| {
                Error::of_code(told.error_code, told.error_message)?;
                let deleted = told.matching_acls.iter().map(|acl| {
                    let binding = AclBinding {
                        resource_type: AclResourceType::of(acl.resource_type),
                        resource_name: acl.resource_name.to_owned(),
                        pattern_type: AclPatternType::of(acl.pattern_type),
                        principal: acl.principal.to_owned(),
                        host: acl.host.to_owned(),
                        operation: AclOperation::of(acl.operation),
                        permission: AclPermission::of(acl.permission_type),
                    };
                    (binding, Error::of_code(acl.error_code, acl.error_message))
                });
                Ok(deleted.collect())
            });
            by_place(ApiKey::DeleteAcls, &of, told)
        };
        self.remote.ask(Route::Controller, (ApiKey::DeleteAcls, 1..=3), build, read).wait()
    }
}

/// What an answer told of each item, which it does by their order.
///
/// # Errors
/// There are more or fewer results than items; it is to be asked of another broker.
fn by_place<K: Clone, T>(
    api: ApiKey,
    items: &[K],
    told: impl ExactSizeIterator<Item = Result<T, Error>>,
) -> Result<Results<K, T>, Error> {
    if told.len() != items.len() {
        let detail = format!("{}: {} results of {}", api.name(), told.len(), items.len());
        return Err(Error::new(ErrorKind::Malformed, detail));
    }
    let results: Results<K, T> = items.iter().cloned().zip(told).collect();
    let mut errors = results.iter().filter_map(|(_, result)| result.as_ref().err());
    match errors.find(|error| error.code() == Some(ErrorCode::NOT_CONTROLLER)) {
        Some(elsewhere) => Err(elsewhere.clone()),
        None => Ok(results),
    }
}

//! ACLs, whose results are told by their order.

use ottla_protocol::messages::create_acls::{
    AclCreationResult, CreateAclsRequest, CreateAclsResponse,
};
use ottla_protocol::messages::delete_acls::{
    DeleteAclsFilterResult, DeleteAclsMatchingAcl, DeleteAclsRequest, DeleteAclsResponse,
};
use ottla_protocol::messages::describe_acls::{
    AclDescription, DescribeAclsRequest, DescribeAclsResource, DescribeAclsResponse,
};

use super::*;

fn acl(name: &str) -> AclBinding {
    AclBinding {
        resource_type: AclResourceType::Group,
        resource_name: name.to_owned(),
        pattern_type: AclPatternType::Literal,
        principal: "User:alice".to_owned(),
        host: "*".to_owned(),
        operation: AclOperation::Read,
        permission: AclPermission::Deny,
    }
}

/// A client of a broker that tells of so many results of ACLs.
fn telling(results: usize) -> Admin {
    play(LONG, Vec::new(), move |net, sent| match sent.request.api {
        ApiKey::Metadata => answer_metadata(net, &sent, [1, 2]),
        ApiKey::CreateAcls => {
            let request: CreateAclsRequest<'_> = sent.read();
            let of = &request.creations[0];
            let codes = (of.resource_type, of.resource_pattern_type, of.operation);
            assert_eq!((codes, of.permission_type), ((3, 3, 3), 2));
            let error_code = |place| match place {
                1 => ErrorCode::INVALID_REQUEST,
                _ => ErrorCode::NONE,
            };
            let told = |place| AclCreationResult {
                error_code: error_code(place),
                error_message: Some("no"),
            };
            let results = (0..results).map(told).collect();
            net.answer(&sent, &CreateAclsResponse { results, ..Default::default() });
        }
        ApiKey::DescribeAcls => {
            let request: DescribeAclsRequest<'_> = sent.read();
            assert_eq!((request.resource_type_filter, request.pattern_type_filter), (1, 1));
            let of = |operation| AclDescription {
                principal: "User:alice",
                host: "*",
                operation,
                permission_type: 2,
            };
            let resource = DescribeAclsResource {
                resource_type: 3,
                resource_name: "a",
                pattern_type: 3,
                acls: vec![of(99), of(3)],
            };
            let resources = vec![resource];
            net.answer(&sent, &DescribeAclsResponse { resources, ..Default::default() });
        }
        _ => {
            let request: DeleteAclsRequest<'_> = sent.read();
            assert_eq!(request.filters[0].principal_filter, None);
            let matching = DeleteAclsMatchingAcl {
                resource_type: 3,
                resource_name: "a",
                pattern_type: 3,
                principal: "User:alice",
                host: "*",
                operation: 3,
                permission_type: 2,
                ..Default::default()
            };
            let told =
                DeleteAclsFilterResult { matching_acls: vec![matching], ..Default::default() };
            let filter_results = vec![told; results];
            net.answer(&sent, &DeleteAclsResponse { filter_results, ..Default::default() });
        }
    })
}

#[test]
fn acls_are_made_found_and_deleted() {
    let admin = telling(2);
    let results = admin.create_acls(&[acl("a"), acl("b")]).unwrap();
    assert!(results[0].1.is_ok());
    let error = results[1].1.as_ref().unwrap_err();
    assert_eq!(
        (results[1].0.clone(), error.to_string().as_str()),
        (acl("b"), "INVALID_REQUEST (42): no")
    );
    let odd = AclBinding { operation: AclOperation::Unknown(99), ..acl("a") };
    assert_eq!(admin.describe_acls(&AclFilter::any()).unwrap(), [acl("a"), odd]);
    let results = admin.delete_acls(&[AclFilter::any(), AclFilter::any()]).unwrap();
    let deleted = results[1].1.as_ref().unwrap();
    assert_eq!((&deleted[0].0, deleted[0].1.is_ok()), (&acl("a"), true));
}

#[test]
fn results_that_are_too_few_or_too_many_are_not_believed() {
    for count in [0, 1, 3, 1000] {
        let admin = telling(count);
        let error = admin.create_acls(&[acl("a"), acl("b")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        let text = format!("malformed answer: CreateAcls: {count} results of 2");
        assert!(error.to_string().ends_with(&text), "{error}");
        let error = admin.delete_acls(&[AclFilter::any(), AclFilter::any()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
    }
}

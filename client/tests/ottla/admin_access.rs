//! Quotas and ACLs, against a broker in the same process.

use ottla_client::{
    AclBinding, AclFilter, AclOperation, AclPatternType, AclPermission, AclResourceType, Error,
    ErrorKind, QuotaEntity, QuotaFilter, QuotaMatch, ScramChange, ScramMechanism,
};
use ottla_protocol::error_code::ErrorCode;

use crate::site::Site;

#[test]
fn quotas_are_set_found_and_taken_away() {
    let site = Site::new();
    let admin = site.admin();
    let both = QuotaEntity::new().user("alice").client_id("c");
    let everybody = QuotaEntity::new().part("client-id", None);
    let nonsense = QuotaEntity::new().part("planet", Some("mars"));
    let rate = |limit| vec![("producer_byte_rate".to_owned(), limit)];
    let changes = [
        (both.clone(), rate(Some(1000.0))),
        (nonsense.clone(), rate(Some(1.0))),
        (everybody.clone(), rate(Some(2000.0))),
    ];
    let results = admin.validate_client_quotas(&changes[..1]).unwrap();
    assert!(results[0].1.is_ok(), "{results:?}");
    assert!(admin.describe_client_quotas(&QuotaFilter::new()).unwrap().is_empty());
    let results = admin.alter_client_quotas(&changes).unwrap();
    let told: Vec<_> =
        results.iter().map(|(entity, told)| (entity.clone(), told.is_ok())).collect();
    assert_eq!(told, [(both.clone(), true), (nonsense, false), (everybody.clone(), true)]);

    let found = |filter: &QuotaFilter| {
        let quotas = admin.describe_client_quotas(filter).unwrap();
        let of = quotas.into_iter().map(|of| (of.entity.to_string(), of.limits[0].1));
        of.collect::<Vec<_>>()
    };
    let texts = [
        ("client-id <default>".to_owned(), 2000.0),
        ("client-id c, user alice".to_owned(), 1000.0),
    ];
    assert_eq!(found(&QuotaFilter::new()), texts);
    let of_client = QuotaFilter::new().part("client-id", QuotaMatch::Any);
    assert_eq!(found(&of_client), texts);
    assert_eq!(found(&of_client.strict()), texts[..1]);
    let named = QuotaFilter::new().part("user", QuotaMatch::Named("alice".to_owned()));
    assert_eq!(found(&named), texts[1..]);
    assert_eq!(found(&QuotaFilter::new().part("client-id", QuotaMatch::Default)), texts[..1]);

    let results = admin.alter_client_quotas(&[(both.clone(), rate(None))]).unwrap();
    assert!(results[0].1.is_ok());
    assert_eq!(found(&QuotaFilter::new()), texts[..1]);
    let twice = [(both.clone(), rate(None)), (both, rate(None))];
    let error = admin.alter_client_quotas(&twice).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert_eq!(error.to_string(), "client-id c, user alice is there twice");
}

fn acl(name: &str, permission: AclPermission) -> AclBinding {
    AclBinding {
        resource_type: AclResourceType::Topic,
        resource_name: name.to_owned(),
        pattern_type: AclPatternType::Prefixed,
        principal: "User:alice".to_owned(),
        host: "*".to_owned(),
        operation: AclOperation::Read,
        permission,
    }
}

#[test]
fn without_an_authorizer_there_are_no_acls() {
    let site = Site::new();
    let admin = site.admin();
    let error = admin.describe_acls(&AclFilter::any()).unwrap_err();
    assert_eq!(error.code().unwrap().name(), Some("SECURITY_DISABLED"));
    let results = admin.create_acls(&[acl("t", AclPermission::Allow)]).unwrap();
    assert_eq!(results[0].0, acl("t", AclPermission::Allow));
    let code = results[0].1.as_ref().unwrap_err().code().unwrap();
    assert_eq!(code.name(), Some("SECURITY_DISABLED"));
    let results = admin.delete_acls(&[AclFilter::any()]).unwrap();
    let code = results[0].1.as_ref().unwrap_err().code().unwrap();
    assert_eq!(code.name(), Some("SECURITY_DISABLED"));
}

#[test]
fn users_get_passwords_and_lose_them() {
    let site = Site::new();
    let admin = site.admin();
    let upsert = |user: &str, mechanism, iterations| ScramChange::Upsert {
        user: user.to_owned(),
        mechanism,
        iterations,
        salt: None,
        password: b"secret".to_vec(),
    };
    let delete = |user: &str, mechanism| ScramChange::Delete { user: user.to_owned(), mechanism };
    let (one, other) = (ScramMechanism::Sha256, ScramMechanism::Sha512);
    let changes = [
        upsert("alice", one, 4096),
        upsert("bob", one, 1),
        upsert("carol", one, 4096),
        upsert("carol", other, 8192),
        delete("nobody", one),
    ];
    let results = admin.alter_user_scram_credentials(&changes).unwrap();
    let code = |told: &Result<(), Error>| told.as_ref().err().and_then(Error::code);
    let codes: Vec<_> = (results.iter())
        .map(|(user, told)| (user.as_str(), code(told).and_then(ErrorCode::name)))
        .collect();
    let expected = [
        ("alice", None),
        ("bob", Some("UNACCEPTABLE_CREDENTIAL")),
        ("carol", Some("DUPLICATE_RESOURCE")),
        ("nobody", Some("RESOURCE_NOT_FOUND")),
    ];
    assert_eq!(codes, expected);
    let results = admin.alter_user_scram_credentials(&[upsert("alice", other, 8192)]).unwrap();
    assert!(results[0].1.is_ok());

    let results = admin.describe_user_scram_credentials(&[]).unwrap();
    assert_eq!(results.len(), 1);
    let infos = results[0].1.as_ref().unwrap();
    let mut infos: Vec<_> = infos.iter().map(|of| (of.mechanism, of.iterations)).collect();
    infos.sort();
    assert_eq!((results[0].0.as_str(), infos), ("alice", vec![(one, 4096), (other, 8192)]));
    let results = admin.alter_user_scram_credentials(&[delete("alice", one)]).unwrap();
    assert!(results[0].1.is_ok());
    let results = admin.describe_user_scram_credentials(&["bob", "alice"]).unwrap();
    let error = results[0].1.as_ref().unwrap_err();
    assert_eq!(error.code().unwrap().name(), Some("RESOURCE_NOT_FOUND"));
    assert_eq!(results[1].1.as_ref().unwrap().len(), 1);
    let error = admin.alter_user_scram_credentials(&[upsert("x", one, 0)]).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Usage, "user x: 0 iterations")
    );
}

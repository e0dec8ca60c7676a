//! SCRAM credentials over the wire, and over a restart.

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_user_scram_credentials::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, ScramCredentialDeletion,
    ScramCredentialUpsertion,
};
use ottla_protocol::messages::describe_user_scram_credentials::{
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse, UserName,
};

use crate::harness::{Client, TestBroker};

fn set(name: &str, mechanism: i8, iterations: i32) -> ScramCredentialUpsertion<'_> {
    ScramCredentialUpsertion {
        name,
        mechanism,
        iterations,
        salt: b"salt",
        salted_password: b"a hash that nobody may see",
    }
}

fn alter(
    client: &mut Client,
    deletions: &[(&str, i8)],
    upsertions: Vec<ScramCredentialUpsertion<'_>>,
) -> Vec<(String, ErrorCode)> {
    let deletions = deletions
        .iter()
        .map(|(name, mechanism)| ScramCredentialDeletion { name, mechanism: *mechanism })
        .collect();
    let request = AlterUserScramCredentialsRequest { deletions, upsertions };
    let answer = client.call(ApiKey::AlterUserScramCredentials, 0, &request);
    let response: AlterUserScramCredentialsResponse<'_> = answer.message();
    response.results.iter().map(|told| (told.user.to_owned(), told.error_code)).collect()
}

/// A user, an error, and of each credential mechanism and iterations.
type Described = (String, ErrorCode, Vec<(i8, i32)>);

fn describe(client: &mut Client, users: Option<&[&str]>) -> Vec<Described> {
    let users = users.map(|users| users.iter().map(|name| UserName { name }).collect());
    let request = DescribeUserScramCredentialsRequest { users };
    let answer = client.call(ApiKey::DescribeUserScramCredentials, 0, &request);
    let response: DescribeUserScramCredentialsResponse<'_> = answer.message();
    assert_eq!(response.error_code, ErrorCode::NONE);
    let told = response.results.iter().map(|user| {
        let infos = user.credential_infos.iter().map(|info| (info.mechanism, info.iterations));
        (user.user.to_owned(), user.error_code, infos.collect())
    });
    told.collect()
}

#[test]
fn credentials_are_found_after_a_restart() {
    use ErrorCode as E;
    let mut broker = TestBroker::start();
    let mut client = broker.client();
    let named = |list: &[(&str, ErrorCode)]| -> Vec<(String, ErrorCode)> {
        list.iter().map(|(name, code)| (name.to_string(), *code)).collect()
    };
    let told = alter(&mut client, &[("nobody", 1)], vec![set("b", 1, 4096), set("a", 2, 8192)]);
    assert_eq!(told, named(&[("nobody", E::RESOURCE_NOT_FOUND), ("b", E::NONE), ("a", E::NONE)]));
    let told = alter(&mut client, &[], vec![set("b", 2, 5000), set("c", 1, 1), set("d", 0, 4096)]);
    let expected =
        [("b", E::NONE), ("c", E::UNACCEPTABLE_CREDENTIAL), ("d", E::UNSUPPORTED_SASL_MECHANISM)];
    assert_eq!(told, named(&expected));
    let all = [
        ("a".to_owned(), E::NONE, vec![(2, 8192)]),
        ("b".to_owned(), E::NONE, vec![(1, 4096), (2, 5000)]),
    ];
    for _ in 0..2 {
        let mut client = broker.client();
        assert_eq!(describe(&mut client, None), all);
        assert_eq!(describe(&mut client, Some(&[])), all);
        let told = describe(&mut client, Some(&["c", "a", "b", "b"]));
        let codes: Vec<_> = told.iter().map(|(name, code, _)| (&**name, *code)).collect();
        let expected = [("c", E::RESOURCE_NOT_FOUND), ("a", E::NONE), ("b", E::DUPLICATE_RESOURCE)];
        assert_eq!(codes, expected);
        broker.restart();
    }
    let mut client = broker.client();
    assert_eq!(alter(&mut client, &[("b", 1)], vec![]), named(&[("b", E::NONE)]));
    assert_eq!(alter(&mut client, &[("a", 2)], vec![]), named(&[("a", E::NONE)]));
    broker.restart();
    let left = [("b".to_owned(), E::NONE, vec![(2, 5000)])];
    assert_eq!(describe(&mut broker.client(), None), left);
    let dir = broker.into_dir();
    let log = dir.path().join("__cluster_metadata-0/00000000000000000000.log");
    let log = std::fs::read(log).unwrap();
    let secret = b"a hash that nobody may see";
    assert!(!log.windows(secret.len()).any(|bytes| bytes == secret), "the password is not kept");
}

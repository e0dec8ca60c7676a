//! Client quotas over the wire, and over a restart.

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_client_quotas::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, EntityData, EntryData, OpData,
};
use ottla_protocol::messages::describe_client_quotas::{
    ComponentData, DescribeClientQuotasRequest, DescribeClientQuotasResponse,
};

use crate::harness::{Client, TestBroker};

type Part<'a> = (&'a str, Option<&'a str>);

fn entry<'a>(entity: &[Part<'a>], key: &'a str, value: f64) -> EntryData<'a> {
    let part = |(entity_type, entity_name): &Part<'a>| EntityData {
        entity_type,
        entity_name: *entity_name,
    };
    EntryData {
        entity: entity.iter().map(part).collect(),
        ops: vec![OpData { key, value, remove: value == 0.0 }],
    }
}

fn alter(client: &mut Client, entries: Vec<EntryData<'_>>, validate_only: bool) -> Vec<ErrorCode> {
    let request = AlterClientQuotasRequest { entries, validate_only };
    let answer = client.call(ApiKey::AlterClientQuotas, 1, &request);
    let response: AlterClientQuotasResponse<'_> = answer.message();
    for entry in &response.entries {
        assert_eq!(entry.error_code == ErrorCode::NONE, entry.error_message.is_none());
    }
    response.entries.iter().map(|entry| entry.error_code).collect()
}

/// Entity and limits of each quota, as text, or the code of a refusal.
fn describe(
    client: &mut Client,
    components: &[(&str, i8, Option<&str>)],
    strict: bool,
) -> Result<Vec<String>, ErrorCode> {
    let component = |(entity_type, match_type, text): &(&'static str, i8, Option<&'static str>)| {
        ComponentData { entity_type, match_type: *match_type, r#match: *text }
    };
    let components: Vec<(&'static str, i8, Option<&'static str>)> = components
        .iter()
        .map(|(kind, number, text)| {
            (&*kind.to_string().leak(), *number, text.map(|text| &*text.to_string().leak()))
        })
        .collect();
    let request = DescribeClientQuotasRequest {
        components: components.iter().map(component).collect(),
        strict,
    };
    let answer = client.call(ApiKey::DescribeClientQuotas, 1, &request);
    let response: DescribeClientQuotasResponse<'_> = answer.message();
    let Some(entries) = response.entries else { return Err(response.error_code) };
    assert_eq!((response.error_code, response.error_message), (ErrorCode::NONE, Some("")));
    let text = entries.iter().map(|entry| {
        let parts = entry.entity.iter().map(|part| {
            format!("{}={}", part.entity_type, part.entity_name.unwrap_or("<default>"))
        });
        let limits = entry.values.iter().map(|limit| format!("{}={}", limit.key, limit.value));
        parts.chain(limits).collect::<Vec<_>>().join(" ")
    });
    Ok(text.collect())
}

#[test]
fn quotas_are_found_after_a_restart() {
    let mut broker = TestBroker::start();
    let mut client = broker.client();
    let user = ("user", Some("u"));
    let entries = || {
        vec![
            entry(&[user], "producer_byte_rate", 1000.0),
            entry(&[("client-id", None), user], "request_percentage", 12.5),
            entry(&[("ip", Some("10.0.0.1"))], "connection_creation_rate", 7.0),
            entry(&[("ip", Some("10.0.0.2"))], "producer_byte_rate", 7.0),
            entry(&[("nope", None)], "producer_byte_rate", 7.0),
        ]
    };
    let (none, bad) = (ErrorCode::NONE, ErrorCode::INVALID_REQUEST);
    assert_eq!(alter(&mut client, entries(), true), [none, none, none, bad, bad]);
    assert_eq!(describe(&mut client, &[], false), Ok(vec![]));
    assert_eq!(alter(&mut client, entries(), false), [none, none, none, bad, bad]);
    let all = [
        "client-id=<default> user=u request_percentage=12.5",
        "ip=10.0.0.1 connection_creation_rate=7",
        "user=u producer_byte_rate=1000",
    ];
    for _ in 0..2 {
        let mut client = broker.client();
        assert_eq!(describe(&mut client, &[], false).unwrap(), all);
        let strictly = describe(&mut client, &[("user", 0, Some("u"))], true).unwrap();
        assert_eq!(strictly, all[2..]);
        broker.restart();
    }
    let mut client = broker.client();
    let removal = vec![entry(&[user], "producer_byte_rate", 0.0)];
    assert_eq!(alter(&mut client, removal, false), [none]);
    broker.restart();
    assert_eq!(describe(&mut broker.client(), &[], false).unwrap(), all[..2]);
}

#[test]
fn filters_that_are_refused() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    let bad = ErrorCode::INVALID_REQUEST;
    type Component = (&'static str, i8, Option<&'static str>);
    let table: [(&[Component], ErrorCode); 8] = [
        (&[("nope", 2, None)], ErrorCode::UNSUPPORTED_VERSION),
        (&[("", 2, None)], bad),
        (&[("user", 0, None)], bad),
        (&[("user", 1, Some("u"))], bad),
        (&[("user", 2, Some("u"))], bad),
        (&[("user", 3, None)], bad),
        (&[("user", 2, None), ("user", 2, None)], bad),
        (&[("user", 2, None), ("ip", 2, None)], bad),
    ];
    for (components, code) in table {
        assert_eq!(describe(&mut client, components, false), Err(code), "{components:?}");
    }
}

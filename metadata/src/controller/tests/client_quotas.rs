//! Client quotas: what is refused, what is written, what is found.

use super::*;
use crate::image::QuotaEntity;

type Part = (&'static str, Option<&'static str>);

const USER: Part = ("user", Some("u"));
const CLIENT: Part = ("client-id", Some("c"));
const ADDRESS: Part = ("ip", Some("10.0.0.1"));

fn alteration(entity: &[Part], limits: &[(&'static str, Option<f64>)]) -> QuotaAlteration<'static> {
    QuotaAlteration { entity: entity.to_vec(), limits: limits.to_vec() }
}

fn alter(cluster: &mut Cluster, request: &[QuotaAlteration<'static>]) -> Vec<ErrorCode> {
    let (checked, told) = alter_client_quotas(cluster.image(), request, true);
    assert!(checked.is_empty());
    let (records, answers) = alter_client_quotas(cluster.image(), request, false);
    assert_eq!(answers, told, "what is only validated is answered alike");
    cluster.write(&records);
    answers.iter().map(|(_, result)| code(result)).collect()
}

#[test]
fn entities() {
    let long: &'static str = "u".repeat(300).leak();
    let table: [(&[Part], bool, bool); 24] = [
        // The entity; whether it can have limits of clients, of addresses.
        (&[], false, false),
        (&[("nope", Some("x"))], false, false),
        (&[("", Some("x"))], false, false),
        (&[("USER", Some("x"))], false, false),
        (&[("user", Some(""))], false, false),
        (&[("client-id", Some(""))], false, false),
        (&[("ip", Some(""))], false, false),
        (&[("ip", Some("300.1.1.1"))], false, false),
        (&[("ip", Some("1.2.3.4.5"))], false, false),
        (&[("ip", Some("no.such.host"))], false, false),
        (&[USER, ADDRESS], false, false),
        (&[CLIENT, ADDRESS], false, false),
        (&[USER, CLIENT, ADDRESS], false, false),
        (&[USER], true, false),
        (&[CLIENT], true, false),
        (&[CLIENT, USER], true, false),
        (&[("user", None), ("client-id", None)], true, false),
        (&[("user", Some(long))], true, false),
        (&[("user", Some("a/b %"))], true, false),
        (&[ADDRESS], false, true),
        (&[("ip", None)], false, true),
        (&[("ip", Some("::1"))], false, true),
        (&[("ip", Some("1.2"))], false, true),
        (&[("ip", Some("localhost"))], false, true),
    ];
    for (entity, has_clients, has_addresses) in table {
        for (key, is_good) in
            [("producer_byte_rate", has_clients), ("connection_creation_rate", has_addresses)]
        {
            let expected = if is_good { ErrorCode::NONE } else { ErrorCode::INVALID_REQUEST };
            let mut cluster = Cluster::fresh();
            let told = alter(&mut cluster, &[alteration(entity, &[(key, Some(5.0))])]);
            assert_eq!(told, [expected], "{entity:?} {key}");
            let removed = alter(&mut cluster, &[alteration(entity, &[(key, None)])]);
            let is_entity = has_clients || has_addresses;
            let expected = if is_entity { ErrorCode::NONE } else { ErrorCode::INVALID_REQUEST };
            assert_eq!(removed, [expected], "a key to remove is not looked at: {entity:?} {key}");
            assert!(cluster.image().client_quotas().is_empty());
        }
    }
}

#[test]
fn limits() {
    let longs = ["producer_byte_rate", "consumer_byte_rate"];
    let doubles = ["request_percentage", "controller_mutation_rate"];
    let table = [
        // A limit; whether a 64-bit, a floating, a 32-bit key can have it.
        (0.0, [false, false, false]),
        (-0.0, [false, false, false]),
        (-1.0, [false, false, false]),
        (f64::NAN, [false, false, false]),
        (f64::NEG_INFINITY, [false, false, false]),
        (f64::INFINITY, [false, true, false]),
        (1e300, [false, true, false]),
        (9.3e18, [false, true, false]),
        (1e18, [true, true, false]),
        (2_147_483_648.0, [true, true, false]),
        (2_147_483_647.0, [true, true, true]),
        (0.5, [false, true, false]),
        (1.5, [false, true, false]),
        (1.000_000_1, [true, true, true]),
        (0.999_999_9, [true, true, true]),
        (1.000_01, [false, true, false]),
        (1e-8, [true, true, true]),
    ];
    for (limit, [is_long, is_double, is_int]) in table {
        let expect = |entity, key, is_good| {
            let (_, answers) = alter_client_quotas(
                Cluster::fresh().image(),
                &[alteration(entity, &[(key, Some(limit))])],
                true,
            );
            assert_eq!(answers[0].1.is_ok(), is_good, "{key} {limit}");
        };
        longs.iter().for_each(|key| expect(&[USER], key, is_long));
        doubles.iter().for_each(|key| expect(&[CLIENT], key, is_double));
        expect(&[ADDRESS], "connection_creation_rate", is_int);
    }
}

#[test]
fn an_entity_is_changed_as_a_whole_or_not_at_all() {
    let mut cluster = Cluster::fresh();
    let (rate, other) = ("producer_byte_rate", "consumer_byte_rate");
    let bad = ErrorCode::INVALID_REQUEST;
    let half = alteration(&[USER], &[(rate, Some(1.0)), ("nope", Some(1.0))]);
    assert_eq!(alter(&mut cluster, &[half]), [bad]);
    let twice = alteration(&[USER], &[(rate, Some(1.0)), (rate, None)]);
    assert_eq!(alter(&mut cluster, &[twice]), [bad]);
    let one = alteration(&[USER, CLIENT], &[(rate, Some(1.0))]);
    let same = alteration(&[CLIENT, USER], &[(other, Some(1.0))]);
    let fine = alteration(&[CLIENT], &[(rate, Some(7.0))]);
    assert_eq!(alter(&mut cluster, &[one, fine, same]), [bad, ErrorCode::NONE]);
    let image = cluster.image();
    let client = QuotaEntity::from([("client-id".into(), Some("c".into()))]);
    assert_eq!(image.client_quotas().len(), 1);
    assert_eq!(image.client_quotas().get(&client).unwrap()[rate], 7.0);

    let again = [alteration(&[CLIENT], &[(rate, Some(7.0)), (other, None)])];
    assert!(alter_client_quotas(image, &again, false).0.is_empty(), "nothing new is not written");
    let gone = alteration(&[CLIENT], &[(rate, None)]);
    assert_eq!(alter(&mut cluster, &[gone]), [ErrorCode::NONE]);
    assert!(cluster.image().client_quotas().is_empty());
    let nothing = [alteration(&[CLIENT], &[])];
    assert_eq!(alter(&mut cluster, &nothing), [ErrorCode::NONE]);

    let key = |n: usize| -> &'static str { n.to_string().leak() };
    let many = (0..=RECORDS_PER_REQUEST_MAX)
        .map(|n| alteration(&[("user", Some(key(n)))], &[(rate, Some(1.0))]));
    let (records, answers) = alter_client_quotas(cluster.image(), &many.collect::<Vec<_>>(), false);
    assert!(records.is_empty());
    assert!(answers.iter().all(|(_, result)| code(result) == ErrorCode::POLICY_VIOLATION));
}

#[test]
fn quotas_are_found_by_components() {
    let mut cluster = Cluster::fresh();
    let (no_user, no_client): (Part, Part) = (("user", None), ("client-id", None));
    let rate = "producer_byte_rate";
    let set = |entity: &[Part], value| alteration(entity, &[(rate, Some(value))]);
    let request = [
        set(&[USER], 1.0),
        set(&[no_user], 2.0),
        set(&[CLIENT], 3.0),
        set(&[no_client], 4.0),
        set(&[USER, CLIENT], 5.0),
        set(&[USER, no_client], 6.0),
        set(&[no_user, CLIENT], 7.0),
        set(&[no_user, no_client], 8.0),
        alteration(&[ADDRESS], &[("connection_creation_rate", Some(9.0))]),
        alteration(&[("ip", None)], &[("connection_creation_rate", Some(10.0))]),
    ];
    assert_eq!(alter(&mut cluster, &request), [ErrorCode::NONE; 10]);
    let found = |components: &[(&str, QuotaMatch<'_>)], strict| -> Vec<u32> {
        let found = describe_client_quotas(cluster.image(), components, strict).unwrap();
        let first = |limits: &crate::image::QuotaLimits| *limits.values().next().unwrap() as u32;
        let mut found: Vec<u32> = found.iter().map(|(_, limits)| first(limits)).collect();
        found.sort_unstable();
        found
    };
    use QuotaMatch::{Any, Default, Exact};
    assert_eq!(found(&[], false), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert_eq!(found(&[], true), [0; 0]);
    assert_eq!(found(&[("user", Any)], false), [1, 2, 5, 6, 7, 8]);
    assert_eq!(found(&[("user", Any)], true), [1, 2]);
    assert_eq!(found(&[("user", Exact("u"))], false), [1, 5, 6]);
    assert_eq!(found(&[("user", Exact("u"))], true), [1]);
    assert_eq!(found(&[("user", Default)], false), [2, 7, 8]);
    assert_eq!(found(&[("client-id", Default)], true), [4]);
    assert_eq!(found(&[("user", Any), ("client-id", Any)], false), [5, 6, 7, 8]);
    assert_eq!(found(&[("user", Exact("u")), ("client-id", Default)], true), [6]);
    assert_eq!(found(&[("user", Exact("nobody"))], false), [0; 0]);
    assert_eq!(found(&[("ip", Any)], false), [9, 10]);
    assert_eq!(found(&[("ip", Exact("10.0.0.1"))], true), [9]);
    assert_eq!(found(&[("ip", Exact("nonsense"))], true), [0; 0]);

    let refused = |components: &[(&str, QuotaMatch<'_>)]| {
        code(&describe_client_quotas(cluster.image(), components, false))
    };
    assert_eq!(refused(&[("", Any)]), ErrorCode::INVALID_REQUEST);
    assert_eq!(refused(&[("nope", Any)]), ErrorCode::UNSUPPORTED_VERSION);
    assert_eq!(refused(&[("user", Any), ("user", Any)]), ErrorCode::INVALID_REQUEST);
    assert_eq!(refused(&[("user", Any), ("ip", Any)]), ErrorCode::INVALID_REQUEST);
    let wire = |match_type, text| QuotaMatch::from_wire(match_type, text).ok();
    assert_eq!(wire(0, Some("x")), Some(Exact("x")));
    assert_eq!((wire(1, None), wire(2, None)), (Some(Default), Some(Any)));
    for (match_type, text) in [(0, None), (1, Some("x")), (2, Some("x")), (3, None), (-1, None)] {
        assert_eq!(wire(match_type, text), None);
    }
}

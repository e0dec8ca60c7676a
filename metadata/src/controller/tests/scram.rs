//! SCRAM credentials.

use super::*;
use crate::image::ScramMechanism;

fn set(name: &str, mechanism: i8, iterations: i32) -> ScramUpsertion<'_> {
    ScramUpsertion { name, mechanism, iterations, salt: b"salt", salted_password: b"hashed" }
}

fn remove(name: &str, mechanism: i8) -> ScramDeletion<'_> {
    ScramDeletion { name, mechanism }
}

fn alter(
    cluster: &mut Cluster,
    deletions: &[ScramDeletion<'static>],
    upsertions: &[ScramUpsertion<'static>],
) -> Vec<(&'static str, ErrorCode)> {
    let (records, answers) = alter_scram_credentials(cluster.image(), deletions, upsertions);
    cluster.write(&records);
    answers.iter().map(|(name, result)| (*name, code(result))).collect()
}

fn infos(cluster: &Cluster, name: &str) -> ScramInfos {
    describe_scram_credentials(cluster.image(), &[name])[0].1.clone().unwrap_or_default()
}

#[test]
fn credentials_that_are_refused() {
    use ErrorCode as E;
    let mut cluster = Cluster::fresh();
    assert_eq!(alter(&mut cluster, &[], &[set("u", 1, 4096)]), [("u", E::NONE)]);
    let (twice, none) = (E::DUPLICATE_RESOURCE, E::RESOURCE_NOT_FOUND);
    let (bad, unsupported) = (E::UNACCEPTABLE_CREDENTIAL, E::UNSUPPORTED_SASL_MECHANISM);
    let empty = ScramUpsertion { salted_password: b"", ..set("v", 1, 4096) };
    type Row =
        (Vec<ScramDeletion<'static>>, Vec<ScramUpsertion<'static>>, (&'static str, ErrorCode));
    let table: Vec<Row> = vec![
        (vec![], vec![set("", 1, 4096)], ("", bad)),
        (vec![], vec![set("", 0, 1)], ("", bad)),
        (vec![], vec![set("v", 0, 1)], ("v", unsupported)),
        (vec![], vec![set("v", 3, 4096)], ("v", unsupported)),
        (vec![], vec![set("v", -1, 4096)], ("v", unsupported)),
        (vec![], vec![set("v", 1, 4095)], ("v", bad)),
        (vec![], vec![set("v", 2, i32::MIN)], ("v", bad)),
        (vec![], vec![set("v", 1, 16_385)], ("v", bad)),
        (vec![], vec![empty], ("v", bad)),
        (vec![], vec![set("v", 1, 4096), set("v", 1, 4096)], ("v", twice)),
        (vec![], vec![set("v", 1, 4096), set("v", 2, 4096)], ("v", twice)),
        (vec![], vec![set("v", 1, 4096), set("v", 1, 1)], ("v", twice)),
        (vec![], vec![set("v", 1, 1), set("v", 2, 4096)], ("v", bad)),
        (vec![remove("v", 1)], vec![], ("v", none)),
        (vec![remove("v", 1), remove("v", 2)], vec![], ("v", none)),
        (vec![remove("u", 2)], vec![], ("u", none)),
        (vec![remove("u", 0)], vec![], ("u", unsupported)),
        (vec![remove("", 1)], vec![], ("", bad)),
        (vec![remove("u", 1), remove("u", 1)], vec![], ("u", twice)),
        (vec![remove("u", 1)], vec![set("u", 2, 4096)], ("u", twice)),
        (vec![remove("v", 1)], vec![set("v", 1, 4096)], ("v", none)),
        (vec![remove("v", 0)], vec![set("v", 1, 4096)], ("v", unsupported)),
    ];
    let before = cluster.image().clone();
    for (deletions, upsertions, expected) in table {
        let told = alter(&mut cluster, &deletions, &upsertions);
        assert_eq!(told, [expected], "{deletions:?} {upsertions:?}");
        assert_eq!(*cluster.image(), before, "{deletions:?} {upsertions:?}");
    }
    let mixed = alter(&mut cluster, &[remove("w", 1)], &[set("v", 2, 16_384), set("x", 0, 4096)]);
    assert_eq!(mixed, [("w", none), ("v", E::NONE), ("x", unsupported)]);
    assert_eq!(infos(&cluster, "v"), [(2, 16_384)], "one user's refusal is no other's");
}

#[test]
fn credentials_come_and_go() {
    use ErrorCode as E;
    let mut cluster = Cluster::fresh();
    alter(&mut cluster, &[], &[set("b", 1, 4096), set("a", 2, 5000)]);
    alter(&mut cluster, &[], &[set("b", 2, 6000)]);
    assert_eq!(infos(&cluster, "b"), [(1, 4096), (2, 6000)]);
    let all = describe_scram_credentials(cluster.image(), &[]);
    assert_eq!(all.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["a", "b"]);
    let told = describe_scram_credentials(cluster.image(), &["b", "nobody", "a", "b"]);
    let told: Vec<_> = told.iter().map(|(name, result)| (*name, code(result))).collect();
    let expected =
        [("b", E::DUPLICATE_RESOURCE), ("nobody", E::RESOURCE_NOT_FOUND), ("a", E::NONE)];
    assert_eq!(told, expected);

    assert_eq!(alter(&mut cluster, &[remove("b", 1)], &[]), [("b", E::NONE)]);
    assert_eq!(infos(&cluster, "b"), [(2, 6000)]);
    assert_eq!(alter(&mut cluster, &[remove("b", 2)], &[]), [("b", E::NONE)]);
    let gone = describe_scram_credentials(cluster.image(), &["b"]);
    assert_eq!(code(&gone[0].1), E::RESOURCE_NOT_FOUND);

    let names: Vec<String> = (0..=RECORDS_PER_REQUEST_MAX).map(|n| n.to_string()).collect();
    let many: Vec<_> = names.iter().map(|name| set(name, 1, 4096)).collect();
    let (records, answers) = alter_scram_credentials(cluster.image(), &[], &many);
    assert!(records.is_empty());
    assert!(answers.iter().all(|(_, result)| code(result) == E::POLICY_VIOLATION));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The example of RFC 7677: user `user`, password `pencil`. Its salted password was worked out with
/// another implementation of PBKDF2, and so were the keys.
#[test]
fn keys_are_those_of_the_rfc() {
    let salted_password = [
        0xc4, 0xa4, 0x95, 0x10, 0x32, 0x3a, 0xb4, 0xf9, 0x52, 0xca, 0xc1, 0xfa, 0x99, 0x44, 0x19,
        0x39, 0xe7, 0x8e, 0xa7, 0x4d, 0x6b, 0xe8, 0x1d, 0xdf, 0x70, 0x96, 0xe8, 0x75, 0x13, 0xdc,
        0x61, 0x5d,
    ];
    let mut cluster = Cluster::fresh();
    let user = ScramUpsertion { salted_password: &salted_password, ..set("user", 1, 4096) };
    let (records, _) = alter_scram_credentials(cluster.image(), &[], &[user]);
    cluster.write(&records);
    let stored = cluster.image().scram_credentials().get("user", ScramMechanism::Sha256).unwrap();
    assert_eq!(hex(&stored.stored_key), STORED_KEY_256);
    assert_eq!(hex(&stored.server_key), SERVER_KEY_256);
    let user = ScramUpsertion { salted_password: &[b'q'; 200], ..set("user", 2, 4096) };
    let (records, _) = alter_scram_credentials(cluster.image(), &[], &[user]);
    cluster.write(&records);
    let stored = cluster.image().scram_credentials().get("user", ScramMechanism::Sha512).unwrap();
    assert_eq!(hex(&stored.stored_key), STORED_KEY_512);
    assert_eq!(hex(&stored.server_key), SERVER_KEY_512);
}

const STORED_KEY_256: &str = "586e5df283e6dceb5c3e791d8b8528ec191e664045ce971792e2e6b5bb13e2a6";
const SERVER_KEY_256: &str = "c1f3cbc1c13a9d35a14c0990eed97629ea225863e566a4314ab99f3f00e5d9d5";
const STORED_KEY_512: &str = "d7a6a6bae7e5a4eccfa1ab6eaee5d1eab228c9ea058b776cd029bd7db6eaf7aa\
     6c9f17261839b487e6d37c4d7feb936a8d7d02c207acf208129c019898a29b3f";
const SERVER_KEY_512: &str = "453840d9cead507b4f9cfc5050a0582ec42c8943e75027089e75df464d36c66f\
     ca5d929d4e7ff38fe399cd0756055169a5d62a79acabd816cd65088866c683c8";

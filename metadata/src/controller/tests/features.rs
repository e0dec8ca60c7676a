//! Levels of features.

use super::*;
use UpgradeType::{SafeDowngrade, UnsafeDowngrade, Upgrade};

fn update(name: &str, level: i16, upgrade_type: UpgradeType) -> FeatureUpdate<'_> {
    FeatureUpdate { name, level, upgrade_type: Some(upgrade_type) }
}

#[test]
fn features_are_changed_all_or_none() {
    use ErrorCode as E;
    let mut cluster = Cluster::fresh();
    let bad = E::INVALID_UPDATE_VERSION;
    let nameless = FeatureUpdate { upgrade_type: None, ..update("group.version", 0, Upgrade) };
    let table: [(&[FeatureUpdate<'_>], ErrorCode); 22] = [
        (&[update("unknown", 1, Upgrade)], bad),
        (&[update("unknown", 0, SafeDowngrade)], bad),
        (&[update("", 1, Upgrade)], bad),
        (&[update("kraft.version", 1, Upgrade)], bad),
        (&[update("kraft.version", 0, Upgrade)], E::NONE),
        (&[update("group.version", 2, Upgrade)], bad),
        (&[update("group.version", -1, SafeDowngrade)], bad),
        (&[update("group.version", 0, Upgrade)], bad),
        (&[nameless], bad),
        (&[update("metadata.version", 29, Upgrade)], bad),
        (&[update("metadata.version", 29, SafeDowngrade)], bad),
        (&[update("metadata.version", 29, UnsafeDowngrade)], bad),
        (&[update("metadata.version", 6, SafeDowngrade)], bad),
        (&[update("metadata.version", 31, Upgrade)], bad),
        (&[update("metadata.version", 30, SafeDowngrade)], E::NONE),
        (&[update("metadata.version", 30, UnsafeDowngrade)], E::NONE),
        (&[update("group.version", 0, SafeDowngrade), update("share.version", 9, Upgrade)], bad),
        (
            &[update("group.version", 0, SafeDowngrade), update("group.version", 1, Upgrade)],
            E::INVALID_REQUEST,
        ),
        (&[update("group.version", 1, Upgrade)], E::NONE),
        (&[update("group.version", 1, SafeDowngrade)], E::NONE),
        (&[update("transaction.version", 2, UnsafeDowngrade)], E::NONE),
        (&[], E::NONE),
    ];
    for (updates, expected) in table {
        let result = update_features(cluster.image(), updates, false, "1");
        assert_eq!(code(&result), expected, "{updates:?}");
        assert!(result.is_err() || result.unwrap().is_empty());
    }
    for (level, upgrade_type) in [(0, SafeDowngrade), (1, Upgrade), (0, UnsafeDowngrade)] {
        let updates = [update("group.version", level, upgrade_type)];
        assert!(update_features(cluster.image(), &updates, true, "1").unwrap().is_empty());
        let records = update_features(cluster.image(), &updates, false, "1").unwrap();
        cluster.write(&records);
        assert_eq!(cluster.image().feature_level("group.version"), level);
    }
    let up = [update("group.version", 1, SafeDowngrade)];
    assert_eq!(
        code(&update_features(cluster.image(), &up, true, "1")),
        bad,
        "no way down leads up"
    );
}

#[test]
fn brokers_agree_before_eligible_leaders_are_tracked() {
    const ELR: &str = "eligible.leader.replicas.version";
    let mut cluster = Cluster::fresh();
    let down = update_features(cluster.image(), &[update(ELR, 0, SafeDowngrade)], false, "3");
    cluster.write(&down.unwrap());
    let own = [step("min.insync.replicas", ConfigOperation::SET, Some("2"))];
    let all = [step("min.insync.replicas", ConfigOperation::DELETE, None)];
    let change = |resource_name, steps: &[ConfigOperation<'static>]| ConfigChange {
        resource_type: ConfigResourceType::Broker.code(),
        resource_name,
        operations: steps.to_vec(),
    };
    let changes = [change("1", &own), change("", &all)];
    let (records, answers) = incremental_alter_configs(cluster.image(), &changes, false, &Rules);
    assert!(answers.iter().all(Result::is_ok));
    cluster.write(&records);
    let up = [update(ELR, 1, Upgrade)];
    assert!(update_features(cluster.image(), &up, true, "3").unwrap().is_empty());
    let records = update_features(cluster.image(), &up, false, "3").unwrap();
    cluster.write(&records);
    let configs = cluster.image().configs();
    assert_eq!(configs.default_broker().unwrap()["min.insync.replicas"], "3".into());
    assert!(configs.broker(1).is_none());
    assert!(update_features(cluster.image(), &up, false, "4").unwrap().is_empty());
}

#[test]
fn metadata_goes_down_only_to_where_all_can_be_read() {
    let mut cluster = Cluster::fresh();
    let mut at = |level| {
        let mut records = Records::new();
        let record = FeatureLevelRecord { name: "metadata.version", feature_level: level };
        records.push(&MetadataRecord::FeatureLevel(record), 0);
        cluster.write(&records);
        cluster.image().clone()
    };
    for (from, to, is_allowed) in
        [(29, 28, true), (29, 23, true), (29, 22, false), (22, 17, true), (17, 16, false)]
    {
        let result =
            update_features(&at(from), &[update("metadata.version", to, SafeDowngrade)], true, "1");
        assert_eq!(result.is_ok(), is_allowed, "{from} to {to}");
    }
    let elr = [update("eligible.leader.replicas.version", 1, Upgrade)];
    assert_eq!(code(&update_features(&at(22), &elr, true, "1")), ErrorCode::INVALID_UPDATE_VERSION);
}

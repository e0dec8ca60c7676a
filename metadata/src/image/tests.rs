//! Records that cannot follow the records before them, and what is shared and kept.

use super::*;
use ottla_protocol::metadata::UnknownRecord;
use ottla_protocol::metadata::cluster::*;
use ottla_protocol::metadata::config::*;
use ottla_protocol::metadata::node::*;
use ottla_protocol::metadata::security::*;
use ottla_protocol::metadata::topic::*;
use ottla_protocol::uuid::Uuid;

fn id(byte: u8) -> Uuid {
    Uuid::from_bytes([byte; 16])
}

fn apply<'a>(image: &mut Image, record: impl Into<MetadataRecord<'a>>) -> Result<(), ReplayError> {
    image.apply(&record.into(), image.offset() + 1)
}

fn topic(name: &str, topic_id: Uuid) -> TopicRecord<'_> {
    TopicRecord { name, topic_id }
}

fn partition(topic_id: Uuid, partition_id: i32) -> PartitionRecord {
    PartitionRecord {
        partition_id,
        topic_id,
        replicas: vec![1],
        isr: vec![1],
        leader: 1,
        leader_epoch: 0,
        partition_epoch: 0,
        directories: vec![id(9)],
        ..PartitionRecord::default()
    }
}

fn change(topic_id: Uuid, partition_id: i32) -> PartitionChangeRecord {
    PartitionChangeRecord { partition_id, topic_id, ..PartitionChangeRecord::default() }
}

fn broker(broker_id: i32, broker_epoch: i64) -> RegisterBrokerRecord<'static> {
    RegisterBrokerRecord { broker_id, broker_epoch, fenced: false, ..Default::default() }
}

/// Topic `t` with id 1 and partition 0, broker 1 with epoch 5, producer ids up to 1000.
fn small() -> Image {
    let mut image = Image::empty();
    apply(&mut image, topic("t", id(1))).unwrap();
    apply(&mut image, partition(id(1), 0)).unwrap();
    apply(&mut image, broker(1, 5)).unwrap();
    let next_producer_id = 1000;
    apply(&mut image, ProducerIdsRecord { next_producer_id, ..Default::default() }).unwrap();
    image
}

#[test]
fn impossible_records_are_refused_and_change_nothing() {
    use ReplayError as E;
    let fenced = |fenced| BrokerRegistrationChangeRecord {
        broker_id: 1,
        broker_epoch: 5,
        fenced,
        ..Default::default()
    };
    let stopping = BrokerRegistrationChangeRecord { in_controlled_shutdown: -1, ..fenced(0) };
    let unknown_topic = || E::TopicIdUnknown { id: id(2) };
    let wrong_epoch = || E::BrokerEpoch { id: 1, registered: 5, got: 4 };
    let no_broker = || E::BrokerUnknown { id: 2 };
    let no_partition = |partition| E::PartitionUnknown { topic_id: id(1), partition };
    let directories = |replicas, directories| E::DirectoriesCount {
        topic_id: id(1),
        partition: 0,
        replicas,
        directories,
    };
    let bad_epoch = || E::PartitionEpoch { topic_id: id(1), partition: 0 };
    let nameless = |byte| E::TopicNameless { id: id(byte) };
    let code = |field, code| E::BrokerChangeCode { id: 1, field, code };
    let table: Vec<(MetadataRecord<'_>, ReplayError)> = vec![
        (topic("t", id(2)).into(), E::TopicExists { name: "t".into(), id: id(1) }),
        (topic("u", id(1)).into(), E::TopicIdExists { name: "t".into(), id: id(1) }),
        (topic("", id(2)).into(), nameless(2)),
        (topic("u", Uuid::ZERO).into(), nameless(0)),
        (RemoveTopicRecord { topic_id: id(2) }.into(), unknown_topic()),
        (partition(id(2), 0).into(), unknown_topic()),
        (partition(id(1), -1).into(), no_partition(-1)),
        (
            PartitionRecord { directories: vec![id(9); 2], ..partition(id(1), 0) }.into(),
            directories(1, 2),
        ),
        (PartitionRecord { leader_epoch: -1, ..partition(id(1), 0) }.into(), bad_epoch()),
        (PartitionRecord { partition_epoch: -1, ..partition(id(1), 0) }.into(), bad_epoch()),
        (change(id(2), 0).into(), unknown_topic()),
        (change(id(1), 7).into(), no_partition(7)),
        (
            PartitionChangeRecord { directories: Some(vec![]), ..change(id(1), 0) }.into(),
            directories(1, 0),
        ),
        (ClearElrRecord { topic_name: "u" }.into(), E::TopicUnknown { name: "u".into() }),
        (UnregisterBrokerRecord { broker_id: 2, broker_epoch: 5 }.into(), no_broker()),
        (UnregisterBrokerRecord { broker_id: 1, broker_epoch: 4 }.into(), wrong_epoch()),
        (FenceBrokerRecord { id: 1, epoch: 4 }.into(), wrong_epoch()),
        (UnfenceBrokerRecord { id: 2, epoch: 5 }.into(), no_broker()),
        (fenced(2).into(), code("fenced", 2)),
        (stopping.into(), code("in_controlled_shutdown", -1)),
        (
            ProducerIdsRecord { next_producer_id: 1000, ..Default::default() }.into(),
            E::ProducerIdsNotAbove { next: 1000, got: 1000 },
        ),
        (
            FeatureLevelRecord { name: "f", feature_level: -1 }.into(),
            E::FeatureLevel { name: "f".into(), level: -1 },
        ),
        (BeginTransactionRecord::default().into(), E::TransactionMarker),
        (EndTransactionRecord::default().into(), E::TransactionMarker),
        (AbortTransactionRecord::default().into(), E::TransactionMarker),
    ];
    for (record, error) in table {
        let mut image = small();
        assert_eq!(apply(&mut image, record.clone()), Err(error.clone()), "{record:?}");
        assert_eq!(image, small(), "{record:?}");
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn offsets_only_grow() {
    let mut image = small();
    let last = image.offset();
    let record = MetadataRecord::from(NoOpRecord::default());
    for got in [last, 0, -1, i64::MIN] {
        let error = Err(ReplayError::OffsetNotAbove { last, got });
        assert_eq!(image.apply(&record, got), error);
        assert_eq!(image.skip(got), error);
    }
    assert_eq!(image.apply(&record, last + 10), Ok(()));
    assert_eq!(image.skip(i64::MAX), Ok(()));
    assert_eq!(image.offset(), i64::MAX);
}

#[test]
fn epochs_end_instead_of_wrapping() {
    let mut image = small();
    apply(&mut image, PartitionRecord { leader_epoch: i32::MAX, ..partition(id(1), 0) }).unwrap();
    apply(&mut image, change(id(1), 0)).unwrap();
    let led = PartitionChangeRecord { leader: 1, ..change(id(1), 0) };
    assert!(matches!(apply(&mut image, led), Err(ReplayError::PartitionEpoch { .. })));
}

#[test]
fn a_partition_change_leaves_what_it_does_not_name() {
    let mut image = small();
    let before = image.topics().partition("t", 0).unwrap().clone();
    apply(&mut image, PartitionChangeRecord { isr: Some(vec![]), ..change(id(1), 0) }).unwrap();
    let after = image.topics().partition("t", 0).unwrap();
    assert_eq!(*after, Partition { isr: vec![], partition_epoch: 1, ..before.clone() });
    apply(&mut image, PartitionChangeRecord { leader: 1, ..change(id(1), 0) }).unwrap();
    let after = image.topics().partition("t", 0).unwrap();
    let expected = Partition { isr: vec![], partition_epoch: 2, leader_epoch: 1, ..before };
    assert_eq!(*after, expected);
}

#[test]
fn eligible_leaders_are_forgotten_where_asked() {
    let mut image = small();
    apply(&mut image, topic("u", id(2))).unwrap();
    for topic_id in [id(1), id(2)] {
        let eligible_leader_replicas = Some(vec![1]);
        apply(&mut image, PartitionRecord { eligible_leader_replicas, ..partition(topic_id, 0) })
            .unwrap();
        apply(&mut image, partition(topic_id, 1)).unwrap();
    }
    let elr = |image: &Image, name| image.topics().partition(name, 0).unwrap().elr.len();
    apply(&mut image, ClearElrRecord { topic_name: "u" }).unwrap();
    assert_eq!((elr(&image, "t"), elr(&image, "u")), (1, 0));
    apply(&mut image, ClearElrRecord { topic_name: "" }).unwrap();
    assert_eq!((elr(&image, "t"), elr(&image, "u")), (0, 0));
    let epoch = |number| image.topics().partition("t", number).unwrap().partition_epoch;
    assert_eq!((epoch(0), epoch(1)), (1, 0), "a partition without any is not changed");
}

#[test]
fn old_records_of_brokers_still_count() {
    let mut image = small();
    assert!(image.is_broker_active(1));
    apply(&mut image, FenceBrokerRecord { id: 1, epoch: 5 }).unwrap();
    assert!(image.brokers()[&1].fenced && !image.is_broker_active(1));
    apply(&mut image, UnfenceBrokerRecord { id: 1, epoch: 5 }).unwrap();
    assert!(image.is_broker_active(1));
    apply(&mut image, UnregisterBrokerRecord { broker_id: 1, broker_epoch: 5 }).unwrap();
    assert!(image.brokers().is_empty());
}

#[test]
fn what_is_not_acted_on_is_kept_by_key() {
    let unknown = |body| MetadataRecord::Unknown(UnknownRecord { api_key: 99, version: 3, body });
    let mut image = Image::empty();
    let acl = |host| AccessControlEntryRecord { id: id(4), host, ..Default::default() };
    let token = DelegationTokenRecord { token_id: "k", ..Default::default() };
    apply(&mut image, unknown(b"first")).unwrap();
    apply(&mut image, acl("a")).unwrap();
    apply(&mut image, acl("b")).unwrap();
    apply(&mut image, token).unwrap();
    apply(&mut image, ZkMigrationStateRecord { zk_migration_state: 3 }).unwrap();
    apply(&mut image, unknown(b"second")).unwrap();
    let unknown = image.kept().count(|key| matches!(key, KeptKey::Unknown(_)));
    assert_eq!((image.kept().iter().count(), unknown), (5, 2));

    let values: Vec<_> = image.kept().iter().map(|(_, value)| value.to_vec()).collect();
    assert_eq!(values[0], MetadataRecord::from(acl("b")).to_bytes(0).unwrap());
    assert_eq!(values[3], [b"\x01\x63\x03", &b"first"[..]].concat());
    assert_eq!(values[4], [b"\x01\x63\x03", &b"second"[..]].concat());

    apply(&mut image, RemoveAccessControlEntryRecord { id: id(4) }).unwrap();
    apply(&mut image, RemoveDelegationTokenRecord { token_id: "k" }).unwrap();
    apply(&mut image, ZkMigrationStateRecord { zk_migration_state: 0 }).unwrap();
    assert_eq!(image.kept().iter().count(), 2);
}

#[test]
fn quotas_are_found_by_entity_whatever_the_order_of_its_parts() {
    let user = EntityData { entity_type: "user", entity_name: Some("u") };
    let client = EntityData { entity_type: "client-id", entity_name: None };
    let quota = |entity: &[EntityData<'static>], key, value| ClientQuotaRecord {
        entity: entity.to_vec(),
        key,
        value,
        remove: value == 0.0,
    };
    let mut image = Image::empty();
    apply(&mut image, quota(&[user.clone(), client.clone()], "a", 1.0)).unwrap();
    apply(&mut image, quota(&[client.clone(), user.clone()], "a", 2.0)).unwrap();
    apply(&mut image, quota(&[client.clone(), user.clone()], "b", f64::INFINITY)).unwrap();
    apply(&mut image, quota(std::slice::from_ref(&user), "a", 3.0)).unwrap();
    assert_eq!(image.client_quotas().len(), 2);
    let both = QuotaEntity::from([("client-id".into(), None), ("user".into(), Some("u".into()))]);
    let limits = image.client_quotas().get(&both).unwrap();
    assert_eq!((limits["a"], limits["b"]), (2.0, f64::INFINITY));

    apply(&mut image, quota(&[user.clone(), client.clone()], "none", 0.0)).unwrap();
    apply(&mut image, quota(std::slice::from_ref(&client), "a", 0.0)).unwrap();
    assert_eq!(image.client_quotas().len(), 2, "removing what is not there changes nothing");
    for key in ["a", "b"] {
        apply(&mut image, quota(&[user.clone(), client.clone()], key, 0.0)).unwrap();
    }
    apply(&mut image, quota(&[user], "a", 0.0)).unwrap();
    assert_eq!(*image.client_quotas(), ClientQuotas::default());
}

#[test]
fn credentials_are_found_by_user_and_mechanism_and_are_not_printed() {
    let scram = |mechanism, iterations| UserScramCredentialRecord {
        name: "bob",
        mechanism,
        salt: b"pepper",
        stored_key: b"stored",
        server_key: b"server",
        iterations,
    };
    let mut image = Image::empty();
    apply(&mut image, scram(1, 4096)).unwrap();
    apply(&mut image, scram(1, 8192)).unwrap();
    apply(&mut image, scram(2, 4096)).unwrap();
    apply(&mut image, scram(9, 4096)).unwrap();
    let credentials = image.scram_credentials();
    assert_eq!(credentials.get("bob", ScramMechanism::Sha256).unwrap().iterations, 8192);
    assert_eq!(credentials.user("bob").unwrap().len(), 3, "an unknown mechanism is kept");
    assert_eq!(credentials.get("alice", ScramMechanism::Sha256), None);
    let printed = format!("{:?}", credentials);
    assert!(!printed.contains("112, 101") && printed.contains("8192"), "{printed}");
    for mechanism in [1, 2, 3, 9] {
        let record = RemoveUserScramCredentialRecord { name: "bob", mechanism };
        apply(&mut image, record).unwrap();
    }
    assert_eq!(*image.scram_credentials(), ScramCredentials::default());
}

#[test]
fn a_reader_keeps_its_image_and_shares_what_did_not_change() {
    let mut image = Image::empty();
    for number in 0..2_000_u16 {
        let mut bytes = [1; 16];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        let topic_id = Uuid::from_bytes(bytes);
        apply(&mut image, topic(&format!("t{number}"), topic_id)).unwrap();
        apply(&mut image, partition(topic_id, 0)).unwrap();
    }
    let reader = Arc::new(image.clone());
    let changed = image.topics().by_name("t77").unwrap().id;
    apply(&mut image, PartitionChangeRecord { leader: -1, ..change(changed, 0) }).unwrap();
    let pairs = reader.topics().iter().zip(image.topics().iter());
    assert_eq!(pairs.filter(|(a, b)| !Arc::ptr_eq(a, b)).count(), 1);
    assert_eq!(reader.topics().partition("t77", 0).unwrap().leader, 1);
    assert_eq!(image.topics().partition("t77", 0).unwrap().leader, -1);
    let from: Vec<_> = image.topics().iter_from("t998").map(|topic| &*topic.name).collect();
    assert_eq!(from, ["t998", "t999"]);
}

#[test]
fn configs_are_found_by_resource() {
    let mut image = Image::empty();
    let mut set = |resource_type, resource_name, value| {
        let record = ConfigRecord { resource_type, resource_name, name: "k", value };
        apply(&mut image, record).unwrap();
        image.clone()
    };
    set(2, "t", Some("1"));
    set(4, "", Some("2"));
    set(77, "later", Some("4"));
    let image = set(4, "1", Some("3"));
    let configs = image.configs();
    assert_eq!(configs.value(ConfigResourceType::Topic, "t", "k"), Some("1"));
    assert_eq!(configs.default_broker().map(ConfigEntries::len), Some(1));
    assert_eq!(&*configs.broker(1).unwrap()["k"], "3");
    assert_eq!(configs.broker(2), None);
    let kinds: Vec<_> = configs.iter().map(|(kind, name, _)| (kind, name)).collect();
    assert_eq!(kinds, [(2, "t"), (4, ""), (4, "1"), (77, "later")]);
    let mut emptied = image.clone();
    for (resource_type, resource_name, _) in image.configs().iter() {
        let record = ConfigRecord { resource_type, resource_name, name: "k", value: None };
        apply(&mut emptied, record).unwrap();
    }
    assert_eq!(*emptied.configs(), Configs::default());
}

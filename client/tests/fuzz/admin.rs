//! Answers that an admin client reads.

use std::time::Duration;

use ottla_client::{
    AclFilter, Admin, CommittedOffset, ConfigChange, ConfigDetails, ConfigResource, Consumer,
    DeleteBefore, ElectionType, Error, FeatureUpdate, FeatureUpgrade, GroupMember, IsolationLevel,
    NewPartitions, NewTopic, OffsetSpec, Producer, ProducerRecord, Properties, QuotaEntity,
    QuotaFilter, Results, ScramChange, ScramMechanism, TopicPartition, TopicPartitionReplica,
};
use ottla_protocol::error_code::ErrorCode;

use crate::memory::Alone;
use crate::proxy::Proxy;
use crate::trial::{Trial, patient, seed};

pub(crate) fn admin(properties: Properties) -> Admin {
    Admin::new(&properties).unwrap()
}

/// Whether all of it was done.
pub(crate) fn is_done<K, T>(results: Result<Results<K, T>, Error>) -> bool {
    results.is_ok_and(|results| results.iter().all(|(_, result)| result.is_ok()))
}

pub(crate) const CALLS: &[&str] = &[
    "ApiVersions",
    "CreateTopics",
    "DeleteGroups",
    "DeleteTopics",
    "DescribeCluster",
    "DescribeTopicPartitions",
    "FindCoordinator",
    "ListGroups",
    "Metadata",
    "OffsetFetch",
];

#[test]
fn of_admin_calls() {
    let (alone, proxy) = (Alone::new(), Proxy::start(seed()));
    let act = |admin: &Admin, _| {
        let topics = [NewTopic::new("t").partitions(2), NewTopic::new("u")];
        [
            // What is there already, or not, is an answer too.
            admin.create_topics(&topics).is_ok(),
            admin.delete_topics(&["u", "v"]).is_ok(),
            admin.delete_groups(&["g"]).is_ok(),
            admin.list_topics(true).is_ok_and(|topics| !topics.is_empty()),
            is_done(admin.describe_topics(&["t"])),
            admin.describe_cluster().is_ok(),
            is_done(admin.describe_api_versions(&[1])),
            admin.describe_features(None).is_ok_and(|told| !told.features.is_empty()),
            admin.committed_offsets("g").is_ok(),
            admin.list_groups().is_ok(),
        ] == [true; 10]
    };
    Trial { kinds: CALLS, make: admin, act }.run(&alone, &proxy);
}

pub(crate) const LOOKS: &[&str] = &[
    "DescribeClientQuotas",
    "DescribeConfigs",
    "DescribeLogDirs",
    "DescribeProducers",
    "DescribeQuorum",
    "DescribeUserScramCredentials",
    "ListConfigResources",
    "ListOffsets",
    "ListPartitionReassignments",
];

#[test]
fn of_admin_calls_that_look() {
    let (alone, proxy) = (Alone::new(), Proxy::start(seed()));
    let producer = Producer::new(&patient(&proxy)).unwrap();
    producer.send(&ProducerRecord::new("t", b"a")).unwrap().wait().unwrap();
    let users = ["alice", "bob"];
    let quota =
        |user| (QuotaEntity::new().user(user), vec![("producer_byte_rate".into(), Some(9.))]);
    let credential = |user: &str| ScramChange::Upsert {
        user: user.to_owned(),
        mechanism: ScramMechanism::Sha256,
        iterations: 4096,
        salt: None,
        password: b"secret".to_vec(),
    };
    let setter = admin(patient(&proxy));
    assert!(is_done(setter.alter_client_quotas(&users.map(quota))));
    assert!(is_done(setter.alter_user_scram_credentials(&users.map(credential))));
    let act = |admin: &Admin, _| {
        let partition = TopicPartition::new("t", 0);
        let resources = [ConfigResource::topic("t"), ConfigResource::broker(1)];
        let offsets = [(partition.clone(), OffsetSpec::Latest)];
        let isolation = IsolationLevel::ReadUncommitted;
        let details = ConfigDetails { synonyms: true, documentation: true };
        [
            admin.describe_client_quotas(&QuotaFilter::new()).is_ok_and(|told| told.len() == 2),
            is_done(admin.describe_configs(&resources, details)),
            is_done(admin.describe_log_dirs(&[1])),
            is_done(admin.describe_producers(&[partition])),
            admin.describe_quorum().is_ok(),
            admin.describe_user_scram_credentials(&[]).is_ok_and(|told| told.len() == 2),
            admin.list_config_resources(&[]).is_ok_and(|told| !told.is_empty()),
            is_done(admin.list_offsets(&offsets, isolation)),
            admin.list_partition_reassignments(None).is_ok(),
        ] == [true; 9]
    };
    Trial { kinds: LOOKS, make: admin, act }.run(&alone, &proxy);
}

pub(crate) const CHANGES: &[&str] = &[
    "AlterClientQuotas",
    "AlterPartitionReassignments",
    "AlterReplicaLogDirs",
    "AlterUserScramCredentials",
    "CreatePartitions",
    "DeleteRecords",
    "DescribeAcls",
    "ElectLeaders",
    "IncrementalAlterConfigs",
    "OffsetCommit",
    "OffsetDelete",
    "UpdateFeatures",
];

#[test]
fn of_admin_calls_that_change() {
    let (alone, proxy) = (Alone::new(), Proxy::start(seed()));
    admin(patient(&proxy)).create_topics(&[NewTopic::new("t").partitions(2)]).unwrap();
    Trial { kinds: CHANGES, make: admin, act: change }.run(&alone, &proxy);
}

fn change(admin: &Admin, _: Duration) -> bool {
    let of = TopicPartition::new("t", 0);
    let settings = [(ConfigResource::topic("t"), vec![ConfigChange::set("retention.ms", "9")])];
    let quota = (QuotaEntity::new().user("u"), vec![("request_percentage".into(), Some(9.0))]);
    let committed = CommittedOffset {
        topic: "t".to_owned(),
        partition: 0,
        offset: 0,
        leader_epoch: None,
        metadata: String::new(),
    };
    let replica = TopicPartitionReplica { partition: of.clone(), broker: 1 };
    let credentials = ["alice", "bob"]
        .map(|user| ScramChange::Delete { user: user.into(), mechanism: ScramMechanism::Sha512 });
    let feature = FeatureUpdate {
        name: "metadata.version".into(),
        level: 1000,
        upgrade: FeatureUpgrade::Upgrade,
    };
    // What cannot be done is an answer too.
    [
        is_done(admin.alter_client_quotas(&[quota])),
        admin.alter_partition_reassignments(&[(of.clone(), None)]).is_ok(),
        admin.alter_replica_log_dirs(&[(replica, "/nowhere".into())]).is_ok(),
        admin.alter_user_scram_credentials(&credentials).is_ok(),
        admin.create_partitions(&[NewPartitions::increase_to("t", 2)]).is_ok(),
        is_done(admin.delete_records(&[(of.clone(), DeleteBefore::Offset(0))])),
        admin.describe_acls(&AclFilter::any()).map_err(|error| error.code())
            == Err(Some(ErrorCode::SECURITY_DISABLED)),
        admin.elect_leaders(ElectionType::Preferred, Some(std::slice::from_ref(&of))).is_ok(),
        is_done(admin.incremental_alter_configs(&settings)),
        is_done(admin.alter_consumer_group_offsets("g", &[committed])),
        is_done(admin.delete_consumer_group_offsets("g", &[of])),
        admin.update_features(&[feature]).is_err_and(|error| error.code().is_some()),
    ] == [true; 12]
}

pub(crate) const GROUPS: &[&str] = &["ConsumerGroupDescribe", "DescribeGroups", "LeaveGroup"];

/// Groups have members meanwhile, who are told no lies.
#[test]
fn of_admin_calls_about_groups() {
    let (alone, proxy) = (Alone::new(), Proxy::start(seed()));
    admin(patient(&proxy)).create_topics(&[NewTopic::new("t")]).unwrap();
    let members = ["classic", "consumer"].map(|protocol| {
        let properties = patient(&proxy).with("group.id", protocol);
        let consumer = Consumer::new(&properties.with("group.protocol", protocol)).unwrap();
        consumer.subscribe(&["t"]).unwrap();
        while consumer.assignment().is_empty() {
            _ = consumer.poll(Duration::from_millis(10));
        }
        consumer
    });
    proxy.lie_only_of(GROUPS);
    let act = |admin: &Admin, _| {
        let strangers = [GroupMember::Id("a".into()), GroupMember::InstanceId("b".into())];
        [
            is_done(admin.describe_groups(&["classic", "consumer"])),
            admin.remove_members_from_group("classic", &strangers, "").is_ok(),
        ] == [true; 2]
    };
    Trial { kinds: GROUPS, make: admin, act }.run(&alone, &proxy);
    drop(members);
}

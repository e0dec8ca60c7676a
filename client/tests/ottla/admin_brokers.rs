//! What brokers tell of themselves, against a broker in the same process.

use ottla_client::{
    AclOperation, ErrorKind, FeatureUpdate, FeatureUpgrade, NewTopic, Producer, ProducerRecord,
    TopicPartition, TopicPartitionReplica,
};
use ottla_protocol::api::ApiKey;

use crate::site::Site;

#[test]
fn the_cluster_tells_what_this_client_may_do() {
    let site = Site::new();
    let cluster = site.admin().describe_cluster().unwrap();
    assert!(cluster.fenced.is_empty());
    let operations = cluster.authorized_operations.unwrap();
    assert!(operations.contains(&AclOperation::Alter), "{operations:?}");
}

#[test]
fn brokers_tell_what_they_serve() {
    let site = Site::new();
    let admin = site.admin();
    let all = admin.describe_api_versions(&[]).unwrap();
    assert_eq!(all.iter().map(|(broker, _)| *broker).collect::<Vec<_>>(), [1]);
    let apis = all[0].1.as_ref().unwrap();
    let metadata = apis.iter().find(|api| api.key == ApiKey::Metadata.as_i16()).unwrap();
    assert_eq!((metadata.name, metadata.usable), (Some("Metadata"), Some(13)));
    assert_eq!((metadata.min_version, metadata.max_version), (0, 13));
    let results = admin.describe_api_versions(&[4, 1]).unwrap();
    let error = results[0].1.as_ref().unwrap_err();
    assert_eq!(error.to_string(), "broker 4: the cluster has no such broker; it has 1");
    assert!(results[1].1.is_ok());
    let error = admin.describe_api_versions(&[1, 1]).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Usage, "broker 1 is there twice")
    );
}

#[test]
fn features_are_told_and_changed() {
    let site = Site::new();
    let admin = site.admin();
    let features = admin.describe_features(None).unwrap();
    let version = features.features.iter().find(|of| of.name == "metadata.version").unwrap();
    let (least, most) = version.supported.unwrap();
    assert!(least <= version.finalized.unwrap() && version.finalized.unwrap() <= most);
    assert!(features.epoch.unwrap() >= 0);
    assert_eq!(admin.describe_features(Some(1)).unwrap().features, features.features);
    let error = admin.describe_features(Some(2)).unwrap_err();
    assert_eq!(error.to_string(), "broker 2: the cluster has no such broker; it has 1");
    let update = |name: &str, level| FeatureUpdate {
        name: name.to_owned(),
        level,
        upgrade: FeatureUpgrade::Upgrade,
    };
    admin.validate_features(&[update("metadata.version", version.finalized.unwrap())]).unwrap();
    let error = admin.update_features(&[update("no.such.feature", 1)]).unwrap_err();
    assert!(error.detail().contains("no.such.feature"), "{error}");
}

#[test]
fn log_directories_are_told_with_their_replicas() {
    let site = Site::new();
    let admin = site.admin();
    admin.create_topics(&[NewTopic::new("t").partitions(2)]).unwrap();
    let producer = Producer::new(&site.properties()).unwrap();
    let record = ProducerRecord::new("t", b"value").partition(1);
    producer.send(&record).unwrap().wait().unwrap();
    let results = admin.describe_log_dirs(&[]).unwrap();
    let dirs = results[0].1.as_ref().unwrap();
    assert_eq!((results[0].0, dirs.len(), dirs[0].error.is_none()), (1, 1, true));
    assert!(dirs[0].usable_bytes.unwrap() <= dirs[0].total_bytes.unwrap());
    let size = site.log("t", 1).len() as i64;
    let replicas: Vec<_> =
        dirs[0].replicas.iter().map(|of| (of.partition.partition, of.size_bytes)).collect();
    assert_eq!(replicas, [(0, 0), (1, size)]);
    assert!(size > 0);

    let replica = |topic: &str, broker| TopicPartitionReplica {
        partition: TopicPartition::new(topic, 0),
        broker,
    };
    let path = dirs[0].path.clone();
    let moves = [
        (replica("t", 1), "/nowhere".to_owned()),
        (replica("t", 9), path.clone()),
        (TopicPartitionReplica { partition: TopicPartition::new("t", 1), broker: 1 }, path),
    ];
    let results = admin.alter_replica_log_dirs(&moves).unwrap();
    let error = results[0].1.as_ref().unwrap_err();
    assert_eq!(error.code().unwrap().name(), Some("LOG_DIR_NOT_FOUND"));
    assert_eq!((error.topic(), error.partition(), error.broker()), (Some("t"), Some(0), Some("1")));
    let error = results[1].1.as_ref().unwrap_err();
    assert_eq!(error.to_string(), "t-0, broker 9: the cluster has no such broker; it has 1");
    assert!(results[2].1.is_ok(), "{results:?}");
}

#[test]
fn the_quorum_is_described() {
    let site = Site::new();
    let quorum = site.admin().describe_quorum().unwrap();
    assert_eq!((quorum.leader, quorum.voters.len()), (Some(1), 1));
    assert_eq!(quorum.voters[0].id, 1);
    assert!(quorum.high_watermark <= quorum.voters[0].log_end_offset);
}

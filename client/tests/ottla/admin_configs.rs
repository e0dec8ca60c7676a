//! Settings, against a broker in the same process.

use ottla_client::{
    ConfigChange, ConfigDetails, ConfigEntry, ConfigKind, ConfigResource, ConfigResourceKind,
    ConfigSource, ErrorKind, NewTopic,
};

use crate::site::Site;

fn entry<'a>(entries: &'a [ConfigEntry], name: &str) -> &'a ConfigEntry {
    entries.iter().find(|entry| entry.name == name).unwrap()
}

#[test]
fn settings_are_told_with_where_they_come_from() {
    let site = Site::new();
    let admin = site.admin();
    admin.create_topics(&[NewTopic::new("t").config("max.message.bytes", "1000")]).unwrap();
    let resources = [
        ConfigResource::broker(1),
        ConfigResource::topic("t"),
        ConfigResource::topic("nothing"),
        ConfigResource::broker_logger(1),
        ConfigResource::group("g"),
        ConfigResource::broker(7),
        ConfigResource::all_brokers(),
    ];
    let details = ConfigDetails { synonyms: true, documentation: true };
    let results = admin.describe_configs(&resources, details).unwrap();
    let asked: Vec<_> = results.iter().map(|(of, _)| of.clone()).collect();
    assert_eq!(asked, resources);

    let broker = results[0].1.as_ref().unwrap();
    let directory = entry(broker, "log.dirs");
    assert_eq!((directory.is_read_only, directory.source), (true, ConfigSource::File));
    let topic = results[1].1.as_ref().unwrap();
    let limit = entry(topic, "max.message.bytes");
    assert_eq!(limit.value.as_deref(), Some("1000"));
    assert_eq!((limit.source, limit.kind), (ConfigSource::Topic, ConfigKind::Int));
    assert!(limit.documentation.as_ref().unwrap().len() > 20);
    let synonyms: Vec<_> = limit.synonyms.iter().map(|of| (&*of.name, of.source)).collect();
    let expected =
        [("max.message.bytes", ConfigSource::Topic), ("message.max.bytes", ConfigSource::Default)];
    assert_eq!([synonyms[0], synonyms[synonyms.len() - 1]], expected);
    let error = results[2].1.as_ref().unwrap_err();
    assert!(error.to_string().starts_with("nothing: UNKNOWN_TOPIC_OR_PARTITION (3)"), "{error}");
    assert!(!results[3].1.as_ref().unwrap().is_empty());
    assert!(results[4].1.as_ref().unwrap().iter().any(|of| of.name.starts_with("consumer.")));
    let error = results[5].1.as_ref().unwrap_err();
    assert_eq!(error.to_string(), "broker 7: the cluster has no such broker; it has 1");
    assert!(results[6].1.is_ok());

    // What is not asked for is not told.
    let results = admin.describe_configs(&resources[1..2], ConfigDetails::default()).unwrap();
    let limit = entry(results[0].1.as_ref().unwrap(), "max.message.bytes").clone();
    assert_eq!((limit.synonyms.len(), limit.documentation), (0, None));
}

#[test]
fn settings_are_changed_one_by_one() {
    let site = Site::new();
    let admin = site.admin();
    admin.create_topics(&[NewTopic::new("t").config("retention.ms", "1000")]).unwrap();
    let topic = ConfigResource::topic("t");
    let value = |name: &str| {
        let of = [topic.clone()];
        let results = admin.describe_configs(&of, ConfigDetails::default()).unwrap();
        entry(results[0].1.as_ref().unwrap(), name).value.clone().unwrap()
    };
    let change = |change| [(topic.clone(), vec![change])];
    let set = change(ConfigChange::set("segment.bytes", "2000000"));
    admin.validate_configs(&set).unwrap()[0].1.as_ref().unwrap();
    assert_eq!(value("segment.bytes"), "1073741824");
    admin.incremental_alter_configs(&set).unwrap()[0].1.as_ref().unwrap();
    assert_eq!(
        (value("segment.bytes").as_str(), value("retention.ms").as_str()),
        ("2000000", "1000")
    );
    for (step, policy) in [
        (ConfigChange::append("cleanup.policy", "compact"), "delete,compact"),
        (ConfigChange::subtract("cleanup.policy", "delete"), "compact"),
        (ConfigChange::delete("cleanup.policy"), "delete"),
    ] {
        admin.incremental_alter_configs(&change(step)).unwrap()[0].1.as_ref().unwrap();
        assert_eq!(value("cleanup.policy"), policy);
    }
    // Each resource has a result of its own.
    let changes = [
        (topic.clone(), vec![ConfigChange::set("retention.ms", "many")]),
        (ConfigResource::topic("nothing"), vec![ConfigChange::delete("retention.ms")]),
        (ConfigResource::broker(1), vec![ConfigChange::set("log.cleaner.threads", "2")]),
        (
            ConfigResource::group("g"),
            vec![ConfigChange::set("consumer.session.timeout.ms", "50000")],
        ),
    ];
    let results = admin.incremental_alter_configs(&changes).unwrap();
    let error = results[0].1.as_ref().unwrap_err();
    assert_eq!(error.code().unwrap().name(), Some("INVALID_CONFIG"));
    assert!(error.detail().contains("retention.ms"), "{error}");
    assert!(results[1].1.is_err());
    assert!(results[2].1.is_ok() && results[3].1.is_ok(), "{results:?}");

    let error = admin.incremental_alter_configs(&[set[0].clone(), set[0].clone()]).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Usage, "TOPIC t is there twice")
    );
    let nobody = ConfigResource::new(ConfigResourceKind::Broker, "one");
    let error = admin.describe_configs(&[nobody], ConfigDetails::default()).unwrap_err();
    assert_eq!(error.to_string(), "BROKER one: no broker's id");
}

#[test]
fn what_has_settings_is_listed() {
    let site = Site::new();
    let admin = site.admin();
    admin.create_topics(&[NewTopic::new("t")]).unwrap();
    let set = vec![ConfigChange::set("consumer.session.timeout.ms", "50000")];
    let changed = admin.incremental_alter_configs(&[(ConfigResource::group("g"), set)]).unwrap();
    changed[0].1.as_ref().unwrap();
    let all = admin.list_config_resources(&[]).unwrap();
    for of in [ConfigResource::topic("t"), ConfigResource::broker(1), ConfigResource::group("g")] {
        assert!(all.contains(&of), "{all:?}");
    }
    let groups = admin.list_config_resources(&[ConfigResourceKind::Group]).unwrap();
    assert_eq!(groups, [ConfigResource::group("g")]);
    let none = admin.list_config_resources(&[ConfigResourceKind::ClientMetrics]).unwrap();
    assert!(none.is_empty());
}

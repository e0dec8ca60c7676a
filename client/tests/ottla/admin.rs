//! What operators do, against a broker in the same process.

use std::thread;
use std::time::{Duration, Instant};

use ottla_client::{Admin, ErrorKind, NewTopic, Properties};

use crate::site::Site;

#[test]
fn topics_are_made_listed_described_and_deleted() {
    let site = Site::new();
    let admin = site.admin();
    let topics = [
        NewTopic::new("orders").partitions(3).config("retention.ms", "1000"),
        NewTopic::new("bad name"),
        NewTopic::new("customers").partitions(1).replication_factor(1),
    ];
    let checked = admin.validate_topics(&topics[..1]).unwrap();
    assert!(checked[0].1.is_ok());
    assert!(admin.list_topics(true).unwrap().is_empty());

    let created = admin.create_topics(&topics).unwrap();
    let names: Vec<&str> = created.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["orders", "bad name", "customers"]);
    let error = created[1].1.as_ref().unwrap_err();
    assert_eq!(error.code().unwrap().name(), Some("INVALID_TOPIC_EXCEPTION"));
    assert_eq!(error.topic(), Some("bad name"));
    let again = admin.create_topics(&topics[..1]).unwrap();
    let error = again[0].1.as_ref().unwrap_err();
    assert_eq!(error.code().unwrap().name(), Some("TOPIC_ALREADY_EXISTS"));

    let listed = admin.list_topics(false).unwrap();
    let listed: Vec<_> = listed.iter().map(|topic| (&*topic.name, topic.partitions)).collect();
    assert_eq!(listed, [("customers", 1), ("orders", 3)]);
    let described = admin.describe_topics(&["orders", "nothing"]).unwrap();
    let orders = described[0].1.as_ref().unwrap();
    assert_eq!(orders.id, *created[0].1.as_ref().unwrap());
    let partitions = orders.partitions.iter();
    let leaders: Vec<_> =
        partitions.map(|partition| (partition.index, partition.leader, &*partition.isr)).collect();
    assert_eq!(leaders, [(0, Some(1), &[1][..]), (1, Some(1), &[1]), (2, Some(1), &[1])]);
    let error = described[1].1.as_ref().unwrap_err();
    assert_eq!(error.to_string(), "nothing: UNKNOWN_TOPIC_OR_PARTITION (3)");

    let deleted = admin.delete_topics(&["nothing", "orders"]).unwrap();
    assert!(deleted[0].1.is_err() && deleted[1].1.is_ok());
    assert_eq!(admin.list_topics(false).unwrap().len(), 1);
}

#[test]
fn the_cluster_is_described() {
    let site = Site::new();
    let cluster = site.admin().describe_cluster().unwrap();
    assert_eq!((cluster.controller, cluster.brokers.len()), (Some(1), 1));
    assert_eq!(cluster.brokers[0].port, site.address.port());
    assert_eq!(cluster.id.len(), 22);
}

#[test]
fn a_broker_that_comes_back_is_found() {
    let mut site = Site::new();
    let admin = site.admin();
    admin.create_topics(&[NewTopic::new("t")]).unwrap();
    site.stop();
    thread::scope(|scope| {
        let listing = scope.spawn(|| admin.list_topics(false));
        thread::sleep(Duration::from_millis(300));
        assert!(!listing.is_finished());
        site.start();
        assert_eq!(listing.join().unwrap().unwrap().len(), 1);
    });
}

#[test]
fn calls_of_many_threads_share_a_client() {
    let site = Site::new();
    let admin = site.admin();
    thread::scope(|scope| {
        for thread in 0..4 {
            let admin = &admin;
            scope.spawn(move || {
                for number in 0..10 {
                    let name = format!("t-{thread}-{number}");
                    admin.create_topics(&[NewTopic::new(&name)]).unwrap()[0].1.as_ref().unwrap();
                }
            });
        }
    });
    assert_eq!(admin.list_topics(false).unwrap().len(), 40);
}

#[test]
fn nobody_there_is_told_in_time_and_with_its_cause() {
    let properties = Properties::new()
        .with("bootstrap.servers", "127.0.0.1:1")
        .with("default.api.timeout.ms", "200");
    let admin = Admin::new(&properties).unwrap();
    let begun = Instant::now();
    let error = admin.list_topics(false).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(matches!(error.kind(), ErrorKind::Timeout(_)));
    let text = error.to_string();
    assert!(text.contains("broker at 127.0.0.1:1: no connection to 127.0.0.1"), "{text}");
    assert!(text.contains("refused"), "{text}");
    // A name that nobody knows is a cause as well.
    let properties = properties.with("bootstrap.servers", "nowhere.invalid:9092");
    let error = Admin::new(&properties).unwrap().list_topics(false).unwrap_err();
    assert!(error.to_string().contains("nowhere.invalid"), "{error}");
}

#[test]
fn groups_are_asked_of_their_coordinator() {
    let site = Site::new();
    let admin = site.admin();
    assert!(admin.list_groups().unwrap().is_empty());
    assert!(admin.committed_offsets("nobody").unwrap().is_empty());
    let deleted = admin.delete_groups(&["nobody", "else"]).unwrap();
    assert_eq!(deleted[1].0, "else");
    for (_, result) in deleted {
        let code = result.unwrap_err().code().unwrap();
        assert_eq!(code.name(), Some("GROUP_ID_NOT_FOUND"));
    }
}

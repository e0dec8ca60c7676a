//! Groups, against a broker in the same process.

use ottla_client::{Admin, CommittedOffset, GroupFilter, NewTopic, TopicPartition};

use crate::site::Site;

fn offset(partition: i32, offset: i64) -> CommittedOffset {
    CommittedOffset {
        topic: "t".to_owned(),
        partition,
        offset,
        leader_epoch: Some(0),
        metadata: "by hand".to_owned(),
    }
}

/// Groups `g` and `h` with offsets and without members.
fn groups(site: &Site) -> Admin {
    let admin = site.admin();
    admin.create_topics(&[NewTopic::new("t").partitions(3)]).unwrap();
    for group in ["g", "h"] {
        let offsets = [offset(2, 7), offset(0, 5)];
        let results = admin.alter_consumer_group_offsets(group, &offsets).unwrap();
        let partitions: Vec<_> = results.iter().map(|(at, _)| at.partition).collect();
        assert_eq!(partitions, [2, 0]);
        assert!(results.iter().all(|(_, result)| result.is_ok()), "{results:?}");
    }
    admin
}

#[test]
fn offsets_of_groups_are_set_read_and_deleted() {
    let site = Site::new();
    let admin = groups(&site);
    assert_eq!(admin.committed_offsets("g").unwrap(), [offset(0, 5), offset(2, 7)]);
    let results = admin.committed_offsets_of(&["h", "nobody", "g"]).unwrap();
    let counts: Vec<_> =
        results.iter().map(|(group, of)| (&**group, of.as_ref().unwrap().len())).collect();
    assert_eq!(counts, [("h", 2), ("nobody", 0), ("g", 2)]);

    let unknown = CommittedOffset { topic: "nothing".to_owned(), ..offset(0, 5) };
    let results = admin.alter_consumer_group_offsets("g", &[unknown, offset(1, 6)]).unwrap();
    let error = results[0].1.as_ref().unwrap_err();
    assert_eq!(error.to_string(), "nothing-0, group g: UNKNOWN_TOPIC_OR_PARTITION (3)");
    assert!(results[1].1.is_ok());

    let partitions = [TopicPartition::new("t", 2), TopicPartition::new("t", 1)];
    let results = admin.delete_consumer_group_offsets("g", &partitions).unwrap();
    assert!(results.iter().all(|(_, result)| result.is_ok()), "{results:?}");
    assert_eq!(admin.committed_offsets("g").unwrap(), [offset(0, 5)]);
    let error = admin.delete_consumer_group_offsets("nobody", &partitions).unwrap_err();
    assert_eq!(error.code().unwrap().name(), Some("GROUP_ID_NOT_FOUND"));
    assert_eq!(error.group(), Some("nobody"));
}

#[test]
fn groups_are_listed_as_a_filter_says_and_deleted() {
    let site = Site::new();
    let admin = groups(&site);
    let ids = |filter: &GroupFilter| {
        let groups = admin.find_groups(filter).unwrap();
        groups.into_iter().map(|group| group.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&GroupFilter::new()), ["g", "h"]);
    assert_eq!(ids(&GroupFilter::new().states(&["Empty"])), ["g", "h"]);
    assert!(ids(&GroupFilter::new().states(&["Stable"])).is_empty());
    assert_eq!(ids(&GroupFilter::new().kinds(&["classic"])), ["g", "h"]);
    assert!(ids(&GroupFilter::new().kinds(&["consumer"]).states(&["Empty"])).is_empty());
    let results = admin.delete_groups(&["nobody", "h"]).unwrap();
    let error = results[0].1.as_ref().unwrap_err();
    assert_eq!(error.to_string(), "group nobody: GROUP_ID_NOT_FOUND (69)");
    assert!(results[1].1.is_ok());
    assert_eq!(ids(&GroupFilter::new()), ["g"]);
}

//! Calls that go to the coordinators of groups.

use ottla_protocol::messages::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup,
};
use ottla_protocol::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use ottla_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchResponse, OffsetFetchResponseGroup,
    OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};

use super::*;

/// Groups whose names end so are with broker 1, others with 2.
fn broker_of(group: &str) -> i32 {
    if group.ends_with('1') { 1 } else { 2 }
}

fn answer_coordinators(net: &mut FakeNet, sent: &Sent) {
    let request: FindCoordinatorRequest<'_> = sent.read();
    let coordinator = |key| Coordinator {
        key,
        node_id: broker_of(key),
        host: "h",
        port: 9,
        ..Default::default()
    };
    let answer = if sent.request.version < 4 {
        let node_id = broker_of(request.key);
        FindCoordinatorResponse { node_id, ..Default::default() }
    } else {
        let coordinators = request.coordinator_keys.iter().copied().map(coordinator).collect();
        FindCoordinatorResponse { coordinators, ..Default::default() }
    };
    net.answer(sent, &answer);
}

/// Answers with offset 7 of partition 0 of a topic, and says who was asked about which groups.
fn answer_offsets(net: &mut FakeNet, sent: &Sent) -> (Node, Vec<String>) {
    let request: OffsetFetchRequest<'_> = sent.read();
    if sent.request.version < 8 {
        let partition = OffsetFetchResponsePartition { committed_offset: 7, ..Default::default() };
        let topics = vec![OffsetFetchResponseTopic { name: "t", partitions: vec![partition] }];
        net.answer(sent, &OffsetFetchResponse { topics, ..Default::default() });
        return (sent.node, vec![request.group_id.to_owned()]);
    }
    let group = |of: &str| {
        let code = if of.starts_with("secret") {
            ErrorCode::GROUP_AUTHORIZATION_FAILED
        } else {
            ErrorCode::NONE
        };
        (of.to_owned(), code)
    };
    let asked: Vec<_> = request.groups.iter().map(|of| group(of.group_id)).collect();
    let groups = asked.iter().map(|(group_id, error_code)| {
        let partition = OffsetFetchResponsePartitions { committed_offset: 7, ..Default::default() };
        let partitions = vec![partition];
        let topics =
            vec![OffsetFetchResponseTopics { name: "t", partitions, ..Default::default() }];
        OffsetFetchResponseGroup { group_id, topics, error_code: *error_code }
    });
    net.answer(sent, &OffsetFetchResponse { groups: groups.collect(), ..Default::default() });
    (sent.node, asked.into_iter().map(|(group, _)| group).collect())
}

fn play_groups(served: Vec<ApiVersion>) -> (Admin, Receiver<(Node, Vec<String>)>) {
    let (told, asked) = mpsc::channel();
    let admin = play(LONG, served, move |net, sent| match sent.request.api {
        ApiKey::Metadata => answer_metadata(net, &sent, [1, 2]),
        ApiKey::FindCoordinator => answer_coordinators(net, &sent),
        ApiKey::OffsetFetch => told.send(answer_offsets(net, &sent)).unwrap(),
        other => panic!("{other:?}"),
    });
    (admin, asked)
}

#[test]
fn each_coordinator_is_asked_once_about_all_of_its_groups() {
    let (admin, asked) = play_groups(Vec::new());
    let results = admin.committed_offsets_of(&["a-1", "b-2", "secret-1", "c-2"]).unwrap();
    let groups: Vec<_> = results.iter().map(|(group, told)| (&**group, told.is_ok())).collect();
    assert_eq!(groups, [("a-1", true), ("b-2", true), ("secret-1", false), ("c-2", true)]);
    let error = results[2].1.as_ref().unwrap_err();
    assert_eq!(error.to_string(), "group secret-1: GROUP_AUTHORIZATION_FAILED (30)");
    let mut asked: Vec<_> = asked.try_iter().collect();
    asked.sort();
    let expected = [
        (Node::Broker(1), vec!["a-1".to_owned(), "secret-1".to_owned()]),
        (Node::Broker(2), vec!["b-2".to_owned(), "c-2".to_owned()]),
    ];
    assert_eq!(asked, expected);
}

#[test]
fn older_brokers_are_asked_group_by_group() {
    let (admin, asked) =
        play_groups(served(&[(ApiKey::FindCoordinator, 0..=3), (ApiKey::OffsetFetch, 1..=7)]));
    let results = admin.committed_offsets_of(&["a-1", "b-2"]).unwrap();
    for (_, told) in results {
        assert_eq!(told.unwrap()[0].offset, 7);
    }
    let mut asked: Vec<_> = asked.try_iter().collect();
    asked.sort();
    let expected = [
        (Node::Coordinator(1), vec!["a-1".to_owned()]),
        (Node::Coordinator(2), vec!["b-2".to_owned()]),
    ];
    assert_eq!(asked, expected);
}

#[test]
fn brokers_that_know_one_kind_of_groups_are_asked_about_that() {
    let served = served(&[(ApiKey::ConsumerGroupDescribe, NONE), (ApiKey::DescribeGroups, 0..=5)]);
    let admin = play(LONG, served, |net, sent| match sent.request.api {
        ApiKey::Metadata => answer_metadata(net, &sent, [1, 2]),
        ApiKey::FindCoordinator => answer_coordinators(net, &sent),
        _ => {
            let request: DescribeGroupsRequest<'_> = sent.read();
            let group = |&group_id: &&'_ str| (group_id.to_owned(), group_id.starts_with("no"));
            let told: Vec<_> = request.groups.iter().map(group).collect();
            let groups = told.iter().map(|(group_id, is_dead)| DescribedGroup {
                group_id,
                group_state: if *is_dead { "Dead" } else { "Stable" },
                ..Default::default()
            });
            let groups = groups.collect();
            net.answer(&sent, &DescribeGroupsResponse { groups, ..Default::default() });
        }
    });
    let results = admin.describe_groups(&["nobody-1", "a-2", "b-1"]).unwrap();
    let error = results[0].1.as_ref().unwrap_err();
    assert_eq!(error.to_string(), "group nobody-1: GROUP_ID_NOT_FOUND (69)");
    let described = results[1..].iter().map(|(_, told)| told.as_ref().unwrap());
    let described: Vec<_> = described.map(|of| (of.id.as_str(), of.coordinator)).collect();
    assert_eq!(described, [("a-2", 2), ("b-1", 1)]);
}

//! Calls that go to the leaders of partitions.

use ottla_protocol::messages::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
};

use super::*;

/// What a leader was asked: which one, and of which partitions in which order.
type Asked = (Node, Vec<(String, i32)>);

/// Answers with these codes and offsets.
fn answer(net: &mut FakeNet, sent: &Sent, code: impl Fn(&str, i32) -> ErrorCode) -> Asked {
    let request: ListOffsetsRequest<'_> = sent.read();
    let mut asked = Vec::new();
    let topics = request.topics.iter().map(|topic| {
        let partition = |index| ListOffsetsPartitionResponse {
            partition_index: index,
            error_code: code(topic.name, index),
            offset: 40 + i64::from(index),
            ..Default::default()
        };
        let indexes = topic.partitions.iter().map(|of| of.partition_index);
        asked.extend(indexes.clone().map(|index| (topic.name.to_owned(), index)));
        let partitions = indexes.map(partition).collect();
        ListOffsetsTopicResponse { name: topic.name, partitions }
    });
    let topics = topics.collect();
    net.answer(sent, &ListOffsetsResponse { topics, ..Default::default() });
    (sent.node, asked)
}

fn latest(admin: &Admin, of: &[TopicPartition]) -> Results<TopicPartition, ListedOffset> {
    let of: Vec<_> = of.iter().map(|at| (at.clone(), OffsetSpec::Latest)).collect();
    admin.list_offsets(&of, IsolationLevel::ReadUncommitted).unwrap()
}

/// A client of a cluster in which the leader of partition 0 moves from broker 1 to 2 when `moves`
/// says so; and what leaders are asked.
fn moving(
    mut moves: impl FnMut(&mut FakeNet, &Sent) -> bool + Send + 'static,
) -> (Admin, Receiver<Asked>) {
    let (told, asked) = mpsc::channel();
    let mut leader = 1;
    let admin = play(LONG, Vec::new(), move |net, sent| match sent.request.api {
        ApiKey::Metadata => answer_metadata(net, &sent, [leader, 2]),
        ApiKey::ListOffsets => {
            if leader == 1 && moves(net, &sent) {
                leader = 2;
                if net.is_ready(sent.node) {
                    let code = |_: &str, index| match index {
                        0 => ErrorCode::NOT_LEADER_OR_FOLLOWER,
                        _ => ErrorCode::NONE,
                    };
                    told.send(answer(net, &sent, code)).unwrap();
                }
            } else {
                told.send(answer(net, &sent, |_, _| ErrorCode::NONE)).unwrap();
            }
        }
        other => panic!("{other:?}"),
    });
    (admin, asked)
}

#[test]
fn each_leader_is_asked_once_about_all_of_its_partitions() {
    let (admin, asked) = moving(|_, _| false);
    let items = [at("b", 1), at("a", 0), at("a", 1), at("b", 0)];
    let results = latest(&admin, &items);
    let offsets: Vec<_> =
        results.into_iter().map(|(at, told)| (at, told.unwrap().offset)).collect();
    let expected = items.map(|at| {
        let offset = 40 + i64::from(at.partition);
        (at, Some(offset))
    });
    assert_eq!(offsets, expected);
    let mut asked: Vec<Asked> = asked.try_iter().collect();
    asked.sort();
    let of = |index| vec![("a".to_owned(), index), ("b".to_owned(), index)];
    assert_eq!(asked, [(Node::Broker(1), of(0)), (Node::Broker(2), of(1))]);
    // Nobody is asked about nothing.
    assert!(latest(&admin, &[]).is_empty());
    let twice = [(at("a", 0), OffsetSpec::Latest), (at("a", 0), OffsetSpec::Earliest)];
    let error = admin.list_offsets(&twice, IsolationLevel::ReadUncommitted).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Usage, "a-0 is there twice")
    );
}

#[test]
fn a_leader_that_moved_is_found() {
    let (admin, asked) = moving(|_, sent| sent.node == Node::Broker(1));
    for (_, told) in latest(&admin, &[at("a", 0), at("a", 1)]) {
        told.unwrap();
    }
    let nodes: Vec<_> = asked.try_iter().collect();
    // Only what moved is asked about again.
    assert_eq!(nodes.len(), 3, "{nodes:?}");
    assert_eq!(nodes[2], (Node::Broker(2), vec![("a".to_owned(), 0)]));
}

#[test]
fn a_leader_that_cannot_be_reached_is_not_waited_for() {
    let (admin, asked) = moving(|net, sent| {
        if sent.node == Node::Broker(1) {
            let later = Instant::now() + LONG;
            net.set_there(sent.node, false, Some(later));
            // The request that was taken from the queue goes down with it.
            let result = Err(Error::new(ErrorKind::Network, "the connection ended"));
            net.events.push_back(crate::net::Event::Answered { tag: sent.tag, result });
            return true;
        }
        false
    });
    let begun = Instant::now();
    latest(&admin, &[at("a", 0)])[0].1.as_ref().unwrap();
    assert!(begun.elapsed() < LONG / 2);
    assert_eq!(
        asked.try_iter().collect::<Vec<_>>(),
        [(Node::Broker(2), vec![("a".to_owned(), 0)])]
    );
}

#[test]
fn metadata_has_the_last_word_on_what_there_is() {
    let (admin, _asked) = moving(|_, _| false);
    let results = latest(&admin, &[at("nothing", 0), at("a", 7), at("a", 1)]);
    let errors: Vec<_> = results.iter().map(|(_, told)| told.as_ref().err()).collect();
    let text = errors[0].unwrap().to_string();
    assert_eq!(text, "nothing-0: UNKNOWN_TOPIC_OR_PARTITION (3)");
    let text = errors[1].unwrap().to_string();
    assert_eq!(text, "a-7: UNKNOWN_TOPIC_OR_PARTITION (3): the topic has no such partition");
    assert!(errors[2].is_none());
}

#[test]
fn what_stays_wrong_is_told_in_the_end() {
    let short = Duration::from_millis(300);
    let admin = play(short, Vec::new(), |net, sent| match sent.request.api {
        ApiKey::Metadata => answer_metadata(net, &sent, [1, 9]),
        _ => drop(answer(net, &sent, |_, _| ErrorCode::NOT_LEADER_OR_FOLLOWER)),
    });
    let results = latest(&admin, &[at("a", 0), at("a", 1)]);
    let text = results[0].1.as_ref().unwrap_err().to_string();
    assert_eq!(text, "a-0: NOT_LEADER_OR_FOLLOWER (6)");
    // Broker 9 is not among the brokers.
    let text = results[1].1.as_ref().unwrap_err().to_string();
    assert_eq!(text, "a-1: LEADER_NOT_AVAILABLE (5)");
}

#[test]
fn an_older_broker_is_asked_what_it_knows() {
    let served = served(&[(ApiKey::ListOffsets, 1..=6)]);
    let admin = play(LONG, served, |net, sent| match sent.request.api {
        ApiKey::Metadata => answer_metadata(net, &sent, [1, 1]),
        _ => drop(answer(net, &sent, |_, _| ErrorCode::NONE)),
    });
    let asked = [(at("a", 0), OffsetSpec::MaxTimestamp), (at("a", 1), OffsetSpec::Timestamp(5))];
    let results = admin.list_offsets(&asked, IsolationLevel::ReadCommitted).unwrap();
    let error = results[0].1.as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsupportedVersion);
    let text = "a-0, broker Broker(1): ListOffsets: the broker serves versions 1 to 6, this client \
                7 to 11";
    assert_eq!(error.to_string(), text);
    assert_eq!(results[1].1.as_ref().unwrap().offset, Some(41));
}

#[test]
fn an_answer_about_something_else_is_not_believed() {
    for (told, expected) in [
        (&[0, 1, 2][..], "malformed answer: ListOffsets: a-2 was not asked for"),
        (&[0, 1, 0], "malformed answer: ListOffsets: a-0 was told twice"),
        (&[0], "malformed answer: ListOffsets: no word about a-1"),
        (&[], "malformed answer: ListOffsets: no word about a-1"),
    ] {
        let admin = play(LONG, Vec::new(), move |net, sent| {
            if sent.request.api == ApiKey::Metadata {
                return answer_metadata(net, &sent, [1, 1]);
            }
            let partition = |&partition_index: &i32| ListOffsetsPartitionResponse {
                partition_index,
                ..Default::default()
            };
            let partitions = told.iter().map(partition).collect();
            let topics = vec![ListOffsetsTopicResponse { name: "a", partitions }];
            net.answer(&sent, &ListOffsetsResponse { topics, ..Default::default() });
        });
        let results = latest(&admin, &[at("a", 0), at("a", 1)]);
        let error = results[1].1.as_ref().unwrap_err();
        assert_eq!((error.topic(), error.partition()), (Some("a"), Some(1)));
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(results[0].1.is_ok(), told == [0]);
    }
}

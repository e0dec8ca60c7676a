//! Topics that are told in pages.

use std::cell::Cell;

use ottla_protocol::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};

use super::*;

/// Tells `per_page` partitions at a time of topics that have three each; `next` may lie about where
/// it goes on.
fn paged(
    next: impl Fn(Option<(String, i32)>) -> Option<(String, i32)> + Send + 'static,
) -> (Admin, Receiver<usize>) {
    let (told, asked) = mpsc::channel();
    let admin = play(LONG, Vec::new(), move |net, sent| {
        if sent.request.api == ApiKey::Metadata {
            return answer_metadata(net, &sent, [1, 2]);
        }
        let request: DescribeTopicPartitionsRequest<'_> = sent.read();
        told.send(request.topics.len()).unwrap();
        let from = request.cursor.as_ref().map(|of| (of.topic_name, of.partition_index));
        let all = request.topics.iter().flat_map(|topic| (0..3).map(|index| (topic.name, index)));
        let open: Vec<_> = all.filter(|at| from.is_none_or(|from| from <= *at)).collect();
        let (page, rest) = open.split_at(open.len().min(2));
        let topics = page.chunk_by(|one, other| one.0 == other.0).map(|of| {
            let partition = |&(_, partition_index): &(&str, i32)| {
                DescribeTopicPartitionsResponsePartition { partition_index, ..Default::default() }
            };
            let partitions = of.iter().map(partition).collect();
            let name = Some(of[0].0);
            DescribeTopicPartitionsResponseTopic { name, partitions, ..Default::default() }
        });
        let after = next(rest.first().map(|(name, index)| ((*name).to_owned(), *index)));
        let next_cursor = after.as_ref().map(|(topic_name, partition_index)| Cursor {
            topic_name,
            partition_index: *partition_index,
        });
        let topics = topics.collect();
        net.answer(
            &sent,
            &DescribeTopicPartitionsResponse { topics, next_cursor, ..Default::default() },
        );
    });
    (admin, asked)
}

#[test]
fn pages_are_put_together() {
    let (admin, asked) = paged(|next| next);
    let results = admin.describe_topics(&["b", "a"]).unwrap();
    let names: Vec<_> = results.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["b", "a"]);
    for (_, told) in &results {
        let partitions = told.as_ref().unwrap().partitions.iter();
        assert_eq!(partitions.map(|of| of.index).collect::<Vec<_>>(), [0, 1, 2]);
    }
    // What was told is not asked for again.
    assert_eq!(asked.try_iter().collect::<Vec<_>>(), [2, 2, 1]);
    assert!(admin.describe_topics(&[]).unwrap().is_empty());
}

#[test]
fn pages_without_end_are_not_read() {
    let (admin, _asked) = paged(|_| Some(("a".to_owned(), 1)));
    let error = admin.describe_topics(&["a", "b"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    let (admin, asked) = paged(|_| None);
    // One that stops too early has no word about the rest.
    let results = admin.describe_topics(&["a", "b"]).unwrap();
    let error = results[1].1.as_ref().unwrap_err();
    let text = "b: malformed answer: DescribeTopicPartitions: no word about b";
    assert_eq!(error.to_string(), text);
    assert_eq!(asked.try_iter().count(), 1);
}

#[test]
fn all_pages_together_are_as_long_as_an_answer_may_be() {
    let count = Cell::new(0);
    let (mut admin, asked) = paged(move |_| {
        count.set(count.get() + 1);
        Some(("a".to_owned(), count.get()))
    });
    admin.remote.answer_bytes_max = 1000;
    let error = admin.describe_topics(&["a", "b"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    let text = "more than 1000 bytes in all pages; receive.message.max.bytes is the limit";
    assert!(error.to_string().contains(text), "{error}");
    assert!(asked.try_iter().count() < 50);
}

#[test]
fn an_older_broker_tells_by_metadata() {
    let served = served(&[(ApiKey::DescribeTopicPartitions, NONE)]);
    let admin = play(LONG, served, |net, sent| answer_metadata(net, &sent, [1, 2]));
    let results = admin.describe_topics(&["a", "nothing"]).unwrap();
    let topic = results[0].1.as_ref().unwrap();
    let leaders: Vec<_> = topic.partitions.iter().map(|of| (of.leader, of.elr.clone())).collect();
    assert_eq!(leaders, [(Some(1), None), (Some(2), None)]);
    let error = results[1].1.as_ref().unwrap_err();
    assert_eq!(error.to_string(), "nothing: UNKNOWN_TOPIC_OR_PARTITION (3)");
}

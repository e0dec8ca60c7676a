//! Transactions, of which each broker and each coordinator tells its own.

use ottla_protocol::messages::describe_cluster;
use ottla_protocol::messages::describe_transactions::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, TopicData, TransactionState,
};
use ottla_protocol::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use ottla_protocol::messages::list_transactions::{
    ListTransactionsRequest, ListTransactionsResponse, TransactionState as Listed,
};

use super::*;

fn answer_cluster(net: &mut FakeNet, sent: &Sent) {
    let broker = |broker_id| describe_cluster::DescribeClusterBroker {
        broker_id,
        host: "h",
        port: 9,
        ..Default::default()
    };
    let brokers = vec![broker(2), broker(1)];
    net.answer(sent, &describe_cluster::DescribeClusterResponse { brokers, ..Default::default() });
}

#[test]
fn each_broker_tells_of_its_transactions() {
    let (told, asked) = mpsc::channel();
    let admin = play(LONG, Vec::new(), move |net, sent| match sent.request.api {
        ApiKey::Metadata => answer_metadata(net, &sent, [1, 2]),
        ApiKey::DescribeCluster => answer_cluster(net, &sent),
        ApiKey::ListTransactions => {
            let request: ListTransactionsRequest<'_> = sent.read();
            let filter = (request.duration_filter, request.producer_id_filters.clone());
            told.send((sent.node, request.state_filters.join(","), filter)).unwrap();
            let unknown = request.state_filters.iter().copied().filter(|of| *of == "Odd").collect();
            let id = if sent.node == Node::Broker(1) { "b" } else { "a" };
            let state =
                Listed { transactional_id: id, producer_id: 7, transaction_state: "Ongoing" };
            net.answer(
                &sent,
                &ListTransactionsResponse {
                    unknown_state_filters: unknown,
                    transaction_states: vec![state],
                    ..Default::default()
                },
            );
        }
        other => panic!("{other:?}"),
    });
    let filter = TransactionFilter::new()
        .states(&["Ongoing"])
        .producer_ids(&[7])
        .longer_than(Duration::from_secs(2));
    let all = admin.list_transactions(&filter).unwrap();
    let ids: Vec<_> = all.iter().map(|of| of.transactional_id.as_str()).collect();
    assert_eq!((ids, all[0].producer_id, &*all[0].state), (vec!["a", "b"], 7, "Ongoing"));
    let mut asked: Vec<_> = asked.try_iter().collect();
    asked.sort();
    let of = |id| (Node::Broker(id), "Ongoing".to_owned(), (2000, vec![7]));
    assert_eq!(asked, [of(1), of(2)]);
    let error = admin.list_transactions(&TransactionFilter::new().states(&["Odd"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("no state of transactions: Odd"), "{error}");
}

#[test]
fn an_older_broker_is_not_asked_by_a_filter_that_it_does_not_know() {
    let served = served(&[(ApiKey::ListTransactions, 0..=0)]);
    let admin = play(LONG, served, |net, sent| match sent.request.api {
        ApiKey::Metadata => answer_metadata(net, &sent, [1, 2]),
        ApiKey::DescribeCluster => answer_cluster(net, &sent),
        _ => net.answer(&sent, &ListTransactionsResponse::default()),
    });
    assert!(admin.list_transactions(&TransactionFilter::new()).unwrap().is_empty());
    let filter = TransactionFilter::new().pattern("a.*");
    let error = admin.list_transactions(&filter).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsupportedVersion);
    assert!(error.to_string().contains("ListTransactions"), "{error}");
}

#[test]
fn the_coordinator_of_a_transactional_id_is_asked() {
    let admin = play(LONG, Vec::new(), |net, sent| match sent.request.api {
        ApiKey::Metadata => answer_metadata(net, &sent, [1, 2]),
        ApiKey::FindCoordinator => {
            let request: FindCoordinatorRequest<'_> = sent.read();
            assert_eq!(request.key_type, 1);
            let of = |&key: &_| Coordinator { key, node_id: 2, ..Default::default() };
            let coordinators = request.coordinator_keys.iter().map(of).collect();
            net.answer(&sent, &FindCoordinatorResponse { coordinators, ..Default::default() });
        }
        _ => {
            assert_eq!(sent.node, Node::Broker(2));
            let request: DescribeTransactionsRequest<'_> = sent.read();
            let state = |&transactional_id: &_| TransactionState {
                transactional_id,
                error_code: match transactional_id {
                    "nobody" => ErrorCode::TRANSACTIONAL_ID_NOT_FOUND,
                    _ => ErrorCode::NONE,
                },
                transaction_state: "Ongoing",
                transaction_start_time_ms: -1,
                topics: vec![TopicData { topic: "t", partitions: vec![1, 0] }],
                ..Default::default()
            };
            let transaction_states = request.transactional_ids.iter().map(state).collect();
            let answer = DescribeTransactionsResponse { transaction_states, ..Default::default() };
            net.answer(&sent, &answer);
        }
    });
    let results = admin.describe_transactions(&["x", "nobody"]).unwrap();
    let of = results[0].1.as_ref().unwrap();
    assert_eq!((of.coordinator, of.start_time_ms, &*of.state), (2, None, "Ongoing"));
    assert_eq!(of.partitions, [at("t", 0), at("t", 1)]);
    let code = results[1].1.as_ref().unwrap_err().code().unwrap();
    assert_eq!(code, ErrorCode::TRANSACTIONAL_ID_NOT_FOUND);
}

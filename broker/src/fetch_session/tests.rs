//! Sessions, step by step, as a consumer drives them.

use super::*;

fn fetch(fetch_offset: i64) -> PartitionFetch {
    PartitionFetch {
        fetch_offset,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
        partition_max_bytes: 1 << 20,
    }
}

fn request(
    session_id: i32,
    session_epoch: i32,
    partitions: &[(&'static str, i64)],
) -> SessionRequest<&'static str> {
    SessionRequest {
        session_id,
        session_epoch,
        uses_topic_ids: true,
        partitions: partitions.iter().map(|(key, offset)| (*key, fetch(*offset))).collect(),
        forgotten: Vec::new(),
    }
}

fn quiet(high_watermark: i64) -> PartitionOutcome {
    PartitionOutcome {
        high_watermark,
        log_start_offset: 0,
        has_records: false,
        is_error: false,
        must_send: false,
    }
}

fn keys(context: &FetchContext<&'static str>) -> Vec<&'static str> {
    context.partitions.iter().map(|(key, _)| *key).collect()
}

#[test]
fn a_full_fetch_without_a_session_keeps_nothing() {
    let mut sessions = FetchSessions::new(2);
    let context = sessions.begin(request(0, -1, &[("a", 0), ("b", 0)]), 0, || 7).unwrap();
    assert_eq!((context.session_id, keys(&context)), (0, vec!["a", "b"]));
    assert_eq!(sessions.finish(&context, &[quiet(0), quiet(0)]), [true, true]);
    assert!(sessions.is_empty());
}

#[test]
fn an_incremental_answer_carries_only_what_is_new() {
    let mut sessions = FetchSessions::new(2);
    let first = sessions.begin(request(0, 0, &[("a", 0), ("b", 0)]), 0, || 7).unwrap();
    assert_eq!(first.session_id, 7);
    assert_eq!(sessions.finish(&first, &[quiet(3), quiet(4)]), [true, true]);

    let second = sessions.begin(request(7, 1, &[]), 1, || 8).unwrap();
    assert!(second.is_incremental());
    assert_eq!(sessions.finish(&second, &[quiet(3), quiet(5)]), [false, true]);

    let served = PartitionOutcome { has_records: true, ..quiet(3) };
    let third = sessions.begin(request(7, 2, &[("a", 2)]), 2, || 8).unwrap();
    assert_eq!(third.partitions[0].1.fetch_offset, 2);
    assert_eq!(sessions.finish(&third, &[served, quiet(5)]), [true, false]);

    let fourth = sessions.begin(request(7, 3, &[]), 3, || 8).unwrap();
    assert_eq!(keys(&fourth), ["b", "a"], "who was served goes last");
}

#[test]
fn a_partition_is_sent_again_after_an_error() {
    let mut sessions = FetchSessions::new(1);
    let first = sessions.begin(request(0, 0, &[("a", 0)]), 0, || 7).unwrap();
    sessions.finish(&first, &[quiet(3)]);
    let failed = PartitionOutcome { is_error: true, ..quiet(-1) };
    let second = sessions.begin(request(7, 1, &[]), 1, || 8).unwrap();
    assert_eq!(sessions.finish(&second, &[failed]), [true]);
    let third = sessions.begin(request(7, 2, &[]), 2, || 8).unwrap();
    assert_eq!(sessions.finish(&third, &[quiet(3)]), [true]);
}

#[test]
fn refused_requests_do_not_move_the_session() {
    let mut sessions = FetchSessions::new(1);
    sessions.begin(request(0, 0, &[("a", 0)]), 0, || 7).unwrap();
    assert_eq!(sessions.begin(request(9, 1, &[]), 0, || 8), Err(SessionError::NotFound));
    assert_eq!(sessions.begin(request(7, 2, &[]), 0, || 8), Err(SessionError::InvalidEpoch));
    let by_name = SessionRequest { uses_topic_ids: false, ..request(7, 1, &[]) };
    assert_eq!(sessions.begin(by_name, 0, || 8), Err(SessionError::TopicIdMismatch));
    assert!(sessions.begin(request(7, 1, &[]), 0, || 8).is_ok());
}

#[test]
fn forgetting_the_last_partition_closes_the_session() {
    let mut sessions = FetchSessions::new(1);
    sessions.begin(request(0, 0, &[("a", 0)]), 0, || 7).unwrap();
    let forget = SessionRequest { forgotten: vec!["a"], ..request(7, 1, &[]) };
    let context = sessions.begin(forget, 0, || 8).unwrap();
    assert_eq!((context.session_id, context.is_incremental()), (0, false));
    assert!(sessions.is_empty());
}

#[test]
fn epochs_wrap_to_one() {
    let mut sessions = FetchSessions::new(1);
    sessions.begin(request(0, 0, &[("a", 0)]), 0, || 7).unwrap();
    sessions.sessions.get_mut(&7).unwrap().next_epoch = i32::MAX;
    sessions.begin(request(7, i32::MAX, &[]), 0, || 8).unwrap();
    assert!(sessions.begin(request(7, 1, &[]), 0, || 8).is_ok());
}

#[test]
fn a_full_cache_gives_way_only_to_the_idle_and_the_small() {
    let mut sessions = FetchSessions::new(1);
    sessions.begin(request(0, 0, &[("a", 0)]), 0, || 7).unwrap();
    let refused = sessions.begin(request(0, 0, &[("a", 0), ("b", 0)]), 1000, || 8).unwrap();
    assert_eq!(refused.session_id, 0, "the old one is young yet");

    sessions.begin(request(7, 1, &[]), EVICTION_MS, || 8).unwrap();
    let same_size = sessions.begin(request(0, 0, &[("a", 0)]), EVICTION_MS + 1, || 8).unwrap();
    assert_eq!(same_size.session_id, 0);
    let larger = sessions.begin(request(0, 0, &[("a", 0), ("b", 0)]), EVICTION_MS + 1, || 8);
    assert_eq!(larger.unwrap().session_id, 8, "an older and smaller one gives way");

    let later = 3 * EVICTION_MS;
    let any = sessions.begin(request(0, 0, &[("c", 0)]), later, || 9).unwrap();
    assert_eq!(any.session_id, 9, "an idle one gives way to any");
    assert_eq!(sessions.len(), 1);
}

#[test]
fn ids_are_never_zero_nor_taken() {
    let mut sessions = FetchSessions::new(3);
    sessions.begin(request(0, 0, &[("a", 0)]), 0, || 7).unwrap();
    let mut draws = [0, 0x8000_0000, 7, 12].into_iter();
    let context = sessions.begin(request(0, 0, &[("a", 0)]), 0, || draws.next().unwrap()).unwrap();
    assert_eq!(context.session_id, 12);
}

//! Tables, and a comparison with the log itself: one epoch a record.

use super::*;
use crate::disk::RealDisk;
use proptest::prelude::*;

fn entry(epoch: i32, start_offset: i64) -> EpochEntry {
    EpochEntry { epoch, start_offset }
}

fn cache(entries: &[(i32, i64)]) -> LeaderEpochCache {
    let mut cache = LeaderEpochCache::default();
    for &(epoch, start_offset) in entries {
        assert!(cache.assign(entry(epoch, start_offset)).unwrap());
    }
    cache
}

fn pairs(cache: &LeaderEpochCache) -> Vec<(i32, i64)> {
    cache.entries().iter().map(|entry| (entry.epoch, entry.start_offset)).collect()
}

#[test]
fn golden_text() {
    let two = cache(&[(0, 0), (3, 151)]);
    assert_eq!(two.encode(), b"0\n2\n0 0\n3 151\n");
    assert_eq!(LeaderEpochCache::decode(b"0\n2\n0 0\n3 151\n"), Ok(two));
    assert_eq!(cache(&[(0, 0)]).encode(), b"0\n1\n0 0\n");
    assert_eq!(LeaderEpochCache::decode(b""), Ok(LeaderEpochCache::default()));
    assert!(LeaderEpochCache::decode(b"0\n1\n0 0 0\n").is_err());
    assert!(LeaderEpochCache::decode(b"0\n1\n-1 0\n").is_err());
    assert!(LeaderEpochCache::decode(b"0\n1\n0 -1\n").is_err());
    // What contradicts a later line goes.
    assert_eq!(
        pairs(&LeaderEpochCache::decode(b"0\n3\n0 0\n5 9\n2 4\n").unwrap()),
        [(0, 0), (2, 4)]
    );
}

#[test]
fn assign_replaces_what_it_contradicts() {
    let mut cache = cache(&[(0, 0), (2, 10), (4, 20)]);
    assert!(!cache.assign(entry(4, 25)).unwrap(), "the epoch has begun already");
    assert!(cache.assign(entry(-1, 0)).is_err());
    assert!(cache.assign(entry(5, -1)).is_err());
    // Same start: nothing was written in epoch 4.
    assert!(cache.assign(entry(6, 20)).unwrap());
    assert_eq!(pairs(&cache), [(0, 0), (2, 10), (6, 20)]);
    assert!(cache.assign(entry(6, 15)).unwrap());
    assert_eq!(pairs(&cache), [(0, 0), (2, 10), (6, 15)]);
    assert!(cache.assign(entry(1, 30)).unwrap());
    assert_eq!(pairs(&cache), [(0, 0), (1, 30)]);
}

#[test]
fn truncations() {
    let full = cache(&[(0, 0), (2, 10), (4, 20)]);
    for (end, kept, changed) in [(21, 3, false), (20, 2, true), (10, 1, true), (0, 0, true)] {
        let mut cut = full.clone();
        assert_eq!(cut.truncate_from_end(end), changed);
        assert_eq!(cut.entries(), &full.entries()[..kept], "end {end}");
    }
    let table: [(i64, &[(i32, i64)]); 5] = [
        (0, &[(0, 0), (2, 10), (4, 20)]),
        (5, &[(0, 5), (2, 10), (4, 20)]),
        (10, &[(2, 10), (4, 20)]),
        (19, &[(2, 19), (4, 20)]),
        (312, &[(4, 312)]),
    ];
    for (start, expected) in table {
        let mut cut = full.clone();
        assert_eq!(cut.truncate_from_start(start), start != 0);
        assert_eq!(pairs(&cut), expected, "start {start}");
    }
    let mut none = LeaderEpochCache::default();
    assert!(!none.truncate_from_start(7) && !none.truncate_from_end(0) && !none.clear());
}

#[test]
fn end_offsets() {
    let cache = cache(&[(2, 10), (4, 20), (7, 30)]);
    let table = [
        (-1, (-1, -1)),
        (0, (0, 10)),
        (2, (2, 20)),
        (3, (2, 20)),
        (4, (4, 30)),
        (6, (4, 30)),
        (7, (7, 45)),
        (8, (-1, -1)),
    ];
    for (requested, (leader_epoch, end_offset)) in table {
        let end = cache.end_offset_for(requested, 45);
        assert_eq!(end, EpochEnd { leader_epoch, end_offset }, "epoch {requested}");
    }
    assert_eq!(LeaderEpochCache::default().end_offset_for(0, 5), UNDEFINED);
    assert_eq!(cache.epoch_for_offset(9), None);
    assert_eq!(cache.epoch_for_offset(29), Some(4));
    assert_eq!(cache.previous_epoch(7), Some(4));
    assert_eq!(cache.previous_epoch(2), None);
}

#[test]
fn files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("leader-epoch-checkpoint");
    assert_eq!(read(&RealDisk, &path).unwrap(), LeaderEpochCache::default());
    let some = cache(&[(0, 0), (1, 4)]);
    write(&RealDisk, &path, &some).unwrap();
    assert_eq!(read(&RealDisk, &path).unwrap(), some);
}

#[derive(Clone, Debug)]
enum Step {
    /// A new leader, this many epochs on, appends this many records.
    Lead(i32, usize),
    CutEnd(usize),
    CutStart(usize),
    Reload,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..3i32, 0..5usize).prop_map(|(ahead, records)| Step::Lead(ahead, records)),
        2 => (0..40usize).prop_map(Step::CutEnd),
        2 => (0..40usize).prop_map(Step::CutStart),
        1 => Just(Step::Reload),
    ];
    proptest::collection::vec(step, 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The model keeps the epoch of every record and answers by looking at all of them.
    #[test]
    fn agrees_with_a_log_of_epochs(steps in steps()) {
        let mut cache = LeaderEpochCache::default();
        let mut start = 0;
        let mut log: Vec<i32> = Vec::new();
        let mut epoch = 0;
        for step in steps {
            match step {
                Step::Lead(ahead, records) => {
                    epoch += ahead;
                    for _ in 0..records {
                        cache.assign(entry(epoch, log.len() as i64)).unwrap();
                        log.push(epoch);
                    }
                }
                Step::CutEnd(end) => {
                    let end = end.clamp(start, log.len());
                    log.truncate(end);
                    cache.truncate_from_end(end as i64);
                }
                Step::CutStart(at) => {
                    start = at.clamp(start, log.len().saturating_sub(1).max(start));
                    if start < log.len() {
                        cache.truncate_from_start(start as i64);
                    }
                }
                Step::Reload => cache = LeaderEpochCache::decode(&cache.encode()).unwrap(),
            }
            for (offset, &epoch) in log.iter().enumerate().skip(start) {
                prop_assert_eq!(cache.epoch_for_offset(offset as i64), Some(epoch));
            }
            let known = log.get(start..).unwrap_or_default();
            for requested in 0..epoch {
                let end = cache.end_offset_for(requested, log.len() as i64);
                // The log's part up to the requested epoch is a prefix: its length is the answer.
                let up_to = start + known.iter().filter(|&&epoch| epoch <= requested).count();
                let newest = known.iter().copied().filter(|&epoch| epoch <= requested).max();
                if up_to < log.len() {
                    prop_assert_eq!(end.end_offset, up_to as i64);
                    prop_assert_eq!(end.leader_epoch, newest.unwrap_or(requested));
                } else if known.is_empty() || newest != Some(requested) {
                    prop_assert_eq!(end, UNDEFINED);
                }
            }
        }
    }
}

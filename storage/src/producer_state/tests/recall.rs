//! What is looked up in the log after a restart. That it is what was known before is the model's
//! matter.

use super::*;

/// A state with the last of `batches` alone, and what else is found of them.
fn recalled(batches: &[ProducerBatch]) -> ProducerState {
    let mut state = restarted(batches);
    let mut recall = state.recall();
    for batch in batches.iter().rev() {
        recall.offer(batch);
    }
    state.recalled(recall);
    state
}

fn restarted(batches: &[ProducerBatch]) -> ProducerState {
    let mut state = state();
    for batch in batches {
        state.replay(&[*batch], batch.last_offset() + 1).unwrap();
    }
    let producers = snapshot::decode(&snapshot::encode(&state)).unwrap();
    state.restore(state.map_end_offset(), producers, 100);
    state
}

fn sequences(batches: &[ProducerBatch]) -> Vec<i32> {
    let state = recalled(batches);
    let known = state.producer(1).unwrap().batches();
    known.iter().map(BatchMetadata::first_sequence).collect()
}

#[test]
fn the_last_five_are_found() {
    let batches: Vec<_> = (0..9).map(|n| batch(0, n, i64::from(n) * 3)).collect();
    let state = recalled(&batches);
    assert_eq!(state.producer(1).unwrap().batches().len(), BATCHES_KEPT);
    for repeated in &batches[4..] {
        let known = duplicate(&state, ProducerBatch { base_offset: 99, ..*repeated }).unwrap();
        assert_eq!((known.last_offset, known.timestamp), (repeated.base_offset, 100));
    }
    assert_eq!(duplicate(&state, batches[3]), None);
}

#[test]
fn sequences_are_followed_round_the_ring() {
    let across = ProducerBatch { last_offset_delta: 2, ..batch(0, MAX, 12) };
    let batches = [batch(0, MAX - 2, 10), batch(0, MAX - 1, 11), across, batch(0, 2, 15)];
    assert_eq!(sequences(&batches), [MAX - 2, MAX - 1, MAX, 2]);
}

#[test]
fn a_gap_ends_the_search() {
    // Compaction has taken out the batch with sequence 2.
    let batches: Vec<_> = [0, 1, 3, 4].map(|n| batch(0, n, i64::from(n))).into();
    assert_eq!(sequences(&batches), [3, 4]);
    // Of another epoch.
    assert_eq!(sequences(&[batch(0, 0, 0), batch(1, 1, 1), batch(1, 2, 2)]), [1, 2]);
    // Without sequences, as coordinators write.
    assert_eq!(sequences(&[batch(0, -1, 0), batch(0, -1, 1)]), [-1]);
    assert_eq!(sequences(&[batch(0, 0, 0), batch(0, 0, 1)]), [0]);
}

#[test]
fn markers_are_passed_over() {
    let begin = transactional(batch(0, 0, 0));
    let marked = [begin, marker(0, 1, false), transactional(batch(0, 1, 2)), marker(0, 3, true)];
    assert_eq!(sequences(&marked), [0, 1]);
    // One that began another epoch leaves no batch to begin with.
    let state = recalled(&[transactional(batch(0, 0, 0)), marker(1, 1, false)]);
    assert_eq!(state.producer(1).unwrap().batches(), []);
}

#[test]
fn a_batch_that_overlaps_the_known_one_is_another_logs() {
    let last = ProducerBatch { last_offset_delta: 4, ..batch(0, 5, 10) };
    let mut state = restarted(&[last]);
    let mut recall = state.recall();
    recall.offer(&ProducerBatch { last_offset_delta: 3, ..batch(0, 4, 9) });
    assert!(recall.is_done() && !recall.wants(1));
    recall.offer(&batch(0, 4, 8));
    state.recalled(recall);
    assert_eq!(state.producer(1).unwrap().batches().len(), 1);
}

/// Nothing is to be read for these.
#[test]
fn nothing_is_looked_for_that_cannot_be_there() {
    assert!(state().recall().is_done());
    assert!(restarted(&[batch(0, 0, 7)]).recall().is_done(), "a first batch has none before it");
    assert!(restarted(&[batch(0, -1, 7)]).recall().is_done(), "no sequence");
    let far = i64::from(MAX) + 1;
    assert!(!restarted(&[batch(0, 0, far)]).recall().is_done(), "it may have gone round");

    let state = restarted(&[batch(0, 3, 7), of(2, batch(0, 3, 8))]);
    let mut recall = state.recall();
    recall.give_up_below(8);
    assert!(!recall.wants(1) && recall.wants(2) && !recall.is_done());
    for n in 0..3 {
        assert!(!recall.is_done());
        recall.offer(&of(2, batch(0, 2 - n, i64::from(5 - n))));
    }
    assert!(recall.is_done(), "its sequences begin there");
}

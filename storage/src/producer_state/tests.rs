//! The rules, case by case.

use super::*;

fn batch(producer_epoch: i16, base_sequence: i32, base_offset: i64) -> ProducerBatch {
    ProducerBatch {
        producer_id: 1,
        producer_epoch,
        base_sequence,
        base_offset,
        last_offset_delta: 0,
        max_timestamp: 100,
        kind: BatchKind::Plain,
    }
}

fn state() -> ProducerState {
    ProducerState::new(ProducerSettings::default(), 0)
}

fn append(state: &mut ProducerState, batch: ProducerBatch) -> Result<Checked, ProducerError> {
    let checked = state.check(&[batch], Origin::Client, VerificationGuard::NONE)?;
    if let Checked::New(update) = &checked {
        state.apply(update.clone(), batch.last_offset() + 1);
    }
    Ok(checked)
}

#[test]
fn a_gap_is_refused_and_changes_nothing() {
    let mut state = state();
    append(&mut state, batch(0, 0, 0)).unwrap();
    let before = state.producer(1).cloned();
    let error = append(&mut state, batch(0, 2, 1)).unwrap_err();
    let expected = ProducerError::OutOfOrderSequence { producer_id: 1, offset: 1, got: 2, last: 0 };
    assert_eq!(error, expected);
    assert_eq!(state.producer(1).cloned(), before);
}

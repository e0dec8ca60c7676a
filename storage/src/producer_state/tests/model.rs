//! Idempotence beside a model that keeps all batches of all producers and compares by looking.

use proptest::prelude::*;

use super::*;

const PRODUCERS: i64 = 3;

/// What a client sends next.
#[derive(Clone, Debug)]
enum Step {
    /// `records` behind the last ones that were accepted, plus `gap`.
    Send { producer: i64, records: i32, gap: i32 },
    /// The batch that was accepted so many batches ago, once more.
    Repeat { producer: i64, age: usize },
    /// The first batch of an epoch that is so much newer, with a sequence.
    Bump { producer: i64, by: i16, sequence: i32 },
    /// A batch of the epoch before.
    Zombie { producer: i64 },
    /// The broker stops and starts. Known are then the last batch of each producer, and what is
    /// among the last `looked_at` batches of the log.
    Restart { looked_at: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let producer = 0..PRODUCERS;
    let gap = prop_oneof![6 => Just(0), 1 => 1..3, 1 => -2..0];
    let step = prop_oneof![
        8 => (producer.clone(), 1..5, gap)
            .prop_map(|(producer, records, gap)| Step::Send { producer, records, gap }),
        3 => (producer.clone(), 0usize..8)
            .prop_map(|(producer, age)| Step::Repeat { producer, age }),
        1 => (producer.clone(), 1i16..3, 0..2)
            .prop_map(|(producer, by, sequence)| Step::Bump { producer, by, sequence }),
        1 => producer.prop_map(|producer| Step::Zombie { producer }),
        1 => (0usize..20).prop_map(|looked_at| Step::Restart { looked_at }),
    ];
    proptest::collection::vec(step, 0..60)
}

/// A producer's epoch and its accepted batches of that epoch; `known` of them are still known.
#[derive(Clone, Default)]
struct Model {
    epoch: i16,
    accepted: Vec<ProducerBatch>,
    known: usize,
}

#[derive(Debug, PartialEq)]
enum Expected {
    New,
    Duplicate(i64),
    Epoch,
    Sequence,
}

impl Model {
    fn next_sequence(&self, producer: i64) -> i32 {
        match self.accepted.last() {
            // Producers begin near the end of the ring, so that all of them wrap.
            None => MAX - 3 * producer as i32,
            Some(last) => ((i64::from(last.last_sequence()) + 1) % (1 << 31)) as i32,
        }
    }

    fn judge(&self, batch: &ProducerBatch, producer: i64) -> Expected {
        let is_same = |old: &&ProducerBatch| {
            (old.base_sequence, old.last_offset_delta)
                == (batch.base_sequence, batch.last_offset_delta)
        };
        let known = &self.accepted[self.accepted.len() - self.known.min(5)..];
        if batch.producer_epoch == self.epoch
            && let Some(old) = known.iter().find(is_same)
        {
            return Expected::Duplicate(old.base_offset);
        }
        if batch.producer_epoch < self.epoch {
            return Expected::Epoch;
        }
        let is_in_order = match (self.accepted.is_empty(), batch.producer_epoch == self.epoch) {
            (true, _) => true, // an unknown producer
            (false, true) => batch.base_sequence == self.next_sequence(producer),
            (false, false) => batch.base_sequence == 0,
        };
        if is_in_order { Expected::New } else { Expected::Sequence }
    }

    fn accept(&mut self, batch: ProducerBatch) {
        if batch.producer_epoch != self.epoch {
            *self = Self { epoch: batch.producer_epoch, ..Self::default() };
        }
        self.accepted.push(batch);
        self.known += 1;
    }
}

/// The batch that a step sends; `None` when there is nothing to send.
fn batch_of(step: &Step, models: &[Model], base_offset: i64) -> Option<ProducerBatch> {
    let (&Step::Send { producer, .. }
    | &Step::Repeat { producer, .. }
    | &Step::Bump { producer, .. }
    | &Step::Zombie { producer }) = step
    else {
        return None;
    };
    let model = &models[producer as usize];
    let next = of(producer, batch(model.epoch, model.next_sequence(producer), base_offset));
    Some(match *step {
        Step::Send { records, gap, .. } => ProducerBatch {
            base_sequence: next.base_sequence.wrapping_add(gap) & MAX,
            last_offset_delta: records - 1,
            ..next
        },
        Step::Repeat { age, .. } => {
            let at = model.accepted.len().checked_sub(age + 1)?;
            ProducerBatch { base_offset, ..model.accepted[at] }
        }
        Step::Bump { by, sequence, .. } => {
            ProducerBatch { producer_epoch: model.epoch + by, base_sequence: sequence, ..next }
        }
        // Of a producer that nobody knows no epoch is old.
        _ if model.accepted.is_empty() => return None,
        _ => ProducerBatch { producer_epoch: model.epoch - 1, ..next },
    })
}

/// From a snapshot and the last batches of the log.
fn restart(state: &mut ProducerState, window: &[ProducerBatch], offset: i64) {
    let producers = snapshot::decode(&snapshot::encode(state)).unwrap();
    state.restore(offset, producers, 100);
    let mut recall = state.recall();
    window.iter().rev().for_each(|batch| recall.offer(batch));
    state.recalled(recall);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_batch_is_judged_as_the_whole_history_says(steps in steps()) {
        let mut state = state();
        let mut models = vec![Model::default(); PRODUCERS as usize];
        let mut next_offset = 0;
        let mut log = Vec::new();
        for step in steps {
            if let Step::Restart { looked_at } = step {
                let window = &log[log.len().saturating_sub(looked_at)..];
                restart(&mut state, window, next_offset);
                for (id, model) in models.iter_mut().enumerate() {
                    let seen = model.accepted.iter().filter(|batch| window.contains(batch)).count();
                    model.known = seen.max(1).min(model.accepted.len());
                    let kept = state.producer(id as i64).map_or(0, |entry| entry.batches().len());
                    prop_assert_eq!(kept, model.known.min(BATCHES_KEPT));
                }
                continue;
            }
            let Some(batch) = batch_of(&step, &models, next_offset) else { continue };
            let model = &mut models[batch.producer_id as usize];
            let expected = model.judge(&batch, batch.producer_id);
            let outcome = state.check(&[batch], Origin::Client, VerificationGuard::NONE);
            let got = match outcome {
                Ok(Checked::New(update)) => {
                    state.apply(update, batch.last_offset() + 1);
                    model.accept(batch);
                    log.push(batch);
                    next_offset = batch.last_offset() + 1;
                    Expected::New
                }
                Ok(Checked::Duplicate(known)) => Expected::Duplicate(known.first_offset()),
                Err(ProducerError::InvalidProducerEpoch { .. }) => Expected::Epoch,
                Err(ProducerError::OutOfOrderSequence { .. }) => Expected::Sequence,
                Err(other) => panic!("{other}"),
            };
            prop_assert_eq!(got, expected, "{:?}", step);
        }
    }
}

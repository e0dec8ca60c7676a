//! What an earlier run has copied and did not come to remember: found by reading both sides.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ottla_client::{Consumer, OwnedRecord, Record, TopicPartition};

use super::mapping::Pair;
use super::state::State;
use super::{Ends, ISOLATION};
use crate::CannotRun;
use crate::flow::partitions;

const TICK: Duration = Duration::from_millis(100);
/// How long the source may take to give records that it must have.
const PATIENCE: Duration = Duration::from_secs(30);

/// Adds to the state what is at the target behind it. Record for record it has to be what the
/// source has next: nobody else may write to a topic that is mirrored. `source_first`: where the
/// source begins. `turn` is called with what is known between records; `false` ends it. Whether it
/// was not ended so.
///
/// # Errors
/// It is something else, or the target lacks what was copied.
pub(super) fn catch_up(
    ends: &Ends,
    state: &mut State,
    partitions: &[TopicPartition],
    source_first: impl Fn(&TopicPartition) -> i64,
    mut turn: impl FnMut(&State) -> Result<bool, CannotRun>,
) -> Result<bool, CannotRun> {
    let target_ends = partitions::ends(&ends.target, partitions, ISOLATION)?;
    let mut readers = None;
    for of in partitions {
        let Some(mapping) = state.partitions.get(of) else { continue };
        let end = target_ends.get(of).copied().unwrap_or(0);
        let next = mapping.next();
        if end < next.target {
            return Err(CannotRun(format!(
                "{of}: the target ends at {end}, but {} was copied; was the topic made anew? \
                 another --state begins anew too",
                next.target
            )));
        }
        if end == next.target {
            continue;
        }
        let (source, target) = match &mut readers {
            Some(readers) => readers,
            None => readers.insert((
                Side::new(Ends::consumer(&ends.source_properties)?),
                Side::new(Ends::consumer(&ends.target_properties)?),
            )),
        };
        source.go(of, next.source.max(source_first(of)))?;
        target.go(of, next.target)?;
        while let Some(there) = target.next(of, end)? {
            let Some(here) = source.next(of, i64::MAX)? else {
                return Err(foreign(of, there.get().offset()));
            };
            let (here, there) = (here.get(), there.get());
            if !are_equal(&here, &there) {
                return Err(foreign(of, there.offset()));
            }
            let pair = Pair { source: here.offset(), target: there.offset() };
            let mapping = state.partitions.get_mut(of);
            mapping.map_or(Ok(()), |mapping| mapping.copied(pair)).map_err(CannotRun)?;
            if !turn(state)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn foreign(of: &TopicPartition, offset: i64) -> CannotRun {
    CannotRun(format!(
        "{of}: offset {offset} of the target is not what the source has next; nobody else may \
         write to it: mirror into a new topic, or delete this one"
    ))
}

fn are_equal(here: &Record<'_>, there: &Record<'_>) -> bool {
    here.timestamp() == there.timestamp()
        && here.key() == there.key()
        && here.value() == there.value()
        && here.headers().eq(there.headers())
}

/// A reader of one partition at a time.
struct Side {
    consumer: Consumer,
    waiting: VecDeque<OwnedRecord>,
}

impl Side {
    fn new(consumer: Consumer) -> Self {
        Self { consumer, waiting: VecDeque::new() }
    }

    fn go(&mut self, of: &TopicPartition, offset: i64) -> Result<(), CannotRun> {
        self.waiting.clear();
        self.consumer.assign(std::slice::from_ref(of))?;
        Ok(self.consumer.seek(of, offset)?)
    }

    /// The next record before an offset; `None` when there is none.
    fn next(&mut self, of: &TopicPartition, before: i64) -> Result<Option<OwnedRecord>, CannotRun> {
        let began = Instant::now();
        loop {
            if let Some(record) = self.waiting.pop_front() {
                return Ok(Some(record).filter(|record| record.get().offset() < before));
            }
            let records = self.consumer.poll(TICK)?;
            self.waiting.extend(records.iter().map(|record| record.to_owned()));
            if !self.waiting.is_empty() {
                continue;
            }
            let is_over =
                self.consumer.position(of)? >= before || self.consumer.current_lag(of) == Some(0);
            if is_over {
                return Ok(None);
            }
            if began.elapsed() > PATIENCE {
                return Err(CannotRun(format!("{of}: no records came for {PATIENCE:?}")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ottla::{Broker, Config};
    use ottla_client::{Admin, Producer, ProducerRecord, Properties};

    use super::*;
    use crate::flow::mirror::mapping::Mapping;

    /// A cluster with so many records, each a second after the one before.
    fn cluster(of: &TopicPartition, count: i64) -> (Broker, Properties) {
        let broker = Broker::start(Config::ephemeral()).unwrap();
        let properties = Properties::new().with("bootstrap.servers", broker.bootstrap_servers());
        let producer = Producer::new(&properties).unwrap();
        for n in 0..count {
            let value = n.to_string();
            let record = ProducerRecord::new(&of.topic, value.as_bytes()).timestamp(n * 1000);
            drop(producer.send(&record).unwrap());
        }
        producer.close(PATIENCE).unwrap();
        (broker, properties)
    }

    #[test]
    fn what_was_compared_is_known_when_it_is_ended() {
        let of = TopicPartition::new("t", 0);
        let ((_one, source), (_other, target)) = (cluster(&of, 10), cluster(&of, 8));
        let ends = Ends {
            source: Admin::new(&source).unwrap(),
            target: Admin::new(&target).unwrap(),
            source_properties: source,
            target_properties: target,
        };
        let mapping = Mapping::new(Pair { source: 0, target: 0 });
        let partitions = BTreeMap::from([(of.clone(), mapping)]);
        let (source, target) = ("a".to_owned(), "b".to_owned());
        let mut state = State { source, target, partitions };
        let known = |state: &State| state.partitions[&of].next().target;
        let mut compared = Vec::new();
        // Each run goes on where the one before was ended.
        for stop in [3, 5, i64::MAX] {
            let turn = |state: &State| {
                compared.push(known(state));
                Ok(known(state) < stop)
            };
            let is_there =
                catch_up(&ends, &mut state, std::slice::from_ref(&of), |_| 0, turn).unwrap();
            assert_eq!((is_there, known(&state)), (stop > 8, stop.min(8)));
        }
        assert_eq!(compared, (1..=8).collect::<Vec<_>>());
    }
}

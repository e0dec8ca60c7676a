//! Records on their way from one cluster to the other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ottla_client::{Consumer, Error, Header, Producer, ProducerRecord, Properties, TopicPartition};

use super::super::perf::meter::Meter;
use super::super::wanted::Stops;
use super::locked;
use super::mapping::{Mapping, Pair};
use crate::{CannotRun, complaint};

/// How far each partition is; shared with the producer's thread.
#[derive(Clone)]
pub(super) struct Progress(
    Arc<BTreeMap<TopicPartition, Mutex<Mapping>>>,
    Arc<Mutex<Option<String>>>,
);

impl Progress {
    pub(super) fn new(mappings: BTreeMap<TopicPartition, Mapping>) -> Self {
        let shared = |(of, mapping)| (of, Mutex::new(mapping));
        Self(Arc::new(mappings.into_iter().map(shared).collect()), Arc::default())
    }

    pub(super) fn mappings(&self) -> BTreeMap<TopicPartition, Mapping> {
        self.0.iter().map(|(of, mapping)| (of.clone(), locked(mapping).clone())).collect()
    }

    /// Why it cannot go on.
    fn failure(&self) -> Option<String> {
        locked(&self.1).clone()
    }

    /// What became of the record of an offset. Behind one that has failed nothing is remembered:
    /// a resumption looks for what is there.
    fn took(&self, of: &TopicPartition, source: i64, target: Result<Option<i64>, Error>) {
        let mut failure = locked(&self.1);
        if failure.is_some() {
            return;
        }
        let copied = match target {
            Ok(Some(target)) => match self.0.get(of) {
                Some(mapping) => locked(mapping).copied(Pair { source, target }),
                None => Ok(()),
            },
            Ok(None) => Err("the target does not tell offsets; leave acks at all".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        *failure = copied.err().map(|why| format!("{of}, offset {source}: {why}"));
    }
}

/// Sends records to the target.
pub(super) struct Copier<'a> {
    producer: Producer,
    progress: &'a Progress,
    meter: &'static Meter,
}

/// How long a poll waits before anything else is looked at.
const TICK: Duration = Duration::from_millis(100);

impl<'a> Copier<'a> {
    pub(super) fn new(
        properties: &Properties,
        progress: &'a Progress,
        meter: &'static Meter,
    ) -> Result<Self, CannotRun> {
        let mut properties = properties.clone();
        // Each record once and in its place.
        properties.set("enable.idempotence", "true");
        properties.set("acks", "all");
        for (name, value) in
            [("linger.ms", "20"), ("batch.size", "262144"), ("max.block.ms", "120000")]
        {
            if properties.get(name).is_none() {
                properties.set(name, value);
            }
        }
        Ok(Self { producer: Producer::new(&properties)?, progress, meter })
    }

    /// Sends what the source has.
    pub(super) fn turn(&self, source: &Consumer, stops: Option<&Stops>) -> Result<(), CannotRun> {
        self.check()?;
        let records = match source.poll(TICK) {
            Ok(records) => records,
            Err(error) if error.is_retriable() => {
                complaint::print(format_args!("{error}; going on"));
                std::thread::sleep(TICK);
                return Ok(());
            }
            Err(error) => {
                self.producer.flush();
                return Err(error.into());
            }
        };
        for record in &records {
            let of = record.topic_partition();
            if stops.is_some_and(|stops| stops.is_behind(of, record.offset())) {
                continue;
            }
            let headers: Vec<Header<'_>> = record.headers().collect();
            let copy = ProducerRecord {
                topic: record.topic(),
                partition: Some(record.partition()),
                timestamp: Some(record.timestamp()).filter(|ms| *ms >= 0),
                key: record.key(),
                value: record.value(),
                headers: &headers,
            };
            let (of, offset, progress) = (of.clone(), record.offset(), self.progress.clone());
            let length = |field: Option<&[u8]>| field.map_or(0, <[u8]>::len) as u64;
            let (bytes, meter) = (length(record.key()) + length(record.value()), self.meter);
            let taken = self.producer.send_then(&copy, move |result| {
                if result.is_ok() {
                    meter.done(1, bytes, None, Instant::now());
                }
                progress.took(&of, offset, result.map(|appended| appended.offset));
            });
            if let Err(error) = taken {
                self.producer.flush();
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), CannotRun> {
        match self.progress.failure() {
            Some(why) => Err(CannotRun(format!("{why}; the same command goes on from there"))),
            None => Ok(()),
        }
    }

    /// Waits for what was sent.
    pub(super) fn finish(self) -> Result<(), CannotRun> {
        self.producer.flush();
        self.check()
    }
}

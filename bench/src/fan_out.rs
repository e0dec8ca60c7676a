//! Many consumers that read one partition along: until the last of them has read a batch.

use std::collections::VecDeque;
use std::io;
use std::time::Instant;

use clap::Args;
use serde_json::{Value, json};

use crate::latency::Latency;
use crate::load::Target;
use crate::open_loop::{Pace, Producer, ends};
use crate::poller::Poller;
use crate::wire::fetch::{Fetcher, Limits};

/// Produce at a fixed rate to one partition, and have many read along.
///
/// Each has a connection and a fetch session of its own, and waits for a first byte, 500 ms at
/// most.
#[derive(Args)]
pub(crate) struct FanOut {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    pace: Pace,
    /// Consumers.
    #[arg(long, default_value_t = 100)]
    consumers: usize,
    /// Batches a second.
    #[arg(long, default_value_t = 100)]
    rate: u32,
}

impl FanOut {
    pub(crate) fn run(&self) -> io::Result<Value> {
        let starts = ends(&self.target, 1)?;
        // The producer's connection is the last one.
        let mut poller = Poller::connect(&self.target, self.consumers + 1)?;
        let connection = self.consumers;
        let fetcher = |_| Fetcher::new(&self.target.topic, &starts, Limits::TAILING, true);
        let mut consumers = Consumers {
            fetchers: (0..self.consumers).map(fetcher).collect(),
            read: vec![0; self.consumers],
            flying: VecDeque::new(),
            arrived: 0,
            answers: 0,
            each: Latency::new()?,
            last: Latency::new()?,
        };
        for (index, fetcher) in consumers.fetchers.iter_mut().enumerate() {
            poller.send(index, fetcher.request())?;
        }
        let to = (&mut poller, connection);
        let rate = f64::from(self.rate);
        let mut producer = Producer::begin((&self.target, &self.pace), &starts, rate, to)?;
        let mut ready = Vec::new();
        while consumers.arrived < producer.total() || !producer.is_acked() {
            producer.note_read(consumers.arrived);
            if let Some((_, due)) = producer.send(&mut poller)? {
                consumers.flying.push_back(Flying { due, missing: self.consumers });
            }
            poller.wait(producer.is_due(&poller), &mut ready)?;
            for &index in &ready {
                if index == connection {
                    producer.read(&mut poller)?;
                } else {
                    consumers.read(index, &mut poller, &producer)?;
                }
            }
            producer.refuse_late(consumers.arrived, producer.total())?;
        }
        let readers = self.consumers as u64;
        let mut figures = producer.figures(readers)?;
        let deliveries = producer.total() * readers;
        figures["batches_per_answer"] = json!(deliveries as f64 / consumers.answers as f64);
        consumers.last.tell("", &mut figures);
        consumers.each.tell("each_", &mut figures);
        Ok(figures)
    }
}

/// A batch that not all have read.
struct Flying {
    due: Instant,
    missing: usize,
}

struct Consumers {
    fetchers: Vec<Fetcher>,
    /// How many batches each has read.
    read: Vec<u64>,
    /// The batches from the first that not all have read.
    flying: VecDeque<Flying>,
    /// How many batches all have read.
    arrived: u64,
    answers: u64,
    /// Until one has read a batch.
    each: Latency,
    /// Until all have.
    last: Latency,
}

impl Consumers {
    /// Reads, and asks for more when an answer has come whole.
    fn read(
        &mut self,
        index: usize,
        poller: &mut Poller,
        producer: &Producer<'_>,
    ) -> io::Result<()> {
        let before = self.answers;
        let fetcher = &mut self.fetchers[index];
        poller.read(index, |answer| {
            let now = Instant::now();
            self.answers += 1;
            fetcher.take(answer, |batch| {
                producer.check(batch.records, batch.bytes)?;
                let place = (self.read[index] - self.arrived) as usize;
                self.read[index] += 1;
                let flying = self.flying.get_mut(place);
                let flying = flying.ok_or_else(|| io::Error::other("read what was not sent"))?;
                let due = flying.due;
                flying.missing -= 1;
                // Each reads in order: the first is the first that all have read.
                let is_last = flying.missing == 0;
                if is_last {
                    self.flying.pop_front();
                    self.arrived += 1;
                }
                if producer.is_measured(due) {
                    self.each.record(due, now, 1)?;
                    if is_last {
                        self.last.record(due, now, 1)?;
                    }
                }
                Ok(())
            })?;
            Ok(())
        })?;
        if self.answers > before {
            poller.send(index, fetcher.request())?;
        }
        Ok(())
    }
}

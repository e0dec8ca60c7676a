//! A consumer that reads along: from the moment at which a batch was due to the one at which the
//! answer that brought it was read.

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

const PRODUCER: usize = 0;
const CONSUMER: usize = 1;

/// Produce at a fixed rate, and read along.
///
/// One connection produces, however late the answers are. Another one fetches all partitions in a
/// session, as Java's consumer does: an answer waits for a first byte, 500 ms at most.
#[derive(Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    pace: Pace,
    /// Records a second.
    #[arg(long, default_value_t = 50_000)]
    rate: u32,
    /// Partitions, to which batches go in turn.
    #[arg(long, default_value_t = 16)]
    partitions: i32,
    /// Fetch without a session.
    #[arg(long)]
    no_sessions: bool,
}

impl Tail {
    pub(crate) fn run(&self) -> io::Result<Value> {
        let starts = ends(&self.target, self.partitions)?;
        let batches_per_s = f64::from(self.rate) / f64::from(self.pace.batch_records);
        let mut poller = Poller::connect(&self.target, 2)?;
        let mut consumer = Consumer {
            fetcher: Fetcher::new(&self.target.topic, &starts, Limits::TAILING, !self.no_sessions),
            due: vec![VecDeque::new(); starts.len()],
            latency: Latency::new()?,
            read: 0,
            answers: 0,
        };
        poller.send(CONSUMER, consumer.fetcher.request())?;
        let to = (&mut poller, PRODUCER);
        let mut producer = Producer::begin((&self.target, &self.pace), &starts, batches_per_s, to)?;
        let mut ready = Vec::new();
        while consumer.read < producer.total() || !producer.is_acked() {
            producer.note_read(consumer.read);
            if let Some((partition, due)) = producer.send(&mut poller)? {
                consumer.due[partition].push_back(due);
            }
            poller.wait(producer.is_due(&poller), &mut ready)?;
            // What was read is what is timed; acknowledgements come second.
            if ready.contains(&CONSUMER) {
                consumer.read(&mut poller, &producer)?;
            }
            if ready.contains(&PRODUCER) {
                producer.read(&mut poller)?;
            }
            producer.refuse_late(consumer.read, producer.total())?;
        }
        let mut figures = producer.figures(1)?;
        figures["batches_per_answer"] = json!(consumer.read as f64 / consumer.answers as f64);
        consumer.latency.tell("", &mut figures);
        Ok(figures)
    }
}

struct Consumer {
    fetcher: Fetcher,
    /// When the batches were due that have not been read, by partition.
    due: Vec<VecDeque<Instant>>,
    /// Of records.
    latency: Latency,
    /// Batches.
    read: u64,
    answers: u64,
}

impl Consumer {
    /// Reads, and asks for more when an answer has come whole.
    fn read(&mut self, poller: &mut Poller, producer: &Producer<'_>) -> io::Result<()> {
        let before = self.answers;
        poller.read(CONSUMER, |answer| {
            let now = Instant::now();
            self.answers += 1;
            self.fetcher.take(answer, |batch| {
                producer.check(batch.records, batch.bytes)?;
                let due = self.due[batch.partition].pop_front();
                let due = due.ok_or_else(|| io::Error::other("read what was not sent"))?;
                self.read += 1;
                if producer.is_measured(due) {
                    self.latency.record(due, now, batch.records)?;
                }
                Ok(())
            })?;
            Ok(())
        })?;
        if self.answers > before {
            poller.send(CONSUMER, self.fetcher.request())?;
        }
        Ok(())
    }
}

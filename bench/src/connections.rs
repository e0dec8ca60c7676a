//! Many connections, of which each produces now and then, and many partitions, of which each gets
//! a record now and then.

use std::io;

use clap::Args;
use serde_json::Value;

use crate::latency::Latency;
use crate::load::{Meter, Target};
use crate::places::Places;
use crate::poller::Poller;
use crate::turns::{Pace, Turns};
use crate::wire::{self, Frame};

/// Requests that are in flight, at most, while every connection says its first word.
const FIRST_FLYING_MAX: usize = 64;

/// Produce at a fixed rate in all, from the connections and to the partitions in turn; latency is
/// counted from the intended time of sending.
#[derive(Args)]
pub(crate) struct Connections {
    #[command(flatten)]
    target: Target,
    /// Connections.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    #[command(flatten)]
    places: Places,
    /// Bytes of the one record of a request.
    #[arg(long, default_value_t = 1024)]
    record_bytes: usize,
    /// Requests a second, of all connections together.
    #[arg(long, default_value_t = 5000)]
    rate: u32,
    /// How long, seconds.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
}

impl Connections {
    pub(crate) fn run(&self) -> io::Result<Value> {
        let topics = self.places.names(&self.target.topic);
        self.places.make(&self.target, &topics)?;
        let batch = wire::batch(1, self.record_bytes);
        let frames = topics.iter().map(|topic| wire::produce(topic, 0, &batch)).collect();
        let aims = Aims { frames, batch_bytes: batch.len(), places: &self.places };
        let target = self.target.with_topic(&topics[0]);
        let mut load =
            Load { target, poller: Poller::connect(&self.target, self.connections)?, aims };
        // A request on each connection and to each partition: what a broker sets up with the first
        // is not measured.
        let each_once = self.places.count().max(self.connections as u64);
        load.run(each_once, Pace::Flying { each: usize::MAX, all: FIRST_FLYING_MAX })?;
        let total = u64::from(self.rate) * u64::from(self.seconds);
        let meter = Meter::start(self.target.pid)?;
        let latency = load.run(total, Pace::Rate(f64::from(self.rate)))?;
        let mut figures = meter.stop(total * batch.len() as u64, total, total)?;
        latency.tell("", &mut figures);
        Ok(figures)
    }
}

struct Load<'a> {
    target: Target,
    poller: Poller,
    aims: Aims<'a>,
}

impl Load<'_> {
    fn run(&mut self, total: u64, pace: Pace) -> io::Result<Latency> {
        Turns { total, pace }.run(
            &mut self.poller,
            |poller, index, number| poller.ask(index, self.aims.aim(number)),
            |answer| self.target.check(answer),
        )
    }
}

/// The partitions of all topics, one after the other.
struct Aims<'a> {
    /// One a topic.
    frames: Vec<Frame>,
    batch_bytes: usize,
    places: &'a Places,
}

impl Aims<'_> {
    /// The request to the partition whose turn it is.
    fn aim(&mut self, number: u64) -> &mut Frame {
        let (topic, partition) = self.places.turn(number);
        let frame = &mut self.frames[topic];
        // Behind the partition are the batch's length and the batch.
        let at = frame.0.len() - self.batch_bytes - 8;
        frame.0[at..at + 4].copy_from_slice(&partition.to_be_bytes());
        frame
    }
}

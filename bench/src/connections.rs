//! Many connections, of which each produces now and then, and many partitions, of which each gets
//! a record now and then.

use std::io;

use clap::Args;
use serde_json::Value;

use crate::latency::Latency;
use crate::load::{Meter, Target};
use crate::partitions;
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
    /// Topics, at most ten, so that their names are of one length.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10))]
    topics: u16,
    /// Partitions of each.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
    /// Bytes of the one record of a request.
    #[arg(long, default_value_t = 1024)]
    record_bytes: usize,
    /// Requests a second, of all connections together.
    #[arg(long, default_value_t = 5000)]
    rate: u32,
    /// How long, seconds.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// The topics are there already.
    #[arg(long)]
    existing: bool,
}

impl Connections {
    pub(crate) fn run(&self) -> io::Result<Value> {
        let topics = partitions::names(&self.target.topic, usize::from(self.topics));
        if !self.target.is_floor() && !self.existing {
            partitions::create(&mut self.target.connect()?, &topics, self.partitions)?;
        }
        let batch = wire::batch(1, self.record_bytes);
        let frames = topics.iter().map(|topic| wire::produce(topic, 0, &batch)).collect();
        let aims = Aims { frames, batch_bytes: batch.len(), partitions: self.partitions };
        let target = self.target.with_topic(&topics[0]);
        let mut load =
            Load { target, poller: Poller::connect(&self.target, self.connections)?, aims };
        // A request on each connection and to each partition: what a broker sets up with the first
        // is not measured.
        let each_once = self.connections.max(load.aims.count()) as u64;
        load.run(each_once, Pace::Flying { each: usize::MAX, all: FIRST_FLYING_MAX })?;
        let total = u64::from(self.rate) * u64::from(self.seconds);
        let meter = Meter::start(self.target.pid)?;
        let latency = load.run(total, Pace::Rate(f64::from(self.rate)))?;
        let mut figures = meter.stop(total * batch.len() as u64, total, total)?;
        latency.tell("", &mut figures);
        Ok(figures)
    }
}

struct Load {
    target: Target,
    poller: Poller,
    aims: Aims,
}

impl Load {
    fn run(&mut self, total: u64, pace: Pace) -> io::Result<Latency> {
        Turns { total, pace }.run(
            &mut self.poller,
            |poller, index, number| poller.ask(index, self.aims.aim(number as usize)),
            |answer| self.target.check(answer),
        )
    }
}

/// The partitions of all topics, one after the other.
struct Aims {
    /// One a topic.
    frames: Vec<Frame>,
    batch_bytes: usize,
    partitions: i32,
}

impl Aims {
    fn count(&self) -> usize {
        self.frames.len() * self.partitions.unsigned_abs() as usize
    }

    /// The request to the partition whose turn it is.
    fn aim(&mut self, turn: usize) -> &mut Frame {
        let topics = self.frames.len();
        let frame = &mut self.frames[turn % topics];
        let partition = (turn / topics) as i32 % self.partitions;
        // Behind the partition are the batch's length and the batch.
        let at = frame.0.len() - self.batch_bytes - 8;
        frame.0[at..at + 4].copy_from_slice(&partition.to_be_bytes());
        frame
    }
}

//! Many connections, of which each produces now and then, and many partitions, of which each gets
//! a record now and then.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use clap::Args;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::crowd::Crowd;
use crate::load::{Meter, Target};
use crate::partitions;
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
}

impl Connections {
    pub(crate) fn run(&self) -> io::Result<Value> {
        let topics = partitions::names(&self.target.topic, usize::from(self.topics));
        if !self.target.is_floor() {
            partitions::create(&mut self.target.connect()?, &topics, self.partitions)?;
        }
        let batch = wire::batch(1, self.record_bytes);
        let frames = topics.iter().map(|topic| wire::produce(topic, 0, &batch)).collect();
        let turns = Turns { frames, batch_bytes: batch.len(), partitions: self.partitions };
        let target = self.target.with_topic(&topics[0]);
        let mut crowd = Crowd::connect(self.target.address, self.connections)?;
        self.first_words(&target, &mut crowd, &turns)?;
        let total = self.rate as usize * self.seconds as usize;
        let interval = Duration::from_secs(1) / self.rate;
        let mut due = vec![VecDeque::new(); self.connections];
        let mut latency = Histogram::<u64>::new(3).map_err(io::Error::other)?;
        let (mut sent, mut answered) = (0, 0);
        let (mut ready, mut answer) = (Vec::new(), Vec::new());
        let meter = Meter::start(self.target.pid)?;
        let begun = Instant::now();
        while answered < total {
            let mut pause = Duration::from_secs(1);
            while sent < total {
                let intended = begun + interval * sent as u32;
                pause = intended.saturating_duration_since(Instant::now());
                if !pause.is_zero() {
                    break;
                }
                let turn = sent % self.connections;
                crowd.send(turn, turns.frame(sent))?;
                due[turn].push_back(intended);
                sent += 1;
            }
            crowd.wait(pause, &mut ready)?;
            for &index in &ready {
                while crowd.answer(index, &mut answer)? {
                    target.check(&answer)?;
                    answered += 1;
                    let intended = due[index].pop_front();
                    let waited = intended.map_or(0, |at| at.elapsed().as_nanos() as u64);
                    latency.record(waited.max(1)).map_err(io::Error::other)?;
                }
            }
        }
        let mut figures = meter.stop((total * batch.len()) as u64, total as u64, total as u64)?;
        for (name, percentile) in [("p50", 50.0), ("p99", 99.0), ("p999", 99.9), ("max", 100.0)] {
            figures[format!("{name}_ms")] =
                json!(latency.value_at_percentile(percentile) as f64 / 1e6);
        }
        Ok(figures)
    }

    /// A request on each connection and to each partition: what a broker sets up with the first is
    /// not measured.
    fn first_words(&self, target: &Target, crowd: &mut Crowd, turns: &Turns) -> io::Result<()> {
        let total = self.connections.max(turns.count());
        let (mut sent, mut answered) = (0, 0);
        let (mut ready, mut answer) = (Vec::new(), Vec::new());
        while answered < total {
            while sent < total && sent - answered < FIRST_FLYING_MAX {
                crowd.send(sent % self.connections, turns.frame(sent))?;
                sent += 1;
            }
            crowd.wait(Duration::from_secs(1), &mut ready)?;
            for &index in &ready {
                while crowd.answer(index, &mut answer)? {
                    target.check(&answer)?;
                    answered += 1;
                }
            }
        }
        Ok(())
    }
}

/// The partitions of all topics, one after the other.
struct Turns {
    /// One a topic.
    frames: Vec<Frame>,
    batch_bytes: usize,
    partitions: i32,
}

impl Turns {
    fn count(&self) -> usize {
        self.frames.len() * self.partitions.unsigned_abs() as usize
    }

    /// The request of a turn.
    fn frame(&self, turn: usize) -> Frame {
        let topics = self.frames.len();
        let mut frame = self.frames[turn % topics].clone();
        let partition = (turn / topics) as i32 % self.partitions;
        // Behind the partition are the batch's length and the batch.
        let at = frame.0.len() - self.batch_bytes - 8;
        frame.0[at..at + 4].copy_from_slice(&partition.to_be_bytes());
        frame
    }
}

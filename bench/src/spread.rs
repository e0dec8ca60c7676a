//! Records for many partitions in turn: what a broker pays for having many.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::load::{Meter, Target};
use crate::wire::{self, Codec, ProduceMany};
use crate::{partitions, process};

/// What a server allocates and frees again when it makes partitions is not what they hold.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// How often each partition gets a batch before the load: the first one may make a log's file, and
/// the second one its index.
const OPENING_ROUNDS: u64 = 2;

/// Produce over one connection to many partitions in turn, a batch to each.
#[derive(Args)]
pub(crate) struct Spread {
    #[command(flatten)]
    target: Target,
    /// Topics, called as the topic with a number of four digits behind it.
    #[arg(long, default_value_t = 1)]
    topics: usize,
    /// Partitions of each.
    #[arg(long, default_value_t = 1)]
    partitions: i32,
    /// Batches of a request, each for another partition of the same topic.
    #[arg(long, default_value_t = 1)]
    batches: usize,
    /// Bytes of a batch, about.
    #[arg(long, default_value_t = 16 << 10)]
    batch_bytes: usize,
    /// Bytes of a record's value.
    #[arg(long, default_value_t = 1024)]
    record_bytes: usize,
    /// Requests in flight.
    #[arg(long, default_value_t = 5)]
    in_flight: u64,
    /// MiB of batches to send, after two to each partition.
    #[arg(long, default_value_t = 1024)]
    mib: u64,
    /// The topics are there already.
    #[arg(long)]
    existing: bool,
}

impl Spread {
    pub(crate) fn run(&self) -> io::Result<Value> {
        let of_topic = self.partitions.unsigned_abs() as usize;
        if of_topic == 0 || !of_topic.is_multiple_of(self.batches) {
            return Err(io::Error::other("the partitions of a topic do not fill its requests"));
        }
        let name = |number| format!("{}-{number:04}", self.target.topic);
        let topics: Vec<_> = (0..self.topics).map(name).collect();
        let count = (self.topics * of_topic) as u64;
        let (rss_before, _) = process::resident_mib(self.target.pid)?;
        if !self.existing {
            partitions::create(&mut self.target.connect()?, &topics, self.partitions)?;
        }
        let rss_made = self.settled()?;

        let batch = wire::packed(Codec::None, self.record_bytes, self.batch_bytes)?;
        let mut load = Load {
            spread: self,
            frame: wire::produce_many(&topics[0], self.batches, &batch.bytes),
            topics: &topics,
            stream: self.target.connect()?,
            next: 0,
        };
        let first = load.send(OPENING_ROUNDS * count / self.batches as u64)?;
        let requests = (self.mib << 20) / (batch.bytes.len() * self.batches) as u64;
        let rest = load.send(requests.max(1))?;
        let rss = self.settled()?;

        let kib = |now: f64| (now - rss_before) * 1024.0 / count as f64;
        let batches = self.batches as f64;
        Ok(json!({
            "first_requests_per_s": first.requests_per_s,
            "first_cpu_us_per_request": first.cpu_us_per_request,
            "requests_per_s": rest.requests_per_s,
            "cpu_us_per_request": rest.cpu_us_per_request,
            "batches_per_s": rest.requests_per_s * batches,
            "cpu_us_per_batch": rest.cpu_us_per_request / batches,
            "rss_before_mib": rss_before,
            "rss_made_mib": rss_made,
            "rss_mib": rss,
            "kib_per_partition_made": kib(rss_made),
            "kib_per_partition": kib(rss),
        }))
    }

    fn settled(&self) -> io::Result<f64> {
        std::thread::sleep(SETTLED_AFTER);
        Ok(process::resident_mib(self.target.pid)?.0)
    }
}

/// Requests that go around the partitions.
struct Load<'a> {
    spread: &'a Spread,
    frame: ProduceMany,
    topics: &'a [String],
    stream: TcpStream,
    /// The number of the next request, of all that were sent.
    next: u64,
}

struct Spent {
    requests_per_s: f64,
    cpu_us_per_request: f64,
}

impl<'a> Load<'a> {
    fn send(&mut self, requests: u64) -> io::Result<Spent> {
        let mut answer = Vec::new();
        let (mut sent, mut answered) = (0, 0);
        let meter = Meter::start(self.spread.target.pid)?;
        while answered < requests {
            while sent < requests && sent - answered < self.spread.in_flight.max(1) {
                let (topic, partition) = self.place(self.next + sent);
                self.frame.aim(topic, partition);
                self.frame.number((self.next + sent) as i32);
                self.stream.write_all(self.frame.bytes())?;
                sent += 1;
            }
            wire::read_frame(&mut self.stream, &mut answer)?;
            if !answer.starts_with(&((self.next + answered) as i32).to_be_bytes()) {
                return Err(io::Error::other("an answer to another request"));
            }
            let (topic, partition) = self.place(self.next + answered);
            wire::all_produced(&answer, topic, partition, self.spread.batches)?;
            answered += 1;
        }
        self.next += requests;
        let (wall, cpu) = meter.spent()?;
        Ok(Spent {
            requests_per_s: requests as f64 / wall,
            cpu_us_per_request: cpu * 1e6 / requests as f64,
        })
    }

    /// The topic of a request, and the first of its partitions.
    fn place(&self, request: u64) -> (&'a str, i32) {
        let of_topic = u64::from(self.spread.partitions.unsigned_abs());
        let first = request * self.spread.batches as u64 % (of_topic * self.topics.len() as u64);
        (&self.topics[(first / of_topic) as usize], (first % of_topic) as i32)
    }
}

//! Records for many partitions in turn: what a broker pays for having many.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::load::{Meter, Target};
use crate::places::Places;
use crate::process;
use crate::wire::{self, Codec, ProduceMany};

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
    #[command(flatten)]
    places: Places,
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
    /// Seconds to send at most, after those two.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

impl Spread {
    pub(crate) fn run(&self) -> io::Result<Value> {
        if !self.places.of_topic().is_multiple_of(self.batches.max(1) as u64) {
            return Err(io::Error::other("the partitions of a topic do not fill its requests"));
        }
        if self.target.is_floor() && self.batches != 1 {
            return Err(io::Error::other("the floor appends a request to one file"));
        }
        let topics = self.places.names(&self.target.topic);
        let count = self.places.count();
        let (rss_before, _) = process::resident_mib(self.target.pid)?;
        self.places.make(&self.target, &topics)?;
        let rss_made = self.settled()?;

        let batch = wire::packed(Codec::None, self.record_bytes, self.batch_bytes)?;
        let mut load = Load {
            spread: self,
            frame: wire::produce_many(&topics[0], self.batches, &batch.bytes),
            topics: &topics,
            stream: self.target.connect()?,
            next: 0,
        };
        let first = load.send(OPENING_ROUNDS * count / self.batches as u64, None)?;
        let requests = (self.mib << 20) / (batch.bytes.len() * self.batches) as u64;
        let rest = load.send(requests.max(1), Some(Duration::from_secs(self.seconds)))?;
        let rss = self.settled()?;

        let kib = |now: f64| (now - rss_before) * 1024.0 / count as f64;
        let batches = self.batches as f64;
        Ok(json!({
            "first_requests_per_s": first.requests_per_s,
            "first_cpu_us_per_request": first.cpu_us_per_request,
            "requests": rest.requests,
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
    requests: u64,
    requests_per_s: f64,
    cpu_us_per_request: f64,
}

impl<'a> Load<'a> {
    /// Sends so many requests, or as many as time allows, and takes their answers.
    fn send(&mut self, requests: u64, time: Option<Duration>) -> io::Result<Spent> {
        let mut answer = Vec::new();
        let (mut sent, mut answered, mut wanted) = (0, 0, requests);
        let in_flight = self.spread.in_flight.max(1);
        let meter = Meter::start(self.spread.target.pid)?;
        let begun = Instant::now();
        while answered < wanted {
            while sent < wanted && sent - answered < in_flight {
                let (topic, partition) = self.place(self.next + sent);
                self.frame.aim(topic, partition);
                self.frame.number((self.next + sent) as i32);
                self.stream.write_all(self.frame.bytes())?;
                sent += 1;
            }
            wire::read_frame(&mut self.stream, &mut answer)?;
            self.check(&answer, self.next + answered)?;
            answered += 1;
            if time.is_some_and(|time| begun.elapsed() >= time) {
                wanted = sent;
            }
        }
        self.next += answered;
        let (wall, cpu) = meter.spent()?;
        Ok(Spent {
            requests: answered,
            requests_per_s: answered as f64 / wall,
            cpu_us_per_request: cpu * 1e6 / answered as f64,
        })
    }

    fn check(&self, answer: &[u8], request: u64) -> io::Result<()> {
        if !answer.starts_with(&(request as i32).to_be_bytes()) {
            return Err(io::Error::other("an answer to another request"));
        }
        if self.spread.target.is_floor() {
            return Ok(());
        }
        let (topic, partition) = self.place(request);
        wire::all_produced(answer, topic, partition, self.spread.batches)
    }

    /// The topic of a request, and the first of its partitions.
    fn place(&self, request: u64) -> (&'a str, i32) {
        let (topic, first) = self.spread.places.turn(request * self.spread.batches as u64);
        (&self.topics[topic], first)
    }
}

//! Thousands of partitions: how long it takes to make them, and to tell of them all.

use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::load::{Meter, Target};
use crate::process;
use crate::wire::topics as ask;
use crate::wire::{self, Frame};

/// Kafka refuses a request that takes more than 10,000 metadata records, one for each topic and
/// partition.
const PARTITIONS_A_REQUEST: usize = 5000;

/// Make thousands of partitions at once, and ask for them all.
#[derive(Args)]
pub(crate) struct Partitions {
    #[command(flatten)]
    target: Target,
    /// Topics.
    #[arg(long, default_value_t = 100)]
    topics: usize,
    /// Partitions of each.
    #[arg(long, default_value_t = 100)]
    partitions: i32,
    /// How often all are asked for; the median is told.
    #[arg(long, default_value_t = 51)]
    asks: usize,
}

impl Partitions {
    pub(crate) fn run(&self) -> io::Result<Value> {
        let topics = names(&self.target.topic, self.topics);
        let count = self.topics * self.partitions as usize;
        let mut stream = self.target.connect()?;
        let mut answer = Vec::new();
        let (before, _) = process::resident_mib(self.target.pid)?;

        let meter = Meter::start(self.target.pid)?;
        ask_for(&mut stream, &topics, self.partitions)?;
        let (created_s, _) = meter.spent()?;
        let told = ask::metadata_of_all();
        until(&mut stream, &told, &mut answer, |answer| Ok(ask::led_partitions(answer)? >= count))?;
        let (told_s, _) = meter.spent()?;
        let usable = ask::list_offsets(&topics, self.partitions);
        until(&mut stream, &usable, &mut answer, |answer| {
            Ok(ask::listed_offsets(answer)? == count)
        })?;
        let (usable_s, create_cpu_s) = meter.spent()?;

        let mut metadata_ms = Vec::with_capacity(self.asks);
        let meter = Meter::start(self.target.pid)?;
        for _ in 0..self.asks {
            let begun = Instant::now();
            wire::call(&mut stream, &told, &mut answer)?;
            metadata_ms.push(begun.elapsed().as_secs_f64() * 1e3);
            ask::led_partitions(&answer)?;
        }
        let (_, metadata_cpu_s) = meter.spent()?;
        metadata_ms.sort_by(f64::total_cmp);
        let (resident, _) = process::resident_mib(self.target.pid)?;
        Ok(json!({
            "created_s": created_s,
            "told_s": told_s,
            "usable_s": usable_s,
            "create_cpu_s": create_cpu_s,
            "metadata_ms": metadata_ms[metadata_ms.len() / 2],
            "metadata_cpu_ms": metadata_cpu_s * 1e3 / self.asks as f64,
            "metadata_bytes": answer.len(),
            "rss_before_mib": before,
            "rss_mib": resident,
        }))
    }
}

/// So many names that begin with `topic`.
pub(crate) fn names(topic: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{topic}-{number}")).collect()
}

/// Makes topics, and waits until all their partitions are led.
pub(crate) fn create(stream: &mut TcpStream, topics: &[String], partitions: i32) -> io::Result<()> {
    ask_for(stream, topics, partitions)?;
    let count = topics.len() * partitions.unsigned_abs() as usize;
    let is_usable = |answer: &[u8]| Ok(ask::listed_offsets(answer)? == count);
    until(stream, &ask::list_offsets(topics, partitions), &mut Vec::new(), is_usable)
}

fn ask_for(stream: &mut TcpStream, topics: &[String], partitions: i32) -> io::Result<()> {
    let mut answer = Vec::new();
    for some in topics.chunks((PARTITIONS_A_REQUEST / partitions.max(1) as usize).max(1)) {
        let create = ask::create_topics(some, partitions, &[]);
        wire::call(stream, &create, &mut answer)?;
        ask::created(&answer, some.len())?;
    }
    Ok(())
}

/// Asks again and again until the answer is as it should be.
pub(crate) fn until(
    stream: &mut TcpStream,
    question: &Frame,
    answer: &mut Vec<u8>,
    is_right: impl Fn(&[u8]) -> io::Result<bool>,
) -> io::Result<()> {
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        wire::call(stream, question, answer)?;
        if is_right(answer)? {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(io::Error::other("some partitions are not there after two minutes"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

//! Offsets committed by many groups, one offset a request.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use clap::Args;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::crowd::Crowd;
use crate::load::{Meter, Target};
use crate::members;
use crate::wire::coordinator;

/// Commit offsets, at a rate or as fast as answers come.
#[derive(Args)]
pub(crate) struct Commits {
    #[command(flatten)]
    target: Target,
    /// Connections, each of a group of its own.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Commits.
    #[arg(long, default_value_t = 200_000)]
    commits: usize,
    /// Commits a second; 0 for as many as are answered.
    #[arg(long, default_value_t = 0)]
    rate: u32,
    /// Requests in flight on a connection, when there is no rate.
    #[arg(long, default_value_t = 4)]
    in_flight: usize,
}

impl Commits {
    pub(crate) fn run(&self) -> io::Result<Value> {
        let partitions = i32::try_from(self.connections).map_err(io::Error::other)?;
        self.target.prepare_with(partitions, &[])?;
        let groups: Vec<_> =
            (0..self.connections).map(|group| format!("commits-{group}")).collect();
        members::ready(&self.target, &groups)?;
        let mut crowd = Crowd::connect(self.target.address, self.connections)?;
        let mut due = vec![VecDeque::new(); self.connections];
        let mut latency = Histogram::<u64>::new(3).map_err(io::Error::other)?;
        let interval = (self.rate > 0).then(|| Duration::from_secs(1) / self.rate);
        let (mut sent, mut answered) = (0, 0);
        let (mut ready, mut answer) = (Vec::new(), Vec::new());
        let meter = Meter::start(self.target.pid)?;
        let begun = Instant::now();
        while answered < self.commits {
            let pause = loop {
                let turn = sent % self.connections;
                let intended = interval.map_or_else(Instant::now, |gap| begun + gap * sent as u32);
                let pause = intended.saturating_duration_since(Instant::now());
                let is_full = interval.is_none() && crowd.flying(turn) >= self.in_flight;
                if sent == self.commits || is_full {
                    break Duration::from_secs(1);
                }
                if !pause.is_zero() {
                    break pause;
                }
                let topic = &self.target.topic;
                let offset = (sent / self.connections) as i64;
                let partition = turn as i32;
                let commit = coordinator::offset_commit(&groups[turn], topic, partition, offset);
                crowd.send(turn, commit)?;
                due[turn].push_back(intended);
                sent += 1;
            };
            crowd.wait(pause, &mut ready)?;
            for &index in &ready {
                while crowd.answer(index, &mut answer)? {
                    coordinator::committed(&answer, &self.target.topic)?;
                    answered += 1;
                    let intended = due[index].pop_front();
                    let waited = intended.map_or(0, |at| at.elapsed().as_nanos() as u64);
                    latency.record(waited.max(1)).map_err(io::Error::other)?;
                }
            }
        }
        let (wall, cpu) = meter.spent()?;
        let ms = |percentile| latency.value_at_percentile(percentile) as f64 / 1e6;
        Ok(json!({
            "commits_per_s": self.commits as f64 / wall,
            "cpu_us_per_commit": cpu * 1e6 / self.commits as f64,
            "p50_ms": ms(50.0),
            "p99_ms": ms(99.0),
            "max_ms": ms(100.0),
        }))
    }
}

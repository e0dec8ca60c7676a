//! Offsets committed by many groups, one offset a request.

use std::io;

use clap::Args;
use serde_json::{Value, json};

use crate::load::{Meter, Target};
use crate::members;
use crate::poller::Poller;
use crate::turns::{Pace, Turns};
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
    commits: u64,
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
        let mut poller = Poller::connect(&self.target, self.connections)?;
        let pace = match self.rate {
            0 => Pace::Flying { each: self.in_flight, all: usize::MAX },
            rate => Pace::Rate(f64::from(rate)),
        };
        let topic = &self.target.topic;
        let meter = Meter::start(self.target.pid)?;
        let latency = Turns { total: self.commits, pace }.run(
            &mut poller,
            |poller, turn, number| {
                let offset = (number / groups.len() as u64).cast_signed();
                let group = &groups[turn];
                poller.ask(turn, &mut coordinator::offset_commit(group, topic, turn as i32, offset))
            },
            |answer| coordinator::committed(answer, topic),
        )?;
        let (wall, cpu) = meter.spent()?;
        let share = meter.generator_cpu_share()?;
        let mut figures = json!({
            "commits_per_s": self.commits as f64 / wall,
            "cpu_us_per_commit": cpu * 1e6 / self.commits as f64,
        });
        figures["generator_cpu_share"] = json!(share);
        latency.tell("", &mut figures);
        Ok(figures)
    }
}

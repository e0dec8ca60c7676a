//! Connections that say nothing: what each of them holds, and whether another one feels them.

use std::io;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::latency::Latency;
use crate::load::{Meter, Target};
use crate::poller::Poller;
use crate::turns::{Pace, Turns};
use crate::{process, wire};

/// What a server allocates and frees again when connections come is not what they hold.
const SETTLED_AFTER: Duration = Duration::from_secs(1);
/// Greetings on the way: fewer than any broker's queue of requests has room for.
const GREETINGS_IN_FLIGHT: usize = 100;

/// Open connections that say nothing, and ping on one more at a fixed rate before and after.
#[derive(Args)]
pub(crate) struct Idle {
    #[command(flatten)]
    target: Target,
    /// Connections that say nothing but one ApiVersions request at the beginning and at the end.
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Pings a second.
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// How long to ping, each time, seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u32,
}

impl Idle {
    /// Fails when a connection is not there any more at the end.
    pub(crate) fn run(&self) -> io::Result<Value> {
        let mut pinger = Poller::connect(&self.target, 1)?;
        let alone = self.ping(&mut pinger)?;
        let (rss_before, _) = process::resident_mib(self.target.pid)?;
        let meter = Meter::start(self.target.pid)?;
        let mut crowd = Poller::connect(&self.target, self.connections)?;
        self.greet(&mut crowd)?;
        let (open_s, open_cpu_s) = meter.spent()?;
        std::thread::sleep(SETTLED_AFTER);
        let (rss, _) = process::resident_mib(self.target.pid)?;
        let among = self.ping(&mut pinger)?;
        self.greet(&mut crowd)?;
        Ok(json!({
            "open_s": open_s,
            "open_cpu_us": open_cpu_s * 1e6 / self.connections as f64,
            "rss_before_mib": rss_before,
            "rss_mib": rss,
            "kib_per_connection": (rss - rss_before) * 1024.0 / self.connections as f64,
            "alone_p50_us": alone.us(50.0),
            "alone_p99_us": alone.us(99.0),
            "alone_cpu_us": alone.cpu_us,
            "among_p50_us": among.us(50.0),
            "among_p99_us": among.us(99.0),
            "among_cpu_us": among.cpu_us,
            "generator_cpu_share": alone.generator_cpu_share.max(among.generator_cpu_share),
        }))
    }

    /// Each connection asks for the versions of the requests, and is answered.
    fn greet(&self, poller: &mut Poller) -> io::Result<()> {
        let pace = Pace::Flying { each: 1, all: GREETINGS_IN_FLIGHT };
        versions(Turns { total: self.connections as u64, pace }, poller).map(drop)
    }

    /// Latency counts from the moment at which a ping was due.
    fn ping(&self, poller: &mut Poller) -> io::Result<Pings> {
        let total = u64::from(self.rate) * u64::from(self.seconds);
        let meter = Meter::start(self.target.pid)?;
        let latency = versions(Turns { total, pace: Pace::Rate(f64::from(self.rate)) }, poller)?;
        let (_, cpu) = meter.spent()?;
        let generator_cpu_share = meter.generator_cpu_share()?;
        Ok(Pings { latency, cpu_us: cpu * 1e6 / total as f64, generator_cpu_share })
    }
}

fn versions(turns: Turns, poller: &mut Poller) -> io::Result<Latency> {
    let mut frame = wire::api_versions();
    turns.run(poller, |poller, index, _| poller.ask(index, &mut frame), wire::versions_told)
}

/// How long pings took, and what one cost the server, us.
struct Pings {
    latency: Latency,
    cpu_us: f64,
    generator_cpu_share: f64,
}

impl Pings {
    fn us(&self, percentile: f64) -> f64 {
        self.latency.ms(percentile) * 1e3
    }
}

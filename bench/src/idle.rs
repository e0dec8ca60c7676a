//! Connections that say nothing: what each of them holds, and whether another one feels them.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use clap::Args;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::crowd::Crowd;
use crate::load::{Meter, Target, wait_readable};
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
        let mut stream = [self.target.connect()?];
        let alone = self.ping(&mut stream)?;
        let (rss_before, _) = process::resident_mib(self.target.pid)?;
        let meter = Meter::start(self.target.pid)?;
        let mut crowd = Crowd::connect(self.target.address, self.connections)?;
        self.greet(&mut crowd)?;
        let (open_s, open_cpu_s) = meter.spent()?;
        std::thread::sleep(SETTLED_AFTER);
        let (rss, _) = process::resident_mib(self.target.pid)?;
        let among = self.ping(&mut stream)?;
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
        }))
    }

    /// Each connection asks for the versions of the requests, and is answered.
    fn greet(&self, crowd: &mut Crowd) -> io::Result<()> {
        let (mut sent, mut answered) = (0, 0);
        let (mut ready, mut answer) = (Vec::new(), Vec::new());
        while answered < self.connections {
            while sent < self.connections && sent - answered < GREETINGS_IN_FLIGHT {
                crowd.send(sent, wire::api_versions())?;
                sent += 1;
            }
            crowd.wait(Duration::from_secs(1), &mut ready)?;
            for &index in &ready {
                while crowd.answer(index, &mut answer)? {
                    wire::versions_told(&answer)?;
                    answered += 1;
                }
            }
        }
        Ok(())
    }

    /// Latency counts from the moment at which a ping was due.
    fn ping(&self, stream: &mut [TcpStream; 1]) -> io::Result<Pings> {
        let mut frame = wire::api_versions();
        let interval = Duration::from_secs(1) / self.rate;
        let total = self.rate * self.seconds;
        let mut latency = Histogram::new(3).map_err(io::Error::other)?;
        let mut answer = Vec::new();
        let (mut sent, mut answered) = (0, 0);
        let meter = Meter::start(self.target.pid)?;
        let begun = Instant::now();
        while answered < total {
            let pause = (begun + interval * sent).saturating_duration_since(Instant::now());
            if sent < total && pause.is_zero() {
                frame.number(sent.cast_signed());
                stream[0].write_all(&frame.0)?;
                sent += 1;
            } else if wait_readable(stream, (sent < total).then_some(pause))?[0] {
                wire::read_frame(&mut stream[0], &mut answer)?;
                wire::versions_told(&answer)?;
                let waited = (begun + interval * answered).elapsed().as_nanos() as u64;
                latency.record(waited.max(1)).map_err(io::Error::other)?;
                answered += 1;
            }
        }
        let (_, cpu) = meter.spent()?;
        Ok(Pings { latency, cpu_us: cpu * 1e6 / f64::from(total) })
    }
}

/// How long pings took, ns, and what one cost the server, us.
struct Pings {
    latency: Histogram<u64>,
    cpu_us: f64,
}

impl Pings {
    fn us(&self, percentile: f64) -> f64 {
        self.latency.value_at_percentile(percentile) as f64 / 1e3
    }
}

//! Whom a load drives, and what is measured around it.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::process;
use crate::wire;

const GIB: f64 = (1u64 << 30) as f64;

/// Whom to drive.
#[derive(Args, Clone)]
pub(crate) struct Target {
    /// The server's address.
    #[arg(long)]
    pub(crate) address: SocketAddr,
    /// The server's process, for its processor time and memory.
    #[arg(long)]
    pub(crate) pid: u32,
    /// The topic; made when missing.
    #[arg(long, default_value = "bench")]
    pub(crate) topic: String,
    /// The server is the floor, which knows no topics and answers shortly.
    #[arg(long)]
    pub(crate) floor: bool,
}

impl Target {
    /// A topic of a broker that was started here.
    pub(crate) fn of(address: SocketAddr, pid: u32, topic: &str) -> Self {
        Self { address, pid, topic: topic.to_owned(), floor: false }
    }

    /// Whether there are no topics.
    pub(crate) fn is_floor(&self) -> bool {
        self.floor
    }

    /// The same server, another topic.
    pub(crate) fn with_topic(&self, topic: &str) -> Self {
        Self { topic: topic.to_owned(), ..self.clone() }
    }

    pub(crate) fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Makes the topic, with these settings, and waits until it takes records.
    pub(crate) fn prepare_with(&self, partitions: i32, configs: &[(&str, &str)]) -> io::Result<()> {
        if self.floor {
            return Ok(());
        }
        let mut stream = self.connect()?;
        let mut answer = Vec::new();
        let topics = [self.topic.clone()];
        let create = wire::topics::create_topics(&topics, partitions, configs);
        // That it is there already does no harm: what follows would not work without it.
        wire::call(&mut stream, &create, &mut answer)?;
        for partition in 0..partitions {
            let probe = wire::produce(&self.topic, partition, &wire::batch(1, 10));
            let end = Instant::now() + Duration::from_secs(30);
            loop {
                wire::call(&mut stream, &probe, &mut answer)?;
                match wire::produced(&answer, &self.topic) {
                    Ok(_) => break,
                    Err(error) if Instant::now() > end => return Err(error),
                    Err(_) => std::thread::sleep(Duration::from_micros(200)),
                }
            }
        }
        Ok(())
    }

    /// The ends of all partitions of the topic.
    pub(crate) fn ends(&self, partitions: i32) -> io::Result<Vec<i64>> {
        let ask = wire::topics::list_offsets(std::slice::from_ref(&self.topic), partitions);
        let mut answer = Vec::new();
        wire::call(&mut self.connect()?, &ask, &mut answer)?;
        wire::topics::ends(&answer, partitions)
    }

    /// Checks the answer to a produce request.
    pub(crate) fn check(&self, answer: &[u8]) -> io::Result<()> {
        if self.floor { Ok(()) } else { wire::produced(answer, &self.topic).map(drop) }
    }
}

/// What is measured around a run.
pub(crate) struct Meter {
    pid: u32,
    cpu: f64,
    own_cpu: f64,
    begun: Instant,
}

impl Meter {
    pub(crate) fn start(pid: u32) -> io::Result<Self> {
        let (cpu, own_cpu) = (process::cpu_seconds(pid)?, process::own_cpu_seconds()?);
        Ok(Self { pid, cpu, own_cpu, begun: Instant::now() })
    }

    /// How much of its processor this process has used since the start. Near 1 it is the generator
    /// that is measured.
    pub(crate) fn generator_cpu_share(&self) -> io::Result<f64> {
        let wall = self.begun.elapsed().as_secs_f64();
        Ok((process::own_cpu_seconds()? - self.own_cpu) / wall)
    }

    /// Seconds since the start, and the processor seconds that the server has used in them.
    pub(crate) fn spent(&self) -> io::Result<(f64, f64)> {
        let wall = self.begun.elapsed().as_secs_f64();
        Ok((wall, process::cpu_seconds(self.pid)? - self.cpu))
    }

    /// What was spent, in all and by GiB, record and request.
    pub(crate) fn stop(&self, bytes: u64, records: u64, requests: u64) -> io::Result<Value> {
        let (wall, cpu) = self.spent()?;
        let share = self.generator_cpu_share()?;
        let (resident, peak) = process::resident_mib(self.pid)?;
        Ok(json!({
            "wall_s": wall,
            "cpu_s": cpu,
            "gib": bytes as f64 / GIB,
            "cpu_s_per_gib": cpu / (bytes as f64 / GIB),
            "mib_per_s": bytes as f64 / f64::from(1 << 20) / wall,
            "records_per_s": records as f64 / wall,
            "requests_per_s": requests as f64 / wall,
            "cpu_us_per_record": cpu * 1e6 / records.max(1) as f64,
            "cpu_us_per_request": cpu * 1e6 / requests.max(1) as f64,
            "generator_cpu_share": share,
            "rss_mib": resident,
            "rss_peak_mib": peak,
        }))
    }
}

//! Driving a broker, or the floor, with prebuilt requests.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use clap::Args;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use serde_json::{Value, json};

use crate::process;
use crate::wire::{self, Frame, Packed};

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

    /// Checks the answer to a produce request.
    pub(crate) fn check(&self, answer: &[u8]) -> io::Result<()> {
        if self.floor { Ok(()) } else { wire::produced(answer, &self.topic).map(drop) }
    }
}

/// What is measured around a run.
pub(crate) struct Meter {
    pid: u32,
    cpu: f64,
    begun: Instant,
}

impl Meter {
    pub(crate) fn start(pid: u32) -> io::Result<Self> {
        Ok(Self { pid, cpu: process::cpu_seconds(pid)?, begun: Instant::now() })
    }

    /// Seconds since the start, and the processor seconds that the server has used in them.
    pub(crate) fn spent(&self) -> io::Result<(f64, f64)> {
        let wall = self.begun.elapsed().as_secs_f64();
        Ok((wall, process::cpu_seconds(self.pid)? - self.cpu))
    }

    /// What was spent, in all and by GiB, record and request.
    pub(crate) fn stop(&self, bytes: u64, records: u64, requests: u64) -> io::Result<Value> {
        let (wall, cpu) = self.spent()?;
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
            "rss_mib": resident,
            "rss_peak_mib": peak,
        }))
    }
}

/// Waits until an answer begins on one of them, and tells on which.
fn wait_readable(streams: &[TcpStream]) -> io::Result<Vec<bool>> {
    let mut fds: Vec<_> =
        streams.iter().map(|stream| PollFd::new(stream.as_fd(), PollFlags::POLLIN)).collect();
    nix::poll::poll(&mut fds, PollTimeout::NONE)?;
    Ok(fds.iter().map(|fd| fd.any().unwrap_or(false)).collect())
}

/// Produce as fast as answers come.
#[derive(Args)]
pub(crate) struct Produce {
    #[command(flatten)]
    target: Target,
    /// Bytes of a record's value.
    #[arg(long, default_value_t = 1024)]
    record_bytes: usize,
    /// Records in a batch.
    #[arg(long, default_value_t = 63)]
    batch_records: i32,
    /// Connections, each to a partition of its own.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Requests in flight on a connection.
    #[arg(long, default_value_t = 5)]
    in_flight: usize,
    /// MiB of batches to send.
    #[arg(long, default_value_t = 2048)]
    mib: u64,
    /// Records that compress to about a half, compressed so; `--batch-bytes` then says how many
    /// are in a batch.
    #[arg(long)]
    codec: Option<wire::Codec>,
    /// With `--codec`: bytes of a batch on the wire, about.
    #[arg(long, default_value_t = 64 << 10, requires = "codec")]
    batch_bytes: usize,
    /// A setting of the topic, NAME=VALUE; may be given several times.
    #[arg(long, value_parser = setting)]
    topic_config: Vec<(String, String)>,
}

/// Cuts NAME=VALUE.
fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is wanted")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Produce {
    fn batch(&self) -> io::Result<Packed> {
        match self.codec {
            Some(codec) => wire::packed(codec, self.record_bytes, self.batch_bytes),
            None => {
                let bytes = wire::batch(self.batch_records, self.record_bytes);
                Ok(Packed { bytes, records: self.batch_records })
            }
        }
    }

    pub(crate) fn run(&self) -> io::Result<Value> {
        let partitions = i32::try_from(self.connections).map_err(io::Error::other)?;
        let configs: Vec<_> =
            self.topic_config.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.target.prepare_with(partitions, &configs)?;
        let Packed { bytes: batch, records } = self.batch()?;
        let total = (self.mib << 20) / batch.len() as u64;
        let mut frames: Vec<Frame> = (0..partitions)
            .map(|partition| wire::produce(&self.target.topic, partition, &batch))
            .collect();
        let mut streams =
            (0..self.connections).map(|_| self.target.connect()).collect::<io::Result<Vec<_>>>()?;
        let mut flying = vec![0; self.connections];
        let mut answer = Vec::new();
        let (mut sent, mut answered) = (0u64, 0u64);
        let meter = Meter::start(self.target.pid)?;
        while answered < total {
            for (index, stream) in streams.iter_mut().enumerate() {
                while flying[index] < self.in_flight && sent < total {
                    frames[index].number(sent as i32);
                    stream.write_all(&frames[index].0)?;
                    flying[index] += 1;
                    sent += 1;
                }
            }
            for (index, readable) in wait_readable(&streams)?.into_iter().enumerate() {
                if readable {
                    wire::read_frame(&mut streams[index], &mut answer)?;
                    self.target.check(&answer)?;
                    flying[index] -= 1;
                    answered += 1;
                }
            }
        }
        meter.stop(total * batch.len() as u64, total * records as u64, total)
    }
}

//! Starts: how long until the first record is acknowledged, what the process holds then, and how
//! fast the machine reads and sums what a recovery reads and sums.

use std::fs::{self, File};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::load::{Meter, Target};
use crate::process;

/// What is read at a time; as much as makes no system call count.
const READ_BYTES: usize = 1 << 20;

/// Start a broker and time its first acknowledged record.
#[derive(Args)]
pub(crate) struct ColdStart {
    /// Where the broker will listen.
    #[arg(long)]
    address: SocketAddr,
    /// The topic; made when missing.
    #[arg(long, default_value = "cold")]
    topic: String,
    /// How long to wait for the first record, seconds.
    #[arg(long, default_value_t = 60)]
    limit: u64,
    /// End it by SIGKILL, as a crash does.
    #[arg(long)]
    kill: bool,
    /// The command that starts it.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

impl ColdStart {
    /// A broker that was not there within the limit is killed, and its `first_ack_ms` is null.
    pub(crate) fn run(&self) -> io::Result<Value> {
        let begun = Instant::now();
        let mut child = Command::new(&self.command[0])
            .args(&self.command[1..])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let measured = self.measure(&mut child, begun);
        if self.kill || measured.as_ref().map_or(true, |answer| answer["first_ack_ms"].is_null()) {
            child.kill()?;
            child.wait()?;
            return measured;
        }
        let stop = Instant::now();
        let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        child.wait()?;
        let mut answer = measured?;
        answer["stop_ms"] = json!(stop.elapsed().as_secs_f64() * 1e3);
        Ok(answer)
    }

    fn measure(&self, child: &mut Child, begun: Instant) -> io::Result<Value> {
        let pid = child.id();
        let target = Target::of(self.address, pid, &self.topic);
        let acked = loop {
            match target.prepare_with(1, &[]) {
                Ok(()) => break Some(begun.elapsed().as_secs_f64() * 1e3),
                Err(_) if begun.elapsed() > Duration::from_secs(self.limit) => break None,
                Err(_) => {}
            }
            if let Some(status) = child.try_wait()? {
                return Err(io::Error::other(format!("the broker has ended: {status}")));
            }
            std::thread::sleep(Duration::from_micros(200));
        };
        let cpu = process::cpu_seconds(pid)?;
        std::thread::sleep(Duration::from_secs(1));
        let (resident, peak) = process::resident_mib(pid)?;
        Ok(json!({
            "first_ack_ms": acked,
            "first_ack_cpu_s": cpu,
            "idle_rss_mib": resident,
            "rss_peak_mib": peak,
            "open_files": process::open_files(pid)?,
            "maps": process::maps(pid)?,
        }))
    }
}

/// Read and CRC-32C every `.log` file under a directory, in one thread: what a recovery cannot do
/// without.
#[derive(Args)]
pub(crate) struct FloorSum {
    /// Directories.
    #[arg(long, required = true)]
    data: Vec<PathBuf>,
}

impl FloorSum {
    pub(crate) fn run(&self) -> io::Result<Value> {
        let mut files = Vec::new();
        for dir in &self.data {
            logs_under(dir, &mut files)?;
        }
        let mut buffer = vec![0; READ_BYTES];
        let mut bytes = 0u64;
        let meter = Meter::start(std::process::id())?;
        for path in &files {
            let mut file = File::open(path)?;
            let mut sum = 0;
            loop {
                let read = file.read(&mut buffer)?;
                if read == 0 {
                    break;
                }
                sum = crc32c::crc32c_append(sum, &buffer[..read]);
                bytes += read as u64;
            }
            std::hint::black_box(sum);
        }
        let (wall, cpu) = meter.spent()?;
        let gib = bytes as f64 / (1u64 << 30) as f64;
        Ok(json!({
            "gib": gib,
            "gib_per_s": gib / wall,
            "cpu_s_per_gib": cpu / gib,
            "wall_s": wall,
        }))
    }
}

fn logs_under(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            logs_under(&entry.path(), files)?;
        } else if entry.path().extension().is_some_and(|extension| extension == "log") {
            files.push(entry.path());
        }
    }
    Ok(())
}

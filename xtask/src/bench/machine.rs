//! The machine that measures: what it is, and what else took its processors meanwhile.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

/// Ticks of `/proc/stat` a second: on x86 and Arm always so many.
const TICKS_A_SECOND: f64 = 100.0;
/// In less, ticks are too few to tell a share by.
const WATCHED_MIN: Duration = Duration::from_millis(500);

/// What this run was made on, and what disturbed it.
pub(super) struct Machine {
    begun: Instant,
    /// All that does not change during the run.
    told: String,
    load: f64,
    ticks: Ticks,
    worst: RefCell<Worst>,
}

/// The most that was taken from a measured command, in shares of one processor.
#[derive(Default)]
struct Worst {
    stolen: f64,
    others: f64,
    others_in: String,
}

/// Time of all processors since the system's start, in seconds.
#[derive(Clone, Copy)]
struct Ticks {
    busy: f64,
    stolen: f64,
}

impl Machine {
    /// `how`: how the run was asked for.
    pub(super) fn look(root: &Path, with_java: bool, how: &str) -> Result<Self> {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let processors = thread::available_parallelism()?;
        let mut told = format!(
            "{}, commit {}, Linux {}, {processors} processors ({})",
            output(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]))?,
            commit(root),
            release.trim(),
            model()?,
        );
        told += &format!(", TCP {}", congestion_control()?);
        if with_java {
            told += &format!(", {}", jvm()?);
        }
        told += &format!(", {how}");
        let (load, ticks) = (load()?, Ticks::now()?);
        Ok(Self { begun: Instant::now(), told, load, ticks, worst: RefCell::default() })
    }

    /// What a reader of figures is to know of them.
    pub(super) fn told(&self) -> Result<String> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let stolen = (Ticks::now()?.stolen - self.ticks.stolen) / seconds;
        let worst = self.worst.borrow();
        let mut told = format!(
            "{}. {:.0} min; load {:.2} at the beginning, {:.2} at the end; the host took {:.1} % \
             of a processor (steal)",
            self.told,
            seconds / 60.0,
            self.load,
            load()?,
            stolen * 100.0
        );
        if !worst.others_in.is_empty() {
            told += &format!(
                ", at most {:.1} % while something was measured. Other processes took at most \
                 {:.1} % of a processor then ({})",
                worst.stolen * 100.0,
                worst.others * 100.0,
                worst.others_in
            );
        }
        Ok(told + ".")
    }

    /// Keeps what disturbed a measured command most.
    pub(super) fn note(&self, watch: &Watch, of: &str) -> Result<()> {
        let Some((stolen, others)) = watch.shares()? else { return Ok(()) };
        let mut worst = self.worst.borrow_mut();
        worst.stolen = worst.stolen.max(stolen);
        if others > worst.others || worst.others_in.is_empty() {
            worst.others = others;
            of.clone_into(&mut worst.others_in);
        }
        Ok(())
    }
}

/// What processors do while a command runs.
pub(super) struct Watch {
    server: Option<u32>,
    begun: Instant,
    ticks: Ticks,
    own_s: f64,
}

impl Watch {
    /// Begins, before the command. `server`: the process that it drives, beside itself.
    pub(super) fn start(server: Option<u32>) -> Result<Self> {
        let (own_s, ticks) = (own_s(server)?, Ticks::now()?);
        Ok(Self { server, begun: Instant::now(), ticks, own_s })
    }

    /// After the command: what the host took and what other processes did, in shares of one
    /// processor; `None` when it took too short a time to tell.
    fn shares(&self) -> Result<Option<(f64, f64)>> {
        let took = self.begun.elapsed();
        if took < WATCHED_MIN {
            return Ok(None);
        }
        let (own_s, ticks) = (own_s(self.server)? - self.own_s, Ticks::now()?);
        let share = |seconds: f64| (seconds / took.as_secs_f64()).max(0.0);
        let stolen = share(ticks.stolen - self.ticks.stolen);
        Ok(Some((stolen, share(ticks.busy - self.ticks.busy - own_s))))
    }
}

/// Processor time of the server, and of all commands that have ended.
fn own_s(server: Option<u32>) -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let commands = seconds(usage.user_time()) + seconds(usage.system_time());
    Ok(commands + server.map_or(Ok(0.0), cpu_s)?)
}

/// Processor time that a process has taken with all its threads, seconds.
pub(super) fn cpu_s(pid: u32) -> Result<f64> {
    let clock = clock_getcpuclockid(Pid::from_raw(pid.cast_signed()))?;
    Ok(Duration::from(clock.now()?).as_secs_f64())
}

/// Waits until a process has taken less than 3 % of a processor for three seconds, at most half a
/// minute.
pub(super) fn until_idle(pid: u32) -> Result<()> {
    let mut idle = 0;
    for _ in 0..30 {
        let before = cpu_s(pid)?;
        thread::sleep(Duration::from_secs(1));
        idle = if cpu_s(pid)? - before < 0.03 { idle + 1 } else { 0 };
        if idle == 3 {
            return Ok(());
        }
    }
    println!("the server is not idle within half a minute");
    Ok(())
}

impl Ticks {
    fn now() -> Result<Self> {
        Self::read(&fs::read_to_string("/proc/stat")?)
    }

    /// The first line is that of all processors: user, nice, system, idle, iowait, irq, softirq,
    /// steal, of which user holds what guests took (proc(5)).
    fn read(text: &str) -> Result<Self> {
        let line = text.lines().next().context("an empty /proc/stat")?;
        let ticks: Vec<f64> =
            line.split_whitespace().skip(1).map(str::parse).collect::<Result<_, _>>()?;
        let [user, nice, system, _, _, irq, softirq, stolen, ..] = ticks[..] else {
            anyhow::bail!("/proc/stat begins with {line}")
        };
        let busy = (user + nice + system + irq + softirq) / TICKS_A_SECOND;
        Ok(Self { busy, stolen: stolen / TICKS_A_SECOND })
    }
}

/// The load of the last minute.
pub(super) fn load() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().context("an empty loadavg")?.parse()?)
}

/// How the system's connections are kept from sending too fast, be it to one of the same machine.
pub(super) fn congestion_control() -> Result<String> {
    Ok(fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control")?.trim().to_owned())
}

/// Sources may be there without their history.
fn commit(root: &Path) -> String {
    let git = |args: &[&str]| output(Command::new("git").current_dir(root).args(args));
    let Ok(commit) = git(&["rev-parse", "--short", "HEAD"]) else { return "unknown".to_owned() };
    match git(&["status", "--porcelain", "--untracked-files=no"]).as_deref() {
        Ok("") => commit,
        _ => format!("{commit} with changes"),
    }
}

fn model() -> Result<String> {
    let text = fs::read_to_string("/proc/cpuinfo")?;
    let line = text.lines().find(|line| line.starts_with("model name"));
    let model = line.and_then(|line| line.split(": ").nth(1)).unwrap_or("of an unknown model");
    Ok(model.to_owned())
}

/// A JVM tells its version on the other stream.
fn jvm() -> Result<String> {
    let output = Command::new("java").arg("-version").output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let of_runtime = text.lines().find(|line| line.contains("Runtime Environment"));
    Ok(of_runtime.context("java -version tells nothing")?.to_owned())
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    anyhow::ensure!(output.status.success(), "{command:?}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_not_busy() {
        let ticks = Ticks::read("cpu  100 20 30 9000 500 6 4 40 70 0\ncpu0 1 2\n").unwrap();
        assert!((ticks.busy - 1.6).abs() < 1e-9 && (ticks.stolen - 0.4).abs() < 1e-9);
        assert!(Ticks::read("cpu  100 20 30\n").is_err());
    }
}

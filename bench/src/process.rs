//! What the kernel says of a process: its processor time and its memory.

use std::{fs, io};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

/// Keeps this process on one processor.
pub(crate) fn stay_on(cpu: usize) -> nix::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

/// Processor seconds, user and system, that a process has used with all its threads.
pub(crate) fn cpu_seconds(pid: u32) -> io::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The command name, field 2, may hold spaces; it ends at the last parenthesis.
    let fields: Vec<&str> =
        stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
    let (user, system) = (ticks(11), ticks(12));
    user.zip(system)
        .map(|(user, system)| (user + system) / 100.0)
        .ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat has no times: {stat}")))
}

/// Resident memory and its peak, MiB.
pub(crate) fn resident_mib(pid: u32) -> io::Result<(f64, f64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<f64>().ok()
    };
    kib("VmRSS:")
        .zip(kib("VmHWM:"))
        .map(|(now, peak)| (now / 1024.0, peak / 1024.0))
        .ok_or_else(|| io::Error::other(format!("/proc/{pid}/status has no memory lines")))
}

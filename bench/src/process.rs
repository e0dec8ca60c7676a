//! What the kernel says of a process: its processor time and its memory.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

/// Keeps this process on one processor.
pub(crate) fn stay_on(cpu: usize) -> nix::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

/// Lets this process open as many files as it is ever allowed to.
pub(crate) fn allow_open_files() -> nix::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
}

/// Processor seconds, user and system, that a process has used with all its threads, those that
/// ended among them.
pub(crate) fn cpu_seconds(pid: u32) -> io::Result<f64> {
    let clock = clock_getcpuclockid(Pid::from_raw(pid.cast_signed()))?;
    Ok(Duration::from(clock.now()?).as_secs_f64())
}

/// [`cpu_seconds`] of this process.
pub(crate) fn own_cpu_seconds() -> io::Result<f64> {
    cpu_seconds(std::process::id())
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

/// Descriptors that a process holds.
pub(crate) fn open_files(pid: u32) -> io::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// Memory maps that a process holds.
pub(crate) fn maps(pid: u32) -> io::Result<usize> {
    Ok(fs::read_to_string(format!("/proc/{pid}/maps"))?.lines().count())
}

/// Flushes that the disk which holds `path` has completed since the system's start, whoever asked
/// for them; `None` where the kernel does not count them for this kind of disk.
pub(crate) fn disk_flushes(path: &Path) -> io::Result<Option<u64>> {
    let device = fs::metadata(path)?.dev();
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    let table = fs::read_to_string("/proc/diskstats")?;
    let of_device = |line: &&str| {
        let mut words = line.split_whitespace();
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
        (number(), number()) == (Some(major), Some(minor))
    };
    // Behind major, minor and name, the 16th figure (the kernel's iostats.rst).
    let flushes = table.lines().find(of_device).and_then(|line| line.split_whitespace().nth(18));
    Ok(flushes.and_then(|count| count.parse().ok()))
}

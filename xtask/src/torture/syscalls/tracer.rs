//! strace, which makes calls fail.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::table::{Call, Fault};
use crate::torture::site::{Broker, Site};

/// How long strace may need to hold all threads, or to let them go.
const ATTACH_LIMIT: Duration = Duration::from_secs(20);

/// strace, attached to a running broker.
pub(crate) struct Tracer {
    child: Child,
    log: PathBuf,
}

impl Tracer {
    pub(crate) fn attach(site: &Site, broker: &Broker, words: Vec<String>) -> Result<Tracer> {
        let log = log_of(site);
        let said = site.folder.join("strace-said.log");
        let mut command = Command::new("strace");
        command.args(words).arg("-o").arg(&log).arg("-p").arg(broker.id().to_string());
        command.stdin(Stdio::null()).stderr(fs::File::create(&said)?);
        let child = command.spawn().context("start strace")?;
        let start = Instant::now();
        while !fs::read_to_string(&said)?.contains("attached") {
            let text = fs::read_to_string(&said)?;
            ensure!(start.elapsed() < ATTACH_LIMIT, "strace does not attach: {text}");
            thread::sleep(Duration::from_millis(2));
        }
        Ok(Tracer { child, log })
    }

    pub(crate) fn detach(&mut self) -> Result<()> {
        let id = self.child.id().to_string();
        // It has ended already if the broker has.
        let _ = Command::new("kill").args(["-INT", &id]).stderr(Stdio::null()).status();
        let start = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(start.elapsed() < ATTACH_LIMIT, "strace does not let go");
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    pub(crate) fn injected(&self) -> Result<usize> {
        count_injected(&self.log)
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // After `detach` it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is missing here for strace to make calls fail.
pub(crate) fn missing() -> Option<&'static str> {
    let succeeds = |args: &[&str]| {
        let output = Command::new("strace").args(args).output();
        output.is_ok_and(|output| output.status.success())
    };
    let inject = ["-f", "-o", "/dev/null", "-e", "inject=fsync:retval=0", "true"];
    if !succeeds(&["-V"]) {
        Some("needs strace")
    } else if !succeeds(&inject) {
        Some("needs the right to trace")
    } else {
        None
    }
}

/// Where strace writes.
pub(crate) fn log_of(site: &Site) -> PathBuf {
    site.folder.join("strace.log")
}

/// strace's own words for the fault; `nth` is the first call of a thread that fails.
pub(crate) fn injection(call: &Call, fault: Fault, nth: u32, site: &Site) -> Result<Vec<String>> {
    let (what, when) = match fault {
        Fault::Once(error) => (format!("error={error}"), nth.to_string()),
        Fault::Always(error) | Fault::OneDir(error) => (format!("error={error}"), "1+".to_owned()),
        Fault::Short => ("retval=0".to_owned(), nth.to_string()),
    };
    let dirs = match fault {
        Fault::OneDir(_) => &site.data[1..],
        _ if call.any_file => &[],
        _ => &site.data[..],
    };
    words(call, &format!("{what}:when={when}"), dirs, site)
}

/// A broker under strace from its first instruction on, killed at the n-th such call of a thread.
pub(crate) fn killed_at(call: &Call, nth: u32, site: &Site) -> Result<Command> {
    let dirs = if call.any_file { &[] } else { &site.data[..] };
    let mut command = Command::new("strace");
    // The broker is our child, strace is beside it. (With --seccomp-bpf it would not inject.)
    command.arg("-D");
    command.args(words(call, &format!("signal=KILL:when={nth}"), dirs, site)?);
    command.arg("-o").arg(log_of(site)).arg("--");
    let broker = site.command();
    command.arg(broker.get_program()).args(broker.get_args());
    Ok(command)
}

fn words(call: &Call, what: &str, dirs: &[PathBuf], site: &Site) -> Result<Vec<String>> {
    let trace = format!("trace={}", call.name);
    let inject = format!("inject={}:{what}", call.name);
    let mut words = vec!["-f".to_owned(), "-e".to_owned(), trace, "-e".to_owned(), inject];
    // Files that come later cannot be named in advance; directories are opened to be synced.
    let files = site.files()?.into_iter();
    let files = files.filter(|file| dirs.iter().any(|dir| file.starts_with(dir)));
    // Checkpoints are written aside first.
    let files = files.flat_map(|file| [file.with_added_extension("tmp"), file]);
    for path in files.chain(dirs.iter().flat_map(|dir| sub_folders(dir))) {
        words.extend(["-P".to_owned(), path.display().to_string()]);
    }
    Ok(words)
}

fn sub_folders(data: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data).into_iter().flatten().flatten();
    let folders = entries.map(|entry| entry.path()).filter(|path| path.is_dir());
    std::iter::once(data.to_owned()).chain(folders).collect()
}

/// Ends what a tracer has started, so that the directory is free.
pub(crate) fn kill_children(tracer: u32) {
    let path = format!("/proc/{tracer}/task/{tracer}/children");
    for id in fs::read_to_string(path).unwrap_or_default().split_whitespace() {
        // It may have ended by itself.
        let _ = Command::new("kill").args(["-KILL", id]).stderr(Stdio::null()).status();
    }
}

/// How many calls failed.
pub(crate) fn count_injected(log: &Path) -> Result<usize> {
    let text = fs::read(log)?;
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().filter(|line| line.contains("INJECTED")).count())
}

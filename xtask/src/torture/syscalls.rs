//! Every storage system call fails in turn, under load and at the start; strace makes it fail.
//!
//! Whatever fails, the broker either goes on for all that does not need the failed directory, or
//! it ends by itself with a code that is not 0. After a restart without faults every acknowledged
//! record is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ottla_check::event::{Crash, Event, What};

use super::load::{Load, Mix, ask};
use super::random::Random;
use super::round::{judge, prepare, read_everything, save};
use super::shared::Shared;
use super::site::{Broker, Site};
use super::wire::Connection;
use super::{Common, kill};
use crate::gate::Outcome;

/// How long calls fail under load.
const FAULTY: Duration = Duration::from_millis(1_200);
/// How long strace may need to hold all threads.
const ATTACH_LIMIT: Duration = Duration::from_secs(10);
/// A broker that still runs after its directories failed is given this long to end.
const END_LIMIT: Duration = Duration::from_secs(8);

const SETTINGS: &str = "log.flush.offset.checkpoint.interval.ms=200
replica.high.watermark.checkpoint.interval.ms=200
log.retention.check.interval.ms=200
log.initial.task.delay.ms=50
log.cleaner.backoff.ms=100
log.segment.delete.delay.ms=100
";

const MIX: Mix = Mix {
    idempotent: 1,
    plain: 1,
    consumers: 1,
    committers: 1,
    administrators: 1,
    synced_offsets: true,
    sessions_end: false,
};

/// A call, and whether it may be failed for any file. The others are used for sockets and threads
/// as well: they fail only for files of the data directories.
struct Call {
    name: &'static str,
    any_file: bool,
}

const fn call(name: &'static str) -> Call {
    Call { name, any_file: true }
}

const fn call_of_data(name: &'static str) -> Call {
    Call { name, any_file: false }
}

const CALLS: [Call; 16] = [
    call("pwrite64"),
    call("pwritev"),
    call("fdatasync"),
    call("fsync"),
    call("rename"),
    call("ftruncate"),
    call("fallocate"),
    call("unlink"),
    call("mkdir"),
    call("getdents64"),
    call("pread64"),
    call("sendfile"),
    call_of_data("openat"),
    call_of_data("write"),
    call_of_data("mmap"),
    call_of_data("close"),
];

/// What a call does instead of its work.
#[derive(Clone, Copy)]
enum Fault {
    /// It fails with this error.
    Error(&'static str),
    /// The process is killed at the call.
    Kill,
}

/// When it does so, in strace's words.
const ONCE: &str = "when=2";
const FROM_NOW_ON: &str = "when=1+";

/// A row of the table.
struct Row {
    name: String,
    injected: usize,
    ended: String,
    acked_meanwhile: u64,
    problems: Vec<String>,
}

/// Runs all cases, or those of one call.
pub(crate) fn run(common: &Common, only: Option<&str>) -> Result<Outcome> {
    let strace = Command::new("strace").arg("-V").output();
    if !strace.is_ok_and(|output| output.status.success()) {
        println!("syscalls: CANNOT RUN: needs strace");
        let not_run = vec!["torture syscalls: needs strace".to_owned()];
        return Ok(Outcome { passed: 0, failed: 1, not_run });
    }
    let mut random = Random::new(common.seed);
    let mut outcome = Outcome::default();
    println!("{:<34} {:>8} {:>9} {:<22} verdict", "fault", "injected", "acked", "broker");
    for call in CALLS.iter().filter(|call| only.is_none_or(|only| only == call.name)) {
        for (fault, when) in [
            (Fault::Error("EIO"), ONCE),
            (Fault::Error("EIO"), FROM_NOW_ON),
            (Fault::Error("ENOSPC"), FROM_NOW_ON),
            (Fault::Error("EINTR"), ONCE),
            (Fault::Kill, ONCE),
        ] {
            let row = under_load(common, call, fault, when, &mut random)
                .unwrap_or_else(|error| failed(call, fault, when, &error));
            outcome.add(show(&row));
        }
        for n in [1, 3, 8] {
            let row = at_start(common, call, n, &mut random)
                .unwrap_or_else(|error| failed(call, Fault::Error("EIO"), "at start", &error));
            outcome.add(show(&row));
        }
    }
    Ok(outcome)
}

fn name_of(call: &Call, fault: Fault, when: &str) -> String {
    match fault {
        Fault::Error(error) => format!("{} {error} {when}", call.name),
        Fault::Kill => format!("{} SIGKILL {when}", call.name),
    }
}

fn failed(call: &Call, fault: Fault, when: &str, error: &anyhow::Error) -> Row {
    let (name, ended) = (name_of(call, fault, when), "?".to_owned());
    let problems = vec![format!("{error:#}")];
    Row { name, injected: 0, ended, acked_meanwhile: 0, problems }
}

fn show(row: &Row) -> Outcome {
    let verdict = match (row.problems.is_empty(), row.injected) {
        (true, 0) => "ok (never called)",
        (true, _) => "ok",
        (false, _) => "BAD",
    };
    let Row { name, injected, acked_meanwhile, ended, .. } = row;
    println!("{name:<34} {injected:>8} {acked_meanwhile:>9} {ended:<22} {verdict}");
    kill::report(name, &row.problems)
}

/// strace's own words for the fault, and where it may strike.
fn injection(call: &Call, fault: Fault, when: &str, site: &Site) -> Result<Vec<String>> {
    let what = match fault {
        Fault::Error(error) => format!("error={error}"),
        Fault::Kill => "signal=KILL".to_owned(),
    };
    let trace = format!("trace={}", call.name);
    let inject = format!("inject={}:{what}:{when}", call.name);
    let mut words = vec!["-f".to_owned(), "-e".to_owned(), trace, "-e".to_owned(), inject];
    if !call.any_file {
        // Files that come later cannot be named in advance; directories are opened to be synced.
        let folders = site.data.iter().flat_map(|data| sub_folders(data));
        let paths = site.files()?.into_iter().chain(folders);
        for path in paths {
            words.extend(["-P".to_owned(), path.display().to_string()]);
        }
    }
    Ok(words)
}

fn sub_folders(data: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data).into_iter().flatten().flatten();
    let folders = entries.map(|entry| entry.path()).filter(|path| path.is_dir());
    std::iter::once(data.to_owned()).chain(folders).collect()
}

fn fresh(common: &Common) -> Result<Site> {
    let folder = common.target.join("syscalls");
    let data = vec![folder.join("data-1"), folder.join("data-2")];
    Site::fresh(&common.root, &folder, data, &common.broker, SETTINGS)
}

fn under_load(
    common: &Common,
    call: &Call,
    fault: Fault,
    when: &str,
    random: &mut Random,
) -> Result<Row> {
    let site = fresh(common)?;
    let shared = Shared::new(site.address, random.below(1 << 40) << 16);
    let mut broker = site.start()?;
    let targets = prepare(&shared, &kill::PLANS)?;
    let load = Load::start(&shared, &targets, MIX, random);
    thread::sleep(Duration::from_millis(150));
    let began_ns = shared.now_ns();
    let mut tracer = Tracer::attach(&site, &broker, injection(call, fault, when, &site)?)?;
    let before = shared.acked.load(Ordering::Relaxed);
    let start = Instant::now();
    while start.elapsed() < FAULTY && broker.ended()?.is_none() {
        thread::sleep(Duration::from_millis(5));
    }
    tracer.detach()?;
    let acked_meanwhile = shared.acked.load(Ordering::Relaxed) - before;
    let mut problems = Vec::new();
    let ended = after_fault(&mut broker, fault, &mut problems)?;
    broker.end()?;
    let ended_ns = shared.now_ns();
    shared.note(Event { began_ns, ended_ns, client: 0, what: What::Crash(Crash::Process) });
    broker = site.start().context("the start after the fault")?;
    shared.note_now(What::Restarted);
    thread::sleep(Duration::from_millis(100));
    load.finish();
    read_everything(&shared, &targets)?;
    broker.signal("TERM")?;
    broker.wait_for_stop()?;
    problems.extend(judge(&shared).problems);
    if !problems.is_empty() {
        save(&shared, &site)?;
        fs::copy(site.folder.join("broker-before.log"), common.target.join("faulty.log"))?;
    }
    let (name, injected) = (name_of(call, fault, when), tracer.injected()?);
    Ok(Row { name, injected, ended, acked_meanwhile, problems })
}

/// How the broker is after the fault. It has ended with a bad code, or it answers.
fn after_fault(broker: &mut Broker, fault: Fault, problems: &mut Vec<String>) -> Result<String> {
    let start = Instant::now();
    loop {
        if let Some(status) = broker.ended()? {
            if status.code() == Some(0) {
                problems.push("it ended with 0".to_owned());
            }
            let signalled = status.code().is_none();
            if signalled && !matches!(fault, Fault::Kill) {
                problems.push(format!("it died: {status}"));
            }
            return Ok(status.to_string());
        }
        if let Ok(mut connection) = Connection::open(broker.address())
            && ask::topics(&mut connection).is_ok()
        {
            let log = broker.log();
            let offline = log.lines().filter(|line| line.contains("offline")).count();
            return Ok(if offline > 0 { "serves, dir offline" } else { "serves" }.to_owned());
        }
        if start.elapsed() > END_LIMIT {
            problems.push("it neither answers nor ends".to_owned());
            return Ok("hangs".to_owned());
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The n-th such call of each thread fails while the broker starts in a directory that was killed.
fn at_start(common: &Common, call: &Call, n: u32, random: &mut Random) -> Result<Row> {
    let site = fresh(common)?;
    let shared = Shared::new(site.address, random.below(1 << 40) << 16);
    let broker = site.start()?;
    let targets = prepare(&shared, &kill::PLANS)?;
    let load = Load::start(&shared, &targets, MIX, random);
    thread::sleep(Duration::from_millis(200));
    broker.kill()?;
    shared.note_now(What::Crash(Crash::Process));
    let when = format!("when={n}");
    let fault = Fault::Error("EIO");
    let log = site.folder.join("strace.log");
    let mut command = Command::new("strace");
    command.args(injection(call, fault, &when, &site)?).arg("-o").arg(&log).arg("--");
    command.arg(&common.broker).arg(site.folder.join("server.properties"));
    let began_ns = shared.now_ns();
    let mut broker = site.spawn_as(command)?;
    let mut problems = Vec::new();
    let ended = match broker.wait_until_ready() {
        Ok(()) => "serves".to_owned(),
        Err(_) => match broker.ended()? {
            Some(status) if status.code().is_some_and(|code| code != 0) => status.to_string(),
            // Rust's own library panics when a listing of a folder cannot be closed, and a panic
            // ends the broker.
            Some(status) if call.name == "close" => status.to_string(),
            status => {
                problems.push(format!("the start ended with {status:?}"));
                "?".to_owned()
            }
        },
    };
    // A tracer that is killed lets its process run on.
    kill_children(broker.id());
    broker.end()?;
    let start = Instant::now();
    while Connection::open(site.address).is_ok() {
        ensure!(start.elapsed() < END_LIMIT, "the traced broker does not end");
        thread::sleep(Duration::from_millis(2));
    }
    let ended_ns = shared.now_ns();
    shared.note(Event { began_ns, ended_ns, client: 0, what: What::Crash(Crash::Process) });
    let broker = site.start().context("the start after the faulty one")?;
    shared.note_now(What::Restarted);
    load.finish();
    read_everything(&shared, &targets)?;
    broker.signal("TERM")?;
    broker.wait_for_stop()?;
    problems.extend(judge(&shared).problems);
    if !problems.is_empty() {
        save(&shared, &site)?;
        fs::copy(site.folder.join("broker-before.log"), common.target.join("faulty.log"))?;
    }
    let name = name_of(call, fault, &format!("{when} at start"));
    let injected = count_injected(&log)?;
    Ok(Row { name, injected, ended, acked_meanwhile: 0, problems })
}

/// Ends what a tracer has started, so that the directory is free.
fn kill_children(tracer: u32) {
    let path = format!("/proc/{tracer}/task/{tracer}/children");
    for id in fs::read_to_string(path).unwrap_or_default().split_whitespace() {
        // It may have ended by itself.
        let _ = Command::new("kill").args(["-KILL", id]).stderr(Stdio::null()).status();
    }
}

fn count_injected(log: &Path) -> Result<usize> {
    let text = fs::read(log)?;
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().filter(|line| line.contains("INJECTED") || line.contains("SIGKILL")).count())
}

/// strace, attached to a running broker.
struct Tracer {
    child: Child,
    log: PathBuf,
}

impl Tracer {
    fn attach(site: &Site, broker: &Broker, words: Vec<String>) -> Result<Tracer> {
        let log = site.folder.join("strace.log");
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

    fn detach(&mut self) -> Result<()> {
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

    fn injected(&self) -> Result<usize> {
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

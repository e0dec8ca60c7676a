//! Every storage system call fails in turn, under load and at the start; strace makes it fail.
//!
//! Reading order: [`table`] (which calls, which faults, what is promised), [`tracer`] (strace),
//! the cases here, and [`sweep`] (a kill at the n-th call). Whatever fails, the broker goes on for
//! all that does not need the failed directory, or it ends by itself with a code that is not 0.
//! After a restart without faults every acknowledged record is there.

mod sweep;
mod table;
pub(crate) mod tracer;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ottla_check::event::{Crash, Event, Outcome as Answer, What};

use super::load::{Load, Mix, ask};
use super::random::Random;
use super::round::{conclude, prepare, read_everything};
use super::shared::{Shared, Target};
use super::site::{Broker, Site};
use super::wire::Connection;
use super::{Common, kill, raw};
use crate::gate::Outcome;
use table::{CALLS, Call, End, Fault, broken_promise};
use tracer::{Tracer, count_injected, injection, kill_children, log_of};

/// Where a case has its directories and logs, in the lanes' folder.
const FOLDER: &str = "syscalls";
/// Where the history and logs of failed cases are kept, beside it.
const KEPT: &str = "syscalls-failed";
/// The name of the case that limits sizes.
const LIMIT: &str = "limit";
/// How long calls fail under load.
const FAULTY: Duration = Duration::from_millis(1_200);
/// With one failed directory, acknowledgments are counted from here on.
const SETTLED: Duration = Duration::from_millis(500);
/// A broker that still runs after its directories failed is given this long to end.
const END_LIMIT: Duration = Duration::from_secs(10);
/// Without the fault a broker that serves has to acknowledge something within this time.
const HEAL_LIMIT: Duration = Duration::from_secs(10);
/// What the kernel makes of a call that strace has begun to replace when it lets go.
const NOT_IMPLEMENTED: &str = "Function not implemented";
/// A case that was spoiled by this is run again so many times.
const TRIES_MORE: u32 = 3;
/// Largest file while sizes are limited, bytes: a write across it is short, the next one fails.
const FILE_BYTES_MAX: u64 = 300_001;

const SETTINGS: &str = "log.flush.offset.checkpoint.interval.ms=200
replica.high.watermark.checkpoint.interval.ms=200
log.retention.check.interval.ms=200
log.initial.task.delay.ms=50
log.cleaner.backoff.ms=100
log.segment.delete.delay.ms=100
log.index.size.max.bytes=65536
";

const MIX: Mix = Mix {
    idempotent: 1,
    plain: 2,
    consumers: 1,
    committers: 1,
    administrators: 1,
    synced_offsets: true,
    sessions_end: false,
};

/// A row of the printed table.
#[derive(Default)]
struct Row {
    /// strace let go amid a call, which then failed in a way that was not asked for.
    spoiled: bool,
    name: String,
    injected: usize,
    ended: String,
    acked: u64,
    problems: Vec<String>,
}

/// Takes the name of a call, or of the case that limits sizes.
pub(crate) fn known(name: &str) -> Result<String, String> {
    let calls = CALLS.iter().map(|call| call.name);
    super::one_of(calls.chain([LIMIT]).map(str::to_owned), name)
}

/// Runs all cases, or those of one call.
pub(crate) fn run(common: &Common, only: Option<&str>) -> Result<Outcome> {
    if let Some(missing) = tracer::missing() {
        println!("syscalls: CANNOT RUN: {missing}");
        let not_run = vec![format!("torture syscalls: {missing}")];
        return Ok(Outcome { not_run, ..Outcome::default() });
    }
    let kept = common.target.join(KEPT);
    if kept.exists() {
        fs::remove_dir_all(kept)?;
    }
    let mut random = Random::new(common.seed);
    let mut report = Report::default();
    println!("{:<34} {:>8} {:>8} {:<18} verdict", "fault", "injected", "acked", "broker");
    for call in CALLS.iter().filter(|call| only.is_none_or(|only| only == call.name)) {
        report.begin();
        for fault in call.faults.iter().copied().flatten() {
            let name = name_of(call, *fault);
            let mut row = under_load(common, call, *fault, &mut random);
            for _ in 0..TRIES_MORE {
                if !row.as_ref().is_ok_and(|row| row.spoiled) {
                    break;
                }
                row = under_load(common, call, *fault, &mut random);
            }
            report.add(common, &name, row);
        }
        for nth in [1, 2, 4] {
            let name = format!("{} EIO, number {nth} of a start", call.name);
            report.add(common, &name, at_start(common, call, nth, &mut random));
        }
        let name = format!("{} SIGKILL", call.name);
        report.add(common, &name, sweep::run(common, call, &mut random));
        report.end(call);
    }
    if only.is_none_or(|only| only == LIMIT) {
        report.add(common, LIMIT, limited(common, &mut random));
    }
    println!("syscalls: {} cells, {} of them never called", report.cells, report.unused);
    Ok(report.outcome)
}

#[derive(Default)]
struct Report {
    outcome: Outcome,
    cells: u32,
    unused: u32,
    /// Whether a fault met a call since [`Report::begin`].
    has_met: bool,
}

impl Report {
    fn begin(&mut self) {
        self.has_met = false;
    }

    /// A call that no case has met is not one of the storage.
    fn end(&mut self, call: &Call) {
        if !self.has_met {
            println!("{}: never called in any case, which proves nothing of it", call.name);
            self.outcome.add(Outcome::of(false));
        }
    }

    /// Counts a case in. One that the fault never met is neither passed nor failed, unless
    /// something else was wrong.
    fn add(&mut self, common: &Common, name: &str, row: Result<Row>) {
        let row = row.unwrap_or_else(|error| {
            let problems = vec![format!("{error:#}")];
            Row { name: name.to_owned(), ended: "?".to_owned(), problems, ..Row::default() }
        });
        let is_unused = row.injected == 0 && row.problems.is_empty();
        let verdict = match row.problems.is_empty() {
            true if is_unused => "never called",
            true => "ok",
            false => "BAD",
        };
        self.cells += 1;
        self.unused += u32::from(is_unused);
        self.has_met |= row.injected > 0;
        let Row { name, injected, acked, ended, .. } = &row;
        println!("{name:<34} {injected:>8} {acked:>8} {ended:<18} {verdict}");
        if is_unused {
            return;
        }
        self.outcome.add(kill::report(name, &row.problems));
        if !row.problems.is_empty() {
            match keep(common, name) {
                Ok(kept) => println!("{name}: history and logs are in {}", kept.display()),
                Err(error) => println!("{name}: history and logs cannot be kept: {error:#}"),
            }
        }
    }
}

/// Keeps a case's history and logs, which the next case would remove.
fn keep(common: &Common, name: &str) -> Result<PathBuf> {
    let kept = common.target.join(KEPT).join(name.replace([' ', ','], "-"));
    kill::copy(&common.target.join(FOLDER), &kept)?;
    Ok(kept)
}

fn name_of(call: &Call, fault: Fault) -> String {
    match fault {
        Fault::Once(error) => format!("{} {error} once", call.name),
        Fault::Always(error) => format!("{} {error}", call.name),
        Fault::OneDir(error) => format!("{} {error} in one dir", call.name),
        Fault::Short => format!("{} moves nothing once", call.name),
    }
}

fn fresh(common: &Common) -> Result<Site> {
    let folder = common.target.join(FOLDER);
    let data = vec![folder.join("data-1"), folder.join("data-2")];
    Site::fresh(&common.root, &folder, data, &common.broker, SETTINGS)
}

/// A case: what it does in a fresh directory, and what is judged of that in the end.
fn case(
    common: &Common,
    random: &mut Random,
    name: String,
    run: impl FnOnce(&Arc<Shared>, &Site, &mut Random, &mut Row) -> Result<()>,
) -> Result<Row> {
    let site = fresh(common)?;
    let shared = Shared::new(site.address, random.below(1 << 40) << 16);
    let mut row = Row { name, ended: "?".to_owned(), ..Row::default() };
    row.problems = conclude(&shared, &site, || run(&shared, &site, random, &mut row)).problems;
    Ok(row)
}

/// A broker under load, a moment after its start.
fn loaded(shared: &Arc<Shared>, site: &Site, random: &mut Random) -> Result<Under> {
    let broker = site.start()?;
    let targets = prepare(shared, &kill::PLANS)?;
    let load = Load::start(shared, &targets, MIX, random);
    thread::sleep(Duration::from_millis(150));
    let began_ns = shared.now_ns();
    Ok(Under { broker, load, targets, began_ns })
}

fn under_load(common: &Common, call: &Call, fault: Fault, random: &mut Random) -> Result<Row> {
    case(common, random, name_of(call, fault), |shared, site, random, row| {
        fail_under_load(shared, site, random, row, (call, fault))
    })
}

fn fail_under_load(
    shared: &Arc<Shared>,
    site: &Site,
    random: &mut Random,
    row: &mut Row,
    (call, fault): (&Call, Fault),
) -> Result<()> {
    let mut under = loaded(shared, site, random)?;
    let mut tracer = Tracer::attach(site, &under.broker, injection(call, fault, 2, site)?)?;
    let before = shared.acked.load(Ordering::Relaxed);
    let settled_ns = shared.now_ns() + u64::try_from(SETTLED.as_nanos())?;
    wait_for_end(&mut under.broker)?;
    let faulty_ns = shared.now_ns();
    row.acked = shared.acked.load(Ordering::Relaxed) - before;
    tracer.detach()?;
    row.injected = tracer.injected()?;
    row.spoiled = under.broker.log().contains(NOT_IMPLEMENTED);
    let mut end = after_fault(&mut under.broker)?;
    // The last fault may have come just now.
    let start = Instant::now();
    while broken_promise(call, fault, row.injected, end).is_some() && start.elapsed() < SETTLED {
        thread::sleep(Duration::from_millis(10));
        end = after_fault(&mut under.broker)?;
    }
    row.ended = end.to_string();
    if let Some(problem) = broken_promise(call, fault, row.injected, end) {
        shared.complain(problem);
    }
    if matches!(fault, Fault::OneDir(_)) {
        let good = acked_in(shared, site, &under.targets, settled_ns..faulty_ns);
        if good == 0 {
            shared.complain("the other directory acknowledged nothing".to_owned());
        }
    }
    if matches!(end, End::Serves { .. })
        && let Some(problem) = heals(shared)
    {
        shared.complain(problem);
    }
    row.spoiled |= under.broker.log().contains(NOT_IMPLEMENTED);
    finish(shared, site, under)
}

fn wait_for_end(broker: &mut Broker) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < FAULTY && broker.ended()?.is_none() {
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// A broker that had its fault, and the load that still runs.
struct Under {
    broker: Broker,
    load: Load,
    targets: Vec<Target>,
    /// When the fault began.
    began_ns: u64,
}

/// Kills what is left, starts without faults, and reads everything.
fn finish(shared: &Arc<Shared>, site: &Site, under: Under) -> Result<()> {
    let Under { broker, load, targets, began_ns } = under;
    broker.end()?;
    let ended_ns = shared.now_ns();
    shared.note(Event { began_ns, ended_ns, client: 0, what: What::Crash(Crash::Process) });
    let broker = site.start().context("the start after the fault")?;
    shared.note_now(What::Restarted);
    thread::sleep(Duration::from_millis(100));
    load.finish();
    read_everything(shared, &targets)?;
    broker.signal("TERM")?;
    broker.wait_for_stop()?;
    raw::read_all(shared, &site.data, &targets).context("the files")
}

/// How the broker is after the fault.
fn after_fault(broker: &mut Broker) -> Result<End> {
    let start = Instant::now();
    while start.elapsed() < END_LIMIT {
        if let Some(status) = broker.ended()? {
            return Ok(status.code().map_or(End::Dies, End::Exits));
        }
        if let Ok(mut connection) = Connection::open(broker.address())
            && ask::topics(&mut connection).is_ok()
        {
            let log = broker.log();
            let offline = log.lines().filter(|line| line.contains("goes offline")).count();
            return Ok(End::Serves { offline });
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(End::Hangs)
}

/// Acknowledged batches of partitions in the first directory, of which both the beginning and the
/// end fall into this time.
fn acked_in(
    shared: &Shared,
    site: &Site,
    targets: &[Target],
    during_ns: std::ops::Range<u64>,
) -> usize {
    let first = &site.data[..1];
    let places: Vec<_> = targets
        .iter()
        .flat_map(|target| target.places().map(move |place| (target, place)))
        .filter(|(target, place)| raw::folder_of(first, target, *place).is_some())
        .map(|(_, place)| place)
        .collect();
    shared.with_history(|history| {
        let is_good = |event: &&mut Event| match &event.what {
            What::Send(send) => {
                send.outcome == Answer::Acked
                    && places.contains(&send.place)
                    && during_ns.contains(&event.began_ns)
                    && during_ns.contains(&event.ended_ns)
            }
            _ => false,
        };
        history.iter_mut().filter(is_good).count()
    })
}

/// Something is acknowledged soon after the fault, without a restart.
fn heals(shared: &Shared) -> Option<String> {
    let before = shared.acked.load(Ordering::Relaxed);
    let start = Instant::now();
    while shared.acked.load(Ordering::Relaxed) == before {
        if start.elapsed() > HEAL_LIMIT {
            return Some("it serves, but acknowledges nothing any more".to_owned());
        }
        thread::sleep(Duration::from_millis(1));
    }
    None
}

/// The n-th such call of each thread fails while the broker starts in a directory that was killed.
fn at_start(common: &Common, call: &Call, nth: u32, random: &mut Random) -> Result<Row> {
    let error = if call.name == "mmap" { "ENOMEM" } else { "EIO" };
    let name = format!("{} {error}, number {nth} of a start", call.name);
    case(common, random, name, |shared, site, random, row| {
        fail_at_start(shared, site, random, row, (&call.at_start(), Fault::Once(error), nth))
    })
}

fn fail_at_start(
    shared: &Arc<Shared>,
    site: &Site,
    random: &mut Random,
    row: &mut Row,
    (call, fault, nth): (&Call, Fault, u32),
) -> Result<()> {
    let Under { broker, load, targets, .. } = loaded(shared, site, random)?;
    broker.kill()?;
    shared.note_now(What::Crash(Crash::Process));
    let mut command = Command::new("strace");
    command.args(injection(call, fault, nth, site)?);
    command.arg("-o").arg(log_of(site)).arg("--");
    let untraced = site.command();
    command.arg(untraced.get_program()).args(untraced.get_args());
    let began_ns = shared.now_ns();
    let mut broker = site.spawn_as(command)?;
    row.ended = match broker.wait_until_ready() {
        Ok(()) => {
            row.injected = count_injected(&log_of(site))?;
            let end = after_fault(&mut broker)?;
            if call.is_sync() && row.injected > 0 && end == (End::Serves { offline: 0 }) {
                shared.complain("a sync failed, and it serves as if it had not".to_owned());
            }
            end.to_string()
        }
        Err(_) => match broker.ended()? {
            Some(status) if status.code() == Some(1) => status.to_string(),
            // Rust's own library panics when a listing of a folder cannot be closed, and a panic
            // ends the broker.
            Some(status) if call.name == "close" => status.to_string(),
            status => {
                shared.complain(format!("the start ended with {status:?}"));
                "?".to_owned()
            }
        },
    };
    // A tracer that is killed lets its process run on.
    kill_children(broker.id());
    let start = Instant::now();
    while broker.ended()?.is_none() && start.elapsed() < END_LIMIT {
        thread::sleep(Duration::from_millis(2));
    }
    while Connection::open(site.address).is_ok() {
        ensure!(start.elapsed() < END_LIMIT, "the traced broker does not end");
        thread::sleep(Duration::from_millis(2));
    }
    row.injected = count_injected(&log_of(site))?;
    finish(shared, site, Under { broker, load, targets, began_ns })
}

/// Files may not grow beyond a limit: the write that crosses it is really short, the next one fails
/// with EFBIG.
fn limited(common: &Common, random: &mut Random) -> Result<Row> {
    let name = format!("files of {FILE_BYTES_MAX} bytes at most");
    case(common, random, name, limit)
}

fn limit(shared: &Arc<Shared>, site: &Site, random: &mut Random, row: &mut Row) -> Result<()> {
    let mut under = loaded(shared, site, random)?;
    let before = shared.acked.load(Ordering::Relaxed);
    let limit = format!("--fsize={FILE_BYTES_MAX}");
    let status =
        Command::new("prlimit").args(["--pid", &under.broker.id().to_string(), &limit]).status();
    ensure!(status.is_ok_and(|status| status.success()), "prlimit {limit}");
    row.injected = 1;
    let start = Instant::now();
    while start.elapsed() < END_LIMIT && under.broker.ended()?.is_none() {
        thread::sleep(Duration::from_millis(5));
    }
    let end = after_fault(&mut under.broker)?;
    row.ended = end.to_string();
    if !matches!(end, End::Exits(1) | End::Serves { offline: 1.. }) {
        shared.complain(format!("the broker: {end}"));
    }
    row.acked = shared.acked.load(Ordering::Relaxed) - before;
    finish(shared, site, under)
}

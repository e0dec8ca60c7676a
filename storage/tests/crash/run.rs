//! The command line: so many crash points from a seed on, or one episode again.

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use crate::episode::{self, Failure, Options, Tally};
use crate::planted;

/// Calls of the disk that are shown before a failure.
const TRACE_LINES: usize = 600;

/// What was asked for.
struct Args {
    points: u64,
    seed: u64,
    threads: usize,
    /// Run this episode, shrink it when it fails, and show how it goes.
    replay: Option<u64>,
    /// Run this episode once, for the exit code.
    one: Option<u64>,
    options: Options,
    /// Look for planted defects first.
    planted: bool,
    /// Go on after a failure.
    goes_on: bool,
}

/// Runs; the arguments are the process's.
pub(crate) fn main(default_points: u64) -> ExitCode {
    let args = parse(default_points);
    if let Some(seed) = args.one {
        return one(seed, &args.options);
    }
    if let Some(seed) = args.replay {
        return replay(seed);
    }
    let planted_found = !args.planted || planted::find_all(args.seed);
    let all_held = enumerate(&args);
    if planted_found && all_held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Arguments that it does not know are a test runner's, and mean nothing here.
fn parse(default_points: u64) -> Args {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut args = Args {
        points: default_points,
        seed: 1,
        threads,
        replay: None,
        one: None,
        options: Options::default(),
        planted: false,
        goes_on: false,
    };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let mut number = || given.next().and_then(|value| value.parse::<u64>().ok());
        match name.as_str() {
            "--points" => args.points = number().unwrap_or(args.points),
            "--seed" => args.seed = number().unwrap_or(args.seed),
            "--threads" => args.threads = number().map_or(threads, |threads| threads as usize),
            "--replay" => args.replay = number(),
            "--one" => args.one = number(),
            "--trace" => args.options.trace = true,
            "--planted" => args.planted = true,
            "--go-on" => args.goes_on = true,
            "--drop" => {
                let list = given.next().unwrap_or_default();
                args.options.dropped = list.split(',').filter_map(|n| n.parse().ok()).collect();
            }
            _ => {}
        }
    }
    args
}

/// Runs episodes until there were enough points or, unless it is to go on, one has failed. What is
/// counted are the episodes in the order of their seeds, up to the last one that is needed: threads
/// may run more, and the counts are the same each time.
fn enumerate(args: &Args) -> bool {
    let start = Instant::now();
    let next = AtomicU64::new(args.seed);
    let ran: Mutex<Ran> = Mutex::new(Ran { first_missing: args.seed, ..Ran::default() });
    let work = || {
        while !ran.lock().unwrap().is_enough(args) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            SEED.set(seed);
            let outcome = episode::run(seed, &args.options);
            ran.lock().unwrap().add(seed, outcome, args);
        }
    };
    say_seed_when_panicking();
    thread::scope(|scope| {
        (0..args.threads).for_each(|_| _ = scope.spawn(work));
    });
    let Ran { tally, episodes, failed, .. } = ran.into_inner().unwrap();
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "crash: {} points in {episodes} episodes from seed {}, {seconds:.1} s, {:.0} a second",
        tally.points,
        args.seed,
        tally.points as f64 / seconds
    );
    println!(
        "crash: {} power losses, {} crashes of a recovery, {} after an injected error, {} \
         recovered twice, {} used afterwards",
        tally.power, tally.nested, tally.faulty, tally.again, tally.used
    );
    for (seed, failure) in &failed {
        println!("seed {seed}: {}: {}", failure.place, failure.problem);
        println!("seed {seed}: again with `cargo xtask crash --replay {seed}`");
    }
    let count = failed.len();
    let word = if count == 0 { "ok" } else { "FAILED" };
    println!("test result: {word}. {} passed; {count} failed;", tally.points - count as u64);
    count == 0
}

/// Episodes that were run.
#[derive(Default)]
struct Ran {
    /// Those that wait for one of a smaller seed.
    waiting: BTreeMap<u64, (Tally, Option<Failure>)>,
    /// All below were counted.
    first_missing: u64,
    tally: Tally,
    episodes: u64,
    failed: Vec<(u64, Failure)>,
}

impl Ran {
    fn is_enough(&self, args: &Args) -> bool {
        args.points <= self.tally.points || !args.goes_on && !self.failed.is_empty()
    }

    fn add(&mut self, seed: u64, outcome: (Tally, Option<Failure>), args: &Args) {
        self.waiting.insert(seed, outcome);
        while !self.is_enough(args)
            && let Some((tally, failure)) = self.waiting.remove(&self.first_missing)
        {
            self.tally.add(tally);
            self.episodes += 1;
            if let Some(failure) = failure {
                self.failed.push((self.first_missing, failure));
            }
            self.first_missing += 1;
        }
    }
}

/// Shows what the storage has to say.
struct Shown;

impl log::Log for Shown {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        println!("{} {}", record.level(), record.args());
    }

    fn flush(&self) {}
}

thread_local! {
    /// The episode that the thread is in.
    static SEED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// A panic is a failure too, and may end the process at once.
fn say_seed_when_panicking() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        usual(info);
        let seed = SEED.get();
        println!("seed {seed}: panicked; again with `cargo xtask crash --replay {seed}`");
    }));
}

/// Runs one episode; the exit code tells whether it held.
fn one(seed: u64, options: &Options) -> ExitCode {
    say_seed_when_panicking();
    if options.trace && log::set_logger(&Shown).is_ok() {
        log::set_max_level(log::LevelFilter::Warn);
    }
    SEED.set(seed);
    let (tally, failure) = episode::run(seed, options);
    let Some(failure) = failure else {
        println!("seed {seed}: {} points, all held", tally.points);
        return ExitCode::SUCCESS;
    };
    let skipped = failure.trace.len().saturating_sub(TRACE_LINES);
    failure.trace[skipped..].iter().for_each(|line| println!("{line}"));
    println!("seed {seed}: {}: {}", failure.place, failure.problem);
    ExitCode::FAILURE
}

/// Runs an episode in a process of its own, since it may panic.
fn child(seed: u64, dropped: &[usize], trace: bool) -> Option<(bool, String)> {
    let list = dropped.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    let mut command = Command::new(std::env::current_exe().ok()?);
    command.args(["--one", &seed.to_string(), "--drop", &list]);
    if trace {
        command.arg("--trace");
    }
    let output = command.output().ok()?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text += &String::from_utf8_lossy(&output.stderr);
    Some((output.status.success(), text))
}

/// What the last line of an episode says is wrong, without its numbers.
fn kind_of(text: &str) -> String {
    let last = text.lines().last().unwrap_or_default();
    let problem = last.splitn(3, ": ").nth(2).unwrap_or(last);
    problem.chars().filter(|char| !char.is_ascii_digit()).collect()
}

/// Leaves out as many steps as it can while the episode still fails, then shows how it goes.
fn replay(seed: u64) -> ExitCode {
    let problem = match child(seed, &[], false) {
        Some((true, text)) => {
            print!("{text}");
            println!("test result: ok. 1 passed; 0 failed;");
            return ExitCode::SUCCESS;
        }
        Some((false, text)) => {
            println!("{}", text.lines().last().unwrap_or_default());
            kind_of(&text)
        }
        None => return ExitCode::FAILURE,
    };
    let fails_alike = |dropped: &[usize]| {
        child(seed, dropped, false).is_some_and(|(ok, text)| !ok && kind_of(&text) == problem)
    };
    let steps = crate::plan::Plan::new(seed).steps();
    let mut dropped: Vec<usize> = Vec::new();
    let mut size = steps.div_ceil(2).max(1);
    loop {
        for first in (0..steps).step_by(size) {
            let mut more = dropped.clone();
            more.extend((first..steps.min(first + size)).filter(|n| !dropped.contains(n)));
            if more.len() > dropped.len() && fails_alike(&more) {
                dropped = more;
            }
        }
        if size == 1 {
            break;
        }
        size = size.div_ceil(2);
    }
    println!("seed {seed}: {} of {steps} steps are needed:", steps - dropped.len());
    if let Some((_, text)) = child(seed, &dropped, true) {
        print!("{text}");
    }
    ExitCode::FAILURE
}

//! Retention and compaction: old segments go, and of each key the last record stays.
//!
//! Retention is a task of the scheduler's. Compaction has threads of its own, `log.cleaner.threads`
//! of them, which a supervisor starts and ends as the setting changes.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ottla_storage::cleaner::{CleanOutcome, CleanReport, Cleaner, CleanerSettings, Pace};
use ottla_storage::manager::RetentionReport;
use ottla_storage::retention::TrustedNow;

use crate::background;
use crate::node::Node;
use crate::stop::Stop;

/// How often the supervisor looks whether there are as many threads as there should be.
const SUPERVISION: Duration = Duration::from_secs(1);
/// The longest wait for the throttle at a time: whoever wants a cleaning to end waits as long.
const PACE_STEP: Duration = Duration::from_millis(100);
/// A backoff of 0 would keep a processor busy with nothing.
const BACKOFF_MS_MIN: i64 = 10;
/// No backoff is longer: a clock that is waited on must not overflow.
const BACKOFF_MS_MAX: i64 = 24 * 3600 * 1000;
/// A thread's map is no larger, bytes, as in Kafka.
const MAP_BYTES_MAX: u64 = i32::MAX as u64;

/// A retention pass over all logs that are not compacted, and over those too if nobody else cares
/// for them.
pub(crate) fn retain(node: &Node) {
    let now = node.logs.trusted_now(node.clock.moment());
    say_retained(node, node.logs.delete_old_segments(now), now);
    if !node.config.logs.log_cleaner_enable {
        say_retained(node, node.logs.delete_old_segments_of_compacted(now), now);
    }
}

fn say_retained(node: &Node, report: RetentionReport, now: TrustedNow) {
    if report.logs_spared > 0 {
        log::warn!(
            "retention: {} segments of {} logs would be too old if the wall clock were right, \
             which has jumped {} s ahead; they are kept",
            report.expired.spared.segments,
            report.logs_spared,
            now.doubted_ms / 1000
        );
    }
    for error in report.errors {
        node.failures.say(log::Level::Error, format_args!("retention: {error}"));
    }
}

/// The threads that compact.
pub(crate) struct Cleaning {
    stop: Stop,
    supervisor: JoinHandle<()>,
}

/// One thread.
struct Worker {
    stop: Stop,
    thread: JoinHandle<()>,
}

impl Cleaning {
    /// Starts the supervisor, and with it as many threads as there should be.
    ///
    /// # Errors
    /// When the system grants no thread.
    pub(crate) fn start(node: Arc<Node>) -> io::Result<Self> {
        let stop = Stop::new();
        let stopping = stop.clone();
        let supervisor = thread::Builder::new().name("cleaners".into()).spawn(move || {
            supervise(&node, &stopping);
        })?;
        Ok(Self { stop, supervisor })
    }

    /// Ends the threads; what they are at is given up.
    pub(crate) fn stop(self) {
        self.stop.request();
        // A panic there was reported when it happened.
        let _ = self.supervisor.join();
    }
}

fn supervise(node: &Arc<Node>, stop: &Stop) {
    let debt = Arc::new(Mutex::new(Debt::new(Instant::now())));
    let mut workers: Vec<Worker> = Vec::new();
    loop {
        let enabled = node.config.logs.log_cleaner_enable;
        let wanted = if enabled { node.dynamic().cleaner.log_cleaner_threads } else { 0 };
        let started = complete(&mut workers, wanted, |number| Worker::start(node, &debt, number));
        if let Err(error) = started {
            node.failures
                .say(log::Level::Error, format_args!("cannot start a cleaner thread: {error}"));
        }
        end(workers.split_off(wanted.min(workers.len())));
        if stop.wait_timeout(SUPERVISION) {
            return end(workers);
        }
    }
}

/// Starts the threads that are missing, also in the place of those that a panic has ended: the log
/// that brought it out is left alone from then on, the others are not. (`ottla` itself ends with a
/// panic; a program that has the broker in it may be built otherwise.)
fn complete(
    workers: &mut Vec<Worker>,
    wanted: usize,
    start: impl Fn(usize) -> io::Result<Worker>,
) -> io::Result<()> {
    for (number, worker) in workers.iter_mut().enumerate() {
        if worker.thread.is_finished() {
            *worker = start(number)?;
        }
    }
    while workers.len() < wanted {
        workers.push(start(workers.len())?);
    }
    Ok(())
}

fn end(workers: Vec<Worker>) {
    workers.iter().for_each(|worker| worker.stop.request());
    for worker in workers {
        let _ = worker.thread.join();
    }
}

impl Worker {
    fn start(node: &Arc<Node>, debt: &Arc<Mutex<Debt>>, number: usize) -> io::Result<Self> {
        let stop = Stop::new();
        let pace = Throttle { node: Arc::clone(node), stop: stop.clone(), debt: Arc::clone(debt) };
        let thread = thread::Builder::new().name(format!("cleaner-{number}"));
        let thread = thread.spawn(move || work(&pace, number))?;
        Ok(Self { stop, thread })
    }
}

/// What a thread does until it is stopped.
fn work(pace: &Throttle, number: usize) {
    background::step_back();
    let node = &*pace.node;
    let mut settings = settings_of(node);
    let mut cleaner = Cleaner::new(settings);
    let mut retained: Option<Instant> = None;
    loop {
        let present = settings_of(node);
        if present != settings {
            settings = present;
            cleaner = Cleaner::new(settings);
        }
        let backoff_ms = node.dynamic().cleaner.log_cleaner_backoff_ms;
        let backoff = backoff_ms.clamp(BACKOFF_MS_MIN, BACKOFF_MS_MAX).unsigned_abs();
        let backoff = Duration::from_millis(backoff);
        let now = node.logs.trusted_now(node.clock.moment());
        let begun = Instant::now();
        let report = cleaner.clean_once(&node.logs, now.now_ms, pace);
        let gets_on = report.is_some_and(|report| say_cleaned(node, &report, begun.elapsed()));
        // One thread does it for all; between cleanings, and not after each of many.
        if number == 0 && retained.is_none_or(|at| at.elapsed() >= backoff) {
            say_retained(node, node.logs.delete_old_segments_of_compacted(now), now);
            retained = Some(Instant::now());
        }
        let wait = if gets_on { Duration::ZERO } else { backoff };
        if pace.stop.wait_timeout(wait) {
            return;
        }
    }
}

/// Says what a cleaning has done, and whether there may be more.
fn say_cleaned(node: &Node, report: &CleanReport, took: Duration) -> bool {
    let (name, tally) = (&report.topic_partition, report.tally);
    match &report.outcome {
        CleanOutcome::Cleaned { end_offset } => {
            log::debug!(
                "compacted {name} from {} to {end_offset} in {} ms: {} keys, {} of {} records and \
                 {} of {} bytes are left, {} segments of {}",
                tally.first_dirty_offset,
                took.as_millis(),
                tally.keys,
                tally.records_kept,
                tally.records_read,
                tally.bytes_written,
                tally.bytes_read,
                tally.segments_written,
                tally.segments_read
            );
            if tally.records_without_key > 0 {
                log::warn!("{name}: {} records without a key are gone", tally.records_without_key);
            }
            true
        }
        CleanOutcome::GivenUp => false,
        CleanOutcome::Failed(error) => {
            node.failures.say(log::Level::Error, format_args!("compacting {name}: {error}"));
            false
        }
    }
}

/// A thread's share of what all may use.
fn settings_of(node: &Node) -> CleanerSettings {
    let dynamic = node.dynamic();
    let cleaner = &dynamic.cleaner;
    let threads = cleaner.log_cleaner_threads.max(1);
    let map_bytes = (cleaner.log_cleaner_dedupe_buffer_size / threads as u64).min(MAP_BYTES_MAX);
    CleanerSettings {
        map_bytes: usize::try_from(map_bytes).unwrap_or(usize::MAX),
        map_load_factor: cleaner.log_cleaner_io_buffer_load_factor,
        // One for what is read, one for what is written.
        buffer_bytes: cleaner.log_cleaner_io_buffer_size / threads / 2,
    }
}

/// `log.cleaner.io.max.bytes.per.second`, of all threads together.
struct Throttle {
    node: Arc<Node>,
    stop: Stop,
    debt: Arc<Mutex<Debt>>,
}

impl Pace for Throttle {
    fn give_way(&self) {
        background::give_way();
    }

    fn spend(&self, bytes: u64, is_unwanted: &dyn Fn() -> bool) -> bool {
        let mut new_bytes = bytes;
        loop {
            // The setting may change while somebody waits.
            let rate = self.node.dynamic().cleaner.log_cleaner_io_max_bytes_per_second;
            let wait = {
                let mut debt = self.debt.lock().unwrap_or_else(PoisonError::into_inner);
                debt.add(new_bytes, Instant::now(), rate)
            };
            new_bytes = 0;
            background::give_way();
            if wait.is_zero() || is_unwanted() {
                return !self.stop.is_requested();
            }
            if self.stop.wait_timeout(wait.min(PACE_STEP)) {
                return false;
            }
        }
    }
}

/// Bytes that were read and written faster than they should have been.
#[derive(Debug)]
struct Debt {
    bytes: f64,
    at: Instant,
}

impl Debt {
    fn new(now: Instant) -> Self {
        Self { bytes: 0.0, at: now }
    }

    /// Adds bytes to what time has left of the debt, and says in what time that is paid.
    fn add(&mut self, bytes: u64, now: Instant, bytes_per_second: f64) -> Duration {
        let rate = bytes_per_second.max(1.0);
        let paid = now.saturating_duration_since(self.at).as_secs_f64() * rate;
        self.bytes = (self.bytes - paid).max(0.0) + bytes as f64;
        self.at = now;
        Duration::try_from_secs_f64(self.bytes / rate).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_has_ended_is_started_again() {
        let start = |_: usize| {
            let stop = Stop::new();
            let stopping = stop.clone();
            let thread = thread::spawn(move || stopping.wait());
            Ok(Worker { stop, thread })
        };
        let mut workers = Vec::new();
        complete(&mut workers, 3, start).unwrap();
        workers[1].stop.request();
        while !workers[1].thread.is_finished() {
            thread::yield_now();
        }
        complete(&mut workers, 3, start).unwrap();
        assert_eq!(workers.iter().filter(|worker| !worker.thread.is_finished()).count(), 3);
        end(workers);
    }

    #[test]
    fn a_debt_is_paid_by_time() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut debt = Debt::new(begun);
        assert_eq!(debt.add(1000, at(0), 1000.0), Duration::from_secs(1));
        assert_eq!(debt.add(500, at(500), 1000.0), Duration::from_secs(1));
        assert_eq!(debt.add(0, at(1500), 1000.0), Duration::ZERO);
        assert_eq!(debt.add(1000, at(60_000), 1000.0), Duration::from_secs(1), "none is saved up");
        // Another rate holds at once.
        assert_eq!(debt.add(0, at(60_000), 10_000.0), Duration::from_millis(100));
        assert_eq!(debt.add(1 << 40, at(60_000), f64::MAX), Duration::ZERO);
        assert!(debt.add(1 << 40, at(60_000), 0.0) > Duration::from_secs(1 << 39));
    }
}

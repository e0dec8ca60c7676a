//! Work that comes round: flushes, checkpoints, expiry, removal of what was deleted.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use ottla_storage::log_dir::LogDir;

use crate::background;
use crate::cleaning;
use crate::node::Node;
use crate::stop::Stop;

type Work = fn(&Node);

struct Task {
    work: Work,
    interval: Duration,
    due: Instant,
}

/// The threads that do it: one for the rounds, and one that removes files, at a lower priority.
pub(crate) struct Scheduler {
    stop: Stop,
    threads: [JoinHandle<()>; 2],
}

impl Scheduler {
    /// Starts the threads. `failed` is called once when no log directory is left, or not
    /// the metadata log's.
    ///
    /// # Errors
    /// When the system grants no thread.
    pub(crate) fn start(
        node: Arc<Node>,
        failed: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Self> {
        let stop = Stop::new();
        let (removing, stopping) = (Arc::clone(&node), stop.clone());
        let remover = Builder::new().name("remover".into());
        let remover = remover.spawn(move || remove(&removing, &stopping))?;
        let stopping = stop.clone();
        let rounds = Builder::new().name("scheduler".into());
        let rounds = rounds.spawn(move || run(&node, &stopping, failed));
        // Else the first would go on alone.
        let rounds = rounds.inspect_err(|_| stop.request())?;
        Ok(Self { stop, threads: [rounds, remover] })
    }

    /// Ends the threads, when the work at hand is done.
    pub(crate) fn stop(self) {
        self.stop.request();
        for thread in self.threads {
            // A panic there was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// How often files that are due are removed, sealed segments flushed, and directories looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// How often the wall clock is compared with the monotonic one, ms.
const CLOCK_LOOK_MS: i64 = 60_000;
/// No interval is longer: a clock that is waited on must not overflow.
const INTERVAL_MS_MAX: i64 = 365 * 24 * 3600 * 1000;

fn tasks(node: &Node) -> Vec<Task> {
    let logs = &node.config.logs;
    let now = Instant::now();
    let every = |interval_ms: i64, work: Work| {
        let interval = delay(interval_ms.max(1));
        Task { work, interval, due: now + interval }
    };
    vec![
        Task { work: housekeeping, interval: HOUSEKEEPING, due: now + HOUSEKEEPING },
        every(logs.log_flush_scheduler_interval_ms, |node| {
            let flushed = node.logs.flush_due(node.clock.now_ms());
            said(node, flushed);
        }),
        every(logs.log_flush_offset_checkpoint_interval_ms, |node| {
            said(node, node.logs.checkpoint_recovery_points());
        }),
        every(logs.log_flush_start_offset_checkpoint_interval_ms, |node| {
            said(node, node.logs.checkpoint_log_start_offsets());
        }),
        every(logs.replica_high_watermark_checkpoint_interval_ms, |node| {
            said(node, node.logs.checkpoint_high_watermarks());
        }),
        every(node.config.offsets.offsets_retention_check_interval_ms, |node| {
            node.groups.expire_offsets(node);
        }),
        every(logs.producer_id_expiration_check_interval_ms, |node| {
            node.logs.expire_producers(node.clock.now_ms());
        }),
        Task {
            due: now + delay(logs.log_initial_task_delay_ms),
            ..every(logs.log_retention_check_interval_ms, cleaning::retain)
        },
        // The clocks are compared more often than retention needs it, for a jump shows only as far
        // as the time between two looks.
        every(CLOCK_LOOK_MS, |node| _ = node.logs.trusted_now(node.clock.moment())),
    ]
}

fn delay(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms.clamp(0, INTERVAL_MS_MAX)).unwrap_or(0))
}

/// Many files may be due at once, and most of the work is the system's. No request waits for it.
fn remove(node: &Node, stop: &Stop) {
    background::step_back();
    while !stop.wait_timeout(HOUSEKEEPING) {
        node.logs.remove_due_files(node.clock.now_ms());
    }
}

fn housekeeping(node: &Node) {
    let now_ms = node.clock.now_ms();
    said(node, node.logs.flush_due(now_ms));
    node.serve_unopened();
    node.groups.close_offline();
    if let Err(error) = node.cluster.snapshot_if_due(now_ms) {
        node.failures.say(log::Level::Error, format_args!("metadata snapshot: {error}"));
    }
}

pub(crate) fn said(node: &Node, outcome: Result<(), ottla_storage::error::StorageError>) {
    if let Err(error) = outcome {
        node.failures.say(log::Level::Error, error);
    }
}

/// Why nothing is left to serve, if so, and what to do. As in Kafka, a broker does not outlive its
/// metadata log.
pub(crate) fn end_of_storage(node: &Node) -> Option<String> {
    let failed = |dir: &LogDir| {
        let reason = dir.offline_reason().unwrap_or_default();
        format!("{} ({reason})", dir.path().display())
    };
    let home = node.cluster.log_dir();
    let what = if node.logs.is_all_offline() {
        let dirs: Vec<String> = node.logs.log_dirs().map(|dir| failed(dir)).collect();
        format!("no log directory is left: {}", dirs.join(", "))
    } else if !home.is_online() {
        format!("the directory with the metadata log has failed: {}", failed(home))
    } else {
        return None;
    };
    Some(format!("{what}; see to the disk and start again, which recovers from what is there"))
}

fn run(node: &Node, stop: &Stop, failed: impl FnOnce()) {
    let mut tasks = tasks(node);
    loop {
        let now = Instant::now();
        let next = tasks.iter().map(|task| task.due).min().unwrap_or(now + HOUSEKEEPING);
        if stop.wait_timeout(next.saturating_duration_since(now)) {
            return;
        }
        let now = Instant::now();
        for task in tasks.iter_mut().filter(|task| task.due <= now) {
            (task.work)(node);
            task.due = now + task.interval;
        }
        if let Some(why) = end_of_storage(node) {
            log::error!("stopping: {why}");
            failed();
            return;
        }
    }
}

//! A line on the terminal that tells how far a verification is.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ottla_storage::verify::Progress;

const BAR_CHARS: usize = 30;
const EVERY: Duration = Duration::from_millis(100);

/// Runs `work` and shows its progress, if there is a terminal to show it on.
pub(super) fn shown<T>(progress: &Progress, work: impl FnOnce() -> T) -> T {
    if !io::stderr().is_terminal() {
        return work();
    }
    let (done, began) = (AtomicBool::new(false), Instant::now());
    thread::scope(|scope| {
        let shower = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                thread::park_timeout(EVERY);
                let line = line(progress, began.elapsed());
                // Nobody misses a progress line that cannot be written.
                let _ = write!(io::stderr(), "\r{line}\x1b[K");
            }
            let _ = write!(io::stderr(), "\r\x1b[K");
        });
        let result = work();
        done.store(true, Ordering::Release);
        shower.thread().unpark();
        result
    })
}

fn line(progress: &Progress, took: Duration) -> String {
    let (done, total) = (progress.done_bytes(), progress.total_bytes());
    let share = if total == 0 { 0.0 } else { (done as f64 / total as f64).min(1.0) };
    let full = (share * BAR_CHARS as f64) as usize;
    format!(
        "[{}{}] {:3.0}%  {} of {}  {}",
        "#".repeat(full),
        " ".repeat(BAR_CHARS - full),
        share * 100.0,
        gib(done),
        gib(total),
        rate(done, took)
    )
}

/// Bytes in GiB.
pub(super) fn gib(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30))
}

/// Bytes a second in GiB.
pub(super) fn rate(bytes: u64, took: Duration) -> String {
    let seconds = took.as_secs_f64().max(1e-6);
    format!("{:.2} GiB/s", bytes as f64 / f64::from(1 << 30) / seconds)
}

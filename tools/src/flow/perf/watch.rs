//! What is seen while a measurement runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::meter::{Interval, Meter};

/// How often the line on the terminal changes.
const TICK: Duration = Duration::from_millis(200);

/// Runs `work`. Meanwhile a thread shows on standard error, if that is a terminal, how far it is,
/// of `expected` records if that is known, and calls `report` each interval with what came in it
/// and how long it was.
pub(crate) fn watched<T>(
    meter: &Meter,
    expected: Option<u64>,
    every: Option<Duration>,
    mut report: impl FnMut(&Interval, Duration) + Send,
    work: impl FnOnce() -> T,
) -> T {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let bar = bar(expected);
            let mut since = Instant::now();
            let (mut seen, mut seen_at) = (0, since);
            while !is_over.load(Ordering::Acquire) {
                thread::park_timeout(TICK.min(every.unwrap_or(TICK)));
                let now = Instant::now();
                if !bar.is_hidden() {
                    let records = meter.records();
                    let seconds = (now - seen_at).as_secs_f64().max(1e-6);
                    bar.set_message(format!("{:.0} records/s", (records - seen) as f64 / seconds));
                    bar.set_position(records);
                    (seen, seen_at) = (records, now);
                }
                if every.is_some_and(|every| now - since >= every) {
                    let interval = meter.interval();
                    bar.suspend(|| report(&interval, now - since));
                    since = now;
                }
            }
            bar.finish_and_clear();
        });
        let result = work();
        is_over.store(true, Ordering::Release);
        watcher.thread().unpark();
        result
    })
}

fn bar(expected: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(expected, ProgressDrawTarget::stderr());
    let template = match expected {
        Some(_) => "[{bar:30.#}] {percent:>3}%  {human_pos} of {human_len}  {msg}  {eta} left",
        None => "{spinner} {human_pos} records  {msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("# "));
    }
    bar
}

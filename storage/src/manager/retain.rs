//! Retention over all logs.

use std::sync::Arc;

use super::LogManager;
use crate::error::{StorageError, StorageErrorKind};
use crate::log::{Expired, PartitionLog};
use crate::log_dir::LogDir;
use crate::retention::{CLOCK_TRUST_DELAY_MS, Moment, TrustedNow};

/// What a retention pass has done.
#[derive(Debug, Default)]
pub struct RetentionReport {
    /// Segments and bytes that are gone, by the reason, and what was spared.
    pub expired: Expired,
    /// Logs in which segments were spared because the wall clock has jumped ahead.
    pub logs_spared: usize,
    /// What went wrong, one a log or directory; the others were served.
    pub errors: Vec<StorageError>,
}

impl LogManager {
    /// By which time ages are to be counted; see [`crate::retention::ClockWatch`]. A jump of the
    /// wall clock is logged.
    pub fn trusted_now(&self, moment: Moment) -> TrustedNow {
        let now = self.changes().clock.observe(moment);
        if now.is_new_doubt {
            log::warn!(
                "the wall clock has jumped {} s ahead; nothing is deleted for its age by the new \
                 time before it has stood for {} h",
                now.doubted_ms / 1000,
                CLOCK_TRUST_DELAY_MS / 3_600_000
            );
        }
        now
    }

    /// `log.retention.check.interval.ms`: removes segments that lie below the log start, are too
    /// many or too old, of every log that is not compacted. Those of compacted logs are the
    /// cleaner's to remove.
    pub fn delete_old_segments(&self, now: TrustedNow) -> RetentionReport {
        let mut report = RetentionReport::default();
        let dirs: Vec<_> = self.log_dirs().filter(|dir| dir.is_online()).cloned().collect();
        for log_dir in dirs {
            let mut logs = self.logs_in(&log_dir);
            logs.retain(|log| !log.config().cleanup_compact);
            self.retain_in(&log_dir, &logs, now, &mut report);
        }
        if report.logs_spared > 0 {
            self.changes().spared_passes += 1;
        }
        report
    }

    /// How many retention passes have spared segments because the wall clock had jumped ahead.
    pub fn spared_passes(&self) -> u64 {
        self.changes().spared_passes
    }

    /// Retention of some logs of one directory.
    pub(super) fn retain_in(
        &self,
        log_dir: &Arc<LogDir>,
        logs: &[Arc<PartitionLog>],
        now: TrustedNow,
        report: &mut RetentionReport,
    ) {
        let mut due = Vec::new();
        for log in logs {
            match log.expire_segments(now) {
                Ok(expired) => {
                    report.logs_spared += usize::from(expired.spared.segments > 0);
                    report.expired += expired;
                    if expired.is_any() {
                        note(log, &expired);
                        due.push(log);
                    }
                }
                Err(error) => report.add(error),
            }
        }
        if due.is_empty() {
            return;
        }
        // A log start that is not written down may move back after a power loss, into what the
        // loss has left of the segments.
        let written = self.checkpoint_log_starts_of(log_dir);
        let is_full = match &written {
            Ok(()) => false,
            Err(error) => error.kind() == StorageErrorKind::Full,
        };
        let is_written = written.is_ok();
        written.err().into_iter().for_each(|error| report.add(error));
        for log in due {
            let removed = match is_written {
                true => log.remove_expired_segments(now.now_ms),
                // Room for the checkpoint has to come from somewhere.
                false if is_full => log.remove_first_expired_segment(now.now_ms),
                false => return,
            };
            removed.err().into_iter().for_each(|error| report.add(error));
        }
    }
}

impl RetentionReport {
    fn add(&mut self, error: StorageError) {
        // A log that was deleted meanwhile has nothing more to lose.
        if error.kind() != StorageErrorKind::Closed {
            self.errors.push(error);
        }
    }
}

fn note(log: &PartitionLog, expired: &Expired) {
    for (tally, why) in [
        (expired.by_start, "below the log start"),
        (expired.by_size, "beyond retention.bytes"),
        (expired.by_time, "older than retention.ms"),
    ] {
        if tally.segments > 0 {
            log::info!(
                "{}: {} segments of {} bytes are {why} and go",
                log.topic_partition(),
                tally.segments,
                tally.bytes
            );
        }
    }
}

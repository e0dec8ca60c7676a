//! Opening the logs of one directory on several threads, the longest recoveries first.

use std::path::Path;
use std::sync::Arc;

use super::progress::LoadProgress;
use super::spread::spread;
use crate::disk::{Disk, Open};
use crate::file_name::{FileKind, FileName};
use crate::log::{Cut, OpenLog, OpenLogError, PartitionLog, Recovery};
use crate::producer_state::snapshots::Shutdown;

/// The logs in the order in which to open them: those with the most bytes to check first, so that
/// no thread is left with a long one when the others have nothing more to do.
pub(super) fn in_order(
    disk: &dyn Disk,
    threads: usize,
    jobs: Vec<OpenLog>,
    progress: &LoadProgress,
) -> Vec<OpenLog> {
    let dirty = spread(disk, threads, &jobs, |job| match job.after {
        Shutdown::Clean => 0,
        // What cannot be read is told of when the log is opened.
        Shutdown::Unclean => size_bytes(disk, &job.dir, job.recovery_point).unwrap_or(0),
    });
    progress.found(jobs.len() as u64, dirty.iter().sum());
    let mut jobs: Vec<_> = jobs.into_iter().zip(dirty).collect();
    jobs.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    jobs.into_iter().map(|(job, _)| job).collect()
}

/// Opens them all; `cut` says what may be cut off of each.
pub(super) fn open_all<'a>(
    disk: &dyn Disk,
    threads: usize,
    jobs: &'a [OpenLog],
    cut: &(dyn Fn(&OpenLog) -> Cut + Sync),
    progress: &LoadProgress,
) -> impl Iterator<Item = (&'a OpenLog, Result<Arc<PartitionLog>, OpenLogError>)> {
    let opened = spread(disk, threads, jobs, |job| {
        let recovery = Recovery { cut: cut(job), on_bytes: &|bytes| progress.checked(bytes) };
        let opened = PartitionLog::open_with(job.clone(), &recovery);
        progress.opened_one();
        opened
    });
    jobs.iter().zip(opened)
}

/// Bytes of the segments that hold `from_offset` and what follows.
pub(super) fn size_bytes(disk: &dyn Disk, dir: &Path, from_offset: i64) -> std::io::Result<u64> {
    let mut logs = Vec::new();
    for entry in disk.list(dir)? {
        if let Ok(FileName::Segment { base_offset, kind: FileKind::Log }) =
            FileName::parse(&entry.name)
        {
            logs.push((base_offset, entry.name));
        }
    }
    logs.sort_unstable();
    let first = logs.iter().rposition(|(base_offset, _)| *base_offset <= from_offset);
    let mut bytes = 0;
    for (_, name) in &logs[first.unwrap_or(0)..] {
        bytes += disk.open(&dir.join(name), Open::Read)?.len()?;
    }
    Ok(bytes)
}

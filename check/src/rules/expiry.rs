//! Retention by size takes no more than it may.

use super::note;
use crate::event::Policy;
use crate::partition::{Files, Partition, Timed};
use crate::violation::{Rule, Violation};

/// A log whose beginning has expired still has the bytes that its topic keeps: segments go as long
/// as so many are left, and later only more come. A loss of power may take bytes that were counted
/// when a segment went, so nothing is said of files after one.
pub(crate) fn check(partition: &Partition, found: &mut Vec<Violation>) {
    let Policy::Expire { bytes } = partition.policy else { return };
    for files in partition.files.iter().filter(|files| files.era == 0) {
        let start = start(partition, files);
        let kept = kept_bytes(files.what, start);
        if start > 0 && kept < bytes {
            let text = format!("it starts at {start} with {kept} bytes, {bytes} have to stay");
            note(found, Rule::ExpiredEarly, partition.place, text);
        }
    }
}

/// The log start when the files were looked at: what clients were told, or what the files show.
fn start(partition: &Partition, files: &Timed<Files>) -> i64 {
    let ends = partition.ends.iter().map(|ends| (ends.ended_ns, ends.what.log_start));
    let reads = partition.reads.iter().map(|read| (read.ended_ns, read.what.log_start));
    let told = ends.chain(reads).filter(|(ended_ns, _)| *ended_ns <= files.began_ns);
    let first = files.what.first().map_or(0, |(base, _)| *base);
    told.filter_map(|(_, log_start)| log_start).max().unwrap_or(0).max(first)
}

/// Bytes of the segments that begin at this offset or hold it, and of those behind them.
fn kept_bytes(segments: Files, start: i64) -> u64 {
    let gone = segments.iter().skip(1).take_while(|(base, _)| *base <= start).count();
    segments.iter().skip(gone).map(|(_, bytes)| bytes).sum()
}

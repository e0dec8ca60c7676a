//! Planted defects: what the storage might forget, each of which must be noticed.

use ottla_storage::sim::OpKind;

use crate::episode::{self, Options};

/// Points within which each defect must be found.
const POINTS_MAX: u64 = 60_000;

/// A defect, by what it is and how it is brought about.
struct Planted {
    what: &'static str,
    forgets: Option<(OpKind, &'static str)>,
    overpromise: bool,
}

const fn forgets(what: &'static str, kind: OpKind, end: &'static str) -> Planted {
    Planted { what, forgets: Some((kind, end)), overpromise: false }
}

const PLANTED: [Planted; 10] = [
    forgets("a segment is not synced", OpKind::Sync, ".log"),
    forgets("a segment's offset index is not synced", OpKind::Sync, ".index"),
    forgets("a partition's directory is not synced", OpKind::SyncDir, "-0"),
    forgets("a log directory is not synced", OpKind::SyncDir, "d0"),
    forgets("a checkpoint is not synced", OpKind::Sync, "-checkpoint.tmp"),
    forgets("partition.metadata is not synced", OpKind::Sync, "partition.metadata.tmp"),
    forgets("a cleaned segment is not synced", OpKind::Sync, ".cleaned"),
    forgets("an aborted transaction is not synced", OpKind::Sync, ".txnindex"),
    forgets("the mark of an orderly stop stays", OpKind::Unlink, ".kafka_cleanshutdown"),
    Planted { what: "acknowledged before it is synced", forgets: None, overpromise: true },
];

/// Looks for every planted defect; tells whether all were found.
pub(crate) fn find_all(seed: u64) -> bool {
    let mut all_found = true;
    for planted in &PLANTED {
        let options = Options {
            forgets: planted.forgets,
            overpromise: planted.overpromise,
            ..Options::default()
        };
        let mut points = 0;
        let found = (seed..).find_map(|seed| {
            if points >= POINTS_MAX {
                return Some(None);
            }
            let (tally, failure) = episode::run(seed, &options);
            points += tally.points;
            failure.map(|failure| Some((seed, failure)))
        });
        match found.flatten() {
            Some((seed, failure)) => println!(
                "planted: {}: found after {points} points, seed {seed}: {}",
                planted.what, failure.problem
            ),
            None => {
                all_found = false;
                println!("planted: {}: NOT FOUND in {points} points", planted.what);
            }
        }
    }
    all_found
}

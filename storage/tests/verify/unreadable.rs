//! What the disk does not give: a finding, and the rest is verified all the same.

use ottla_storage::sim::{Fault, OpKind};
use ottla_storage::verify::{Code, Severity};

use crate::files::metadata_log;
use crate::repairs::plan_for;
use crate::world::{DIR, clean, disk_of, texts, the, verify, verify_partition};

const EIO: i32 = 5;
const EACCES: i32 = 13;

#[test]
fn a_partition_that_cannot_be_listed_is_one_finding() {
    for dir in ["__cluster_metadata-0", "plain-0"] {
        let mut image = metadata_log();
        image.remove(&format!("{DIR}/txn-0/leader-epoch-checkpoint"));
        let disk = disk_of(&image);
        disk.inject(Fault::on(OpKind::Look, EACCES).path(dir).sticky());
        let report = verify(&disk);
        assert_eq!(report.partitions.len(), 4);
        assert_eq!(the(&report, dir, Code::Unreadable).severity, Severity::Damage);
        the(&report, "txn-0/leader-epoch-checkpoint", Code::EpochCheckpoint);
        assert_eq!(report.all_findings().count(), 2, "{:#?}", texts(&report));
        let plan = plan_for(&disk, false);
        assert_eq!((plan.actions.len(), plan.left.len()), (1, 1), "{plan:?}");
    }
}

/// Whatever is known of a log only in part is not held against what is beside it.
#[test]
fn a_metadata_log_that_cannot_be_read_says_nothing_of_its_snapshots() {
    let disk = disk_of(&metadata_log());
    let log = "__cluster_metadata-0/00000000000000000000.log";
    disk.inject(Fault::on(OpKind::Read, EIO).path(log).sticky());
    let report = verify(&disk);
    the(&report, log, Code::Unreadable);
    assert_eq!(report.all_findings().count(), 1, "{:#?}", texts(&report));
}

#[test]
fn a_log_that_cannot_be_opened_is_one_finding_of_its_partition() {
    let disk = disk_of(&clean());
    let log = "plain-0/00000000000000000000.log";
    disk.inject(Fault::on(OpKind::Open, EACCES).path(log).sticky());
    for report in [verify(&disk), verify_partition(&disk, "plain-0")] {
        the(&report, log, Code::Unreadable);
    }
}

/// It is there, whatever is in it.
#[test]
fn a_marker_of_an_orderly_stop_that_cannot_be_read_counts() {
    let disk = disk_of(&clean());
    disk.inject(Fault::on(OpKind::Open, EACCES).path(".kafka_cleanshutdown").sticky());
    let report = verify(&disk);
    assert!(report.was_stopped_in_order);
    the(&report, ".kafka_cleanshutdown", Code::Unreadable);
    assert_eq!(report.all_findings().count(), 1, "{:#?}", texts(&report));
}

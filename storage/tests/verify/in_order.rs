//! Directories in which nothing is wrong.

use ottla_storage::verify::{Code, Severity};

use crate::world::{DIR, clean, disk_of, killed, texts, verify_deep};

#[test]
fn an_orderly_stop_leaves_nothing_to_find() {
    let image = clean();
    let segments = image.keys().filter(|name| name.ends_with(".log")).count();
    assert!(segments > 6, "{segments} segments are enough to be of interest");
    assert!(image.keys().any(|name| name.ends_with(".txnindex")), "and a transaction index");
    let report = verify_deep(&disk_of(&image), true);
    assert_eq!(texts(&report), [""; 0]);
    assert!(report.was_stopped_in_order);
    assert_eq!(report.partitions.len(), 3);
}

#[test]
fn a_kill_leaves_nothing_wrong() {
    let report = verify_deep(&disk_of(&killed()), true);
    assert_eq!(texts(&report), [""; 0]);
    assert!(!report.was_stopped_in_order);
}

/// A snapshot that an orderly stop took amid a segment stays when retention removes the segment.
#[test]
fn a_snapshot_below_the_log_says_nothing() {
    let image = clean();
    let is_first = |name: &&String| name.starts_with("data/txn-0/00000000000000000000.");
    let second = |name: &&String| name.starts_with("data/txn-0/") && name.ends_with(".snapshot");
    let older = image[image.keys().find(second).unwrap()].clone();
    let mut trimmed = image.clone();
    for name in image.keys().filter(is_first) {
        trimmed.remove(name);
    }
    trimmed.insert("data/txn-0/00000000000000000003.snapshot".to_owned(), older);
    let epochs = "data/txn-0/leader-epoch-checkpoint".to_owned();
    trimmed.insert(epochs, b"0\n1\n0 5\n".to_vec());
    let report = verify_deep(&disk_of(&trimmed), true);
    assert_eq!(texts(&report), [""; 0]);
}

/// Every length that a torn append can leave is a note, and so is a tail of zeros.
#[test]
fn a_torn_tail_is_cut_by_the_next_start() {
    let image = killed();
    let mut logs = image.keys().filter(|name| name.starts_with("data/plain-0/"));
    let last = logs.rfind(|name| name.ends_with(".log")).unwrap().clone();
    let whole = image[&last].clone();
    for cut in 1..61 {
        let mut image = image.clone();
        let checkpoint = format!("{DIR}/recovery-point-offset-checkpoint");
        image.insert(checkpoint, b"0\n0\n".to_vec());
        let keep = whole.len() - cut;
        image.get_mut(&last).unwrap().truncate(keep);
        let report = verify_deep(&disk_of(&image), false);
        assert!(!report.is_wrong(), "{cut}: {:#?}", texts(&report));
        let torn = report.all_findings().filter(|finding| finding.code == Code::TornTail);
        assert_eq!(torn.count(), 1, "{cut}: {:#?}", texts(&report));
        image.get_mut(&last).unwrap().resize(keep + 500, 0);
        let report = verify_deep(&disk_of(&image), false);
        assert!(!report.is_wrong(), "{cut}: {:#?}", texts(&report));
        assert!(report.all_findings().all(|finding| finding.severity == Severity::Note));
    }
}

/// The same torn tail after an orderly stop, or below what was flushed, is damage.
#[test]
fn a_torn_tail_of_what_was_flushed_is_damage() {
    for mut image in [clean(), killed()] {
        let mut logs = image.keys().filter(|name| name.starts_with("data/plain-0/"));
        let last = logs.rfind(|name| name.ends_with(".log")).unwrap().clone();
        let checkpoint = format!("{DIR}/recovery-point-offset-checkpoint");
        image.insert(checkpoint, b"0\n1\nplain 0 18\n".to_vec());
        image.get_mut(&last).unwrap().pop();
        let report = verify_deep(&disk_of(&image), false);
        assert!(report.is_wrong(), "{:#?}", texts(&report));
    }
}

//! Repairs: what they bring back, what they keep, and what a crash in the middle of one leaves.

use std::path::Path;
use std::sync::Arc;

use ottla_storage::disk::Disk;
use ottla_storage::partition_dir::TopicPartition;
use ottla_storage::repair::{Plan, RepairOptions, carry_out, plan};
use ottla_storage::sim::{CrashStyle, Fault, OpKind, SimDisk, Stop};
use ottla_storage::verify::{Code, Known, no_metadata};

use crate::files::metadata_log;
use crate::world::{DIR, Image, clean, disk_of, image_of, manager, texts, verify};

fn options(truncate_damaged: bool) -> RepairOptions<'static> {
    RepairOptions {
        truncate_damaged,
        truncate_metadata: false,
        index_interval_bytes: 0,
        known: &no_metadata,
    }
}

pub(crate) fn plan_for(disk: &SimDisk, truncate_damaged: bool) -> Plan {
    plan(disk, &verify(disk), &options(truncate_damaged)).unwrap()
}

fn repair(disk: &SimDisk, truncate_damaged: bool) -> Plan {
    let plan = plan_for(disk, truncate_damaged);
    for action in &plan.actions {
        carry_out(disk, action).unwrap();
    }
    plan
}

/// Nothing is left to find, and the log manager opens it as after an orderly stop: it writes no
/// log and no index anew.
fn assert_good(disk: &SimDisk, what: &str) {
    let report = verify(disk);
    assert!(!report.is_wrong(), "{what}: {:#?}", texts(&report));
    let before = image_of(disk);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let manager = manager(&shared);
    for log in manager.logs() {
        let offsets = log.offsets();
        assert!(offsets.log_start_offset <= offsets.log_end_offset);
    }
    manager.close(7).unwrap();
    let after = image_of(disk);
    for (name, bytes) in before.iter().filter(|(name, _)| name.ends_with("log")) {
        assert_eq!(after.get(name), Some(bytes), "{what}: {name}");
    }
}

#[test]
fn nothing_is_done_where_nothing_is_wrong() {
    let disk = disk_of(&clean());
    let plan = repair(&disk, true);
    assert!(plan.actions.is_empty() && plan.left.is_empty());
    assert_eq!(image_of(&disk), clean());
}

#[test]
fn what_was_deleted_comes_back_byte_for_byte() {
    let image = clean();
    for end in [".index", ".timeindex", ".txnindex", "index"] {
        let mut damaged = image.clone();
        damaged.retain(|name, _| !name.ends_with(end));
        assert!(damaged.len() < image.len());
        let disk = disk_of(&damaged);
        repair(&disk, false);
        assert_eq!(image_of(&disk), image, "{end}");
    }
}

#[test]
fn what_was_damaged_comes_back_byte_for_byte() {
    let image = clean();
    let ends = ["index", ".snapshot", "leader-epoch-checkpoint"];
    for (name, bytes) in &image {
        let is_empty = bytes.is_empty() || bytes.as_slice() == b"0\n0\n";
        if is_empty || !ends.iter().any(|end| name.ends_with(end)) {
            continue;
        }
        let mut damaged = image.clone();
        damaged.get_mut(name).unwrap()[0] ^= 0x40;
        let disk = disk_of(&damaged);
        let plan = repair(&disk, false);
        assert_eq!(plan.actions.len(), 1, "{name}: {:?}", plan.left);
        assert_eq!(image_of(&disk), image, "{name}");
        assert_good(&disk, name);
    }
}

#[test]
fn checkpoints_keep_the_lines_that_are_right() {
    let name = format!("{DIR}/replication-offset-checkpoint");
    let mut image = clean();
    image.insert(name.clone(), b"0\n9\nplain 0 18\nnobody 0 4\ntxn 0 999\nplain 1 x\n".to_vec());
    let disk = disk_of(&image);
    repair(&disk, false);
    let text = String::from_utf8(image_of(&disk)[&name].clone()).unwrap();
    assert_eq!(text, "0\n2\nplain 0 18\ntxn 0 29\n");
    assert_good(&disk, "checkpoint");
}

#[test]
fn a_log_start_beyond_the_end_gives_the_records_back() {
    let name = format!("{DIR}/log-start-offset-checkpoint");
    let mut image = clean();
    image.insert(name.clone(), b"0\n1\nplain 0 99\n".to_vec());
    let disk = disk_of(&image);
    repair(&disk, false);
    assert_eq!(image_of(&disk)[&name], b"0\n0\n");
}

/// What was flushed and is gone is only given up when it is asked for.
#[test]
fn a_recovery_point_comes_down_only_by_name() {
    let name = format!("{DIR}/recovery-point-offset-checkpoint");
    let text = b"0\n3\nplain 0 30\nplain 1 0\ntxn 0 29\n".to_vec();
    let mut image = clean();
    image.insert(name.clone(), text.clone());
    let disk = disk_of(&image);
    assert_eq!(repair(&disk, false).left.len(), 1);
    assert_eq!(image_of(&disk), image);
    repair(&disk, true);
    assert_eq!(image_of(&disk)[&name], b"0\n3\nplain 0 18\nplain 1 0\ntxn 0 29\n");
    // Nor where the log is damaged, whatever else is wrong with the file.
    for (what, mut image) in damages().into_iter().take(3) {
        image.insert(name.clone(), [&text[..], b"x"].concat());
        let disk = disk_of(&image);
        repair(&disk, false);
        assert_eq!(image_of(&disk)[&name], text, "{what}");
    }
}

/// Neither does a log come down whose end nobody knows, since a part of it cannot be read: not the
/// checkpoints, whatever is wrong with them elsewhere, not the epochs, and nothing is cut.
#[test]
fn what_cannot_be_read_is_not_taken_for_gone() {
    const EIO: i32 = 5;
    let (recovery, starts) = ("recovery-point-offset-checkpoint", "log-start-offset-checkpoint");
    for unread in ["00000000000000000000.log", "plain-0"] {
        let mut image = clean();
        let text = b"0\n3\nplain 0 18\nplain 1 0\ntxn 0 99\n".to_vec();
        image.insert(format!("{DIR}/{recovery}"), text);
        image.insert(format!("{DIR}/{starts}"), b"0\n2\nplain 0 2\ntxn 0 99\n".to_vec());
        image.insert(format!("{DIR}/plain-0/leader-epoch-checkpoint"), b"0\n0\n".to_vec());
        let later = image.keys().rfind(|name| name.ends_with(".log") && name.contains("plain-0"));
        let later = later.unwrap().clone();
        image.get_mut(&later).unwrap()[70] ^= 1;
        let disk = disk_of(&image);
        let kind = if unread == "plain-0" { OpKind::Look } else { OpKind::Read };
        let path = if unread == "plain-0" { unread } else { "plain-0/00000000000000000000.log" };
        disk.inject(Fault::on(kind, EIO).path(path).sticky());
        let plan = plan_for(&disk, true);
        assert!(plan.left.iter().any(|finding| finding.code == Code::Unreadable), "{unread}");
        for action in &plan.actions {
            carry_out(&disk, action).unwrap();
        }
        let after = image_of(&disk);
        let lines = |name| String::from_utf8(after[&format!("{DIR}/{name}")].clone()).unwrap();
        assert_eq!(lines(recovery), "0\n3\nplain 0 18\nplain 1 0\ntxn 0 29\n", "{unread}");
        assert_eq!(lines(starts), "0\n1\nplain 0 2\n", "{unread}");
        let of_plain = |image: &Image| {
            let files = image.iter().filter(|(name, _)| name.contains("plain-0/"));
            files.map(|(name, bytes)| (name.clone(), bytes.clone())).collect::<Image>()
        };
        assert!(
            of_plain(&after) == of_plain(&image),
            "{unread}: a file of the log is not as it was"
        );
    }
}

/// Whose records are topics and users.
#[test]
fn the_metadata_log_is_cut_only_by_its_own_name() {
    let log = format!("{DIR}/__cluster_metadata-0/00000000000000000000.log");
    let mut image = metadata_log();
    let flushed = format!("{DIR}/recovery-point-offset-checkpoint");
    image.insert(flushed, b"0\n1\n__cluster_metadata 0 10\n".to_vec());
    let len = image[&log].len();
    image.get_mut(&log).unwrap()[len - 3] ^= 1;
    let disk = disk_of(&image);
    let left = repair(&disk, true).left;
    assert!(left.iter().any(|finding| finding.remedy.to_string().contains("truncate-metadata")));
    assert!(image_of(&disk) == image, "changed");
    let options = RepairOptions { truncate_metadata: true, ..options(false) };
    for action in plan(&disk, &verify(&disk), &options).unwrap().actions {
        carry_out(&disk, &action).unwrap();
    }
    let after = image_of(&disk);
    assert_eq!(after[&log], image[&log][..len / 2]);
    let report = verify(&disk);
    assert!(!report.is_wrong(), "{:#?}", texts(&report));
}

#[test]
fn a_cut_that_finds_no_room_for_its_copy_changes_nothing() {
    const ENOSPC: i32 = 28;
    let (_, image) = damages().into_iter().next().unwrap();
    let disk = disk_of(&image);
    disk.inject(Fault::on(OpKind::Write, ENOSPC).path(".tmp").after_bytes(3));
    let plan = plan_for(&disk, true);
    let failed = plan.actions.iter().find_map(|action| carry_out(&disk, action).err());
    assert_eq!(failed.unwrap().raw_os_error(), Some(ENOSPC));
    assert!(image_of(&disk) == image, "something is not as it was");
    repair(&disk, true);
    assert_good(&disk, "with room again");
}

#[test]
fn a_topic_id_is_written_when_the_metadata_knows_it() {
    let image = clean();
    let name = format!("{DIR}/plain-0/partition.metadata");
    let id = ottla_protocol::uuid::Uuid::from_u64s(7, 1);
    let known = |_: &TopicPartition, found: Option<_>| match found {
        None => Known::Stray { why: "no id".to_owned(), topic_id: Some(id) },
        Some(_) => Known::Here { compacted: false },
    };
    for damage in [None, Some(b"junk".to_vec())] {
        let mut image = image.clone();
        image.remove(&name);
        image.extend(damage.map(|bytes| (name.clone(), bytes)));
        let disk = disk_of(&image);
        let progress = ottla_storage::verify::Progress::default();
        let verifying = ottla_storage::verify::VerifyOptions {
            deep: false,
            threads: 2,
            index_interval_bytes: 0,
            known: &known,
            progress: &progress,
        };
        let report =
            ottla_storage::verify::verify_log_dir(&disk, Path::new(DIR), &verifying).unwrap();
        let repairing = RepairOptions { known: &known, ..options(false) };
        for action in plan(&disk, &report, &repairing).unwrap().actions {
            carry_out(&disk, &action).unwrap();
        }
        assert_eq!(image_of(&disk), clean());
    }
}

fn with_damage(change: fn(&mut Vec<u8>), file: &str) -> Image {
    let mut image = clean();
    change(image.get_mut(&format!("{DIR}/{file}")).unwrap());
    image
}

/// Damage that only a cut gets rid of.
fn damages() -> Vec<(&'static str, Image)> {
    const FIRST: &str = "plain-0/00000000000000000000.log";
    const SECOND: &str = "plain-0/00000000000000000007.log";
    const TXN: &str = "txn-0/00000000000000000000.log";
    vec![
        ("a bit in the middle", with_damage(|b| b[150] ^= 1, FIRST)),
        ("a bit in the first batch", with_damage(|b| b[70] ^= 1, FIRST)),
        ("a bit in a later segment", with_damage(|b| b[150] ^= 1, SECOND)),
        ("the first batch of a segment", with_damage(|b| b[10] ^= 1, SECOND)),
        ("a batch that moved", with_damage(|b| b[78 + 6] = 1, FIRST)),
        ("zeros to the end", with_damage(|b| b[78..].fill(0), FIRST)),
        ("a torn segment", with_damage(|b| b.truncate(100), SECOND)),
        ("within a transaction", with_damage(|b| b[300] ^= 1, TXN)),
    ]
}

#[test]
fn damage_stays_when_nobody_asks_for_a_cut() {
    for (what, image) in damages() {
        let disk = disk_of(&image);
        let plan = repair(&disk, false);
        assert!(!plan.left.is_empty(), "{what}");
        let after = image_of(&disk);
        for (name, bytes) in image.iter().filter(|(name, _)| name.ends_with(".log")) {
            assert_eq!(&after[name], bytes, "{what}");
        }
    }
}

/// A repaired file of recovery points does not say of a damaged log that nothing of it was flushed,
/// by which the next start would cut it.
#[test]
fn a_log_that_is_left_damaged_is_not_cut_by_the_next_start() {
    let name = format!("{DIR}/recovery-point-offset-checkpoint");
    for text in ["0\n9\nnonsense\n", "0\n3\nplain 1 0\nplain 0 1", "0\n3\nplain 1 0\ntxn 0 2", ""] {
        for (what, mut image) in damages() {
            image.insert(name.clone(), text.into());
            // What was stopped in order is not looked at.
            image.remove(&format!("{DIR}/.kafka_cleanshutdown")).unwrap();
            let disk = disk_of(&image);
            let shared: Arc<dyn Disk> = Arc::new(disk.clone());
            for start in 0..4 {
                match start {
                    0 | 2 => drop(repair(&disk, false)),
                    _ => manager(&shared).close(7).unwrap(),
                }
                let after = image_of(&disk);
                for (name, bytes) in image.iter().filter(|(name, _)| name.ends_with(".log")) {
                    let is_same = after.get(name) == Some(bytes);
                    assert!(is_same, "{what}, {text:?}, after {start}: {name}");
                }
            }
            // And what is mended can do without.
            repair(&disk, true);
            assert!(!texts(&verify(&disk)).iter().any(|text| text.contains("is not known")));
            assert_good(&disk, what);
        }
    }
}

#[test]
fn a_plan_changes_nothing() {
    for (what, image) in damages() {
        let disk = disk_of(&image);
        let plan = plan_for(&disk, true);
        assert!(plan.actions.len() > 2, "{what}: {:?}", plan.actions);
        assert_eq!(image_of(&disk), image, "{what}");
    }
}

/// The bytes of all `.log` files of a partition, with those that were saved.
fn all_bytes(image: &Image, partition: &str) -> Vec<u8> {
    let start = format!("{DIR}/{partition}/");
    let mut pieces: Vec<(String, &Vec<u8>)> = image
        .iter()
        .filter(|(name, _)| name.starts_with(&start))
        .filter_map(|(name, bytes)| {
            let name = name.strip_prefix(&start)?;
            let name = name.strip_prefix("saved-1.").unwrap_or(name);
            let is_log = name.split('.').nth(1) == Some("log");
            is_log.then(|| (name.to_owned(), bytes))
        })
        .collect();
    pieces.sort();
    pieces.into_iter().flat_map(|(_, bytes)| bytes.clone()).collect()
}

#[test]
fn a_cut_leaves_a_good_log_and_loses_no_byte() {
    for (what, image) in damages() {
        let disk = disk_of(&image);
        repair(&disk, true);
        assert_good(&disk, what);
        let partition = if what.contains("transaction") { "txn-0" } else { "plain-0" };
        let after = image_of(&disk);
        assert_eq!(all_bytes(&after, partition), all_bytes(&image, partition), "{what}");
        let again = plan_for(&disk, true);
        assert!(again.actions.is_empty(), "{what}: {:?}", again.actions);
    }
}

/// Every action done twice is as good as once.
#[test]
fn actions_can_be_repeated() {
    for (what, image) in damages() {
        let disk = disk_of(&image);
        let plan = plan_for(&disk, true);
        for action in &plan.actions {
            carry_out(&disk, action).unwrap();
            carry_out(&disk, action).unwrap();
        }
        assert_good(&disk, what);
    }
}

/// A crash at any operation of a repair leaves what a second repair completes.
#[test]
fn a_repair_that_crashes_is_repeated() {
    for (what, image) in damages().into_iter().step_by(3) {
        let whole = disk_of(&image);
        let begun = whole.ops();
        repair(&whole, true);
        for n in begun..whole.ops() {
            let disk = durable(&image);
            let at = disk.ops() + (n - begun);
            disk.stop(Stop::Before(at));
            for action in &plan_for(&disk, true).actions {
                if carry_out(&disk, action).is_err() {
                    break;
                }
            }
            let style = if n % 2 == 0 { CrashStyle::DropPending } else { CrashStyle::Subset };
            let disk = disk.crash(n, style);
            repair(&disk, true);
            assert_good(&disk, &format!("{what}, stopped at {n}"));
        }
    }
}

/// As [`disk_of`], with everything on the medium.
fn durable(image: &Image) -> SimDisk {
    let disk = disk_of(image);
    for name in image.keys() {
        let path = Path::new(name);
        disk.open(path, ottla_storage::disk::Open::ReadWrite).unwrap().sync_all().unwrap();
        for dir in path.ancestors().skip(1) {
            let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
            disk.sync_dir(dir).unwrap();
        }
    }
    disk
}

//! Failing disks: errors at every operation, failed syncs, no space.

use std::path::Path;
use std::sync::Arc;

use ottla_protocol::uuid::Uuid;
use ottla_storage::config::LogConfig;
use ottla_storage::disk::Disk;
use ottla_storage::error::{StorageError, StorageErrorKind};
use ottla_storage::log::{AppendError, PartitionLog};
use ottla_storage::manager::NewPartition;
use ottla_storage::sim::{CrashStyle, Fault, FsyncFailure, OpKind, SimDisk, Struck};

use crate::harness::{NOW_MS, all_values, append, new_log, new_partition, open_manager, small};

const EIO: i32 = 5;
const EMFILE: i32 = 24;
const ENOSPC: i32 = 28;

fn kind(error: &AppendError) -> StorageErrorKind {
    match error {
        AppendError::Storage(error) => error.kind(),
        other => panic!("not the disk's fault: {other}"),
    }
}

fn sim() -> (SimDisk, Arc<dyn Disk>) {
    let disk = SimDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    (disk, shared)
}

fn log_on(shared: &Arc<dyn Disk>, config: LogConfig) -> Arc<PartitionLog> {
    new_log(shared, Path::new("data/t-0"), config).unwrap()
}

/// Appends 12 batches, trying each anew until it goes through, at most three times. Returns what
/// was acknowledged.
fn append_stubbornly(log: &PartitionLog) -> (Vec<u64>, Option<StorageErrorKind>) {
    let mut acked = Vec::new();
    for value in 0..12 {
        let mut outcome = append(log, value, 1);
        for _ in 0..2 {
            if outcome.is_err() {
                outcome = append(log, value, 1);
            }
        }
        match outcome {
            Ok(_) => acked.push(value),
            Err(error) => return (acked, Some(kind(&error))),
        }
    }
    (acked, None)
}

/// One operation fails once, for every operation of a workload with rolls and flushes. The log goes
/// on if it was for want of space or descriptors, and else the directory is offline; in both cases
/// all that was acknowledged is there after a kill, but for what a failed sync has lost: records
/// acknowledged since the sync before.
#[test]
fn one_failed_operation_loses_nothing() {
    const FLUSH_MESSAGES: usize = 4;
    let config = LogConfig { flush_messages: FLUSH_MESSAGES as i64, ..small() };
    let (disk, shared) = sim();
    let log = log_on(&shared, config.clone());
    let first_op = disk.ops();
    assert_eq!(append_stubbornly(&log).0.len(), 12);
    let ops = disk.ops();
    for op in first_op..ops {
        for errno in [EIO, ENOSPC] {
            let (disk, shared) = sim();
            let log = log_on(&shared, config.clone());
            disk.inject(Fault::at_op(op, errno).after_bytes(30));
            let (acked, failed) = append_stubbornly(&log);
            let trace = disk.trace();
            let faulty = trace.iter().find(|op| op.contains('!'));
            let how = format!("errno {errno} at {op}: {faulty:?}");
            assert_eq!(
                all_or_offline(&log),
                log.log_dir().is_online().then(|| acked.clone()),
                "{how}"
            );
            match failed {
                Some(kind) => assert_eq!(kind, StorageErrorKind::Offline, "{how}"),
                None => assert_eq!(acked.len(), 12, "{how}"),
            }
            assert_eq!(failed.is_some(), !log.log_dir().is_online(), "{how}");
            let killed: Arc<dyn Disk> = Arc::new(disk.crash(1, CrashStyle::ProcessKill));
            let again = log_on(&killed, config.clone());
            let values = all_values(&again);
            let kept = match disk.struck().iter().any(Struck::is_sync) {
                true => acked.len() / FLUSH_MESSAGES * FLUSH_MESSAGES,
                false => acked.len(),
            };
            assert!(values.starts_with(&acked[..kept]), "{how}: {values:?} holds {acked:?}");
            let both = values.len().min(acked.len());
            assert_eq!(values[..both], acked[..both], "{how}");
            assert!(values.len() <= acked.len() + 1, "{how}: only the failed one may be there too");
        }
    }
}

fn all_or_offline(log: &PartitionLog) -> Option<Vec<u64>> {
    log.log_dir().is_online().then(|| all_values(log))
}

#[test]
fn epochs_that_found_no_space_are_found_in_the_records() {
    let (disk, shared) = sim();
    let log = log_on(&shared, small());
    append(&log, 0, 1).unwrap();
    disk.inject(Fault::on(OpKind::CreateFile, ENOSPC));
    log.flush().unwrap();
    assert_eq!(log.recovery_point(), 0, "a load has to look at them");
    let after: Arc<dyn Disk> = Arc::new(disk.crash(3, CrashStyle::Mixed));
    let again = log_on(&after, small());
    assert_eq!(all_values(&again), [0], "they were synced");
    assert_eq!(again.latest_epoch(), log.latest_epoch());
    append(&log, 1, 1).unwrap();
    log.flush().unwrap();
    assert_eq!(log.recovery_point(), 2, "there is space again");
}

#[test]
fn a_failed_sync_is_never_retried() {
    for failure in [FsyncFailure::CleanAndForget, FsyncFailure::StayDirty, FsyncFailure::Revert] {
        let (disk, shared) = sim();
        let log = log_on(&shared, LogConfig { flush_messages: 1, ..small() });
        append(&log, 0, 1).unwrap();
        disk.set_fsync_failure(failure);
        disk.inject(Fault::on(OpKind::Sync, EIO));
        let ops = disk.trace().len();
        assert_eq!(kind(&append(&log, 1, 1).unwrap_err()), StorageErrorKind::Offline);
        let syncs = || disk.trace()[ops..].iter().filter(|op| op.contains("Sync ")).count();
        assert_eq!(syncs(), 1, "{:?}", &disk.trace()[ops..]);
        assert_eq!(log.offsets().high_watermark, 1, "what is not acknowledged is not readable");
        assert_eq!(kind(&append(&log, 2, 1).unwrap_err()), StorageErrorKind::Offline);
        assert_eq!(log.flush().unwrap_err().kind(), StorageErrorKind::Offline);
        assert_eq!(log.close().unwrap_err().kind(), StorageErrorKind::Offline);
        assert_eq!(syncs(), 1);
        assert!(log.log_dir().offline_reason().unwrap().contains("sync"));

        let after: Arc<dyn Disk> = Arc::new(disk.crash(3, CrashStyle::Mixed));
        let again = log_on(&after, small());
        assert!(all_values(&again).starts_with(&[0]));
    }
}

#[test]
fn a_full_disk_is_survived() {
    let config = LogConfig { segment_index_bytes: 10_485_760, segment_bytes: 20_000, ..small() };
    let (disk, shared) = sim();
    let log = log_on(&shared, config.clone());
    disk.set_capacity(Some(40_000));
    let mut acked = 0;
    let error = loop {
        match append(&log, acked, 1) {
            Ok(_) => acked += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(kind(&error), StorageErrorKind::Full, "{error}");
    assert!(acked > 100, "{acked} fit");
    for _ in 0..3 {
        assert_eq!(kind(&append(&log, acked, 1).unwrap_err()), StorageErrorKind::Full);
    }
    assert!(log.log_dir().is_online());
    assert_eq!(all_values(&log), (0..acked).collect::<Vec<_>>());

    disk.set_capacity(None);
    for value in acked..acked + 300 {
        append(&log, value, 1).unwrap();
    }
    assert_eq!(all_values(&log), (0..acked + 300).collect::<Vec<_>>());
    log.close().unwrap();
}

#[test]
fn a_log_on_a_full_disk_can_be_opened_and_read() {
    let (disk, shared) = sim();
    let log = log_on(&shared, small());
    for value in 0..20 {
        append(&log, value, 1).unwrap();
    }
    let after = disk.crash(0, CrashStyle::ProcessKill);
    after.set_capacity(Some(0));
    let shared: Arc<dyn Disk> = Arc::new(after.clone());
    match PartitionLog::open(crate::harness::opening(&shared, Path::new("data/t-0"), small())) {
        Ok(log) => assert_eq!(all_values(&log).len(), 20),
        Err(error) => {
            // A recovery may need blocks for indexes; it must say so, and work when there are some.
            assert!(error.to_string().contains("storage space"), "{error}");
            after.set_capacity(None);
            assert_eq!(all_values(&log_on(&shared, small())).len(), 20);
        }
    }
}

#[test]
fn no_descriptor_is_no_reason_to_go_offline() {
    let (disk, shared) = sim();
    let log = log_on(&shared, small());
    for value in 0..8 {
        append(&log, value, 1).unwrap();
    }
    disk.inject(Fault::on(OpKind::Open, EMFILE).sticky());
    let error = (8..20).find_map(|value| append(&log, value, 1).err()).unwrap();
    assert_eq!(kind(&error), StorageErrorKind::Exhausted);
    disk.clear_faults();
    assert!(log.log_dir().is_online());
    let next = log.offsets().log_end_offset as u64;
    append(&log, next, 1).unwrap();
    assert_eq!(all_values(&log), (0..=next).collect::<Vec<_>>());
}

#[test]
fn another_directory_goes_on() {
    let (disk, shared) = sim();
    let config = small();
    let known = |_: &_| ottla_storage::manager::Known::Here(config.clone());
    let dirs = crate::harness::manager_config(&["one", "two"], &config);
    let manager = ottla_storage::manager::LogManager::open(dirs, shared, NOW_MS, &known).unwrap();
    let a = manager.create(new_partition("a", &config), NOW_MS).unwrap();
    let b = manager.create(new_partition("b", &config), NOW_MS).unwrap();
    assert_ne!(a.log_dir().path(), b.log_dir().path(), "logs are spread");
    disk.inject(Fault::on(OpKind::Write, EIO).path(".log"));
    let outcome = append(&a, 0, 1);
    assert_eq!(kind(&outcome.unwrap_err()), StorageErrorKind::Offline);
    append(&b, 0, 1).unwrap();
    assert!(!manager.is_all_offline());
    assert!(matches!(a.flush(), Err(StorageError::Offline { .. })));
    let c = manager.create(new_partition("c", &config), NOW_MS).unwrap();
    assert_eq!(c.log_dir().path(), b.log_dir().path());
    disk.inject(Fault::on(OpKind::Sync, EIO));
    assert!(b.flush().is_err());
    assert!(manager.is_all_offline());
    assert!(manager.close(-1).is_ok(), "there is nothing left that could be closed");
    assert!(!disk.files().iter().any(|file| file.contains("cleanshutdown")));
}

#[test]
fn a_directory_that_fails_at_start_is_left_out() {
    let (disk, shared) = sim();
    drop(open_manager(&shared, &small()).unwrap());
    let config = small();
    let known = |_: &_| ottla_storage::manager::Known::Here(config.clone());
    disk.inject(Fault::on(OpKind::Lock, EIO).path("one/.lock"));
    let dirs = crate::harness::manager_config(&["one", "two"], &config);
    let manager =
        ottla_storage::manager::LogManager::open(dirs, Arc::clone(&shared), NOW_MS, &known);
    let manager = manager.unwrap();
    assert_eq!(manager.log_dirs().filter(|dir| dir.is_online()).count(), 1);
    drop(manager);
    disk.clear_faults();
    disk.inject(Fault::on(OpKind::Lock, EIO).sticky());
    let dirs = crate::harness::manager_config(&["one", "two"], &config);
    let error = ottla_storage::manager::LogManager::open(dirs, shared, NOW_MS, &known).unwrap_err();
    assert!(
        error.to_string().starts_with("no log directory can be used: lock one/.lock"),
        "{error}"
    );
}

#[test]
fn a_deletion_that_fails_leaves_nothing_to_the_next_topic_of_the_name() {
    let (disk, shared) = sim();
    let config = small();
    let manager = open_manager(&shared, &config).unwrap();
    for id in 1..4 {
        let new =
            NewPartition { topic_id: Uuid::from_bytes([id; 16]), ..new_partition("t", &config) };
        let log = manager.create(new.clone(), NOW_MS).unwrap();
        assert_eq!(log.offsets().log_end_offset, 0, "records of another topic");
        append(&log, 0, 1).unwrap();
        disk.inject(Fault::on(OpKind::Rename, ENOSPC).path("t-0"));
        assert!(manager.delete(&new.topic_partition, u128::from(id), NOW_MS).is_err());
        assert!(manager.log_dirs().all(|dir| dir.is_online()), "there may be space again");
    }
    // What is left of a partition that could not be made is used by the next try.
    let new = NewPartition { topic_id: Uuid::from_bytes([9; 16]), ..new_partition("t", &config) };
    disk.inject(Fault::on(OpKind::CreateFile, ENOSPC).path(".log"));
    assert!(manager.create(new.clone(), NOW_MS).is_err());
    assert_eq!(manager.create(new, NOW_MS).unwrap().offsets().log_end_offset, 0);
    manager.remove_due_files(NOW_MS + 60_000);
    let left = shared.list(Path::new("data")).unwrap();
    let left: Vec<_> = left.iter().filter(|entry| entry.name.starts_with("t-")).collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

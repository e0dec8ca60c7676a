//! A process that has no more descriptors. It has a program for itself: the limit is one of the
//! process.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_storage::config::LogConfig;
use ottla_storage::disk::{Disk, RealDisk};
use ottla_storage::error::{StorageError, StorageErrorKind};
use ottla_storage::log::{
    AppendAsLeader, AppendError, LogEnvironment, LogRole, OpenBudget, OpenLog, PartitionLog,
};
use ottla_storage::log_dir::LogDir;
use ottla_storage::partition_dir::TopicPartition;
use ottla_storage::producer_state::snapshots::Shutdown;
use ottla_storage::producer_state::{Origin, ProducerSettings, VerificationGuard};
use ottla_storage::sim::{Fault, OpKind, SimDisk};
use ottla_storage::validate::Validated;

const NOW_MS: i64 = 1_700_000_000_000;
const EMFILE: i32 = 24;

/// Whoever has it may take all descriptors; others that need some wait.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes all descriptors that there are, until what is returned is dropped.
fn exhaust() -> Vec<File> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, hard).unwrap();
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[test]
fn a_directory_is_synced_when_there_are_no_more() {
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    // As at every start: the names of new files are synced while there are descriptors.
    RealDisk.sync_dir(dir.path()).unwrap();
    let held = exhaust();
    assert!(File::open(dir.path()).is_err(), "none is left of {}", held.len());
    for _ in 0..3 {
        RealDisk.sync_dir(dir.path()).unwrap();
    }
    assert!(File::open(dir.path()).is_err(), "the spare one is still kept");
}

/// A log of tiny segments in `dir`, which is made.
fn log_on(disk: Arc<dyn Disk>, dir: &Path) -> Arc<PartitionLog> {
    let log_dir = LogDir::new(dir.parent().unwrap());
    disk.create_dir_all(dir).unwrap();
    let open = OpenLog {
        environment: LogEnvironment { disk, log_dir, open_segments: OpenBudget::new(100) },
        dir: dir.to_owned(),
        topic_partition: TopicPartition::new("t", 0),
        config: LogConfig {
            segment_bytes: 400,
            segment_index_bytes: 120,
            index_interval_bytes: 0,
            ..LogConfig::default()
        },
        role: LogRole::SoleReplica,
        producer_settings: ProducerSettings::default(),
        recovery_point: 0,
        log_start_offset: 0,
        after: Shutdown::Unclean,
        now_ms: NOW_MS,
    };
    PartitionLog::open(open).unwrap()
}

fn append(log: &PartitionLog) -> Result<(), StorageError> {
    let mut builder = BatchBuilder::new(BatchOptions::default()).unwrap();
    let record = NewRecord { timestamp: NOW_MS, value: Some(b"value"), ..NewRecord::default() };
    builder.append(&record).unwrap();
    let batch = Validated::from_built(builder.build().unwrap()).unwrap();
    let how = AppendAsLeader {
        leader_epoch: 0,
        now_ms: NOW_MS,
        origin: Origin::Client,
        guard: VerificationGuard::NONE,
    };
    match log.append_as_leader(&batch, how) {
        Ok(_) => Ok(()),
        Err(AppendError::Storage(error)) => Err(error),
        Err(error) => panic!("{error}"),
    }
}

/// A log with one segment, all of which is durable.
fn flushed_log_on(disk: Arc<dyn Disk>, dir: &Path) -> Arc<PartitionLog> {
    let log = log_on(disk, dir);
    for _ in 0..2 {
        append(&log).unwrap();
    }
    log.flush().unwrap();
    log
}

/// Appends until there are two segments more, and flushes them as the periodic work does.
fn roll_and_flush(log: &PartitionLog) -> Result<(), StorageError> {
    for _ in 0..12 {
        append(log)?;
    }
    log.flush_if_due(NOW_MS)
}

fn assert_it_may_work_later(log: &PartitionLog, error: &StorageError) {
    assert_eq!(error.kind(), StorageErrorKind::Exhausted, "{error}");
    assert!(log.log_dir().is_online(), "{error}");
}

#[test]
fn a_flush_of_indexes_works_later() {
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let log = flushed_log_on(Arc::new(RealDisk), &dir.path().join("t-0"));
    while log.segments_count() == 1 {
        append(&log).unwrap();
    }
    let held = exhaust();
    let error = log.flush_if_due(NOW_MS).unwrap_err();
    assert_it_may_work_later(&log, &error);
    drop(held);
    log.flush_if_due(NOW_MS).unwrap();
    roll_and_flush(&log).unwrap();
    assert_eq!(log.recovery_point(), log.offsets().log_end_offset);
}

/// Whichever file it is for which there is no descriptor.
#[test]
fn a_roll_and_a_flush_work_later() {
    for kind in [OpKind::Open, OpKind::CreateFile] {
        let mut failed = 0;
        loop {
            let sim = SimDisk::new();
            let log = flushed_log_on(Arc::new(sim.clone()), Path::new("data/t-0"));
            sim.inject(Fault::on(kind, EMFILE).skip(failed).sticky());
            let outcome = roll_and_flush(&log);
            sim.clear_faults();
            let Err(error) = outcome else { break };
            assert_it_may_work_later(&log, &error);
            roll_and_flush(&log).unwrap();
            assert_eq!(log.recovery_point(), log.offsets().log_end_offset);
            failed += 1;
        }
        assert!(failed > 3, "{kind:?}: {failed}");
    }
}

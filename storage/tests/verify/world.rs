//! A log directory to damage: two topics, made by a manager on a simulated disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_protocol::record::control::EndTxnMarker;
use ottla_protocol::uuid::Uuid;
use ottla_storage::config::LogConfig;
use ottla_storage::disk::{Disk, Open};
use ottla_storage::log::{AppendAsLeader, LogRole, PartitionLog};
use ottla_storage::manager::{Known, LogManager, ManagerConfig, NewPartition};
use ottla_storage::meta_properties::{self, MetaProperties};
use ottla_storage::partition_dir::TopicPartition;
use ottla_storage::producer_state::{Origin, ProducerSettings, VerificationGuard};
use ottla_storage::sim::SimDisk;
use ottla_storage::validate::Validated;
use ottla_storage::verify::{
    Code, DirReport, Finding, Progress, Severity, VerifyOptions, no_metadata, verify_log_dir,
    verify_partition_dir,
};

pub(crate) const NOW_MS: i64 = 1_700_000_000_000;
pub(crate) const DIR: &str = "data";

/// All files of a directory.
pub(crate) type Image = BTreeMap<String, Vec<u8>>;

/// Tiny segments and an index entry for all batches but the first.
pub(crate) fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 400,
        segment_index_bytes: 120,
        index_interval_bytes: 0,
        ..LogConfig::default()
    }
}

pub(crate) fn manager(disk: &Arc<dyn Disk>) -> LogManager {
    let config = ManagerConfig {
        dirs: vec![DIR.into()],
        recovery_threads_per_dir: 1,
        open_segments_max: 8,
        default_log_config: config(),
        producer_settings: ProducerSettings {
            verification_enabled: false,
            ..ProducerSettings::default()
        },
        role: LogRole::SoleReplica,
    };
    let known = |_: &_| Known::Here(self::config());
    LogManager::open(config, Arc::clone(disk), NOW_MS, &known).unwrap()
}

fn how(leader_epoch: i32, origin: Origin) -> AppendAsLeader {
    AppendAsLeader { leader_epoch, now_ms: NOW_MS, origin, guard: VerificationGuard::NONE }
}

/// Appends a batch of `count` records.
pub(crate) fn append(log: &PartitionLog, epoch: i32, count: u8, options: BatchOptions) {
    let mut builder = BatchBuilder::new(options).unwrap();
    let first = log.offsets().log_end_offset;
    for n in 0..count {
        let timestamp = NOW_MS + first + i64::from(n);
        let value = [n; 10];
        builder
            .append(&NewRecord { timestamp, value: Some(&value), ..NewRecord::default() })
            .unwrap();
    }
    let batch = Validated::from_built(builder.build().unwrap()).unwrap();
    log.append_as_leader(&batch, how(epoch, Origin::Client)).unwrap();
}

fn produced(producer_id: i64, base_sequence: i32, transactional: bool) -> BatchOptions {
    let producer_epoch = 0;
    BatchOptions { producer_id, producer_epoch, base_sequence, transactional, ..Default::default() }
}

fn end_txn(log: &PartitionLog, producer_id: i64, committed: bool) {
    let options = BatchOptions { producer_id, producer_epoch: 0, ..Default::default() };
    let marker = EndTxnMarker { committed, coordinator_epoch: 0 };
    let bytes = marker.to_batch(options, NOW_MS).unwrap();
    let batch = Validated::from_built(bytes).unwrap();
    log.append_as_leader(&batch, how(0, Origin::Coordinator)).unwrap();
}

/// The logs of a broker that has not stopped. `plain-0` has several segments and two epochs,
/// `txn-0` an idempotent and two transactional producers, one with a transaction still open.
pub(crate) fn fill(disk: &Arc<dyn Disk>) -> LogManager {
    disk.create_dir_all(Path::new(DIR)).unwrap();
    disk.sync_dir(Path::new(".")).unwrap();
    let meta = MetaProperties {
        cluster_id: "4L6g3nShT-eMCtK--X86sw".to_owned(),
        node_id: 1,
        directory_id: Some(Uuid::from_u64s(300, 400)),
    };
    meta_properties::write(&**disk, Path::new(DIR), &meta, NOW_MS).unwrap();
    let manager = manager(disk);
    let create = |topic: &str, partition, id| {
        let topic_partition = TopicPartition::new(topic, partition);
        let topic_id = Uuid::from_u64s(7, id);
        manager
            .create(NewPartition { topic_partition, topic_id, config: config() }, NOW_MS)
            .unwrap()
    };
    let plain = create("plain", 0, 1);
    create("plain", 1, 1);
    for epoch in 0..2 {
        plain.begin_leader_epoch(epoch).unwrap();
        for n in 0..5 {
            append(&plain, epoch, 1 + n % 3, BatchOptions::default());
        }
    }
    let txn = create("txn", 0, 2);
    txn.begin_leader_epoch(0).unwrap();
    for n in 0..4 {
        append(&txn, 0, 2, produced(10, 2 * n, false));
        append(&txn, 0, 2, produced(11, 2 * n, true));
        append(&txn, 0, 1, produced(12, n, true));
        end_txn(&txn, 11, n % 2 == 1);
        end_txn(&txn, 12, n % 2 == 0);
    }
    append(&txn, 0, 1, produced(12, 4, true));
    manager
}

pub(crate) fn image_of(disk: &SimDisk) -> Image {
    let files = disk.files().into_iter();
    files.map(|name| (name.clone(), disk.contents(Path::new(&name)).unwrap())).collect()
}

/// The directory after an orderly stop.
pub(crate) fn clean() -> Image {
    let sim = SimDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    let manager = fill(&disk);
    manager.checkpoint_high_watermarks().unwrap();
    manager.close(5).unwrap();
    image_of(&sim)
}

/// The directory of a broker that was killed.
pub(crate) fn killed() -> Image {
    let sim = SimDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    let manager = fill(&disk);
    manager.checkpoint_high_watermarks().unwrap();
    manager.checkpoint_recovery_points().unwrap();
    let image = image_of(&sim);
    drop(manager);
    image
}

/// A disk with these files.
pub(crate) fn disk_of(image: &Image) -> SimDisk {
    let disk = SimDisk::new();
    for (name, bytes) in image {
        put(&disk, name, bytes);
    }
    disk
}

/// Writes a file.
pub(crate) fn put(disk: &SimDisk, name: &str, bytes: &[u8]) {
    let path = Path::new(name);
    disk.create_dir_all(path.parent().unwrap()).unwrap();
    let file = disk.open(path, Open::Truncate).unwrap();
    file.write_all_at(&[std::io::IoSlice::new(bytes)], 0).unwrap();
}

pub(crate) fn verify(disk: &SimDisk) -> DirReport {
    verify_deep(disk, false)
}

pub(crate) fn verify_deep(disk: &SimDisk, deep: bool) -> DirReport {
    let options = VerifyOptions {
        deep,
        threads: 1,
        index_interval_bytes: 4096,
        known: &no_metadata,
        progress: &Progress::default(),
    };
    verify_log_dir(disk, Path::new(DIR), &options).unwrap()
}

/// Verifies one partition's directory on its own.
pub(crate) fn verify_partition(disk: &SimDisk, name: &str) -> DirReport {
    let options = VerifyOptions {
        deep: false,
        threads: 1,
        index_interval_bytes: 4096,
        known: &no_metadata,
        progress: &Progress::default(),
    };
    verify_partition_dir(disk, &Path::new(DIR).join(name), &options).unwrap()
}

/// All findings, as text.
pub(crate) fn texts(report: &DirReport) -> Vec<String> {
    report.all_findings().map(ToString::to_string).collect()
}

/// The one finding of this code in this file.
pub(crate) fn the(report: &DirReport, name: &str, code: Code) -> Finding {
    let path = PathBuf::from(format!("{DIR}/{name}"));
    let found: Vec<_> =
        report.all_findings().filter(|f| f.path == path && f.code == code).collect();
    assert_eq!(found.len(), 1, "{name} {code:?} in {:#?}", texts(report));
    found[0].clone()
}

/// A change to an image's file, and what is to be found then.
pub(crate) struct Case {
    pub(crate) what: &'static str,
    pub(crate) file: &'static str,
    pub(crate) change: fn(&mut Vec<u8>),
    pub(crate) code: Code,
    pub(crate) severity: Severity,
}

/// Verifies each case on an image of its own.
pub(crate) fn check_cases(image: &Image, cases: &[Case]) {
    for Case { what, file, change, code, severity } in cases {
        let mut image = image.clone();
        change(image.entry(format!("{DIR}/{file}")).or_default());
        let report = verify(&disk_of(&image));
        let finding = the(&report, file, *code);
        assert_eq!(finding.severity, *severity, "{what}: {finding}");
    }
}

//! The manager: directories, checkpoints, clean and unclean starts, deletion.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_storage::checkpoint::read_offsets;
use ottla_storage::disk::{Disk, Open, RealDisk};
use ottla_storage::log::{Isolation, Read, ReadError};
use ottla_storage::manager::{Known, LockedDirs, LogManager, ManagerError};
use ottla_storage::partition_dir::TopicPartition;
use ottla_storage::sim::{CrashStyle, Fault, OpKind, SimDisk, Stop};

use crate::harness::{
    NOW_MS, all_values, append, manager_config, new_partition, open_manager, read_at, small,
};

fn sim() -> (SimDisk, Arc<dyn Disk>) {
    let disk = SimDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    (disk, shared)
}

#[test]
fn a_clean_stop_is_trusted_and_leaves_kafkas_files() {
    let (disk, shared) = sim();
    let manager = open_manager(&shared, &small()).unwrap();
    let log = manager.create(new_partition("t", &small()), NOW_MS).unwrap();
    for value in 0..10 {
        append(&log, value, 1).unwrap();
    }
    log.advance_log_start(3).unwrap();
    manager.close(42).unwrap();
    assert_eq!(
        disk.contents(Path::new("data/.kafka_cleanshutdown")).unwrap(),
        br#"{"version":0,"brokerEpoch":42}"#
    );
    let text = |name: &str| {
        String::from_utf8(disk.contents(&Path::new("data").join(name)).unwrap()).unwrap()
    };
    assert_eq!(text("recovery-point-offset-checkpoint"), "0\n1\nt 0 10\n");
    assert_eq!(text("log-start-offset-checkpoint"), "0\n1\nt 0 3\n");
    assert_eq!(text("replication-offset-checkpoint"), "0\n1\nt 0 10\n");
    assert_eq!(text("t-0/partition.metadata"), "version: 0\ntopic_id: AAAAAAAAAAcAAAAAAAAACA");
    assert!(!disk.files().iter().any(|file| file.ends_with(".lock")));

    let manager = open_manager(&shared, &small()).unwrap();
    assert!(disk.contents(Path::new("data/.kafka_cleanshutdown")).is_none());
    assert_eq!(manager.previous_broker_epoch(), Some(42));
    let log = manager.get(&TopicPartition::new("t", 0)).unwrap();
    let offsets = log.offsets();
    assert_eq!((offsets.log_start_offset, offsets.log_end_offset), (3, 10));
    assert_eq!(all_values(&log), (3..10).collect::<Vec<_>>());
}

#[test]
fn only_what_lies_behind_the_recovery_point_is_recovered() {
    let (disk, shared) = sim();
    let manager = open_manager(&shared, &small()).unwrap();
    let log = manager.create(new_partition("t", &small()), NOW_MS).unwrap();
    for value in 0..20 {
        append(&log, value, 1).unwrap();
    }
    log.flush().unwrap();
    manager.checkpoint_recovery_points().unwrap();
    for value in 20..24 {
        append(&log, value, 1).unwrap();
    }
    // Damage far below the recovery point is not looked for, damage behind it is cut off.
    let killed = disk.crash(0, CrashStyle::ProcessKill);
    killed.corrupt(Path::new("data/t-0/00000000000000000000.log"), 70, b"!");
    let shared: Arc<dyn Disk> = Arc::new(killed);
    let manager = open_manager(&shared, &small()).unwrap();
    let log = manager.get(&TopicPartition::new("t", 0)).unwrap();
    assert_eq!(log.offsets().log_end_offset, 24);
    assert_eq!(log.recovery_point(), 20);
}

#[test]
fn a_second_broker_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().to_str().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let locked = LockedDirs::lock(manager_config(&[dir], &small()), Arc::clone(&disk)).unwrap();
    let second = LockedDirs::lock(manager_config(&[dir], &small()), Arc::clone(&disk));
    assert!(matches!(second, Err(ManagerError::DirInUse { .. })));
    drop(locked);
    let twice = LockedDirs::lock(manager_config(&[dir, dir], &small()), disk);
    assert!(matches!(twice, Err(ManagerError::DirInUse { .. })), "named twice");
}

#[test]
fn deleted_partitions_go_after_their_delay() {
    let (disk, shared) = sim();
    let config = small();
    let manager = open_manager(&shared, &config).unwrap();
    let log = manager.create(new_partition("t", &config), NOW_MS).unwrap();
    let keep = manager.create(new_partition("keep", &config), NOW_MS).unwrap();
    for value in 0..10 {
        append(&log, value, 1).unwrap();
    }
    append(&keep, 0, 1).unwrap();
    let held = read_at(&log, 0, 100).unwrap();
    let topic_partition = TopicPartition::new("t", 0);
    assert!(manager.delete(&topic_partition, 0xabc, NOW_MS).unwrap());
    assert!(!manager.delete(&topic_partition, 0xabc, NOW_MS).unwrap());
    assert!(manager.get(&topic_partition).is_none());
    assert!(append(&log, 10, 1).is_err());
    let read = Read {
        start_offset: 0,
        bytes_max: 100,
        isolation: Isolation::HighWatermark,
        min_one_batch: true,
    };
    assert!(matches!(log.read(read), Err(ReadError::Storage(_))));
    assert!(manager.log_dirs().all(|dir| dir.is_online()));
    let renamed = "data/t-0.00000000000000000000000000000abc-delete";
    assert!(shared.exists(Path::new(renamed)).unwrap());
    let checkpoint = Path::new("data/recovery-point-offset-checkpoint");
    assert_eq!(read_offsets(&*shared, checkpoint).unwrap().len(), 1);

    // A new partition of the name may come at once.
    let new = manager.create(new_partition("t", &config), NOW_MS).unwrap();
    assert_eq!(new.offsets().log_end_offset, 0);
    manager.remove_due_files(NOW_MS + 59_999);
    assert!(shared.exists(Path::new(renamed)).unwrap());
    manager.remove_due_files(NOW_MS + 60_000);
    assert!(!shared.exists(Path::new(renamed)).unwrap());
    assert_eq!(crate::harness::bytes_of(&held).len(), held.length as usize);

    // What a kill leaves half deleted goes after the next start.
    manager.delete(&TopicPartition::new("keep", 0), 5, NOW_MS).unwrap();
    let killed: Arc<dyn Disk> = Arc::new(disk.crash(0, CrashStyle::ProcessKill));
    let manager = open_manager(&killed, &config).unwrap();
    assert_eq!(manager.logs().len(), 1);
    manager.remove_due_files(NOW_MS + 60_000);
    let left = killed.list(Path::new("data")).unwrap();
    assert!(!left.iter().any(|entry| entry.name.ends_with("-delete")), "{left:?}");
}

#[test]
fn settings_change_while_it_runs() {
    let (_disk, shared) = sim();
    let manager = open_manager(&shared, &small()).unwrap();
    for name in ["t", "u"] {
        manager.create(new_partition(name, &small()), NOW_MS).unwrap();
    }
    let renamed = |name: &str| format!("data/{name}-0.{:032x}-delete", 1);
    let exists = |name: &str| shared.exists(Path::new(&renamed(name))).unwrap();
    manager.delete(&TopicPartition::new("t", 0), 1, NOW_MS).unwrap();
    manager.set_config(|config| config.default_log_config.file_delete_delay_ms = 5);
    manager.delete(&TopicPartition::new("u", 0), 1, NOW_MS).unwrap();
    manager.remove_due_files(NOW_MS + 4);
    assert_eq!((exists("t"), exists("u")), (true, true));
    manager.remove_due_files(NOW_MS + 5);
    assert_eq!((exists("t"), exists("u")), (true, false), "what is under way keeps its time");
}

#[test]
fn strangers_stop_the_start_and_strays_are_set_aside() {
    let (_, shared) = sim();
    let manager = open_manager(&shared, &small()).unwrap();
    manager.create(new_partition("gone", &small()), NOW_MS).unwrap();
    manager.create(new_partition("here", &small()), NOW_MS).unwrap();
    manager.close(-1).unwrap();
    let config = small();
    let known = |found: &ottla_storage::manager::FoundLog| match &*found.topic_partition.topic {
        "here" => Known::Here(config.clone()),
        _ => Known::Stray,
    };
    let open = || {
        LogManager::open(manager_config(&["data"], &config), Arc::clone(&shared), NOW_MS, &known)
    };
    let manager = open().unwrap();
    assert_eq!(manager.logs().len(), 1);
    let names = shared.list(Path::new("data")).unwrap();
    assert!(names.iter().any(|entry| entry.name.ends_with("-stray")), "{names:?}");
    manager.close(-1).unwrap();

    shared.create_dir_all(Path::new("data/lost+found")).unwrap();
    let error = open().unwrap_err();
    assert!(matches!(error, ManagerError::DirName { .. }), "{error}");
    shared.remove_dir(Path::new("data/lost+found")).unwrap();
    shared.open(Path::new("data/here-0/foo.log"), Open::Create).unwrap();
    let error = open().unwrap_err();
    assert!(matches!(error, ManagerError::FileName { .. }), "{error}");
}

/// Makes a partition in one directory, with so many records.
fn make_in(shared: &Arc<dyn Disk>, dir: &str, records: u64) {
    let config = small();
    let known = |_: &_| Known::Here(config.clone());
    let dirs = manager_config(&[dir], &config);
    let manager = LogManager::open(dirs, Arc::clone(shared), NOW_MS, &known).unwrap();
    let log = manager.create(new_partition("t", &config), NOW_MS).unwrap();
    for value in 0..records {
        append(&log, value, 1).unwrap();
    }
    manager.checkpoint_recovery_points().unwrap();
}

#[test]
fn the_same_partition_twice_stops_the_start() {
    let (_, shared) = sim();
    make_in(&shared, "one", 3);
    make_in(&shared, "two", 3);
    let config = small();
    let known = |_: &_| Known::Here(config.clone());
    let dirs = || manager_config(&["one", "two"], &config);
    for _ in 0..2 {
        let error = LogManager::open(dirs(), Arc::clone(&shared), NOW_MS, &known);
        assert!(matches!(error, Err(ManagerError::Duplicate { .. })));
    }
}

#[test]
fn of_two_copies_one_without_records_is_set_aside() {
    for (first, second) in [(0, 3), (3, 0), (0, 0)] {
        let (disk, shared) = sim();
        make_in(&shared, "one", first);
        make_in(&shared, "two", second);
        let config = small();
        let known = |_: &_| Known::Here(config.clone());
        let open = |shared: &Arc<dyn Disk>| {
            let dirs = manager_config(&["one", "two"], &config);
            LogManager::open(dirs, Arc::clone(shared), NOW_MS, &known).unwrap()
        };
        let manager = open(&shared);
        let log = manager.get(&TopicPartition::new("t", 0)).unwrap();
        let (kept, gone) = if second > 0 { ("two", "one") } else { ("one", "two") };
        assert_eq!(log.log_dir().path(), Path::new(kept));
        assert_eq!(all_values(&log).len() as u64, first + second);
        let names = shared.list(Path::new(gone)).unwrap();
        assert!(names.iter().any(|entry| entry.name.ends_with("-stray")), "{names:?}");
        let points =
            read_offsets(&*shared, &Path::new(gone).join("recovery-point-offset-checkpoint"));
        assert!(points.unwrap().is_empty());
        let after: Arc<dyn Disk> = Arc::new(disk.crash(1, CrashStyle::ProcessKill));
        drop(open(&after));
    }
}

#[test]
fn a_partition_is_made_where_it_was_begun() {
    let (disk, shared) = sim();
    let config = small();
    let known = |_: &_| Known::Here(config.clone());
    let dirs = manager_config(&["one", "two"], &config);
    let manager = LogManager::open(dirs, Arc::clone(&shared), NOW_MS, &known).unwrap();
    disk.inject(Fault::on(OpKind::CreateFile, 28).path(".log"));
    assert!(manager.create(new_partition("t", &config), NOW_MS).is_err());
    // By the number of partitions the next one goes to the same directory, and this one elsewhere.
    manager.create(new_partition("u", &config), NOW_MS).unwrap();
    manager.create(new_partition("t", &config), NOW_MS).unwrap();
    let is_in = |dir: &str| shared.exists(&Path::new(dir).join("t-0")).unwrap();
    assert!(is_in("one") != is_in("two"));
}

#[test]
fn a_cordoned_directory_gets_nothing_new_while_there_is_another() {
    let (_, shared) = sim();
    let config = small();
    let known = |_: &_| Known::Here(config.clone());
    let dirs = manager_config(&["one", "two"], &config);
    let manager = LogManager::open(dirs, Arc::clone(&shared), NOW_MS, &known).unwrap();
    let place = |topic: &str| {
        manager.create(new_partition(topic, &config), NOW_MS).unwrap();
        let is_in = |dir: &&str| shared.exists(&Path::new(dir).join(format!("{topic}-0"))).unwrap();
        let dirs: Vec<_> = ["one", "two"].into_iter().filter(is_in).collect();
        dirs.concat()
    };
    let cordon = |dirs: &[&str]| manager.set_cordoned(dirs.iter().map(PathBuf::from));
    cordon(&["one"]);
    assert_eq!([place("a"), place("b"), place("c")], ["two"; 3]);
    cordon(&["one", "two"]);
    assert_eq!(place("d"), "one", "the one with fewer, when all are");
    cordon(&["two"]);
    assert_eq!([place("e"), place("f"), place("g")], ["one"; 3]);
    manager.log_dirs().next().unwrap().take_offline("out of order");
    assert_eq!(place("h"), "two", "when no other is online");
}

#[test]
fn leftovers_of_a_compaction_are_finished_or_cleared() {
    let (disk, shared) = sim();
    let manager = open_manager(&shared, &small()).unwrap();
    let log = manager.create(new_partition("t", &small()), NOW_MS).unwrap();
    for value in 0..10 {
        append(&log, value, 1).unwrap();
    }
    manager.close(-1).unwrap();
    let dir = Path::new("data/t-0");
    let path = |name: &str| dir.join(name);
    let first = disk.contents(&path("00000000000000000000.log")).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let file = shared.open(&path(name), Open::Truncate).unwrap();
        file.write_all_at(&[std::io::IoSlice::new(bytes)], 0).unwrap();
    };
    // An unfinished run, and what was to be removed.
    write("00000000000000000000.log.cleaned", b"half");
    write("00000000000000000000.log.swap", b"half");
    write("00000000000000000099.log.deleted", b"old");
    let manager = open_manager(&shared, &small()).unwrap();
    let log = manager.get(&TopicPartition::new("t", 0)).unwrap();
    assert_eq!(all_values(&log), (0..10).collect::<Vec<_>>());
    manager.close(-1).unwrap();
    let left = disk.files();
    assert!(!left.iter().any(|name| name.ends_with("ed") || name.ends_with("swap")), "{left:?}");

    // A finished one takes the place of the segment that it was made of.
    write("00000000000000000000.log.swap", &first);
    write("00000000000000000000.index.swap", b"");
    write("00000000000000000000.timeindex.swap", b"");
    let manager = open_manager(&shared, &small()).unwrap();
    let log = manager.get(&TopicPartition::new("t", 0)).unwrap();
    assert_eq!(all_values(&log), (0..10).collect::<Vec<_>>());
    assert!(!disk.files().iter().any(|name| name.ends_with("swap")));
}

#[test]
fn a_thousand_partitions_cost_little() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().to_str().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let config = ottla_storage::config::LogConfig::default();
    let known = |_: &_| Known::Here(config.clone());
    let manager =
        LogManager::open(manager_config(&[dir], &config), Arc::clone(&disk), NOW_MS, &known)
            .unwrap();
    for n in 0..20 {
        let log = manager.create(new_partition(&format!("t{n}"), &config), NOW_MS).unwrap();
        append(&log, 0, 1).unwrap();
    }
    use std::os::unix::fs::MetadataExt;
    let index = root.path().join("t3-0/00000000000000000000.index");
    let index = std::fs::metadata(index).unwrap();
    assert_eq!((index.len(), index.blocks()), (0, 0), "no entry was due");
    let time_index = root.path().join("t3-0/00000000000000000000.timeindex");
    let time_index = std::fs::metadata(time_index).unwrap();
    assert_eq!(time_index.len(), 10_485_756);
    let blocks = time_index.blocks();
    assert!((1..=8).contains(&blocks), "{blocks} blocks for the entry at the segment's end");
    manager.close(-1).unwrap();
}

#[test]
fn directories_of_another_node_or_cluster_are_refused() {
    use ottla_storage::meta_properties::{self, MetaProperties};
    let (_, shared) = sim();
    let lock = || {
        LockedDirs::lock(manager_config(&["one", "two"], &small()), Arc::clone(&shared)).unwrap()
    };
    assert!(lock().meta_properties(1).unwrap().iter().all(|dir| dir.meta.is_none()));
    let write = |dir: &str, cluster: &str, node_id| {
        let meta = MetaProperties { cluster_id: cluster.to_owned(), node_id, directory_id: None };
        meta_properties::write(&*shared, Path::new(dir), &meta, NOW_MS).unwrap();
    };
    write("one", "c", 1);
    let found = lock().meta_properties(1).unwrap();
    assert_eq!(found.iter().filter(|dir| dir.meta.is_some()).count(), 1);
    write("two", "other", 1);
    let error = lock().meta_properties(1).unwrap_err();
    assert!(error.to_string().contains("cluster id"), "{error}");
    write("two", "c", 2);
    let error = lock().meta_properties(1).unwrap_err();
    assert!(error.to_string().contains("node id"), "{error}");
}

#[test]
fn a_directory_whose_making_was_cut_short_is_not_lost_later() {
    let (disk, shared) = sim();
    disk.stop(Stop::After(0));
    assert!(open_manager(&shared, &small()).is_err(), "killed when it was made");
    assert!(disk.trace()[1].contains("CreateDir"), "{:?}", disk.trace());
    let disk = disk.crash(0, CrashStyle::ProcessKill);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let manager = open_manager(&shared, &small()).unwrap();
    manager.create(new_partition("t", &small()), NOW_MS).unwrap();
    let after: Arc<dyn Disk> = Arc::new(disk.crash(1, CrashStyle::DropPending));
    assert_eq!(open_manager(&after, &small()).unwrap().logs().len(), 1);
}

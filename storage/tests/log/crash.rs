//! Crash images: a workload is cut before, amid and after every operation on the disk, and what a
//! kill or a power loss leaves is opened again and compared with a model log.

use std::sync::Arc;

use ottla_storage::config::LogConfig;
use ottla_storage::disk::Disk;
use ottla_storage::log::TimestampQuery;
use ottla_storage::manager::LogManager;
use ottla_storage::partition_dir::TopicPartition;
use ottla_storage::sim::{CrashStyle, SimDisk, Stop};

use crate::harness::{
    NOW_MS, all_values, append, check_every_offset, new_partition, open_manager, small,
};

/// The model: the log holds the values 0, 1, 2 and so on.
#[derive(Clone, Copy, Debug, Default)]
struct Model {
    /// So many values were given to the log, acknowledged or not.
    tried: u64,
    /// So many were acknowledged.
    acked: u64,
    /// So many were acknowledged as durable.
    durable: u64,
}

/// Appends, rolls, flushes, checkpoints, snapshots, and closes, until the disk stops.
fn work(disk: &SimDisk, config: &LogConfig, model: &mut Model) -> Option<()> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let manager = open_manager(&shared, config).ok()?;
    let log = manager.create(new_partition("t", config), NOW_MS).ok()?;
    for step in 0..10 {
        let count = 1 + step % 3;
        let first = model.tried;
        model.tried += count;
        append(&log, first, count).ok()?;
        model.acked = model.tried;
        if config.flush_messages == 1 {
            model.durable = model.acked;
        }
        match step {
            3 => manager.flush_due(NOW_MS).ok()?,
            5 => {
                log.flush().ok()?;
                model.durable = model.acked;
                manager.checkpoint_recovery_points().ok()?;
                manager.checkpoint_high_watermarks().ok()?;
            }
            7 => manager.checkpoint_recovery_points().ok()?,
            _ => {}
        }
    }
    manager.close(5).ok()?;
    model.durable = model.acked;
    Some(())
}

/// Opens what a crash has left; the log must be a prefix of what was tried, no shorter than
/// `at_least`, and must go on working.
fn check(disk: &SimDisk, config: &LogConfig, at_least: u64, tried: u64, how: &str) {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let manager = open_manager(&shared, config).unwrap_or_else(|error| panic!("{how}: {error}"));
    let Some(log) = manager.get(&TopicPartition::new("t", 0)) else {
        assert_eq!(at_least, 0, "{how}: the log is gone");
        return;
    };
    let values = all_values(&log);
    let count = values.len() as u64;
    assert_eq!(values, (0..count).collect::<Vec<_>>(), "{how}: a prefix");
    assert!(at_least <= count && count <= tried, "{how}: {at_least} <= {count} <= {tried}");
    let appended = append(&log, count, 2).unwrap_or_else(|error| panic!("{how}: {error}"));
    assert_eq!(appended.base_offset, count as i64, "{how}");
    manager.close(6).unwrap();
    drop(log);
    // What a clean stop leaves is trusted, and must be right.
    let again = open_manager(&shared, config).unwrap();
    let log = again.get(&TopicPartition::new("t", 0)).unwrap();
    assert_eq!(all_values(&log).len() as u64, count + 2, "{how}: after a clean stop");
    check_every_offset(&log);
    close(again);
}

fn close(manager: LogManager) {
    manager.close(7).unwrap();
}

fn cut_everywhere(config: &LogConfig) {
    let whole = SimDisk::new();
    work(&whole, config, &mut Model::default()).unwrap();
    let ops = whole.ops();
    assert!(ops > 100, "{ops} operations are a workload");
    for op in 0..ops {
        for stop in [Stop::Before(op), Stop::Amid(op)] {
            let disk = SimDisk::new();
            disk.stop(stop);
            let mut model = Model::default();
            let ended = work(&disk, config, &mut model);
            assert!(ended.is_none() || op + 1 == ops, "{stop:?} of {ops} ends the work");
            let killed = disk.crash(op, CrashStyle::ProcessKill);
            check(&killed, config, model.acked, model.tried, &format!("{stop:?}, killed"));
            let style = CrashStyle::POWER_LOSS[op as usize % CrashStyle::POWER_LOSS.len()];
            for style in [style, CrashStyle::Mixed, CrashStyle::Subset] {
                let how = format!("{stop:?}, {style:?}");
                let lost = disk.crash(op, style);
                check(&lost, config, model.durable, model.tried, &how);
            }
        }
    }
}

#[test]
fn a_cut_anywhere_loses_nothing_that_was_promised() {
    cut_everywhere(&small());
}

#[test]
fn with_flush_messages_acknowledged_is_durable() {
    cut_everywhere(&LogConfig { flush_messages: 1, ..small() });
}

/// A crash while a crash is recovered from, at every operation of the recovery.
#[test]
fn recovery_may_be_cut_too() {
    let config = small();
    let disk = SimDisk::new();
    disk.stop(Stop::Before(110));
    let mut model = Model::default();
    work(&disk, &config, &mut model);
    for style in [CrashStyle::ProcessKill, CrashStyle::Subset, CrashStyle::Garbage] {
        let crashed = disk.crash(3, style);
        let at_least = if style == CrashStyle::ProcessKill { model.acked } else { model.durable };
        let reference = crashed.crash(0, CrashStyle::ProcessKill);
        let shared: Arc<dyn Disk> = Arc::new(reference.clone());
        drop(open_manager(&shared, &config).unwrap());
        for op in 0..reference.ops() {
            let again = crashed.crash(0, CrashStyle::ProcessKill);
            again.stop(Stop::Amid(op));
            let shared: Arc<dyn Disk> = Arc::new(again.clone());
            drop(open_manager(&shared, &config));
            for second in [CrashStyle::ProcessKill, CrashStyle::Mixed] {
                let twice = again.crash(op, second);
                let how = format!("{style:?}, then {second:?} at operation {op} of the recovery");
                check(&twice, &config, at_least, model.tried, &how);
            }
        }
    }
}

/// A roll that begins where the recovery point is: what is sealed then lies below the recovery
/// point, and a start trusts its indexes.
#[test]
fn a_roll_right_behind_a_flush_loses_no_time() {
    let config = LogConfig { flush_messages: 1, index_interval_bytes: 4096, ..small() };
    let values = 12;
    let run = |disk: &SimDisk| {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let manager = open_manager(&shared, &config).ok()?;
        let log = manager.create(new_partition("t", &config), NOW_MS).ok()?;
        for value in 0..values {
            append(&log, value, 1).ok()?;
            manager.checkpoint_recovery_points().ok()?;
        }
        Some(())
    };
    let whole = SimDisk::new();
    run(&whole).unwrap();
    for op in 0..whole.ops() {
        let disk = SimDisk::new();
        disk.stop(Stop::Before(op));
        run(&disk);
        for style in CrashStyle::POWER_LOSS {
            let shared: Arc<dyn Disk> = Arc::new(disk.crash(op, style));
            let manager = open_manager(&shared, &config).unwrap();
            let Some(log) = manager.get(&TopicPartition::new("t", 0)) else { continue };
            for value in 0..log.offsets().log_end_offset {
                let query = TimestampQuery::At(NOW_MS + value);
                let told = log.offset_for_timestamp(query).unwrap().map(|told| told.offset);
                assert_eq!(told, Some(value), "before {op}, {style:?}");
            }
        }
    }
}

/// Records that were flushed are cut off: at no point may a start take that for damage.
#[test]
fn a_kill_amid_a_truncation_damages_nothing() {
    let config = small();
    for op in 0.. {
        let disk = SimDisk::new();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let manager = open_manager(&shared, &config).unwrap();
        let log = manager.create(new_partition("t", &config), NOW_MS).unwrap();
        for value in 0..20 {
            append(&log, value, 1).unwrap();
        }
        log.flush().unwrap();
        manager.checkpoint_recovery_points().unwrap();
        disk.stop(Stop::Before(disk.ops() + op));
        let done = manager.truncate_to(&log, 7, NOW_MS).is_ok();
        for style in [CrashStyle::ProcessKill, CrashStyle::Mixed] {
            let shared: Arc<dyn Disk> = Arc::new(disk.crash(op, style));
            let manager = open_manager(&shared, &config).unwrap();
            let log = manager.get(&TopicPartition::new("t", 0));
            let log = log.unwrap_or_else(|| panic!("{op}, {style:?}: offline"));
            let values = all_values(&log);
            assert_eq!(values, (0..values.len() as u64).collect::<Vec<_>>(), "{op}, {style:?}");
            assert!(7 <= values.len() && (!done || values.len() == 7), "{op}, {style:?}");
        }
        if done {
            break;
        }
    }
}

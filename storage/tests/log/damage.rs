//! Damage to what is on the disk: what a load cuts, what it leaves alone, and what it says.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_protocol::uuid::Uuid;
use ottla_storage::checkpoint::{self, RECOVERY_POINT_CHECKPOINT};
use ottla_storage::config::LogConfig;
use ottla_storage::disk::{Disk, Open};
use ottla_storage::log::{Cut, OpenLogError, PartitionLog, Recovery};
use ottla_storage::manager::{LogManager, ManagerError, NewPartition};
use ottla_storage::partition_dir::TopicPartition;
use ottla_storage::producer_state::snapshots::Shutdown;
use ottla_storage::sim::{CrashStyle, SimDisk};
use ottla_storage::{partition_metadata, whole_file};

use crate::harness::{
    NOW_MS, all_values, append, new_log, new_partition, open_manager, opening, small,
};

const DIR: &str = "data/t-0";

/// A log of 12 batches of one record in segments of four, the process killed. All is on the disk.
fn killed() -> Arc<dyn Disk> {
    let disk = SimDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let log = new_log(&shared, Path::new(DIR), small()).unwrap();
    for value in 0..12 {
        append(&log, value, 1).unwrap();
    }
    log.flush().unwrap();
    Arc::new(disk.crash(1, CrashStyle::ProcessKill))
}

fn segments(disk: &Arc<dyn Disk>) -> Vec<i64> {
    let names = disk.list(Path::new(DIR)).unwrap();
    let logs = names.iter().filter_map(|entry| entry.name.strip_suffix(".log")?.parse().ok());
    let mut bases: Vec<i64> = logs.collect();
    bases.sort_unstable();
    bases
}

fn path(base_offset: i64) -> PathBuf {
    Path::new(DIR).join(format!("{base_offset:020}.log"))
}

fn read(disk: &Arc<dyn Disk>, path: &Path) -> Vec<u8> {
    let file = disk.open(path, Open::Read).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn write(disk: &Arc<dyn Disk>, path: &Path, bytes: &[u8]) {
    let file = disk.open(path, Open::Truncate).unwrap();
    file.write_all_at(&[IoSlice::new(bytes)], 0).unwrap();
}

fn flip(disk: &Arc<dyn Disk>, path: &Path, position: usize) {
    let mut bytes = read(disk, path);
    bytes[position] ^= 0x10;
    write(disk, path, &bytes);
}

/// Every file of the partition.
fn image(disk: &Arc<dyn Disk>) -> BTreeMap<String, Vec<u8>> {
    let names = disk.list(Path::new(DIR)).unwrap();
    names
        .into_iter()
        .map(|entry| (entry.name.clone(), read(disk, &Path::new(DIR).join(entry.name))))
        .collect()
}

fn open_at(disk: &Arc<dyn Disk>, recovery_point: i64) -> Result<Arc<PartitionLog>, OpenLogError> {
    let open = opening(disk, Path::new(DIR), small());
    PartitionLog::open(ottla_storage::log::OpenLog { recovery_point, ..open })
}

/// Bytes of a batch of one record of the harness.
fn batch_bytes(disk: &Arc<dyn Disk>) -> usize {
    12 + u32::from_be_bytes(read(disk, &path(0))[8..12].try_into().unwrap()) as usize
}

#[test]
fn damage_is_cut_above_the_recovery_point_only() {
    let disk = killed();
    let bases = segments(&disk);
    assert!(bases.len() >= 3, "{bases:?}");
    let size = batch_bytes(&disk);
    // In each batch: its length, its magic, its sum, its record; and its last byte missing.
    for offset in 0..12_i64 {
        for at in [11, 16, 17, size - 1] {
            for recovery_point in 0..=12 {
                let disk = killed();
                let base = *bases.iter().rfind(|base| **base <= offset).unwrap();
                flip(&disk, &path(base), (offset - base) as usize * size + at);
                let floor = *bases.iter().rfind(|base| **base <= recovery_point).unwrap();
                let before = image(&disk);
                let how = format!("offset {offset} byte {at}, recovery point {recovery_point}");
                match open_at(&disk, recovery_point) {
                    Ok(log) if offset < floor => {
                        // Below what a crash leaves in doubt nothing is looked at.
                        assert_eq!(log.offsets().log_end_offset, 12, "{how}");
                    }
                    Ok(log) => {
                        assert!(offset >= recovery_point, "{how}");
                        let expected: Vec<u64> = (0..offset as u64).collect();
                        assert_eq!(all_values(&log), expected, "{how}");
                    }
                    Err(OpenLogError::Damaged(damage)) => {
                        assert!(floor <= offset && offset < recovery_point, "{how}");
                        assert_eq!(damage.path, path(base), "{how}");
                        assert_eq!(damage.position, (offset - base) as u64 * size as u64);
                        assert_eq!(damage.good_to, Some(offset));
                        assert_eq!(damage.durable_to, Some(recovery_point));
                        let is_last = offset == 11 || bases.contains(&(offset + 1));
                        let next = damage.next_good.map(|next| next.base_offset);
                        assert_eq!(next, (!is_last).then_some(offset + 1), "{how}");
                        assert_eq!(image(&disk), before, "{how}: nothing is changed");
                    }
                    Err(error) => panic!("{how}: {error}"),
                }
            }
        }
    }
}

#[test]
fn the_message_names_file_position_offsets_and_tools() {
    let disk = killed();
    flip(&disk, &path(0), 70);
    let Err(error) = open_at(&disk, 3) else { panic!("not seen") };
    let text = error.to_string();
    for part in [
        "data/t-0/00000000000000000000.log: damaged at byte 0: crc is",
        "records below offset 0 are good as far as checked, the next good batch has offset 1 at",
        "those below 3 had been flushed, so that nothing is cut off",
        "ottlactl verify",
        "ottlactl repair",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
}

#[test]
fn a_log_that_ends_below_its_recovery_point_is_not_shortened() {
    let size = batch_bytes(&killed()) as u64;
    for after in [Shutdown::Clean, Shutdown::Unclean] {
        let disk = killed();
        let last = *segments(&disk).last().unwrap();
        let kept = (11 - last) as u64 * size;
        let open = |recovery_point| {
            let open = opening(&disk, Path::new(DIR), small());
            PartitionLog::open(ottla_storage::log::OpenLog { recovery_point, after, ..open })
        };
        disk.open(&path(last), Open::ReadWrite).unwrap().set_len(kept).unwrap();
        let before = image(&disk);
        let Err(OpenLogError::Damaged(damage)) = open(12) else { panic!("not seen") };
        assert_eq!((damage.good_to, damage.position), (Some(11), kept));
        assert_eq!(image(&disk), before);
        assert_eq!(open(11).unwrap().offsets().log_end_offset, 11, "{after:?}");
    }
}

#[test]
fn all_segments_gone_is_damage_too() {
    let disk = killed();
    for base in segments(&disk) {
        disk.unlink(&path(base)).unwrap();
    }
    assert!(matches!(open_at(&disk, 5), Err(OpenLogError::Damaged(_))));
    assert_eq!(open_at(&disk, 0).unwrap().offsets().log_end_offset, 0);
}

#[test]
fn a_torn_end_is_all_that_may_go_from_a_log_that_allows_no_more() {
    let size = batch_bytes(&killed());
    let open = |disk: &Arc<dyn Disk>, from| {
        let recovery = Recovery { cut: Cut::TornEndFrom(from), ..Recovery::default() };
        PartitionLog::open_with(opening(disk, Path::new(DIR), small()), &recovery)
    };
    let bases = segments(&killed());
    for offset in 0..12 {
        let disk = killed();
        let base = *bases.iter().rfind(|base| **base <= offset).unwrap();
        flip(&disk, &path(base), (offset - base) as usize * size + 30);
        let before = image(&disk);
        match open(&disk, 0) {
            Ok(log) => assert_eq!((offset, log.offsets().log_end_offset), (11, 11)),
            Err(OpenLogError::Damaged(damage)) => {
                assert_eq!(damage.good_to, Some(offset));
                assert_ne!(offset, 11);
                assert_eq!(image(&disk), before);
            }
            Err(error) => panic!("{error}"),
        }
    }
    // The torn end is below what must be there.
    let disk = killed();
    let last = *bases.last().unwrap();
    flip(&disk, &path(last), (11 - last) as usize * size + 30);
    assert!(matches!(open(&disk, 12), Err(OpenLogError::Damaged(_))));
}

/// Bytes of records that look like long batches, one behind the other: to sum them all took hours.
#[test]
fn a_search_behind_damage_ends() {
    const BYTES: usize = 32 << 20;
    let size = batch_bytes(&killed());
    let open = |cut, recovery_point| {
        let disk = killed();
        let last = *segments(&disk).last().unwrap();
        let mut bytes = read(&disk, &path(last));
        bytes[(11 - last) as usize * size + 30] ^= 1;
        while bytes.len() < BYTES {
            let mut header = [0; 64];
            header[..8].copy_from_slice(&12_i64.to_be_bytes());
            let left = BYTES - bytes.len();
            header[8..12].copy_from_slice(&((left - 12) as i32).to_be_bytes());
            header[16] = 2;
            bytes.extend(header);
        }
        write(&disk, &path(last), &bytes[..BYTES]);
        let open = opening(&disk, Path::new(DIR), small());
        let open = ottla_storage::log::OpenLog { recovery_point, ..open };
        PartitionLog::open_with(open, &Recovery { cut, ..Recovery::default() })
    };
    for (cut, recovery_point) in [(Cut::AboveRecoveryPoint, 12), (Cut::TornEndFrom(0), 0)] {
        let Err(OpenLogError::Damaged(damage)) = open(cut, recovery_point) else {
            panic!("{cut:?}: a good batch may follow")
        };
        assert_eq!((damage.good_to, damage.next_good, damage.is_searched), (Some(11), None, false));
        assert!(damage.to_string().contains("good batches may follow"), "{damage}");
    }
    let log = open(Cut::AboveRecoveryPoint, 11).unwrap();
    assert_eq!(log.offsets().log_end_offset, 11);
}

#[test]
fn damaged_epochs_are_made_anew_from_the_batches() {
    let disk = killed();
    let epochs = Path::new(DIR).join("leader-epoch-checkpoint");
    let good = read(&disk, &epochs);
    write(&disk, &epochs, b"0\n5\nnonsense");
    for recovery_point in [12, 0] {
        let log = open_at(&disk, recovery_point).unwrap();
        assert_eq!(log.latest_epoch(), Some(0));
        assert_eq!(read(&disk, &epochs), good);
    }
}

fn set_recovery_point(disk: &Arc<dyn Disk>, topic: &str, offset: i64) {
    let path = Path::new("data").join(RECOVERY_POINT_CHECKPOINT);
    let mut offsets = checkpoint::read_offsets(&**disk, &path).unwrap();
    offsets.insert(TopicPartition::new(topic, 0), offset);
    checkpoint::write_offsets(&**disk, &path, &offsets).unwrap();
}

/// A manager with `t-0` damaged at offset 2 below its recovery point 5, and `u-0` good.
fn with_damage() -> (SimDisk, Arc<dyn Disk>, LogManager) {
    let disk = SimDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let config = LogConfig { segment_bytes: 10_000, ..small() };
    let manager = open_manager(&shared, &config).unwrap();
    for topic in ["t", "u"] {
        let log = manager.create(new_partition(topic, &config), NOW_MS).unwrap();
        for value in 0..8 {
            append(&log, value, 1).unwrap();
        }
        log.flush().unwrap();
    }
    let killed: SimDisk = disk.crash(1, CrashStyle::ProcessKill);
    let shared: Arc<dyn Disk> = Arc::new(killed.clone());
    let size = batch_bytes(&shared);
    flip(&shared, &path(0), 2 * size + 40);
    set_recovery_point(&shared, "t", 5);
    set_recovery_point(&shared, "u", 8);
    let manager = open_manager(&shared, &config).unwrap();
    (killed, shared, manager)
}

#[test]
fn one_damaged_partition_is_offline_alone_and_stays_as_it_is() {
    let (_, disk, mut manager) = with_damage();
    let before = image(&disk);
    let name = TopicPartition::new("t", 0);
    for _ in 0..2 {
        assert!(manager.get(&name).is_none());
        let damaged = manager.damaged_log(&name).unwrap();
        assert_eq!(damaged.damage.good_to, Some(2));
        assert_eq!(damaged.size_bytes, before["00000000000000000000.log"].len() as u64);
        assert!(matches!(
            manager.create(new_partition("t", &small()), NOW_MS),
            Err(ManagerError::Damaged(_))
        ));
        let good = manager.get(&TopicPartition::new("u", 0)).unwrap();
        assert_eq!(all_values(&good).len(), 8);
        manager.checkpoint_recovery_points().unwrap();
        manager.checkpoint_log_start_offsets().unwrap();
        manager.checkpoint_high_watermarks().unwrap();
        manager.flush_due(NOW_MS + 1_000_000).unwrap();
        manager.close(-1).unwrap();
        assert_eq!(image(&disk), before, "nothing of it changes");
        assert!(!disk.exists(Path::new("data/.kafka_cleanshutdown")).unwrap());
        // The next start decides the same.
        manager = open_manager(&disk, &small()).unwrap();
    }
}

/// Starts and stops logs in turn; `t-0`, damaged at `offset`, was wholly flushed, and what
/// the checkpoint said of that cannot be read. No start cuts it.
fn starts_without_recovery_points(offset: i64, unreadable: &[u8]) {
    let config = small();
    let disk = SimDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let manager = open_manager(&shared, &config).unwrap();
    for topic in ["t", "u"] {
        let log = manager.create(new_partition(topic, &config), NOW_MS).unwrap();
        for value in 0..12 {
            append(&log, value, 1).unwrap();
        }
        log.flush().unwrap();
    }
    let disk: SimDisk = disk.crash(1, CrashStyle::ProcessKill);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let base = *segments(&shared).iter().rfind(|base| **base <= offset).unwrap();
    flip(&shared, &path(base), (offset - base) as usize * batch_bytes(&shared) + 40);
    write(&shared, &Path::new("data").join(RECOVERY_POINT_CHECKPOINT), unreadable);
    let before = image(&shared);
    let name = TopicPartition::new("t", 0);
    for start in 0..4 {
        let how = format!("offset {offset}, {unreadable:?}, start {start}");
        let manager = open_manager(&shared, &config).unwrap();
        let damaged = manager.damaged_log(&name).unwrap_or_else(|| panic!("{how}: it is opened"));
        assert_eq!(damaged.damage.good_to, Some(offset), "{how}");
        assert_eq!(all_values(&manager.get(&TopicPartition::new("u", 0)).unwrap()).len(), 12);
        match start {
            // A kill before any checkpoint, one after, and orderly stops.
            0 => drop(manager),
            1 => manager.checkpoint_recovery_points().unwrap(),
            _ => manager.close(-1).unwrap(),
        }
        assert_eq!(image(&shared), before, "{how}");
    }
}

#[test]
fn damage_stays_where_the_recovery_points_were_unreadable_once() {
    for offset in 0..11 {
        starts_without_recovery_points(offset, b"0\n7\nnonsense\n");
    }
}

#[test]
fn recovery_points_that_were_cut_short_are_unreadable() {
    for cut_short in ["", "0", "0\n", "\0\0\0\0"] {
        starts_without_recovery_points(2, cut_short.as_bytes());
    }
}

#[test]
fn a_log_whose_recovery_point_was_lost_is_opened_once_it_is_mended() {
    let (_, disk, manager) = with_damage();
    drop(manager);
    let points = Path::new("data").join(RECOVERY_POINT_CHECKPOINT);
    write(&disk, &points, b"0\n2\nt 0");
    open_manager(&disk, &small()).unwrap().close(-1).unwrap();
    flip(&disk, &path(0), 2 * batch_bytes(&disk) + 40);
    let name = TopicPartition::new("t", 0);
    let manager = open_manager(&disk, &small()).unwrap();
    assert_eq!(all_values(&manager.get(&name).unwrap()).len(), 8);
    manager.close(-1).unwrap();
    assert_eq!(checkpoint::read_offsets(&*disk, &points).unwrap().get(&name), Some(&8));
}

#[test]
fn a_partition_whose_topic_is_not_known_is_offline_alone() {
    let disk = SimDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let manager = open_manager(&shared, &small()).unwrap();
    for topic in ["t", "u"] {
        let log = manager.create(new_partition(topic, &small()), NOW_MS).unwrap();
        append(&log, 0, 1).unwrap();
    }
    manager.close(-1).unwrap();
    let dir = Path::new("data/t-0");
    whole_file::replace(&*shared, &partition_metadata::path(dir), b"version: 0\njunk").unwrap();
    let before = image(&shared);
    let points = || {
        let path = Path::new("data").join(RECOVERY_POINT_CHECKPOINT);
        checkpoint::read_offsets(&*shared, &path).unwrap()
    };
    let name = TopicPartition::new("t", 0);
    for _ in 0..2 {
        let manager = open_manager(&shared, &small()).unwrap();
        let damaged = manager.damaged_log(&name).unwrap();
        let told = damaged.damage.to_string();
        for part in ["data/t-0/partition.metadata", "\"junk\"", "repair", "--metadata-dir"] {
            assert!(told.contains(part), "{told}");
        }
        let good = manager.get(&TopicPartition::new("u", 0)).unwrap();
        append(&good, 1, 1).unwrap();
        manager.close(-1).unwrap();
        assert_eq!(image(&shared), before, "nothing of it changes");
        assert_eq!(points().get(&name), Some(&1), "what the checkpoints say of it stays");
    }
    partition_metadata::write(&*shared, dir, new_partition("t", &small()).topic_id).unwrap();
    let manager = open_manager(&shared, &small()).unwrap();
    assert_eq!(all_values(&manager.get(&name).unwrap()), [0]);
}

#[test]
fn a_damaged_partition_can_be_deleted_and_made_anew() {
    let (_, disk, manager) = with_damage();
    let name = TopicPartition::new("t", 0);
    assert!(manager.delete(&name, 7, NOW_MS).unwrap(), "there was one");
    assert!(!manager.delete(&name, 8, NOW_MS).unwrap(), "there is none");
    assert!(manager.damaged_log(&name).is_none());
    let path = Path::new("data").join(RECOVERY_POINT_CHECKPOINT);
    let offsets = checkpoint::read_offsets(&*disk, &path).unwrap();
    assert_eq!(offsets.keys().map(|name| &*name.topic).collect::<Vec<_>>(), ["u"]);
    let new = NewPartition { topic_id: Uuid::from_u64s(9, 9), ..new_partition("t", &small()) };
    let log = manager.create(new, NOW_MS).unwrap();
    append(&log, 0, 1).unwrap();
    manager.close(-1).unwrap();
    assert!(disk.exists(Path::new("data/.kafka_cleanshutdown")).unwrap());
    assert_eq!(open_manager(&disk, &small()).unwrap().damaged().len(), 0);
}

/// What a checkpoint says of a partition that is gone must not be believed of the next of its name.
#[test]
fn a_checkpoint_does_not_outlive_its_partition() {
    let disk = SimDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    drop(open_manager(&shared, &small()).unwrap());
    set_recovery_point(&shared, "t", 500);
    let manager = open_manager(&shared, &small()).unwrap();
    let log = manager.create(new_partition("t", &small()), NOW_MS).unwrap();
    append(&log, 0, 1).unwrap();
    let killed: Arc<dyn Disk> = Arc::new(disk.crash(1, CrashStyle::ProcessKill));
    let again = open_manager(&killed, &small()).unwrap();
    assert_eq!(again.damaged().len(), 0);
    assert_eq!(all_values(&again.logs()[0]), [0]);
}

/// Any damaged header in a sealed segment: a fetch at every offset is answered with the records or
/// with an error, and never goes on behind the damage as if nothing had been there.
#[test]
fn a_fetch_never_leaves_out_what_is_damaged() {
    let size = batch_bytes(&killed());
    let bases = segments(&killed());
    for offset in 0..bases[1] {
        for (at, byte) in [(8, 0x7f), (11, 0xff), (11, 0), (16, 0x7f), (23, 0x7f), (0, 0x7f)] {
            let disk = killed();
            let log = open_at(&disk, 12).unwrap();
            let position = offset as usize * size + at;
            let file = disk.open(&path(0), Open::ReadWrite).unwrap();
            file.write_all_at(&[IoSlice::new(&[byte])], position as u64).unwrap();
            for start_offset in 0..12 {
                let read = ottla_storage::log::Read {
                    start_offset,
                    bytes_max: 1 << 20,
                    isolation: ottla_storage::log::Isolation::HighWatermark,
                    min_one_batch: true,
                };
                let Ok(result) = log.read(read) else { continue };
                let region = result.region.unwrap();
                let mut bytes = vec![0; region.length as usize];
                region.file.read_exact_at(&mut bytes, region.position).unwrap();
                let base = i64::from_be_bytes(bytes[..8].try_into().unwrap());
                let how = format!("byte {at} of {offset} is {byte}, from {start_offset}: {base}");
                let is_damaged = region.position <= position as u64
                    && (position as u64) < region.position + u64::from(region.length);
                assert!(base <= start_offset || is_damaged, "{how}");
            }
        }
    }
}

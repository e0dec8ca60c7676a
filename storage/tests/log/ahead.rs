//! Blocks ahead of the end of the active segment, as the real file system counts them.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use nix::sys::statfs::{EXT4_SUPER_MAGIC, statfs};
use ottla_protocol::record::builder::BatchOptions;
use ottla_storage::config::LogConfig;
use ottla_storage::disk::{Disk, RealDisk};
use ottla_storage::log::PartitionLog;
use ottla_storage::validate::Validated;
use tempfile::TempDir;

use crate::harness::{NOW_MS, all_values, as_leader, batch, new_log, opening};

/// A file's last block, and those that list its blocks.
const SLACK_BYTES: u64 = 16 << 10;
const MIB: u64 = 1 << 20;
/// Records in a batch of about 64 KiB.
const RECORDS: u64 = 3600;

struct Place {
    _temp: TempDir,
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

/// `None`, with a word to whoever reads the output, where nothing is allocated ahead.
fn place() -> Option<Place> {
    let temp = tempfile::tempdir().unwrap();
    if statfs(temp.path()).unwrap().filesystem_type() != EXT4_SUPER_MAGIC {
        println!("skipped: {} is not on ext4", temp.path().display());
        return None;
    }
    let dir = temp.path().join("t-0");
    Some(Place { disk: Arc::new(RealDisk), dir, _temp: temp })
}

fn log_at(place: &Place, config: &LogConfig) -> Arc<PartitionLog> {
    new_log(&place.disk, &place.dir, config.clone()).unwrap()
}

fn fill(log: &PartitionLog, size_bytes: u64) {
    while log.size_bytes() < size_bytes {
        let first = log.offsets().log_end_offset as u64;
        let bytes = batch(first, RECORDS, BatchOptions::default());
        log.append_as_leader(&Validated::from_built(bytes).unwrap(), as_leader()).unwrap();
    }
}

/// The length of a segment's file, and the bytes of its blocks behind that.
fn measure(dir: &Path, base_offset: i64) -> (u64, u64) {
    let found = std::fs::metadata(dir.join(format!("{base_offset:020}.log"))).unwrap();
    (found.len(), (found.blocks() * 512).saturating_sub(found.len()))
}

#[test]
fn blocks_ahead_are_few_and_end_with_the_log() {
    let Some(place) = place() else { return };
    let log = log_at(&place, &LogConfig::default());
    fill(&log, MIB / 2);
    assert!(measure(&place.dir, 0).1 <= SLACK_BYTES);
    fill(&log, 4 * MIB);
    let (len, ahead) = measure(&place.dir, 0);
    assert_eq!(len, log.size_bytes());
    assert!(SLACK_BYTES < ahead && ahead <= len / 16 + SLACK_BYTES, "{ahead} of {len}");
    log.close().unwrap();
    let (closed_len, ahead) = measure(&place.dir, 0);
    assert!(closed_len == len && ahead <= SLACK_BYTES, "{ahead} of {closed_len}");
}

#[test]
fn a_roll_frees_them_and_none_lie_behind_the_segment() {
    let Some(place) = place() else { return };
    let config = LogConfig { segment_bytes: 3 * MIB as u32, ..LogConfig::default() };
    let log = log_at(&place, &config);
    while log.segments_count() == 1 {
        let (len, ahead) = measure(&place.dir, 0);
        assert!(len + ahead <= 3 * MIB + SLACK_BYTES, "{ahead} of {len}");
        fill(&log, log.size_bytes() + 1);
    }
    let (len, ahead) = measure(&place.dir, 0);
    assert!(ahead <= SLACK_BYTES, "{ahead} of {len}");
    log.close().unwrap();
}

#[test]
fn a_truncation_frees_them_and_what_follows_takes_others() {
    let Some(place) = place() else { return };
    let log = log_at(&place, &LogConfig::default());
    fill(&log, 4 * MIB);
    let kept = 40 * RECORDS;
    log.truncate_to(kept as i64, NOW_MS).unwrap();
    let (len, ahead) = measure(&place.dir, 0);
    assert!(len == log.size_bytes() && ahead <= SLACK_BYTES, "{ahead} of {len}");
    fill(&log, 4 * MIB);
    let (len, ahead) = measure(&place.dir, 0);
    assert!(SLACK_BYTES < ahead, "{ahead} of {len}");
    assert_eq!(all_values(&log).len() as i64, log.offsets().log_end_offset);
    log.close().unwrap();
}

#[test]
fn a_recovery_frees_what_a_crash_has_left() {
    let Some(place) = place() else { return };
    let log = log_at(&place, &LogConfig::default());
    fill(&log, 4 * MIB);
    let end_offset = log.offsets().log_end_offset;
    drop(log);
    let (len, ahead) = measure(&place.dir, 0);
    assert!(SLACK_BYTES < ahead, "{ahead} of {len}");
    let path = place.dir.join(format!("{:020}.log", 0));
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();

    let again = PartitionLog::open(opening(&place.disk, &place.dir, LogConfig::default())).unwrap();
    assert_eq!(again.offsets().log_end_offset, end_offset);
    let (len, ahead) = measure(&place.dir, 0);
    assert!(len == again.size_bytes() && ahead <= SLACK_BYTES, "{ahead} of {len}");
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), modified);
}

#[test]
fn preallocated_segments_need_none() {
    let Some(place) = place() else { return };
    let config =
        LogConfig { preallocate: true, segment_bytes: 64 * MIB as u32, ..LogConfig::default() };
    let log = log_at(&place, &config);
    fill(&log, 4 * MIB);
    let path = place.dir.join(format!("{:020}.log", 0));
    let used = std::fs::metadata(&path).unwrap().blocks() * 512;
    assert!(used <= log.size_bytes() + SLACK_BYTES, "{used}");
    log.close().unwrap();
}

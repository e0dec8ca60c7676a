//! A verification takes memory by what it has to hold at a time: not by what lengths in damaged
//! files claim, nor by how much of a kind there is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::IoSlice;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_storage::disk::{Disk, Open};
use ottla_storage::producer_state::{ProducerEntry, ProducerSettings, ProducerState, snapshot};
use ottla_storage::sim::SimDisk;
use ottla_storage::verify::{
    Code, DirReport, Finding, Progress, VerifyOptions, no_metadata, verify_log_dir,
};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// One test at a time: the memory is all of the process's.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Verifies a partition; also tells how many bytes more than before were in use at the peak.
fn verify(disk: &SimDisk, dir: &Path) -> (DirReport, usize) {
    let options = VerifyOptions {
        deep: true,
        threads: 1,
        index_interval_bytes: 4096,
        known: &no_metadata,
        progress: &Progress::default(),
    };
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let report = verify_log_dir(disk, dir, &options).unwrap();
    (report, MEMORY.peak_usage() - before)
}

#[test]
fn lengths_that_lie_cost_nothing() {
    let _turn = turn();
    let disk = SimDisk::new();
    let dir = Path::new("t-0");
    disk.create_dir_all(dir).unwrap();
    let put = |name: &str, bytes: &[u8], len: u64| {
        let file = disk.open(&dir.join(name), Open::Create).unwrap();
        file.write_all_at(&[IoSlice::new(bytes)], 0).unwrap();
        file.set_len(len.max(bytes.len() as u64)).unwrap();
    };
    // A batch of 1.5 GiB in a file of 60 MiB, and one of 30 MiB that is all there.
    let mut claims = [0; 61];
    claims[8..12].copy_from_slice(&1_500_000_000_i32.to_be_bytes());
    claims[16] = 2;
    put("00000000000000000000.log", &claims, 60 << 20);
    claims[8..12].copy_from_slice(&(30_i32 << 20).to_be_bytes());
    claims[7] = 5;
    put("00000000000000000005.log", &claims, 60 << 20);
    put("00000000000000000005.snapshot", &[0, 1, 0, 0, 0, 0, 0x7f, 255, 255, 255], 10);
    put("leader-epoch-checkpoint", b"0\n2147483647\n0 0\n", 0);
    let (report, used) = verify(&disk, dir);
    assert!(report.is_wrong());
    assert!(used < 4 << 20, "{used} bytes");
}

#[test]
fn snapshots_are_held_one_at_a_time() {
    const FIRST: i64 = 1000;
    const SNAPSHOTS: i64 = 60;
    const PRODUCERS: i64 = 2000;
    let _turn = turn();
    let disk = SimDisk::new();
    let dir = Path::new("t-0");
    disk.create_dir_all(dir).unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let file = disk.open(&dir.join(name), Open::Create).unwrap();
        file.write_all_at(&[IoSlice::new(bytes)], 0).unwrap();
    };
    // As after markers whose batches retention has removed since.
    let producers = (0..PRODUCERS).map(|id| (id, ProducerEntry::default())).collect();
    let mut state = ProducerState::new(ProducerSettings::default(), FIRST);
    state.restore(FIRST, producers, 0);
    let bytes = snapshot::encode(&state);
    let mut log = Vec::new();
    for offset in FIRST..FIRST + SNAPSHOTS {
        put(&format!("{offset:020}.snapshot"), &bytes);
        let mut builder = BatchBuilder::new(BatchOptions::default()).unwrap();
        builder.append(&NewRecord { value: Some(b"value"), ..NewRecord::default() }).unwrap();
        let mut batch = builder.build().unwrap();
        batch[..8].copy_from_slice(&offset.to_be_bytes());
        log.extend(batch);
    }
    put(&format!("{FIRST:020}.log"), &log);
    let (report, used) = verify(&disk, dir);
    let of_snapshots = |f: &&Finding| f.code == Code::ProducerSnapshot;
    assert_eq!(report.all_findings().filter(of_snapshots).count(), 0);
    assert!(used < 4 << 20, "{used} bytes");

    // Also behind damage, where none can be compared any more, are they looked at.
    log[20] ^= 1;
    put(&format!("{FIRST:020}.log"), &log);
    put(&format!("{:020}.snapshot", FIRST + 9), b"damaged");
    let (report, used) = verify(&disk, dir);
    assert_eq!(report.all_findings().filter(of_snapshots).count(), 1);
    assert!(used < 4 << 20, "{used} bytes");
}

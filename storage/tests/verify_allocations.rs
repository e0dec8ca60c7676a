//! A verification of damaged files takes memory by what is there, not by what lengths claim.

use std::io::IoSlice;
use std::path::Path;

use ottla_storage::disk::{Disk, Open};
use ottla_storage::sim::SimDisk;
use ottla_storage::verify::{Progress, VerifyOptions, no_metadata, verify_log_dir};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

#[test]
fn lengths_that_lie_cost_nothing() {
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
    let options = VerifyOptions {
        deep: true,
        threads: 1,
        index_interval_bytes: 4096,
        known: &no_metadata,
        progress: &Progress::default(),
    };
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    assert!(verify_log_dir(&disk, dir, &options).unwrap().is_wrong());
    let used = MEMORY.peak_usage() - before;
    assert!(used < 4 << 20, "{used} bytes");
}

//! Batches of more than 16 MiB, which are summed piece by piece, with others behind them.

use std::path::Path;

use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_storage::repair::carry_out;
use ottla_storage::sim::SimDisk;
use ottla_storage::verify::{Code, Progress, VerifyOptions, no_metadata, verify_log_dir};

use crate::repairs::plan_for;
use crate::world::{DIR, NOW_MS, clean, disk_of, put, texts, the, verify};

const LOG: &str = "plain-1/00000000000000000000.log";
const LARGE_BYTES: usize = (16 << 20) + 1000;

/// A batch of one record.
fn batch(offset: i64, value_bytes: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default()).unwrap();
    let value = vec![7; value_bytes];
    let record = NewRecord { timestamp: NOW_MS, value: Some(&value), ..NewRecord::default() };
    builder.append(&record).unwrap();
    let mut bytes = builder.build().unwrap();
    bytes[..8].copy_from_slice(&offset.to_be_bytes());
    bytes
}

/// A message of magic 1.
fn message(offset: i64, value_bytes: usize) -> Vec<u8> {
    let mut summed = vec![1, 0];
    summed.extend(NOW_MS.to_be_bytes());
    summed.extend((-1i32).to_be_bytes());
    summed.extend((value_bytes as i32).to_be_bytes());
    summed.resize(summed.len() + value_bytes, 7);
    let mut bytes = offset.to_be_bytes().to_vec();
    bytes.extend((summed.len() as i32 + 4).to_be_bytes());
    bytes.extend(crc32fast::hash(&summed).to_be_bytes());
    bytes.extend(summed);
    bytes
}

/// A log of a small batch, a large one, and two small ones, with where each begins.
fn log(of: fn(i64, usize) -> Vec<u8>) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut starts) = (Vec::new(), Vec::new());
    for (offset, value_bytes) in [10, LARGE_BYTES, 10, 10].into_iter().enumerate() {
        starts.push(bytes.len());
        bytes.extend(of(offset as i64, value_bytes));
    }
    (bytes, starts)
}

/// An orderly directory with the log and with no indexes of it.
fn disk_with(log: &[u8]) -> SimDisk {
    let mut image = clean();
    image.retain(|name, _| !(name.contains("/plain-1/") && name.ends_with("index")));
    let disk = disk_of(&image);
    put(&disk, &format!("{DIR}/{LOG}"), log);
    disk
}

#[test]
fn what_is_behind_a_large_batch_is_verified_and_repaired() {
    for of in [batch, message] {
        let (bytes, starts) = log(of);
        let disk = disk_with(&bytes);
        let progress = Progress::default();
        let how = VerifyOptions {
            deep: true,
            threads: 1,
            index_interval_bytes: 4096,
            known: &no_metadata,
            progress: &progress,
        };
        let report = verify_log_dir(&disk, Path::new(DIR), &how).unwrap();
        assert_eq!(progress.done_bytes(), progress.total_bytes());
        assert!(
            report.all_findings().all(|f| f.code == Code::IndexMissing),
            "{:#?}",
            texts(&report)
        );
        let partition = report.partitions.iter().find(|p| p.dir.ends_with("plain-1")).unwrap();
        assert_eq!(partition.facts.log_end_offset, 4);
        let plan = plan_for(&disk, false);
        assert_eq!((plan.actions.len(), plan.left.len()), (1, 0), "{:?}", plan.actions);
        carry_out(&disk, &plan.actions[0]).unwrap();
        let report = verify(&disk);
        assert!(!report.is_wrong(), "{:#?}", texts(&report));

        let mut damaged = bytes;
        damaged[starts[2] + 20] ^= 1;
        let report = verify(&disk_with(&damaged));
        assert_eq!(the(&report, LOG, Code::BatchCrc).position, Some(starts[2] as u64));
    }
}

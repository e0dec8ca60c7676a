//! Golden bytes, damage, and files.

use super::*;
use crate::disk::RealDisk;
use crate::producer_state::{BatchKind, ProducerBatch, ProducerSettings};
use crate::sim::{CrashStyle, SimDisk};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// Written by Kafka 4.3.1.
const EMPTY: &str = "000148674bc700000000";
/// Written by Kafka: pid 1000, sequences 0 to 9 at offsets 0 to 9.
const ONE: &str = "00013a39972f 00000001 00000000000003e8 0000 00000009 0000000000000009 00000009
    0000018bcfe56800 ffffffff ffffffffffffffff";

fn state(batches: &[ProducerBatch]) -> ProducerState {
    let mut state = ProducerState::new(ProducerSettings::default(), 0);
    for batch in batches {
        state.replay(&[*batch], batch.last_offset() + 1).unwrap();
    }
    state
}

fn batch(producer_id: i64, base_offset: i64, kind: BatchKind) -> ProducerBatch {
    ProducerBatch {
        producer_id,
        producer_epoch: 0,
        base_sequence: 0,
        base_offset,
        last_offset_delta: 9,
        max_timestamp: 1_700_000_000_000,
        kind,
    }
}

#[test]
fn golden_bytes() {
    assert_eq!(encode(&state(&[])), hex(EMPTY));
    assert_eq!(decode(&hex(EMPTY)), Ok(vec![]));
    let one = state(&[batch(1000, 0, BatchKind::Plain)]);
    assert_eq!(encode(&one), hex(ONE));
    let producers = decode(&hex(ONE)).unwrap();
    assert_eq!(producers, [(1000, one.producer(1000).unwrap().clone())]);
}

#[test]
fn an_open_transaction_and_a_producer_without_batches_are_kept() {
    let marker = crate::producer_state::EndTxnMarker {
        aborted: true,
        coordinator_epoch: 3,
        timestamp: 55,
        transaction_version: 0,
    };
    let end = ProducerBatch { last_offset_delta: 0, ..batch(7, 30, BatchKind::EndTxn(marker)) };
    let before = state(&[batch(5, 10, BatchKind::Transactional), end]);
    let mut after = ProducerState::new(ProducerSettings::default(), 0);
    after.restore(31, decode(&encode(&before)).unwrap(), 60);
    assert_eq!(after.first_unstable_offset(), Some(10));
    assert_eq!(after.map_end_offset(), 31);
    assert_eq!(after.snapshot_due(), None);
    assert!(after.has_ongoing_txn(5, 0));
    for producer_id in [5, 7] {
        assert_eq!(after.producer(producer_id), before.producer(producer_id));
    }
    assert_eq!(after.producer(7).unwrap().coordinator_epoch, 3);
}

#[test]
fn every_prefix_and_every_flipped_bit_is_refused() {
    let good = hex(ONE);
    for end in 0..good.len() {
        assert!(decode(&good[..end]).is_err(), "cut at {end}");
    }
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&bad).is_err(), "bit {bit}");
    }
}

/// The count is outside no check, but a right sum does not make it true.
#[test]
fn a_lying_count_is_refused() {
    let with_count = |count: i32| {
        let mut bytes = hex(ONE);
        bytes[6..10].copy_from_slice(&count.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[CRC_COVERS_FROM..]);
        bytes[2..6].copy_from_slice(&crc.to_be_bytes());
        bytes
    };
    let bytes = hex(ONE).len();
    assert_eq!(decode(&with_count(2)), Err(SnapshotError::Short { bytes }));
    assert_eq!(decode(&with_count(i32::MAX)), Err(SnapshotError::Short { bytes }));
    assert_eq!(decode(&with_count(-1)), Err(SnapshotError::Short { bytes }));
    assert_eq!(decode(&with_count(0)), Err(SnapshotError::Long { bytes }));
}

/// What was not synced may be damaged by a power loss, but is then seen to be.
#[test]
fn a_torn_snapshot_is_none_at_all() {
    let old = encode(&state(&[batch(1000, 0, BatchKind::Plain)]));
    let many: Vec<_> = (0..40).map(|n| batch(n, n * 10, BatchKind::Plain)).collect();
    let new = encode(&state(&many));
    let disk = SimDisk::new();
    let dir = Path::new("");
    write(&disk, dir, 10, &old, Durability::Now).unwrap();
    write(&disk, dir, 10, &new, Durability::WithSegment).unwrap();
    let mut refused = 0;
    for style in CrashStyle::POWER_LOSS {
        for seed in 0..50 {
            match read(&disk.crash(seed, style), dir, 10) {
                Ok(producers) => assert!([1, 40].contains(&producers.unwrap().len())),
                Err(WholeFileError::Content { .. }) => refused += 1,
                Err(WholeFileError::Io { error, .. }) => panic!("{error}"),
            }
        }
    }
    assert!(0 < refused, "no crash has torn the file");
    sync(&disk, dir, 10).unwrap();
    for style in CrashStyle::POWER_LOSS {
        assert_eq!(read(&disk.crash(1, style), dir, 10).unwrap().unwrap().len(), 40);
    }
}

#[test]
fn files() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let one = encode(&state(&[batch(1000, 0, BatchKind::Plain)]));
    let none = encode(&state(&[]));
    assert!(read(&RealDisk, dir, 10).unwrap().is_none());
    write(&RealDisk, dir, 10, &one, Durability::Now).unwrap();
    assert_eq!(read(&RealDisk, dir, 10).unwrap().unwrap().len(), 1);
    // A shorter one over it leaves nothing of the longer one behind.
    write(&RealDisk, dir, 10, &none, Durability::WithSegment).unwrap();
    sync(&RealDisk, dir, 10).unwrap();
    sync(&RealDisk, dir, 11).unwrap();
    assert_eq!(read(&RealDisk, dir, 10).unwrap().unwrap().len(), 0);
    assert!(dir.join("00000000000000000010.snapshot").exists());
    whole_file::replace(&RealDisk, &path(dir, 12), b"\0\x02 and more bytes").unwrap();
    let error = read(&RealDisk, dir, 12).unwrap_err().to_string();
    assert!(error.ends_with(".snapshot: producer snapshot has version 2, expected 1"), "{error}");
}

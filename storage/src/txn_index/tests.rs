//! Golden bytes, searches beside a model, and damaged files.

use super::*;
use crate::sim::{CrashStyle, SimDisk};
use proptest::prelude::*;

const PATH: &str = "00000000000000000000.txnindex";

fn path() -> &'static Path {
    Path::new(PATH)
}

fn txn(producer_id: i64, offsets: Range<i64>, last_stable_offset: i64) -> AbortedTxn {
    AbortedTxn {
        producer_id,
        first_offset: offsets.start,
        last_offset: offsets.end,
        last_stable_offset,
    }
}

fn put(disk: &SimDisk, bytes: &[u8]) {
    let file = disk.open(path(), Open::Truncate).unwrap();
    file.write_all_at(&[IoSlice::new(bytes)], 0).unwrap();
}

fn damage<T: fmt::Debug>(outcome: TxnIndexResult<T>) -> TxnIndexDamage {
    match outcome.unwrap_err() {
        WholeFileError::Content { error, .. } => error,
        WholeFileError::Io { error, .. } => panic!("{error}"),
    }
}

#[test]
fn golden_bytes() {
    let golden = [
        [0, 0].as_slice(),
        &[0, 0, 0, 0, 0, 0, 0x03, 0xe8],
        &[0, 0, 0, 0, 0, 0, 0, 5],
        &[0, 0, 0, 0, 0, 0, 0, 9],
        &[0, 0, 0, 0, 0, 0, 0, 10],
    ]
    .concat();
    let entry = txn(1000, 5..9, 10);
    assert_eq!(entry.encode().as_slice(), golden);
    assert_eq!(AbortedTxn::decode(&entry.encode()), Ok(entry));
    let mut newer = entry.encode();
    newer[0] = 1;
    assert_eq!(AbortedTxn::decode(&newer), Err(1));
}

#[test]
fn a_missing_file_is_empty_and_is_not_made() {
    let disk = SimDisk::new();
    assert_eq!(read(&disk, path()).unwrap(), []);
    assert_eq!(search(&disk, path(), 0..100).unwrap(), Search::default());
    check(&disk, path(), 5).unwrap();
    truncate(&disk, path(), 0).unwrap();
    reset(&disk, path()).unwrap();
    sync(&disk, path()).unwrap();
    append(&disk, path(), &[]).unwrap();
    assert_eq!(disk.files(), [""; 0]);
}

#[test]
fn entries_are_appended_in_order_only() {
    let disk = SimDisk::new();
    append(&disk, path(), &[txn(1, 0..3, 4), txn(2, 1..5, 6)]).unwrap();
    let expected = TxnIndexDamage::OutOfOrder { position: 68, last_offset: 5, previous: 5 };
    assert_eq!(damage(append(&disk, path(), &[txn(3, 5..5, 6)])), expected);
    let expected = TxnIndexDamage::OutOfOrder { position: 102, last_offset: 7, previous: 8 };
    assert_eq!(damage(append(&disk, path(), &[txn(3, 4..8, 9), txn(3, 4..7, 9)])), expected);
    assert_eq!(read(&disk, path()).unwrap().len(), 2);
    append(&disk, path(), &[txn(3, 6..9, 10)]).unwrap();
    assert_eq!(read(&disk, path()).unwrap()[2], txn(3, 6..9, 10));
    truncate(&disk, path(), 6).unwrap();
    assert_eq!(read(&disk, path()).unwrap().len(), 2);
    truncate(&disk, path(), 5).unwrap();
    assert_eq!(read(&disk, path()).unwrap().len(), 1);
    reset(&disk, path()).unwrap();
    assert_eq!(disk.contents(path()).unwrap(), b"");
}

#[test]
fn a_torn_entry_is_no_entry_and_is_overwritten() {
    let whole: Vec<u8> =
        [txn(1, 0..3, 4), txn(2, 1..5, 6)].iter().flat_map(AbortedTxn::encode).collect();
    for end in 0..=whole.len() {
        let disk = SimDisk::new();
        put(&disk, &whole[..end]);
        let count = end / ENTRY_BYTES;
        assert_eq!(read(&disk, path()).unwrap().len(), count, "cut at {end}");
        append(&disk, path(), &[txn(9, 6..9, 10)]).unwrap();
        let entries = read(&disk, path()).unwrap();
        assert_eq!(entries.len(), count + 1);
        assert_eq!(entries[count], txn(9, 6..9, 10));
    }
}

#[test]
fn damage_is_told_with_its_place() {
    let disk = SimDisk::new();
    append(&disk, path(), &[txn(1, 0..3, 4), txn(2, 1..5, 6)]).unwrap();
    let expected = TxnIndexDamage::BelowBase { position: 0, last_offset: 3, base_offset: 4 };
    assert_eq!(damage(check(&disk, path(), 4)), expected);
    check(&disk, path(), 3).unwrap();
    disk.corrupt(path(), 34, &[7]);
    let expected = TxnIndexDamage::Version { position: 34, got: 7 };
    assert_eq!(damage(check(&disk, path(), 3)), expected);
    assert_eq!(damage(read(&disk, path())), expected);
    let text = check(&disk, path(), 3).unwrap_err().to_string();
    assert_eq!(text, format!("{PATH}: entry at byte 34 has version 7, expected 0"));
}

#[test]
fn synced_entries_survive() {
    let disk = SimDisk::new();
    append(&disk, path(), &[txn(1, 0..3, 4)]).unwrap();
    sync(&disk, path()).unwrap();
    disk.sync_dir(Path::new("")).unwrap();
    append(&disk, path(), &[txn(2, 1..5, 6)]).unwrap();
    for seed in 0..50 {
        let after = disk.crash(seed, CrashStyle::Subset);
        assert_eq!(read(&after, path()).unwrap()[0], txn(1, 0..3, 4));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Transactions of several producers, one after the other each, aborted in some order, with
    /// the last stable offset that such a log has; more of them than are read at once.
    #[test]
    fn a_search_finds_what_reaches_into_the_range(
        ends in proptest::collection::vec((0..4usize, 1..6i64), 1..300),
        start in 0..900i64,
        length in 0..300i64,
    ) {
        let disk = SimDisk::new();
        let mut open = [Some(0), Some(1), Some(2), Some(3)];
        let mut next_offset = 4;
        let mut all = Vec::new();
        for (producer, step) in ends {
            let last_offset = next_offset + step;
            let first_offset = open[producer].take().unwrap();
            let last_stable_offset = open.iter().flatten().min().copied().unwrap();
            all.push(txn(producer as i64, first_offset..last_offset, last_stable_offset));
            open[producer] = Some(last_offset + 1);
            next_offset = last_offset + 1;
        }
        append(&disk, path(), &all).unwrap();
        let offsets = start..start + length;
        let found = search(&disk, path(), offsets.clone()).unwrap();
        let reaches = |txn: &&AbortedTxn| {
            offsets.start <= txn.last_offset && txn.first_offset < offsets.end
        };
        let expected: Vec<_> = all.iter().filter(reaches).copied().collect();
        prop_assert_eq!(found.aborted, expected);
        prop_assert_eq!(found.is_complete, all.iter().any(|t| offsets.end <= t.last_stable_offset));
    }
}

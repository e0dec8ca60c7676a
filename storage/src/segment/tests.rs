//! The scanner against bad bytes, and the budget of open segments.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};

use super::{BatchFacts, BatchScanner, NewFiles, OpenBudget, Segment, SegmentWriter};
use crate::disk::{Disk, DiskFile, Open};
use crate::error::StorageError;
use crate::sim::{Fault, OpKind, SimDisk};

fn batch(base_offset: i64) -> Vec<u8> {
    let options = BatchOptions { base_offset, ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options).unwrap();
    let record = NewRecord { timestamp: base_offset, value: Some(b"v"), ..Default::default() };
    builder.append(&record).unwrap();
    builder.build().unwrap()
}

fn file_of(disk: &SimDisk, bytes: &[u8]) -> Arc<dyn DiskFile> {
    let file = disk.open(Path::new("f"), Open::Truncate).unwrap();
    file.write_all_at(&[IoSlice::new(bytes)], 0).unwrap();
    file
}

fn scan(bytes: &[u8]) -> (Vec<i64>, Option<StorageError>) {
    let disk = SimDisk::new();
    let file = file_of(&disk, bytes);
    let path = Path::new("f");
    let mut scanner = BatchScanner::new(&*file, &path, 0, bytes.len() as u64);
    let mut offsets = Vec::new();
    loop {
        match scanner.next() {
            Ok(Some(batch)) => {
                assert_eq!(batch.end(), scanner.position());
                offsets.push(batch.last_offset);
            }
            Ok(None) => return (offsets, None),
            Err(error) => return (offsets, Some(error)),
        }
    }
}

#[test]
fn a_cut_file_ends_at_its_last_whole_batch() {
    let set = [batch(0), batch(1), batch(2)].concat();
    let size = set.len() / 3;
    for end in 0..=set.len() {
        let (offsets, error) = scan(&set[..end]);
        assert!(error.is_none(), "cut at {end}");
        assert_eq!(offsets.len(), end / size, "cut at {end}");
    }
}

#[test]
fn damage_is_told_with_its_place() {
    let good = batch(0);
    for (length, text) in [(0i32, "length 0"), (13, "length 13"), (-1, "length -1"), (20, "of 32")]
    {
        let mut bad = batch(1);
        bad[8..12].copy_from_slice(&length.to_be_bytes());
        let (offsets, error) = scan(&[good.clone(), bad].concat());
        assert_eq!(offsets, [0]);
        let error = error.unwrap().to_string();
        assert!(error.starts_with(&format!("f: at byte {}: ", good.len())), "{error}");
        assert!(error.contains(text), "{error}");
    }
    let zeros = [good, vec![0; 100]].concat();
    assert!(scan(&zeros).1.is_some());
}

#[test]
fn old_messages_are_walked_over() {
    let mut message = vec![0; 34];
    message[..8].copy_from_slice(&7i64.to_be_bytes());
    message[8..12].copy_from_slice(&22i32.to_be_bytes());
    message[16] = 1;
    message[18..26].copy_from_slice(&99i64.to_be_bytes());
    let disk = SimDisk::new();
    let file = file_of(&disk, &[message, batch(8)].concat());
    let path = Path::new("f");
    let mut scanner = BatchScanner::new(&*file, &path, 0, file.len().unwrap());
    let old = scanner.next().unwrap().unwrap();
    assert_eq!((old.magic, old.last_offset, old.max_timestamp_ms, old.size), (1, 7, 99, 34));
    assert_eq!(scanner.next().unwrap().unwrap().base_offset, 8);
}

/// An append that begins with a large batch and ends with a small one, where the blocks that an
/// index has been given end.
#[test]
fn an_entry_before_the_last_batch_has_its_block() {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("p")).unwrap();
    let dir: Arc<Path> = Arc::from(Path::new("p"));
    let files = NewFiles { index_bytes: 3 * 4096, preallocated_bytes: 0 };
    for entries in [341, 512] {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let segment = Segment::create(shared, &dir, 0, OpenBudget::new(1), files).unwrap();
        let mut writer = SegmentWriter::default();
        let mut next = 0;
        let mut append = |sizes: &[u32]| {
            let facts: Vec<_> = sizes
                .iter()
                .map(|size| {
                    next += 1;
                    BatchFacts { size: *size, last_offset: next, max_timestamp_ms: next }
                })
                .collect();
            let bytes = vec![0; sizes.iter().sum::<u32>() as usize];
            segment.append(&mut writer, 100, &[IoSlice::new(&bytes)], &facts).unwrap();
        };
        // Each has an entry but for the first.
        (0..entries).for_each(|_| append(&[101]));
        append(&[5]);
        append(&[90, 20, 5]);
        let (offset_bytes, _) = {
            segment.seal().unwrap();
            segment.index_bytes().unwrap()
        };
        assert_eq!(offset_bytes, (entries + 1) * 8);
    }
}

/// A segment of batches of these sizes, three offsets each from 0 on, one entry each but the first.
fn segment_of(disk: &SimDisk, sizes: &[usize]) -> Arc<Segment> {
    disk.create_dir_all(Path::new("p")).unwrap();
    let dir: Arc<Path> = Arc::from(Path::new("p"));
    let files = NewFiles { index_bytes: 4096, preallocated_bytes: 0 };
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let segment = Segment::create(shared, &dir, 0, OpenBudget::new(1), files).unwrap();
    let mut writer = SegmentWriter::default();
    for (n, size) in sizes.iter().enumerate() {
        let base_offset = n as i64 * 3;
        let options = BatchOptions { base_offset, ..BatchOptions::default() };
        let mut builder = BatchBuilder::new(options).unwrap();
        for timestamp in 0..3 {
            let value = vec![0; size / 3];
            let record = NewRecord { timestamp, value: Some(&value), ..Default::default() };
            builder.append(&record).unwrap();
        }
        let bytes = builder.build().unwrap();
        let last_offset = base_offset + 2;
        let facts = [BatchFacts { size: bytes.len() as u32, last_offset, max_timestamp_ms: 2 }];
        segment.append(&mut writer, 0, &[IoSlice::new(&bytes)], &facts).unwrap();
    }
    segment
}

#[test]
fn any_batch_is_found_whatever_lies_around_it() {
    let disk = SimDisk::new();
    let sizes = [60, 9000, 9000, 300, 20_000, 60, 60, 9000, 60];
    let segment = segment_of(&disk, &sizes);
    for offset in 0..3 * sizes.len() as i64 {
        let found = segment.find_batch(offset, segment.size()).unwrap().unwrap();
        assert_eq!(found.base_offset, offset / 3 * 3, "offset {offset}");
        let before = segment.find_batch(offset, found.position).unwrap();
        assert_eq!(before, None, "offset {offset} is not before byte {}", found.position);
    }
    assert_eq!(segment.find_batch(27, segment.size()).unwrap(), None);
}

#[test]
fn a_large_batch_is_found_with_one_read() {
    let disk = SimDisk::new();
    let segment = segment_of(&disk, &[9000; 6]);
    for offset in 3..18 {
        disk.inject(Fault::on(OpKind::Read, 5).skip(1));
        let found = segment.find_batch(offset, segment.size()).unwrap().unwrap();
        assert_eq!(found.base_offset, offset / 3 * 3);
        disk.clear_faults();
    }
}

#[test]
fn the_longest_unread_segments_are_closed() {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("p")).unwrap();
    let dir: Arc<Path> = Arc::from(Path::new("p"));
    let shared: Arc<dyn Disk> = Arc::new(disk);
    let budget = OpenBudget::new(3);
    let files = NewFiles { index_bytes: 120, preallocated_bytes: 0 };
    let segments: Vec<_> = (0..6)
        .map(|n| {
            let bytes = batch(n * 10);
            let budget = Arc::clone(&budget);
            let new = Segment::create(Arc::clone(&shared), &dir, n * 10, budget, files).unwrap();
            let facts =
                [BatchFacts { size: bytes.len() as u32, last_offset: n * 10, max_timestamp_ms: n }];
            let mut writer = SegmentWriter::default();
            new.append(&mut writer, 0, &[IoSlice::new(&bytes)], &facts).unwrap();
            new
        })
        .collect();
    assert!(segments.iter().all(|segment| segment.is_open()), "active ones stay open");
    for segment in &segments {
        segment.seal().unwrap();
    }
    let open = || segments.iter().map(|segment| segment.is_open()).collect::<Vec<_>>();
    assert_eq!(open(), [false, false, false, true, true, true]);
    let find = |n: usize| {
        let segment = &segments[n];
        segment.find_batch(n as i64 * 10, segment.size()).unwrap().unwrap()
    };
    assert_eq!(find(3).last_offset, 30);
    assert_eq!(find(0).last_offset, 0, "it is opened again");
    assert_eq!(open(), [true, false, false, true, false, true], "4 was unread for longest");
}

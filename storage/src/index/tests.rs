//! The indexes against linear searches, in every small world.

use std::path::Path;
use std::sync::Arc;

use super::{OffsetIndex, OffsetPosition, TimeIndex, TimestampOffset};
use crate::disk::{Disk, Open, RealDisk};
use crate::file_name::FileKind;
use crate::segment::Place;
use crate::sim::{Fault, OpKind, SimDisk};

const BASE: i64 = 217;

fn place(kind: FileKind) -> Place {
    Place { dir: Arc::from(Path::new("p")), base_offset: BASE, kind, suffix: "" }
}

fn new_disk() -> Arc<dyn Disk> {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("p")).unwrap();
    Arc::new(disk)
}

fn offset_index(disk: &Arc<dyn Disk>, bytes_max: u32) -> OffsetIndex {
    let index = OffsetIndex::new(Arc::clone(disk), place(FileKind::OffsetIndex));
    index.make_active(bytes_max, false).unwrap();
    index
}

fn time_index(disk: &Arc<dyn Disk>, bytes_max: u32) -> TimeIndex {
    let index = TimeIndex::new(Arc::clone(disk), place(FileKind::TimeIndex));
    index.make_active(bytes_max, false).unwrap();
    index
}

/// The entries of a world: offsets from a set of bits, positions that follow the slot.
fn entries(set: u32) -> Vec<OffsetPosition> {
    let offsets = (0..10).filter(|bit| set >> bit & 1 == 1);
    let entry =
        |(slot, bit)| OffsetPosition { offset: BASE + bit, position: 70 * (slot as u32 + 1) };
    offsets.map(i64::from).enumerate().map(entry).collect()
}

/// All logs of up to 6 entries at offsets 0 to 9: every lookup, every bound, every truncation.
#[test]
fn offset_index_equals_a_list() {
    let none = OffsetPosition { offset: BASE, position: 0 };
    for set in (0u32..1 << 10).filter(|set| set.count_ones() <= 6) {
        let list = entries(set);
        let disk = new_disk();
        let index = offset_index(&disk, 8 * 6 + 5);
        for entry in &list {
            index.reserve(1).unwrap();
            index.append(*entry);
        }
        assert_eq!(index.is_full(), list.len() == 6);
        let check = |index: &OffsetIndex, list: &[OffsetPosition]| {
            assert_eq!(index.last().unwrap(), list.last().copied());
            for target in BASE - 1..BASE + 11 {
                let expected = list.iter().rfind(|entry| entry.offset <= target);
                assert_eq!(index.lookup(target).unwrap(), *expected.unwrap_or(&none));
            }
            for position in (0..500).step_by(35) {
                let behind = list.iter().find(|entry| u64::from(entry.position) >= position);
                let expected = behind.map(|entry| entry.offset);
                assert_eq!(index.first_at_or_after(position).unwrap(), expected, "{position}");
            }
        };
        check(&index, &list);
        for cut in BASE - 1..BASE + 11 {
            let disk = new_disk();
            let index = offset_index(&disk, 48);
            list.iter().for_each(|entry| {
                index.reserve(1).unwrap();
                index.append(*entry);
            });
            index.truncate_to(cut).unwrap();
            let kept: Vec<_> = list.iter().copied().filter(|entry| entry.offset < cut).collect();
            check(&index, &kept);
            index.trim().unwrap();
            // Closed and opened again, and once more by another reader.
            check(&index, &kept);
            check(&OffsetIndex::new(disk, place(FileKind::OffsetIndex)), &kept);
        }
    }
}

#[test]
fn time_index_equals_a_list() {
    let none = TimestampOffset { timestamp_ms: -1, offset: BASE };
    for set in (0u32..1 << 8).filter(|set| set.count_ones() <= 5) {
        let disk = new_disk();
        let index = time_index(&disk, 12 * 6);
        let mut list: Vec<TimestampOffset> = Vec::new();
        for bit in (0..8).filter(|bit| set >> bit & 1 == 1) {
            let entry = TimestampOffset { timestamp_ms: bit * 3, offset: BASE + bit };
            index.reserve(2).unwrap();
            index.maybe_append(entry).unwrap();
            // The same time again, and an earlier one, say nothing new.
            index.maybe_append(TimestampOffset { offset: BASE + bit + 1, ..entry }).unwrap();
            list.push(entry);
        }
        assert_eq!(index.is_full(), list.len() == 5, "one slot is kept");
        assert_eq!(index.last().unwrap(), *list.last().unwrap_or(&none));
        for timestamp_ms in -2..27 {
            let expected = list.iter().rfind(|entry| entry.timestamp_ms <= timestamp_ms);
            assert_eq!(index.lookup(timestamp_ms).unwrap(), *expected.unwrap_or(&none));
        }
        for cut in (BASE - 1..BASE + 9).rev() {
            index.truncate_to(cut).unwrap();
            list.retain(|entry| entry.offset < cut);
            assert_eq!(index.last().unwrap(), *list.last().unwrap_or(&none));
        }
    }
}

#[test]
fn the_lookup_of_the_text() {
    let disk = new_disk();
    let index = offset_index(&disk, 8 * 100);
    index.reserve(3).unwrap();
    for (relative, position) in [(5, 200), (12, 456), (20, 700)] {
        index.append(OffsetPosition { offset: BASE + relative, position });
    }
    assert_eq!(index.lookup(230).unwrap(), OffsetPosition { offset: 229, position: 456 });
}

#[test]
fn a_full_disk_is_an_error_and_no_signal() {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("p")).unwrap();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let index = offset_index(&shared, 10 << 20);
    disk.set_capacity(Some(20_000));
    let mut appended = 0;
    while index.reserve(1).is_ok() {
        index.append(OffsetPosition { offset: BASE + appended, position: appended as u32 });
        appended += 1;
    }
    assert!(appended >= 512, "{appended} entries fit into the first page at least");
    assert_eq!(index.lookup(BASE + appended).unwrap().offset, BASE + appended - 1);
    disk.set_capacity(None);
    index.reserve(1).unwrap();
    index.append(OffsetPosition { offset: BASE + appended, position: 1 << 30 });
    index.trim().unwrap();
    let file = shared.open(&index.path(), Open::Read).unwrap();
    assert_eq!(file.len().unwrap(), 8 * (appended as u64 + 1));
}

#[test]
fn blocks_come_ahead_of_the_entries_in_growing_steps() {
    use std::os::unix::fs::MetadataExt;
    let root = tempfile::tempdir().unwrap();
    let dir: Arc<Path> = Arc::from(root.path());
    let place = Place { dir, base_offset: 0, kind: FileKind::OffsetIndex, suffix: "" };
    let index = OffsetIndex::new(Arc::new(RealDisk), place);
    index.make_active(10 << 20, false).unwrap();
    let meta = || std::fs::metadata(index.path()).unwrap();
    assert_eq!((meta().len(), meta().blocks()), (0, 0), "it rests");
    index.reserve(0).unwrap();
    assert_eq!((meta().len(), meta().blocks()), (10 << 20, 0));
    for n in 0..5000_u64 {
        index.reserve(1).unwrap();
        // 512 entries to a page, of 8 blocks. A file in many pieces has a page more, for the list
        // of them.
        let doubled = 8 * (n / 512 + 1).next_power_of_two();
        let blocks = meta().blocks();
        assert!(blocks == doubled || blocks == doubled + 8, "{blocks} blocks for {n} entries");
        index.append(OffsetPosition { offset: n.cast_signed(), position: n as u32 });
    }
    index.trim().unwrap();
    assert_eq!(meta().len(), 40_000);
}

#[test]
fn an_index_that_rests_is_searched_and_cut_as_any_other() {
    let disk = new_disk();
    let index = offset_index(&disk, 800);
    index.reserve(3).unwrap();
    for n in 0..3 {
        index.append(OffsetPosition { offset: BASE + n, position: 70 * n as u32 });
    }
    index.trim().unwrap();
    let length = || disk.open(&index.path(), Open::Read).unwrap().len().unwrap();
    let index = offset_index(&disk, 800);
    assert_eq!((length(), index.is_full(), index.is_mapped()), (24, false, false));
    assert_eq!(index.lookup(BASE + 9).unwrap().position, 140);
    assert_eq!((length(), index.is_mapped()), (24, true), "only what is there was mapped");
    index.truncate_to(BASE + 1).unwrap();
    assert_eq!(index.last().unwrap().unwrap().offset, BASE);
    index.trim().unwrap();
    assert_eq!(length(), 8);
    let index = offset_index(&disk, 800);
    index.reserve(1).unwrap();
    assert_eq!(length(), 800);
    index.append(OffsetPosition { offset: BASE + 1, position: 70 });
    assert_eq!(index.lookup(BASE + 9).unwrap().position, 70);
}

#[test]
fn the_last_entry_of_a_time_index_that_rests_needs_no_map() {
    let disk = new_disk();
    let index = time_index(&disk, 24);
    let length = || disk.open(&index.path(), Open::Read).unwrap().len().unwrap();
    let entry = |n: i64| TimestampOffset { timestamp_ms: 1000 + n, offset: BASE + n };
    index.finish(entry(0)).unwrap();
    assert_eq!((length(), index.is_mapped()), (12, false));
    index.finish(entry(0)).unwrap();
    assert_eq!(index.last().unwrap(), entry(0));
    index.finish(entry(1)).unwrap();
    assert_eq!((length(), index.last().unwrap()), (24, entry(1)));
    index.finish(entry(2)).unwrap();
    index.trim().unwrap();
    assert_eq!((length(), index.last().unwrap()), (24, entry(1)), "a full one takes none");
}

#[test]
fn insane_files_are_told() {
    let disk = new_disk();
    let index = offset_index(&disk, 80);
    index.reserve(2).unwrap();
    index.append(OffsetPosition { offset: BASE + 3, position: 70 });
    index.append(OffsetPosition { offset: BASE + 5, position: 140 });
    let reopened = || OffsetIndex::new(Arc::clone(&disk), place(FileKind::OffsetIndex));
    let left = reopened();
    assert!(!left.is_sane(1000).unwrap(), "a tail of zeros");
    assert!(!left.is_mapped(), "a look through a map would need blocks on tmpfs");
    index.trim().unwrap();
    assert!(reopened().is_sane(1000).unwrap());
    assert!(!reopened().is_sane(140).unwrap(), "an entry behind the end");
    let file = disk.open(&index.path(), Open::ReadWrite).unwrap();
    file.set_len(15).unwrap();
    assert!(!reopened().is_sane(1000).unwrap(), "half an entry");
    file.set_len(0).unwrap();
    assert!(reopened().is_sane(1000).unwrap(), "no entries");
}

/// All slots of a closed index count as entries, so one that could not be cut must not be closed.
#[test]
fn an_index_that_cannot_be_cut_stays_open() {
    let world = SimDisk::new();
    world.create_dir_all(Path::new("p")).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(world.clone());
    for bytes_max in [40, 48] {
        let index = offset_index(&disk, 40);
        index.reserve(1).unwrap();
        index.append(OffsetPosition { offset: BASE + 3, position: 70 });
        world.inject(Fault::on(OpKind::SetLen, 28));
        index.trim().unwrap_err();
        // Its segment goes on, with more room perhaps.
        index.make_active(bytes_max, false).unwrap();
        let last = OffsetPosition { offset: BASE + 5, position: 140 };
        index.reserve(1).unwrap();
        index.append(last);
        index.trim().unwrap();
        assert_eq!(index.last().unwrap(), Some(last));
        assert_eq!(world.contents(&index.path()).unwrap().len(), 16);
        world.unlink(&index.path()).unwrap();
    }
}

//! The simulated disk beside the real one, and what only it can do.

use super::*;
use crate::disk::{Disk, DiskFile, Open, RealDisk};
use nix::libc::{EIO, ENOSPC};
use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn write(file: &dyn DiskFile, position: u64, bytes: &[u8]) -> io::Result<()> {
    file.write_all_at(&[IoSlice::new(bytes)], position)
}

fn path(name: &str) -> &Path {
    Path::new(name)
}

fn names(disk: &dyn Disk, dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = disk.list(dir).unwrap().into_iter().map(|entry| entry.name).collect();
    names.sort();
    names
}

/// A file with a durable name and these durable bytes.
fn durable(disk: &SimDisk, name: &str, bytes: &[u8]) -> Arc<dyn DiskFile> {
    let file = disk.open(path(name), Open::Create).unwrap();
    write(&*file, 0, bytes).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(path("")).unwrap();
    file
}

/// What every disk does.
fn conforms(disk: &dyn Disk, root: &Path) {
    let dir = root.join("a/b");
    assert!(!disk.exists(&dir).unwrap());
    disk.create_dir_all(&dir).unwrap();
    disk.create_dir_all(&dir).unwrap();
    assert!(disk.exists(&dir).unwrap());
    let file_path = dir.join("f");
    let kind = |outcome: io::Result<Arc<dyn DiskFile>>| outcome.unwrap_err().kind();
    for how in [Open::Read, Open::ReadWrite] {
        assert_eq!(kind(disk.open(&file_path, how)), io::ErrorKind::NotFound);
    }
    assert_eq!(kind(disk.open(&dir, Open::Read)), io::ErrorKind::IsADirectory);
    assert_eq!(kind(disk.open(&root.join("no/f"), Open::Create)), io::ErrorKind::NotFound);

    let file = disk.open(&file_path, Open::Create).unwrap();
    assert!(file.is_empty().unwrap());
    file.write_all_at(&[IoSlice::new(b"he"), IoSlice::new(b""), IoSlice::new(b"llo")], 2).unwrap();
    let mut buf = [9; 16];
    assert_eq!(file.read_at(&mut buf, 0).unwrap(), 7);
    assert_eq!(&buf[..7], b"\0\0hello");
    assert_eq!(file.read_at(&mut buf, 7).unwrap(), 0);
    assert_eq!(file.read_at(&mut buf, 99).unwrap(), 0);
    let eof = file.read_exact_at(&mut buf[..4], 5).unwrap_err();
    assert_eq!(eof.kind(), io::ErrorKind::UnexpectedEof);
    file.set_len(4).unwrap();
    file.set_len(6).unwrap();
    let mut all = [1; 6];
    file.read_exact_at(&mut all, 0).unwrap();
    assert_eq!(&all, b"\0\0he\0\0");
    file.allocate(4, 4).unwrap();
    file.allocate(0, 2).unwrap();
    assert_eq!(file.len().unwrap(), 8);
    file.set_modified_ms(1_700_000_000_123).unwrap();
    assert_eq!(file.modified_ms().unwrap(), 1_700_000_000_123);
    file.sync_data().unwrap();
    file.sync_all().unwrap();
    disk.sync_dir(&dir).unwrap();

    // Kept as it is, or cut.
    assert_eq!(disk.open(&file_path, Open::Create).unwrap().len().unwrap(), 8);
    assert_eq!(disk.open(&file_path, Open::Truncate).unwrap().len().unwrap(), 0);
    let read_only = disk.open(&file_path, Open::Read).unwrap();
    assert!(write(&*read_only, 0, b"x").is_err());
    conforms_in_maps(&*file);
    conforms_in_names(disk, &dir);
    conforms_in_locks(disk, root);
}

fn conforms_in_maps(file: &dyn DiskFile) {
    file.set_len(8).unwrap();
    for len in [0, 9] {
        assert_eq!(file.map(len).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
    let map = file.map(8).unwrap();
    map.store_u32(4, 0x6162_6364);
    let mut word = [0; 4];
    file.read_exact_at(&mut word, 4).unwrap();
    assert_eq!(&word, b"abcd");
    write(file, 0, b"ABCD").unwrap();
    assert_eq!(map.load_u32(0), 0x4142_4344);
    map.flush().unwrap();
    for position in [2, 8] {
        assert!(catch_unwind(AssertUnwindSafe(|| map.load_u32(position))).is_err());
    }
}

fn conforms_in_names(disk: &dyn Disk, dir: &Path) {
    let open = disk.open(&dir.join("f"), Open::ReadWrite).unwrap();
    write(&*open, 0, b"first").unwrap();
    drop(disk.open(&dir.join("g"), Open::Create).unwrap());
    disk.rename(&dir.join("f"), &dir.join("g")).unwrap();
    assert_eq!(names(disk, dir), ["g"]);
    disk.unlink(&dir.join("g")).unwrap();
    assert_eq!(names(disk, dir), [""; 0]);
    // Without a name it is still there for who holds it.
    write(&*open, 5, b"!").unwrap();
    let mut bytes = [0; 6];
    open.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"first!");

    let kind = |outcome: io::Result<()>| outcome.unwrap_err().kind();
    assert_eq!(kind(disk.unlink(&dir.join("g"))), io::ErrorKind::NotFound);
    assert_eq!(kind(disk.rename(&dir.join("g"), &dir.join("h"))), io::ErrorKind::NotFound);
    disk.create_dir_all(&dir.join("d")).unwrap();
    drop(disk.open(&dir.join("d/f"), Open::Create).unwrap());
    assert_eq!(kind(disk.remove_dir(&dir.join("d"))), io::ErrorKind::DirectoryNotEmpty);
    assert_eq!(kind(disk.unlink(&dir.join("d"))), io::ErrorKind::IsADirectory);
    disk.rename(&dir.join("d"), &dir.join("e")).unwrap();
    assert!(disk.exists(&dir.join("e/f")).unwrap());
    disk.unlink(&dir.join("e/f")).unwrap();
    disk.remove_dir(&dir.join("e")).unwrap();
    assert_eq!(kind(disk.list(&dir.join("e")).map(drop)), io::ErrorKind::NotFound);
}

fn conforms_in_locks(disk: &dyn Disk, root: &Path) {
    let lock_path = root.join(".lock");
    let lock = disk.lock(&lock_path).unwrap().unwrap();
    assert!(disk.lock(&lock_path).unwrap().is_none());
    drop(lock);
    assert!(disk.lock(&lock_path).unwrap().is_some());
    assert!(disk.exists(&lock_path).unwrap());
    let space = disk.space(root).unwrap();
    assert!(space.usable_bytes <= space.total_bytes);
}

#[test]
fn the_real_disk_conforms() {
    let dir = tempfile::tempdir().unwrap();
    conforms(&RealDisk, dir.path());
}

#[test]
fn the_simulated_disk_conforms() {
    conforms(&SimDisk::new(), path(""));
    let limited = SimDisk::new();
    limited.set_capacity(Some(1 << 20));
    limited.set_short_reads(None);
    limited.create_dir_all(path("/data")).unwrap();
    conforms(&limited, path("/data"));
}

#[test]
fn a_killed_process_loses_nothing_and_a_later_power_loss_does() {
    let disk = SimDisk::new();
    let file = durable(&disk, "f", b"old");
    write(&*file, 3, b"new").unwrap();
    let _lock = disk.lock(path(".lock")).unwrap().unwrap();
    let killed = disk.crash(0, CrashStyle::ProcessKill);
    assert_eq!(killed.contents(path("f")).unwrap(), b"oldnew");
    assert_eq!(killed.durable_contents(path("f")).unwrap(), b"old");
    assert!(killed.lock(path(".lock")).unwrap().is_some(), "locks die with the process");
    let lost = killed.crash(0, CrashStyle::DropPending);
    assert_eq!(lost.contents(path("f")).unwrap(), b"old");
    assert_eq!(lost.files(), ["f"]);
    // The old disk is as it was.
    assert_eq!(disk.contents(path("f")).unwrap(), b"oldnew");
}

#[test]
fn what_was_synced_survives_every_style() {
    for style in CrashStyle::POWER_LOSS {
        for seed in 0..50 {
            let disk = SimDisk::new();
            let bytes: Vec<u8> = (0..3000).map(|n| n as u8).collect();
            let file = durable(&disk, "f", &bytes);
            write(&*file, 3000, &[7; 3000]).unwrap();
            let after = disk.crash(seed, style).contents(path("f")).unwrap();
            assert_eq!(after[..3000], bytes, "{style:?}, seed {seed}");
            let again = disk.crash(seed, style).contents(path("f")).unwrap();
            assert_eq!(after, again, "{style:?}, seed {seed} is not repeatable");
        }
    }
}

/// Each style must show what it is for, or tests that pass under it prove nothing.
#[test]
fn every_style_is_as_nasty_as_it_says() {
    let disk = SimDisk::new();
    let file = durable(&disk, "f", b"");
    for (position, byte) in [(0, 1), (1024, 2), (2048, 3)] {
        write(&*file, position, &[byte; 1024]).unwrap();
    }
    let outcomes = |style| -> BTreeSet<Vec<u8>> {
        (0..300).map(|seed| disk.crash(seed, style).contents(path("f")).unwrap()).collect()
    };
    let sectors = |bytes: &[u8]| -> Vec<u8> { bytes.chunks(512).map(|chunk| chunk[0]).collect() };
    let has = |style, wanted: &[u8]| outcomes(style).iter().any(|bytes| sectors(bytes) == wanted);

    assert_eq!(outcomes(CrashStyle::DropPending), BTreeSet::from([vec![]]));
    let lengths: Vec<_> = outcomes(CrashStyle::Prefix).iter().map(Vec::len).collect();
    assert_eq!(lengths, [0, 1024, 2048, 3072]);
    assert_eq!(outcomes(CrashStyle::Subset).len(), 8);
    assert!(has(CrashStyle::Subset, &[0, 0, 0, 0, 3, 3]), "the last write alone");
    assert!(has(CrashStyle::Torn, &[0, 1, 2, 0]), "halves of writes");
    assert_eq!(outcomes(CrashStyle::Zeros), BTreeSet::from([vec![0; 3072]]));
    let garbage = outcomes(CrashStyle::Garbage);
    assert!(garbage.iter().all(|bytes| bytes.len() == 3072));
    assert!(garbage.iter().any(|bytes| bytes[..512].iter().collect::<BTreeSet<_>>().len() > 50));
    assert!(8 < outcomes(CrashStyle::Mixed).len());
    assert_eq!(outcomes(CrashStyle::Names), BTreeSet::from([disk.contents(path("f")).unwrap()]));
}

#[test]
fn names_need_a_sync_of_their_directory() {
    let disk = SimDisk::new();
    durable(&disk, "old", b"1");
    let file = disk.open(path("tmp"), Open::Create).unwrap();
    write(&*file, 0, b"2").unwrap();
    file.sync_all().unwrap();
    disk.rename(path("tmp"), path("old")).unwrap();
    let mut seen = BTreeSet::new();
    for seed in 0..100 {
        let after = disk.crash(seed, CrashStyle::Names);
        let content = after.contents(path("old")).unwrap();
        seen.insert((after.files().join(" "), content));
    }
    // The rename alone would be a name out of nowhere.
    let expected = [("old", "1"), ("old", "2"), ("old tmp", "1")];
    assert_eq!(seen, expected.map(|(f, c)| (f.to_owned(), c.as_bytes().to_vec())).into());
    assert_eq!(disk.crash(0, CrashStyle::DropPending).contents(path("old")).unwrap(), b"1");
    disk.sync_dir(path(".")).unwrap();
    let after = disk.crash(0, CrashStyle::DropPending);
    assert_eq!(after.files(), ["old"]);
    assert_eq!(after.contents(path("old")).unwrap(), b"2");
}

#[test]
fn directories_need_a_sync_of_the_one_above() {
    let disk = SimDisk::new();
    disk.create_dir_all(path("a/b")).unwrap();
    let file = disk.open(path("a/b/f"), Open::Create).unwrap();
    file.sync_all().unwrap();
    disk.sync_dir(path("a/b")).unwrap();
    assert!(!disk.crash(0, CrashStyle::DropPending).exists(path("a")).unwrap());
    disk.sync_dir(path("a")).unwrap();
    disk.sync_dir(path("")).unwrap();
    assert_eq!(disk.crash(0, CrashStyle::DropPending).files(), ["a/b/f"]);
    // A directory's rename takes its files along, or not.
    disk.rename(path("a/b"), path("a/c")).unwrap();
    assert_eq!(disk.crash(0, CrashStyle::DropPending).files(), ["a/b/f"]);
    disk.sync_dir(path("a")).unwrap();
    assert_eq!(disk.crash(0, CrashStyle::DropPending).files(), ["a/c/f"]);
    // Unlinked, but not durably: it is back.
    disk.unlink(path("a/c/f")).unwrap();
    assert_eq!(disk.crash(0, CrashStyle::DropPending).files(), ["a/c/f"]);
    disk.sync_dir(path("a/c")).unwrap();
    assert_eq!(disk.crash(0, CrashStyle::DropPending).files(), [""; 0]);
}

#[test]
fn stores_into_maps_are_pending_until_flushed() {
    let disk = SimDisk::new();
    let file = durable(&disk, "f", &[0; 8]);
    let map = file.map(8).unwrap();
    map.store_u32(0, 1);
    map.flush().unwrap();
    map.store_u32(4, 2);
    drop(file);
    assert_eq!(map.load_u32(4), 2);
    let lost = disk.crash(0, CrashStyle::DropPending).contents(path("f")).unwrap();
    assert_eq!(lost, [0, 0, 0, 1, 0, 0, 0, 0]);
    let killed = disk.crash(0, CrashStyle::ProcessKill).contents(path("f")).unwrap();
    assert_eq!(killed, [0, 0, 0, 1, 0, 0, 0, 2]);
}

#[test]
fn stops_before_amid_and_after_each_operation() {
    let work = |disk: &SimDisk| -> io::Result<()> {
        let file = disk.open(path("f"), Open::Create)?;
        write(&*file, 0, b"abcd")?;
        file.sync_data()?;
        disk.rename(path("f"), path("g"))
    };
    let whole = SimDisk::new();
    work(&whole).unwrap();
    assert_eq!(whole.ops(), 4);
    let seen = |stop| {
        let disk = SimDisk::new();
        disk.stop(stop);
        assert!(Stopped::is(&work(&disk).unwrap_err()), "{stop:?}");
        assert!(disk.is_stopped());
        assert!(Stopped::is(&disk.exists(path("f")).unwrap_err()), "nothing works after the end");
        let after = disk.crash(0, CrashStyle::ProcessKill);
        let files = after.files();
        let content = files.first().map(|name| after.contents(path(name)).unwrap());
        let content = String::from_utf8(content.unwrap_or_default()).unwrap();
        (files.join(" "), content)
    };
    let pair = |files: &str, content: &str| (files.to_owned(), content.to_owned());
    assert_eq!(seen(Stop::Before(0)), pair("", ""));
    assert_eq!(seen(Stop::After(0)), pair("f", ""));
    assert_eq!(seen(Stop::Before(1)), pair("f", ""));
    assert_eq!(seen(Stop::Amid(1)), pair("f", "ab"));
    assert_eq!(seen(Stop::After(1)), pair("f", "abcd"));
    assert_eq!(seen(Stop::Amid(3)), pair("f", "abcd"));
    assert_eq!(seen(Stop::After(3)), pair("g", "abcd"));
}

#[test]
fn faults_strike_once_or_for_ever() {
    let disk = SimDisk::new();
    let file = durable(&disk, "a.log", b"");
    let is_eio = |outcome: io::Result<()>| outcome.is_err_and(|e| e.raw_os_error() == Some(EIO));
    disk.inject(Fault::on(OpKind::Write, EIO).path(".log").skip(1).after_bytes(2));
    write(&*file, 0, b"abc").unwrap();
    assert!(is_eio(write(&*file, 3, b"def")));
    assert_eq!(disk.contents(path("a.log")).unwrap(), b"abcde");
    write(&*file, 3, b"def").unwrap();

    let next = disk.ops();
    disk.inject(Fault::at_op(next + 1, ENOSPC).sticky());
    file.set_len(3).unwrap();
    for _ in 0..3 {
        let error = file.set_len(1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
    assert_eq!(file.len().unwrap(), 3, "reads are not numbered");
    disk.clear_faults();
    disk.inject(Fault::on(OpKind::Read, EIO));
    assert!(is_eio(file.read_at(&mut [0], 0).map(drop)));
    disk.inject(Fault::on(OpKind::Rename, EIO));
    assert!(is_eio(disk.rename(path("a.log"), path("b.log"))));
    assert_eq!(disk.files(), ["a.log"]);
    let trace = disk.trace();
    assert!(
        trace.iter().any(|line| line.starts_with("5 Write a.log [3, 6) ! Bytes(2)")),
        "{trace:#?}"
    );
}

#[test]
fn a_failed_sync_leaves_what_its_personality_says() {
    let table = [
        (FsyncFailure::CleanAndForget, "new", "old"),
        (FsyncFailure::StayDirty, "new", "new"),
        (FsyncFailure::Revert, "old", "old"),
    ];
    for (failure, seen, after_retry) in table {
        let disk = SimDisk::new();
        let file = durable(&disk, "f", b"old");
        disk.set_fsync_failure(failure);
        disk.inject(Fault::on(OpKind::Sync, EIO));
        write(&*file, 0, b"new").unwrap();
        assert!(file.sync_data().is_err());
        assert_eq!(disk.contents(path("f")).unwrap(), seen.as_bytes(), "{failure:?}");
        assert_eq!(disk.durable_contents(path("f")).unwrap(), b"old");
        // The sync that is tried again succeeds in any case, which is why nobody may trust it.
        file.sync_data().unwrap();
        let lost = disk.crash(0, CrashStyle::DropPending);
        assert_eq!(lost.contents(path("f")).unwrap(), after_retry.as_bytes(), "{failure:?}");
    }
    let disk = SimDisk::new();
    drop(disk.open(path("f"), Open::Create).unwrap());
    disk.inject(Fault::on(OpKind::SyncDir, EIO));
    assert!(disk.sync_dir(path("")).is_err());
    disk.sync_dir(path("")).unwrap();
    assert_eq!(disk.crash(0, CrashStyle::DropPending).files(), [""; 0]);
}

#[test]
fn a_full_disk_takes_what_fits_and_recovers() {
    let disk = SimDisk::new();
    disk.set_capacity(Some(3 * 4096));
    let file = disk.open(path("f"), Open::Create).unwrap();
    write(&*file, 4000, &[1; 8000]).unwrap();
    let full = write(&*file, 12_000, &[2; 1000]).unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.len().unwrap(), 12_288, "the last block was filled");
    write(&*file, 0, &[3; 4000]).unwrap();
    let other = disk.open(path("g"), Open::Create).unwrap();
    assert_eq!(other.allocate(0, 1).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.space(path("")).unwrap().usable_bytes, 0);
    // A sparse file is no problem until it is touched.
    other.set_len(8192).unwrap();
    let map = other.map(8192).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| map.store_u32(0, 1))).is_err(), "SIGBUS");
    file.set_len(8192).unwrap();
    map.store_u32(0, 1);
    disk.unlink(path("f")).unwrap();
    assert_eq!(disk.space(path("")).unwrap().usable_bytes, 8192);
    assert!(map.load_u32(4096) == 0);
    other.set_len(4096).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| map.load_u32(4096))).is_err(), "SIGBUS");
}

#[test]
fn short_reads_are_completed_by_read_exact() {
    let disk = SimDisk::new();
    let bytes: Vec<u8> = (0..1000).map(|n| n as u8).collect();
    let file = durable(&disk, "f", &bytes);
    disk.set_short_reads(Some(1));
    let mut back = vec![0; 1000];
    assert!((0..20).any(|_| file.read_at(&mut back, 0).unwrap() < 1000));
    file.read_exact_at(&mut back, 0).unwrap();
    assert_eq!(back, bytes);
}

#[test]
fn bit_rot_reaches_the_medium() {
    let disk = SimDisk::new();
    durable(&disk, "f", b"abc");
    disk.corrupt(path("f"), 1, b"X");
    assert_eq!(disk.crash(0, CrashStyle::DropPending).contents(path("f")).unwrap(), b"aXc");
}

/// The way in which small files are replaced, cut at every operation, under every style.
#[test]
fn a_replaced_file_is_old_or_new() {
    use crate::whole_file;
    let work = |disk: &SimDisk| -> io::Result<()> {
        whole_file::replace(disk, path("d/f"), b"a second, longer content")
    };
    let start = SimDisk::new();
    start.create_dir_all(path("d")).unwrap();
    start.sync_dir(path("")).unwrap();
    whole_file::replace(&start, path("d/f"), b"first").unwrap();
    let start = start.crash(0, CrashStyle::DropPending);
    let whole = start.crash(0, CrashStyle::DropPending);
    work(&whole).unwrap();
    let mut outcomes = BTreeSet::new();
    for number in 0..whole.ops() {
        for stop in [Stop::Before(number), Stop::Amid(number), Stop::After(number)] {
            let disk = start.crash(0, CrashStyle::DropPending);
            disk.stop(stop);
            work(&disk).unwrap_err();
            for style in CrashStyle::POWER_LOSS {
                for seed in 0..20 {
                    let content = disk.crash(seed, style).contents(path("d/f")).unwrap();
                    outcomes.insert(String::from_utf8(content).unwrap());
                }
            }
        }
    }
    assert_eq!(outcomes, ["first", "a second, longer content"].map(String::from).into());
    let done = whole.crash(0, CrashStyle::DropPending).contents(path("d/f")).unwrap();
    assert_eq!(done, b"a second, longer content");
}

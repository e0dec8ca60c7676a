//! What only the real disk shows: locks between processes, blocks, system files.

use super::*;
use std::process::Command;

fn temp() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_lock_excludes_others_until_dropped() {
    let dir = temp();
    let path = dir.path().join(".lock");
    let held = RealDisk.lock(&path).unwrap().unwrap();
    assert!(RealDisk.lock(&path).unwrap().is_none());
    // Opening and closing the file elsewhere in the process must not release it.
    drop(File::open(&path).unwrap());
    assert!(RealDisk.lock(&path).unwrap().is_none());
    drop(held);
    assert!(RealDisk.lock(&path).unwrap().is_some());
}

/// The JVM takes a classic `F_SETLK` lock; this is what it would meet.
#[test]
fn a_lock_is_seen_by_classic_record_locks() {
    let dir = temp();
    let path = dir.path().join(".lock");
    let _held = RealDisk.lock(&path).unwrap().unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let mut wanted = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    let error = fcntl(&file, FcntlArg::F_SETLK(&wanted)).unwrap_err();
    assert!(matches!(error, Errno::EAGAIN | Errno::EACCES));
    fcntl(&file, FcntlArg::F_GETLK(&mut wanted)).unwrap();
    assert_eq!(wanted.l_pid, -1, "an open file description lock has no owner process");
}

#[test]
fn an_unlinked_lock_file_is_made_anew() {
    let dir = temp();
    let path = dir.path().join(".lock");
    let old = RealDisk.lock(&path).unwrap().unwrap();
    RealDisk.unlink(&path).unwrap();
    let new = RealDisk.lock(&path).unwrap().unwrap();
    assert!(path.exists());
    drop((old, new));
}

#[test]
fn many_slices_are_written_whole() {
    let dir = temp();
    let file = RealDisk.open(&dir.path().join("f"), Open::Create).unwrap();
    let bytes: Vec<u8> = (0..3 * SLICES_MAX + 5).map(|n| n as u8).collect();
    let slices: Vec<IoSlice<'_>> = bytes.chunks(1).map(IoSlice::new).collect();
    file.write_all_at(&slices, 3).unwrap();
    let mut back = vec![0; bytes.len()];
    file.read_exact_at(&mut back, 3).unwrap();
    assert_eq!(back, bytes);
}

#[test]
fn a_short_write_goes_on_where_it_ended() {
    let slices = [&b"ab"[..], b"", b"cde", b"f"].map(IoSlice::new);
    let all = *b"abcdef";
    for written in 0..=all.len() {
        let mut file = [b'.'; 6];
        file[..written].copy_from_slice(&all[..written]);
        for (start, bytes) in unwritten(&slices, written) {
            assert!(written <= start, "nothing is written twice");
            file[start..start + bytes.len()].copy_from_slice(bytes);
        }
        assert_eq!(file, all, "{written} bytes were written at first");
    }
}

#[test]
fn allocate_takes_blocks_and_set_len_does_not() {
    let dir = temp();
    let file = RealDisk.open(&dir.path().join("f"), Open::Create).unwrap();
    let blocks = || file.os_file().unwrap().metadata().unwrap().blocks();
    file.set_len(1 << 20).unwrap();
    let sparse = blocks();
    file.allocate(0, 64 << 10).unwrap();
    assert_eq!(file.len().unwrap(), 1 << 20);
    assert!(sparse + 128 <= blocks(), "{sparse} then {}", blocks());
    file.allocate(1 << 20, 10).unwrap();
    assert_eq!(file.len().unwrap(), (1 << 20) + 10);
}

#[test]
fn a_full_device_says_storage_full() {
    let Ok(file) = RealDisk.open(Path::new("/dev/full"), Open::ReadWrite) else { return };
    let slices = [IoSlice::new(b"ab"), IoSlice::new(b"cd")];
    let error = file.write_all_at(&slices, 0).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}

#[test]
fn space_and_links() {
    let dir = temp();
    let space = RealDisk.space(dir.path()).unwrap();
    assert!(0 < space.total_bytes && space.usable_bytes <= space.total_bytes);
    fs::create_dir(dir.path().join("d")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("d"), dir.path().join("link")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("gone"), dir.path().join("dangling")).unwrap();
    let mut entries = RealDisk.list(dir.path()).unwrap();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let seen: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.is_dir)).collect();
    assert_eq!(seen, [("d", true), ("dangling", false), ("link", true)]);
}

/// The lock must also hold against a process that uses the lock as Java does; `flock(1)` must not
/// be what we use, since it would not conflict.
#[test]
fn flock_is_a_different_lock() {
    let dir = temp();
    let path = dir.path().join(".lock");
    let _held = RealDisk.lock(&path).unwrap().unwrap();
    let Ok(status) = Command::new("flock").arg("-n").arg(&path).arg("true").status() else {
        return;
    };
    assert!(status.success());
}

#[test]
fn blocks_ahead_do_not_lengthen_a_file() {
    let dir = temp();
    let path = dir.path().join("f");
    let file = RealDisk.open(&path, Open::Create).unwrap();
    file.write_all_at(&[IoSlice::new(b"some bytes")], 0).unwrap();
    let blocks = || fs::metadata(&path).unwrap().blocks();
    let before = blocks();
    file.allocate_ahead(10, 256 << 10);
    assert_eq!(file.len().unwrap(), 10);
    let is_ext4 =
        fstatfs(File::open(&path).unwrap()).unwrap().filesystem_type() == EXT4_SUPER_MAGIC;
    if is_ext4 {
        assert!(blocks() >= before + 500, "{} blocks", blocks());
    } else {
        println!("{} is not on ext4: nothing is allocated", path.display());
        assert_eq!(blocks(), before);
    }
    file.set_modified_ms(1_000).unwrap();
    // Any handle frees them.
    RealDisk.open(&path, Open::ReadWrite).unwrap().free_ahead();
    assert_eq!(blocks(), before);
    assert_eq!(file.len().unwrap(), 10);
    // What cannot be done is no error: no bytes, a place beyond all files, a handle for reading.
    file.allocate_ahead(10, 0);
    file.allocate_ahead(u64::MAX, 1);
    let reader = RealDisk.open(&path, Open::Read).unwrap();
    reader.allocate_ahead(10, 256 << 10);
    reader.free_ahead();
    assert_eq!(blocks(), before);
    assert_eq!(file.modified_ms().unwrap(), 1_000);
}

#[test]
fn steps_reach_over_the_whole_of_a_long_file() {
    let step = FORGET_STEP_BYTES;
    let steps = |len| forget_steps(len).collect::<Vec<_>>();
    for len in [0, 1, step] {
        assert!(steps(len).is_empty(), "{len}");
    }
    assert_eq!(steps(step + 1), [0, step]);
    assert_eq!(steps(3 * step), [0, step, 2 * step]);
    assert_eq!(forget_steps(1 << 40).last(), Some((1 << 40) - step));
}

#[test]
fn what_is_unlinked_in_steps_stays_good_for_its_readers() {
    let dir = temp();
    let path = dir.path().join("f");
    let file = RealDisk.open(&path, Open::Create).unwrap();
    // One part is written back and one is not; the last step is not whole.
    let bytes: Vec<u8> = (0..3 * FORGET_STEP_BYTES + 1_000).map(|n| (n >> 8) as u8).collect();
    let (synced, rest) = bytes.split_at(700_000);
    file.write_all_at(&[IoSlice::new(synced)], 0).unwrap();
    file.sync_data().unwrap();
    file.write_all_at(&[IoSlice::new(rest)], 700_000).unwrap();
    RealDisk.unlink_in_steps(&path).unwrap();
    assert!(!RealDisk.exists(&path).unwrap());
    let mut read = vec![0; bytes.len()];
    file.read_exact_at(&mut read, 0).unwrap();
    assert!(read == bytes);
    let error = RealDisk.unlink_in_steps(&path).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn what_is_no_plain_file_is_unlinked_in_steps_too() {
    let dir = temp();
    let [pipe, link] = ["pipe", "link"].map(|name| dir.path().join(name));
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    for path in [pipe, link] {
        RealDisk.unlink_in_steps(&path).unwrap();
        assert!(fs::symlink_metadata(&path).is_err());
    }
}

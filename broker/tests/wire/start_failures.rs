//! Starts that fail: one message that says what stands in the way and what to do, exit code 1, and
//! nothing changed on the disk.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use ottla::broker::RunningBroker;
use tempfile::TempDir;

use crate::harness::{Client, PATIENCE, TestBroker, batch, start};

/// Everything below a directory: paths with contents, or nothing for directories.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut tree = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tree.extend(self::tree(&path));
            tree.insert(path, None);
        } else if path.ends_with(".lock") {
            // Whoever closes a file lets go of the locks of its process.
            tree.insert(path, None);
        } else {
            let bytes = fs::read(&path).unwrap();
            tree.insert(path, Some(bytes));
        }
    }
    tree
}

/// Runs `ottla` until it gives up, and returns its message.
fn fails(data: &Path, settings: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
    command.arg("--data").arg(data).args(["--log-level", "off"]);
    if !settings.iter().any(|setting| setting.starts_with("listeners=")) {
        command.args(["--override", "listeners=PLAINTEXT://127.0.0.1:0"]);
    }
    for setting in settings {
        command.args(["--override", setting]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(output.stdout.is_empty(), "it does not say that it runs");
    assert!(message.starts_with("ottla: ") && message.ends_with('\n'), "{message}");
    assert!(!message.contains("panicked") && !message.contains("Error("), "{message}");
    message
}

/// [`fails`], with each of `words` in the message and the disk as it was.
fn fails_saying(dir: &Path, data: &Path, settings: &[&str], words: &[&str]) {
    let before = tree(dir);
    let message = fails(data, settings);
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
    let after = tree(dir);
    let changed: Vec<&PathBuf> = before
        .keys()
        .chain(after.keys())
        .filter(|path| before.get(*path) != after.get(*path))
        .collect();
    assert!(changed.is_empty(), "{message}{changed:?}");
}

/// A directory with a topic in it, whose broker has stopped.
fn formatted() -> TempDir {
    let broker = TestBroker::start();
    broker.client().create_topic("t", 1, &[]);
    broker.into_dir()
}

fn data_of(dir: &Path) -> &str {
    dir.to_str().unwrap()
}

#[test]
fn a_directory_held_by_another_process() {
    let dir = formatted();
    let lock = fs::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(dir.path().join(".lock"))
        .unwrap();
    let whole = nix::libc::flock {
        l_type: nix::libc::F_WRLCK as i16,
        l_whence: nix::libc::SEEK_SET as i16,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    // As another program that knows these locks, or a JVM, whose locks belong to its process.
    for how in [FcntlArg::F_OFD_SETLK(&whole), FcntlArg::F_SETLK(&whole)] {
        fcntl(&lock, how).unwrap();
        fails_saying(dir.path(), dir.path(), &[], &["lock", data_of(dir.path()), "stop"]);
        let free = nix::libc::flock { l_type: nix::libc::F_UNLCK as i16, ..whole };
        fcntl(&lock, FcntlArg::F_OFD_SETLK(&free)).unwrap();
    }
}

#[test]
fn a_directory_held_by_a_broker() {
    let broker = TestBroker::start();
    let message = fails(&broker.dir(), &[]);
    assert!(message.contains(".lock"), "{message}");
    broker.client().create_topic("t", 1, &[]);
}

#[test]
fn a_directory_that_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "not a directory").unwrap();
    for data in [file.clone(), file.join("below")] {
        fails_saying(dir.path(), &data, &[], &[data_of(&data)]);
    }
}

#[test]
fn a_directory_that_may_not_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o500)).unwrap();
    // Root may write anywhere, and then there is nothing to see.
    if fs::write(data.join("probe"), "").is_ok() {
        return;
    }
    fails_saying(dir.path(), &data, &[], &[data_of(&data), "ermission"]);
}

#[test]
fn a_damaged_checkpoint() {
    let dir = formatted();
    fs::write(dir.path().join("replication-offset-checkpoint"), "rot").unwrap();
    let words = ["replication-offset-checkpoint", "\"rot\"", "ottlactl repair"];
    let message = fails(dir.path(), &[]);
    words.iter().for_each(|word| assert!(message.contains(word), "{word:?}: {message}"));
}

#[test]
fn a_port_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let listeners = format!("listeners=PLAINTEXT://{address}");
    let words = ["in use", &*address, "listeners"];
    fails_saying(dir.path(), &dir.path().join("data"), &[&listeners], &words);
}

#[test]
fn a_bad_setting() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    for (setting, words) in [
        ("num.partitions=many", ["num.partitions", "many"]),
        ("log.retention.hours=1.5", ["log.retention.hours", "1.5"]),
        ("listeners=PLAINTEXT", ["listeners", "PLAINTEXT"]),
        ("compression.type=brotli", ["compression.type", "zstd"]),
        ("node.id=-5", ["node.id", "-5"]),
    ] {
        fails_saying(dir.path(), &data, &[setting], &words);
    }
}

#[test]
fn a_node_of_another_id() {
    let dir = formatted();
    fails_saying(dir.path(), dir.path(), &["node.id=7"], &["node.id", "7", "meta.properties"]);
}

#[test]
fn a_directory_that_lost_its_identity() {
    let dir = formatted();
    fs::remove_file(dir.path().join("meta.properties")).unwrap();
    fails_saying(dir.path(), dir.path(), &[], &["meta.properties", "restore"]);
}

#[test]
fn a_directory_with_a_broken_identity() {
    let dir = formatted();
    fs::write(dir.path().join("meta.properties"), "version=9\nnode.id=1\n").unwrap();
    fails_saying(dir.path(), dir.path(), &[], &["meta.properties"]);
}

#[test]
fn a_stray_directory() {
    let dir = formatted();
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    fails_saying(dir.path(), dir.path(), &[], &["lost+found"]);
    // On a new disk too, whose root every file system puts one into.
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    fails_saying(dir.path(), dir.path(), &[], &["lost+found"]);
}

#[test]
fn partitions_without_the_metadata_log() {
    let dir = formatted();
    fs::remove_dir_all(dir.path().join("__cluster_metadata-0")).unwrap();
    fails_saying(dir.path(), dir.path(), &[], &["__cluster_metadata-0", "t-0", "--accept strays"]);
    // Its disk is not mounted.
    let apart = format!("metadata.log.dir={}", dir.path().join("mnt").display());
    fails_saying(dir.path(), dir.path(), &[&apart], &["mnt/__cluster_metadata-0", "mount"]);
}

#[test]
fn a_file_that_is_no_segment() {
    let dir = formatted();
    fs::write(dir.path().join("t-0/copy.log"), "").unwrap();
    fails_saying(dir.path(), dir.path(), &[], &["\"copy.log\"", "t-0", "move it elsewhere"]);
}

#[test]
fn a_partition_in_two_log_directories() {
    let dir = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| dir.path().join(name));
    let both = format!("log.dirs={},{}", one.display(), other.display());
    let broker = RunningBroker::start(start("unused", std::slice::from_ref(&both))).unwrap();
    let mut client = Client::connect(broker.addresses()[0]);
    client.create_topic("t", 1, &[]);
    client.append("t", &batch(&[b"x"]));
    broker.stop().unwrap();
    let [from, to] = match one.join("t-0").exists() {
        true => [one, other],
        false => [other, one],
    };
    fs::create_dir(to.join("t-0")).unwrap();
    for name in ["partition.metadata", "00000000000000000000.log"] {
        fs::copy(from.join("t-0").join(name), to.join("t-0").join(name)).unwrap();
    }
    let message = ["t-0 is in 2 log directories", data_of(&from), data_of(&to)];
    fails_saying(dir.path(), &from, &[&both], &message);
}

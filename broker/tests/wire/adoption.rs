//! `ottla check` and refused starts leave a directory as it was, to the times of its files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ottla_metadata::controller::Records;
use ottla_metadata::log_codec::{self, BatchPlace};
use ottla_protocol::metadata::cluster::FeatureLevelRecord;
use ottla_protocol::record::set::Batches;

use crate::harness::TestBroker;

/// Each file and directory: when it and its name list were last changed, and its bytes.
type Tree = BTreeMap<PathBuf, ((i64, i64), Option<Vec<u8>>)>;

fn tree(dir: &Path) -> Tree {
    let mut tree = Tree::new();
    let metadata = fs::metadata(dir).unwrap();
    let times = (metadata.mtime(), metadata.mtime_nsec());
    tree.insert(dir.to_owned(), (times, None));
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tree.extend(self::tree(&path));
            continue;
        }
        let metadata = fs::metadata(&path).unwrap();
        // Whoever closes a file lets go of the locks of its process.
        let bytes = (!path.ends_with(".lock")).then(|| fs::read(&path).unwrap());
        tree.insert(path, ((metadata.mtime(), metadata.mtime_nsec()), bytes));
    }
    tree
}

fn ottla(arguments: &[&str], data: &Path) -> (Output, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
    command.args(arguments).arg("--data").arg(data);
    command.args(["--override", "listeners=PLAINTEXT://127.0.0.1:0"]);
    let output = command.output().unwrap();
    let text = [&output.stdout[..], &output.stderr].concat();
    (output, String::from_utf8(text).unwrap())
}

/// Appends a level that nobody knows to the metadata log.
fn raise_a_level(data: &Path) {
    let path = data.join("__cluster_metadata-0/00000000000000000000.log");
    let mut log = fs::read(&path).unwrap();
    let last = Batches::new(&log).last().unwrap().unwrap();
    let (end_offset, epoch) =
        (last.header().last_offset() + 1, last.header().partition_leader_epoch());
    let mut records = Records::new();
    records.push(&FeatureLevelRecord { name: "group.version", feature_level: 9 }.into(), 0);
    let place = BatchPlace { base_offset: end_offset, epoch, now_ms: 0 };
    log.extend(log_codec::records_batch(&records, place).unwrap());
    fs::write(&path, log).unwrap();
}

#[test]
fn a_check_changes_nothing() {
    let broker = TestBroker::start();
    broker.client().create_topic("t", 2, &[]);
    let dir = broker.into_dir();
    let before = tree(dir.path());
    let (output, text) = ottla(&["check"], dir.path());
    assert!(output.status.success(), "{text}");
    assert!(text.contains("topics          1, 2 partitions\n"), "{text}");
    assert!(text.contains("ready: ottla would start on this; nothing was changed\n"), "{text}");
    assert!(tree(dir.path()) == before);
}

#[test]
fn a_check_beside_a_broker_says_so() {
    let broker = TestBroker::start();
    let (output, text) = ottla(&["check"], &broker.dir());
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("- a running broker has this directory\n"), "{text}");
    broker.client().create_topic("t", 1, &[]);
}

#[test]
fn a_level_from_the_future_is_refused_and_nothing_is_touched() {
    let broker = TestBroker::start();
    broker.client().create_topic("t", 1, &[]);
    let dir = broker.into_dir();
    raise_a_level(dir.path());
    let before = tree(dir.path());
    let (checked, text) = ottla(&["check"], dir.path());
    assert_eq!(checked.status.code(), Some(1), "{text}");
    let told = "feature group.version is at level 9, known are 0 to 1\n";
    assert!(text.contains(told), "{text}");
    assert!(tree(dir.path()) == before);

    let (started, text) = ottla(&["--log-level", "off"], dir.path());
    assert_eq!(started.status.code(), Some(1), "{text}");
    assert!(text.contains(told) && text.contains("kafka-features downgrade"), "{text}");
    let after = tree(dir.path());
    // The lock file came and went, by which the directory's own time is another.
    let files = |tree: &Tree| -> Tree {
        tree.iter()
            .filter(|(path, _)| path.as_path() != dir.path())
            .map(|(path, of)| (path.clone(), of.clone()))
            .collect()
    };
    assert!(files(&after) == files(&before));
}

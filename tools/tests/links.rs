//! Links by the names of Kafka's tools.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn install(dir: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottlactl"));
    command.arg("install-links").arg(dir).output().unwrap()
}

#[test]
fn links_are_made_and_nothing_else_is_touched() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("bin");
    assert!(install(&dir).status.success());
    for name in ["kafka-topics.sh", "kafka-configs.sh", "kafka-consumer-groups.sh"] {
        let output = Command::new(dir.join(name)).arg("--version").output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "4.3.1\n", "{name}");
    }
    for name in ["kafka-producer-perf-test.sh", "kafka-consumer-perf-test.sh"] {
        let output = Command::new(dir.join(name)).arg("--topic").output().unwrap();
        let why = String::from_utf8(output.stderr).unwrap();
        assert!(why.contains("argument"), "{name}: {why}");
    }
    let made = install(&dir);
    assert!(made.status.success(), "those that are there are right");

    let topics = dir.join("kafka-topics.sh");
    fs::remove_file(&topics).unwrap();
    fs::write(&topics, "mine").unwrap();
    let output = install(&dir);
    assert_eq!(output.status.code(), Some(1));
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(why.contains("kafka-topics.sh is there already, and no link to this program"), "{why}");
    assert_eq!(fs::read_to_string(&topics).unwrap(), "mine");
}

//! Several log directories, and one of them missing for a while.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use ottla::broker::RunningBroker;
use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_log_dirs::{
    DescribeLogDirsRequest, DescribeLogDirsResponse,
};
use ottla_protocol::messages::metadata::{MetadataRequest, MetadataResponse};
use ottla_protocol::uuid::Uuid;
use tempfile::TempDir;

use crate::alter_configs::{BROKER, set};
use crate::harness::{Client, TestBroker, batch, fetch_request, start};

const TOPICS: [&str; 4] = ["a", "b", "c", "d"];

fn run(dirs: &[&Path]) -> RunningBroker {
    run_with(dirs, &[])
}

fn run_with(dirs: &[&Path], settings: &[String]) -> RunningBroker {
    let paths: Vec<&str> = dirs.iter().map(|dir| dir.to_str().unwrap()).collect();
    // The free port that a start has found may be gone again when it listens.
    let started = (0..5).find_map(|_| RunningBroker::start(start(&paths.join(","), settings)).ok());
    started.expect("a broker starts")
}

/// Two log directories, in one that goes when it is dropped, which share the topics of a record.
fn two_with_topics() -> (TempDir, [PathBuf; 2]) {
    let root = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| root.path().join(name));
    let broker = run(&[&one, &other]);
    let mut client = Client::connect(broker.addresses()[0]);
    for topic in TOPICS {
        client.create_topic(topic, 1, &[]);
        client.append(topic, &batch(&[topic.as_bytes()]));
    }
    broker.stop().unwrap();
    (root, [one, other])
}

fn is_offline(client: &mut Client, topic: &str) -> bool {
    let request = MetadataRequest { topics: None, ..Default::default() };
    let answer = client.call(ApiKey::Metadata, 9, &request);
    let response: MetadataResponse<'_> = answer.message();
    let told = response.topics.iter().find(|told| told.name == Some(topic)).unwrap();
    told.partitions[0].offline_replicas == [1]
}

#[test]
fn partitions_of_a_missing_directory_wait_for_it() {
    let (_root, [one, other]) = two_with_topics();
    let is_here = |topic: &str| one.join(format!("{topic}-0")).exists();
    assert_eq!(TOPICS.iter().filter(|topic| is_here(topic)).count(), 2, "they share the topics");

    let broker = run(&[&one]);
    let mut client = Client::connect(broker.addresses()[0]);
    for topic in TOPICS {
        assert_eq!(is_offline(&mut client, topic), !is_here(topic), "{topic}");
        let expected =
            if is_here(topic) { ErrorCode::NONE } else { ErrorCode::KAFKA_STORAGE_ERROR };
        assert_eq!(client.produce(topic, &batch(&[b"more"])).code, expected, "{topic}");
        let fetched = client.fetch_with(&fetch_request(topic, Uuid::ZERO, 0), 12);
        assert_eq!(fetched.code, expected, "{topic}");
    }
    broker.stop().unwrap();
    let found = fs::read_dir(&one).unwrap();
    let names = found.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.ends_with("-0")).count(), 3, "two, and the metadata log");

    let broker = run(&[&one, &other]);
    let mut client = Client::connect(broker.addresses()[0]);
    for topic in TOPICS {
        let end = if is_here(topic) { 2 } else { 1 };
        assert_eq!(client.append(topic, &batch(&[b"again"])), end, "{topic}");
    }
    broker.stop().unwrap();
}

#[test]
fn a_log_directory_that_cannot_be_listed_is_offline() {
    let (_root, [one, other]) = two_with_topics();
    fs::rename(&other, one.with_file_name("kept")).unwrap();
    fs::write(&other, "no directory").unwrap();
    let broker = run(&[&one, &other]);
    let mut client = Client::connect(broker.addresses()[0]);
    for topic in TOPICS {
        let is_here = one.join(format!("{topic}-0")).exists();
        assert_eq!(is_offline(&mut client, topic), !is_here, "{topic}");
    }
    broker.stop().unwrap();
}

/// Once at the start, however often it is looked after what is not served.
#[test]
fn partitions_of_a_missing_directory_are_told_of_once() {
    let (_root, [one, _]) = two_with_topics();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ottla"))
        .arg("--data")
        .arg(&one)
        .args(["--override", "listeners=PLAINTEXT://127.0.0.1:0"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The scheduler looks every second.
    std::thread::sleep(Duration::from_millis(2500));
    child.kill().unwrap();
    let log = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
    let told = log.lines().filter(|line| line.contains("is not served")).count();
    assert_eq!(told, TOPICS.len() - 2, "{log}");
}

#[test]
fn the_metadata_log_may_lie_apart_from_all_partitions() {
    let apart = tempfile::tempdir().unwrap();
    let home = apart.path().join("meta");
    let mut broker = TestBroker::with(&[&format!("metadata.log.dir={}", home.display())]);
    broker.client().create_topic("t", 2, &[]);
    assert!(home.join("__cluster_metadata-0").is_dir() && home.join("meta.properties").is_file());
    assert!(!home.join("t-0").exists() && !broker.dir().join("__cluster_metadata-0").exists());
    // Another broker does not get it.
    let refused = || {
        let other = tempfile::tempdir().unwrap();
        let setting = format!("metadata.log.dir={}", home.display());
        RunningBroker::start(start(other.path().to_str().unwrap(), &[setting]))
            .err()
            .unwrap()
            .to_string()
    };
    assert!(refused().contains("meta"), "{}", refused());
    broker.restart();
    let offset = broker.client().append("t", &batch(&[b"x"]));
    assert_eq!(offset, 0);
    let dir = broker.into_dir();
    assert!(!home.join(".lock").exists() && dir.path().join("t-0").is_dir());
    // Nothing of a partition's was written there, and no broker's bookkeeping.
    let names = fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["__cluster_metadata-0", "bootstrap.checkpoint", "meta.properties"]);
}

#[test]
fn partitions_of_a_directory_that_fails_while_it_is_opened_are_not_made_anew() {
    let (_root, [one, other]) = two_with_topics();
    let failing = TOPICS.iter().find(|topic| other.join(format!("{topic}-0")).exists()).unwrap();
    // Not a damaged file, by which that partition alone would be offline: one that cannot be read.
    let file = other.join(format!("{failing}-0/partition.metadata"));
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let broker = run(&[&one, &other]);
    assert!(is_offline(&mut Client::connect(broker.addresses()[0]), failing));
    for topic in TOPICS {
        let name = format!("{topic}-0");
        assert!(one.join(&name).exists() != other.join(&name).exists(), "{topic}");
    }
    broker.stop().unwrap();
}

/// The way back from a disk that is lost for good.
#[test]
fn a_blank_directory_takes_the_place_of_a_lost_one() {
    let (_root, [one, other]) = two_with_topics();
    let lost = TOPICS.iter().find(|topic| other.join(format!("{topic}-0")).exists()).unwrap();
    fs::remove_dir_all(&other).unwrap();
    fs::create_dir(&other).unwrap();
    let both = format!("{},{}", one.display(), other.display());
    let refused = RunningBroker::start(start(&both, &[])).err().unwrap().to_string();
    assert!(refused.contains("--accept lost-directories"), "{refused}");
    assert_eq!(fs::read_dir(&other).unwrap().count(), 0);

    let mut accepting = start(&both, &[]);
    accepting.statics.accept("lost-directories").unwrap();
    let broker = RunningBroker::start(accepting).unwrap();
    let mut client = Client::connect(broker.addresses()[0]);
    for topic in TOPICS {
        let is_here = one.join(format!("{topic}-0")).exists();
        assert_eq!(is_offline(&mut client, topic), !is_here, "{topic}");
    }
    broker.stop().unwrap();

    // Once is enough. What is lost can be made again, and the new directory is used.
    let broker = run(&[&one, &other]);
    let mut client = Client::connect(broker.addresses()[0]);
    client.delete_topic(lost);
    client.create_topic(lost, 4, &[]);
    assert_eq!(client.append(lost, &batch(&[b"again"])), 0);
    assert!(other.join(format!("{lost}-0")).exists() || other.join(format!("{lost}-1")).exists());
    broker.stop().unwrap();
}

/// The directories that are told to be cordoned.
fn cordoned(client: &mut Client) -> Vec<String> {
    let request = DescribeLogDirsRequest { topics: None };
    let answer = client.call(ApiKey::DescribeLogDirs, 5, &request);
    let response: DescribeLogDirsResponse<'_> = answer.message();
    let cordoned = response.results.iter().filter(|dir| dir.is_cordoned);
    cordoned.map(|dir| dir.log_dir.to_owned()).collect()
}

#[test]
fn cordoned_directories_get_no_new_partitions() {
    let root = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| root.path().join(name));
    let [first, second] = [&one, &other].map(|dir| dir.to_str().unwrap().to_owned());
    let cordon = |dirs: &str| format!("cordoned.log.dirs={dirs}");
    let broker = run_with(&[&one, &other], &[cordon(&first)]);
    let mut client = Client::connect(broker.addresses()[0]);
    assert_eq!(cordoned(&mut client), [&*first]);
    client.create_topic("a", 3, &[]);
    assert!((0..3).all(|number| other.join(format!("a-{number}")).exists()), "by the file");
    let key = "cordoned.log.dirs";
    assert_eq!(set(&mut client, BROKER, "1", key, &second), ErrorCode::NONE);
    assert_eq!(cordoned(&mut client), [&*second]);
    client.create_topic("b", 5, &[]);
    assert!((0..5).all(|number| one.join(format!("b-{number}")).exists()), "at once");
    assert_eq!(set(&mut client, BROKER, "1", key, "*"), ErrorCode::NONE);
    assert_eq!(cordoned(&mut client), [&*first, &*second]);
    assert_eq!(client.try_create("c", 1), ErrorCode::INVALID_REPLICATION_FACTOR);
    broker.stop().unwrap();
    // What was set while it ran goes before the file.
    let broker = run_with(&[&one, &other], &[cordon(&first)]);
    let mut client = Client::connect(broker.addresses()[0]);
    assert_eq!(client.try_create("c", 1), ErrorCode::INVALID_REPLICATION_FACTOR);
    assert_eq!(set(&mut client, BROKER, "1", key, &first), ErrorCode::NONE);
    assert_eq!(client.try_create("c", 1), ErrorCode::NONE);
    assert!(other.join("c-0").exists() && client.append("b", &batch(&[b"x"])) == 0);
    broker.stop().unwrap();
}

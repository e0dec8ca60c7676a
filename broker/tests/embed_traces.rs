//! What brokers inside of a program leave behind: nothing. A process of its own, so that nobody
//! else's threads and files are counted.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ottla::{Broker, Config};

/// Asks for the versions, and waits for the answer.
fn ask(broker: &Broker) {
    let mut stream = TcpStream::connect(broker.bootstrap_servers()).unwrap();
    // ApiVersions 0, correlation id 7, no client id.
    stream.write_all(b"\0\0\0\x0a\0\x12\0\0\0\0\0\x07\xff\xff").unwrap();
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[4..], [0, 0, 0, 7, 0, 0]);
}

fn count(of: &str) -> usize {
    fs::read_dir(format!("/proc/self/{of}")).unwrap().count()
}

/// Which signals this process handles or ignores.
fn signals() -> Vec<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    status.lines().filter(|line| line.starts_with("Sig")).map(str::to_owned).collect()
}

fn limits() -> String {
    fs::read_to_string("/proc/self/limits").unwrap()
}

fn median_ms(mut took: Vec<Duration>) -> f64 {
    took.sort();
    took[took.len() / 2].as_secs_f64() * 1000.0
}

#[test]
fn nothing_is_left() {
    let (signals_before, limits_before) = (signals(), limits());
    // The first one may open what stays for the process, as a spare descriptor.
    ask(&Broker::start(Config::ephemeral()).unwrap());
    let (threads, files) = (count("task"), count("fd"));
    let (mut starts, mut stops) = (Vec::new(), Vec::new());
    for _ in 0..30 {
        let begun = Instant::now();
        let broker = Broker::start(Config::ephemeral()).unwrap();
        ask(&broker);
        starts.push(begun.elapsed());
        assert!(threads < count("task") && files < count("fd"));
        let begun = Instant::now();
        drop(broker.stop().unwrap());
        stops.push(begun.elapsed());
        assert_eq!(log::max_level(), log::LevelFilter::Off, "no logger was installed");
    }
    // A thread that has ended is listed for a moment longer.
    let deadline = Instant::now() + Duration::from_secs(10);
    while count("task") > threads || count("fd") > files {
        assert!(Instant::now() < deadline, "{} threads, {} files", count("task"), count("fd"));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!((signals(), limits()), (signals_before, limits_before));
    println!("start to answer {:.1} ms, stop {:.1} ms", median_ms(starts), median_ms(stops));
}

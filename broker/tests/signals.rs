//! What signals do to a running `ottla`, told by exit codes, and how many files it may open.
//!
//! The process that gets them is this test program itself, started again as a child whose broker
//! only waits to be stopped.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ottla::cli::{self, Start};

/// Says to a child what its broker does once it is told to stop.
const ROLE: &str = "OTTLA_TEST_BROKER";

/// Not a test of its own: the child.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let arguments = ["ottla", "--log-level", "off"].map(OsString::from);
    let code = cli::run(arguments, |start: Start| {
        println!("\nready");
        start.stop.wait();
        println!("stopping");
        match role.as_str() {
            "stops" => Ok(()),
            "fails" => Err("the disk is gone".into()),
            // Never ends, so that only force helps.
            _ => loop {
                std::thread::park();
            },
        }
    });
    std::process::exit(i32::from(code != ExitCode::SUCCESS));
}

struct Broker {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Broker {
    fn start(role: &str) -> Self {
        // With fewer open files than it may have.
        let mut child = Command::new("sh")
            .args(["-c", "ulimit -S -n 200 && exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(ROLE, role)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut broker = Self { child, lines };
        broker.wait_for("ready");
        broker
    }

    fn wait_for(&mut self, expected: &str) {
        let found = self.lines.by_ref().any(|line| line.unwrap() == expected);
        assert!(found, "the child never said {expected:?}");
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    fn exit_code(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

#[test]
fn sigterm_and_sigint_stop_cleanly() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let broker = Broker::start("stops");
        broker.signal(signal);
        assert_eq!(broker.exit_code(), Some(0), "{signal}");
    }
}

#[test]
fn a_second_signal_forces_the_end() {
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let mut broker = Broker::start("hangs");
        broker.signal(Signal::SIGTERM);
        broker.wait_for("stopping");
        broker.signal(signal);
        assert_eq!(broker.exit_code(), Some(code), "{signal}");
    }
}

#[test]
fn signals_that_mean_no_end_change_nothing() {
    use Signal::{SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2, SIGXFSZ};
    let broker = Broker::start("stops");
    for signal in [SIGHUP, SIGPIPE, SIGXFSZ, SIGUSR1, SIGUSR2] {
        broker.signal(signal);
    }
    broker.signal(Signal::SIGTERM);
    assert_eq!(broker.exit_code(), Some(0));
}

#[test]
fn a_failing_broker_is_told_by_the_exit_code() {
    let broker = Broker::start("fails");
    broker.signal(Signal::SIGTERM);
    assert_eq!(broker.exit_code(), Some(1));
}

#[test]
fn it_may_open_as_many_files_as_the_hard_limit_says() {
    let broker = Broker::start("stops");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", broker.child.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let limits: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
    assert_ne!(limits[0], "200");
    assert_eq!(limits[0], limits[1]);
    broker.signal(Signal::SIGTERM);
    assert_eq!(broker.exit_code(), Some(0));
}

/// The real program, whose output nobody reads, serves and stops in order.
#[test]
fn nobody_has_to_listen() {
    let dir = tempfile::tempdir().unwrap();
    // An address that nobody else here uses, so that its free port stays free.
    let address = std::net::TcpListener::bind("127.8.9.10:0").unwrap().local_addr().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ottla"))
        .arg("--data")
        .arg(dir.path())
        .args(["--override", &format!("listeners=PLAINTEXT://{address}")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    let begun = std::time::Instant::now();
    while std::net::TcpStream::connect(address).is_err() {
        assert!(begun.elapsed().as_secs() < 30, "it does not serve: {:?}", child.try_wait());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

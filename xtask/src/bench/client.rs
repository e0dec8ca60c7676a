//! `cargo xtask bench --client`: this project's client beside librdkafka, the Java client and
//! rskafka, in the same run and in the same way (`bench/clients` and `ClientBench.java`).
//!
//! The broker is alone on processor 0, the client on processor 1 with all its threads. In each
//! round the clients follow one another, each round beginning with another one. What is told of a
//! client is how many records of 100 bytes it takes a second, and a second of processor time of its
//! own. The consumers all read the same topic.
//!
//! Backpressure is a broker that is stopped (SIGSTOP) while a client goes on to send: what is told
//! is the most memory that the client ever had, and how long it took it to send the rest when the
//! broker went on. rskafka leaves batches, and with them the bound, to its program: it is left out.

mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::Bench;
use super::machine::Watch;
use crate::gate::{cargo_command, target_dir};
use crate::interop::process::Process;
use crate::interop::{Kind, Need, Running, Site};
use table::Table;

/// Who is measured; the first is what others are compared with.
const CLIENTS: [&str; 4] = ["ottla-client", "librdkafka", "java", "rskafka"];

/// Records that are measured, and those that a client is warmed up with.
const RECORDS: usize = 4_000_000;
const WARM_UP: usize = 2_000_000;

/// Bytes of a record and of what is around its value, on disk.
const RECORD_BYTES: u64 = 110;

/// The `batch.size` that most clients have by default, and that of librdkafka.
const BATCHES: [(&str, usize); 2] = [("16 KiB", 16_384), ("1,000,000 bytes", 1_000_000)];

/// The `buffer.memory` of Kafka's clients.
const MEMORY_BYTES: usize = 32 << 20;

/// How long the broker stands still, and after how much sending.
const STOPPED: Duration = Duration::from_secs(10);
const BEFORE_STOP: Duration = Duration::from_millis(200);

/// For one run of a client.
const LIMIT: Duration = Duration::from_secs(600);

/// Topics go as they are deleted, to leave room for the next.
const SETTINGS: &str = "file.delete.delay.ms=0\nlog.retention.check.interval.ms=1000\n";

/// The clients against brokers.
pub(super) struct Clients<'a> {
    bench: &'a Bench<'a>,
    /// The program that the clients but Java's are in.
    program: PathBuf,
}

impl<'a> Clients<'a> {
    /// Builds what the clients are in, which takes minutes the first time.
    pub(super) fn build(bench: &'a Bench<'a>) -> Result<Self> {
        let target = target_dir(bench.root).join("bench-clients");
        // Not --locked: the lock file follows what our client depends on.
        let mut build = cargo_command(bench.root, &["build", "--release", "--quiet"]);
        build.arg("--manifest-path").arg(bench.root.join("bench/clients/Cargo.toml"));
        build.arg("--target-dir").arg(&target);
        ensure!(
            build.status()?.success(),
            "the clients do not build; librdkafka needs a C compiler"
        );
        ensure!(bench.toolbox.has(Need::Java), "the Java client needs Java and Maven");
        Ok(Self { bench, program: target.join("release/ottla-bench-clients") })
    }

    /// Measures all clients against Ottla, and Kafka if that is wanted, in each of so many rounds.
    pub(super) fn run(&self, with_kafka: bool, rounds: usize) -> Result<()> {
        let kinds = if with_kafka { &[Kind::Ottla, Kind::Kafka][..] } else { &[Kind::Ottla] };
        let mut tables: Vec<Table> = kinds.iter().map(|_| Table::new(&CLIENTS)).collect();
        for round in 0..rounds {
            println!("round {} of {rounds}", round + 1);
            for (kind, table) in kinds.iter().zip(&mut tables) {
                self.round(*kind, round, table)?;
            }
        }
        let (mut told, mut rows) = (self.bench.machine.told()?, BTreeMap::new());
        for (kind, table) in kinds.iter().zip(&tables) {
            told += &format!("\n\nAgainst {kind:?}:\n\n{}", table.told());
            rows.insert(format!("{kind:?}"), table.json());
        }
        println!("\n{told}");
        self.bench.write(&told, &json!(rows))?;
        println!("also in {}", self.bench.folder.display());
        Ok(())
    }

    fn round(&self, kind: Kind, round: usize, table: &mut Table) -> Result<()> {
        let name = format!("bench-client-{kind:?}").to_lowercase();
        let site = Site::fresh_with(self.bench.toolbox, &name, SETTINGS)?;
        let running = site.start_on(kind, 0)?;
        let run = Run { clients: self, kind, address: site.bootstrap(), running: &running };
        let order: Vec<&str> = (0..CLIENTS.len()).map(|n| CLIENTS[(n + round) % 4]).collect();
        for (batches, bytes) in BATCHES {
            for client in &order {
                run.producer(client, batches, bytes, table)?;
            }
        }
        run.consumers(&order, table)?;
        for client in order.iter().filter(|client| **client != "rskafka") {
            run.backpressure(client, table)?;
        }
        running.stop()?;
        site.remove()
    }

    fn records(&self) -> [String; 2] {
        [RECORDS, WARM_UP].map(|full| self.bench.size(full).to_string())
    }

    fn bytes(&self) -> u64 {
        self.bench.size(RECORDS + WARM_UP) as u64 * RECORD_BYTES
    }
}

/// One broker in one round.
struct Run<'a> {
    clients: &'a Clients<'a>,
    kind: Kind,
    address: &'a str,
    running: &'a Running,
}

impl Run<'_> {
    fn producer(&self, client: &str, batches: &str, bytes: usize, table: &mut Table) -> Result<()> {
        let name = format!("producer, batches of {batches}");
        let topic = self.create(client)?;
        let told = self.measure(&name, client, || {
            self.start_producer(client, &topic, bytes).and_then(|mut process| tell(&mut process))
        })?;
        self.delete(&topic)?;
        table.take(&name, client, &told)
    }

    fn consumers(&self, order: &[&str], table: &mut Table) -> Result<()> {
        let topic = self.create("all")?;
        tell(&mut self.start_producer(CLIENTS[0], &topic, BATCHES[0].1)?)?;
        for client in order {
            let [records, warm_up] = self.clients.records();
            let told = self.measure("consumer", client, || {
                let args = [self.address, &topic, &records, &warm_up];
                tell(&mut self.start("consume", client, &args)?)
            })?;
            table.take("consumer", client, &told)?;
        }
        self.delete(&topic)
    }

    /// The broker stands still while a producer goes on.
    fn backpressure(&self, client: &str, table: &mut Table) -> Result<()> {
        let topic = self.create(client)?;
        let mut producer = self.start_producer(client, &topic, BATCHES[0].1)?;
        ensure!(producer.line()?.as_deref() == Some("go"), "{client} did not begin");
        thread::sleep(BEFORE_STOP / self.clients.bench.shrink as u32);
        let broker = Pid::from_raw(i32::try_from(self.running.id())?);
        kill(broker, Signal::SIGSTOP)?;
        let stopped = Instant::now();
        thread::sleep(STOPPED);
        let left = producer.lines_so_far().next();
        kill(broker, Signal::SIGCONT)?;
        ensure!(left.is_none(), "{client} was done before the broker stopped: {left:?}");
        let told = tell(&mut producer)?;
        let name = format!("backpressure, {} s without a broker", STOPPED.as_secs());
        let peak = told.get("peak_mib").and_then(Value::as_f64).context("no peak of memory")?;
        table.add(&format!("{name}: peak memory, MiB"), client, peak);
        let after = (stopped.elapsed() - STOPPED).as_secs_f64();
        table.add(&format!("{name}: done so many seconds after it"), client, after);
        self.delete(&topic)
    }

    fn measure(
        &self,
        name: &str,
        client: &str,
        run: impl FnOnce() -> Result<Value>,
    ) -> Result<Value> {
        let watch = Watch::start(Some(self.running.id()))?;
        let told = run().with_context(|| format!("{client}, {name}"))?;
        let of = format!("{name} of {client}, {:?}", self.kind);
        self.clients.bench.machine.note(&watch, &of)?;
        println!("{of}: {told}");
        Ok(told)
    }

    fn start_producer(&self, client: &str, topic: &str, bytes: usize) -> Result<Process> {
        let [records, warm_up] = self.clients.records();
        let (bytes, memory) = (bytes.to_string(), MEMORY_BYTES.to_string());
        self.clients.bench.warm_pages(self.clients.bytes().div_ceil(1 << 20))?;
        let args = [self.address, topic, &records, &warm_up, &bytes, &memory];
        self.start("produce", client, &args)
    }

    /// A client on its processor.
    fn start(&self, what: &str, client: &str, args: &[&str]) -> Result<Process> {
        let mut command = Command::new("taskset");
        command.args(["-c", "1"]);
        if client == "java" {
            // With what Kafka's scripts give a JVM.
            command.args(["java", "-Xmx512M", "-server", "-XX:+UseG1GC"]);
            command.args(["-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35"]);
            command.args(["-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true"]);
            let config = self.clients.bench.toolbox.sources.join("log4j2.xml");
            command.arg(format!("-Dlog4j2.configurationFile={}", config.display()));
            command.arg("-cp").arg(self.clients.bench.toolbox.class_path());
            command.args(["ClientBench", what]);
        } else {
            command.arg(&self.clients.program).args([what, client]);
        }
        command.args(args);
        let log = self.clients.bench.toolbox.log(&format!("bench-client-{client}"));
        Process::start(command, &log, LIMIT)
    }

    fn create(&self, client: &str) -> Result<String> {
        let topic = format!("{client}-topic");
        self.administer("create", &topic).map(|()| topic)
    }

    fn delete(&self, topic: &str) -> Result<()> {
        self.administer("delete", topic)
    }

    fn administer(&self, what: &str, topic: &str) -> Result<()> {
        let mut command = Command::new(&self.clients.program);
        let output = command.args([what, self.address, topic]).output()?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{what} {topic}: {told}");
        Ok(())
    }
}

/// A client's last line.
fn tell(process: &mut Process) -> Result<Value> {
    let mut last = None;
    while let Some(line) = process.line()? {
        last = Some(line);
    }
    let status = process.wait()?;
    ensure!(status.success(), "{status}, see target/interop/log");
    Ok(serde_json::from_str(&last.context("it said nothing")?)?)
}

//! `cargo xtask bench --tools`: Kafka's own `kafka-producer-perf-test` and
//! `kafka-consumer-perf-test`, in the shape of LinkedIn's test of 2014: records of 100 bytes, six
//! partitions, one replica, one producer and then three at once, one consumer.
//!
//! Broker and tools share all processors here, where LinkedIn's had three machines for the brokers
//! and three more for the clients: what is measured is how much of a machine the broker leaves to
//! its clients, and most of the time passes in the clients. So the broker's own processor time is
//! told beside each figure. `batch.size` is the default of 16,384 bytes, LinkedIn's was 8,196.
//!
//! Times are the tools' own: they begin when the producer object is made, and end when the last
//! record is acknowledged, so that a JVM's start is not in them, but the compilation of the client
//! is. What a client that is compiled already does is a row of its own (the tool's steady state).
//! Of three producers, each end is the moment at which the tool tells its result, and each start is
//! that less the time that it tells.

mod output;

use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::machine::cpu_s;
use super::report::Figures;
use super::{Bench, Subject};
use crate::interop::process::{self, Process};
use crate::interop::{Kind, Need, Site};

const RECORDS: usize = 1_000_000;
/// Records that a client is warmed up with, and those that are measured then.
const STEADY: (usize, usize) = (1_000_000, 4_000_000);
const RECORD_BYTES: u64 = 100;
const PRODUCERS: usize = 3;
const PARTITIONS: &str = "6";
/// How long a run of a tool may take.
const LIMIT: Duration = Duration::from_secs(600);
/// How long a consumer waits for records.
const CONSUMER_PATIENCE_MS: &str = "60000";
/// A JVM is compiled for so long.
const WARM_UP: Duration = Duration::from_secs(20);

/// Kafka's tools against brokers.
pub(super) struct Tools<'a> {
    pub(super) bench: &'a Bench<'a>,
}

impl Tools<'_> {
    /// Measures every broker in each of so many rounds.
    pub(super) fn run(
        &self,
        brokers: &[(Subject, Kind)],
        rounds: usize,
        figures: &mut Figures,
    ) -> Result<()> {
        ensure!(self.bench.toolbox.has(Need::Java), "Kafka's tools need Java and Maven");
        for round in 1..=rounds {
            println!("round {round} of {rounds}");
            for (subject, kind) in brokers {
                self.broker(*subject, *kind, figures)?;
            }
        }
        Ok(())
    }

    /// Measures one broker, which has been warmed up by the same tools.
    fn broker(&self, subject: Subject, kind: Kind, figures: &mut Figures) -> Result<()> {
        let site = Site::fresh(self.bench.toolbox, &format!("tools-{subject:?}").to_lowercase())?;
        let running = site.start(kind)?;
        let mut run = Run { tools: self, subject, site: &site, pid: running.id(), figures };
        run.warm_up(kind)?;
        run.one_producer("one", "acks=1")?;
        run.three_producers()?;
        run.one_producer("all", "acks=all")?;
        run.steady_producer()?;
        run.consumer("one")?;
        running.stop()?;
        site.remove()
    }

    fn records(&self, full: usize) -> u64 {
        self.bench.size(full) as u64
    }
}

/// One broker in one round.
struct Run<'a> {
    tools: &'a Tools<'a>,
    subject: Subject,
    site: &'a Site<'a>,
    pid: u32,
    figures: &'a mut Figures,
}

/// A producer that runs, and its lines with the moments at which they came.
struct Producer {
    process: Process,
    lines: Receiver<(Instant, String)>,
}

/// When a producer produced.
struct Span {
    start: Instant,
    end: Instant,
}

impl Run<'_> {
    /// Both brokers get the same, for the sake of their logs; a JVM gets more of it.
    fn warm_up(&self, kind: Kind) -> Result<()> {
        let records = self.tools.records(RECORDS);
        self.create("warm-up")?;
        let start = Instant::now();
        loop {
            self.produce_at_once("warm-up", records)?;
            self.consume("warm-up", records)?;
            if kind == Kind::Ottla || start.elapsed() > WARM_UP || self.tools.bench.shrink > 1 {
                return Ok(());
            }
        }
    }

    fn one_producer(&mut self, topic: &str, acks: &str) -> Result<()> {
        let records = self.tools.records(RECORDS);
        self.prepare(topic, records)?;
        let before = cpu_s(self.pid)?;
        let lines = self.run_producer(topic, records, &[], acks)?;
        let name = format!("1 producer, {acks}, {}", count(records));
        self.tell(&name, output::sent(&lines, records, output::SENT)?);
        self.tell_cpu(&name, before, records)
    }

    fn steady_producer(&mut self) -> Result<()> {
        let (warm_up, measured) = (self.tools.records(STEADY.0), self.tools.records(STEADY.1));
        self.prepare("steady", warm_up + measured)?;
        let before = cpu_s(self.pid)?;
        let more = ["--warmup-records".to_owned(), warm_up.to_string()];
        let lines = self.run_producer("steady", warm_up + measured, &more, "acks=1")?;
        let rate = output::sent(&lines, measured, output::STEADY)?;
        let name = format!("1 producer, acks=1, {} after {} more", count(measured), count(warm_up));
        self.tell(&name, rate);
        self.tell_cpu(&name, before, warm_up + measured)
    }

    fn three_producers(&mut self) -> Result<()> {
        let records = self.tools.records(RECORDS);
        let all = records * PRODUCERS as u64;
        self.prepare("three", all)?;
        let before = cpu_s(self.pid)?;
        let spans = self.produce_at_once("three", records)?;
        let ends = || spans.iter().map(|span| span.end);
        let starts = || spans.iter().map(|span| span.start);
        let (first, last) = (starts().min().zip(ends().max())).context("there are three")?;
        let (all_began, one_ended) = starts().max().zip(ends().min()).context("three")?;
        let seconds = (last - first).as_secs_f64();
        let name = format!("{PRODUCERS} producers at once, acks=1, {} each", count(records));
        self.tell(&name, all as f64 / seconds);
        let together = one_ended.saturating_duration_since(all_began).as_secs_f64();
        let share = format!("{name}: all of them at work, share of the time");
        self.figures.add(&share, self.subject, together / seconds);
        self.tell_cpu(&name, before, all)
    }

    fn consumer(&mut self, topic: &str) -> Result<()> {
        let records = self.tools.records(RECORDS);
        let before = cpu_s(self.pid)?;
        let consumed = self.consume(topic, records)?;
        let name = format!("1 consumer, {}", count(records));
        self.tell(&name, consumed.fetched_per_s);
        let joining = format!("{name}, with its group's rebalance: records/s");
        self.figures.add(&joining, self.subject, consumed.per_s);
        self.tell_cpu(&name, before, records)
    }

    fn tell(&mut self, name: &str, per_s: f64) {
        self.figures.add(&format!("{name}: records/s"), self.subject, per_s);
    }

    fn tell_cpu(&mut self, name: &str, before_s: f64, records: u64) -> Result<()> {
        let us = (cpu_s(self.pid)? - before_s) * 1e6 / records as f64;
        self.figures.add(&format!("{name}: the broker's CPU us/record"), self.subject, us);
        Ok(())
    }

    /// A topic, and pages for what will be appended to it.
    fn prepare(&self, topic: &str, records: u64) -> Result<()> {
        self.create(topic)?;
        // A record has some 10 bytes around its value.
        self.tools.bench.warm_pages((records * (RECORD_BYTES + 10)).div_ceil(1 << 20))
    }

    fn create(&self, topic: &str) -> Result<()> {
        let create = ["--create", "--topic", topic, "--partitions", PARTITIONS];
        let mut command = self.tool("TopicCommand");
        command.args(create);
        let lines = process::output(command, &self.log("topic"), LIMIT)?;
        ensure!(
            lines.iter().any(|line| line == &format!("Created topic {topic}.")),
            "kafka-topics says {lines:?}"
        );
        Ok(())
    }

    fn run_producer(
        &self,
        topic: &str,
        records: u64,
        more: &[String],
        acks: &str,
    ) -> Result<Vec<String>> {
        let mut command = self.producer(topic, records, acks);
        command.args(more);
        process::output(command, &self.log("producer"), LIMIT)
    }

    /// Lets three producers send so many records each.
    fn produce_at_once(&self, topic: &str, records: u64) -> Result<Vec<Span>> {
        let start = |number: usize| {
            let (sender, lines) = channel();
            let command = self.producer(topic, records, "acks=1");
            let log = self.log(&format!("producer-{number}"));
            let take = move |line| sender.send((Instant::now(), line)).is_ok();
            let process = Process::start_into(command, &log, LIMIT, take)?;
            Ok(Producer { process, lines })
        };
        let producers = (0..PRODUCERS).map(start).collect::<Result<Vec<Producer>>>()?;
        producers.into_iter().map(|producer| producer.span(records)).collect()
    }

    fn consume(&self, topic: &str, records: u64) -> Result<output::Consumed> {
        let mut command = self.tool("ConsumerPerformance");
        command.args(["--topic", topic, "--num-records", &records.to_string()]);
        // The first consumer waits for the topic of offsets to be made, on a slow disk for long.
        command.args(["--timeout", CONSUMER_PATIENCE_MS]);
        let lines = process::output(command, &self.log("consumer"), LIMIT)?;
        output::consumed(&lines, records)
    }

    fn producer(&self, topic: &str, records: u64, acks: &str) -> Command {
        let mut command = self.tool("ProducerPerformance");
        command.args(["--topic", topic, "--throughput", "-1"]);
        command.args(["--record-size", &RECORD_BYTES.to_string()]);
        command.args(["--num-records", &records.to_string()]);
        command.args(["--command-property", acks]);
        command
    }

    /// A tool of Kafka's in a JVM with the settings that Kafka's scripts give it.
    fn tool(&self, class: &str) -> Command {
        let toolbox = self.tools.bench.toolbox;
        let config = toolbox.sources.join("log4j2.xml");
        let mut command = Command::new("java");
        command.args(["-Xmx512M", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"]);
        command.args(["-XX:InitiatingHeapOccupancyPercent=35", "-Djava.awt.headless=true"]);
        command.arg("-XX:+ExplicitGCInvokesConcurrent");
        command.arg(format!("-Dlog4j2.configurationFile={}", config.display()));
        command.arg("-cp").arg(toolbox.class_path());
        command.arg(format!("org.apache.kafka.tools.{class}"));
        command.args(["--bootstrap-server", self.site.bootstrap()]);
        command
    }

    fn log(&self, name: &str) -> PathBuf {
        self.tools.bench.toolbox.log(&format!("{}-{name}.log", self.site.name()))
    }
}

impl Producer {
    fn span(mut self, records: u64) -> Result<Span> {
        let (mut end, mut lines) = (None, Vec::new());
        // The end of the output ends this, at the latest when a stuck process is killed.
        let deadline = Instant::now() + LIMIT;
        while let Ok((at, line)) =
            self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            if line.ends_with(output::SUMMARY_END) {
                end = Some(at);
            }
            lines.push(line);
        }
        let status = self.process.wait()?;
        ensure!(status.success(), "kafka-producer-perf-test: {status}, {lines:?}");
        let rate = output::sent(&lines, records, output::SENT)?;
        let end = end.context("a rate stands in the summary")?;
        let took = Duration::from_secs_f64(records as f64 / rate);
        Ok(Span { start: end.checked_sub(took).context("a time before the machine's start")?, end })
    }
}

/// A million is told as such.
fn count(records: u64) -> String {
    if records.is_multiple_of(1_000_000) {
        format!("{},000,000 records", records / 1_000_000)
    } else {
        format!("{records} records")
    }
}

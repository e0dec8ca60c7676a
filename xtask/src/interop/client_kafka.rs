//! Our client and Apache Kafka: its cases, texts to and from the Java client, groups with members
//! of both, and one restart under all that is on its way. In the end Kafka's own tool reads every
//! batch.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::broker::{Kind, Running, Site};
use super::clients::{Client, OURS};
use super::groups::{self, Crew};
use super::process::{self, Process};
use super::toolbox::Need;
use super::{Shop, cross, dump_log, lane, matrix};
use crate::gate::Outcome;

/// For one program.
const LIMIT: Duration = Duration::from_secs(600);

/// For the first acknowledgment, and for the next one after a restart.
const ACK_LIMIT: Duration = Duration::from_secs(60);

/// As Kafka's tool calls them.
const CODECS: [&str; 5] = ["gzip", "lz4", "none", "snappy", "zstd"];

/// Keys whose partition is compared with the Java client's.
const KEYS: usize = 100_000;

/// Runs the lane.
pub(crate) fn run(shop: &Shop, clients: &[&Client]) -> Result<Outcome> {
    let ours: Vec<&Client> = clients.iter().filter(|client| client.name == OURS).copied().collect();
    let has_tools = shop.toolbox.has(Need::Java) && shop.toolbox.has(Need::Go);
    if ours.is_empty() || !has_tools {
        // Already counted as not run.
        return Ok(Outcome::default());
    }
    let site = Site::fresh_with(&shop.toolbox, "client-kafka", groups::SETTINGS)?;
    let running = site.start(Kind::Kafka)?;
    let mut crews: Vec<Crew> = Crew::mixed(shop, clients, [OURS, "java"]).into_iter().collect();
    if shop.args.full {
        crews.extend(Crew::mixed(shop, clients, ["java", OURS]));
    }
    let mut outcome = Outcome::default();
    let calm = || {
        let mut outcome = matrix::client_cases(shop, site.bootstrap(), ours[0]);
        outcome.add(lane("client-kafka texts", || cross::with_java(shop, &site)));
        outcome
    };
    let (groups, (others, running)) = thread::scope(|scope| {
        let calm = scope.spawn(calm);
        groups::through_restart(shop, &site, crews, || {
            let mut outcome = calm.join().expect("no worker panics");
            let (more, running) = restart(shop, &site, &ours, running)?;
            outcome.add(more);
            Ok((outcome, running))
        })
    })?;
    outcome.add(groups);
    outcome.add(others);
    running.stop()?;
    let (complaints, codecs) = dump_log::complaints(shop, &site)?;
    outcome.add(complaints);
    if codecs != CODECS {
        println!("FAIL client-kafka: batches of {codecs:?}, not of {CODECS:?}");
        outcome.add(Outcome::of(false));
    }
    Ok(outcome)
}

/// Kafka is stopped and started amid a stream of records, and under clients that wait.
fn restart<'a>(
    shop: &Shop,
    site: &Site<'a>,
    ours: &[&Client],
    running: Running,
) -> Result<(Outcome, Running)> {
    let mut command = ours[0].command(&shop.toolbox, site.bootstrap());
    command.args(["stream", "numbers"]);
    let mut stream = Process::start(command, &shop.toolbox.log("client-kafka-stream"), LIMIT)?;
    let acked = acknowledged(&mut stream, 0)?;
    let again = |running: Running| {
        running.stop()?;
        site.start(Kind::Kafka)
    };
    let (mut outcome, running) = matrix::reconnect(shop, site, ours, running, again)?;
    outcome.add(lane("client-kafka stream", || {
        // What was acknowledged up to here, most of it before the restart.
        let acked = stream.lines_so_far().filter_map(|line| acked_of(&line)).fold(acked, u64::max);
        let acked = acknowledged(&mut stream, acked)?;
        stream.go_on()?;
        while let Some(line) = stream.line()? {
            match line.as_str() {
                "ok stream" => {
                    println!("client-kafka: {acked} and more acknowledged, all there once");
                    return Ok(Outcome::of(true));
                }
                line if line.starts_with("FAIL") => bail!("{line}"),
                _ => {}
            }
        }
        bail!("it ended before its time")
    }));
    Ok((outcome, running))
}

/// Waits until the stream has more acknowledgments than that; returns their number.
fn acknowledged(stream: &mut Process, before: u64) -> Result<u64> {
    let deadline = Instant::now() + ACK_LIMIT;
    while let Some(line) = stream.line()? {
        ensure!(!line.starts_with("FAIL"), "{line}");
        if let Some(acked) = acked_of(&line).filter(|acked| *acked > before) {
            return Ok(acked);
        }
        ensure!(Instant::now() < deadline, "nothing acknowledged in {} s", ACK_LIMIT.as_secs());
    }
    bail!("the stream has ended")
}

fn acked_of(line: &str) -> Option<u64> {
    line.strip_prefix("acked ")?.parse().ok()
}

/// Where keys go, by our client and by the Java client.
pub(crate) fn partitions(shop: &Shop, clients: &[&Client]) -> Result<Outcome> {
    let Some(ours) = clients.iter().find(|client| client.name == OURS) else {
        return Ok(Outcome::default());
    };
    if !shop.toolbox.has(Need::Java) {
        // Already counted as not run.
        return Ok(Outcome::default());
    }
    let seed = shop.seed()?;
    println!("partitions: --seed {seed}");
    let file = shop.toolbox.target.join("partitions.txt");
    let mut java = shop.toolbox.java();
    java.arg("Partitions").arg(&file).args([KEYS.to_string(), seed.to_string()]);
    process::output(java, &shop.toolbox.log("partitions-java"), LIMIT)?;
    let mut command = ours.command(&shop.toolbox, "none");
    command.arg("partitions").arg(&file);
    let lines = process::output(command, &shop.toolbox.log("partitions"), LIMIT)?;
    let last = lines.last().context("it said nothing")?;
    ensure!(last == &format!("compared {KEYS}"), "{OURS} said {last}");
    Ok(Outcome::of(true))
}

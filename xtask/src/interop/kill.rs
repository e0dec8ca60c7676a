//! The broker is killed again and again; nothing acknowledged may be lost.
//!
//! One idempotent producer counts up through all of it. In the end every number has to be there
//! once and in order, which is more than the contract: a record that was never acknowledged could
//! be missing, but the producer sends it again until it is.
//!
//! Another program commits offsets, creates and deletes topics and keeps the cleaner at work. It
//! checks as it goes that nothing acknowledged is lost; the folders are looked at in the end.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Shop;
use super::broker::{Kind, Running, Site};
use super::clients;
use super::dump_log;
use super::process::Process;
use super::toolbox::Need;
use crate::gate::Outcome;
use crate::torture::Random;

/// For all kills together.
const LIMIT: Duration = Duration::from_secs(1800);

/// How long a producer may need to get its first acknowledgment after a restart.
const ACK_LIMIT: Duration = Duration::from_secs(60);

/// Cleaning and deletion that come soon enough to be hit.
const SETTINGS: &str = "log.cleaner.backoff.ms=50
log.cleaner.min.cleanable.ratio=0.01
file.delete.delay.ms=200
";

/// A program that goes on through all kills.
struct Program<'a> {
    /// Its arguments.
    args: &'a [&'a str],
    /// What it says in the end when all is well.
    ok: &'a str,
}

/// Kills under a producer.
pub(crate) fn run(shop: &Shop) -> Result<Outcome> {
    let program = Program { args: &["stream", "numbers"], ok: "ok stream" };
    let default = if shop.args.full { 200 } else { 8 };
    Ok(lane(shop, "kill", "", default, &program)?.1)
}

/// Kills amid commits, creation and deletion of topics, and cleaning.
pub(crate) fn administration(shop: &Shop) -> Result<Outcome> {
    let program = Program { args: &["administer"], ok: "ok administer" };
    let default = if shop.args.full { 100 } else { 6 };
    let (kept, mut outcome) = lane(shop, "kill-admin", SETTINGS, default, &program)?;
    let Some((site, lines)) = kept else {
        return Ok(outcome);
    };
    for line in lines.iter().filter(|line| line.starts_with("compacted")) {
        println!("kill-admin: {line}");
    }
    let problems = check_folders(&site, &lines)?;
    outcome.add(Outcome::of_problems(&problems));
    Ok(outcome)
}

type Kept<'a> = Option<(Site<'a>, Vec<String>)>;

/// Runs a lane with one program; returns its stopped site and what the program said in the end.
fn lane<'a>(
    shop: &'a Shop,
    name: &str,
    settings: &str,
    default: u32,
    program: &Program,
) -> Result<(Kept<'a>, Outcome)> {
    if !shop.toolbox.has(Need::Go) {
        // Already counted as not run.
        return Ok((None, Outcome::default()));
    }
    let seed = shop.seed()?;
    let default = if shop.kind == Kind::Kafka { 3 } else { default };
    let kills = shop.args.kills.unwrap_or(default);
    println!("{name}: {kills} times, --seed {seed}");
    let site = Site::fresh_with(&shop.toolbox, name, settings)?;
    let (running, lines) = kill_often(shop, &site, kills, Random::new(seed), program)?;
    running.stop()?;
    let mut outcome = Outcome::of(true);
    outcome.add(dump_log::of_site(shop, &site)?);
    Ok((Some((site, lines)), outcome))
}

fn kill_often(
    shop: &Shop,
    site: &Site,
    kills: u32,
    mut random: Random,
    program: &Program,
) -> Result<(Running, Vec<String>)> {
    let client = clients::named("franz-go").context("franz-go is in the table")?;
    let mut running = site.start(shop.kind)?;
    let mut command = client.command(&shop.toolbox, site.bootstrap());
    command.args(program.args);
    let log = shop.toolbox.log(program.args[0]);
    let mut process = Process::start(command, &log, LIMIT)?;
    let mut acked = wait_for_more(&process, 0)?;
    for n in 0..kills {
        // From the very start of recovery to some hundred batches into the new life.
        if random.below(5) > 0 {
            acked = wait_for_more(&process, acked).with_context(|| format!("after kill {n}"))?;
        }
        thread::sleep(Duration::from_micros(random.below(150_000)));
        running.kill().with_context(|| format!("before kill {}", n + 1))?;
        running = site.start(shop.kind).with_context(|| format!("after kill {}", n + 1))?;
    }
    wait_for_more(&process, acked)?;
    // If it has ended already, what it said tells why.
    let _ = process.go_on();
    let mut lines = Vec::new();
    while let Some(line) = process.line()? {
        if line == program.ok {
            println!("{}: {acked} and more acknowledged, all there", site.name());
            return Ok((running, lines));
        }
        if line.starts_with("FAIL") {
            bail!("{line}");
        }
        match acked_of(&line) {
            Some(more) => acked = more,
            None => lines.push(line),
        }
    }
    bail!("the program ended before its time, see {}", log.display())
}

/// What is wrong with the folders of a stopped site's topics, of which `topic NAME PARTITIONS ID`
/// tells each that has to be there, and whose names begin with `topic-`.
fn check_folders(site: &Site, lines: &[String]) -> Result<Vec<String>> {
    let mut wanted = BTreeMap::new();
    for line in lines {
        if let ["topic", name, partitions, id] = line.split(' ').collect::<Vec<_>>()[..] {
            for partition in 0..partitions.parse::<u32>()? {
                wanted.insert(format!("{name}-{partition}"), id.to_owned());
            }
        }
    }
    let mut problems = Vec::new();
    for entry in fs::read_dir(site.data())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // As in Kafka, a log whose topic was deleted just before the broker died is set aside at
        // the next start, for a person to look at.
        let aside = name.ends_with("-delete") || name.ends_with("-stray");
        if !name.starts_with("topic-") || aside {
            continue;
        }
        let file = site.data().join(&name).join("partition.metadata");
        let text = fs::read_to_string(&file).unwrap_or_default();
        match wanted.remove(&name) {
            Some(id) if text.contains(&id) => {}
            Some(id) => problems.push(format!("kill-admin: {name} is not of topic {id}: {text}")),
            None => problems.push(format!("kill-admin: {name} is of no topic that is there")),
        }
    }
    problems.extend(wanted.keys().map(|name| format!("kill-admin: {name} has no folder")));
    Ok(problems)
}

/// Waits until the producer has more acknowledgments than that; returns their number.
fn wait_for_more(producer: &Process, before: u64) -> Result<u64> {
    let start = Instant::now();
    while start.elapsed() < ACK_LIMIT {
        for line in producer.lines_so_far() {
            if line.starts_with("FAIL") {
                bail!("{line}");
            }
            if let Some(acked) = acked_of(&line)
                && acked > before
            {
                return Ok(acked);
            }
        }
        thread::sleep(Duration::from_millis(2));
    }
    bail!("no record acknowledged within {} s", ACK_LIMIT.as_secs())
}

fn acked_of(line: &str) -> Option<u64> {
    line.strip_prefix("acked ")?.parse().ok()
}

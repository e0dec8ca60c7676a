//! The broker is killed in mid-produce again and again; nothing acknowledged may be lost.
//!
//! One idempotent producer counts up through all of it. In the end every number has to be there
//! once and in order, which is more than the contract: a record that was never acknowledged could
//! be missing, but the producer sends it again until it is.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use super::Shop;
use super::broker::{Kind, Running, Site};
use super::clients;
use super::dump_log;
use super::process::Process;
use super::toolbox::Need;
use crate::gate::Outcome;

/// For all kills together.
const LIMIT: Duration = Duration::from_secs(1800);

/// How long a producer may need to get its first acknowledgment after a restart.
const ACK_LIMIT: Duration = Duration::from_secs(30);

/// Runs the lane.
pub(crate) fn run(shop: &Shop) -> Result<Outcome> {
    if !shop.toolbox.has(Need::Go) {
        // Already counted as not run.
        return Ok(Outcome::default());
    }
    let clock = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let seed = shop.args.seed.unwrap_or(u64::from(clock.subsec_nanos()));
    let default = match (shop.kind, shop.args.full) {
        (Kind::Kafka, _) => 3,
        (Kind::Ottla, false) => 20,
        (Kind::Ottla, true) => 200,
    };
    let kills = shop.args.kills.unwrap_or(default);
    println!("kill: {kills} times, --seed {seed}");
    let site = Site::fresh(&shop.toolbox, "kill")?;
    let running = kill_often(shop, &site, kills, Random(seed | 1))?;
    running.stop()?;
    let mut outcome = Outcome::of(true);
    outcome.add(dump_log::run(shop, &site)?);
    Ok(outcome)
}

fn kill_often(shop: &Shop, site: &Site, kills: u32, mut random: Random) -> Result<Running> {
    let client = clients::named("franz-go").context("franz-go is in the table")?;
    let mut running = site.start(shop.kind)?;
    let mut command = client.command(&shop.toolbox, site.bootstrap());
    command.args(["stream", "numbers"]);
    let mut producer = Process::start(command, &shop.toolbox.log("stream"), LIMIT)?;
    let mut acked = wait_for_more(&producer, 0)?;
    for n in 0..kills {
        // From the very start of recovery to some hundred batches into the new life.
        if random.below(5) > 0 {
            acked = wait_for_more(&producer, acked).with_context(|| format!("after kill {n}"))?;
        }
        thread::sleep(Duration::from_micros(random.below(150_000)));
        running.kill().with_context(|| format!("before kill {}", n + 1))?;
        running = site.start(shop.kind).with_context(|| format!("after kill {}", n + 1))?;
    }
    wait_for_more(&producer, acked)?;
    // If it has ended already, what it said tells why.
    let _ = producer.go_on();
    while let Some(line) = producer.line()? {
        if line == "ok stream" {
            println!("kill: {acked} and more records, all there, once, in order");
            return Ok(running);
        }
        if line.starts_with("FAIL") {
            bail!("{line}");
        }
        acked = acked_of(&line).unwrap_or(acked);
    }
    bail!("the producer ended before its time, see {}", shop.toolbox.log("stream").display())
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

/// Xorshift: small, and the same numbers from the same seed everywhere. The seed is not 0.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

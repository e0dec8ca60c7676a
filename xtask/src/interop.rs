//! Real clients and the real Apache Kafka against a running broker.
//!
//! Reading order: [`toolbox`] gets the clients, [`broker`] starts and stops a broker in a data
//! directory, [`clients`] is the table of clients and how one is run; then the lanes, each a
//! question that the broker has to answer: [`matrix`], [`cross`], [`dump_log`], [`hops`], [`kill`],
//! [`groups`], [`compare`] and [`old_formats`]; in [`client_kafka`] and [`ottlactl`] this project's
//! client and command line have to answer. `interop/README.md` tells what the client programs do.

mod broker;
mod client_kafka;
mod clients;
mod compare;
mod cross;
mod differences;
mod dump_log;
mod groups;
mod hops;
mod kill;
mod matrix;
mod old_formats;
mod ottlactl;
pub(crate) mod process;
mod toolbox;

use std::path::Path;
use std::process::Command;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::gate::{Outcome, cargo_command};
use clients::Client;

pub(crate) use broker::{Kind, Running, Site, free_ports};
pub(crate) use toolbox::{Need, Toolbox};

/// What to run; by default everything that fits into the gate's time.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Only these clients; may be given several times.
    #[arg(long)]
    client: Vec<String>,
    /// Only these cases; may be given several times.
    #[arg(long)]
    case: Vec<String>,
    /// Only these lanes; may be given several times.
    #[arg(long, value_enum)]
    lane: Vec<Lane>,
    /// Use this running broker (HOST:PORT); only for the lanes that restart nothing.
    #[arg(long)]
    bootstrap: Option<String>,
    /// Run the same against Apache Kafka itself: what fails there is a mistake of the lane.
    #[arg(long)]
    kafka: bool,
    /// Take the time for the full volume: 100 MB of text in every pair, 100,000 records in every
    /// group, 200 kills under a producer and 100 under administration.
    #[arg(long)]
    full: bool,
    /// How often each kill lane kills the broker.
    #[arg(long)]
    kills: Option<u32>,
    /// Random numbers of the kill lanes and of keys; by default the clock's.
    #[arg(long)]
    seed: Option<u64>,
}

/// A question to the broker.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Lane {
    /// Every case of every client.
    Clients,
    /// Every client goes on after the broker was stopped and started under it.
    Reconnect,
    /// Real text through each codec from one client to another, compared by SHA-256.
    Cross,
    /// Apache Kafka's own dump tool over every file that was written.
    DumpLog,
    /// A directory of all kinds of things goes from broker to broker, by stops and by kills.
    Hops,
    /// The broker is killed in mid-produce again and again; nothing acknowledged is lost.
    Kill,
    /// The same amid commits, creation and deletion of topics, and cleaning.
    KillAdmin,
    /// Groups of every client, while members come and go and the broker restarts.
    Groups,
    /// Kafka's own tools, each against Kafka and against the broker; what they print is compared.
    Tools,
    /// Requests of every kind, valid and not, to Kafka and to the broker; answers are compared.
    Differential,
    /// Messages of the formats before Kafka 0.11 are found by today's clients.
    OldFormats,
    /// This project's client sends keys where the Java client does.
    Partitions,
    /// This project's client against Apache Kafka, also beside the Java client in groups.
    ClientKafka,
    /// `ottlactl` against Apache Kafka: its transcripts, and beside Kafka's tools by their names.
    Ottlactl,
}

/// What runs when no lane is named: all of them.
const LANES: [Lane; 14] = [
    Lane::Clients,
    Lane::Reconnect,
    Lane::Cross,
    Lane::DumpLog,
    Lane::Hops,
    Lane::Kill,
    Lane::KillAdmin,
    Lane::Groups,
    Lane::Tools,
    Lane::Differential,
    Lane::OldFormats,
    Lane::Partitions,
    Lane::ClientKafka,
    Lane::Ottlactl,
];

/// The lanes' shared state.
struct Shop<'a> {
    args: &'a Args,
    toolbox: Toolbox,
    kind: Kind,
}

/// Runs the lanes.
pub(crate) fn run(root: &Path, args: &Args) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let chosen = clients::choose(&args.client)?;
    let kind = if args.kafka { Kind::Kafka } else { Kind::Ottla };
    // With a broker of their own the lanes want Apache Kafka and the programs of franz-go.
    let needs: &[Need] = if args.bootstrap.is_none() { &[Need::Java, Need::Go] } else { &[] };
    let (toolbox, missing) = Toolbox::prepare(root, &chosen, needs)?;
    outcome.not_run.extend(missing);
    if args.bootstrap.is_none() {
        build(root)?;
    }
    let shop = Shop { args, toolbox, kind };
    let wants_transcripts = args.bootstrap.is_none() && shop.wants(Lane::Ottlactl);
    let transcripts = wants_transcripts.then(|| ottlactl::build(root)).transpose()?;
    let usable: Vec<&Client> = chosen.into_iter().filter(|c| shop.toolbox.has(c.needs)).collect();
    if let Some(bootstrap) = &args.bootstrap {
        outcome.add(lane("clients", || matrix::clients(&shop, bootstrap, &usable)));
        return Ok(outcome);
    }
    outcome.add(shop.run_site_lanes(&usable)?);
    if shop.wants(Lane::Hops) {
        outcome.add(lane("hops", || hops::run(&shop)));
    }
    if shop.wants(Lane::Kill) {
        outcome.add(lane("kill", || kill::run(&shop)));
    }
    if shop.wants(Lane::KillAdmin) {
        outcome.add(lane("kill-admin", || kill::administration(&shop)));
    }
    if shop.wants(Lane::Groups) {
        outcome.add(lane("groups", || groups::run(&shop, &usable)));
    }
    if shop.wants(Lane::Tools) || shop.wants(Lane::Ottlactl) {
        outcome.add(lane("tools", || compare::tools(&shop)));
    }
    if shop.wants(Lane::OldFormats) {
        outcome.add(lane("old-formats", || old_formats::run(&shop)));
    }
    if shop.wants(Lane::Partitions) {
        outcome.add(lane("partitions", || client_kafka::partitions(&shop, &usable)));
    }
    if shop.wants(Lane::ClientKafka) {
        outcome.add(lane("client-kafka", || client_kafka::run(&shop, &usable)));
    }
    if let Some(program) = transcripts {
        outcome.add(lane("ottlactl", || ottlactl::run(&shop, &program)));
    }
    if shop.wants(Lane::Differential) {
        outcome.add(lane("differential", || compare::differential(&shop)));
    }
    Ok(outcome)
}

impl Shop<'_> {
    /// Whether a lane was asked for; all are by default, the first ones if a client was.
    fn wants(&self, lane: Lane) -> bool {
        if !self.args.lane.is_empty() {
            return self.args.lane.contains(&lane);
        }
        let narrow = !self.args.client.is_empty() || !self.args.case.is_empty();
        LANES.contains(&lane)
            && (!narrow || matches!(lane, Lane::Clients | Lane::Reconnect | Lane::Groups))
    }

    /// What random numbers begin with.
    fn seed(&self) -> Result<u64> {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH)?;
        Ok(self.args.seed.unwrap_or(u64::from(clock.subsec_nanos())))
    }

    /// The lanes that share one data directory: it is filled, restarted, dumped.
    fn run_site_lanes(&self, usable: &[&Client]) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let lanes = [Lane::Clients, Lane::Reconnect, Lane::Cross, Lane::DumpLog];
        if !lanes.iter().any(|lane| self.wants(*lane)) {
            return Ok(outcome);
        }
        let site = Site::fresh(&self.toolbox, "main")?;
        let mut running = site.start(self.kind)?;
        if self.wants(Lane::Clients) {
            outcome.add(lane("clients", || matrix::clients(self, site.bootstrap(), usable)));
        }
        if self.wants(Lane::Reconnect) {
            let restart = |running: Running| -> Result<Running> {
                running.stop()?;
                site.start(self.kind)
            };
            let (result, again) = matrix::reconnect(self, &site, usable, running, restart)?;
            outcome.add(result);
            running = again;
        }
        if self.wants(Lane::Cross) || self.wants(Lane::DumpLog) {
            outcome.add(lane("cross", || cross::run(self, &site)));
        }
        let stopped = running.stop();
        outcome.add(lane("clean stop", || stopped.map(|()| Outcome::of(true))));
        if self.wants(Lane::DumpLog) {
            outcome.add(lane("dump-log", || dump_log::run(self, &site)));
        }
        Ok(outcome)
    }
}

/// Runs one lane, prints what came of it; an error counts as one failure.
fn lane(name: &str, run: impl FnOnce() -> Result<Outcome>) -> Outcome {
    let start = Instant::now();
    let outcome = run().unwrap_or_else(|error| {
        println!("FAIL {name}: {error:#}");
        Outcome::of(false)
    });
    let seconds = start.elapsed().as_secs_f64();
    println!("{name}: {} ok, {} failed in {seconds:.1} s", outcome.passed, outcome.failed);
    outcome
}

/// Real clients that produce what they are told to, `CLIENT BOOTSTRAP relay`.
pub(crate) struct Relays {
    toolbox: Toolbox,
    clients: Vec<&'static Client>,
}

impl Relays {
    /// Gets them; also returns which cannot run here, as `lane: needs tool`.
    pub(crate) fn prepare(root: &Path) -> Result<(Relays, Vec<String>)> {
        let names = ["franz-go", "confluent", "java"].map(str::to_owned);
        let mut clients = clients::choose(&names)?;
        let (toolbox, missing) = Toolbox::prepare(root, &clients, &[])?;
        clients.retain(|client| toolbox.has(client.needs));
        Ok((Relays { toolbox, clients }, missing))
    }

    /// Their names and how to run them.
    pub(crate) fn commands(&self, bootstrap: &str) -> Vec<(&'static str, Command)> {
        let command = |client: &&Client| {
            let mut command = client.command(&self.toolbox, bootstrap);
            command.arg("relay");
            (client.name, command)
        };
        self.clients.iter().map(command).collect()
    }
}

/// What is built for release, always together: other packages beside one would have others of its
/// dependencies' features, and all of it be built anew.
pub(crate) const RELEASE_BUILD: [&str; 9] =
    ["build", "--quiet", "--release", "-p", "ottla", "-p", "ottlactl", "-p", "ottla-interop"];

/// Builds the broker, the tools and our client for release.
pub(crate) fn build(root: &Path) -> Result<()> {
    let start = Instant::now();
    let status = cargo_command(root, &RELEASE_BUILD).status().context("cargo build")?;
    ensure!(status.success(), "the broker, the tools and our client do not build");
    let seconds = start.elapsed().as_secs_f64();
    println!("built the broker, the tools and our client in {seconds:.1} s");
    Ok(())
}

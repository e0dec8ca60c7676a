//! `ottlactl doctor`: what of a machine, of settings and of a cluster will hurt, and what to do.
//!
//! [`gather`] reads [`facts`], [`rules`] judge them; nothing is changed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ottla_client::{Admin, Error, IsolationLevel, OffsetSpec, TopicPartition};

use crate::global::Global;
use crate::output::{Format, Table, text};
use crate::{CannotRun, Found, Outcome, heard};

mod facts;
mod finding;
mod gather;
mod names;
mod rules;

use facts::{Brokers, Cluster};
use finding::{Finding, Severity};

const EXAMPLES: &str = "\
Examples:
  ottlactl doctor                                   this machine
  ottlactl doctor /etc/ottla/server.properties      and the settings, with their log directories
  ottlactl doctor --log-dir /data -b localhost:9092 a directory, and the cluster
  ottlactl doctor -o json | jq '.[] | select(.severity == \"error\")'

Exit codes: 0 nothing but notes; 1 a warning or an error; 2 cannot run.";

/// Looks for what will hurt: limits, disks, memory, the clock, settings, the cluster
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The broker's settings, a file such as server.properties
    settings: Option<PathBuf>,
    /// A log directory, instead of those in the settings; may be repeated
    #[arg(long, value_name = "DIR")]
    log_dir: Vec<PathBuf>,
    /// Prints what is as it should be, too
    #[arg(long)]
    all: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let settings = args.settings.as_deref().map(gather::settings).transpose()?;
    let mut facts = gather::facts(Path::new("/"), settings, &args.log_dir);
    if global.given_bootstrap().is_some() || global.context().is_some() {
        facts.cluster = Some(cluster(global)?);
    }
    let findings = rules::judge(&facts);
    print(&findings, args.all, global)?;
    let is_wrong = findings.iter().any(|finding| finding.severity >= Severity::Warning);
    Ok(if is_wrong { Found::Damage } else { Found::Nothing })
}

/// Asks the cluster.
fn cluster(global: &Global) -> Result<Cluster, CannotRun> {
    let admin = global.admin()?;
    let properties = global.properties()?;
    let bootstrap = properties.get("bootstrap.servers").unwrap_or_default().to_owned();
    let answer = brokers(&admin).map_err(|error| error.to_string());
    Ok(Cluster { bootstrap, answer })
}

fn brokers(admin: &Admin) -> Result<Brokers, Error> {
    let began = Instant::now();
    let cluster = admin.describe_cluster()?;
    let took = began.elapsed();
    let topics = admin.list_topics(true)?;
    let names: Vec<&str> = topics.iter().map(|topic| &*topic.name).collect();
    let mut brokers = Brokers {
        cluster_id: Some(cluster.id).filter(|id| !id.is_empty()),
        brokers: cluster
            .brokers
            .iter()
            .map(|broker| format!("{} ({}:{})", broker.id, broker.host, broker.port))
            .collect(),
        has_controller: cluster.controller.is_some(),
        took,
        ..Brokers::default()
    };
    for (name, description) in admin.describe_topics(&names)? {
        // One that was deleted meanwhile is no finding.
        let Ok(description) = description else { continue };
        for partition in description.partitions {
            let shown = format!("{name}-{}", partition.index);
            if partition.leader.is_none() {
                brokers.leaderless.push(shown);
            } else if partition.isr.len() < partition.replicas.len() {
                brokers.under_replicated.push(shown);
            }
        }
    }
    brokers.newest_broker_time = newest_time(admin)?;
    Ok(brokers)
}

/// The latest time in the log of groups' offsets, which brokers write by their own clocks.
fn newest_time(admin: &Admin) -> Result<Option<i64>, Error> {
    const OFFSETS: &str = "__consumer_offsets";
    let Some((_, Ok(topic))) = admin.describe_topics(&[OFFSETS])?.into_iter().next() else {
        return Ok(None);
    };
    let led = topic.partitions.iter().filter(|partition| partition.leader.is_some());
    let asked: Vec<(TopicPartition, OffsetSpec)> = led
        .map(|partition| (TopicPartition::new(OFFSETS, partition.index), OffsetSpec::MaxTimestamp))
        .collect();
    // A broker that is too old to be asked so tells nothing.
    let listed = admin.list_offsets(&asked, IsolationLevel::ReadUncommitted)?;
    Ok(listed.into_iter().filter_map(|(_, listed)| listed.ok()?.timestamp).max())
}

fn print(findings: &[Finding], with_good: bool, global: &Global) -> Result<(), CannotRun> {
    let is_shown = |finding: &&Finding| with_good || finding.severity > Severity::Good;
    let shown = findings.iter().filter(is_shown);
    if !matches!(global.output.format(), Format::Table | Format::Wide) {
        let mut table =
            Table::new(&[text("area"), text("severity"), text("finding"), text("remedy")]);
        for Finding { severity, area, what, remedy } in shown {
            let remedy = Some(remedy.as_str()).filter(|remedy| !remedy.is_empty());
            let severity = severity.to_string();
            table.push([(*area).into(), severity.into(), what.as_str().into(), remedy.into()]);
        }
        return global.output.table(&table);
    }
    let mut text = String::new();
    for Finding { severity, area, what, remedy } in shown {
        // A string takes whatever is written.
        _ = writeln!(text, "{severity:<8}{area}: {what}");
        if !remedy.is_empty() {
            _ = writeln!(text, "        {remedy}");
        }
    }
    let count = |severity| findings.iter().filter(|one| one.severity == severity).count();
    let [good, notes, warnings, errors] =
        [Severity::Good, Severity::Note, Severity::Warning, Severity::Error].map(count);
    _ = writeln!(text, "{errors} errors, {warnings} warnings, {notes} notes, {good} good");
    heard(std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes()))
}

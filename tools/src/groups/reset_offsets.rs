//! `ottlactl groups reset-offsets`: a preview, unless told to do it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ottla_client::{Admin, TopicPartition};

use super::reset::{self, Planned, To};
use crate::global::Global;
use crate::output::{Table, number, text};
use crate::{CannotRun, Found, Outcome, advice, complaint, duration, offsets, time};

/// Has a group go on reading elsewhere; a preview, unless --execute is given
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ottlactl groups reset-offsets billing --to-earliest
  ottlactl groups reset-offsets billing orders:0 --to-offset 1000 --execute
  ottlactl groups reset-offsets billing --to-datetime 2026-11-26T12:00:00Z --execute
  ottlactl groups reset-offsets billing --by-duration 2h --execute
  ottlactl groups reset-offsets billing --to-current --export > billing.csv
  ottlactl groups reset-offsets billing --from-file billing.csv --execute

A group that has members is left alone.")]
pub(super) struct Args {
    /// Its name
    group: String,
    /// Topics, or partitions of them; all in which the group has an offset if none is named
    #[arg(value_name = "TOPIC[:PARTITION]")]
    of: Vec<String>,
    #[command(flatten)]
    to: Where,
    /// Does it
    #[arg(long)]
    execute: bool,
    /// Prints lines that --from-file takes: TOPIC,PARTITION,OFFSET
    #[arg(long, conflicts_with = "execute")]
    export: bool,
}

/// Where it is to go on.
#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
struct Where {
    /// At the first record
    #[arg(long)]
    to_earliest: bool,
    /// Behind the last record
    #[arg(long)]
    to_latest: bool,
    /// Where it is, or behind the last record where it is nowhere
    #[arg(long)]
    to_current: bool,
    /// At this offset
    #[arg(long, value_name = "OFFSET", value_parser = clap::value_parser!(i64).range(0..))]
    to_offset: Option<i64>,
    /// So many records on, or back if negative
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    shift_by: Option<i64>,
    /// At the first record from then on: a date and time, or milliseconds since 1970
    #[arg(long, value_name = "TIME")]
    to_datetime: Option<String>,
    /// At the first record of the last 2h, 7d and so on
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    by_duration: Option<Duration>,
    /// At the offsets of a file of lines TOPIC,PARTITION,OFFSET; - for standard input
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
}

impl Where {
    fn to(&self, group: &str) -> Result<To, CannotRun> {
        let Self { to_earliest, to_latest, to_offset, shift_by, .. } = *self;
        if to_earliest {
            return Ok(To::Earliest);
        }
        if to_latest {
            return Ok(To::Latest);
        }
        if let Some(offset) = to_offset {
            return Ok(To::Offset(offset));
        }
        if let Some(by) = shift_by {
            return Ok(To::Shift(by));
        }
        if let Some(text) = &self.to_datetime {
            return Ok(To::Time(time::point(text)?));
        }
        if let Some(ago) = self.by_duration {
            let ago = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
            return Ok(To::Time(time::now().saturating_sub(ago)));
        }
        match &self.from_file {
            Some(path) => {
                let cannot = |why: String| CannotRun(format!("{}: {why}", path.display()));
                let text = read(path).map_err(|error| cannot(error.to_string()))?;
                Ok(To::Each(reset::of_csv(&text, group).map_err(cannot)?))
            }
            None => Ok(To::Current),
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    if path.as_os_str() == "-" {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text)?;
        return Ok(text);
    }
    fs::read_to_string(path)
}

/// Runs the command.
pub(super) fn run(args: &Args, admin: &Admin, global: &Global) -> Outcome {
    let to = args.to.to(&args.group)?;
    let (partitions, mut found) = scope(args, &to, admin)?;
    let planned = reset::plan(admin, &args.group, &partitions, &to)?;
    for planned in &planned {
        if let Err(why) = &planned.new {
            complaint::print(why);
            found = Found::Damage;
        }
    }
    if args.export {
        for Planned { at, new, .. } in &planned {
            if let Ok(new) = new {
                global.output.print(&format!("{},{},{new}\n", at.topic, at.partition))?;
            }
        }
        return Ok(found);
    }
    let mut failed: BTreeSet<TopicPartition> = BTreeSet::new();
    if args.execute {
        is_idle(admin, &args.group)?;
        for (at, result) in reset::carry_out(admin, &args.group, &planned)? {
            if let Err(error) = result {
                let CannotRun(why) = advice::on_group(admin, &args.group, &error);
                complaint::print(format!("{at}: {why}"));
                found = Found::Damage;
                failed.insert(at);
            }
        }
    }
    let table = table(planned, |at| args.execute && !failed.contains(at));
    if !args.execute && !table.is_empty() {
        complaint::print("a preview; --execute does it");
    }
    global.output.table_of_rest(&table, found)
}

fn scope(args: &Args, to: &To, admin: &Admin) -> Result<(Vec<TopicPartition>, Found), CannotRun> {
    if !args.of.is_empty() {
        return offsets::partitions(admin, &args.of);
    }
    if let To::Each(offsets) = to {
        return Ok((offsets.keys().cloned().collect(), Found::Nothing));
    }
    let committed = admin
        .committed_offsets(&args.group)
        .map_err(|error| advice::on_group(admin, &args.group, &error))?;
    if committed.is_empty() {
        let why = format!("the group {} has no offsets yet; name topics", args.group);
        return Err(CannotRun(why));
    }
    let at = committed.into_iter().map(|of| TopicPartition::new(&of.topic, of.partition));
    Ok((at.collect(), Found::Nothing))
}

/// # Errors
/// The group has members, which would go on from where they are.
fn is_idle(admin: &Admin, group: &str) -> Result<(), CannotRun> {
    let listed = admin.list_groups()?;
    let Some(listed) = listed.iter().find(|listed| listed.id == group) else { return Ok(()) };
    if ["Empty", "Dead", ""].contains(&listed.state.as_str()) {
        return Ok(());
    }
    let state = &listed.state;
    let why = format!("the group {group} has members, it is {state}; stop them first");
    Err(CannotRun(why))
}

fn table(planned: Vec<Planned>, is_done: impl Fn(&TopicPartition) -> bool) -> Table {
    let mut table = Table::new(&[
        text("topic"),
        number("partition"),
        number("offset"),
        number("newOffset"),
        number("change"),
        text("clamped").wide(),
        text("done").wide(),
    ])
    .named_by(2);
    for Planned { at, current, new, is_clamped, .. } in planned {
        let Ok(new) = new else { continue };
        let change = current.map(|current| new - current);
        let done = is_done(&at);
        table.push([
            (*at.topic).into(),
            at.partition.into(),
            current.into(),
            new.into(),
            change.into(),
            is_clamped.into(),
            done.into(),
        ]);
    }
    table
}

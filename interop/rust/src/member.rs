//! Members of groups, one for each variant that is asked for, as `interop/README.md` says.

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use ottla_client::{Consumer, Error, OffsetAndMetadata, Properties, Records, TopicPartition};

use crate::client::settings;
use crate::on_one_line;

/// How long a member may take to leave.
const LEAVING: Duration = Duration::from_secs(10);

/// What a commit is answered with that comes too late for its generation.
const TOO_LATE: [&str; 4] =
    ["ILLEGAL_GENERATION", "REBALANCE_IN_PROGRESS", "STALE_MEMBER_EPOCH", "UNKNOWN_MEMBER_ID"];

/// Runs a member of each variant until a line comes on stdin.
pub(crate) fn run(bootstrap: &str, prefix: &str, variants: &[&str]) -> Result<()> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for variant in variants {
            let (group, is_over) = (format!("{prefix}-{variant}"), &is_over);
            scope.spawn(move || {
                let result = Member::join(bootstrap, &group, variant)
                    .and_then(|member| member.work(is_over));
                if let Err(error) = result {
                    println!("{variant} failed {}", on_one_line(&error));
                }
            });
        }
        let read = io::stdin().lock().read_line(&mut String::new());
        is_over.store(true, Ordering::Release);
        read
    })?;
    println!("left");
    Ok(())
}

/// One member of one group.
struct Member<'a> {
    variant: &'a str,
    consumer: Consumer,
    /// What was handled and could not be committed yet, since there was a rebalance.
    pending: BTreeMap<TopicPartition, i64>,
}

impl<'a> Member<'a> {
    /// Joins a group that reads the topic of its own name.
    fn join(bootstrap: &str, group: &str, variant: &'a str) -> Result<Self> {
        let consumer = Consumer::new(&properties(bootstrap, group, variant))?;
        consumer.subscribe(&[group])?;
        Ok(Self { variant, consumer, pending: BTreeMap::new() })
    }

    fn work(mut self, is_over: &AtomicBool) -> Result<()> {
        let mut owned = None;
        while !is_over.load(Ordering::Acquire) {
            let records = self.consumer.poll(Duration::from_millis(200))?;
            let mut now: Vec<i32> =
                self.consumer.assignment().iter().map(|owned| owned.partition).collect();
            now.sort_unstable();
            if owned.as_ref() != Some(&now) {
                let names: Vec<String> = now.iter().map(i32::to_string).collect();
                println!("{} assigned {}", self.variant, names.join(","));
                owned = Some(now);
            }
            self.handle(&records);
            self.commit()?;
        }
        Ok(self.consumer.close(LEAVING)?)
    }

    fn handle(&mut self, records: &Records) {
        let mut ranges: BTreeMap<&TopicPartition, (i64, i64)> = BTreeMap::new();
        for record in records {
            let next = record.offset() + 1;
            ranges.entry(record.topic_partition()).or_insert((record.offset(), next)).1 = next;
        }
        for (place, (from, next)) in ranges {
            println!("{} handled {} {from} {next}", self.variant, place.partition);
            self.pending.insert(place.clone(), next);
        }
    }

    fn commit(&mut self) -> Result<()> {
        // What was lost and came back begins at the commit again, and so does its handling.
        let owned = self.consumer.assignment();
        self.pending.retain(|place, _| owned.contains(place));
        let consumer = &self.consumer;
        self.pending.retain(|place, next| consumer.position(place).is_ok_and(|at| at == *next));
        if self.pending.is_empty() {
            return Ok(());
        }
        let offset = |(place, next): (&TopicPartition, &i64)| {
            (
                place.clone(),
                OffsetAndMetadata { offset: *next, leader_epoch: None, metadata: String::new() },
            )
        };
        let offsets: Vec<_> = self.pending.iter().map(offset).collect();
        match self.consumer.commit_sync_offsets(&offsets) {
            Ok(()) => {
                for (place, next) in std::mem::take(&mut self.pending) {
                    println!("{} committed {} {next}", self.variant, place.partition);
                }
                Ok(())
            }
            Err(error) if is_for_now(&error) => {
                eprintln!("{} commit: {error}", self.variant);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// A rebalance, or a broker that is not there: a member goes on.
fn is_for_now(error: &Error) -> bool {
    let name = error.code().and_then(|code| code.name());
    error.is_retriable() || name.is_some_and(|name| TOO_LATE.contains(&name))
}

/// Short sessions, so that a member that was killed is missed soon.
fn properties(bootstrap: &str, group: &str, variant: &str) -> Properties {
    let all = settings(bootstrap)
        .with("group.id", group)
        .with("enable.auto.commit", "false")
        .with("auto.offset.reset", "earliest")
        .with("fetch.max.wait.ms", "100")
        .with("max.poll.interval.ms", "6000")
        .with("default.api.timeout.ms", "5000");
    match variant {
        "consumer" => all.with("group.protocol", "consumer"),
        "consumer-range" => {
            all.with("group.protocol", "consumer").with("group.remote.assignor", "range")
        }
        _ => all
            .with("partition.assignment.strategy", variant)
            .with("session.timeout.ms", "3000")
            .with("heartbeat.interval.ms", "300"),
    }
}

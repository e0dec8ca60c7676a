//! Appends that are synced before they are acknowledged (`flush.messages=1`, acks=all).
//!
//! The floor appends as much to a file and syncs it, again and again: what one producer can have of
//! the disk.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use super::goal::{Bound, Goal};
use super::report::Figures;
use super::workload::{Place, Run, Workload};
use super::{Bench, Subject};

/// This.
pub(super) const WORKLOADS: &[Workload] = &[Workload {
    name: "durable",
    place: Place::Own(""),
    floors: &[],
    kafka_rounds: 1,
    run: |run, figures| {
        if run.subject == Subject::Ottla {
            floor(run.bench, figures)?;
        }
        measure(run, &CROWDS[..3], figures)
    },
}];

/// So many producers, spread over so many partitions.
#[derive(Clone, Copy)]
pub(super) struct Crowd {
    name: &'static str,
    producers: &'static str,
    partitions: &'static str,
    /// Of records/s.
    goal: Goal,
}

const BY_GROUPS: Goal = &[Bound::LeastOf(5.0, Subject::Kafka)];

/// All.
pub(super) const CROWDS: [Crowd; 4] = [
    Crowd { name: "1 producer", producers: "1", partitions: "1", goal: &[] },
    Crowd { name: "16 producers", producers: "16", partitions: "1", goal: BY_GROUPS },
    Crowd { name: "256 producers", producers: "256", partitions: "1", goal: BY_GROUPS },
    Crowd {
        name: "256 producers, 64 partitions",
        producers: "256",
        partitions: "64",
        goal: BY_GROUPS,
    },
];

const SECONDS: &str = "5";

/// The disk alone.
pub(super) fn floor(bench: &Bench<'_>, figures: &mut Figures) -> Result<()> {
    let file = bench.folder.join("floor-sync").display().to_string();
    let answer = bench.load(&["floor-sync", "--file", &file, "--seconds", SECONDS])?;
    take(CROWDS[0], Subject::Floor, &answer, figures)
}

/// A broker that runs.
pub(super) fn measure(run: &Run<'_>, crowds: &[Crowd], figures: &mut Figures) -> Result<()> {
    let (site, _) = run.broker.context("the floor has no topics")?;
    let data = site.data().display().to_string();
    let load = |topic: &str, crowd: Crowd| {
        let (producers, partitions) = (crowd.producers, crowd.partitions);
        let args = ["--topic", topic, "--connections", producers, "--partitions", partitions];
        run.answer(("durable", &[&args[..], &["--data", &data, "--seconds", SECONDS]].concat()))
    };
    if run.wants_warm_up() {
        load("warm-up", CROWDS[1])?;
    }
    for &crowd in crowds {
        let topic = format!("durable-{}-{}", crowd.producers, crowd.partitions);
        take(crowd, run.subject, &load(&topic, crowd)?, figures)?;
    }
    Ok(())
}

fn take(
    crowd: Crowd,
    subject: Subject,
    answer: &BTreeMap<String, Value>,
    figures: &mut Figures,
) -> Result<()> {
    let rows = [
        ("records/s", "records_per_s", crowd.goal),
        ("ack p50 ms", "p50_ms", &[]),
        ("ack p99 ms", "p99_ms", &[]),
        ("flushes of the disk a record", "disk_flushes_per_record", &[]),
        ("CPU us/record", "cpu_us_per_record", &[]),
    ];
    for (what, key, goal) in rows {
        let name = format!("synced appends, {}: {what}", crowd.name);
        figures.aim(&name, goal);
        // The floor is nobody's processor time, and not every disk counts its flushes.
        if answer.get(key).is_some_and(Value::is_number) {
            figures.take(&name, subject, answer, key)?;
        }
    }
    Ok(())
}

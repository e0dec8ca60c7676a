//! Other brokers of the cluster, and the partitions that they have replicas of.
//!
//! Ottla is a cluster of one: it replicates to nobody, and what is not in sync here it has not. A
//! start fences all others, which is safe once none of them runs. That they are in service in the
//! metadata log does not say that they run, for who is killed together with its controller stays
//! so; nor does it say that they do not.

use std::collections::BTreeSet;

use ottla_metadata::image::{Image, Partition};

use super::metadata::FoundMetadata;
use super::reason::Reason;
use crate::config::Acceptable;

/// What there is of other brokers that a start would leave behind.
pub(super) fn reasons(found: &FoundMetadata, node_id: i32) -> Vec<Reason> {
    let image = found.replay.image();
    let place = found.dir.display().to_string();
    let reason = |what| Reason {
        what,
        place: place.clone(),
        next: format!(
            "under Kafka, move all replicas to broker {node_id} (kafka-reassign-partitions), stop \
             the other brokers, and unregister them (kafka-cluster unregister)"
        ),
        accept: Some(Acceptable::OtherBrokers),
    };
    in_service(image, node_id).into_iter().chain(held(image, node_id)).map(reason).collect()
}

/// Brokers that have nothing and are out of service: clients are told of them, no more.
pub(super) fn note(image: &Image, node_id: i32) -> Option<String> {
    let holders = Held::of(image, node_id).brokers;
    let idle: BTreeSet<i32> = others(image, node_id, true).difference(&holders).copied().collect();
    (!idle.is_empty()).then(|| {
        format!(
            "{} registered, out of service and without partitions; kafka-cluster unregister \
             forgets such",
            are(&idle)
        )
    })
}

fn others(image: &Image, node_id: i32, fenced: bool) -> BTreeSet<i32> {
    let others = image.brokers().values().filter(|broker| broker.id != node_id);
    others.filter(|broker| broker.fenced == fenced).map(|broker| broker.id).collect()
}

fn in_service(image: &Image, node_id: i32) -> Option<String> {
    let others = others(image, node_id, false);
    (!others.is_empty()).then(|| {
        format!(
            "{} in service beside this one; one that still runs goes on with what it leads, and \
             two brokers then give out the same offsets",
            are(&others)
        )
    })
}

fn held(image: &Image, node_id: i32) -> Option<String> {
    let held = Held::of(image, node_id);
    let example = held.example?;
    let lost = held.out_of_sync_example.map_or(String::new(), |example| {
        format!(
            "; {} of them, such as {example}, have no replica in sync here, and are not served",
            held.out_of_sync
        )
    });
    Some(format!(
        "{} partitions, such as {example}, have replicas on other brokers ({}), to which Ottla \
         does not replicate{lost}",
        held.partitions,
        list(&held.brokers)
    ))
}

/// Partitions with replicas elsewhere.
#[derive(Default)]
struct Held {
    partitions: usize,
    example: Option<String>,
    /// Those that this node cannot lead.
    out_of_sync: usize,
    out_of_sync_example: Option<String>,
    /// Who has the replicas.
    brokers: BTreeSet<i32>,
}

impl Held {
    fn of(image: &Image, node_id: i32) -> Self {
        let mut held = Self::default();
        for topic in image.topics().iter() {
            for (index, partition) in topic.partitions.iter() {
                if partition.replicas == [node_id] {
                    continue;
                }
                let name = || format!("{}-{index}", topic.name);
                held.partitions += 1;
                held.example.get_or_insert_with(name);
                let elsewhere = partition.replicas.iter().filter(|replica| **replica != node_id);
                held.brokers.extend(elsewhere);
                if !may_lead(partition, node_id) {
                    held.out_of_sync += 1;
                    held.out_of_sync_example.get_or_insert_with(name);
                }
            }
        }
        held
    }
}

/// Whether the node has all that was committed; so has the last leader, when nobody else has.
fn may_lead(partition: &Partition, node_id: i32) -> bool {
    let Partition { replicas, isr, elr, last_known_elr, .. } = partition;
    let is_last = isr.is_empty() && elr.is_empty() && *last_known_elr == [node_id];
    replicas.contains(&node_id) && (isr.contains(&node_id) || elr.contains(&node_id) || is_last)
}

fn are(brokers: &BTreeSet<i32>) -> String {
    let (noun, verb) = if brokers.len() == 1 { ("broker", "is") } else { ("brokers", "are") };
    format!("{noun} {} {verb}", list(brokers))
}

fn list(brokers: &BTreeSet<i32>) -> String {
    brokers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

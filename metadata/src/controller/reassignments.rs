//! Moving partitions between brokers (KIP-455).
//!
//! A reassignment adds replicas first and takes others away once all added ones are in sync:
//!
//! ```text
//! replicas 1 2       asked for 2 3   ->  replicas 2 3 1, adding 3, removing 1
//!                    3 is in sync    ->  replicas 2 3
//! ```
//!
//! What only takes away, or only changes the order, is complete at once.

use super::elections::push_difference;
use super::{Records, Refused, placement};
use crate::features::RecordVersions;
use crate::image::{Image, NO_LEADER, Partition, Topic};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::uuid::Uuid;
use std::collections::BTreeSet;

/// The replicas that a partition shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionReassignment {
    /// The partition's number.
    pub partition: i32,
    /// Its replicas, the preferred leader first; `None` takes a reassignment back.
    pub replicas: Option<Vec<i32>>,
}

/// What became of the partitions of one topic.
pub type Reassigned<'a> = (&'a str, Vec<(i32, Result<(), Refused>)>);

/// Begins, changes and takes back reassignments. With `allow_replication_factor_change` unset, a
/// partition must keep as many replicas as it has.
///
/// Refusals: UNKNOWN_TOPIC_OR_PARTITION, INVALID_REPLICA_ASSIGNMENT, INVALID_REPLICATION_FACTOR,
/// NO_REASSIGNMENT_IN_PROGRESS; INVALID_REQUEST for a partition that was changed before in the same
/// request.
pub fn alter_partition_reassignments<'a>(
    image: &Image,
    topics: &[(&'a str, Vec<PartitionReassignment>)],
    allow_replication_factor_change: bool,
) -> (Records, Vec<Reassigned<'a>>) {
    let mut records = Records::new();
    let mut changed = BTreeSet::new();
    let mut answers = vec![];
    for (name, partitions) in topics {
        let mut results = vec![];
        for asked in partitions {
            let result = find(image, name, asked.partition).and_then(|(topic, partition)| {
                let next = match &asked.replicas {
                    None => taken_back(image, partition)?,
                    Some(target) => {
                        let may_change = allow_replication_factor_change;
                        reassigned(image, partition, target, may_change)?
                    }
                };
                if next != *partition && !changed.insert((*name, asked.partition)) {
                    let message = "The partition is named more than once in the request.";
                    return Err(Refused::new(ErrorCode::INVALID_REQUEST, message));
                }
                push_difference(image, topic, asked.partition, &next, &mut records);
                Ok(())
            });
            results.push((asked.partition, result));
        }
        answers.push((*name, results));
    }
    (records, answers)
}

fn find<'i>(
    image: &'i Image,
    name: &str,
    number: i32,
) -> Result<(&'i Topic, &'i Partition), Refused> {
    let unknown = |what: String| Refused::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, what);
    let topic = image.topics().by_name(name);
    let topic = topic.ok_or_else(|| unknown(format!("Unable to find a topic named {name}.")))?;
    let partition = topic.partitions.get(&number);
    let partition =
        partition.ok_or_else(|| unknown(format!("Unable to find partition {name}:{number}.")))?;
    Ok((topic, partition))
}

fn refused(message: String) -> Refused {
    Refused::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message)
}

/// The partition on its way to the target, or there.
fn reassigned(
    image: &Image,
    partition: &Partition,
    target: &[i32],
    may_change_factor: bool,
) -> Result<Partition, Refused> {
    placement::check_replicas(image, target)?;
    // Under way already: what is being added does not count yet.
    let settled = settled_replicas(partition);
    if !may_change_factor && settled.len() != target.len() {
        let message = format!(
            "The partition has {} replica(s), and {} are asked for.",
            settled.len(),
            target.len()
        );
        return Err(Refused::new(ErrorCode::INVALID_REPLICATION_FACTOR, message));
    }
    let missing = |from: &[i32], of: &[i32]| -> Vec<i32> {
        of.iter().copied().filter(|id| !from.contains(id)).collect()
    };
    let adding = missing(&settled, target);
    let removing = missing(target, &settled);
    let replicas: Vec<i32> = target.iter().chain(&removing).copied().collect();
    let mut next = with_replicas(image, partition, replicas);
    (next.adding_replicas, next.removing_replicas) = (adding, removing);
    // A replica that the last reassignment added, and this one does not want, is out at once.
    next.isr.retain(|id| next.replicas.contains(id));
    complete(image, &mut next);
    if next.isr.is_empty() {
        return Err(refused("No replica in sync would be left.".into()));
    }
    keep_a_leader(image, &mut next);
    Ok(next)
}

/// The replicas without those that a reassignment under way adds.
fn settled_replicas(partition: &Partition) -> Vec<i32> {
    let is_added = |id: &i32| partition.adding_replicas.contains(id);
    partition.replicas.iter().copied().filter(|id| !is_added(id)).collect()
}

/// Takes the leaving replicas away if all added ones are in sync and one of those that stay is.
fn complete(image: &Image, next: &mut Partition) {
    let is_removed = |id: &i32| next.removing_replicas.contains(id);
    let isr: Vec<i32> = next.isr.iter().copied().filter(|id| !is_removed(id)).collect();
    if isr.is_empty() || !next.adding_replicas.iter().all(|id| isr.contains(id)) {
        return;
    }
    let replicas = next.replicas.iter().copied().filter(|id| !is_removed(id)).collect();
    let mut done = with_replicas(image, next, replicas);
    done.isr = isr;
    done.adding_replicas.clear();
    done.removing_replicas.clear();
    *next = done;
}

/// The partition as it was before the reassignment under way.
fn taken_back(image: &Image, partition: &Partition) -> Result<Partition, Refused> {
    if partition.adding_replicas.is_empty() && partition.removing_replicas.is_empty() {
        let message = "No partition reassignment is in progress.";
        return Err(Refused::new(ErrorCode::NO_REASSIGNMENT_IN_PROGRESS, message));
    }
    let mut next = with_replicas(image, partition, settled_replicas(partition));
    next.isr.retain(|id| next.replicas.contains(id));
    next.adding_replicas.clear();
    next.removing_replicas.clear();
    if next.isr.is_empty() {
        return Err(refused("No replica in sync would be left.".into()));
    }
    keep_a_leader(image, &mut next);
    Ok(next)
}

/// The partition with other replicas: those that stay keep their directories, new ones choose
/// theirs, and who is no replica any more has no right to lead.
fn with_replicas(image: &Image, partition: &Partition, replicas: Vec<i32>) -> Partition {
    let directory = |id: &i32| match partition.replicas.iter().position(|replica| replica == id) {
        Some(at) => partition.directories[at],
        None if RecordVersions::of(image).has_directories() => {
            placement::default_directory(image, *id)
        }
        None => Uuid::MIGRATING_DIR,
    };
    let mut next = partition.clone();
    next.directories = replicas.iter().map(directory).collect();
    next.elr.retain(|id| replicas.contains(id));
    next.last_known_elr.retain(|id| replicas.contains(id));
    next.replicas = replicas;
    next
}

/// Gives the partition another leader if the one that it has is leaving.
fn keep_a_leader(image: &Image, next: &mut Partition) {
    if next.leader != NO_LEADER && next.isr.contains(&next.leader) {
        return;
    }
    let may_lead = |id: &&i32| next.isr.contains(id) && image.is_broker_active(**id);
    next.leader = next.replicas.iter().find(may_lead).copied().unwrap_or(NO_LEADER);
}

/// A reassignment that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reassignment<'i> {
    /// The partition's number.
    pub partition: i32,
    /// What is known of it.
    pub state: &'i Partition,
}

/// The reassignments under way, by topic: of the partitions asked about, or of all. What is unknown
/// is passed over.
pub fn list_partition_reassignments<'i>(
    image: &'i Image,
    asked: Option<&[(&str, Vec<i32>)]>,
) -> Vec<(&'i str, Vec<Reassignment<'i>>)> {
    let under_way = |number: i32, state: &'i Partition| {
        let is = !state.adding_replicas.is_empty() || !state.removing_replicas.is_empty();
        is.then_some(Reassignment { partition: number, state })
    };
    let all = |topic: &'i Topic| -> Vec<Reassignment<'i>> {
        topic.partitions.iter().filter_map(|(number, each)| under_way(*number, each)).collect()
    };
    let listed = |topic: &'i Topic, numbers: &[i32]| -> Vec<Reassignment<'i>> {
        let known = numbers.iter().filter_map(|number| {
            topic.partitions.get(number).and_then(|each| under_way(*number, each))
        });
        known.collect()
    };
    let found: Vec<(&str, Vec<Reassignment<'i>>)> = match asked {
        None => image.topics().iter().map(|topic| (&*topic.name, all(topic))).collect(),
        Some(asked) => {
            let known = asked.iter().filter_map(|(name, numbers)| {
                let topic = image.topics().by_name(name)?;
                Some((&*topic.name, listed(topic, numbers)))
            });
            known.collect()
        }
    };
    found.into_iter().filter(|(_, reassignments)| !reassignments.is_empty()).collect()
}

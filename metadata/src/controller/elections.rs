//! Who leads a partition, and who may (KIP-966).
//!
//! While eligible leaders are tracked, a replica that leaves the ISR and takes it below
//! `min.insync.replicas` is remembered in the ELR: it has all that was ever committed, and may lead
//! again without loss. A replica that comes back from a crash has lost that right, since what it
//! had acknowledged may never have reached its disk. When nobody has the right any more, the last
//! leader is taken back, and marked as recovering.

use super::configs::MIN_INSYNC_REPLICAS;
use super::{Records, Refused};
use crate::features::RecordVersions;
use crate::image::{Image, NO_LEADER, NO_LEADER_CHANGE, Partition, Topic};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::metadata::MetadataRecord;
use ottla_protocol::metadata::topic::PartitionChangeRecord;
use std::collections::BTreeSet;

/// The leader was elected uncleanly. Kafka leaves it at that while there is one replica.
const RECOVERING: i8 = 1;
/// In a partition change: the state stays.
pub(super) const NO_RECOVERY_CHANGE: i8 = -1;

/// What happens to brokers, as far as partitions are concerned.
pub(super) enum Event {
    /// The broker leaves every ISR: it is fenced or stops.
    Leaves(i32),
    /// The broker may lead again.
    Returns(i32),
    /// The broker comes back from a crash, and is in no ELR from now on.
    Crashed(i32),
}

/// Adds a change for each partition that the event touches, topics by name.
pub(super) fn push_changes(image: &Image, event: &Event, records: &mut Records) {
    let versions = RecordVersions::of(image);
    for topic in image.topics().iter() {
        for (number, partition) in topic.partitions.iter() {
            if let Some(change) = change(image, versions, topic, partition, event) {
                let change =
                    PartitionChangeRecord { partition_id: *number, topic_id: topic.id, ..change };
                records.push(&MetadataRecord::PartitionChange(change), versions.partition());
            }
        }
    }
}

fn change(
    image: &Image,
    versions: RecordVersions,
    topic: &Topic,
    partition: &Partition,
    event: &Event,
) -> Option<PartitionChangeRecord> {
    let mut next = partition.clone();
    let (is_touched, leaving, crashed) = match *event {
        Event::Leaves(id) => {
            next.isr.retain(|replica| *replica != id);
            (partition.isr.contains(&id) || partition.leader == id, Some(id), None)
        }
        Event::Returns(id) => {
            (partition.leader == NO_LEADER && partition.replicas.contains(&id), None, None)
        }
        Event::Crashed(id) => {
            next.isr.retain(|replica| *replica != id);
            let had_right = partition.isr.contains(&id) || partition.elr.contains(&id);
            (had_right && versions.has_elr(), Some(id), Some(id))
        }
    };
    if !is_touched {
        return None;
    }
    track_eligible(image, versions, topic, partition, &mut next, crashed);
    elect(&mut next, |id| match *event {
        Event::Returns(back) if id == back => true,
        _ => Some(id) != leaving && image.is_broker_active(id),
    });
    if next.isr.is_empty() {
        if !versions.has_elr() {
            // Without eligible leaders the last member stays, so that it is known who may lead.
            next.isr.clone_from(&partition.isr);
        } else if partition.leader != NO_LEADER {
            next.last_known_elr = vec![partition.leader];
        }
    }
    difference(partition, &next)
}

/// Brings ELR and last leader up to date with the ISR that `next` has.
fn track_eligible(
    image: &Image,
    versions: RecordVersions,
    topic: &Topic,
    partition: &Partition,
    next: &mut Partition,
    crashed: Option<i32>,
) {
    let min_isr = min_insync_replicas(image, &topic.name).min(next.replicas.len());
    if !versions.has_elr() || next.isr.len() >= min_isr {
        next.elr.clear();
        next.last_known_elr.clear();
        return;
    }
    for replica in &partition.isr {
        if !next.elr.contains(replica) {
            next.elr.push(*replica);
        }
    }
    next.elr.retain(|replica| !next.isr.contains(replica) && Some(*replica) != crashed);
}

fn min_insync_replicas(image: &Image, topic: &str) -> usize {
    let of_topic = image.configs().topic(topic).and_then(|set| set.get(MIN_INSYNC_REPLICAS));
    let of_brokers = || image.configs().default_broker()?.get(MIN_INSYNC_REPLICAS);
    let value = of_topic.or_else(of_brokers).and_then(|value| value.trim().parse().ok());
    value.unwrap_or(1)
}

/// Keeps the leader if it may lead, or else takes the first replica that may.
fn elect(next: &mut Partition, is_active: impl Fn(i32) -> bool) {
    let may_lead = |id: i32| (next.isr.contains(&id) || next.elr.contains(&id)) && is_active(id);
    if next.isr.contains(&next.leader) && is_active(next.leader) {
        return;
    }
    if let Some(leader) = next.replicas.iter().copied().find(|id| may_lead(*id)) {
        next.leader = leader;
        if !next.isr.contains(&leader) {
            next.isr = vec![leader];
            next.elr.retain(|replica| *replica != leader);
            next.last_known_elr.clear();
        }
        return;
    }
    match next.last_known_elr[..] {
        [last] if next.isr.is_empty() && next.elr.is_empty() && is_active(last) => {
            next.leader = last;
            next.isr = vec![last];
            next.last_known_elr.clear();
            next.leader_recovery_state = RECOVERING;
        }
        _ => next.leader = NO_LEADER,
    }
}

/// The record that makes `before` into `after`; `None` when they are the same. A change of replicas
/// names their directories too.
fn difference(before: &Partition, after: &Partition) -> Option<PartitionChangeRecord> {
    if before == after {
        return None;
    }
    let list = |before: &Vec<i32>, after: &Vec<i32>| (before != after).then(|| after.clone());
    let mut change = PartitionChangeRecord {
        leader: NO_LEADER_CHANGE,
        leader_recovery_state: NO_RECOVERY_CHANGE,
        isr: list(&before.isr, &after.isr),
        replicas: list(&before.replicas, &after.replicas),
        removing_replicas: list(&before.removing_replicas, &after.removing_replicas),
        adding_replicas: list(&before.adding_replicas, &after.adding_replicas),
        directories: (before.directories != after.directories).then(|| after.directories.clone()),
        eligible_leader_replicas: list(&before.elr, &after.elr),
        last_known_elr: list(&before.last_known_elr, &after.last_known_elr),
        ..PartitionChangeRecord::default()
    };
    if before.leader != after.leader {
        change.leader = after.leader;
    }
    if before.leader_recovery_state != after.leader_recovery_state {
        change.leader_recovery_state = after.leader_recovery_state;
    }
    Some(change)
}

/// Which replica an election that a client asks for may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionType {
    /// The first of the replicas, if it is in sync.
    Preferred,
    /// Any replica, though records be lost, for a partition that has no leader.
    Unclean,
}

impl ElectionType {
    /// The type with that number, if one has it.
    pub fn from_code(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::Preferred),
            1 => Some(Self::Unclean),
            _ => None,
        }
    }
}

/// What became of each partition of an election, and which leader it has now.
pub type ElectionAnswers<'a> = Vec<(&'a str, Vec<(i32, Result<(), Refused>)>)>;

/// Elects leaders of partitions. Without a list, of all: then those that need no election are left
/// out of the answer, which still names each topic.
///
/// Refusals: UNKNOWN_TOPIC_OR_PARTITION; ELECTION_NOT_NEEDED; PREFERRED_LEADER_NOT_AVAILABLE and
/// ELIGIBLE_LEADERS_NOT_AVAILABLE when no replica may lead.
pub fn elect_leaders<'a>(
    image: &'a Image,
    election_type: ElectionType,
    partitions: Option<&[(&'a str, Vec<i32>)]>,
) -> (Records, ElectionAnswers<'a>) {
    let mut records = Records::new();
    let mut answers: ElectionAnswers<'a> = vec![];
    if let Some(partitions) = partitions {
        // A change counts once it is replayed: what is named twice must not be changed twice.
        let mut elected = BTreeSet::new();
        for (topic, numbers) in partitions {
            let mut elect = |number: &i32| {
                let result = match elected.contains(&(*topic, *number)) {
                    true => Err(not_needed()),
                    false => elect_one(image, election_type, topic, *number, &mut records),
                };
                if result.is_ok() {
                    elected.insert((*topic, *number));
                }
                (*number, result)
            };
            answers.push((topic, numbers.iter().map(&mut elect).collect()));
        }
        return (records, answers);
    }
    for topic in image.topics().iter() {
        let mut elect = |number: &i32| {
            (*number, elect_one(image, election_type, &topic.name, *number, &mut records))
        };
        let told = topic.partitions.keys().map(&mut elect).filter(|(_, result)| {
            !matches!(result, Err(Refused { code: ErrorCode::ELECTION_NOT_NEEDED, .. }))
        });
        answers.push((&topic.name, told.collect()));
    }
    (records, answers)
}

fn not_needed() -> Refused {
    let message = "Leader election not needed for topic partition.";
    Refused::new(ErrorCode::ELECTION_NOT_NEEDED, message)
}

fn elect_one(
    image: &Image,
    election_type: ElectionType,
    name: &str,
    number: i32,
    records: &mut Records,
) -> Result<(), Refused> {
    let unknown = |what: String| Refused::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, what);
    let topic = image.topics().by_name(name);
    let topic = topic.ok_or_else(|| unknown(format!("No such topic as {name}")))?;
    let partition = topic.partitions.get(&number);
    let partition =
        partition.ok_or_else(|| unknown(format!("No such partition as {name}-{number}")))?;
    let preferred = partition.replicas.first().copied();
    let is_needed = match election_type {
        ElectionType::Preferred => Some(partition.leader) != preferred,
        ElectionType::Unclean => partition.leader == NO_LEADER,
    };
    if !is_needed {
        return Err(not_needed());
    }
    let mut next = partition.clone();
    let may_lead = |id: &i32| image.is_broker_active(*id);
    let in_sync = |id: &i32| partition.isr.contains(id) || partition.elr.contains(id);
    let leader = match election_type {
        ElectionType::Preferred => preferred.filter(|id| in_sync(id) && may_lead(id)),
        ElectionType::Unclean => {
            let clean = partition.replicas.iter().find(|id| in_sync(id) && may_lead(id));
            clean.or_else(|| partition.replicas.iter().find(|id| may_lead(id))).copied()
        }
    };
    let Some(leader) = leader else {
        return Err(match election_type {
            ElectionType::Preferred => Refused::new(
                ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE,
                "The preferred leader was not available.",
            ),
            ElectionType::Unclean => Refused::new(
                ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE,
                "Eligible topic partition leaders are not available.",
            ),
        });
    };
    next.leader = leader;
    if !partition.isr.contains(&leader) {
        next.isr = vec![leader];
        if !partition.elr.contains(&leader) {
            next.leader_recovery_state = RECOVERING;
        }
        next.elr.retain(|replica| *replica != leader);
        next.last_known_elr.clear();
    }
    push_difference(image, topic, number, &next, records);
    Ok(())
}

/// Adds the change that makes a partition of a topic into `next`, if it is one.
pub(super) fn push_difference(
    image: &Image,
    topic: &Topic,
    number: i32,
    next: &Partition,
    records: &mut Records,
) {
    let change = topic.partitions.get(&number).and_then(|before| difference(before, next));
    let Some(mut change) = change else { return };
    (change.partition_id, change.topic_id) = (number, topic.id);
    let versions = RecordVersions::of(image);
    change.directories = change.directories.filter(|_| versions.has_directories());
    records.push(&MetadataRecord::PartitionChange(change), versions.partition());
}

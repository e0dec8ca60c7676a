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
use ottla_protocol::uuid::Uuid;

/// The leader was elected uncleanly. Kafka leaves it at that while there is one replica.
const RECOVERING: i8 = 1;
/// In a partition change: the state stays.
const NO_RECOVERY_CHANGE: i8 = -1;

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

/// The record that makes `before` into `after`; `None` when they are the same.
fn difference(before: &Partition, after: &Partition) -> Option<PartitionChangeRecord> {
    if before == after {
        return None;
    }
    let list = |before: &Vec<i32>, after: &Vec<i32>| (before != after).then(|| after.clone());
    let mut change = PartitionChangeRecord {
        leader: NO_LEADER_CHANGE,
        leader_recovery_state: NO_RECOVERY_CHANGE,
        isr: list(&before.isr, &after.isr),
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

/// Notes in which directory a broker keeps its replica of each partition, where that is not known
/// yet or has changed. Brokers with several directories choose by themselves and tell afterwards.
///
/// # Errors
/// UNKNOWN_TOPIC_ID or UNKNOWN_TOPIC_OR_PARTITION, and NOT_LEADER_OR_FOLLOWER for a partition of
/// which the broker has no replica.
pub fn assign_directories(
    image: &Image,
    broker_id: i32,
    placed: &[(Uuid, i32, Uuid)],
) -> Result<Records, Refused> {
    let versions = RecordVersions::of(image);
    let mut records = Records::new();
    if !versions.has_directories() {
        return Ok(records);
    }
    for (topic_id, number, directory) in placed {
        let Some(topic) = image.topics().by_id(*topic_id) else {
            let message = format!("there is no topic with id {topic_id}");
            return Err(Refused::new(ErrorCode::UNKNOWN_TOPIC_ID, message));
        };
        let Some(partition) = topic.partitions.get(number) else {
            let message = format!("topic '{}' has no partition {number}", topic.name);
            return Err(Refused::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message));
        };
        let Some(at) = partition.replicas.iter().position(|replica| *replica == broker_id) else {
            let message = format!("broker {broker_id} has no replica of {}-{number}", topic.name);
            return Err(Refused::new(ErrorCode::NOT_LEADER_OR_FOLLOWER, message));
        };
        if partition.directories[at] == *directory {
            continue;
        }
        let mut directories = partition.directories.clone();
        directories[at] = *directory;
        let change = PartitionChangeRecord {
            partition_id: *number,
            topic_id: *topic_id,
            leader: NO_LEADER_CHANGE,
            leader_recovery_state: NO_RECOVERY_CHANGE,
            directories: Some(directories),
            ..PartitionChangeRecord::default()
        };
        records.push(&MetadataRecord::PartitionChange(change), versions.partition());
    }
    Ok(records)
}

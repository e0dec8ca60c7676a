//! Which brokers hold which partitions.

use super::Refused;
use crate::features::RecordVersions;
use crate::image::{Broker, Image, NO_LEADER};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::metadata::MetadataRecord;
use ottla_protocol::metadata::topic::PartitionRecord;
use ottla_protocol::uuid::Uuid;
use std::sync::Arc;

/// The replicas of one partition, chosen by the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaAssignment {
    /// The partition's number.
    pub partition_index: i32,
    /// Its replicas; the first is the preferred leader.
    pub broker_ids: Vec<i32>,
}

/// Spreads `count` partitions over the active brokers: each next partition begins one broker
/// further, and its other replicas are the brokers that follow. `seed` picks where to begin.
///
/// # Errors
/// INVALID_REPLICATION_FACTOR when there are fewer brokers than replicas. A broker with all of its
/// directories cordoned does not count.
pub(super) fn place(
    image: &Image,
    count: i32,
    replication_factor: i16,
    seed: u32,
) -> Result<Vec<Vec<i32>>, Refused> {
    let has_room = |broker: &&Arc<Broker>| broker.is_active() && broker.has_uncordoned();
    let brokers: Vec<i32> = image.brokers().values().filter(has_room).map(|b| b.id).collect();
    let replicas = usize::try_from(replication_factor).unwrap_or(0);
    if brokers.is_empty() {
        return Err(Refused::new(
            ErrorCode::INVALID_REPLICATION_FACTOR,
            format!(
                "Unable to replicate the partition {replication_factor} time(s): All brokers are \
                 currently fenced, or have all their log directories cordoned."
            ),
        ));
    }
    if replicas == 0 || replicas > brokers.len() {
        return Err(Refused::new(
            ErrorCode::INVALID_REPLICATION_FACTOR,
            format!(
                "Unable to replicate the partition {replication_factor} time(s): only {} broker(s) \
                 are registered, not fenced, and have a log directory that is not cordoned.",
                brokers.len()
            ),
        ));
    }
    let seed = seed as usize % brokers.len();
    let of = |partition: usize| {
        (0..replicas).map(|next| brokers[(seed + partition + next) % brokers.len()]).collect()
    };
    Ok((0..usize::try_from(count).unwrap_or(0)).map(of).collect())
}

fn refused(message: String) -> Result<(), Refused> {
    Err(Refused::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message))
}

/// Checks replicas that a client chose for a partition: at least one, each registered, none twice.
///
/// # Errors
/// INVALID_REPLICA_ASSIGNMENT.
pub(super) fn check_replicas(image: &Image, broker_ids: &[i32]) -> Result<(), Refused> {
    if broker_ids.is_empty() {
        return refused("The manual partition assignment includes an empty replica list.".into());
    }
    let mut sorted = broker_ids.to_vec();
    sorted.sort_unstable();
    for (index, id) in sorted.iter().enumerate() {
        if !image.brokers().contains_key(id) {
            return refused(format!(
                "The manual partition assignment includes broker {id}, but no such broker is \
                 registered."
            ));
        }
        if index > 0 && sorted[index - 1] == *id {
            return refused(format!(
                "The manual partition assignment includes the broker {id} more than once."
            ));
        }
    }
    Ok(())
}

/// [`check_replicas`] for a new partition, of which one replica must be active; `expected` is how
/// many the topic's partitions have.
///
/// # Errors
/// INVALID_REPLICA_ASSIGNMENT.
pub(super) fn check_manual(
    image: &Image,
    broker_ids: &[i32],
    expected: Option<usize>,
) -> Result<(), Refused> {
    check_replicas(image, broker_ids)?;
    if let Some(expected) = expected.filter(|expected| *expected != broker_ids.len()) {
        return refused(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is \
             not consistent with previous partitions, which have {expected} replica(s).",
            broker_ids.len()
        ));
    }
    if !broker_ids.iter().any(|id| image.is_broker_active(*id)) {
        return refused(
            "All brokers specified in the manual partition assignment are fenced or in controlled \
             shutdown."
                .into(),
        );
    }
    Ok(())
}

/// The record of a new partition: led by the first of its replicas that is active. At least one
/// must be.
pub(super) fn new_partition(
    image: &Image,
    versions: RecordVersions,
    topic_id: Uuid,
    partition_id: i32,
    replicas: Vec<i32>,
) -> MetadataRecord<'static> {
    let isr: Vec<i32> = replicas.iter().copied().filter(|id| image.is_broker_active(*id)).collect();
    let directories = match versions.has_directories() {
        true => replicas.iter().map(|id| default_directory(image, *id)).collect(),
        false => vec![],
    };
    MetadataRecord::Partition(PartitionRecord {
        partition_id,
        topic_id,
        leader: isr.first().copied().unwrap_or(NO_LEADER),
        replicas,
        isr,
        directories,
        leader_epoch: 0,
        partition_epoch: 0,
        ..PartitionRecord::default()
    })
}

/// The directory of a new replica: the broker's only one, or else the broker chooses and tells.
pub(super) fn default_directory(image: &Image, broker_id: i32) -> Uuid {
    match image.brokers().get(&broker_id).map(|broker| &*broker.directories) {
        Some([only]) => *only,
        _ => Uuid::UNASSIGNED_DIR,
    }
}

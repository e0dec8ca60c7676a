//! Where the replicas of a broker lie.

use super::elections::NO_RECOVERY_CHANGE;
use super::{Records, Refused};
use crate::features::RecordVersions;
use crate::image::{Image, NO_LEADER_CHANGE};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::metadata::MetadataRecord;
use ottla_protocol::metadata::topic::PartitionChangeRecord;
use ottla_protocol::uuid::Uuid;

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

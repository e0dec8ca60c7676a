//! Giving topics more partitions.

use super::placement;
use super::{Answers, Entropy, RECORDS_PER_REQUEST_MAX, Records, Refused};
use crate::features::RecordVersions;
use crate::image::{Image, Topic};
use ottla_protocol::error_code::ErrorCode;
use std::collections::{BTreeMap, BTreeSet};

/// A topic that shall have more partitions.
#[derive(Clone, Debug)]
pub struct MorePartitions<'a> {
    /// The topic.
    pub name: &'a str,
    /// How many it shall have in all.
    pub count: i32,
    /// The replicas of each new partition, or `None` to let the controller choose.
    pub assignments: Option<Vec<Vec<i32>>>,
}

/// Adds partitions to topics. The answer has each name once, in the order of the request.
///
/// Refusals: INVALID_REQUEST for a name given twice, UNKNOWN_TOPIC_OR_PARTITION,
/// INVALID_PARTITIONS for a count that is no increase, POLICY_VIOLATION for more than
/// [`RECORDS_PER_REQUEST_MAX`] in one request, INVALID_REPLICA_ASSIGNMENT,
/// INVALID_REPLICATION_FACTOR.
pub fn create_partitions<'a>(
    image: &Image,
    request: &[MorePartitions<'a>],
    validate_only: bool,
    entropy: Entropy<'_>,
) -> (Records, Answers<'a, ()>) {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for topic in request {
        *times.entry(topic.name).or_default() += 1;
    }
    let mut records = Records::new();
    let mut answered = BTreeSet::new();
    let mut answers = vec![];
    for more in request.iter().filter(|more| answered.insert(more.name)) {
        let result = if times[more.name] > 1 {
            Err(Refused::new(ErrorCode::INVALID_REQUEST, "Duplicate topic name."))
        } else {
            add(image, more, &mut records, entropy)
        };
        answers.push((more.name, result));
    }
    if validate_only {
        records = Records::new();
    }
    (records, answers)
}

fn add(
    image: &Image,
    more: &MorePartitions<'_>,
    records: &mut Records,
    entropy: Entropy<'_>,
) -> Result<(), Refused> {
    let Some(topic) = image.topics().by_name(more.name) else {
        let message = format!("there is no topic '{}'", more.name);
        return Err(Refused::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message));
    };
    let current = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    if more.count <= current {
        let message = if more.count == current {
            format!("Topic already has {current} partition(s).")
        } else {
            format!(
                "The topic {} currently has {current} partition(s); {} would not be an increase.",
                more.name, more.count
            )
        };
        return Err(Refused::new(ErrorCode::INVALID_PARTITIONS, message));
    }
    let added = more.count - current;
    // Kafka 4.3 writes the first 10,000 of them and answers with a server error.
    if records.len() + usize::try_from(added).unwrap_or(usize::MAX) > RECORDS_PER_REQUEST_MAX {
        let message = "Excessively large number of partitions per request.";
        return Err(Refused::new(ErrorCode::POLICY_VIOLATION, message));
    }
    let replicas = match &more.assignments {
        Some(assignments) => manual(image, topic, assignments, added)?,
        None => {
            let factor = topic.partitions.values().next().map_or(1, |first| first.replicas.len());
            let factor = i16::try_from(factor).unwrap_or(i16::MAX);
            let [a, b, c, d, ..] = entropy();
            placement::place(image, added, factor, u32::from_be_bytes([a, b, c, d]))?
        }
    };
    let versions = RecordVersions::of(image);
    for (number, replicas) in (current..).zip(replicas) {
        let record = placement::new_partition(image, versions, topic.id, number, replicas);
        records.push(&record, versions.partition());
    }
    Ok(())
}

fn manual(
    image: &Image,
    topic: &Topic,
    assignments: &[Vec<i32>],
    added: i32,
) -> Result<Vec<Vec<i32>>, Refused> {
    if usize::try_from(added) != Ok(assignments.len()) {
        let message = format!(
            "Attempted to add {added} additional partition(s), but only {} assignment(s) were \
             specified.",
            assignments.len()
        );
        return Err(Refused::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
    }
    let expected = topic.partitions.values().next().map(|first| first.replicas.len());
    for broker_ids in assignments {
        placement::check_manual(image, broker_ids, expected)?;
    }
    Ok(assignments.to_vec())
}

//! Partitions of topics, and offsets in them.

use std::collections::{BTreeMap, BTreeSet};

use ottla_client::{Admin, Consumer, Error, IsolationLevel, OffsetSpec, Record, TopicPartition};

use super::place::Start;
use crate::{CannotRun, advice};

/// All partitions of topics; or these of each.
///
/// # Errors
/// There is no such topic or partition; no broker answers.
pub(crate) fn of_topics(
    admin: &Admin,
    topics: &[String],
    only: Option<&BTreeSet<i32>>,
) -> Result<Vec<TopicPartition>, CannotRun> {
    let names: BTreeSet<&str> = topics.iter().map(String::as_str).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let mut partitions = Vec::new();
    for (name, description) in admin.describe_topics(&names)? {
        let description = description.map_err(|error| advice::on(admin, &error))?;
        let all: BTreeSet<i32> =
            description.partitions.iter().map(|partition| partition.index).collect();
        if let Some(wrong) = only.and_then(|only| only.difference(&all).next()) {
            let count = all.len();
            return Err(CannotRun(format!("{name} has no partition {wrong}, but {count} of them")));
        }
        let chosen = only.unwrap_or(&all);
        partitions.extend(chosen.iter().map(|index| TopicPartition::new(&name, *index)));
    }
    Ok(partitions)
}

/// An offset of each partition; `None` of one where there is no such record.
///
/// # Errors
/// A partition has no leader that answers.
pub(crate) fn offsets(
    admin: &Admin,
    partitions: &[TopicPartition],
    spec: OffsetSpec,
    isolation: IsolationLevel,
) -> Result<BTreeMap<TopicPartition, Option<i64>>, CannotRun> {
    let asked: Vec<(TopicPartition, OffsetSpec)> =
        partitions.iter().map(|partition| (partition.clone(), spec)).collect();
    let listed = admin.list_offsets(&asked, isolation)?;
    let offset = |(partition, listed): (TopicPartition, Result<_, _>)| {
        let listed: ottla_client::ListedOffset =
            listed.map_err(|error| advice::on(admin, &error))?;
        Ok((partition, listed.offset))
    };
    listed.into_iter().map(offset).collect()
}

/// The same of partitions that all have one: behind their last records, say.
///
/// # Errors
/// As [`offsets`].
pub(crate) fn ends(
    admin: &Admin,
    partitions: &[TopicPartition],
    isolation: IsolationLevel,
) -> Result<BTreeMap<TopicPartition, i64>, CannotRun> {
    let ends = offsets(admin, partitions, OffsetSpec::Latest, isolation)?;
    Ok(ends.into_iter().map(|(partition, end)| (partition, end.unwrap_or(0))).collect())
}

/// Where reading begins.
///
/// # Errors
/// As [`offsets`].
pub(crate) fn starts(
    admin: &Admin,
    partitions: &[TopicPartition],
    start: Start,
    isolation: IsolationLevel,
) -> Result<BTreeMap<TopicPartition, i64>, CannotRun> {
    let first = || offsets(admin, partitions, OffsetSpec::Earliest, isolation);
    match start {
        Start::At(offset) => {
            Ok(partitions.iter().map(|partition| (partition.clone(), offset)).collect())
        }
        Start::End => ends(admin, partitions, isolation),
        Start::Beginning => Ok(or(first()?, |_| 0)),
        Start::BeforeEnd(back) => {
            let (first, ends) = (or(first()?, |_| 0), ends(admin, partitions, isolation)?);
            let start = |(partition, end): (TopicPartition, i64)| {
                let first = first.get(&partition).copied().unwrap_or(0);
                (partition, end.saturating_sub(back).max(first))
            };
            Ok(ends.into_iter().map(start).collect())
        }
        Start::Time(ms) => at_time(admin, partitions, ms, isolation),
    }
}

/// The first records of a time or later; the end of those that have none.
///
/// # Errors
/// As [`offsets`].
pub(crate) fn at_time(
    admin: &Admin,
    partitions: &[TopicPartition],
    ms: i64,
    isolation: IsolationLevel,
) -> Result<BTreeMap<TopicPartition, i64>, CannotRun> {
    // The ends first: what comes in between is found by its time.
    let ends = ends(admin, partitions, isolation)?;
    let found = offsets(admin, partitions, OffsetSpec::Timestamp(ms), isolation)?;
    Ok(or(found, |partition| ends.get(partition).copied().unwrap_or(0)))
}

fn or(
    offsets: BTreeMap<TopicPartition, Option<i64>>,
    otherwise: impl Fn(&TopicPartition) -> i64,
) -> BTreeMap<TopicPartition, i64> {
    let known = |(partition, offset): (TopicPartition, Option<i64>)| {
        let offset = offset.unwrap_or_else(|| otherwise(&partition));
        (partition, offset)
    };
    offsets.into_iter().map(known).collect()
}

/// Has a record read again by whoever reads the partition next. One that was taken away meanwhile
/// is another member's, and is left to it.
///
/// # Errors
/// It cannot be sought, though the partition is assigned.
pub(crate) fn give_back(
    consumer: &Consumer,
    partition: &TopicPartition,
    offset: i64,
) -> Result<(), Error> {
    match consumer.seek(partition, offset) {
        Err(error) if consumer.assignment().contains(partition) => Err(error),
        _ => Ok(()),
    }
}

/// Has records read again by whoever reads their partitions next: of each partition from the first
/// one on. What was not printed, or counted, is not committed then.
///
/// # Errors
/// As [`give_back`].
pub(crate) fn give_back_all<'r>(
    consumer: &Consumer,
    rest: impl Iterator<Item = Record<'r>>,
) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for record in rest {
        let partition = record.topic_partition();
        if seen.insert(partition) {
            give_back(consumer, partition, record.offset())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ottla_client::Properties;

    use super::*;

    #[test]
    fn what_was_taken_away_is_not_given_back() {
        let properties = Properties::new().with("bootstrap.servers", "127.0.0.1:1");
        let consumer = Consumer::new(&properties).unwrap();
        let [kept, lost] = [0, 1].map(|index| TopicPartition::new("t", index));
        consumer.assign(std::slice::from_ref(&kept)).unwrap();
        give_back(&consumer, &kept, 7).unwrap();
        assert_eq!(consumer.position(&kept).unwrap(), 7);
        assert!(consumer.seek(&lost, 7).is_err());
        give_back(&consumer, &lost, 7).unwrap();
        assert!(give_back(&consumer, &kept, -1).is_err());
    }
}

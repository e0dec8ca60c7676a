//! Offsets of groups, as the target has them.

use ottla_client::{CommittedOffset, TopicPartition};
use regex::Regex;

use super::Ends;
use super::state::State;
use crate::{CannotRun, Found, complaint};

/// Sets the offsets of groups whose names match, in the partitions that are mirrored. What a group
/// has read beyond what was copied is set when it was.
///
/// # Errors
/// A cluster does not answer.
pub(super) fn set(ends: &Ends, state: &State, patterns: &[Regex]) -> Result<Found, CannotRun> {
    let mut found = Found::Nothing;
    if patterns.is_empty() {
        return Ok(found);
    }
    for group in ends.source.list_groups()? {
        if !patterns.iter().any(|pattern| pattern.is_match(&group.id)) {
            continue;
        }
        let there = ends.target.committed_offsets(&group.id)?;
        let committed = ends.source.committed_offsets(&group.id)?;
        let mut offsets: Vec<CommittedOffset> =
            committed.iter().filter_map(|offset| translated(state, offset)).collect();
        offsets.retain(|new| {
            let same = |old: &CommittedOffset| {
                (&old.topic, old.partition, old.offset) == (&new.topic, new.partition, new.offset)
            };
            !there.iter().any(same)
        });
        if offsets.is_empty() {
            continue;
        }
        let results = ends.target.alter_consumer_group_offsets(&group.id, &offsets);
        let refused = match results {
            Ok(results) => results.into_iter().find_map(|(_, result)| result.err()),
            Err(error) => Some(error),
        };
        if let Some(error) = refused {
            complaint::print(format_args!(
                "group {}: {error}; its offsets are not set, stop its members at the target",
                group.id
            ));
            found = Found::Damage;
        }
    }
    Ok(found)
}

/// The offset at the target; `None` of one that is not mirrored, or not yet so far.
fn translated(state: &State, committed: &CommittedOffset) -> Option<CommittedOffset> {
    let of = TopicPartition::new(&committed.topic, committed.partition);
    let offset = state.partitions.get(&of)?.translate(committed.offset)?;
    // An epoch is of the cluster that it is from.
    Some(CommittedOffset { offset, leader_epoch: None, ..committed.clone() })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::mapping::{Mapping, Pair};
    use super::*;

    #[test]
    fn an_offset_is_set_when_it_was_copied() {
        let mut mapping = Mapping::new(Pair { source: 10, target: 0 });
        mapping.copied(Pair { source: 10, target: 0 }).unwrap();
        let partitions = BTreeMap::from([(TopicPartition::new("t", 1), mapping)]);
        let state = State { source: "a".to_owned(), target: "b".to_owned(), partitions };
        let committed = |topic: &str, partition, offset| CommittedOffset {
            topic: topic.to_owned(),
            partition,
            offset,
            leader_epoch: Some(7),
            metadata: "note".to_owned(),
        };
        let set = translated(&state, &committed("t", 1, 11)).unwrap();
        assert_eq!((set.offset, set.leader_epoch, &*set.metadata), (1, None, "note"));
        assert_eq!(translated(&state, &committed("t", 1, 12)), None);
        assert_eq!(translated(&state, &committed("t", 0, 10)), None);
    }
}

//! Where a group is to go on reading: worked out as Kafka does it, and set.

use std::collections::BTreeMap;

use ottla_client::{Admin, CommittedOffset, IsolationLevel, OffsetSpec, Results, TopicPartition};

use crate::{CannotRun, advice, offsets};

/// Where a group is to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum To {
    /// At the first record.
    Earliest,
    /// Behind the last record.
    Latest,
    /// Where it is; behind the last record where it is nowhere.
    Current,
    /// At this offset.
    Offset(i64),
    /// So far on from where it is, or back.
    Shift(i64),
    /// At the first record from this time on, milliseconds since 1970; behind the last one if all
    /// are older.
    Time(i64),
    /// At these offsets.
    Each(BTreeMap<TopicPartition, i64>),
}

/// What becomes of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) at: TopicPartition,
    /// Where the group is.
    pub(crate) current: Option<i64>,
    /// Where it is to be, or why that cannot be told.
    pub(crate) new: Result<i64, String>,
    /// It was to be outside of what there is, and is brought to its end.
    pub(crate) is_clamped: bool,
    /// There is no record from that time on, so it is brought to the end.
    pub(crate) is_fallback: bool,
}

/// The first offset of a partition, and the one behind its last.
type Range = (i64, i64);

/// Works out where a group is to go on in these partitions.
///
/// # Errors
/// Something cannot be asked for.
pub(crate) fn plan(
    admin: &Admin,
    group: &str,
    partitions: &[TopicPartition],
    to: &To,
) -> Result<Vec<Planned>, CannotRun> {
    let committed =
        admin.committed_offsets(group).map_err(|error| advice::on_group(admin, group, &error))?;
    let current: BTreeMap<TopicPartition, i64> = committed
        .into_iter()
        .map(|of| (TopicPartition::new(&of.topic, of.partition), of.offset))
        .collect();
    let list = |spec| offsets::of_all(admin, partitions, spec, IsolationLevel::ReadUncommitted);
    let (earliest, latest) = (list(OffsetSpec::Earliest)?, list(OffsetSpec::Latest)?);
    let at_time = match to {
        To::Time(ms) => list(OffsetSpec::Timestamp(*ms))?.into_iter().map(Some).collect(),
        _ => partitions.iter().map(|_| None).collect::<Vec<_>>(),
    };
    let each = partitions.iter().zip(earliest).zip(latest).zip(at_time);
    let planned = each.map(|(((at, earliest), latest), at_time)| {
        let current = current.get(at).copied();
        let in_words = |error: ottla_client::Error| error.to_string();
        let worked_out = || {
            let earliest = earliest.map_err(in_words)?.offset.unwrap_or(0);
            let latest = latest.map_err(in_words)?.offset.unwrap_or(earliest);
            let at_time = at_time.transpose().map_err(in_words)?.and_then(|listed| listed.offset);
            let (new, is_clamped) = new_offset(at, to, current, (earliest, latest), at_time)?;
            Ok((new, is_clamped, matches!(to, To::Time(_)) && at_time.is_none()))
        };
        let (new, is_clamped, is_fallback) = match worked_out() {
            Ok((new, is_clamped, is_fallback)) => (Ok(new), is_clamped, is_fallback),
            Err(why) => (Err(why), false, false),
        };
        Planned { at: at.clone(), current, new, is_clamped, is_fallback }
    });
    Ok(planned.collect())
}

/// The new offset, and whether it is not what was asked for.
fn new_offset(
    at: &TopicPartition,
    to: &To,
    current: Option<i64>,
    (earliest, latest): Range,
    at_time: Option<i64>,
) -> Result<(i64, bool), String> {
    let within = |offset: i64| {
        let clamped = offset.clamp(earliest, latest.max(earliest));
        (clamped, clamped != offset)
    };
    match to {
        To::Earliest => Ok((earliest, false)),
        To::Latest => Ok((latest, false)),
        To::Current => Ok((current.unwrap_or(latest), false)),
        To::Offset(offset) => Ok(within(*offset)),
        To::Shift(by) => match current {
            Some(current) => Ok(within(current.saturating_add(*by))),
            None => Err(format!("{at}: the group has no offset to go on from")),
        },
        To::Time(_) => Ok((at_time.unwrap_or(latest), false)),
        To::Each(offsets) => match offsets.get(at) {
            Some(offset) => Ok(within(*offset)),
            None => Err(format!("{at}: the file has no offset of it")),
        },
    }
}

/// Sets what was planned.
///
/// # Errors
/// The group's coordinator refuses.
pub(crate) fn carry_out(
    admin: &Admin,
    group: &str,
    planned: &[Planned],
) -> Result<Results<TopicPartition, ()>, CannotRun> {
    let offset = |planned: &Planned| {
        let offset = *planned.new.as_ref().ok()?;
        let (topic, partition) = (planned.at.topic.to_string(), planned.at.partition);
        let (leader_epoch, metadata) = (None, String::new());
        Some(CommittedOffset { topic, partition, offset, leader_epoch, metadata })
    };
    let offsets: Vec<CommittedOffset> = planned.iter().filter_map(offset).collect();
    admin
        .alter_consumer_group_offsets(group, &offsets)
        .map_err(|error| advice::on_group(admin, group, &error))
}

/// The lines of a file as `kafka-consumer-groups --export` writes it: `TOPIC,PARTITION,OFFSET`, or
/// with the group in front.
///
/// # Errors
/// A line that is none.
pub(crate) fn of_csv(text: &str, group: &str) -> Result<BTreeMap<TopicPartition, i64>, String> {
    let mut offsets = BTreeMap::new();
    let lines = text.lines().enumerate().map(|(n, line)| (n + 1, line.trim()));
    for (n, line) in lines.filter(|(_, line)| !line.is_empty()) {
        let unquoted = line.replace('"', "");
        let mut parts: Vec<&str> = unquoted.split(',').map(str::trim).collect();
        if parts.len() == 4 && parts.remove(0) != group {
            continue;
        }
        let [topic, partition, offset] = parts[..] else {
            return Err(format!("line {n}: {line:?} is no TOPIC,PARTITION,OFFSET"));
        };
        let (Ok(partition), Ok(offset)) = (partition.parse(), offset.parse()) else {
            return Err(format!("line {n}: {line:?} is no TOPIC,PARTITION,OFFSET"));
        };
        offsets.insert(TopicPartition::new(topic, partition), offset);
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_offsets_stay_within_what_there_is() {
        let at = TopicPartition::new("t", 0);
        let each = |offset| To::Each([(at.clone(), offset)].into());
        let range = (10, 20);
        for (to, current, at_time, new) in [
            (To::Earliest, Some(15), None, (10, false)),
            (To::Latest, None, None, (20, false)),
            (To::Current, Some(15), None, (15, false)),
            (To::Current, None, None, (20, false)),
            (To::Offset(12), None, None, (12, false)),
            (To::Offset(9), None, None, (10, true)),
            (To::Offset(21), None, None, (20, true)),
            (To::Shift(-3), Some(15), None, (12, false)),
            (To::Shift(-6), Some(15), None, (10, true)),
            (To::Shift(i64::MAX), Some(15), None, (20, true)),
            (To::Time(0), None, Some(11), (11, false)),
            (To::Time(0), None, None, (20, false)),
            (each(13), None, None, (13, false)),
            (each(-1), None, None, (10, true)),
        ] {
            assert_eq!(new_offset(&at, &to, current, range, at_time), Ok(new), "{to:?}");
        }
        assert!(new_offset(&at, &To::Shift(1), None, range, None).is_err());
        assert!(new_offset(&at, &To::Each(BTreeMap::new()), None, range, None).is_err());
    }

    #[test]
    fn files_are_those_of_kafkas_tool() {
        let offsets = of_csv("\"t\",0,5\ng,t,1,6\nother,t,2,7\n\n", "g").unwrap();
        let expected = [(TopicPartition::new("t", 0), 5), (TopicPartition::new("t", 1), 6)];
        assert_eq!(offsets, expected.into());
        for text in ["t,0", "t,0,x", "a,b,c,d,e", "t,zero,1"] {
            assert!(of_csv(text, "g").is_err(), "{text}");
        }
    }
}

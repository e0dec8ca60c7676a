//! Which records are wanted, and when there are no more of them.

use std::collections::BTreeMap;

use ottla_client::TopicPartition;
use regex::bytes::Regex;

/// What is wanted of the records that come.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Those of this time or later, ms since the epoch.
    pub(super) since: Option<i64>,
    /// Those of before this time.
    pub(super) until: Option<i64>,
    /// Those whose value has this in it; null has nothing.
    pub(super) grep: Option<Regex>,
    /// So many more.
    pub(super) left: Option<u64>,
}

impl Wanted {
    /// Whether a record is wanted; one that is counts.
    pub(super) fn takes(&mut self, timestamp: i64, value: Option<&[u8]>) -> bool {
        let is_in_time = self.since.is_none_or(|since| timestamp >= since)
            && self.until.is_none_or(|until| timestamp < until);
        let is_found = |grep: &Regex| value.is_some_and(|value| grep.is_match(value));
        if !is_in_time || !self.grep.as_ref().is_none_or(is_found) {
            return false;
        }
        match &mut self.left {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        }
    }

    /// Whether no more are wanted.
    pub(super) fn is_over(&self) -> bool {
        self.left == Some(0)
    }
}

/// Where partitions are read up to.
#[derive(Debug, Default)]
pub(super) struct Stops(BTreeMap<TopicPartition, i64>);

impl Stops {
    /// Each up to, and without, this offset.
    pub(super) fn new(stops: BTreeMap<TopicPartition, i64>) -> Self {
        Self(stops)
    }

    /// Whether this offset lies behind the stop.
    pub(super) fn is_behind(&self, partition: &TopicPartition, offset: i64) -> bool {
        self.0.get(partition).is_some_and(|stop| offset >= *stop)
    }

    /// Whether all partitions, whose next offsets `position` tells, are there. One that it knows
    /// nothing of is not; of no partitions at all none is.
    pub(super) fn are_reached<E>(
        &self,
        partitions: &[TopicPartition],
        mut position: impl FnMut(&TopicPartition) -> Result<i64, E>,
    ) -> Result<bool, E> {
        for partition in partitions {
            let Some(stop) = self.0.get(partition) else { return Ok(false) };
            // What is empty has no position to be asked for.
            if *stop > 0 && position(partition)? < *stop {
                return Ok(false);
            }
        }
        Ok(!partitions.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_wanted_by_time_and_value() {
        let grep = Some(Regex::new("^a.c$").unwrap());
        let mut wanted = Wanted { since: Some(10), until: Some(20), grep, left: None };
        for (timestamp, value, is_wanted) in [
            (10, Some(&b"abc"[..]), true),
            (19, Some(b"abc"), true),
            (9, Some(b"abc"), false),
            (20, Some(b"abc"), false),
            (10, Some(b"abcd"), false),
            (10, None, false),
        ] {
            assert_eq!(wanted.takes(timestamp, value), is_wanted, "{timestamp} {value:?}");
        }
        let bytes = Some(Regex::new(r"(?-u)\xff\x00").unwrap());
        let mut wanted = Wanted { grep: bytes, ..Wanted::default() };
        assert!(wanted.takes(-1, Some(b"a\xff\x00b")));
    }

    #[test]
    fn only_what_is_wanted_counts() {
        let grep = Some(Regex::new("a").unwrap());
        let mut wanted = Wanted { grep, left: Some(2), ..Wanted::default() };
        let taken: Vec<bool> = [b"a", b"b", b"a", b"a"]
            .iter()
            .map(|value| wanted.takes(0, Some(&value[..])))
            .collect();
        assert_eq!(taken, [true, false, true, false]);
        assert!(wanted.is_over());
        assert!(!Wanted::default().is_over());
    }

    #[test]
    fn stops_are_reached_by_all_partitions() {
        let [a, b, c] = [0, 1, 2].map(|index| TopicPartition::new("t", index));
        let stops = Stops::new(BTreeMap::from([(a.clone(), 5), (b.clone(), 0)]));
        assert!(stops.is_behind(&a, 5) && !stops.is_behind(&a, 4) && stops.is_behind(&b, 0));
        assert!(!stops.is_behind(&c, 100));
        let reached = |partitions: &[TopicPartition], at: i64| {
            stops.are_reached(partitions, |_| Ok::<i64, ()>(at)).unwrap()
        };
        let both = [a.clone(), b.clone()];
        assert!(!reached(&both, 4) && reached(&both, 5));
        assert!(!reached(&[], 9) && !reached(&[a.clone(), c], 9));
        // An empty partition is not asked for its place.
        assert_eq!(stops.are_reached(&[b], |_| Err(())), Ok(true));
        assert_eq!(stops.are_reached(&[a], |_| Err(())), Err(()));
    }
}

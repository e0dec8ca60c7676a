//! What the members of one group say, and whether it is what a group promises.

use std::collections::{BTreeMap, BTreeSet};

/// Problems kept for each group; one cause can have thousands of effects.
const PROBLEMS_MAX: usize = 5;

/// One group that reads one topic, whose partitions all get the same number of records.
pub(super) struct Judge {
    /// Records in each partition.
    fed: usize,
    places: Vec<Place>,
    owned: BTreeMap<char, BTreeSet<usize>>,
    /// What broke a promise, in words.
    pub(super) problems: Vec<String>,
    /// Records that were handled more than once, which is allowed before their commit.
    pub(super) repeated: usize,
}

#[derive(Clone, Default)]
struct Place {
    /// Whether the record at that offset was handled.
    handled: Vec<bool>,
    /// The greatest offset that was acknowledged; records below it may not be handled again.
    committed: usize,
}

impl Judge {
    /// A group whose topic is empty.
    pub(super) fn new(partitions: usize) -> Judge {
        Judge {
            fed: 0,
            places: vec![Place::default(); partitions],
            owned: BTreeMap::new(),
            problems: Vec::new(),
            repeated: 0,
        }
    }

    /// That many records more are about to be sent to each partition.
    pub(super) fn feed(&mut self, count: usize) {
        self.fed += count;
        for place in &mut self.places {
            place.handled.resize(self.fed, false);
        }
    }

    /// A line of a member, without the variant in front of it.
    pub(super) fn hear(&mut self, member: char, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let numbers: Option<Vec<usize>> = words[1..].iter().map(|word| word.parse().ok()).collect();
        match (words[0], numbers.as_deref()) {
            ("assigned", _) => {
                let list = words.get(1).unwrap_or(&"");
                let owned = list.split(',').filter_map(|word| word.parse().ok()).collect();
                self.owned.insert(member, owned);
            }
            ("handled", Some(&[partition, from, next])) => {
                self.handled(member, partition, from..next);
            }
            ("committed", Some(&[partition, next])) => self.committed(partition, next),
            _ => self.note(format!("{member} said {line}")),
        }
    }

    /// A member has left or was killed.
    pub(super) fn gone(&mut self, member: char) {
        self.owned.remove(&member);
    }

    /// The broker says that the group has committed everything that was sent.
    pub(super) fn all_committed(&mut self) {
        for partition in 0..self.places.len() {
            self.committed(partition, self.fed);
        }
    }

    /// What the group still has to do until exactly these members share all partitions and each
    /// record is handled and committed; `None` when nothing is left.
    pub(super) fn missing(&self, members: &[char], tells_commits: bool) -> Option<String> {
        for member in members {
            if self.owned.get(member).is_none_or(BTreeSet::is_empty) {
                return Some(format!("{member} owns nothing of {:?}", self.owned));
            }
        }
        let mut owners = vec![0; self.places.len()];
        for partition in self.owned.values().flatten() {
            owners[*partition] += 1;
        }
        if owners.iter().any(|count| *count != 1) {
            return Some(format!("not one owner each: {:?}", self.owned));
        }
        for (partition, place) in self.places.iter().enumerate() {
            if let Some(offset) = place.handled.iter().position(|handled| !handled) {
                return Some(format!("nobody handles offset {offset} of partition {partition}"));
            }
            if tells_commits && place.committed < self.fed {
                let committed = place.committed;
                return Some(format!("partition {partition} is committed up to {committed} only"));
            }
        }
        None
    }

    /// Records in each partition.
    pub(super) fn fed(&self) -> usize {
        self.fed
    }

    fn handled(&mut self, member: char, partition: usize, range: std::ops::Range<usize>) {
        let Some(place) = self.places.get_mut(partition).filter(|_| range.end <= self.fed) else {
            return self
                .note(format!("{member} handled {partition}: {range:?}, which is not sent"));
        };
        let committed = place.committed;
        for offset in range.clone() {
            self.repeated += usize::from(place.handled[offset]);
            place.handled[offset] = true;
        }
        if range.start < committed {
            self.note(format!(
                "{member} handled {partition}: {range:?} after a commit of {committed}"
            ));
        }
    }

    fn committed(&mut self, partition: usize, next: usize) {
        match self.places.get_mut(partition) {
            Some(place) => place.committed = place.committed.max(next),
            None => self.note(format!("a commit of partition {partition}, which is not there")),
        }
    }

    fn note(&mut self, problem: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[(char, &str)]) -> Judge {
        let mut judge = Judge::new(2);
        judge.feed(10);
        for (member, line) in lines {
            judge.hear(*member, line);
        }
        judge
    }

    #[test]
    fn a_good_group_has_nothing_left_to_do() {
        let judge = told(&[
            ('A', "assigned 0"),
            ('B', "assigned 1"),
            ('A', "handled 0 0 10"),
            ('A', "committed 0 10"),
            ('B', "handled 1 0 4"),
            ('B', "handled 1 4 10"),
            ('B', "committed 1 10"),
        ]);
        assert_eq!(judge.missing(&['A', 'B'], true), None);
        assert!(judge.problems.is_empty());
        assert_eq!(judge.repeated, 0);
    }

    #[test]
    fn before_its_commit_a_record_may_come_again() {
        let judge = told(&[
            ('A', "assigned 0,1"),
            ('A', "handled 0 0 10"),
            ('A', "committed 0 5"),
            ('B', "handled 0 5 10"),
        ]);
        assert!(judge.problems.is_empty());
        assert_eq!(judge.repeated, 5);
        assert!(judge.missing(&['A'], true).is_some());
    }

    #[test]
    fn after_its_commit_it_may_not() {
        let judge = told(&[('A', "committed 0 5"), ('B', "handled 0 4 6")]);
        assert_eq!(judge.problems, ["B handled 0: 4..6 after a commit of 5"]);
    }

    #[test]
    fn what_was_not_sent_cannot_be_handled() {
        let judge = told(&[('A', "handled 0 9 11"), ('A', "handled 7 0 1"), ('A', "failed why")]);
        assert_eq!(judge.problems.len(), 3);
    }

    #[test]
    fn each_member_needs_a_part_and_each_partition_one_owner() {
        let mut judge = Judge::new(2);
        judge.hear('A', "assigned 0,1");
        assert_eq!(judge.missing(&['A'], true), None);
        assert!(judge.missing(&['A', 'B'], true).is_some());
        judge.hear('B', "assigned 1");
        assert!(judge.missing(&['A', 'B'], true).is_some());
        judge.gone('A');
        assert!(judge.missing(&['B'], true).is_some());
        judge.hear('B', "assigned 0,1");
        assert_eq!(judge.missing(&['B'], true), None);
    }
}

//! How many members subscribe to what.

use std::collections::BTreeMap;
use std::sync::Arc;

/// How many ask for a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SubscriptionCount {
    /// Members that name it.
    pub(super) by_name: usize,
    /// Regular expressions in use that match it.
    pub(super) by_regex: usize,
}

/// The topics that any member subscribes to, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subscriptions(BTreeMap<Arc<str>, SubscriptionCount>);

impl Subscriptions {
    /// One member more or less names the topic.
    pub(super) fn count_name(&mut self, topic: &Arc<str>, more: bool) {
        self.change(topic, |count| step(&mut count.by_name, more));
    }

    /// One regular expression more or less matches the topic.
    pub(super) fn count_regex(&mut self, topic: &Arc<str>, more: bool) {
        self.change(topic, |count| step(&mut count.by_regex, more));
    }

    /// The names, sorted.
    pub(super) fn topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.keys()
    }

    /// Whether anyone subscribes to it.
    pub(super) fn contains(&self, topic: &str) -> bool {
        self.0.contains_key(topic)
    }

    /// The text as it is kept here.
    pub(super) fn kept(&self, topic: &str) -> Option<&Arc<str>> {
        self.0.get_key_value(topic).map(|(kept, _)| kept)
    }

    /// Whether all of so many members subscribe to the same topics, as far as the counts tell;
    /// `regexes` says how many members use each regular expression.
    pub(super) fn are_homogeneous(
        &self,
        regexes: &BTreeMap<Arc<str>, usize>,
        member_count: usize,
    ) -> bool {
        match regexes.values().next() {
            None => self.0.values().all(|count| count.by_name == member_count),
            Some(&users) => {
                users == member_count
                    && self.0.values().all(|count| count.by_regex == 1 && count.by_name == 0)
            }
        }
    }

    fn change(&mut self, topic: &Arc<str>, change: impl FnOnce(&mut SubscriptionCount)) {
        let count = self.0.entry(Arc::clone(topic)).or_default();
        change(count);
        if *count == SubscriptionCount::default() {
            self.0.remove(topic);
        }
    }
}

fn step(count: &mut usize, more: bool) {
    *count = if more { *count + 1 } else { count.saturating_sub(1) };
}

/// One more or less uses `key`.
pub(super) fn count<K: Ord + Clone>(counts: &mut BTreeMap<K, usize>, key: &K, more: bool) {
    let users = counts.entry(key.clone()).or_default();
    step(users, more);
    if *users == 0 {
        counts.remove(key);
    }
}

//! Deadlines by key, cheap to put off: a heartbeat only moves a number.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;

/// Deadlines, each named by a key. Times are in ms of a clock that never goes back.
///
/// A deadline that is put off stays where it is in the queue until it comes up there, and is queued
/// anew then: most are put off many times before they are ever due.
#[derive(Clone, Debug)]
pub struct Timers<K> {
    deadlines: HashMap<K, Deadline>,
    queue: BinaryHeap<Reverse<(i64, u64, K)>>,
    next_entry: u64,
}

#[derive(Clone, Copy, Debug)]
struct Deadline {
    due_ms: i64,
    /// The one entry of the queue that stands for this deadline; it is not due later than it.
    entry: u64,
    queued_ms: i64,
}

impl<K> Default for Timers<K>
where
    K: Clone + Eq + Hash + Ord,
{
    fn default() -> Self {
        Self { deadlines: HashMap::new(), queue: BinaryHeap::new(), next_entry: 0 }
    }
}

impl<K> Timers<K>
where
    K: Clone + Eq + Hash + Ord,
{
    /// Sets the deadline of `key`, or moves it.
    pub fn set(&mut self, key: K, due_ms: i64) {
        if let Some(deadline) = self.deadlines.get_mut(&key)
            && deadline.queued_ms <= due_ms
        {
            deadline.due_ms = due_ms;
            return;
        }
        self.enqueue(key, due_ms);
    }

    /// Takes a deadline away; no harm if there is none.
    pub fn cancel(&mut self, key: &K) {
        self.deadlines.remove(key);
        if self.queue.len() > 64 && self.queue.len() / 2 > self.deadlines.len() {
            self.sweep();
        }
    }

    /// Whether `key` has a deadline.
    pub fn is_set(&self, key: &K) -> bool {
        self.deadlines.contains_key(key)
    }

    /// How many deadlines there are.
    pub fn len(&self) -> usize {
        self.deadlines.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.deadlines.is_empty()
    }

    /// No deadline is earlier than this; `None` when there are none. It may be earlier than the
    /// earliest: looking then does no harm.
    pub fn next_ms(&self) -> Option<i64> {
        self.queue.peek().map(|Reverse((due_ms, ..))| *due_ms)
    }

    /// Takes out one key whose deadline is `now_ms` or earlier, the earliest first.
    pub fn pop_due(&mut self, now_ms: i64) -> Option<K> {
        while self.next_ms().is_some_and(|due_ms| due_ms <= now_ms) {
            let Reverse((_, entry, key)) = self.queue.pop()?;
            let Some(deadline) = self.deadlines.get(&key) else { continue };
            if deadline.entry != entry {
                continue;
            }
            let due_ms = deadline.due_ms;
            if due_ms <= now_ms {
                self.deadlines.remove(&key);
                return Some(key);
            }
            self.enqueue(key, due_ms);
        }
        None
    }

    fn enqueue(&mut self, key: K, due_ms: i64) {
        let entry = self.next_entry;
        self.next_entry += 1;
        self.deadlines.insert(key.clone(), Deadline { due_ms, entry, queued_ms: due_ms });
        self.queue.push(Reverse((due_ms, entry, key)));
    }

    /// Drops the entries that stand for nothing any more.
    fn sweep(&mut self) {
        let deadlines = &self.deadlines;
        self.queue.retain(|Reverse((_, entry, key))| {
            deadlines.get(key).is_some_and(|deadline| deadline.entry == *entry)
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Set(u8, i64),
        Cancel(u8),
        Pass(i64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..12_u8, 0..100_i64).prop_map(|(key, after)| Step::Set(key, after)),
            1 => (0..12_u8).prop_map(Step::Cancel),
            2 => (0..60_i64).prop_map(Step::Pass),
        ];
        proptest::collection::vec(step, 0..300)
    }

    proptest! {
        #[test]
        fn keys_come_out_once_when_they_are_due(steps in steps()) {
            let mut timers = Timers::default();
            let mut model = BTreeMap::new();
            let mut now = 0;
            for step in steps {
                match step {
                    Step::Set(key, after) => {
                        timers.set(key, now + after);
                        model.insert(key, now + after);
                    }
                    Step::Cancel(key) => {
                        timers.cancel(&key);
                        model.remove(&key);
                    }
                    Step::Pass(ms) => {
                        now += ms;
                        let mut due = Vec::new();
                        while let Some(key) = timers.pop_due(now) {
                            due.push(key);
                        }
                        due.sort_unstable();
                        let expected: Vec<u8> = model
                            .iter()
                            .filter(|(_, at)| **at <= now)
                            .map(|(key, _)| *key)
                            .collect();
                        prop_assert_eq!(&due, &expected);
                        model.retain(|_, at| *at > now);
                    }
                }
                prop_assert_eq!(timers.len(), model.len());
                let earliest = model.values().min().copied();
                if let Some(earliest) = earliest {
                    prop_assert!(timers.next_ms().is_some_and(|next| next <= earliest));
                }
            }
        }
    }

    #[test]
    fn a_deadline_put_off_a_million_times_is_queued_once() {
        let mut timers = Timers::default();
        for ms in 0..1_000_000 {
            timers.set("member", ms);
        }
        assert_eq!(timers.queue.len(), 1);
    }

    #[test]
    fn cancelled_deadlines_leave_the_queue() {
        let mut timers = Timers::default();
        for key in 0..100_000 {
            timers.set(key, key);
            timers.cancel(&key);
        }
        assert!(timers.queue.len() <= 66, "{} entries", timers.queue.len());
    }
}

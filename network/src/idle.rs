//! When to look at which connection again. Performs no I/O and reads no clock.
//!
//! Lazy: traffic does not touch it. Each connection has one entry; when the entry is due, the owner
//! says when the connection was last active, and either it is idle or its entry moves on. That is
//! one step per connection and idle time, however busy the connection is.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::service::Address;

#[derive(Debug)]
pub(crate) struct IdleTimers {
    idle_ms: u64,
    due: BinaryHeap<Reverse<Due>>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at_ms: u64,
    id: u64,
    slot: usize,
}

impl IdleTimers {
    /// Timers for connections that may be idle for `idle_ms`.
    pub(crate) fn new(idle_ms: u64) -> IdleTimers {
        IdleTimers { idle_ms, due: BinaryHeap::new() }
    }

    pub(crate) fn idle_ms(&self) -> u64 {
        self.idle_ms
    }

    /// Changes how long connections may be idle.
    pub(crate) fn set_idle_ms(&mut self, idle_ms: u64) {
        // One that could not be told in 64 bits counts as active long ago; its owner is asked.
        let active_ms = |due: &Due| due.at_ms.saturating_sub(self.idle_ms);
        let moved = |Reverse(due): Reverse<Due>| {
            Reverse(Due { at_ms: active_ms(&due).saturating_add(idle_ms), ..due })
        };
        self.due = std::mem::take(&mut self.due).into_iter().map(moved).collect();
        self.idle_ms = idle_ms;
    }

    /// Watches a connection that was active at `active_ms`.
    pub(crate) fn watch(&mut self, address: Address, active_ms: u64) {
        let at_ms = active_ms.saturating_add(self.idle_ms);
        self.due.push(Reverse(Due { at_ms, id: address.id, slot: address.slot }));
    }

    /// When [`IdleTimers::next_idle`] has something to do, at the earliest.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.due.peek().map(|Reverse(due)| due.at_ms)
    }

    /// A connection that has been idle too long; it is no longer watched. `last_active_ms` says
    /// when one was active last, `None` when it is gone.
    pub(crate) fn next_idle(
        &mut self,
        now_ms: u64,
        last_active_ms: impl Fn(Address) -> Option<u64>,
    ) -> Option<Address> {
        while self.next_ms().is_some_and(|at_ms| at_ms <= now_ms) {
            let Reverse(due) = self.due.pop()?;
            let address = Address { slot: due.slot, id: due.id };
            let Some(active_ms) = last_active_ms(address) else { continue };
            let at_ms = active_ms.saturating_add(self.idle_ms);
            if at_ms <= now_ms {
                return Some(address);
            }
            self.due.push(Reverse(Due { at_ms, ..due }));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn only_the_idle_one_is_found() {
        let mut timers = IdleTimers::new(100);
        let at = |id| Address { slot: id as usize, id };
        let mut active = HashMap::from([(1, 0), (2, 0), (3, 0)]);
        (1..=3).for_each(|id| timers.watch(at(id), 0));
        assert_eq!(timers.next_ms(), Some(100));
        assert_eq!(timers.next_idle(99, |a| active.get(&a.id).copied()), None);
        active.insert(2, 60);
        active.remove(&3);
        assert_eq!(timers.next_idle(100, |a| active.get(&a.id).copied()), Some(at(1)));
        assert_eq!(timers.next_idle(100, |a| active.get(&a.id).copied()), None);
        assert_eq!(timers.next_ms(), Some(160), "2 moved on, 3 is forgotten");
        assert_eq!(timers.next_idle(160, |a| active.get(&a.id).copied()), Some(at(2)));
        assert_eq!(timers.next_ms(), None);
    }

    #[test]
    fn another_limit_acts_on_those_already_watched() {
        let mut timers = IdleTimers::new(u64::MAX);
        let at = |id| Address { slot: id as usize, id };
        timers.watch(at(1), 50);
        timers.watch(at(2), 80);
        assert_eq!(timers.next_idle(1 << 40, |_| Some(0)), None);
        let active = |address: Address| Some(if address.id == 1 { 50 } else { 80 });
        timers.set_idle_ms(100);
        assert_eq!(timers.next_idle(149, active), None);
        assert_eq!(timers.next_idle(150, active), Some(at(1)));
        timers.set_idle_ms(1000);
        assert_eq!(timers.next_idle(1079, active), None);
        assert_eq!(timers.next_idle(1080, active), Some(at(2)));
    }
}

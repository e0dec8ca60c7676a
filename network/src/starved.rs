//! Which connections of a Processor wait for request memory, and when they try again. Performs no
//! I/O.
//!
//! Every Processor must learn that memory came free, whatever the others did with it meanwhile. A
//! flag that "nobody starves now" cannot tell that: the first Processor that is woken may be
//! refused again at once, and the second would take that for news of its own and wait on, although
//! the memory that came free is just what its connections need. So each compares the number of
//! releases with the one it has acted on.

use crate::pool::FramePool;
use crate::service::Address;

/// The connections of one Processor that were refused request memory.
#[derive(Debug, Default)]
pub(crate) struct Starved {
    waiting: Vec<Address>,
    /// The releases up to which everyone here has tried.
    releases: u64,
}

impl Starved {
    /// `address` was refused. It must have been driven since the last [`Starved::retry`].
    pub(crate) fn add(&mut self, address: Address) {
        self.waiting.push(address);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Those who should try again now: all, if memory came free since the last call, else none.
    /// To be called before connections are driven: who is refused after that and misses a release
    /// in between is found by the next call, for which the release wakes the Processor.
    pub(crate) fn retry(&mut self, pool: &FramePool) -> Vec<Address> {
        let releases = pool.releases();
        if self.releases == releases {
            return Vec::new();
        }
        self.releases = releases;
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(id: u64) -> Address {
        Address { slot: id as usize, id }
    }

    /// Two Processors: one has a connection that wants to begin, the other one in the middle of a
    /// frame, which has a right to the overdraft.
    #[test]
    fn a_processor_tries_again_although_another_was_refused_since() {
        let pool = FramePool::new(10_000);
        let (mut one, mut two) = (Starved::default(), Starved::default());
        one.retry(&pool);
        two.retry(&pool);
        let mut half = pool.take(8192, false).unwrap();
        let over = pool.take(8192, true).unwrap();
        assert!(pool.take(8192, false).is_none());
        one.add(at(1));
        assert!(!half.grow(20_000));
        two.add(at(2));
        assert!(one.retry(&pool).is_empty() && two.retry(&pool).is_empty());

        drop(over);
        assert_eq!(one.retry(&pool), [at(1)]);
        assert!(pool.take(8192, false).is_none(), "the half frame holds the budget");
        one.add(at(1));
        assert_eq!(two.retry(&pool), [at(2)], "the overdraft came free");
        assert!(half.grow(20_000));
        assert!(one.retry(&pool).is_empty(), "nothing came free");
        drop(half);
        assert_eq!(one.retry(&pool), [at(1)]);
        assert!(pool.take(8192, false).is_some());
    }

    #[test]
    fn a_release_between_the_look_and_the_refusal_is_not_missed() {
        let pool = FramePool::new(10_000);
        let mut starved = Starved::default();
        let held = pool.take(8192, false).unwrap();
        starved.retry(&pool);
        assert!(pool.take(8192, false).is_none());
        // Another thread gives its memory back before this one gets to its list.
        drop(held);
        starved.add(at(1));
        assert_eq!(starved.retry(&pool), [at(1)]);
    }
}

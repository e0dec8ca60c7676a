//! Work that mostly waits for the disk, on several threads: a disk makes many waits end at once.

use std::panic::resume_unwind;
use std::thread;

/// Threads at most.
const THREADS_MAX: usize = 16;
/// Items that are worth a thread.
const ITEMS_PER_THREAD: usize = 8;

/// Calls `work` with each item, and answers with the results in the items' order. A few items are
/// done on the caller's thread.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = (items.len() / ITEMS_PER_THREAD).min(THREADS_MAX);
    if threads <= 1 {
        return items.iter().map(work).collect();
    }
    let work = &work;
    thread::scope(|scope| {
        let share =
            |items| scope.spawn(move || -> Vec<R> { <[T]>::iter(items).map(work).collect() });
        let shares: Vec<_> = items.chunks(items.len().div_ceil(threads)).map(share).collect();
        let join = |share: thread::ScopedJoinHandle<'_, Vec<R>>| {
            share.join().unwrap_or_else(|panic| resume_unwind(panic))
        };
        shares.into_iter().flat_map(join).collect()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn results_are_in_order_whoever_works() {
        for count in [0, 1, 15, 16, 17, 129, 1000] {
            let items: Vec<usize> = (0..count).collect();
            let done = map(&items, |item| (item * 2, thread::current().id()));
            assert!(done.iter().map(|(double, _)| *double).eq(items.iter().map(|item| item * 2)));
            let threads: HashSet<_> = done.iter().map(|(_, id)| *id).collect();
            assert!(threads.len() <= THREADS_MAX);
            assert_eq!(threads.contains(&thread::current().id()), (1..16).contains(&count));
        }
    }
}

//! Work on many items, spread over threads.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::disk::Disk;

/// Does `work` for every item, on at most `threads` threads; the results in the order of the items.
///
/// On a disk that wants the same calls in the same order each time, everything happens in the
/// calling thread, one item after the other.
pub(super) fn spread<T: Sync, R: Send>(
    disk: &dyn Disk,
    threads: usize,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let threads = threads.min(items.len());
    if threads <= 1 || disk.is_repeatable() {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let work_some = || {
        let more = std::iter::from_fn(|| {
            let n = next.fetch_add(1, Ordering::Relaxed);
            Some((n, items.get(n)?))
        });
        more.map(|(n, item)| (n, work(item))).collect::<Vec<_>>()
    };
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let working: Vec<_> = (0..threads).map(|_| scope.spawn(work_some)).collect();
        let done = working.into_iter().map(|working| working.join());
        done.flat_map(|done| done.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    done.sort_unstable_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::disk::RealDisk;
    use crate::sim::SimDisk;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..100).collect();
        for threads in [0, 1, 3, 200] {
            let doubled = spread(&RealDisk, threads, &items, |n| n * 2);
            assert_eq!(doubled, items.iter().map(|n| n * 2).collect::<Vec<_>>());
        }
        let order = Mutex::new(Vec::new());
        spread(&SimDisk::new(), 3, &items, |n| order.lock().unwrap().push(*n));
        assert_eq!(order.into_inner().unwrap(), items, "a simulated disk sees one order");
    }
}

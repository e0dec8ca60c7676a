//! Memory for request frames: one budget over all connections, and buffers that are used again.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The smallest pooled buffer, bytes. Most requests that are not produce fit into it.
pub(crate) const BUFFER_BYTES_MIN: usize = 2 * 1024;
/// Above this length a buffer is returned to the allocator instead of being kept, bytes: a batch of
/// a mebibyte (Kafka's default upper limit) and its headers still fit.
pub(crate) const BUFFER_BYTES_KEPT_MAX: usize = 1024 * 1024 + HEADER_ROOM;
/// Producers batch in powers of two; their request headers come on top and fit into one page.
const HEADER_ROOM: usize = 4 * 1024;
/// Unused buffers that the pool keeps over all sizes, bytes: a new one of a mebibyte costs as much
/// as the copy of its bytes, because it must be cleared.
const KEPT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What of them is left when nobody has needed one for a while, bytes.
const KEPT_BYTES_IDLE: usize = 512 * 1024;

/// Hands out buffers for frames and bounds what all of them hold together.
///
/// Cloning shares the pool. A buffer counts with its whole length from the moment it is handed out
/// until the last [`Frame`] in it is dropped. When the budget is used up, connections wait with
/// reading. So that half-received frames cannot wait for each other forever, one frame at a time
/// may grow past the budget: the bound on memory is the budget plus the longest frame.
#[derive(Clone)]
pub struct FramePool {
    shared: Arc<Shared>,
}

struct Shared {
    budget_bytes: AtomicU64,
    used_bytes: AtomicU64,
    /// Whether the one buffer that may exceed the budget is out.
    overdraft: AtomicBool,
    /// Whether somebody was refused since memory last came free.
    starved: AtomicBool,
    /// How often memory came free that somebody was refused.
    releases: AtomicU64,
    kept: Mutex<Kept>,
    wakers: Mutex<Vec<Waker>>,
    reused: AtomicU64,
    made: AtomicU64,
}

/// What a subscriber is called, and how it is woken.
type Waker = (u64, Box<dyn Fn() + Send + Sync>);

#[derive(Default)]
struct Kept {
    bytes: usize,
    by_len: BTreeMap<usize, Vec<Vec<u8>>>,
}

impl FramePool {
    /// A pool whose buffers hold `budget_bytes` together, at most (but see the type's text).
    pub fn new(budget_bytes: u64) -> FramePool {
        FramePool {
            shared: Arc::new(Shared {
                budget_bytes: AtomicU64::new(budget_bytes),
                used_bytes: AtomicU64::new(0),
                overdraft: AtomicBool::new(false),
                starved: AtomicBool::new(false),
                releases: AtomicU64::new(0),
                kept: Mutex::default(),
                wakers: Mutex::default(),
                reused: AtomicU64::new(0),
                made: AtomicU64::new(0),
            }),
        }
    }

    /// What the buffers that are out hold now, bytes.
    pub fn used_bytes(&self) -> u64 {
        self.shared.used_bytes.load(Ordering::Relaxed)
    }

    /// What the pool keeps for use again, bytes. Not part of [`FramePool::used_bytes`].
    pub fn kept_bytes(&self) -> usize {
        lock(&self.shared.kept).bytes
    }

    /// How often a buffer was (used again, newly made).
    pub fn reuse_counts(&self) -> (u64, u64) {
        let load = |n: &AtomicU64| n.load(Ordering::Relaxed);
        (load(&self.shared.reused), load(&self.shared.made))
    }

    /// Whether [`FramePool::trim`] would free something.
    pub(crate) fn is_trimmable(&self) -> bool {
        self.kept_bytes() > KEPT_BYTES_IDLE
    }

    /// Frees most of what is kept, if no buffer was used again since `reused` was told; tells what
    /// to pass the next time.
    pub(crate) fn trim(&self, reused: u64) -> u64 {
        let now = self.shared.reused.load(Ordering::Relaxed);
        let mut freed = Vec::new();
        if now == reused {
            let mut kept = lock(&self.shared.kept);
            while kept.bytes > KEPT_BYTES_IDLE {
                let Some((_, mut buffers)) = kept.by_len.pop_last() else { break };
                kept.bytes -= buffers.iter().map(Vec::len).sum::<usize>();
                freed.append(&mut buffers);
            }
        }
        // Outside the lock: the allocator may have to talk to the kernel.
        drop(freed);
        now
    }

    /// Whether a connection waits for memory.
    pub(crate) fn starved(&self) -> bool {
        self.shared.starved.load(Ordering::Acquire)
    }

    /// How often memory came free that somebody had been refused. Who was refused tries again when
    /// this has changed since before the refusal.
    pub(crate) fn releases(&self) -> u64 {
        self.shared.releases.load(Ordering::SeqCst)
    }

    /// Changes what the buffers may hold together, bytes.
    pub(crate) fn set_budget(&self, budget_bytes: u64) {
        self.shared.budget_bytes.store(budget_bytes, Ordering::SeqCst);
        self.shared.tell_starved();
    }

    /// Has `wake` called whenever memory comes free that somebody was refused. Tells what to pass
    /// to [`FramePool::unsubscribe`].
    pub(crate) fn subscribe(&self, wake: Box<dyn Fn() + Send + Sync>) -> u64 {
        let mut wakers = lock(&self.shared.wakers);
        let key = wakers.last().map_or(0, |(last, _)| last + 1);
        wakers.push((key, wake));
        key
    }

    /// Drops one subscription.
    pub(crate) fn unsubscribe(&self, key: u64) {
        lock(&self.shared.wakers).retain(|(other, _)| *other != key);
    }

    /// Calls all that have subscribed.
    pub(crate) fn wake_all(&self) {
        lock(&self.shared.wakers).iter().for_each(|(_, wake)| wake());
    }

    /// Drops the subscriptions, and with them whatever they hold.
    pub(crate) fn unsubscribe_all(&self) {
        lock(&self.shared.wakers).clear();
    }

    /// A buffer of at least `len` bytes. `None` when the budget is used up. `started` says that
    /// bytes of the frame were already received, which gives it a right to the overdraft.
    pub(crate) fn take(&self, len: usize, started: bool) -> Option<Buffer> {
        let len = buffer_len(len);
        let overdraft = self.shared.reserve(len, started, false)?;
        let bytes = self.shared.reuse(len).unwrap_or_else(|| {
            self.shared.made.fetch_add(1, Ordering::Relaxed);
            vec![0; len]
        });
        Some(Buffer { bytes, overdraft, shared: Arc::clone(&self.shared) })
    }
}

impl fmt::Debug for FramePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FramePool")
            .field("budget_bytes", &self.shared.budget_bytes.load(Ordering::Relaxed))
            .field("used_bytes", &self.used_bytes())
            .finish_non_exhaustive()
    }
}

/// The length of the pooled buffer that `len` bytes get: few different lengths, so that one that
/// comes back fits the next frame.
pub(crate) fn buffer_len(len: usize) -> usize {
    if len <= BUFFER_BYTES_MIN {
        return BUFFER_BYTES_MIN;
    }
    let payload = len.saturating_sub(HEADER_ROOM).max(HEADER_ROOM);
    payload.next_power_of_two() + HEADER_ROOM
}

impl Shared {
    /// Accounts for `len` more bytes. `Some(true)` when they are the overdraft.
    fn reserve(&self, len: usize, started: bool, has_overdraft: bool) -> Option<bool> {
        let len = len as u64;
        loop {
            let within = |used: u64| (used + len <= self.budget()).then_some(used + len);
            if self.used_bytes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, within).is_ok() {
                return Some(has_overdraft);
            }
            if has_overdraft || started && !self.overdraft.swap(true, Ordering::SeqCst) {
                self.used_bytes.fetch_add(len, Ordering::SeqCst);
                return Some(true);
            }
            self.starved.store(true, Ordering::SeqCst);
            // What came free before the flag was up has woken nobody.
            let fits = self.used_bytes.load(Ordering::SeqCst) + len <= self.budget();
            let may_exceed = started && !self.overdraft.load(Ordering::SeqCst);
            if !(fits || may_exceed) {
                return None;
            }
        }
    }

    fn release(&self, len: usize) {
        self.used_bytes.fetch_sub(len as u64, Ordering::SeqCst);
        self.tell_starved();
    }

    fn budget(&self) -> u64 {
        self.budget_bytes.load(Ordering::SeqCst)
    }

    /// Wakes those who were refused, after something has changed for the better.
    fn tell_starved(&self) {
        if self.starved.load(Ordering::SeqCst) && self.starved.swap(false, Ordering::SeqCst) {
            // After the memory and before the wake-up: who sees the number finds the memory.
            self.releases.fetch_add(1, Ordering::SeqCst);
            lock(&self.wakers).iter().for_each(|(_, wake)| wake());
        }
    }

    fn reuse(&self, len: usize) -> Option<Vec<u8>> {
        let mut kept = lock(&self.kept);
        let bytes = kept.by_len.get_mut(&len)?.pop()?;
        kept.bytes -= len;
        drop(kept);
        self.reused.fetch_add(1, Ordering::Relaxed);
        Some(bytes)
    }

    fn keep(&self, bytes: Vec<u8>) {
        let len = bytes.len();
        if len > BUFFER_BYTES_KEPT_MAX || len != buffer_len(len) {
            return;
        }
        let mut kept = lock(&self.kept);
        if kept.bytes + len <= KEPT_BYTES_MAX {
            kept.bytes += len;
            kept.by_len.entry(len).or_default().push(bytes);
        }
    }
}

/// A poisoned lock here guards plain bookkeeping that is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes from a pool, all initialized, accounted for until dropped.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    overdraft: bool,
    shared: Arc<Shared>,
}

impl Buffer {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Lengthens the buffer to what a frame of `len` bytes gets, keeping its bytes. False, and
    /// nothing is changed, when the budget is used up.
    pub(crate) fn grow(&mut self, len: usize) -> bool {
        let len = buffer_len(len);
        let more = len.saturating_sub(self.bytes.len());
        match self.shared.reserve(more, true, self.overdraft) {
            Some(overdraft) => self.overdraft = overdraft,
            None => return false,
        }
        // `reserve_exact` lets the allocator move the pages of a big buffer instead of its bytes.
        self.bytes.reserve_exact(more);
        self.bytes.resize(len.max(self.bytes.len()), 0);
        true
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let len = bytes.len();
        self.shared.keep(bytes);
        if self.overdraft {
            self.shared.overdraft.store(false, Ordering::SeqCst);
        }
        self.shared.release(len);
    }
}

/// The body of one request, without its length prefix. Its memory goes back to the pool when the
/// last frame of the same buffer is dropped, so drop it as soon as it is decoded.
pub struct Frame {
    memory: Memory,
    start: usize,
    end: usize,
}

enum Memory {
    Pooled(Arc<Buffer>),
    Owned(Vec<u8>),
}

impl Frame {
    pub(crate) fn pooled(buffer: Arc<Buffer>, start: usize, end: usize) -> Frame {
        assert!(start <= end && end <= buffer.len(), "a frame lies inside its buffer");
        Frame { memory: Memory::Pooled(buffer), start, end }
    }

    /// A frame of its own memory, to call a service without a socket.
    pub fn from_vec(bytes: Vec<u8>) -> Frame {
        Frame { start: 0, end: bytes.len(), memory: Memory::Owned(bytes) }
    }
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.memory {
            Memory::Pooled(buffer) => &buffer.bytes()[self.start..self.end],
            Memory::Owned(bytes) => &bytes[self.start..self.end],
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn few_lengths_and_never_too_short() {
        for len in [0, 1, 2048, 2049, 8192, 8193, 16_500, 65_536, 65_700, 69_632, 1_048_600] {
            let got = buffer_len(len);
            assert!(got >= len && buffer_len(got) == got, "{len} got {got}");
        }
        assert_eq!(buffer_len(65_536 + 100), 65_536 + 4096);
        assert_eq!(buffer_len(1_048_576 + 100), BUFFER_BYTES_KEPT_MAX);
    }

    #[test]
    fn buffers_are_used_again_but_big_ones_are_freed() {
        let pool = FramePool::new(1 << 30);
        drop(pool.take(5000, false));
        assert_eq!((pool.used_bytes(), pool.kept_bytes()), (0, 8192));
        drop(pool.take(6000, false));
        assert_eq!(pool.reuse_counts(), (1, 1));
        drop(pool.take(64 << 20, false));
        assert_eq!((pool.used_bytes(), pool.kept_bytes()), (0, 8192));
        let many: Vec<_> = (0..64).map(|_| pool.take(1 << 20, false)).collect();
        drop(many);
        assert!(KEPT_BYTES_MAX - (2 << 20) < pool.kept_bytes());
        assert!(pool.kept_bytes() <= KEPT_BYTES_MAX && pool.is_trimmable());
        let reused = pool.trim(0);
        assert!(pool.is_trimmable(), "one was used again since");
        pool.trim(reused);
        assert!(pool.kept_bytes() <= KEPT_BYTES_IDLE && !pool.is_trimmable());
        assert_eq!(pool.take(5000, false).map(|buffer| buffer.len()), Some(8192));
        assert_eq!(pool.reuse_counts().0, reused + 1, "small ones are still there");
    }

    #[test]
    fn one_started_frame_may_exceed_the_budget_and_release_wakes() {
        let pool = FramePool::new(10_000);
        let woken = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&woken);
        pool.subscribe(Box::new(move || {
            seen.fetch_add(1, Ordering::Relaxed);
        }));
        let first = pool.take(8192, false).unwrap();
        assert!(pool.take(8192, false).is_none() && pool.starved());
        let mut over = pool.take(8192, true).unwrap();
        assert!(pool.take(8192, true).is_none(), "only one");
        assert!(over.grow(100_000), "the one goes on growing");
        drop(first);
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        assert!(!pool.starved());
        drop(over);
        assert_eq!(pool.used_bytes(), 0);
        assert!(pool.take(20_000, true).is_some(), "the overdraft is free again");
    }
}

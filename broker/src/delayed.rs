//! Delayed operations: requests that wait for something to happen, or for their deadline.
//!
//! A [`WaitList`] stands beside each thing that can be waited for; a [`Timer`] holds all deadlines.
//! An operation is told of events and of its deadline from whichever thread they come on, and takes
//! care itself to answer only once. No thread ever blocks for it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Names an operation in its lists and in the timer. Never given twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationId(u64);

impl OperationId {
    /// The next one.
    pub fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What can happen to a partition that somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// So many bytes became visible.
    Appended(usize),
    /// It is gone, or failed: whoever waits must look again.
    Gone,
}

/// A request that waits.
pub trait DelayedOperation: Send + Sync {
    /// Something that it waits for happened.
    fn on_event(&self, event: Event);
    /// Its time is over.
    fn on_deadline(&self);
}

/// A lock that a panicking holder leaves usable: every critical section here leaves its data whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Room that an empty list keeps for those that wait next, operations.
const IDLE_CAPACITY_MAX: usize = 16;

/// Who waits for one thing.
#[derive(Default)]
pub struct WaitList {
    /// Read without the lock by those who signal, since mostly nobody waits.
    count: AtomicUsize,
    /// In the order of their ids, in which they mostly come and, since they are told in it, go.
    waiting: Mutex<VecDeque<(OperationId, Arc<dyn DelayedOperation>)>>,
}

impl WaitList {
    /// Adds an operation. Whoever adds must look once more afterwards at what it waits for: what
    /// happened before this call is not told.
    pub fn add(&self, id: OperationId, operation: Arc<dyn DelayedOperation>) {
        let mut waiting = lock(&self.waiting);
        match waiting.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(place) => waiting[place].1 = operation,
            Err(place) => waiting.insert(place, (id, operation)),
        }
        self.count.store(waiting.len(), Ordering::SeqCst);
    }

    /// Takes an operation out; no harm if it is not there.
    pub fn remove(&self, id: OperationId) {
        let mut waiting = lock(&self.waiting);
        if let Ok(place) = waiting.binary_search_by_key(&id, |(id, _)| *id) {
            waiting.remove(place);
        }
        if waiting.is_empty() && waiting.capacity() > IDLE_CAPACITY_MAX {
            *waiting = VecDeque::new();
        }
        self.count.store(waiting.len(), Ordering::SeqCst);
    }

    /// Tells all that wait. They may add and remove themselves meanwhile.
    pub fn signal(&self, event: Event) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let told: Vec<_> =
            lock(&self.waiting).iter().map(|(_, operation)| Arc::clone(operation)).collect();
        for operation in told {
            operation.on_event(event);
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What the timer's thread does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Thread {
    /// It looks at the deadlines, or was told to.
    #[default]
    Awake,
    AsleepUntil(Instant),
    AsleepUntilTold,
}

impl Thread {
    /// Whether it would sleep past `deadline`.
    ///
    /// Mostly a deadline is taken back long before its time, because its operation is done, and the
    /// next one set lies behind it. The thread sleeps on then until the time that was the first: to
    /// be told of each new first would cost a thread switch for every operation that waits.
    fn would_miss(self, deadline: Instant) -> bool {
        match self {
            Self::Awake => false,
            Self::AsleepUntil(until) => deadline < until,
            Self::AsleepUntilTold => true,
        }
    }
}

#[derive(Default)]
struct Deadlines {
    by_time: BTreeMap<(Instant, OperationId), Arc<dyn DelayedOperation>>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    deadlines: Mutex<Deadlines>,
    earlier: Condvar,
    stopping: AtomicBool,
}

/// Deadlines, on one thread.
pub struct Timer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Where an operation stands in the timer.
#[derive(Clone, Copy, Debug)]
pub struct TimerKey(Instant, OperationId);

impl TimerKey {
    /// The place of operation `id` that is due `delay` from now.
    pub fn after(delay: Duration, id: OperationId) -> Self {
        Self(Instant::now() + delay, id)
    }
}

impl Timer {
    /// Starts the thread, of this name.
    pub fn start(name: &str) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let runner = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || run(&runner))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Sets an operation's deadline.
    pub fn add(&self, key: TimerKey, operation: Arc<dyn DelayedOperation>) {
        let mut deadlines = lock(&self.shared.deadlines);
        deadlines.by_time.insert((key.0, key.1), operation);
        if deadlines.thread.would_miss(key.0) {
            deadlines.thread = Thread::Awake;
            drop(deadlines);
            self.shared.earlier.notify_one();
        }
    }

    /// Takes a deadline back; no harm if it has passed.
    pub fn remove(&self, key: TimerKey) {
        lock(&self.shared.deadlines).by_time.remove(&(key.0, key.1));
    }

    /// How many deadlines are set.
    pub fn len(&self) -> usize {
        lock(&self.shared.deadlines).by_time.len()
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends the thread, and every waiting operation as if its time were over.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Taking the lock once makes sure that the thread either sees the flag or is waiting.
        drop(lock(&self.shared.deadlines));
        self.shared.earlier.notify_one();
        if let Some(thread) = lock(&self.thread).take() {
            // A panic there was reported already; there is nothing left to join.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared) {
    let mut deadlines = lock(&shared.deadlines);
    loop {
        let now = Instant::now();
        let stopping = shared.stopping.load(Ordering::SeqCst);
        let first = deadlines.by_time.first_key_value().map(|((first, _), _)| *first);
        if first.is_none() && stopping {
            return;
        }
        if let Some(first) = first
            && (stopping || first <= now)
        {
            if let Some((_, operation)) = deadlines.by_time.pop_first() {
                drop(deadlines);
                operation.on_deadline();
                deadlines = lock(&shared.deadlines);
            }
            continue;
        }
        deadlines.thread = first.map_or(Thread::AsleepUntilTold, Thread::AsleepUntil);
        deadlines = match first {
            Some(first) => {
                let waited = shared.earlier.wait_timeout(deadlines, first.duration_since(now));
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => {
                let woken = shared.earlier.wait(deadlines);
                woken.unwrap_or_else(PoisonError::into_inner)
            }
        };
        deadlines.thread = Thread::Awake;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    struct Told(Mutex<Sender<&'static str>>);

    impl DelayedOperation for Told {
        fn on_event(&self, event: Event) {
            let name = if event == Event::Gone { "gone" } else { "appended" };
            lock(&self.0).send(name).unwrap();
        }
        fn on_deadline(&self) {
            lock(&self.0).send("deadline").unwrap();
        }
    }

    fn told() -> (Arc<Told>, Receiver<&'static str>) {
        let (sender, receiver) = channel();
        (Arc::new(Told(Mutex::new(sender))), receiver)
    }

    #[test]
    fn a_list_tells_those_in_it_and_no_others() {
        let list = WaitList::default();
        let (operation, heard) = told();
        let id = OperationId::next();
        list.signal(Event::Gone);
        list.add(id, operation);
        list.signal(Event::Appended(1));
        list.remove(id);
        list.signal(Event::Gone);
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["appended"]);
        assert!(list.is_empty());
    }

    #[test]
    fn operations_come_and_go_in_any_order() {
        let list = WaitList::default();
        let (operation, heard) = told();
        let ids: Vec<_> = (0..100).map(|_| OperationId::next()).collect();
        for place in 0..100 {
            list.add(ids[place * 37 % 100], operation.clone());
        }
        list.add(ids[50], operation);
        list.signal(Event::Gone);
        assert_eq!(heard.try_iter().count(), 100);
        for place in 0..100 {
            assert_eq!(list.len(), 100 - place);
            list.remove(ids[place * 61 % 100]);
            list.remove(ids[place * 61 % 100]);
        }
        assert!(lock(&list.waiting).capacity() <= IDLE_CAPACITY_MAX);
    }

    /// Waits until the timer's thread sleeps.
    fn asleep(timer: &Timer) {
        while lock(&timer.shared.deadlines).thread == Thread::Awake {
            std::thread::yield_now();
        }
    }

    #[test]
    fn only_a_deadline_that_would_be_missed_wakes_the_thread() {
        let timer = Timer::start("test").unwrap();
        let (operation, heard) = told();
        let after = |s| TimerKey::after(Duration::from_secs(s), OperationId::next());
        asleep(&timer);
        let first = after(1000);
        timer.add(first, operation.clone());
        asleep(&timer);
        timer.remove(first);
        timer.add(after(2000), operation.clone());
        assert_eq!(lock(&timer.shared.deadlines).thread, Thread::AsleepUntil(first.0));
        timer.add(TimerKey::after(Duration::ZERO, OperationId::next()), operation);
        assert_eq!(heard.recv_timeout(Duration::from_secs(10)), Ok("deadline"));
        timer.stop();
        assert_eq!(heard.try_iter().count(), 1, "a stop ends the one left");
    }

    #[test]
    fn deadlines_come_in_order_and_can_be_taken_back() {
        let timer = Timer::start("test").unwrap();
        let (late, heard_late) = told();
        let (early, heard_early) = told();
        let never = TimerKey::after(Duration::from_secs(3600), OperationId::next());
        timer.add(TimerKey::after(Duration::from_secs(1800), OperationId::next()), late.clone());
        timer.add(never, late);
        timer.remove(never);
        timer.add(TimerKey::after(Duration::from_millis(1), OperationId::next()), early);
        assert_eq!(heard_early.recv_timeout(Duration::from_secs(10)), Ok("deadline"));
        assert_eq!(timer.len(), 1);
        timer.stop();
        assert_eq!(heard_late.try_iter().collect::<Vec<_>>(), ["deadline"], "a stop ends all");
    }
}

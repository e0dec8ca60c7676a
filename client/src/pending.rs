//! Something that comes later: it can be waited for, called back, or awaited.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind};

/// The result of what was asked for, when there is one.
///
/// It is a [`Future`] of any runtime, or of none: [`Pending::wait`] blocks the calling thread, and
/// [`Pending::then`] calls back. Dropping it changes nothing of what was asked for.
#[must_use = "without looking at it an error goes unseen"]
pub struct Pending<T>(Arc<Shared<T>>);

/// The other end, which has the result. Dropped without one it fails the [`Pending`].
pub(crate) struct Promise<T>(Option<Arc<Shared<T>>>);

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

type Callback<T> = Box<dyn FnOnce(Result<T, Error>) + Send>;

enum State<T> {
    /// Nobody but a waiting thread looks at it.
    Open,
    Awaited(Waker),
    Called(Callback<T>),
    Done(Result<T, Error>),
    /// The result was taken.
    Taken,
}

/// Two ends of the same.
pub(crate) fn pending<T>() -> (Promise<T>, Pending<T>) {
    let shared = Arc::new(Shared { state: Mutex::new(State::Open), changed: Condvar::new() });
    (Promise(Some(Arc::clone(&shared))), Pending(shared))
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Nothing is done under the lock that could leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, result: Result<T, Error>) {
        let mut state = self.state();
        // Outside of the lock somebody is told: whoever is called may ask for more.
        match std::mem::replace(&mut *state, State::Taken) {
            State::Called(callback) => {
                drop(state);
                callback(result);
            }
            State::Awaited(waker) => {
                *state = State::Done(result);
                drop(state);
                waker.wake();
            }
            State::Open => {
                *state = State::Done(result);
                drop(state);
                self.changed.notify_all();
            }
            // A promise is kept once.
            done @ (State::Done(_) | State::Taken) => *state = done,
        }
    }
}

impl<T> Promise<T> {
    pub(crate) fn keep(mut self, result: Result<T, Error>) {
        if let Some(shared) = self.0.take() {
            shared.finish(result);
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.finish(Err(Error::closed("client")));
        }
    }
}

impl<T> Pending<T> {
    /// Blocks until there is a result.
    ///
    /// # Errors
    /// What went wrong.
    ///
    /// # Panics
    /// When the future has been ready already.
    pub fn wait(self) -> Result<T, Error> {
        self.wait_until(None)
    }

    /// Blocks until there is a result, but no longer than this. What was asked for is not given up
    /// then: the result may still come, and nobody sees it.
    ///
    /// # Errors
    /// What went wrong; [`ErrorKind::Timeout`] when there is no result yet.
    ///
    /// # Panics
    /// When the future has been ready already.
    pub fn wait_for(self, timeout: Duration) -> Result<T, Error> {
        let until = Instant::now().checked_add(timeout);
        self.wait_until(until.map(|until| (until, timeout)))
    }

    fn wait_until(self, until: Option<(Instant, Duration)>) -> Result<T, Error> {
        let mut state = self.0.state();
        loop {
            match std::mem::replace(&mut *state, State::Open) {
                State::Done(result) => return result,
                State::Taken => panic!("the result was taken already"),
                _ => {}
            }
            let Some((until, timeout)) = until else {
                state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::new(ErrorKind::Timeout(timeout), "no result yet"));
            }
            let waited = self.0.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Calls back with the result, on the client's own thread or, when it is there already, at
    /// once. The callback must not block: while it runs nothing is sent or received.
    ///
    /// # Panics
    /// When the future has been ready already.
    pub fn then(self, callback: impl FnOnce(Result<T, Error>) + Send + 'static) {
        let mut state = self.0.state();
        match std::mem::replace(&mut *state, State::Taken) {
            State::Done(result) => {
                drop(state);
                callback(result);
            }
            State::Taken => panic!("the result was taken already"),
            _ => *state = State::Called(Box::new(callback)),
        }
    }

    /// Whether there is a result, so that [`Pending::wait`] would not block.
    pub fn is_done(&self) -> bool {
        matches!(*self.0.state(), State::Done(_))
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.state();
        match std::mem::replace(&mut *state, State::Taken) {
            State::Done(result) => Poll::Ready(result),
            State::Taken => panic!("the result was taken already"),
            _ => {
                *state = State::Awaited(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("is_done", &self.is_done()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;
    use std::task::Wake;
    use std::thread;

    use super::*;

    #[test]
    fn a_result_is_waited_for_from_another_thread() {
        let (promise, pending) = pending();
        assert!(!pending.is_done());
        let waiting = thread::spawn(|| pending.wait());
        promise.keep(Ok(7));
        assert_eq!(waiting.join().unwrap().unwrap(), 7);
    }

    #[test]
    fn a_promise_that_is_dropped_fails() {
        let (promise, waiting) = pending::<()>();
        drop(promise);
        assert_eq!(waiting.wait().unwrap_err().kind(), ErrorKind::Closed);
    }

    #[test]
    fn waiting_ends_in_time() {
        let (promise, waiting) = pending::<()>();
        let after = Duration::from_millis(5);
        assert_eq!(waiting.wait_for(after).unwrap_err().kind(), ErrorKind::Timeout(after));
        promise.keep(Ok(()));
        let (promise, waiting) = pending();
        promise.keep(Ok(1));
        assert_eq!(waiting.wait_for(Duration::ZERO).unwrap(), 1);
    }

    #[test]
    fn it_calls_back_once_before_or_after() {
        for before in [true, false] {
            let (promise, pending) = pending();
            let (sender, receiver) = mpsc::channel();
            let callback = move |result: Result<i32, Error>| sender.send(result).unwrap();
            if before {
                pending.then(callback);
                promise.keep(Ok(3));
            } else {
                promise.keep(Ok(3));
                pending.then(callback);
            }
            assert_eq!(receiver.recv().unwrap().unwrap(), 3);
            assert!(receiver.recv().is_err());
        }
    }

    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn it_is_a_future() {
        let (promise, mut pending) = pending();
        let count = Arc::new(Count(AtomicU32::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut pending).poll(&mut context).is_pending());
        assert!(Pin::new(&mut pending).poll(&mut context).is_pending());
        promise.keep(Ok("x"));
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        let Poll::Ready(result) = Pin::new(&mut pending).poll(&mut context) else {
            panic!("it has a result")
        };
        assert_eq!(result.unwrap(), "x");
    }
}

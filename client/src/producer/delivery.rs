//! What became of records: a batch has one answer, and each of its records a place in it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind};

/// Where a record was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordMetadata {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: i32,
    /// Its offset; `None` when the broker did not tell, as with `acks=0`, or when it had the
    /// record already.
    pub offset: Option<i64>,
    /// Its timestamp, ms since the epoch: the broker's if the topic has that, else its own.
    pub timestamp: i64,
}

/// A record on its way. It can be waited for or awaited; dropping it changes nothing.
#[must_use = "without looking at it an error goes unseen; drop it to say that you do not care"]
pub struct Delivery {
    batch: Arc<BatchDelivery>,
    /// The record's place in the batch.
    index: u32,
    timestamp: i64,
}

/// What is called when a record was appended, or was not.
pub(super) type Callback = Box<dyn FnOnce(Result<RecordMetadata, Error>) + Send>;

/// The answer of a batch, shared by its records.
pub(super) struct BatchDelivery {
    topic: Arc<str>,
    partition: i32,
    state: Mutex<State>,
    changed: Condvar,
}

/// What is told when a batch was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Appended {
    /// -1 when not known.
    pub(super) base_offset: i64,
    /// -1 when records keep their own.
    pub(super) log_append_time: i64,
}

enum State {
    Open(Vec<Waker>),
    /// The batch was split: the answers of those from each place on.
    Split(Vec<(u32, Arc<BatchDelivery>)>),
    Done(Result<Appended, Error>),
}

impl BatchDelivery {
    pub(super) fn new(topic: Arc<str>, partition: i32) -> Arc<Self> {
        let state = Mutex::new(State::Open(Vec::new()));
        Arc::new(Self { topic, partition, state, changed: Condvar::new() })
    }

    /// The answer of a part of the batch.
    pub(super) fn part(&self) -> Arc<Self> {
        Self::new(Arc::clone(&self.topic), self.partition)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells all who wait. Only the first result counts.
    pub(super) fn finish(&self, result: Result<Appended, Error>) {
        self.change(State::Done(result));
    }

    /// The batch was too large and is sent in several: from each of these places on in another.
    pub(super) fn split(&self, parts: Vec<(u32, Arc<BatchDelivery>)>) {
        self.change(State::Split(parts));
    }

    fn change(&self, next: State) {
        let mut state = self.state();
        if !matches!(*state, State::Open(_)) {
            return;
        }
        let before = std::mem::replace(&mut *state, next);
        drop(state);
        self.changed.notify_all();
        if let State::Open(wakers) = before {
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    /// What a record is told of a batch's result.
    pub(super) fn metadata(
        &self,
        appended: Appended,
        index: u32,
        timestamp: i64,
    ) -> RecordMetadata {
        let Appended { base_offset, log_append_time } = appended;
        RecordMetadata {
            topic: Arc::clone(&self.topic),
            partition: self.partition,
            offset: (base_offset >= 0).then(|| base_offset + i64::from(index)),
            timestamp: if log_append_time >= 0 { log_append_time } else { timestamp },
        }
    }
}

impl Delivery {
    pub(super) fn new(batch: Arc<BatchDelivery>, index: u32, timestamp: i64) -> Self {
        Self { batch, index, timestamp }
    }

    /// Blocks until the record was appended, or will never be.
    ///
    /// # Errors
    /// Why it was not appended. After a [`ErrorKind::Timeout`] or [`ErrorKind::Network`] it may
    /// have been, and its answer was lost.
    pub fn wait(self) -> Result<RecordMetadata, Error> {
        self.wait_until(None)
    }

    /// Blocks as [`Delivery::wait`] does, but no longer than this. The record is not given up then.
    ///
    /// # Errors
    /// As [`Delivery::wait`]; [`ErrorKind::Timeout`] when there is no answer yet.
    pub fn wait_for(self, timeout: Duration) -> Result<RecordMetadata, Error> {
        let until = Instant::now().checked_add(timeout);
        self.wait_until(until.map(|until| (until, timeout)))
    }

    fn wait_until(mut self, until: Option<(Instant, Duration)>) -> Result<RecordMetadata, Error> {
        loop {
            let batch = Arc::clone(&self.batch);
            let mut state = batch.state();
            loop {
                match self.look(&state) {
                    Look::Done(result) => return result,
                    Look::Elsewhere => break,
                    Look::Open => {}
                }
                let Some((until, timeout)) = until else {
                    state = batch.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                    continue;
                };
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(Error::new(ErrorKind::Timeout(timeout), "no answer yet"));
                }
                let waited = batch.changed.wait_timeout(state, left);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// What the batch says of this record; when it was split, which batch the record is in now.
    fn look(&mut self, state: &State) -> Look {
        match state {
            State::Open(_) => Look::Open,
            State::Done(result) => {
                let metadata = |appended| self.batch.metadata(appended, self.index, self.timestamp);
                Look::Done(result.clone().map(metadata))
            }
            State::Split(parts) => {
                let place = parts.partition_point(|(from, _)| *from <= self.index);
                let (from, batch) = &parts[place.saturating_sub(1)];
                self.index -= from;
                self.batch = Arc::clone(batch);
                Look::Elsewhere
            }
        }
    }

    /// Whether there is an answer, so that [`Delivery::wait`] would not block.
    pub fn is_done(&self) -> bool {
        let mut delivery =
            Self { batch: Arc::clone(&self.batch), index: self.index, timestamp: self.timestamp };
        loop {
            let batch = Arc::clone(&delivery.batch);
            match delivery.look(&batch.state()) {
                Look::Open => return false,
                Look::Done(_) => return true,
                Look::Elsewhere => {}
            }
        }
    }
}

enum Look {
    Open,
    Done(Result<RecordMetadata, Error>),
    Elsewhere,
}

impl Future for Delivery {
    type Output = Result<RecordMetadata, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let batch = Arc::clone(&self.batch);
            let mut state = batch.state();
            match self.look(&state) {
                Look::Done(result) => return Poll::Ready(result),
                Look::Elsewhere => continue,
                Look::Open => {}
            }
            if let State::Open(wakers) = &mut *state
                && !wakers.iter().any(|waker| waker.will_wake(context.waker()))
            {
                wakers.push(context.waker().clone());
            }
            return Poll::Pending;
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BatchDelivery { topic, partition, .. } = &*self.batch;
        f.debug_struct("Delivery").field("topic", topic).field("partition", partition).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn batch() -> Arc<BatchDelivery> {
        BatchDelivery::new("t".into(), 3)
    }

    #[test]
    fn each_record_has_its_place() {
        let batch = batch();
        let deliveries = [0, 4].map(|index| Delivery::new(Arc::clone(&batch), index, 77));
        assert!(!deliveries[0].is_done());
        let waiting = deliveries.map(|delivery| thread::spawn(move || delivery.wait()));
        batch.finish(Ok(Appended { base_offset: 100, log_append_time: -1 }));
        let [first, last] = waiting.map(|thread| thread.join().unwrap().unwrap());
        assert_eq!((first.offset, first.timestamp), (Some(100), 77));
        assert_eq!((last.offset, &*last.topic, last.partition), (Some(104), "t", 3));
        // Nothing comes after the first answer.
        batch.finish(Err(Error::closed("producer")));
        let late = Delivery::new(Arc::clone(&batch), 1, 77);
        assert_eq!(late.wait().unwrap().offset, Some(101));
    }

    #[test]
    fn a_split_batch_answers_by_its_parts() {
        let batch = batch();
        let [first, second] = [self::batch(), self::batch()];
        let delivery = |index| Delivery::new(Arc::clone(&batch), index, 0);
        let (one, two, three) = (delivery(1), delivery(2), delivery(5));
        batch.split(vec![(0, Arc::clone(&first)), (2, Arc::clone(&second))]);
        assert!(!one.is_done());
        first.finish(Ok(Appended { base_offset: 10, log_append_time: 5 }));
        let one = one.wait().unwrap();
        assert_eq!((one.offset, one.timestamp), (Some(11), 5));
        second.finish(Ok(Appended { base_offset: 50, log_append_time: -1 }));
        assert_eq!(two.wait().unwrap().offset, Some(50));
        assert_eq!(three.wait().unwrap().offset, Some(53));
    }

    #[test]
    fn waiting_ends_in_time_and_without_an_offset() {
        let batch = batch();
        let short = Duration::from_millis(5);
        let error = Delivery::new(Arc::clone(&batch), 0, 1).wait_for(short).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout(short));
        batch.finish(Ok(Appended { base_offset: -1, log_append_time: -1 }));
        assert_eq!(Delivery::new(batch, 0, 1).wait_for(short).unwrap().offset, None);
    }

    #[test]
    fn it_is_a_future() {
        let batch = batch();
        let mut delivery = Delivery::new(Arc::clone(&batch), 0, 1);
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut delivery).poll(&mut context).is_pending());
        batch.finish(Err(Error::new(ErrorKind::Network, "gone")));
        let Poll::Ready(Err(error)) = Pin::new(&mut delivery).poll(&mut context) else {
            panic!("it has failed")
        };
        assert_eq!(error.kind(), ErrorKind::Network);
    }
}

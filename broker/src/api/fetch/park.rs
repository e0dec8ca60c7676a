//! A fetch that waits for records or for its deadline.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ottla_network::Reply;

use super::FetchKey;
use super::read::{self, Reading, Wanted};
use crate::api::answer::Envelope;
use crate::delayed::{DelayedOperation, Event, OperationId, TimerKey};
use crate::fetch_session::FetchContext;
use crate::node::Node;
use crate::topics::Partition;

/// What is left to do as long as it waits.
struct Waiting {
    reply: Reply,
    deadline: TimerKey,
}

/// One waiting fetch. Appends count down what it still lacks; who brings that to zero reads again
/// and answers, unless another thread was first.
pub(super) struct ParkedFetch {
    node: Arc<Node>,
    id: OperationId,
    envelope: Envelope,
    context: FetchContext<FetchKey>,
    wanted: Wanted,
    partitions: Vec<Arc<Partition>>,
    /// Bytes.
    missing: AtomicI64,
    /// High watermarks when it was found that there is too little, in the partitions' order.
    seen: Vec<i64>,
    waiting: Mutex<Option<Waiting>>,
}

impl ParkedFetch {
    pub(super) fn new(
        node: &Arc<Node>,
        envelope: Envelope,
        context: FetchContext<FetchKey>,
        wanted: Wanted,
        reading: &Reading,
    ) -> Arc<Self> {
        let partitions = read::partitions(node, &context);
        Arc::new(Self {
            node: Arc::clone(node),
            id: OperationId::next(),
            envelope,
            wanted: Wanted { has_waited: true, ..wanted },
            missing: AtomicI64::new(lacking(&wanted, reading)),
            seen: reading.high_watermarks(),
            partitions,
            context,
            waiting: Mutex::new(None),
        })
    }

    pub(super) fn park(this: &Arc<Self>, reply: Reply, wait_ms: u64) {
        let deadline = TimerKey::after(Duration::from_millis(wait_ms), this.id);
        *this.waiting() = Some(Waiting { reply, deadline });
        for partition in &this.partitions {
            partition.fetches.add(this.id, Arc::clone(this) as Arc<dyn DelayedOperation>);
        }
        this.node.timer.add(deadline, Arc::clone(this) as Arc<dyn DelayedOperation>);
        // What came between the read and the registration was told to nobody.
        let is_moved = this.partitions.len() != this.seen.len()
            || this
                .partitions
                .iter()
                .zip(&this.seen)
                .any(|(partition, seen)| partition.log.offsets().high_watermark != *seen);
        if is_moved {
            this.complete(false);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads again and answers, if there is enough or `at_any_rate`.
    fn complete(&self, at_any_rate: bool) {
        let mut waiting = self.waiting();
        if waiting.is_none() {
            return;
        }
        let reading = Reading::of(&self.node, &self.context, &self.wanted);
        if !at_any_rate && !reading.is_enough(&self.wanted) {
            self.missing.store(lacking(&self.wanted, &reading), Ordering::SeqCst);
            return;
        }
        let Some(Waiting { reply, deadline }) = waiting.take() else { return };
        drop(waiting);
        for partition in &self.partitions {
            partition.fetches.remove(self.id);
        }
        self.node.timer.remove(deadline);
        match reading.response(&self.node, self.envelope, &self.context) {
            Ok(response) => reply.send(response),
            Err(error) => {
                log::error!("a fetch could not be answered: {error}");
                reply.close();
            }
        }
    }
}

fn lacking(wanted: &Wanted, reading: &Reading) -> i64 {
    i64::from(wanted.bytes_min) - i64::try_from(reading.bytes()).unwrap_or(i64::MAX)
}

impl DelayedOperation for ParkedFetch {
    fn on_event(&self, event: Event) {
        match event {
            Event::Gone => self.complete(true),
            Event::Appended(bytes) => {
                let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
                if self.missing.fetch_sub(bytes, Ordering::SeqCst) <= bytes {
                    self.complete(false);
                }
            }
        }
    }

    fn on_deadline(&self) {
        self.complete(true);
    }
}

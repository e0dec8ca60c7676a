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
        if this.waiting().is_none() {
            // It was answered and taken out of all lists while it was still being entered in them.
            return this.leave(deadline);
        }
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
        let reading = loop {
            let before = self.missing.load(Ordering::SeqCst);
            let reading = Reading::of(&self.node, &self.context, &self.wanted);
            if at_any_rate || reading.is_enough(&self.wanted) {
                break reading;
            }
            // Appends that were counted meanwhile stay so, be they in this reading or not: at worst
            // the next one is made too early.
            let change = lacking(&self.wanted, &reading) - before;
            if self.missing.fetch_add(change, Ordering::SeqCst) + change > 0 {
                return;
            }
        };
        let Some(Waiting { reply, deadline }) = waiting.take() else { return };
        drop(waiting);
        self.leave(deadline);
        match reading.response(&self.node, self.envelope, &self.context) {
            Ok(response) => reply.send(response),
            Err(error) => {
                log::error!("a fetch could not be answered: {error}");
                reply.close();
            }
        }
    }

    /// Takes it out of everything that would tell it something.
    fn leave(&self, deadline: TimerKey) {
        for partition in &self.partitions {
            partition.fetches.remove(self.id);
        }
        self.node.timer.remove(deadline);
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc;

    use ottla_network::{Connection, Frame, Request, Service};

    use super::*;
    use crate::api::Apis;
    use crate::broker::RunningBroker;
    use crate::cli::Start;
    use crate::config::StaticConfig;

    const PARTITIONS: i32 = 50;

    /// Fetches from the start of all partitions of "t", waiting for a byte for an hour (Fetch 11).
    fn request() -> Request {
        let mut bytes = vec![0, 1, 0, 11, 0, 0, 0, 7, 0xff, 0xff];
        let int = |bytes: &mut Vec<u8>, value: i32| bytes.extend(value.to_be_bytes());
        for value in [-1, 3_600_000, 1, i32::MAX] {
            int(&mut bytes, value);
        }
        bytes.push(0);
        for value in [0, -1, 1] {
            int(&mut bytes, value);
        }
        bytes.extend(*b"\0\x01t");
        int(&mut bytes, PARTITIONS);
        for partition in 0..PARTITIONS {
            int(&mut bytes, partition);
            int(&mut bytes, -1);
            bytes.extend(0_i64.to_be_bytes());
            bytes.extend((-1_i64).to_be_bytes());
            int(&mut bytes, 1000);
        }
        int(&mut bytes, 0);
        bytes.extend([0, 0]);
        let connection = Connection { id: 1, peer: ([127, 0, 0, 1], 1).into(), listener: 0 };
        Request { frame: Frame::from_vec(bytes), connection }
    }

    #[test]
    fn what_is_answered_while_it_is_parked_waits_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let partitions = format!("num.partitions={PARTITIONS}");
        let start = || {
            let mut statics = StaticConfig::standalone(dir.path().to_str().unwrap());
            for setting in ["listeners=PLAINTEXT://127.0.0.1:0", &partitions] {
                statics.set_override(setting).unwrap();
            }
            Start::new(statics).unwrap()
        };
        // The free port that a start has found may be gone again when it listens.
        let broker =
            (0..5).find_map(|_| RunningBroker::start(start()).ok()).expect("a broker starts");
        let node = broker.node();
        node.auto_create(&["t"]);
        let topic = node.topics.by_name("t").unwrap();
        let (apis, done) = (Apis::new(Arc::clone(node)), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    topic.partition(0).unwrap().fetches.signal(Event::Gone);
                }
            });
            for _ in 0..300 {
                let (answered, answer) = mpsc::channel();
                apis.call(request(), Reply::detached(move |it| answered.send(it).unwrap()));
                answer.recv_timeout(Duration::from_secs(30)).expect("it is answered");
            }
            done.store(true, Ordering::SeqCst);
        });
        assert!(topic.partitions().all(|partition| partition.fetches.is_empty()));
        assert!(node.timer.is_empty());
        broker.stop().unwrap();
    }
}

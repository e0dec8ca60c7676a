//! How batches end: done, failed, too old, or with the producer.

use std::time::Instant;

use super::{Partition, Sender};
use crate::error::{Error, ErrorKind};
use crate::net::{Net, Node, Until};
use crate::producer::delivery::{Appended, BatchDelivery, Callback};
use crate::producer::lane::Sealed;
use crate::producer::queue::Batch;

impl Sender {
    /// Whether the producer is closed, and all is done or its time is over.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.shared.closing().is_some_and(|until| until <= now || self.shared.memory.taken() == 0)
    }

    /// Fails what is left.
    pub(super) fn end(&mut self) {
        self.sent.clear();
        for partition in &mut self.partitions {
            for batch in partition.lane.take_all() {
                finish(batch, Err(Error::closed("producer")));
            }
        }
        for topic in self.shared.topics() {
            for queue in (0..topic.count()).filter_map(|place| topic.queue(place)) {
                for batch in queue.close() {
                    fail(batch, Error::closed("producer"));
                }
            }
        }
        self.shared.end();
    }

    /// Fails batches that are too old; says when the next one is.
    pub(super) fn expire(&mut self, net: &dyn Net, now: Instant) -> Until {
        let timeout = self.shared.settings.delivery_timeout;
        let mut until = Until::Event;
        for &place in &self.active {
            let Partition { queue, lane, .. } = &mut self.partitions[place];
            for (batch, error) in lane.expire(timeout, now) {
                let error = error.of_partition(&queue.topic, queue.partition);
                finish(batch, Err(error));
            }
            while queue.oldest().is_some_and(|created| created + timeout <= now) {
                let Some(batch) = queue.take(true) else { break };
                let cluster = self.session.metadata.cluster();
                let leader = cluster.partition(&queue.topic, queue.partition);
                let leader = leader.and_then(|known| known.leader);
                let lost = leader.and_then(|id| net.last_error(Node::Broker(id)));
                let why = lost.or_else(|| self.session.metadata.last_error().cloned());
                let why = match (why, leader) {
                    (Some(error), _) => error.to_string(),
                    (None, None) => "the partition has no leader".to_owned(),
                    _ if self.identity.is_missing() => "no producer id".to_owned(),
                    _ => "others are still to be answered".to_owned(),
                };
                let error = Error::new(ErrorKind::Timeout(timeout), why);
                let error = error.of_partition(&queue.topic, queue.partition);
                fail(batch, error);
            }
            until = until.or(lane.expires(timeout).into());
            until = until.or(queue.oldest().map(|created| created + timeout).into());
        }
        until
    }

    /// Nothing of what is there can be sent.
    pub(super) fn fail_all(&mut self, error: &Error) {
        let partitions = &mut self.partitions;
        self.active.retain(|&place| {
            let Partition { queue, lane, is_active } = &mut partitions[place];
            let error = error.clone().of_partition(&queue.topic, queue.partition);
            for batch in lane.take_all() {
                finish(batch, Err(error.clone()));
            }
            while let Some(batch) = queue.take(true) {
                fail(batch, error.clone());
            }
            *is_active = !queue.unlist_if_empty();
            *is_active
        });
    }
}

/// Tells those who sent the records, and gives the memory back.
pub(super) fn finish(batch: Sealed, result: Result<Appended, Error>) {
    let Sealed { delivery, callbacks, room, .. } = batch;
    tell(&delivery, callbacks, result);
    // Behind the answer: whoever flushes has it by then.
    drop(room);
}

/// Fails a batch that was never sent.
fn fail(batch: Batch, error: Error) {
    let Batch { delivery, callbacks, room, .. } = batch;
    tell(&delivery, callbacks, Err(error));
    drop(room);
}

fn tell(
    delivery: &BatchDelivery,
    callbacks: Vec<(u32, i64, Callback)>,
    result: Result<Appended, Error>,
) {
    for (index, timestamp, callback) in callbacks {
        let told = result.clone();
        callback(told.map(|appended| delivery.metadata(appended, index, timestamp)));
    }
    delivery.finish(result);
}

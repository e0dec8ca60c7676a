//! A produce request whose records are appended and not on the disk yet.

use std::sync::{Arc, Mutex, PoisonError};

use ottla_network::{Reply, Response};
use ottla_protocol::messages::produce::{ProduceResponse, TopicProduceResponse};
use ottla_protocol::uuid::Uuid;
use ottla_storage::error::StorageError;

use super::{ACKS_NONE, Failure, Produced, Unsynced, log_start_offset, storage_failure, told};
use crate::api::answer::Envelope;
use crate::commits::{Pending, Waiter};
use crate::node::Node;
use crate::topics::Partition;

/// A topic's results.
pub(super) struct TopicResults {
    pub(super) name: Box<str>,
    pub(super) topic_id: Uuid,
    pub(super) partitions: Vec<(i32, Produced)>,
}

/// The request, as far as its answer needs it.
pub(super) struct ParkedProduce {
    node: Arc<Node>,
    envelope: Envelope,
    acks: i16,
    /// Where the appends stand that wait, and whose they are.
    unsynced: Vec<(usize, usize, Arc<Partition>)>,
    state: Mutex<State>,
}

struct State {
    topics: Vec<TopicResults>,
    reply: Option<Reply>,
    /// How many appends are not synced yet.
    missing: usize,
}

impl ParkedProduce {
    /// Leaves the appends in `unsynced` to be synced. The last of them to be answers.
    pub(super) fn park(
        node: Arc<Node>,
        (envelope, acks): (Envelope, i16),
        topics: Vec<TopicResults>,
        unsynced: Vec<Unsynced>,
        reply: Reply,
    ) {
        let state = State { topics, reply: Some(reply), missing: unsynced.len() };
        let places = unsynced.iter();
        let places = places.map(|one| (one.topic, one.partition, Arc::clone(&one.of)));
        let parked = Arc::new(Self {
            node: Arc::clone(&node),
            envelope,
            acks,
            unsynced: places.collect(),
            state: Mutex::new(state),
        });
        for (place, Unsynced { of, end_offset, bytes, .. }) in unsynced.into_iter().enumerate() {
            let waiter = Arc::clone(&parked) as Arc<dyn Waiter>;
            node.commits.add(&of, Pending { waiter, place, end_offset, bytes });
        }
    }

    fn answer(&self, topics: &[TopicResults], reply: Reply) -> Option<(Reply, Response)> {
        if self.acks == ACKS_NONE {
            let mut results = topics.iter().flat_map(|topic| &topic.partitions);
            if results.any(|(_, result)| result.is_err()) {
                reply.close()
            } else {
                reply.nothing()
            }
            return None;
        }
        let responses = topics.iter().map(|topic| TopicProduceResponse {
            name: &topic.name,
            topic_id: topic.topic_id,
            partition_responses: topic.partitions.iter().map(|(n, one)| told(*n, one)).collect(),
        });
        let message = ProduceResponse { responses: responses.collect(), ..Default::default() };
        match self.envelope.response(&message, &[]) {
            Ok(response) => Some((reply, response)),
            Err(error) => {
                log::error!("a produce could not be answered: {error}");
                reply.close();
                None
            }
        }
    }
}

impl Waiter for ParkedProduce {
    fn synced(&self, place: usize, result: Result<(), &StorageError>) -> Option<(Reply, Response)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = result {
            let (topic, partition, of) = &self.unsynced[place];
            let code = storage_failure(&self.node, error);
            let log_start_offset = log_start_offset(of);
            state.topics[*topic].partitions[*partition].1 =
                Err(Failure { log_start_offset, ..Failure::early(code) });
        }
        state.missing -= 1;
        if state.missing > 0 {
            return None;
        }
        let topics = std::mem::take(&mut state.topics);
        self.answer(&topics, state.reply.take()?)
    }
}

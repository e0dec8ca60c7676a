//! Replies of requests that wait for their groups.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};

use ottla_coordinator::effects::{Answer, Ticket};
use ottla_network::{Reply, Response};

use crate::api::{Envelope, join_group, sync_group};

/// A request that waits: whichever comes second, its reply or its answer, finds the other here.
enum Slot {
    Reply(Envelope, Reply),
    Answer(Answer),
}

/// Requests that wait, by their tickets.
#[derive(Default)]
pub(super) struct Parked {
    slots: Mutex<HashMap<Ticket, Slot>>,
}

impl Parked {
    /// Keeps a reply until its answer comes.
    pub(super) fn park(&self, ticket: Ticket, envelope: Envelope, reply: Reply) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Slot::Answer(answer)) = slots.remove(&ticket) {
            drop(slots);
            if let Some(response) = response(envelope, &answer) {
                reply.send(response);
            }
            return;
        }
        slots.insert(ticket, Slot::Reply(envelope, reply));
    }

    /// Sends answers, or keeps those whose replies are still on their way here.
    pub(super) fn answer(&self, answers: Vec<(Ticket, Answer)>) {
        if answers.is_empty() {
            return;
        }
        let mut ready = Vec::with_capacity(answers.len());
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        for (ticket, answer) in answers {
            match slots.entry(ticket) {
                Entry::Occupied(slot) => {
                    if let Slot::Reply(envelope, reply) = slot.remove() {
                        ready.push((envelope, reply, answer));
                    }
                }
                Entry::Vacant(slot) => {
                    slot.insert(Slot::Answer(answer));
                }
            }
        }
        drop(slots);
        Reply::send_all(ready.into_iter().filter_map(|(envelope, reply, answer)| {
            let response = response(envelope, &answer)?;
            Some((reply, response))
        }));
    }
}

/// The answer's bytes. `None` when it has no form in the request's version, a bug of ours: the
/// reply is dropped then, which closes the connection.
fn response(envelope: Envelope, answer: &Answer) -> Option<Response> {
    let response = match answer {
        Answer::Join(answer) => {
            envelope.response(&join_group::told(answer, envelope.version()), &[])
        }
        Answer::Sync(answer) => envelope.response(&sync_group::told(answer), &[]),
    };
    response.inspect_err(|error| log::error!("no answer to a member of a group: {error}")).ok()
}

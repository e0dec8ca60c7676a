//! Replies of requests that wait for their groups.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};

use ottla_coordinator::effects::{Answer, Ticket};
use ottla_network::Reply;

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
            send(envelope, reply, &answer);
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
        for (envelope, reply, answer) in ready {
            send(envelope, reply, &answer);
        }
    }
}

fn send(envelope: Envelope, reply: Reply, answer: &Answer) {
    let response = match answer {
        Answer::Join(answer) => {
            envelope.response(&join_group::told(answer, envelope.version()), &[])
        }
        Answer::Sync(answer) => envelope.response(&sync_group::told(answer), &[]),
    };
    match response {
        Ok(response) => reply.send(response),
        Err(error) => {
            log::error!("no answer to a member of a group: {error}");
            reply.close();
        }
    }
}

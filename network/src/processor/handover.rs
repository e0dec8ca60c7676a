//! How a Processor that is one too many gives its connections to the others. Nothing of them is
//! lost: bytes in the kernel stay there, bytes read move with the connection, and the answers of
//! requests that are with the service are forwarded by the inbox that they will come to.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::inbox::{DRAIN, Forward};

use super::Processor;

impl Processor {
    /// Hands all over. False when the server stops meanwhile: then this Processor drains as the
    /// others do.
    pub(super) fn hand_over(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        // Nobody else leaves or stops as long as this is held, and nothing new comes here.
        let mut members = shared.roster.lock();
        if DRAIN <= self.inbox.told() {
            return false;
        }
        let heir = Arc::clone(members.least_loaded());
        let mut answers = HashMap::new();
        for peer in &mut self.peers {
            let Some(mut peer) = peer.take() else { continue };
            if let Err(error) = self.poll.registry().deregister(peer.stream()) {
                log::debug!("deregistering {}: {error}", peer.facts.peer);
            }
            let owner = members.least_loaded();
            if peer.state.is_waiting_for_service() {
                answers.insert(peer.facts.id, Arc::clone(owner));
            }
            self.inbox.connections.fetch_sub(1, Ordering::Relaxed);
            owner.hand_over(peer);
        }
        for command in self.outbounds.give_away(self.poll.registry()) {
            heir.command(command);
        }
        self.inbox.forward(Forward { answers, heir: Arc::clone(&heir) });
        // Their answers find the way from now on.
        heir.hand_calls(std::mem::take(&mut self.calls));
        members.retired(&self.inbox);
        true
    }
}

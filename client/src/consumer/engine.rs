//! The client's thread: it finds where partitions begin, and keeps fetching.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::commit::Offsets;
use super::fetcher::Fetcher;
use super::group::Membership;
use super::inquiry::Inquiries;
use super::shared::Shared;
use crate::net::{Driver, Event, Net, Until};
use crate::partition::TopicPartition;
use crate::pending::Pending;
use crate::session::Session;

mod begin;

/// A consumer's driver.
pub(super) struct Engine {
    shared: Arc<Shared>,
    session: Session,
    fetcher: Fetcher,
    inquiries: Inquiries,
    committed: Vec<Committed>,
}

/// The group's offsets of these positions, which were asked for.
struct Committed {
    positions: Vec<(TopicPartition, u64)>,
    offsets: Pending<Offsets>,
}

impl Engine {
    pub(super) fn new(shared: Arc<Shared>, session: Session) -> Self {
        let settings = &shared.settings;
        let inquiries = Inquiries::new(
            settings.isolation_level(),
            settings.request_timeout,
            settings.retry_backoff,
        );
        let fetcher = Fetcher::new(Arc::clone(&shared));
        Self { shared, session, fetcher, inquiries, committed: Vec::new() }
    }
}

impl Driver for Engine {
    fn turn(&mut self, net: &mut dyn Net, now: Instant) -> Option<Until> {
        // From here on whoever changes something has it woken: what was changed is seen below.
        self.shared.fall_asleep();
        let mut resolved = Vec::new();
        while let Some(event) = net.next_event() {
            let left = self.session.take(event, net, now);
            let Some(Event::Answered { tag, result }) = left else { continue };
            let metadata = &mut self.session.metadata;
            let at = (&*net, now);
            let left = self.inquiries.answered((tag, result), metadata, at, &mut resolved);
            if let Some(answered) = left {
                self.fetcher.answered(answered, metadata, net, now);
            }
        }
        let closing = self.shared.state().closing;
        if let Some(time) = closing {
            self.ask(now);
            self.be_member(now);
            let has_left = {
                let state = self.shared.state();
                state.membership.as_ref().is_none_or(Membership::has_left)
            };
            let closing = self.fetcher.close(net, now);
            let is_done = has_left && self.shared.commits.load(Ordering::SeqCst) == 0;
            if time <= now || (is_done && closing.is_none()) {
                return None;
            }
            let until = self.session.turn(net, now).or(Until::Time(time));
            return Some(until.or(closing.unwrap_or(Until::Event)));
        }
        self.ask(now);
        self.resolve(resolved);
        let mut until = self.be_member(now);
        until = until.or(self.begin(net, now));
        until = until.or(self.fetcher.turn(&mut self.session.metadata, net, now));
        // Last, since all of these may have found that something is to be asked for.
        Some(until.or(self.session.turn(net, now)))
    }
}

impl Engine {
    /// Does what a member of a group has to do.
    fn be_member(&mut self, now: Instant) -> Until {
        let mut state = self.shared.state();
        let Some(membership) = &mut state.membership else { return Until::Event };
        let until = membership.turn(&mut self.session, now);
        if membership.needs_user() {
            self.shared.notify();
        }
        until
    }

    /// Asks what other threads want to know.
    fn ask(&mut self, now: Instant) {
        let asks = std::mem::take(&mut self.shared.state().asks);
        for (ask, deadline) in asks {
            self.session.calls.ask(ask, deadline, now);
        }
    }
}

impl Drop for Engine {
    /// Also when its thread panics, nobody waits for it for ever.
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.is_over = true;
        // Whoever waits for these is told by their end.
        let (asks, inquiries) = (std::mem::take(&mut state.asks), state.inquiries.split_off(0));
        drop(state);
        drop((asks, inquiries));
        self.shared.notify();
    }
}

#[cfg(test)]
mod tests;

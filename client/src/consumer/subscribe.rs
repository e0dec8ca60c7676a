//! Subscriptions: partitions that come and go with the members of a group.

use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Instant;

use super::Consumer;
use super::group::{Interest, Membership, Step};
use super::shared::State;
use crate::error::{Error, ErrorKind};
use crate::partition::TopicPartition;
use crate::pending::Pending;

/// What is done when partitions come or go. It is called on the thread that polls, in the poll, and
/// may call the consumer: commit, seek, pause, but not poll.
///
/// A poll takes as long as its listener; who takes longer than `max.poll.interval.ms` leaves the
/// group.
pub trait RebalanceListener: Send {
    /// These partitions have come, beside those that were there. There may be none: the group has
    /// another assignment, of which this consumer gets nothing new.
    fn assigned(&mut self, consumer: &Consumer, partitions: &[TopicPartition]) {
        let _ = (consumer, partitions);
    }

    /// These partitions are to be given up: the last occasion to commit what was read of them.
    /// With `enable.auto.commit` that has been done.
    fn revoked(&mut self, consumer: &Consumer, partitions: &[TopicPartition]) {
        let _ = (consumer, partitions);
    }

    /// These partitions are gone without a word, since the group has gone on without this
    /// consumer: others may have read them already, so that nothing can be committed. As
    /// [`RebalanceListener::revoked`] unless said otherwise.
    fn lost(&mut self, consumer: &Consumer, partitions: &[TopicPartition]) {
        self.revoked(consumer, partitions);
    }
}

/// Who listens.
pub(super) type Listener = Box<dyn RebalanceListener>;

/// Who a consumer is in its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroupMetadata {
    /// `group.id`.
    pub group_id: String,
    /// The id that the coordinator knows it by.
    pub member_id: String,
    /// The group's generation, or with `group.protocol=consumer` the member's epoch.
    pub generation_id: i32,
    /// `group.instance.id`.
    pub group_instance_id: Option<String>,
}

impl Consumer {
    /// Shares these topics' partitions with the other members of its group, in place of what it was
    /// subscribed to before. Partitions come and go in polls. No topics: as
    /// [`Consumer::unsubscribe`].
    ///
    /// With `group.protocol=classic` a member of the group assigns, by the first of its
    /// `partition.assignment.strategy` that all members have; members of Java's client and of this
    /// one share partitions, whoever of them assigns. With `group.protocol=consumer` the broker
    /// does (KIP-848). With `cooperative-sticky` alone, and with the broker, a consumer goes on
    /// reading what it keeps while others join or leave.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use ottla_client::{Consumer, Properties};
    ///
    /// let properties = Properties::new()
    ///     .with("bootstrap.servers", "localhost:9092")
    ///     .with("group.id", "billing")
    ///     .with("partition.assignment.strategy", "cooperative-sticky");
    /// let consumer = Consumer::new(&properties)?;
    /// consumer.subscribe(&["orders"])?;
    /// loop {
    ///     for record in &consumer.poll(Duration::from_secs(1))? {
    ///         println!("{}-{}: {:?}", record.topic(), record.offset(), record.value());
    ///     }
    /// }
    /// # #[expect(unreachable_code)]
    /// # Ok::<(), ottla_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no `group.id`; a topic has no name; partitions were assigned by hand, or it is
    /// subscribed to a pattern.
    pub fn subscribe(&self, topics: &[&str]) -> Result<(), Error> {
        self.subscribe_topics(topics, None)
    }

    /// The same, with a listener that is told which partitions come and go.
    ///
    /// # Errors
    /// As [`Consumer::subscribe`].
    pub fn subscribe_with(
        &self,
        topics: &[&str],
        listener: impl RebalanceListener + 'static,
    ) -> Result<(), Error> {
        self.subscribe_topics(topics, Some(Box::new(listener)))
    }

    /// Subscribes to the topics whose whole name a regular expression matches, and to those that
    /// come to be, as soon as they are seen (`metadata.max.age.ms`).
    ///
    /// In a classic group this client matches: Perl's syntax without look-around and
    /// back-references, so that a match takes linear time, where `\w`, `\d` and `\s` are ASCII;
    /// Java's `Pattern` has all of these. With `group.protocol=consumer` the broker matches: RE2's
    /// syntax with Kafka, and at least version 1 of ConsumerGroupHeartbeat.
    ///
    /// # Errors
    /// There is no `group.id`; it is no regular expression; partitions were assigned by hand, or it
    /// is subscribed to topics by their names.
    pub fn subscribe_pattern(&self, pattern: &str) -> Result<(), Error> {
        self.set_interest(Interest::Pattern(pattern.to_owned()), None)
    }

    /// The same, with a listener that is told which partitions come and go.
    ///
    /// # Errors
    /// As [`Consumer::subscribe_pattern`].
    pub fn subscribe_pattern_with(
        &self,
        pattern: &str,
        listener: impl RebalanceListener + 'static,
    ) -> Result<(), Error> {
        self.set_interest(Interest::Pattern(pattern.to_owned()), Some(Box::new(listener)))
    }

    /// Gives up all partitions and leaves the group; those that were assigned by hand, too. The
    /// listener is told.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] when another thread polls.
    pub fn unsubscribe(&self) -> Result<(), Error> {
        let _front = self.front()?;
        let mut state = self.shared.state();
        if let Some(membership) = &mut state.membership {
            membership.subscribe(Interest::None)?;
        }
        let mut state = self.rebalance(state);
        state.interest = Interest::None;
        state.positions.assign(&[]);
        state.clean();
        drop(state);
        *self.listener() = None;
        self.wake();
        Ok(())
    }

    /// The topics that it is subscribed to by their names.
    pub fn subscription(&self) -> BTreeSet<String> {
        match &self.shared.state().interest {
            Interest::Topics(topics) => topics.iter().map(|topic| topic.to_string()).collect(),
            Interest::None | Interest::Pattern(_) => BTreeSet::new(),
        }
    }

    /// Who it is in its group; `None` when it is no member now.
    pub fn group_metadata(&self) -> Option<ConsumerGroupMetadata> {
        let identity = self.shared.state().identity()?;
        Some(ConsumerGroupMetadata {
            group_id: self.shared.settings.group.as_deref()?.to_owned(),
            member_id: identity.member_id,
            generation_id: identity.generation_or_epoch,
            group_instance_id: identity.instance_id,
        })
    }

    fn subscribe_topics(&self, topics: &[&str], listener: Option<Listener>) -> Result<(), Error> {
        if topics.iter().any(|topic| topic.is_empty()) {
            return Err(Error::new(ErrorKind::Usage, "a topic without a name"));
        }
        if topics.is_empty() {
            return self.unsubscribe();
        }
        let topics = topics.iter().map(|topic| Arc::from(*topic)).collect();
        self.set_interest(Interest::Topics(topics), listener)
    }

    fn set_interest(&self, interest: Interest, listener: Option<Listener>) -> Result<(), Error> {
        let mut state = self.shared.state();
        if !state.is_subscribed() && !state.positions.is_empty() {
            let detail = "partitions were assigned by hand: unsubscribe() before subscribe()";
            return Err(Error::new(ErrorKind::Usage, detail));
        }
        if state.is_subscribed()
            && std::mem::discriminant(&state.interest) != std::mem::discriminant(&interest)
        {
            let detail = "the consumer is subscribed to topics and not to a pattern, or to a \
                          pattern and not to topics: unsubscribe() first";
            return Err(Error::new(ErrorKind::Usage, detail));
        }
        let Some(membership) = &mut state.membership else {
            let detail = "without group.id there is no group to share partitions with: set it, or \
                          assign() partitions";
            return Err(Error::new(ErrorKind::Usage, detail));
        };
        membership.subscribe(interest.clone())?;
        state.interest = interest;
        drop(state);
        *self.listener() = listener;
        self.wake();
        Ok(())
    }

    fn listener(&self) -> MutexGuard<'_, Option<Listener>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what is to be done about partitions that come and go. Only who polls may.
    pub(super) fn rebalance<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
    ) -> MutexGuard<'a, State> {
        let mut has_changed = false;
        while let Some(step) = state.membership.as_mut().and_then(Membership::step) {
            match &step {
                Step::Assign(new) => {
                    state.positions.add(new);
                    drop(state);
                    self.tell(|listener, consumer| listener.assigned(consumer, new));
                    state = self.shared.state();
                }
                Step::Revoke(gone) => {
                    drop(state);
                    self.commit_before_revoke();
                    self.tell(|listener, consumer| listener.revoked(consumer, gone));
                    state = self.drop_partitions(gone);
                }
                Step::Lost(gone) => {
                    drop(state);
                    self.tell(|listener, consumer| listener.lost(consumer, gone));
                    state = self.drop_partitions(gone);
                }
            }
            if let Some(membership) = &mut state.membership {
                membership.step_done();
            }
            has_changed = true;
        }
        if has_changed {
            self.wake();
        }
        state
    }

    fn drop_partitions(&self, gone: &[TopicPartition]) -> MutexGuard<'_, State> {
        let mut state = self.shared.state();
        state.positions.remove(gone);
        state.clean();
        state
    }

    /// Calls the listener, if there is one, without a lock: it may call the consumer.
    fn tell(&self, call: impl FnOnce(&mut dyn RebalanceListener, &Self)) {
        let taken = self.listener().take();
        let Some(mut listener) = taken else { return };
        call(&mut *listener, self);
        // It may have subscribed with another one.
        self.listener().get_or_insert(listener);
    }

    fn commit_before_revoke(&self) {
        if self.shared.settings.auto_commit.is_none() {
            return;
        }
        let offsets = self.shared.state().consumed();
        if let Err(error) = self.commit(offsets, true).and_then(Pending::wait) {
            log::warn!("offsets were not committed before partitions go: {error}");
        }
    }

    /// Before the end: tells the listener that all partitions go, and has the member leave.
    pub(super) fn leave_group(&self) {
        let state = self.shared.state();
        let (is_subscribed, is_member) = (state.is_subscribed(), state.identity().is_some());
        let all: Vec<TopicPartition> = state.positions.iter().map(|(of, _)| of.clone()).collect();
        drop(state);
        if is_subscribed && !all.is_empty() {
            self.tell(|listener, consumer| match is_member {
                true => listener.revoked(consumer, &all),
                false => listener.lost(consumer, &all),
            });
        }
        if let Some(membership) = &mut self.shared.state().membership {
            membership.leave();
        }
    }

    /// Notes that the user looks, and whether it goes on to.
    pub(super) fn polled(state: &mut State, is_polling: bool) {
        if let Some(membership) = &mut state.membership {
            membership.polled(is_polling, Instant::now());
        }
    }
}

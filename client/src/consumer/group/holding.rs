//! What a member has, and the step that its user's thread is at.

use std::collections::BTreeSet;

use super::Step;
use crate::partition::TopicPartition;

/// The partitions that the user's thread has taken and not given up.
#[derive(Debug, Default)]
pub(super) struct Holding {
    owned: BTreeSet<TopicPartition>,
    step: Option<Step>,
}

impl Holding {
    pub(super) fn owned(&self) -> &BTreeSet<TopicPartition> {
        &self.owned
    }

    /// The step that was begun and is not done.
    pub(super) fn step(&self) -> Option<&Step> {
        self.step.as_ref()
    }

    /// Begins a step, unless one was begun and is not done: whatever happens meanwhile, the user's
    /// thread ends it.
    pub(super) fn begin(&mut self, due: Option<Step>) -> Option<Step> {
        if self.step.is_none() {
            self.step = due;
        }
        self.step.clone()
    }

    /// The step is done; which it was.
    pub(super) fn done(&mut self) -> Option<Step> {
        let step = self.step.take()?;
        match &step {
            Step::Revoke(gone) | Step::Lost(gone) => {
                gone.iter().for_each(|partition| _ = self.owned.remove(partition));
            }
            Step::Assign(new) => self.owned.extend(new.iter().cloned()),
        }
        Some(step)
    }

    /// Whether there is nothing to give up, and no step on its way.
    pub(super) fn is_free(&self) -> bool {
        self.owned.is_empty() && self.step.is_none()
    }

    /// Whoever closes has given up all.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

//! Changes of the cluster that a client asks for, beside those of topics.

use ottla_metadata::controller::{Records, Refused};
use ottla_metadata::image::Image;

use crate::groups::group_config;
use crate::node::Node;

impl Node {
    /// Makes a change that touches no partition. `decide` says which records it takes and what to
    /// answer.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR when the metadata log cannot be written: nothing has changed then.
    pub(crate) fn change<T>(
        &self,
        decide: impl FnOnce(&Image) -> (Records, T),
    ) -> Result<T, Refused> {
        let changed = self.cluster.change(self.clock.now_ms(), decide, |_, _| {});
        changed.map_err(|error| self.not_written(&error))
    }

    /// [`Node::change`] for a change of features, of which groups depend on one, and with which
    /// settings of brokers may change.
    ///
    /// # Errors
    /// As [`Node::change`].
    pub(crate) fn change_features<T>(
        &self,
        decide: impl FnOnce(&Image) -> (Records, T),
    ) -> Result<T, Refused> {
        let changed = self.cluster.change(self.clock.now_ms(), decide, |before, after| {
            self.carry_out_configs(before, after, &[]);
            self.groups.set_config(group_config(&self.config, &self.statics, after));
        });
        self.note_cordoned();
        changed.map_err(|error| self.not_written(&error))
    }

    /// [`Node::change`] for a change of partitions that exist: who leads them, who holds them.
    ///
    /// # Errors
    /// As [`Node::change`].
    pub(crate) fn change_partitions<T>(
        &self,
        decide: impl FnOnce(&Image) -> (Records, T),
    ) -> Result<T, Refused> {
        let changed = self.cluster.change(self.clock.now_ms(), decide, |before, after| {
            self.carry_out(before, after, after.topics().iter().map(|topic| &*topic.name));
        });
        changed.map_err(|error| self.not_written(&error))
    }
}

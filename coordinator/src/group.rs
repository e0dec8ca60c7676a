//! Groups and their offsets: one shard for each partition of `__consumer_offsets`.

pub mod classic;
pub mod config;
pub mod consumer;
pub mod offsets;
pub mod state;

use std::collections::HashMap;
use std::sync::Arc;

use config::GroupConfig;

/// The groups of one partition of `__consumer_offsets`.
pub struct GroupShard {
    config: Arc<GroupConfig>,
    groups: HashMap<Arc<str>, Group>,
}

/// A group.
enum Group {}

impl GroupShard {
    /// A shard that holds nothing yet.
    pub fn new(config: Arc<GroupConfig>) -> Self {
        Self { config, groups: HashMap::new() }
    }

    /// Obeys other settings from now on.
    pub fn set_config(&mut self, config: Arc<GroupConfig>) {
        self.config = config;
    }

    /// How many groups there are.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }
}

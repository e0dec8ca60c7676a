//! Server-side assignors: which member shall have which partition.
//!
//! An assignor is a function of the members, what they subscribe to and what they were to have
//! before. It gives each partition of each subscribed topic to one subscriber of the topic.
//!
//! | name | sticky | balanced |
//! |---|---|---|
//! | `uniform` | yes | members with the same subscription differ by one partition at most |
//! | `range` | no | within each topic |

pub(super) mod range;
pub(super) mod uniform;

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::uuid::Uuid;

use super::partitions::TopicPartition;

/// A member, to an assignor.
#[derive(Clone, Debug)]
pub struct MemberSpec<'a> {
    /// The member's id.
    pub member_id: &'a str,
    /// The member's own lasting name.
    pub instance_id: Option<&'a str>,
    /// The ids of the existing topics that it subscribes to, sorted.
    pub topics: Arc<[Uuid]>,
    /// What it was to have until now, sorted.
    pub current: &'a [TopicPartition],
}

/// A group, to an assignor.
#[derive(Clone, Debug)]
pub struct GroupSpec<'a> {
    /// The members, sorted by id.
    pub members: Vec<MemberSpec<'a>>,
    /// How many partitions each topic has that a member subscribes to.
    pub partition_counts: BTreeMap<Uuid, i32>,
    /// Whether all members subscribe to the same topics.
    pub homogeneous: bool,
}

/// What each member shall have, sorted; in the order of the members.
pub type Assignment = Vec<Vec<TopicPartition>>;

/// An assignor of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    /// `uniform`.
    Uniform,
    /// `range`.
    Range,
}

impl Assignor {
    /// The assignor of this name, or of the name of the class that has it in Kafka.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "uniform" | "org.apache.kafka.coordinator.group.assignor.UniformAssignor" => {
                Some(Self::Uniform)
            }
            "range" | "org.apache.kafka.coordinator.group.assignor.RangeAssignor" => {
                Some(Self::Range)
            }
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// Assigns all partitions.
    pub fn assign(self, group: &GroupSpec<'_>) -> Assignment {
        let mut assignment = match self {
            _ if group.members.is_empty() => Vec::new(),
            Self::Uniform => uniform::assign(group),
            Self::Range => range::assign(group),
        };
        for partitions in &mut assignment {
            partitions.sort_unstable();
        }
        assignment
    }
}

impl GroupSpec<'_> {
    fn partition_count(&self, topic: Uuid) -> i32 {
        self.partition_counts.get(&topic).copied().unwrap_or(0)
    }

    /// The members that subscribe to each topic, by their place in `members`.
    fn subscribers(&self) -> BTreeMap<Uuid, Vec<usize>> {
        let mut subscribers: BTreeMap<Uuid, Vec<usize>> = BTreeMap::new();
        for (index, member) in self.members.iter().enumerate() {
            for topic in member.topics.iter() {
                subscribers.entry(*topic).or_default().push(index);
            }
        }
        subscribers
    }
}

#[cfg(test)]
mod tests;

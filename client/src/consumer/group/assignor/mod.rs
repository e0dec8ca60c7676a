//! Who gets which partition: what the leader of a classic group works out.
//!
//! | module | what it is |
//! |---|---|
//! | [`range`] | `range`: from members and topics alone, equal to Java's |
//! | [`even`] | `roundrobin`, likewise |
//! | [`sticky`] | `sticky` and `cooperative-sticky`: members keep what they have where possible |
//! | [`racks`] | who is near which partition |

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_protocol::wire::WriteError;

use super::protocol::{self, Subscription};
use crate::partition::TopicPartition;

pub(super) use racks::Racks;

mod even;
mod racks;
mod range;
mod sticky;
#[cfg(test)]
mod tests;

/// A way to assign partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assignor {
    /// Of each topic every member gets a run of partitions, the first members the longer runs.
    Range,
    /// All partitions of all topics are dealt out one by one.
    RoundRobin,
    /// As even as possible, and else as it was before. All partitions are given up first.
    Sticky,
    /// The same, where members give up only what goes to others.
    CooperativeSticky,
}

/// A member of the group, as its leader sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) instance_id: Option<String>,
    pub(super) subscription: Subscription,
}

/// The partitions of topics, by their numbers, each as the racks that it is in: none, unless a
/// member has told its own. Topics that do not exist are not in it.
pub(super) type Layout = BTreeMap<Arc<str>, Vec<Racks>>;

/// The partitions of all members by their ids, in order. Every member is in it.
pub(super) type Assignment = BTreeMap<String, Vec<TopicPartition>>;

impl Assignor {
    const ALL: [Self; 4] = [Self::Range, Self::RoundRobin, Self::Sticky, Self::CooperativeSticky];

    /// What members call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::Sticky => "sticky",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// By its name, or by that of Java's class.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let class = |assignor: Self| match assignor {
            Self::Range => "RangeAssignor",
            Self::RoundRobin => "RoundRobinAssignor",
            Self::Sticky => "StickyAssignor",
            Self::CooperativeSticky => "CooperativeStickyAssignor",
        };
        let short = name.strip_prefix("org.apache.kafka.clients.consumer.");
        let is_it = |it: &Self| it.name() == name || short == Some(class(*it));
        Self::ALL.into_iter().find(is_it)
    }

    /// Whether members may keep partitions over a rebalance (KIP-429).
    pub(super) fn is_cooperative(self) -> bool {
        self == Self::CooperativeSticky
    }

    /// What a member tells other members' assignors: what it `had`, and in which generation.
    pub(super) fn user_data(
        self,
        had: &[TopicPartition],
        generation: Option<i32>,
    ) -> Result<Option<Vec<u8>>, WriteError> {
        let generation = generation.unwrap_or(-1);
        match self {
            Self::Range | Self::RoundRobin => Ok(None),
            Self::Sticky if generation < 0 => Ok(None),
            Self::Sticky => protocol::sticky_data(had, generation).map(Some),
            Self::CooperativeSticky => Ok(Some(protocol::cooperative_data(generation))),
        }
    }

    /// Assigns all partitions of the topics that members want. The same input gives the same
    /// assignment, whatever the members' order.
    pub(super) fn assign(self, members: &[Member], layout: &Layout) -> Assignment {
        let mut members: Vec<&Member> = members.iter().collect();
        members.sort_by(|one, other| one.order(other));
        match self {
            Self::Range => range::range(&members, layout),
            Self::RoundRobin => even::round_robin(&members, layout),
            Self::Sticky => {
                let claims: Vec<_> = members.iter().map(|member| member.had()).collect();
                sticky::assign(&members, &claims, layout)
            }
            Self::CooperativeSticky => {
                let claims: Vec<_> = members.iter().map(|member| member.owned()).collect();
                let mut assigned = sticky::assign(&members, &claims, layout);
                withhold(&members, &mut assigned);
                assigned
            }
        }
    }
}

/// Partitions that a member says it has, and since which generation: -1 when it does not tell.
type Claim = (Vec<TopicPartition>, i32);

impl Member {
    /// Static members first, since their order is the same after a restart.
    fn order(&self, other: &Self) -> Ordering {
        match (&self.instance_id, &other.instance_id) {
            (Some(one), Some(other)) => one.cmp(other),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.id.cmp(&other.id),
        }
    }

    /// What it had before it gave up all, by the sticky assignor's data.
    fn had(&self) -> Claim {
        let data = self.subscription.user_data.as_deref();
        // Whose data cannot be read is treated as if it had nothing, as Java does.
        let read = data.and_then(|data| protocol::sticky_data_of(data).ok()).unwrap_or_default();
        (read.0, read.1.unwrap_or(-1))
    }

    /// What it still has.
    fn owned(&self) -> Claim {
        let subscription = &self.subscription;
        let told = subscription.generation;
        let data = || protocol::cooperative_data_of(subscription.user_data.as_deref()?);
        (subscription.owned.clone(), told.or_else(data).unwrap_or(-1))
    }
}

/// Takes out what would go from one member to another: it can be given only when it was given up,
/// at the rebalance that the member begins which does so.
fn withhold(members: &[&Member], assigned: &mut Assignment) {
    let mut added: BTreeSet<TopicPartition> = BTreeSet::new();
    let mut given_up: BTreeSet<TopicPartition> = BTreeSet::new();
    for member in members {
        let gets = assigned.get(&member.id).into_iter().flatten();
        let gets: BTreeSet<&TopicPartition> = gets.collect();
        let owned: BTreeSet<&TopicPartition> = member.subscription.owned.iter().collect();
        added.extend(gets.difference(&owned).map(|partition| (*partition).clone()));
        given_up.extend(owned.difference(&gets).map(|partition| (*partition).clone()));
    }
    for member in members {
        let owned: BTreeSet<&TopicPartition> = member.subscription.owned.iter().collect();
        let is_moving = |partition: &TopicPartition| {
            added.contains(partition) && given_up.contains(partition) && !owned.contains(partition)
        };
        if let Some(gets) = assigned.get_mut(&member.id) {
            gets.retain(|partition| !is_moving(partition));
        }
    }
}

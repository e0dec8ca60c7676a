//! The members of a classic group, and the counts that spare a look at all of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::effects::Ticket;

/// A member of a classic group.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::group) struct Member {
    /// The member's own lasting name, if it is a static member (KIP-345).
    pub instance_id: Option<Arc<str>>,
    /// The client id of the request with which it first joined.
    pub client_id: Arc<str>,
    /// The address that this request came from.
    pub client_host: Arc<str>,
    /// How long a rebalance waits for it.
    pub rebalance_timeout_ms: i32,
    /// It is dropped after this long without a sign of life.
    pub session_timeout_ms: i32,
    /// The protocols that it can use, the best first.
    pub protocols: Vec<Protocol>,
    /// Its assignment; empty when it has none.
    pub assignment: Arc<[u8]>,
    /// It has not been told its first generation yet.
    pub(super) is_new: bool,
    /// Its JoinGroup that waits.
    pub(super) join: Option<Ticket>,
    /// Its SyncGroup that waits.
    pub(super) sync: Option<Ticket>,
    /// It owes a SyncGroup for this generation.
    pub(super) owes_sync: bool,
}

/// A protocol that a member can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::group) struct Protocol {
    /// Its name: an assignor's, for consumers.
    pub name: Arc<str>,
    /// The member's subscription, in the protocol's own format.
    pub metadata: Arc<[u8]>,
}

impl Member {
    /// Its subscription in `protocol`.
    pub(in crate::group) fn metadata(&self, protocol: &str) -> Option<&Arc<[u8]>> {
        self.protocols.iter().find(|its| &*its.name == protocol).map(|its| &its.metadata)
    }

    /// Whether its session may not end now: an answer to it is owed, after which it has its whole
    /// session timeout again. A new one does not count, since it may be long gone.
    pub(super) fn is_waited_on(&self) -> bool {
        !self.is_new && (self.join.is_some() || self.sync.is_some())
    }
}

/// The members of a group. Whatever changes a member's `join`, `owes_sync` or protocols goes
/// through here, since these are counted.
#[derive(Clone, Debug, Default)]
pub(in crate::group) struct Members {
    /// By id; a map with an order, so that records and answers do not depend on chance.
    by_id: BTreeMap<Arc<str>, Member>,
    /// The ids of static members, by instance id.
    static_ids: HashMap<Arc<str>, Arc<str>>,
    /// Ids that were handed out, whose members have not joined with them yet (KIP-394).
    pending: HashSet<Arc<str>>,
    /// How many members can use each protocol.
    support: HashMap<Arc<str>, usize>,
    joins: usize,
    syncs_owed: usize,
    /// How many members were looked at while going through all of them.
    #[cfg(test)]
    pub(super) visits: std::cell::Cell<usize>,
}

impl Members {
    /// How many there are; those that are only pending do not count.
    pub(in crate::group) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub(in crate::group) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The member with this id.
    pub(in crate::group) fn get(&self, id: &str) -> Option<&Member> {
        self.by_id.get(id)
    }

    /// The member with this id, and the id to keep.
    pub(super) fn get_with_id(&self, id: &str) -> Option<(&Arc<str>, &Member)> {
        self.by_id.get_key_value(id)
    }

    /// All members in the order of their ids.
    pub(in crate::group) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Member)> {
        #[cfg(test)]
        self.visits.set(self.visits.get() + self.by_id.len());
        self.by_id.iter()
    }

    /// The first id in their order.
    pub(super) fn first_id(&self) -> Option<&Arc<str>> {
        self.by_id.keys().next()
    }

    /// The id of the static member with this instance id.
    pub(in crate::group) fn static_id(&self, instance_id: &str) -> Option<&Arc<str>> {
        self.static_ids.get(instance_id)
    }

    /// How many have a JoinGroup that waits.
    pub(super) fn joins(&self) -> usize {
        self.joins
    }

    /// Whether every member has a JoinGroup that waits, and nobody is pending.
    pub(super) fn have_all_joined(&self) -> bool {
        self.joins == self.by_id.len() && self.pending.is_empty()
    }

    /// How many owe a SyncGroup.
    pub(super) fn syncs_owed(&self) -> usize {
        self.syncs_owed
    }

    /// Whether this id was handed out and not used yet.
    pub(super) fn is_pending(&self, id: &str) -> bool {
        self.pending.contains(id)
    }

    /// Remembers an id that was handed out.
    pub(super) fn add_pending(&mut self, id: Arc<str>) {
        self.pending.insert(id);
    }

    /// Adds a member, or replaces the one of this id, whose tickets must be gone.
    pub(super) fn insert(&mut self, id: Arc<str>, member: Member) {
        self.remove(&id);
        if let Some(instance_id) = &member.instance_id {
            self.static_ids.insert(Arc::clone(instance_id), Arc::clone(&id));
        }
        self.joins += usize::from(member.join.is_some());
        self.syncs_owed += usize::from(member.owes_sync);
        self.count_support(&member.protocols);
        self.by_id.insert(id, member);
    }

    /// Takes a member out, or an id that is only pending. Its tickets are the caller's then.
    pub(super) fn remove(&mut self, id: &str) -> Option<Member> {
        self.pending.remove(id);
        let member = self.by_id.remove(id)?;
        if let Some(instance_id) = &member.instance_id
            && self.static_ids.get(instance_id).is_some_and(|its| &**its == id)
        {
            self.static_ids.remove(instance_id);
        }
        self.joins -= usize::from(member.join.is_some());
        self.syncs_owed -= usize::from(member.owes_sync);
        self.discount_support(&member.protocols);
        Some(member)
    }

    /// Changes anything of a member but its protocols and its instance id.
    pub(super) fn change<R>(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut Member) -> R,
    ) -> Option<R> {
        let member = self.by_id.get_mut(id)?;
        self.joins -= usize::from(member.join.is_some());
        self.syncs_owed -= usize::from(member.owes_sync);
        let result = change(member);
        self.joins += usize::from(member.join.is_some());
        self.syncs_owed += usize::from(member.owes_sync);
        Some(result)
    }

    /// As [`Members::change`], of all members.
    pub(super) fn change_all(&mut self, mut change: impl FnMut(&Arc<str>, &mut Member)) {
        #[cfg(test)]
        self.visits.set(self.visits.get() + self.by_id.len());
        self.joins = 0;
        self.syncs_owed = 0;
        for (id, member) in &mut self.by_id {
            change(id, member);
            self.joins += usize::from(member.join.is_some());
            self.syncs_owed += usize::from(member.owes_sync);
        }
    }

    /// Gives a member other protocols.
    pub(super) fn set_protocols(&mut self, id: &str, protocols: Vec<Protocol>) {
        let Some(member) = self.by_id.get_mut(id) else { return };
        let old = std::mem::replace(&mut member.protocols, protocols.clone());
        self.discount_support(&old);
        self.count_support(&protocols);
    }

    /// Whether all members can use `protocol`; without members they can use any.
    pub(super) fn all_support(&self, protocol: &str) -> bool {
        self.support.get(protocol).copied().unwrap_or(0) == self.by_id.len()
    }

    /// The protocol for all members: each votes for the first of its own that all can use.
    pub(super) fn vote(&self) -> Option<Arc<str>> {
        let mut votes: HashMap<&Arc<str>, usize> = HashMap::new();
        for (_, member) in self.iter() {
            let its = member.protocols.iter().find(|its| self.all_support(&its.name));
            if let Some(protocol) = its {
                *votes.entry(&protocol.name).or_default() += 1;
            }
        }
        let most = votes.into_iter().max_by_key(|(name, votes)| (*votes, tie_break(name)));
        most.map(|(name, _)| Arc::clone(name))
    }

    /// The longest of the members' rebalance timeouts; 0 without members.
    pub(super) fn rebalance_timeout_ms(&self) -> i32 {
        self.iter().map(|(_, member)| member.rebalance_timeout_ms).fold(0, i32::max)
    }

    fn count_support(&mut self, protocols: &[Protocol]) {
        for protocol in protocols {
            *self.support.entry(Arc::clone(&protocol.name)).or_default() += 1;
        }
    }

    fn discount_support(&mut self, protocols: &[Protocol]) {
        for protocol in protocols {
            let count = self.support.get_mut(&protocol.name).expect("each protocol is counted");
            *count -= 1;
            if *count == 0 {
                self.support.remove(&protocol.name);
            }
        }
    }
}

/// Of protocols with as many votes Kafka takes the one that comes first in a Java hash map of 16
/// places: so that a group keeps its protocol when it comes from there, the same one wins here.
fn tie_break(name: &str) -> (Reverse<i32>, Reverse<&str>) {
    let hash = name
        .encode_utf16()
        .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    (Reverse((hash ^ ((hash as u32) >> 16) as i32) & 15), Reverse(name))
}

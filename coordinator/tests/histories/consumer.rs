//! Clients of consumer groups (KIP-848): they say what they want and have, and are told what to
//! have.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, TopicPartitions,
};
use ottla_protocol::uuid::Uuid;

use super::world::{World, caller, tell};

type Partitions = BTreeSet<(Uuid, i32)>;

/// The epochs of a member that leaves, for good and for a while.
const LEAVE_EPOCH: i32 = -1;
const STATIC_LEAVE_EPOCH: i32 = -2;

/// A client of a consumer group.
pub(super) struct ConsumerClient {
    pub(super) name: String,
    pub(super) group: String,
    pub(super) instance: Option<String>,
    /// Version of its ConsumerGroupHeartbeat.
    pub(super) version: i16,
    pub(super) rebalance_timeout_ms: i32,
    pub(super) assignor: Option<&'static str>,
    pub(super) wants: Vec<String>,
    pub(super) is_alive: bool,
    pub(super) member_id: String,
    /// 0 until it has joined.
    pub(super) epoch: i32,
    pub(super) owned: Partitions,
    /// What it was told to own, until it does.
    pub(super) assigned: Option<Partitions>,
    /// Whether the coordinator does not know yet what it owns or wants.
    pub(super) has_news: bool,
}

impl World {
    /// The client takes what it was given, and sends a heartbeat.
    pub(super) fn act_consumer(&mut self, client: usize) {
        if !self.consumers[client].is_alive {
            return;
        }
        if let Some(assigned) = self.consumers[client].assigned.take() {
            self.adopt(client, assigned);
        }
        let it = &self.consumers[client];
        let epoch = it.epoch;
        if epoch == 0 && it.version > 0 && it.member_id.is_empty() {
            let id = Uuid::from_u64s(self.chance.bits(), self.chance.bits());
            self.consumers[client].member_id = id.to_string();
        }
        let it = &mut self.consumers[client];
        let tells_all = epoch == 0 || std::mem::take(&mut it.has_news);
        let it = &self.consumers[client];
        let (name, group, version) = (it.name.clone(), it.group.clone(), it.version);
        let (member_id, instance) = (it.member_id.clone(), it.instance.clone());
        let wants = it.wants.clone();
        let owned = by_topic(&it.owned);
        tell!(self, "{name} of {group} beats as {member_id:?} {instance:?} at {epoch}");
        let request = ConsumerGroupHeartbeatRequest {
            group_id: &group,
            member_id: &member_id,
            member_epoch: epoch,
            instance_id: instance.as_deref(),
            rebalance_timeout_ms: if tells_all { it.rebalance_timeout_ms } else { -1 },
            subscribed_topic_names: tells_all.then(|| wants.iter().map(String::as_str).collect()),
            server_assignor: it.assignor.filter(|_| tells_all),
            topic_partitions: tells_all.then_some(owned),
            ..ConsumerGroupHeartbeatRequest::default()
        };
        let effects =
            self.on(|shard, cx| shard.consumer_heartbeat(&request, &caller(&name, version), cx));
        let (answer, failed) = self.carry_out(effects);
        tell!(self, "  {answer:?}");
        let it = &mut self.consumers[client];
        if failed.is_some() {
            it.has_news = true;
            return;
        }
        if answer.error != ErrorCode::NONE {
            return self.refused_consumer(client, answer.error);
        }
        assert!(answer.member_epoch >= it.epoch, "an epoch went back");
        it.epoch = answer.member_epoch;
        it.member_id = answer.member_id.unwrap().to_string();
        if let Some(assignment) = answer.assignment {
            let all = assignment.into_iter();
            it.assigned = Some(
                all.flat_map(|it| it.partitions.into_iter().map(move |at| (it.topic_id, at)))
                    .collect(),
            );
        }
    }

    /// The client gives up what it is no longer to have and takes the rest, which nobody else of
    /// the group may have then.
    fn adopt(&mut self, client: usize, assigned: Partitions) {
        let group = self.consumers[client].group.clone();
        let (_, members) = self.describe(&group);
        for other in &self.consumers {
            // One that was dropped from the group and does not know it yet is no owner.
            let is_other = other.name != self.consumers[client].name
                && members.contains(&self.consumers[client].member_id);
            if is_other && other.group == group && members.contains(&other.member_id) {
                let both: Vec<_> = other.owned.intersection(&assigned).collect();
                let new: Vec<_> =
                    both.iter().filter(|it| !self.consumers[client].owned.contains(it)).collect();
                assert!(new.is_empty(), "{} is given {new:?} of {}", client, other.name);
            }
        }
        let it = &mut self.consumers[client];
        it.has_news |= it.owned != assigned;
        it.owned = assigned;
    }

    fn refused_consumer(&mut self, client: usize, error: ErrorCode) {
        let it = &mut self.consumers[client];
        match error {
            ErrorCode::FENCED_MEMBER_EPOCH
            | ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::GROUP_ID_NOT_FOUND => {
                it.epoch = 0;
                it.owned.clear();
                it.assigned = None;
            }
            // A classic group that has chosen no protocol yet cannot be converted; clients take
            // that for fatal.
            ErrorCode::UNKNOWN_SERVER_ERROR if self.is_mixed => self.crash_consumer(client),
            // Another client has the same instance id.
            ErrorCode::UNRELEASED_INSTANCE_ID | ErrorCode::FENCED_INSTANCE_ID => {
                self.crash_consumer(client);
            }
            error => panic!("a client that does nothing wrong gets {error:?}"),
        }
    }

    /// The client is gone without a word.
    pub(super) fn crash_consumer(&mut self, client: usize) {
        let it = &mut self.consumers[client];
        tell!(self, "{} is gone", it.name);
        it.is_alive = false;
        it.member_id.clear();
        it.epoch = 0;
        it.owned.clear();
        it.assigned = None;
    }

    /// The client leaves; a static member often only for a while.
    pub(super) fn leave_consumer(&mut self, client: usize) {
        let it = &self.consumers[client];
        if it.epoch > 0 {
            let (name, group, version) = (it.name.clone(), it.group.clone(), it.version);
            let (member_id, instance) = (it.member_id.clone(), it.instance.clone());
            let for_a_while = instance.is_some() && self.chance.one_in(2);
            let member_epoch = if for_a_while { STATIC_LEAVE_EPOCH } else { LEAVE_EPOCH };
            tell!(self, "{name} leaves {group}: {member_epoch}");
            let request = ConsumerGroupHeartbeatRequest {
                group_id: &group,
                member_id: &member_id,
                member_epoch,
                instance_id: instance.as_deref(),
                ..ConsumerGroupHeartbeatRequest::default()
            };
            let effects = self
                .on(|shard, cx| shard.consumer_heartbeat(&request, &caller(&name, version), cx));
            let (answer, _) = self.carry_out(effects);
            tell!(self, "  {answer:?}");
        }
        self.crash_consumer(client);
    }
}

fn by_topic(partitions: &Partitions) -> Vec<TopicPartitions> {
    let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in partitions {
        topics.entry(*topic).or_default().push(*partition);
    }
    let topics = topics.into_iter();
    topics.map(|(topic_id, partitions)| TopicPartitions { topic_id, partitions }).collect()
}

//! The group coordinator's shell: where the state machine of `ottla-coordinator` meets logs, clocks
//! and connections.
//!
//! Each partition of `__consumer_offsets` has a `host::ShardHost`. A request is given to the host
//! of its group, runs the state machine under the host's lock, writes what that asks for to the
//! partition, and is answered. Requests that wait leave their reply with the host.

mod host;
mod load;
mod parked;
mod settings;
mod view;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use ottla_coordinator::context::{Context, Now};
use ottla_coordinator::effects::{Effects, Ticket};
use ottla_coordinator::group::GroupShard;
use ottla_coordinator::group::config::GroupConfig;
use ottla_coordinator::group::offsets::DeletedTopic;
use ottla_metadata::controller::{CreateTopics, NewTopic};
use ottla_network::Reply;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::uuid::Uuid;

pub(crate) use self::load::replay_bytes;
pub(crate) use self::settings::group_config;

use self::host::ShardHost;
use crate::api::Envelope;
use crate::node::Node;
use crate::topics::Topic;

/// The topic that holds all groups.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// The hosts of this broker's shards, by the number of their partition.
#[derive(Default)]
struct Hosts {
    topic_id: Uuid,
    by_partition: Vec<Option<Arc<ShardHost>>>,
}

/// What came of a request that may have to wait.
pub enum Ran<T> {
    /// Its answer.
    Answered(T),
    /// The answer comes later.
    Waits(Waiting),
}

/// A request that waits for its group.
pub struct Waiting {
    /// Where the answer comes to, even if the group has found another host meanwhile.
    host: Arc<ShardHost>,
    ticket: Ticket,
}

impl Waiting {
    /// Keeps the reply until the answer comes, which may be there already.
    pub fn park(self, envelope: Envelope, reply: Reply) {
        self.host.park(self.ticket, envelope, reply);
    }
}

/// The group coordinator of this broker.
pub struct Groups {
    config: ArcSwap<GroupConfig>,
    hosts: ArcSwap<Hosts>,
    /// Held while hosts come and go.
    changing: Mutex<()>,
    next_ticket: AtomicU64,
    is_stopping: AtomicBool,
}

impl Groups {
    /// A coordinator without any groups yet.
    pub fn new(config: GroupConfig) -> Self {
        Self {
            config: ArcSwap::from_pointee(config),
            hosts: ArcSwap::default(),
            changing: Mutex::new(()),
            next_ticket: AtomicU64::new(0),
            is_stopping: AtomicBool::new(false),
        }
    }

    /// Obeys other settings from now on.
    pub fn set_config(&self, config: GroupConfig) {
        let config = Arc::new(config);
        self.config.store(Arc::clone(&config));
        for host in self.all() {
            host.set_config(Arc::clone(&config));
        }
    }

    /// Runs an event of a group: `act` is given the group's shard. Returns the answer when what it
    /// tells of is written.
    ///
    /// # Errors
    /// What the client is told when the shard is not to be had, or its log cannot be written.
    pub fn run<T>(
        &self,
        node: &Node,
        group_id: &str,
        act: impl FnOnce(&mut GroupShard, &Context<'_>) -> Effects<T>,
    ) -> Result<T, ErrorCode> {
        self.host(group_id)?.run(node, Uuid::ZERO, act)
    }

    /// [`Groups::run`] of an event that may name something new.
    ///
    /// # Errors
    /// As [`Groups::run`].
    pub fn run_with_id<T>(
        &self,
        node: &Node,
        group_id: &str,
        act: impl FnOnce(&mut GroupShard, &Context<'_>) -> Effects<T>,
    ) -> Result<T, ErrorCode> {
        let fresh_id = crate::format::fresh_id(node.entropy);
        self.host(group_id)?.run(node, fresh_id, act)
    }

    /// [`Groups::run_with_id`] of a request that may have to wait.
    ///
    /// # Errors
    /// As [`Groups::run`].
    pub fn run_waiting<T>(
        &self,
        node: &Node,
        group_id: &str,
        act: impl FnOnce(&mut GroupShard, Ticket, &Context<'_>) -> Effects<Option<T>>,
    ) -> Result<Ran<T>, ErrorCode> {
        let ticket = Ticket(self.next_ticket.fetch_add(1, Ordering::Relaxed));
        let fresh_id = crate::format::fresh_id(node.entropy);
        let host = self.host(group_id)?;
        let ran = host.run(node, fresh_id, |shard, context| act(shard, ticket, context))?;
        Ok(ran.map_or_else(|| Ran::Waits(Waiting { host, ticket }), Ran::Answered))
    }

    /// Calls `look` with the shards of groups, one for each id, none of which changes meanwhile.
    /// For those that are not to be had it is given what to tell the client.
    pub fn look<T>(
        &self,
        node: &Node,
        group_ids: &[&str],
        look: impl FnOnce(&[Result<&GroupShard, ErrorCode>], &Context<'_>) -> T,
    ) -> T {
        let hosts: Vec<_> = group_ids.iter().map(|id| self.host(id)).collect();
        host::look(node, &hosts, look)
    }

    /// Calls `look` with every shard there is.
    pub fn look_at_all<T>(
        &self,
        node: &Node,
        look: impl FnOnce(&[Result<&GroupShard, ErrorCode>], &Context<'_>) -> T,
    ) -> T {
        let hosts: Vec<_> = self.all().into_iter().map(Ok).collect();
        host::look(node, &hosts, look)
    }

    /// Makes the topic of the groups if it is not there.
    ///
    /// # Errors
    /// COORDINATOR_NOT_AVAILABLE when it cannot be made.
    pub fn prepare(&self, node: &Node) -> Result<(), ErrorCode> {
        if !self.hosts.load().by_partition.is_empty() {
            return Ok(());
        }
        let settings = &node.config.offsets;
        let image = node.cluster.image();
        let active = image.brokers().values().filter(|broker| broker.is_active()).count();
        let brokers = i16::try_from(active).unwrap_or(i16::MAX);
        let segment_bytes = settings.offsets_topic_segment_bytes.to_string();
        let topic = NewTopic {
            name: OFFSETS_TOPIC,
            num_partitions: settings.offsets_topic_num_partitions,
            // Three by default, which one broker can never have.
            replication_factor: settings.offsets_topic_replication_factor.min(brokers),
            assignments: Vec::new(),
            configs: vec![
                ("cleanup.policy", Some("compact")),
                ("compression.type", Some("producer")),
                ("segment.bytes", Some(&segment_bytes)),
            ],
        };
        let asked = CreateTopics { topics: vec![topic], validate_only: false };
        for (_, created) in node.create_topics(&asked) {
            match created {
                Err(refused) if refused.code != ErrorCode::TOPIC_ALREADY_EXISTS => {
                    let said = format_args!("cannot create {OFFSETS_TOPIC}: {refused}");
                    node.failures.say(log::Level::Error, said);
                    return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes on the partitions of the groups' topic that are served now, and gives up those that
    /// are not, or not any more. What was given up is loaded anew when it comes back.
    pub fn follow(&self, node: &Node) {
        let _changing = self.changing();
        if self.is_stopping.load(Ordering::SeqCst) {
            return;
        }
        let topic = node.topics.by_name(OFFSETS_TOPIC);
        let old = self.hosts.load_full();
        let mut hosts = Hosts::default();
        if let Some(topic) = &topic {
            hosts = self.hosts_of(node, topic, &old);
        }
        let kept = |host: &Arc<ShardHost>| {
            hosts.by_partition.iter().flatten().any(|kept| Arc::ptr_eq(kept, host))
        };
        let gone: Vec<_> =
            old.by_partition.iter().flatten().filter(|host| !kept(host)).cloned().collect();
        let new: Vec<_> = hosts.by_partition.iter().flatten().cloned().collect();
        self.hosts.store(Arc::new(hosts));
        for host in gone {
            host.close(ErrorCode::NOT_COORDINATOR);
        }
        load::start(node, new.into_iter().filter(|host| host.is_new()).collect());
    }

    fn hosts_of(&self, node: &Node, topic: &Topic, old: &Hosts) -> Hosts {
        let is_same = old.topic_id == topic.id;
        let host = |index: i32| {
            let partition = topic.partition(index).cloned().ok()?;
            let known = old.by_partition.get(index as usize).cloned().flatten();
            if let Some(known) = known.filter(|known| is_same && !known.is_closed()) {
                known.set_partition(partition);
                return Some(known);
            }
            Some(Arc::new(ShardHost::new(
                index,
                partition,
                self.config.load_full(),
                node.me.clone(),
            )))
        };
        Hosts { topic_id: topic.id, by_partition: (0..topic.partition_count()).map(host).collect() }
    }

    /// Forgets the offsets of topics that are gone.
    pub fn forget_topics(&self, node: &Node, topics: &[DeletedTopic<'_>]) {
        if topics.is_empty() {
            return;
        }
        for host in self.all() {
            host.run_each(node, host::now(node), |shard, cx| shard.forget_topics(topics, cx));
        }
    }

    /// Lets offsets expire, by the time by which logs do: that a clock has jumped ahead makes no
    /// offset old.
    pub fn expire_offsets(&self, node: &Node) {
        let wall_ms = node.logs.trusted_now(node.clock.moment()).now_ms;
        for host in self.all() {
            let now = Now { wall_ms, ..host::now(node) };
            host.run_each(node, now, GroupShard::expire_offsets);
        }
    }

    /// Gives up what lies in a log directory that has failed: nothing can be written there.
    pub(crate) fn close_offline(&self) {
        let is_offline = |host: &Arc<ShardHost>| !host.partition().log.log_dir().is_online();
        for host in self.all().into_iter().filter(is_offline) {
            host.close(ErrorCode::NOT_COORDINATOR);
        }
    }

    /// Answers all that wait, and takes no more.
    pub fn stop(&self) {
        let _changing = self.changing();
        self.is_stopping.store(true, Ordering::SeqCst);
        for host in self.all() {
            host.close(ErrorCode::COORDINATOR_NOT_AVAILABLE);
        }
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> Vec<Arc<ShardHost>> {
        self.hosts.load().by_partition.iter().flatten().cloned().collect()
    }

    fn host(&self, group_id: &str) -> Result<Arc<ShardHost>, ErrorCode> {
        if self.is_stopping.load(Ordering::SeqCst) {
            return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
        }
        let hosts = self.hosts.load();
        let place = partition_of(group_id, hosts.by_partition.len());
        let host = place.and_then(|place| hosts.by_partition[place].clone());
        host.ok_or(ErrorCode::NOT_COORDINATOR)
    }
}

/// The partition that a group or a transactional id belongs to, of so many: the absolute value of
/// Java's `String.hashCode`, which is 0 for the one number that has none (Kafka: `Utils.abs`).
fn partition_of(id: &str, partition_count: usize) -> Option<usize> {
    let hash =
        id.encode_utf16().fold(0_i32, |h, unit| h.wrapping_mul(31).wrapping_add(i32::from(unit)));
    (hash.checked_abs().unwrap_or(0) as usize).checked_rem(partition_count)
}

#[cfg(test)]
mod tests;

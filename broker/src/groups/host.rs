//! One shard of the coordinator, with its partition, its timer and the replies that wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use ottla_coordinator::context::{Context, Now};
use ottla_coordinator::effects::{Answer, Effects, Then, Ticket, Write, append_error};
use ottla_coordinator::group::GroupShard;
use ottla_coordinator::group::config::GroupConfig;
use ottla_coordinator::record::Record;
use ottla_network::Reply;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, BuildError, NewRecord};
use ottla_protocol::record::compression::{Codec, Compression};
use ottla_protocol::uuid::Uuid;
use ottla_storage::log::AppendAsLeader;
use ottla_storage::producer_state::{Origin, VerificationGuard};
use ottla_storage::validate::Validated;

use super::parked::Parked;
use super::view::View;
use crate::api::Envelope;
use crate::delayed::{DelayedOperation, Event, OperationId, TimerKey};
use crate::errors;
use crate::node::Node;
use crate::topics::Partition;

/// When deadlines have had a shard for so long, requests get it for [`TICK_GAP`]: whoever lets a
/// lock go and takes it again at once is faster than those who wait for it.
const TICK_SLICE: Duration = Duration::from_millis(1);
const TICK_GAP: Duration = Duration::from_micros(200);

/// The shard of one partition.
pub(super) struct ShardHost {
    index: i32,
    /// Replaced when it is led in another epoch.
    partition: ArcSwap<Partition>,
    node: Weak<Node>,
    state: Mutex<State>,
    parked: Parked,
}

enum State {
    /// Nobody has begun to load it.
    New(Arc<GroupConfig>),
    Loading(Arc<GroupConfig>),
    Serving(Box<Serving>),
    /// It could not be loaded, or was given up.
    Closed(ErrorCode),
}

struct Serving {
    shard: GroupShard,
    /// The deadline that the timer knows, in ms of the clock that never goes back.
    armed: Option<(i64, TimerKey)>,
}

/// Answers that go out when no lock is held any more.
type Answers = Vec<(Ticket, Answer)>;

impl ShardHost {
    pub(super) fn new(
        index: i32,
        partition: Arc<Partition>,
        config: Arc<GroupConfig>,
        node: Weak<Node>,
    ) -> Self {
        let (state, parked) = (Mutex::new(State::New(config)), Parked::default());
        let partition = ArcSwap::new(partition);
        Self { index, partition, node, state, parked }
    }

    /// The partition as operators know it.
    pub(super) fn name(&self) -> String {
        format!("{}-{}", super::OFFSETS_TOPIC, self.index)
    }

    pub(super) fn partition(&self) -> Arc<Partition> {
        self.partition.load_full()
    }

    /// Goes on with the partition as it is led now.
    pub(super) fn set_partition(&self, partition: Arc<Partition>) {
        self.partition.store(partition);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_new(&self) -> bool {
        matches!(*self.state(), State::New(_))
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(*self.state(), State::Closed(_))
    }

    pub(super) fn set_config(&self, config: Arc<GroupConfig>) {
        match &mut *self.state() {
            State::New(known) | State::Loading(known) => *known = config,
            State::Serving(serving) => serving.shard.set_config(config),
            State::Closed(_) => {}
        }
    }

    /// Says that it is being loaded; `None` when somebody else does that.
    pub(super) fn begin_loading(&self) -> Option<GroupShard> {
        let mut state = self.state();
        let State::New(config) = &*state else { return None };
        let config = Arc::clone(config);
        *state = State::Loading(Arc::clone(&config));
        Some(GroupShard::new(config))
    }

    /// Serves what was loaded, unless the host was given up meanwhile.
    pub(super) fn serve(self: &Arc<Self>, node: &Node, mut shard: GroupShard) {
        let mut answers = Vec::new();
        let mut state = self.state();
        let State::Loading(config) = &*state else { return };
        shard.set_config(Arc::clone(config));
        let mut serving = Box::new(Serving { shard, armed: None });
        // Before anybody comes: a member that joins has another deadline than those that are there.
        self.carry_out_each(node, &mut serving, now(node), GroupShard::loaded, &mut answers);
        *state = State::Serving(serving);
        drop(state);
        self.parked.answer(answers);
    }

    /// Answers all that wait, and refuses what comes with `error`.
    pub(super) fn close(&self, error: ErrorCode) {
        let mut state = self.state();
        let answers = match &mut *state {
            State::Serving(serving) => serving.shard.close(error),
            _ => Vec::new(),
        };
        *state = State::Closed(error);
        drop(state);
        self.parked.answer(answers);
    }

    pub(super) fn park(&self, ticket: Ticket, envelope: Envelope, reply: Reply) {
        self.parked.park(ticket, envelope, reply);
    }

    /// Runs one event.
    pub(super) fn run<T>(
        self: &Arc<Self>,
        node: &Node,
        fresh_id: Uuid,
        act: impl FnOnce(&mut GroupShard, &Context<'_>) -> Effects<T>,
    ) -> Result<T, ErrorCode> {
        let mut answers = Vec::new();
        let result = self.serving(|serving| {
            let view = View(node.cluster.image());
            let context = Context { now: now(node), cluster: &view, fresh_id };
            let effects = act(&mut serving.shard, &context);
            let result = self.carry_out(node, serving, effects, &context, &mut answers);
            self.arm(node, serving);
            result
        });
        self.parked.answer(answers);
        result?
    }

    /// Runs what happens to several groups at once.
    pub(super) fn run_each(
        self: &Arc<Self>,
        node: &Node,
        now: Now,
        act: impl FnOnce(&mut GroupShard, &Context<'_>) -> Vec<Effects>,
    ) {
        let mut answers = Vec::new();
        // A shard that is not served has nothing to do.
        let _ = self.serving(|serving| self.carry_out_each(node, serving, now, act, &mut answers));
        self.parked.answer(answers);
    }

    fn carry_out_each(
        self: &Arc<Self>,
        node: &Node,
        serving: &mut Serving,
        now: Now,
        act: impl FnOnce(&mut GroupShard, &Context<'_>) -> Vec<Effects>,
        answers: &mut Answers,
    ) {
        let view = View(node.cluster.image());
        let context = Context { now, cluster: &view, fresh_id: Uuid::ZERO };
        for effects in act(&mut serving.shard, &context) {
            // The failure was said where it happened. What is left was decided on the assumption
            // that this would be written.
            if self.carry_out(node, serving, effects, &context, answers).is_err() {
                break;
            }
        }
        self.arm(node, serving);
    }

    fn serving<T>(&self, act: impl FnOnce(&mut Serving) -> T) -> Result<T, ErrorCode> {
        match &mut *self.state() {
            State::New(_) | State::Loading(_) => Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
            State::Serving(serving) => Ok(act(serving)),
            State::Closed(error) => Err(*error),
        }
    }

    /// Writes what an event asks for and lets the shard go on from there.
    fn carry_out<T>(
        &self,
        node: &Node,
        serving: &mut Serving,
        effects: Effects<T>,
        context: &Context<'_>,
        answers: &mut Answers,
    ) -> Result<T, ErrorCode> {
        let Effects { write, response, answers: sent } = effects;
        answers.extend(sent);
        let mut result = Ok(response);
        let mut next = write;
        while let Some(write) = next {
            let written = self.append(node, &write, context.now.wall_ms);
            // A classic group answers for itself in either case: by its ticket.
            let answers_itself = matches!(write.then, Then::Classic(_));
            if let Err(error) = written
                && !answers_itself
                && result.is_ok()
            {
                result = Err(append_error(error));
            }
            let Effects { write, response: (), answers: sent } =
                serving.shard.complete(write, written, context);
            answers.extend(sent);
            next = write;
        }
        result
    }

    /// Appends what is to be written; the offset of the first record.
    fn append(&self, node: &Node, write: &Write, now_ms: i64) -> Result<i64, ErrorCode> {
        let partition = self.partition.load();
        let settings = partition.settings.load();
        if !partition.is_in_sync(&settings) {
            let said = format_args!("{}: min.insync.replicas is more than there are", self.name());
            node.failures.say(log::Level::Warn, said);
            return Err(ErrorCode::NOT_ENOUGH_REPLICAS);
        }
        let batch = match build(&write.records, now_ms, compression(node)) {
            Ok(batch) if batch.len() <= settings.log.max_message_bytes as usize => batch,
            Ok(_) | Err(_) => {
                let said = format_args!("{}: a group's records are too large", self.name());
                node.failures.say(log::Level::Warn, said);
                return Err(ErrorCode::MESSAGE_TOO_LARGE);
            }
        };
        let validated = Validated::from_built(batch).map_err(|_| ErrorCode::CORRUPT_MESSAGE)?;
        let how = AppendAsLeader {
            leader_epoch: partition.leader_epoch,
            now_ms,
            origin: Origin::Coordinator,
            guard: VerificationGuard::NONE,
        };
        match partition.log.append_as_leader(&validated, how) {
            Ok(appended) => {
                partition.fetches.signal(Event::Appended(validated.size_bytes()));
                Ok(appended.base_offset)
            }
            Err(error) => {
                let said = format_args!("partition {}: {error}", self.name());
                node.failures.say(log::Level::Error, said);
                Err(errors::of_append(&error))
            }
        }
    }

    /// Tells the timer of an earlier deadline than it knows.
    fn arm(self: &Arc<Self>, node: &Node, serving: &mut Serving) {
        let Some(due_ms) = serving.shard.next_deadline_ms() else { return };
        if serving.armed.is_some_and(|(armed_ms, _)| armed_ms <= due_ms) {
            return;
        }
        if let Some((_, key)) = serving.armed.take() {
            node.group_timer.remove(key);
        }
        let delay = due_ms.saturating_sub(node.clock.monotonic_ms());
        let delay = Duration::from_millis(u64::try_from(delay).unwrap_or(0));
        let key = TimerKey::after(delay, OperationId::next());
        serving.armed = Some((due_ms, key));
        let due = Due { host: Arc::downgrade(self), node: Weak::clone(&self.node) };
        node.group_timer.add(key, Arc::new(due));
    }

    /// Does what is due. Thousands of members may be late at once: between two of them requests
    /// get their turn.
    fn tick(self: &Arc<Self>, node: &Node) {
        // A shard that is not served has nothing to do.
        let _ = self.serving(|serving| serving.armed = None);
        let mut begun = Instant::now();
        while self.tick_once(node) {
            if begun.elapsed() >= TICK_SLICE {
                std::thread::sleep(TICK_GAP);
                begun = Instant::now();
            }
        }
    }

    /// Does what one deadline that has passed calls for; false when none has.
    fn tick_once(self: &Arc<Self>, node: &Node) -> bool {
        let mut answers = Vec::new();
        let ticked = self.serving(|serving| {
            let view = View(node.cluster.image());
            let context = Context { now: now(node), cluster: &view, fresh_id: Uuid::ZERO };
            let Some(effects) = serving.shard.tick(&context) else {
                self.arm(node, serving);
                return false;
            };
            // Whoever waits is answered in either case, and the failure was said.
            let _ = self.carry_out(node, serving, effects, &context, &mut answers);
            true
        });
        self.parked.answer(answers);
        ticked.unwrap_or(false)
    }
}

/// Calls `look` with the shards of `hosts`, one for each.
pub(super) fn look<T>(
    node: &Node,
    hosts: &[Result<Arc<ShardHost>, ErrorCode>],
    look: impl FnOnce(&[Result<&GroupShard, ErrorCode>], &Context<'_>) -> T,
) -> T {
    // Locks are taken once each and in the order of the partitions: everybody else holds one.
    let mut guards = BTreeMap::new();
    let by_index: BTreeMap<i32, &Arc<ShardHost>> =
        hosts.iter().flatten().map(|host| (host.index, host)).collect();
    for (index, host) in by_index {
        guards.insert(index, host.state());
    }
    let shard = |host: &Result<Arc<ShardHost>, ErrorCode>| match host {
        Ok(host) => match &*guards[&host.index] {
            State::New(_) | State::Loading(_) => Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
            State::Serving(serving) => Ok(&serving.shard),
            State::Closed(error) => Err(*error),
        },
        Err(error) => Err(*error),
    };
    let shards: Vec<_> = hosts.iter().map(shard).collect();
    let view = View(node.cluster.image());
    look(&shards, &Context { now: now(node), cluster: &view, fresh_id: Uuid::ZERO })
}

/// A deadline of a shard, in the timer of all shards.
struct Due {
    host: Weak<ShardHost>,
    node: Weak<Node>,
}

impl DelayedOperation for Due {
    fn on_event(&self, _: Event) {}

    fn on_deadline(&self) {
        if let (Some(host), Some(node)) = (self.host.upgrade(), self.node.upgrade()) {
            host.tick(&node);
        }
    }
}

/// The time of an event.
pub(super) fn now(node: &Node) -> Now {
    Now { wall_ms: node.clock.now_ms(), mono_ms: node.clock.monotonic_ms() }
}

/// `offsets.topic.compression.codec`, a codec's number.
fn compression(node: &Node) -> Compression {
    let number = node.config.offsets.offsets_topic_compression_codec;
    let codec = u8::try_from(number).ok().and_then(Codec::from_id);
    codec.map_or(Compression::NONE, Compression::new)
}

/// One batch of all records, framed as Kafka's coordinators frame theirs: without a producer, yet
/// with the sequence 0.
fn build(records: &[Record], now_ms: i64, compression: Compression) -> Result<Vec<u8>, BuildError> {
    let mut builder =
        BatchBuilder::new(BatchOptions { base_sequence: 0, compression, ..Default::default() })?;
    for Record { key, value } in records {
        builder.append(&NewRecord {
            timestamp: now_ms,
            key: Some(key),
            value: value.as_deref(),
            headers: &[],
        })?;
    }
    builder.build()
}

//! A world: a shard, what is around it, and what must hold in it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ottla_coordinator::context::{Caller, Context, Now};
use ottla_coordinator::effects::{Answer, Effects, Ticket};
use ottla_coordinator::group::GroupShard;
use ottla_coordinator::group::config::GroupConfig;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::internal::classic_group::GroupMetadataValue;
use ottla_protocol::internal::{GroupKey, read_value};
use ottla_protocol::messages::offset_fetch::OffsetFetchRequestGroup;
use ottla_protocol::uuid::Uuid;

use super::chance::Chance;
use super::classic::{ClassicClient, Round};
use super::consumer::ConsumerClient;
use super::ledger::Ledger;
use super::log::{Entry, Log};
use super::topics::Topics;

pub(super) const GROUPS: [&str; 2] = ["g", "h"];
/// Offsets expire soon, so that they do within a history.
pub(super) const RETENTION_MS: i64 = 90_000;
const WRITE_ERRORS: [ErrorCode; 4] = [
    ErrorCode::NOT_LEADER_OR_FOLLOWER,
    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode::KAFKA_STORAGE_ERROR,
    ErrorCode::MESSAGE_TOO_LARGE,
];

/// The life of a client of which nothing is expected.
const NOBODY: u32 = u32::MAX;

pub(super) struct World {
    pub chance: Chance,
    pub shard: GroupShard,
    pub config: Arc<GroupConfig>,
    pub log: Log,
    pub topics: Topics,
    pub now: Now,
    pub ledger: Ledger,
    pub classic: Vec<ClassicClient>,
    pub consumers: Vec<ConsumerClient>,
    /// Which client waits under a ticket, in which of its lives.
    pub waiting: HashMap<Ticket, (usize, u32)>,
    /// The rounds of classic groups, by group and generation.
    pub rounds: BTreeMap<(String, i32), Round>,
    /// One in so many writes fails; 0 for none.
    pub fail_one_in: usize,
    /// Whether a write has failed since the broker was started. A group may be ahead then.
    pub has_failed: bool,
    /// Whether there are requests that the ledger does not know of.
    pub is_wild: bool,
    /// Whether a group may have members of both kinds, so that less is known of it.
    pub is_mixed: bool,
    /// Whether what happens is told on stderr.
    pub is_told: bool,
    next_number: u64,
}

/// Tells what happens, when somebody listens.
macro_rules! tell {
    ($world:expr, $($arg:tt)*) => {
        if $world.is_told {
            eprintln!("{:>8} {}", $world.now.mono_ms, format_args!($($arg)*));
        }
    };
}
pub(super) use tell;

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let config =
            Arc::new(GroupConfig { offsets_retention_ms: RETENTION_MS, ..GroupConfig::default() });
        Self {
            chance: Chance::new(seed),
            shard: GroupShard::new(config.clone()),
            config,
            log: Log::default(),
            topics: Topics::default(),
            now: Now { wall_ms: 1_700_000_000_000, mono_ms: 0 },
            ledger: Ledger::default(),
            classic: Vec::new(),
            consumers: Vec::new(),
            waiting: HashMap::new(),
            rounds: BTreeMap::new(),
            fail_one_in: 0,
            has_failed: false,
            is_wild: false,
            is_mixed: false,
            is_told: std::env::var_os("HISTORY").is_some(),
            next_number: 0,
        }
    }

    /// A number that was not given before.
    pub(super) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Hands an event to the shard.
    pub(super) fn on<R>(&mut self, event: impl FnOnce(&mut GroupShard, &Context<'_>) -> R) -> R {
        let fresh_id = Uuid::from_u64s(self.chance.bits(), self.chance.bits());
        let cx = Context { now: self.now, cluster: &self.topics, fresh_id };
        event(&mut self.shard, &cx)
    }

    /// Does what an event led to. The error is that of a write that failed.
    pub(super) fn carry_out<R>(&mut self, effects: Effects<R>) -> (R, Option<ErrorCode>) {
        let Effects { write, response, answers } = effects;
        for (ticket, answer) in answers {
            self.deliver(ticket, answer);
        }
        let Some(write) = write else { return (response, None) };
        assert!(!write.records.is_empty(), "a write without records");
        let fails = self.fail_one_in > 0 && self.chance.one_in(self.fail_one_in);
        let result = if fails {
            Err(*self.chance.pick(&WRITE_ERRORS))
        } else {
            let first_offset = self.log.next_offset;
            for record in &write.records {
                self.log.append(Entry::Record(record.clone(), None));
                self.note_group_tombstone(&record.key, record.value.is_none());
            }
            Ok(first_offset)
        };
        if self.is_told {
            for record in &write.records {
                let value = record.value.as_ref().map(|value| value.escape_ascii().to_string());
                tell!(self, "  writes {} {value:?}: {result:?}", record.key.escape_ascii());
            }
        }
        let failed = result.err();
        self.has_failed |= failed.is_some();
        let after = self.on(|shard, cx| shard.complete(write, result, cx));
        let ((), _) = self.carry_out(after);
        (response, failed)
    }

    /// A group that was deleted begins its generations anew.
    fn note_group_tombstone(&mut self, key: &[u8], is_tombstone: bool) {
        if let GroupKey::GroupMetadata(key) = GroupKey::read(key).unwrap()
            && is_tombstone
        {
            self.rounds.retain(|(group, _), _| group != key.group);
        }
    }

    /// Lets time pass. Deadlines are met when they are due, or all late.
    pub(super) fn pass(&mut self, ms: i64) {
        let until_ms = self.now.mono_ms + ms;
        if !self.chance.one_in(8) {
            while let Some(due_ms) = self.shard.next_deadline_ms()
                && due_ms <= until_ms
            {
                self.advance_to(due_ms.max(self.now.mono_ms));
                self.tick();
            }
        }
        self.advance_to(until_ms);
        self.tick();
    }

    fn advance_to(&mut self, mono_ms: i64) {
        self.now.wall_ms += mono_ms - self.now.mono_ms;
        self.now.mono_ms = mono_ms;
    }

    fn tick(&mut self) {
        while let Some(effects) = self.on(|shard, cx| shard.tick(cx)) {
            let ((), _) = self.carry_out(effects);
        }
    }

    pub(super) fn park(&mut self, ticket: Ticket, client: usize) {
        let life = self.classic[client].life;
        assert!(self.waiting.insert(ticket, (client, life)).is_none());
    }

    /// From now on no client is there for its answers.
    pub(super) fn nobody_listens(&mut self) {
        self.is_wild = true;
        self.waiting.values_mut().for_each(|(_, life)| *life = NOBODY);
    }

    pub(super) fn park_for_nobody(&mut self, ticket: Ticket) {
        assert!(self.waiting.insert(ticket, (0, NOBODY)).is_none());
    }

    fn deliver(&mut self, ticket: Ticket, answer: Answer) {
        let (client, life) =
            self.waiting.remove(&ticket).expect("an answer to a request that does not wait");
        if life == NOBODY {
            return;
        }
        tell!(self, "  {} gets {answer:?}", self.classic[client].name);
        self.note_round(client, &answer);
        if self.classic[client].life == life {
            match answer {
                Answer::Join(answer) => self.joined(client, answer),
                Answer::Sync(answer) => self.synced(client, &answer),
            }
        }
    }

    /// The broker stops and another one goes on from the log, which may have been compacted.
    pub(super) fn restart(&mut self) {
        self.check_replay();
        let answers = self.shard.close(ErrorCode::NOT_COORDINATOR);
        for (ticket, answer) in answers {
            self.deliver(ticket, answer);
        }
        assert!(self.waiting.is_empty(), "requests that nobody answered: {:?}", self.waiting);
        if self.chance.one_in(2) {
            let keep_tombstones = self.chance.one_in(2);
            self.log = self.log.compacted(keep_tombstones);
        }
        self.shard = self.log.replayed(&self.config);
        self.has_failed = false;
        self.forget_unwritten_rounds();
        for effects in self.on(|shard, cx| shard.loaded(cx)) {
            let ((), _) = self.carry_out(effects);
        }
    }

    /// Generations that were never written may be given again.
    fn forget_unwritten_rounds(&mut self) {
        let mut written = BTreeMap::new();
        for (_, entry) in &self.log.entries {
            let Entry::Record(record, _) = entry else { continue };
            if let GroupKey::GroupMetadata(key) = GroupKey::read(&record.key).unwrap() {
                written.remove(key.group);
                if let Some(value) = &record.value {
                    let value: GroupMetadataValue<'_> = read_value(value).unwrap();
                    written.insert(key.group.to_owned(), value.generation);
                }
            }
        }
        self.rounds.retain(|(group, generation), _| {
            written.get(group).is_some_and(|written| *generation <= *written)
        });
    }

    /// The log gives the state that there is, and so does any compacted form of it.
    pub(super) fn check_replay(&self) {
        let full = self.snapshot(&self.log.replayed(&self.config));
        for keep_tombstones in [true, false] {
            let log = self.log.compacted(keep_tombstones);
            let compacted = self.snapshot(&log.replayed(&self.config));
            assert_eq!(full, compacted, "compaction (tombstones kept: {keep_tombstones})");
        }
        for (group, is) in self.snapshot(&self.shard) {
            // A classic group is ahead of its record during a rebalance.
            let is_at_rest = ["Empty", "Stable"].contains(&is.state.as_str()) && !self.has_failed;
            if is_at_rest || !is.is_classic {
                assert_eq!(Some(&is), full.get(&group), "{group} is not what its log says");
            }
        }
        for (group, replayed) in full {
            if self.is_wild {
                break;
            }
            let offsets = self.ledger.of_group(&group);
            assert_eq!(replayed.offsets, offsets, "replayed offsets of {group}");
        }
    }

    /// What a shard shows of its groups. Groups that are not told from no group are left out.
    pub(super) fn snapshot(&self, shard: &GroupShard) -> BTreeMap<String, GroupShown> {
        let mut all = BTreeMap::new();
        for listed in shard.list() {
            let mut described = shard.describe_classic(listed.group_id, 6);
            described.members.sort_by_key(|member| member.member_id.to_owned());
            let offsets = self.fetch(shard, listed.group_id);
            let is_nothing = offsets.is_empty()
                && described.members.is_empty()
                && listed.group_state == "Empty"
                && listed.protocol_type.is_empty();
            if !is_nothing {
                let mut consumer = shard.describe_consumer(listed.group_id, &self.context());
                consumer.members.sort_by_key(|member| member.member_id.to_owned());
                let shown = GroupShown {
                    state: listed.group_state.to_owned(),
                    is_classic: listed.group_type == "classic",
                    described: format!("{described:?} {consumer:?}"),
                    offsets,
                };
                all.insert(listed.group_id.to_owned(), shown);
            }
        }
        all
    }

    fn fetch(&self, shard: &GroupShard, group: &str) -> Vec<(String, i32, i64)> {
        let request = OffsetFetchRequestGroup {
            group_id: group,
            topics: None,
            ..OffsetFetchRequestGroup::default()
        };
        let cx = self.context();
        let response = shard.fetch_offsets(&request, false, 9, &cx);
        assert_eq!(response.error_code, ErrorCode::NONE);
        let partitions = response
            .topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|partition| (topic.name, partition)));
        partitions
            .map(|(name, it)| (name.to_owned(), it.partition_index, it.committed_offset))
            .collect()
    }

    /// What is fetched is what was committed last.
    pub(super) fn check_offsets(&self) {
        for group in GROUPS {
            assert_eq!(self.fetch(&self.shard, group), self.ledger.of_group(group), "{group}");
            let request = OffsetFetchRequestGroup {
                group_id: group,
                topics: None,
                ..OffsetFetchRequestGroup::default()
            };
            let cx = self.context();
            let response = self.shard.fetch_offsets(&request, true, 9, &cx);
            for topic in response.topics {
                for partition in topic.partitions {
                    let place =
                        (group.to_owned(), topic.name.to_owned(), partition.partition_index);
                    let expected = match self.ledger.is_pending(&place) {
                        true => ErrorCode::UNSTABLE_OFFSET_COMMIT,
                        false => ErrorCode::NONE,
                    };
                    assert_eq!(partition.error_code, expected, "{place:?}");
                }
            }
        }
    }

    /// A group's state and its members' ids. A group that is not there is dead.
    pub(super) fn describe(&self, group: &str) -> (String, BTreeSet<String>) {
        if self.is_consumer_group(group) {
            let described = self.shard.describe_consumer(group, &self.context());
            let members = described.members.iter().map(|member| member.member_id.to_owned());
            return (described.group_state.to_owned(), members.collect());
        }
        let described = self.shard.describe_classic(group, 5);
        let members = described.members.iter().map(|member| member.member_id.to_owned());
        (described.group_state.to_owned(), members.collect())
    }

    pub(super) fn is_consumer_group(&self, group: &str) -> bool {
        self.shard.list().any(|listed| listed.group_id == group && listed.group_type == "consumer")
    }

    /// What surrounds a look at the shard.
    pub(super) fn context(&self) -> Context<'_> {
        Context { now: self.now, cluster: &self.topics, fresh_id: Uuid::ONE }
    }

    /// The generation of a classic group as far as it was told to anybody or written.
    pub(super) fn generation(&self, group: &str) -> Option<i32> {
        let told = self.rounds.keys().filter(|(of, _)| of == group).map(|(_, it)| *it).max();
        let last = self.log.entries.iter().rev().find_map(|(_, entry)| {
            let Entry::Record(record, _) = entry else { return None };
            match GroupKey::read(&record.key).unwrap() {
                GroupKey::GroupMetadata(key) if key.group == group => Some(record.value.as_ref()),
                _ => None,
            }
        });
        let written = last.flatten().map(|value| {
            let value: GroupMetadataValue<'_> = read_value(value).unwrap();
            value.generation
        });
        told.max(written)
    }
}

/// What a shard shows of a group.
#[derive(Debug, PartialEq)]
pub(super) struct GroupShown {
    pub state: String,
    pub is_classic: bool,
    pub described: String,
    pub offsets: Vec<(String, i32, i64)>,
}

pub(super) fn caller(name: &str, version: i16) -> Caller<'_> {
    Caller { client_id: name, client_host: "/127.0.0.1", version }
}

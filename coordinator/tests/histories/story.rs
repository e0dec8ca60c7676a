//! What happens in a history.

use std::collections::BTreeSet;

use ottla_coordinator::context::ClusterView as _;
use ottla_coordinator::group::offsets::DeletedTopic;
use ottla_coordinator::record::{Origin, Record};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::internal::GroupKey;
use ottla_protocol::internal::offset::{OffsetCommitKey, OffsetCommitValue};
use ottla_protocol::internal::value_bytes;
use ottla_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};

use super::classic::{ClassicClient, Phase};
use super::consumer::ConsumerClient;
use super::ledger;
use super::log::Entry;
use super::world::{GROUPS, RETENTION_MS, World, caller, tell};

const TOPICS: [&str; 4] = ["a", "b", "c", "d"];
const PRODUCERS: [i64; 2] = [900, 901];

/// What kind of history it is.
#[derive(Clone, Copy)]
pub(super) struct Plot {
    failing_writes: bool,
    clients: Clients,
}

/// What kind of clients there are.
#[derive(Clone, Copy)]
enum Clients {
    Classic,
    Consumer,
    /// Both, in the same groups, which are converted to and fro.
    Both,
}

impl Plot {
    pub(super) const CLASSIC: Self = Self { failing_writes: false, clients: Clients::Classic };
    pub(super) const CONSUMER: Self = Self { failing_writes: false, clients: Clients::Consumer };

    pub(super) const BOTH: Self = Self { failing_writes: false, clients: Clients::Both };

    /// The same, and some writes fail.
    pub(super) fn with_failing_writes(self) -> Self {
        Self { failing_writes: true, ..self }
    }
}

#[derive(Clone, Copy)]
enum Event {
    Act,
    ActAll,
    Insist,
    Commit,
    StaleCommit,
    LoneCommit,
    Pass(i64, i64),
    Crash,
    ComeBack,
    Leave,
    Restart,
    ChangeTopics,
    ChangeWants,
    DeleteGroup,
    DeleteOffsets,
    Expire,
    Transact,
    JumpClock,
}

const EVENTS: [(usize, Event); 20] = [
    (40, Event::Act),
    (10, Event::ActAll),
    (1, Event::Insist),
    (20, Event::Commit),
    (6, Event::StaleCommit),
    (2, Event::LoneCommit),
    (10, Event::Pass(0, 500)),
    (8, Event::Pass(1_000, 5_000)),
    (2, Event::Pass(10_000, 70_000)),
    (2, Event::Crash),
    (6, Event::ComeBack),
    (2, Event::Leave),
    (2, Event::Restart),
    (2, Event::ChangeTopics),
    (2, Event::ChangeWants),
    (1, Event::DeleteGroup),
    (1, Event::DeleteOffsets),
    (1, Event::Expire),
    (4, Event::Transact),
    (1, Event::JumpClock),
];

/// The eventful part of a history.
pub(super) fn begin(seed: u64, plot: &Plot) -> World {
    let mut world = World::new(seed);
    if plot.failing_writes {
        world.fail_one_in = 2 + world.chance.below(10);
    }
    for topic in &TOPICS[..1 + world.chance.below(3)] {
        let count = world.chance.between(1, 5);
        world.topics.create(topic, count as i32);
    }
    for _ in 0..1 + world.chance.below(5) {
        match plot.clients {
            Clients::Classic => world.add_client(),
            Clients::Consumer => world.add_consumer(),
            Clients::Both => {
                world.add_client();
                world.add_consumer();
                world.is_mixed = true;
            }
        }
    }
    for _ in 0..20 + world.chance.below(140) {
        let event = world.chance.weighed(&EVENTS);
        world.happen(event);
        world.check_offsets();
    }
    world
}

/// One history.
pub(super) fn tell(seed: u64, plot: &Plot) {
    let mut world = begin(seed, plot);
    world.settle();
    world.check_replay();
    world.check_offsets();
    for (ticket, _) in world.shard.close(ErrorCode::NOT_COORDINATOR) {
        assert!(world.waiting.remove(&ticket).is_some(), "{ticket:?} was answered before");
    }
    assert!(world.waiting.is_empty(), "nobody answered {:?}", world.waiting);
}

/// Who commits.
struct Committer {
    group: String,
    member_id: String,
    instance: Option<String>,
    generation: i32,
}

impl World {
    fn add_client(&mut self) {
        let number = self.classic.len();
        let instance = match self.chance.below(6) {
            0 | 1 => Some(format!("instance-{number}")),
            // Sometimes two by mistake.
            2 => Some(String::from("instance")),
            _ => None,
        };
        // Nobody rebalances for a static member that comes back with another subscription.
        let wants = match &instance {
            Some(instance) if instance == "instance" => vec!["a".to_owned(), "b".to_owned()],
            _ => self.some_topics(),
        };
        let versions: &[i16] = if instance.is_some() { &[5, 7, 9] } else { &[0, 2, 4, 5, 7, 9] };
        // All can do the same, since a group that was loaded knows only the one it has chosen.
        let protocols = [vec!["range", "sticky"], vec!["sticky", "range"]];
        let version = *self.chance.pick(versions);
        let session_timeout_ms = self.chance.between(6_000, 30_000) as i32;
        let client = ClassicClient {
            name: format!("client-{number}"),
            group: (*self.chance.pick(&GROUPS)).to_owned(),
            instance,
            version,
            session_timeout_ms,
            rebalance_timeout_ms: self.chance.between(3_000, 60_000) as i32,
            wants,
            joined_for: Vec::new(),
            protocols: self.chance.pick(&protocols).clone(),
            is_alive: self.chance.one_in(2),
            life: 0,
            member_id: String::new(),
            generation: -1,
            protocol: None,
            leads: false,
            phase: Phase::Out,
            topics_version: 0,
        };
        tell!(self, "{} of {} wants {:?}", client.name, client.group, client.wants);
        self.classic.push(client);
    }

    fn some_topics(&mut self) -> Vec<String> {
        let mut wants: Vec<_> =
            TOPICS.iter().filter(|_| self.chance.one_in(2)).map(|it| (*it).to_owned()).collect();
        if wants.is_empty() {
            wants.push("a".to_owned());
        }
        wants
    }

    fn add_consumer(&mut self) {
        let number = self.consumers.len();
        let instance = match self.chance.below(6) {
            0 | 1 => Some(format!("instance-{number}")),
            2 => Some(String::from("instance")),
            _ => None,
        };
        let client = ConsumerClient {
            name: format!("client-{number}"),
            group: (*self.chance.pick(&GROUPS)).to_owned(),
            instance,
            version: self.chance.below(2) as i16,
            rebalance_timeout_ms: self.chance.between(3_000, 40_000) as i32,
            assignor: *self.chance.pick(&[None, Some("range"), Some("uniform")]),
            wants: self.some_topics(),
            is_alive: self.chance.one_in(2),
            member_id: String::new(),
            epoch: 0,
            owned: BTreeSet::new(),
            assigned: None,
            has_news: false,
        };
        tell!(self, "{} of {} wants {:?}", client.name, client.group, client.wants);
        self.consumers.push(client);
    }

    /// What happens to a client of a consumer group; `false` for what is not about clients.
    fn happen_to_consumer(&mut self, event: Event) -> bool {
        let client = self.chance.below(self.consumers.len());
        match event {
            Event::Act => self.act_consumer(client),
            Event::ActAll => (0..self.consumers.len()).for_each(|it| self.act_consumer(it)),
            Event::Insist => {}
            Event::Commit => self.commit_of_consumer(client, false),
            Event::StaleCommit => self.commit_of_consumer(client, true),
            Event::Crash => self.crash_consumer(client),
            Event::ComeBack => self.consumers[client].is_alive = true,
            Event::Leave => self.leave_consumer(client),
            Event::ChangeWants => {
                self.consumers[client].wants = self.some_topics();
                self.consumers[client].has_news = true;
            }
            _ => return false,
        }
        true
    }

    fn commit_of_consumer(&mut self, client: usize, is_stale: bool) {
        let it = &self.consumers[client];
        let mut by = Committer {
            group: it.group.clone(),
            member_id: it.member_id.clone(),
            instance: it.instance.clone(),
            generation: it.epoch,
        };
        let owned: Vec<_> = it.owned.iter().copied().collect();
        if is_stale || owned.is_empty() {
            match self.chance.below(4) {
                0 => by.generation -= self.chance.between(1, 3) as i32,
                1 => by.generation += 1,
                2 => by.member_id.push('x'),
                _ => by.group = (*self.chance.pick(&GROUPS)).to_owned(),
            }
            let (topic, partition) = self.some_partition();
            self.commit(&by, &topic, partition);
            return;
        }
        let (topic, partition) = *self.chance.pick(&owned);
        if let Some(topic) = self.topics.topic_name(topic).map(str::to_owned) {
            let error = self.commit(&by, &topic, partition);
            let expected = [
                ErrorCode::NONE,
                ErrorCode::UNKNOWN_MEMBER_ID,
                ErrorCode::GROUP_ID_NOT_FOUND,
                ErrorCode::STALE_MEMBER_EPOCH,
            ];
            assert!(self.is_mixed || expected.contains(&error), "{error:?}");
        }
    }

    fn happen(&mut self, event: Event) {
        let is_to_consumer =
            !self.consumers.is_empty() && (self.classic.is_empty() || self.chance.one_in(2));
        if is_to_consumer && self.happen_to_consumer(event) {
            return;
        }
        let client = self.chance.below(self.classic.len().max(1));
        match event {
            Event::Act => self.act(client),
            Event::ActAll => (0..self.classic.len()).for_each(|client| self.act(client)),
            Event::Insist => self.insist(client),
            Event::Commit => self.commit_own(client),
            Event::StaleCommit => self.commit_stale(client),
            Event::LoneCommit => self.commit_alone(),
            Event::Pass(from_ms, to_ms) => {
                let ms = self.chance.between(from_ms, to_ms);
                self.pass(ms);
            }
            Event::Crash => self.crash(client),
            Event::ComeBack => self.classic[client].is_alive = true,
            Event::Leave => self.leave(client),
            Event::Restart => {
                tell!(self, "the broker is restarted");
                self.restart();
            }
            Event::ChangeTopics => self.change_topics(),
            Event::ChangeWants if self.classic[client].instance.is_none() => {
                self.classic[client].wants = self.some_topics();
            }
            Event::ChangeWants => {}
            Event::DeleteGroup => self.delete_group(),
            Event::DeleteOffsets => self.delete_offsets(),
            Event::Expire => self.expire(),
            Event::Transact => self.transact(),
            Event::JumpClock => self.now.wall_ms += self.chance.between(-50_000, 50_000),
        }
    }

    /// A client that waits gives up its connection and asks again.
    fn insist(&mut self, client: usize) {
        let it = &mut self.classic[client];
        if it.is_alive && matches!(it.phase, Phase::Joining) {
            it.life += 1;
            self.join(client);
        }
    }

    fn commit_own(&mut self, client: usize) {
        let it = &self.classic[client];
        let assignment = it.assignment();
        if assignment.is_empty() {
            return;
        }
        let by = Committer {
            group: it.group.clone(),
            member_id: it.member_id.clone(),
            instance: it.instance.clone(),
            generation: it.generation,
        };
        let (topic, partition) = self.chance.pick(assignment).clone();
        let error = self.commit(&by, &topic, partition);
        if [
            ErrorCode::UNKNOWN_MEMBER_ID,
            ErrorCode::FENCED_INSTANCE_ID,
            ErrorCode::ILLEGAL_GENERATION,
        ]
        .contains(&error)
        {
            self.refused(client, error);
        }
    }

    /// A commit of an earlier generation, of another member, or of a member of another group.
    fn commit_stale(&mut self, client: usize) {
        let it = &self.classic[client];
        let mut by = Committer {
            group: it.group.clone(),
            member_id: it.member_id.clone(),
            instance: it.instance.clone(),
            generation: it.generation,
        };
        match self.chance.below(5) {
            0 => by.generation -= self.chance.between(1, 3) as i32,
            1 => by.generation += 1,
            2 => by.member_id.push('x'),
            3 => by.instance = Some(String::from("instance")),
            _ => by.group = (*self.chance.pick(&GROUPS)).to_owned(),
        }
        let (topic, partition) = self.some_partition();
        self.commit(&by, &topic, partition);
    }

    /// A commit of somebody who is no member.
    fn commit_alone(&mut self) {
        let by = Committer {
            group: (*self.chance.pick(&GROUPS)).to_owned(),
            member_id: String::new(),
            instance: None,
            generation: -1,
        };
        let (topic, partition) = self.some_partition();
        self.commit(&by, &topic, partition);
    }

    fn some_partition(&mut self) -> (String, i32) {
        ((*self.chance.pick(&TOPICS)).to_owned(), self.chance.between(0, 5) as i32)
    }

    /// Commits; the answer must be the one that the group's state calls for.
    fn commit(&mut self, by: &Committer, topic: &str, partition: i32) -> ErrorCode {
        let is_consumer_group = self.is_consumer_group(&by.group);
        let expected = match is_consumer_group {
            true => self.judge_in_consumer_group(by, topic, partition),
            false => self.judge(by, topic, partition),
        };
        let offset = self.number() as i64;
        let request = OffsetCommitRequest {
            group_id: &by.group,
            generation_id_or_member_epoch: by.generation,
            member_id: &by.member_id,
            group_instance_id: by.instance.as_deref(),
            retention_time_ms: -1,
            topics: vec![OffsetCommitRequestTopic {
                name: topic,
                partitions: vec![OffsetCommitRequestPartition {
                    partition_index: partition,
                    committed_offset: offset,
                    ..OffsetCommitRequestPartition::default()
                }],
                ..OffsetCommitRequestTopic::default()
            }],
        };
        let effects = self.on(|shard, cx| shard.commit_offsets(&request, &caller("c", 9), cx));
        let record_offset = self.log.next_offset;
        let (response, failed) = self.carry_out(effects);
        let error = response.topics[0].partitions[0].error_code;
        tell!(
            self,
            "{} {:?} commits {offset} of {topic}-{partition} for {} at {}: {error:?}",
            by.member_id,
            by.instance,
            by.group,
            by.generation
        );
        // Of a generation whose write has failed nobody was told.
        let told = self.generation(&by.group).unwrap_or(0);
        let is_untold = self.has_failed
            && told <= by.generation
            && [error, expected]
                .iter()
                .all(|it| [ErrorCode::NONE, ErrorCode::ILLEGAL_GENERATION].contains(it));
        // Nobody is told since when a member has a partition, with which old epochs go.
        let is_old = is_consumer_group
            && expected == ErrorCode::NONE
            && error == ErrorCode::STALE_MEMBER_EPOCH;
        assert!(
            self.is_mixed || error == expected || is_untold || is_old,
            "{error:?}, and not {expected:?}"
        );
        if error == ErrorCode::NONE && failed.is_none() {
            let entry = ledger::Entry {
                offset,
                topic_id: self.topics.topic(topic).unwrap().id,
                committed_ms: self.now.wall_ms,
                record_offset,
            };
            self.ledger.committed.insert((by.group.clone(), topic.to_owned(), partition), entry);
        }
        error
    }

    /// What a commit is to be answered.
    fn judge(&self, by: &Committer, topic: &str, partition: i32) -> ErrorCode {
        let count = self.topics.topic(topic).map_or(0, |facts| facts.partition_count);
        if !(0..count).contains(&partition) {
            return ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        }
        let described = self.shard.describe_classic(&by.group, 5);
        match described.group_state {
            "Dead" if by.generation < 0 => return ErrorCode::NONE,
            "Dead" => return ErrorCode::GROUP_ID_NOT_FOUND,
            "Empty" if by.generation < 0 => return ErrorCode::NONE,
            _ => {}
        }
        if let Some(instance) = &by.instance {
            let of_instance = described
                .members
                .iter()
                .find(|member| member.group_instance_id == Some(instance.as_str()));
            match of_instance {
                None => return ErrorCode::UNKNOWN_MEMBER_ID,
                Some(member) if member.member_id != by.member_id => {
                    return ErrorCode::FENCED_INSTANCE_ID;
                }
                Some(_) => {}
            }
        }
        if !described.members.iter().any(|member| member.member_id == by.member_id) {
            return ErrorCode::UNKNOWN_MEMBER_ID;
        }
        // Members of a group that has had no generation yet know none.
        if by.generation != self.generation(&by.group).unwrap_or(0) {
            return ErrorCode::ILLEGAL_GENERATION;
        }
        match described.group_state {
            "CompletingRebalance" => ErrorCode::REBALANCE_IN_PROGRESS,
            _ => ErrorCode::NONE,
        }
    }

    /// What a commit is to be answered in a consumer group; with an older epoch, at best.
    fn judge_in_consumer_group(&self, by: &Committer, topic: &str, partition: i32) -> ErrorCode {
        let Some(facts) = self.topics.topic(topic) else {
            return ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        };
        if !(0..facts.partition_count).contains(&partition) {
            return ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        }
        let described = self.shard.describe_consumer(&by.group, &self.context());
        if described.members.is_empty() && by.generation < 0 {
            return ErrorCode::NONE;
        }
        let Some(member) = described.members.iter().find(|it| it.member_id == by.member_id) else {
            return ErrorCode::UNKNOWN_MEMBER_ID;
        };
        let is_of_another = described.members.iter().any(|it| {
            it.member_id != by.member_id
                && it
                    .assignment
                    .topic_partitions
                    .iter()
                    .any(|it| it.topic_name == topic && it.partitions.contains(&partition))
        });
        if by.generation > member.member_epoch
            || by.generation < member.member_epoch && is_of_another
        {
            return ErrorCode::STALE_MEMBER_EPOCH;
        }
        ErrorCode::NONE
    }

    fn change_topics(&mut self) {
        let topic = *self.chance.pick(&TOPICS);
        if !self.topics.names().iter().any(|name| name == topic) {
            let count = self.chance.between(1, 5) as i32;
            tell!(self, "topic {topic} of {count} is made");
            self.topics.create(topic, count);
        } else if self.chance.one_in(2) {
            tell!(self, "topic {topic} grows");
            self.topics.grow(topic);
        } else {
            tell!(self, "topic {topic} is deleted");
            let id = self.topics.delete(topic);
            // Its offsets may be looked after when there is another one already.
            if self.chance.one_in(3) {
                self.topics.create(topic, 2);
            }
            let gone = [DeletedTopic { name: topic, id }];
            let all = self.on(|shard, cx| shard.forget_topics(&gone, cx));
            let mut has_failed = false;
            for effects in all {
                let before = self.log.entries.len();
                has_failed |= self.carry_out(effects).1.is_some();
                let buried = self.bury_since(before);
                for (_, of, _) in buried {
                    assert_eq!(of, topic);
                }
            }
            let left = self.ledger.committed.iter().any(|(_, entry)| entry.topic_id == id);
            assert!(has_failed || !left, "offsets of a deleted topic");
        }
    }

    /// Takes the tombstones from here on into the ledger.
    fn bury_since(&mut self, entries: usize) -> Vec<ledger::Place> {
        let records = self.log.entries[entries..].iter().filter_map(|(_, entry)| match entry {
            Entry::Record(record, _) => Some(record),
            Entry::Marker { .. } => None,
        });
        self.ledger.bury(records)
    }

    fn delete_group(&mut self) {
        let group = *self.chance.pick(&GROUPS);
        let (state, _) = self.describe(group);
        let effects = self.on(|shard, cx| shard.delete_group(group, cx));
        let before = self.log.entries.len();
        let (error, failed) = self.carry_out(effects);
        tell!(self, "{group} is deleted: {error:?}");
        let expected = match state.as_str() {
            "Dead" => ErrorCode::GROUP_ID_NOT_FOUND,
            "Empty" => ErrorCode::NONE,
            _ => ErrorCode::NON_EMPTY_GROUP,
        };
        assert_eq!(error, expected);
        self.bury_since(before);
        if error == ErrorCode::NONE && failed.is_none() {
            assert_eq!(self.ledger.of_group(group), []);
            assert_eq!(self.describe(group).0, "Dead");
        }
    }

    fn delete_offsets(&mut self) {
        let group = *self.chance.pick(&GROUPS);
        let (topic, partition_index) = self.some_partition();
        let request = OffsetDeleteRequest {
            group_id: group,
            topics: vec![OffsetDeleteRequestTopic {
                name: &topic,
                partitions: vec![OffsetDeleteRequestPartition { partition_index }],
            }],
        };
        let effects = self.on(|shard, cx| shard.delete_offsets(&request, cx));
        let before = self.log.entries.len();
        let (response, failed) = self.carry_out(effects);
        tell!(self, "{topic}-{partition_index} of {group} is deleted: {response:?}");
        self.bury_since(before);
        if failed.is_none()
            && response.topics.first().is_some_and(|it| it.partitions[0].error_code.0 == 0)
        {
            let place = (group.to_owned(), topic, partition_index);
            assert!(!self.ledger.committed.contains_key(&place));
            assert!(!self.ledger.is_pending(&place));
        }
    }

    fn expire(&mut self) {
        tell!(self, "offsets expire");
        for effects in self.on(|shard, cx| shard.expire_offsets(cx)) {
            let kept = self.ledger.committed.clone();
            let pending: Vec<_> =
                self.ledger.pending.keys().map(|(_, place)| place.clone()).collect();
            let states =
                GROUPS.map(|group| (group, self.describe(group).0, !self.is_consumer_group(group)));
            let before = self.log.entries.len();
            if self.carry_out(effects).1.is_some() {
                return;
            }
            for place in self.bury_since(before) {
                let entry = &kept[&place];
                assert!(!pending.contains(&place), "{place:?} is pending");
                let (_, state, is_classic) =
                    states.iter().find(|(group, ..)| *group == place.0).unwrap();
                let is_old = RETENTION_MS <= self.now.wall_ms - entry.committed_ms;
                assert!(
                    is_old && (!*is_classic || state == "Stable")
                        || *is_classic && state == "Empty",
                    "{place:?} {entry:?} has not expired: {state}"
                );
            }
        }
    }

    /// A transaction goes on, or ends.
    fn transact(&mut self) {
        let producer_id = *self.chance.pick(&PRODUCERS);
        if self.chance.one_in(3) {
            let is_commit = self.chance.one_in(2);
            tell!(self, "{producer_id} ends its transaction: {is_commit}");
            self.log.append(Entry::Marker { producer_id, is_commit });
            self.shard.replay_marker(producer_id, is_commit);
            self.ledger.end_transaction(producer_id, is_commit);
            return;
        }
        let group = *self.chance.pick(&GROUPS);
        let (topic, partition) = self.some_partition();
        let Some(facts) = self.topics.topic(&topic) else { return };
        let offset = self.number() as i64;
        tell!(self, "{producer_id} adds {offset} of {topic}-{partition} for {group}");
        let key = OffsetCommitKey { group, topic: &topic, partition };
        let value = OffsetCommitValue {
            offset,
            commit_timestamp: self.now.wall_ms,
            topic_id: facts.id,
            ..OffsetCommitValue::default()
        };
        let record = Record {
            key: GroupKey::OffsetCommit(key).to_bytes().unwrap(),
            value: Some(value_bytes(&value, 4).unwrap()),
        };
        let record_offset = self.log.append(Entry::Record(record.clone(), Some(producer_id)));
        let origin = Origin { offset: record_offset, producer: Some((producer_id, 0)) };
        self.shard.replay(&record.key, record.value.as_deref(), &origin).unwrap();
        let entry = ledger::Entry {
            offset,
            topic_id: facts.id,
            committed_ms: self.now.wall_ms,
            record_offset,
        };
        let place = (group.to_owned(), topic, partition);
        self.ledger.pending.insert((producer_id, place), entry);
    }
}

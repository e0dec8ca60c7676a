//! What groups cost: `cargo bench -p ottla-coordinator`.
//!
//! - A commit of one partition from the request to the state: checked, made into a record, and the
//!   record replayed, as after its append. `commit_among` has that many offsets in the shard.
//! - A storm of joins: all members of a group join, the leader assigns, all sync. Divided by the
//!   members it is the cost of one; it stays the same whether there are many members or few.
//! - A load: the records of that many offsets replayed into an empty shard.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use ottla_coordinator::context::{Caller, ClusterView, Context, GroupOverrides, Now, TopicFacts};
use ottla_coordinator::effects::{Answer, Effects, JoinAnswer, Ticket};
use ottla_coordinator::group::GroupShard;
use ottla_coordinator::group::config::GroupConfig;
use ottla_coordinator::record::{Origin, Record};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use ottla_protocol::uuid::Uuid;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// Any topic exists, with a thousand partitions.
struct AnyTopic;

impl ClusterView for AnyTopic {
    fn version(&self) -> u64 {
        0
    }

    fn topic(&self, _: &str) -> Option<TopicFacts> {
        Some(TopicFacts { id: Uuid::ONE, partition_count: 1_000 })
    }

    fn topic_name(&self, _: Uuid) -> Option<&str> {
        None
    }

    fn for_each_topic(&self, _: &mut dyn FnMut(&str, TopicFacts)) {}

    fn group_overrides(&self, _: &str) -> GroupOverrides {
        GroupOverrides::default()
    }
}

/// A shard and the time.
struct World {
    shard: GroupShard,
    now_ms: i64,
    next: u64,
    answers: Vec<(Ticket, Answer)>,
}

impl World {
    fn new() -> Self {
        Self {
            shard: GroupShard::new(Arc::new(GroupConfig::default())),
            now_ms: 0,
            next: 0,
            answers: Vec::new(),
        }
    }

    fn on<R>(&mut self, event: impl FnOnce(&mut GroupShard, &Context<'_>) -> R) -> R {
        self.next += 1;
        let now = Now { wall_ms: 1_700_000_000_000 + self.now_ms, mono_ms: self.now_ms };
        let fresh_id = Uuid::from_u64s(1, self.next);
        event(&mut self.shard, &Context { now, cluster: &AnyTopic, fresh_id })
    }

    fn carry_out<R>(&mut self, effects: Effects<R>) -> R {
        self.answers.extend(effects.answers);
        if let Some(write) = effects.write {
            let offset = self.next as i64;
            let after = self.on(|shard, cx| shard.complete(write, Ok(offset), cx));
            self.carry_out(after);
        }
        effects.response
    }

    fn commit(&mut self, group_id: &str, partition_index: i32) {
        let request = OffsetCommitRequest {
            group_id,
            topics: vec![OffsetCommitRequestTopic {
                name: "orders",
                partitions: vec![OffsetCommitRequestPartition {
                    partition_index,
                    committed_offset: 1_000_000,
                    ..OffsetCommitRequestPartition::default()
                }],
                ..OffsetCommitRequestTopic::default()
            }],
            ..OffsetCommitRequest::default()
        };
        let effects = self.on(|shard, cx| shard.commit_offsets(&request, &caller(9), cx));
        let response = self.carry_out(effects);
        assert_eq!(response.topics[0].partitions[0].error_code, ErrorCode::NONE);
    }

    fn pass(&mut self, ms: i64) {
        self.now_ms += ms;
        while let Some(effects) = self.on(|shard, cx| shard.tick(cx)) {
            self.carry_out(effects);
        }
    }

    fn join(&mut self, group_id: &str, ticket: u64) {
        let request = JoinGroupRequest {
            group_id,
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: 60_000,
            member_id: "",
            protocol_type: "consumer",
            // Before version 4 a member need not come back with the id that it was given.
            protocols: vec![JoinGroupRequestProtocol { name: "range", metadata: METADATA }],
            ..JoinGroupRequest::default()
        };
        let effects = self.on(|shard, cx| shard.join(&request, &caller(3), Ticket(ticket), cx));
        if let Some(answer) = self.carry_out(effects) {
            self.answers.push((Ticket(ticket), Answer::Join(answer)));
        }
    }

    fn sync(&mut self, group_id: &str, answer: &JoinAnswer, ticket: u64) {
        let members = answer.members.iter();
        let assignments = members.map(|member| SyncGroupRequestAssignment {
            member_id: &member.member_id,
            assignment: ASSIGNMENT,
        });
        let request = SyncGroupRequest {
            group_id,
            generation_id: answer.generation,
            member_id: &answer.member_id,
            assignments: assignments.collect(),
            ..SyncGroupRequest::default()
        };
        let effects = self.on(|shard, cx| shard.sync(&request, &caller(3), Ticket(ticket), cx));
        if let Some(answer) = self.carry_out(effects) {
            self.answers.push((Ticket(ticket), Answer::Sync(answer)));
        }
    }

    /// Has all members of all groups join and sync.
    fn storm(&mut self, groups: &[String], members: u64) {
        for (number, group) in (0..).zip(groups) {
            for member in 0..members {
                self.join(group, number * members + member);
            }
        }
        let all = members * groups.len() as u64;
        while (self.answers.len() as u64) < all {
            self.pass(3_000);
        }
        for (ticket, answer) in std::mem::take(&mut self.answers) {
            let Answer::Join(answer) = answer else { unreachable!("nobody has synced yet") };
            assert_eq!(answer.error, ErrorCode::NONE);
            self.sync(&groups[(ticket.0 / members) as usize], &answer, ticket.0);
        }
        let synced = self.answers.drain(..).filter(
            |(_, answer)| matches!(answer, Answer::Sync(answer) if answer.error == ErrorCode::NONE),
        );
        assert_eq!(synced.count() as u64, all);
    }
}

const METADATA: &[u8] = b"\x00\x00\x00\x00\x00\x01\x00\x06orders\xff\xff\xff\xff";
const ASSIGNMENT: &[u8] =
    b"\x00\x00\x00\x00\x00\x01\x00\x06orders\x00\x00\x00\x01\x00\x00\x00\x00\xff\xff\xff\xff";

fn caller(version: i16) -> Caller<'static> {
    Caller { client_id: "consumer", client_host: "/127.0.0.1", version }
}

fn groups(count: u64) -> Vec<String> {
    (0..count).map(|number| format!("group-{number}")).collect()
}

#[divan::bench(args = [1, 1_000, 100_000])]
fn commit_among(bencher: Bencher<'_, '_>, offsets: u64) {
    let groups = groups(offsets.div_ceil(100));
    let mut world = World::new();
    for at in 0..offsets {
        world.commit(&groups[(at / 100) as usize], (at % 100) as i32);
    }
    let mut at = 0;
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        // A large step through all of them, so that none is in the processor's cache by chance.
        at = (at + 7_919) % offsets;
        world.commit(black_box(&groups[(at / 100) as usize]), (at % 100) as i32);
    });
}

#[divan::bench(args = [100, 5_000], sample_count = 10)]
fn storm_in_one_group(bencher: Bencher<'_, '_>, members: u64) {
    let groups = groups(1);
    bencher
        .counter(ItemsCount::new(members))
        .with_inputs(World::new)
        .bench_local_values(|mut world| world.storm(&groups, members));
}

#[divan::bench(args = [100, 2_000], sample_count = 10)]
fn storm_in_groups_of_5(bencher: Bencher<'_, '_>, count: u64) {
    let groups = groups(count);
    bencher
        .counter(ItemsCount::new(count * 5))
        .with_inputs(World::new)
        .bench_local_values(|mut world| world.storm(&groups, 5));
}

#[divan::bench(args = [100_000], sample_count = 10)]
fn load(bencher: Bencher<'_, '_>, offsets: u64) {
    let records = records(offsets);
    bencher.counter(ItemsCount::new(offsets)).with_inputs(World::new).bench_local_refs(|world| {
        for (offset, record) in (0..).zip(&records) {
            let origin = Origin { offset, producer: None };
            world.shard.replay(&record.key, record.value.as_deref(), &origin).unwrap();
        }
    });
}

fn records(offsets: u64) -> Vec<Record> {
    let groups = groups(offsets.div_ceil(100));
    let mut world = World::new();
    let mut records = Vec::new();
    for at in 0..offsets {
        let request = OffsetCommitRequest {
            group_id: &groups[(at / 100) as usize],
            topics: vec![OffsetCommitRequestTopic {
                name: "orders",
                partitions: vec![OffsetCommitRequestPartition {
                    partition_index: (at % 100) as i32,
                    ..OffsetCommitRequestPartition::default()
                }],
                ..OffsetCommitRequestTopic::default()
            }],
            ..OffsetCommitRequest::default()
        };
        let effects = world.on(|shard, cx| shard.commit_offsets(&request, &caller(9), cx));
        records.extend(effects.write.unwrap().records);
    }
    records
}

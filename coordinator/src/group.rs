//! Groups and their offsets: one shard for each partition of `__consumer_offsets`.
//!
//! | file | what it holds |
//! |---|---|
//! | `classic.rs` and below | groups whose leader makes the assignment (JoinGroup, SyncGroup) |
//! | `consumer.rs` and below | groups whose assignment is made here (KIP-848) |
//! | `foreign.rs` | ids of share and streams groups, whose records are kept for others |
//! | `offsets.rs` and below | committed offsets, of groups of either kind and of none |
//! | `state.rs` | what the two kinds tell the offsets |
//! | `requests.rs` | the requests that groups of both kinds get, handed to the right kind |
//! | `replay.rs` | records and markers of the log, handed to what they belong to |

pub mod classic;
pub mod config;
pub mod consumer;
mod foreign;
pub mod offsets;
mod replay;
pub mod requests;
pub mod state;

use std::collections::HashMap;
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;

use crate::context::Context;
use crate::effects::{Answer, Effects, Then, Ticket, Write};
use crate::record::{Origin, Record};
use crate::timers::Timers;
use classic::{ClassicGroup, ClassicTimer};
use config::GroupConfig;
use consumer::{ConsumerGroup, ConsumerTimer};
use foreign::ForeignGroups;
use offsets::Offsets;
use state::GroupState;

/// The groups of one partition of `__consumer_offsets`.
pub struct GroupShard {
    config: Arc<GroupConfig>,
    groups: HashMap<Arc<str>, Group>,
    offsets: Offsets,
    foreign: ForeignGroups,
    timers: Timers<TimerKey>,
    /// Answers to requests that waited for a group which a replayed record has removed.
    left_over: Vec<(Ticket, Answer)>,
}

/// A group.
enum Group {
    Classic(Box<ClassicGroup>),
    Consumer(Box<ConsumerGroup>),
}

/// What a deadline is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum TimerKey {
    Classic(ClassicTimer),
    Consumer(ConsumerTimer),
}

impl Group {
    fn state(&self) -> &dyn GroupState {
        match self {
            Self::Classic(group) => &**group,
            Self::Consumer(group) => &**group,
        }
    }
}

impl GroupShard {
    /// A shard that holds nothing yet.
    pub fn new(config: Arc<GroupConfig>) -> Self {
        Self {
            config,
            groups: HashMap::new(),
            offsets: Offsets::default(),
            foreign: ForeignGroups::default(),
            timers: Timers::default(),
            left_over: Vec::new(),
        }
    }

    /// Obeys other settings from now on.
    pub fn set_config(&mut self, config: Arc<GroupConfig>) {
        self.config = config;
    }

    /// How many groups there are.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// Called once when all records of the partition were replayed: members are given their time
    /// to show themselves.
    pub fn loaded(&mut self, cx: &Context<'_>) -> Vec<Effects> {
        let mut effects = self.classic_loaded(cx);
        effects.extend(self.consumer_loaded(cx));
        effects
    }

    /// Answers every request that waits, since the shard is given up.
    pub fn close(&mut self, error: ErrorCode) -> Vec<(Ticket, Answer)> {
        let mut answers = self.close_classic(error);
        answers.extend(self.close_consumer(error));
        answers
    }

    /// When [`GroupShard::tick`] has something to do at the earliest, in ms of the clock that does
    /// not go back; `None` when there is nothing to wait for.
    pub fn next_deadline_ms(&self) -> Option<i64> {
        self.timers.next_ms()
    }

    /// Does what one deadline that has passed calls for; `None` when none has.
    pub fn tick(&mut self, cx: &Context<'_>) -> Option<Effects> {
        let effects = match self.timers.pop_due(cx.now.mono_ms)? {
            TimerKey::Classic(timer) => self.classic_timer(timer, cx),
            TimerKey::Consumer(timer) => self.consumer_timer(timer, cx),
        };
        Some(effects)
    }

    /// Goes on after an append; `result` is the offset of the first record, or why there is none.
    pub fn complete(
        &mut self,
        write: Write,
        result: Result<i64, ErrorCode>,
        cx: &Context<'_>,
    ) -> Effects {
        match (write.then, result) {
            (Then::Classic(group_id), result) => {
                self.complete_classic(&group_id, result.map(drop), cx)
            }
            (Then::Replay, Ok(first_offset)) => self.replay_written(&write.records, first_offset),
            (Then::Downgrade { group, rebalance }, Ok(first_offset)) => {
                self.complete_downgrade(&group, rebalance, &write.records, first_offset, cx)
            }
            (Then::Replay | Then::Downgrade { .. }, Err(_)) => Effects::response(()),
        }
    }

    /// Takes records into account that were appended just now.
    fn replay_written(&mut self, records: &[Record], first_offset: i64) -> Effects {
        for (offset, record) in (first_offset..).zip(records) {
            let origin = Origin { offset, producer: None };
            self.replay(&record.key, record.value.as_deref(), &origin)
                .expect("records that were made here can be read");
        }
        let answers = std::mem::take(&mut self.left_over);
        Effects { write: None, response: (), answers }
    }
}

//! A fetch session with a broker (KIP-227): it knows what was asked for before, so that only what
//! has changed is asked for.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::uuid::Uuid;

use crate::partition::TopicPartition;

/// The epoch of a request that asks for everything, and for a new session.
const FIRST_EPOCH: i32 = 0;

/// The epoch of a request that asks for nothing, and ends the session.
const FINAL_EPOCH: i32 = -1;

/// A session, or none yet.
#[derive(Debug, Default)]
pub(super) struct FetchSession {
    /// 0 for none.
    id: i32,
    epoch: i32,
    /// What the broker knows.
    known: BTreeMap<TopicPartition, Wanted>,
    has_ids: bool,
    /// Counts requests that ask for everything, so that another partition is first in each.
    turn: usize,
}

/// What is asked of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Zero when topics are named.
    pub(super) topic_id: Uuid,
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) bytes_max: i32,
}

/// What a request says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) session_id: i32,
    pub(super) session_epoch: i32,
    /// New, or changed.
    pub(super) wanted: Vec<(TopicPartition, Wanted)>,
    pub(super) forgotten: Vec<(TopicPartition, Uuid)>,
}

impl FetchSession {
    /// The next request, for exactly these partitions.
    pub(super) fn next(&mut self, wanted: BTreeMap<TopicPartition, Wanted>, has_ids: bool) -> Plan {
        if self.has_ids != has_ids {
            // Sessions have names or ids.
            self.begin_anew();
            self.has_ids = has_ids;
        }
        let mut plan = Plan { session_id: self.id, session_epoch: self.epoch, ..Plan::default() };
        if self.epoch == FIRST_EPOCH {
            plan.wanted = wanted.iter().map(|(of, wanted)| (of.clone(), *wanted)).collect();
            let first = self.turn % plan.wanted.len().max(1);
            plan.wanted.rotate_left(first);
            self.turn = self.turn.wrapping_add(1);
        } else {
            for (partition, known) in &self.known {
                // A topic that was made anew is another one.
                if wanted.get(partition).is_none_or(|wanted| wanted.topic_id != known.topic_id) {
                    plan.forgotten.push((partition.clone(), known.topic_id));
                }
            }
            let is_changed =
                |(of, wanted): &(&TopicPartition, &Wanted)| self.known.get(*of) != Some(*wanted);
            let changed = wanted.iter().filter(is_changed);
            plan.wanted = changed.map(|(of, wanted)| (of.clone(), *wanted)).collect();
        }
        self.known = wanted;
        plan
    }

    /// The next request begins a new session, and ends this one.
    pub(super) fn begin_anew(&mut self) {
        self.epoch = FIRST_EPOCH;
    }

    /// Whether the broker keeps one.
    pub(super) fn is_open(&self) -> bool {
        self.id != 0
    }

    /// The request that ends it. It is none from here on.
    pub(super) fn close(&mut self) -> Plan {
        let session_id = std::mem::take(&mut self.id);
        self.begin_anew();
        Plan { session_id, session_epoch: FINAL_EPOCH, ..Plan::default() }
    }

    /// Takes what an answer says of the session, and of which partitions it has something. Whether
    /// the answer makes sense.
    pub(super) fn answered(
        &mut self,
        error: ErrorCode,
        id: i32,
        partitions: &BTreeSet<&TopicPartition>,
    ) -> bool {
        if error != ErrorCode::NONE {
            if error == ErrorCode::FETCH_SESSION_ID_NOT_FOUND {
                self.id = 0;
            }
            self.begin_anew();
            return false;
        }
        let is_known = partitions.iter().all(|of| self.known.contains_key(*of));
        let is_full = self.epoch == FIRST_EPOCH;
        // A throttled broker answers without any partition.
        let is_whole = !is_full || partitions.len() == self.known.len() || partitions.is_empty();
        if !is_known || !is_whole {
            self.begin_anew();
            return false;
        }
        if id == 0 {
            // There is none, or no longer.
            (self.id, self.epoch) = (0, FIRST_EPOCH);
        } else {
            (self.id, self.epoch) = (id, following(self.epoch));
        }
        true
    }
}

/// Epochs go from the greatest one to 1: 0 stands for a new session.
fn following(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(list: &[(i32, i64)]) -> BTreeMap<TopicPartition, Wanted> {
        list.iter().map(|(partition, offset)| (of(*partition), at(1, *offset))).collect()
    }

    fn of(partition: i32) -> TopicPartition {
        TopicPartition::new("t", partition)
    }

    fn at(topic_id: u8, offset: i64) -> Wanted {
        let topic_id = Uuid::from_bytes([topic_id; 16]);
        Wanted { topic_id, offset, leader_epoch: 0, bytes_max: 1 }
    }

    fn told(session: &mut FetchSession, error: ErrorCode, id: i32, partitions: &[i32]) -> bool {
        let partitions: Vec<_> = partitions.iter().map(|partition| of(*partition)).collect();
        session.answered(error, id, &partitions.iter().collect())
    }

    /// One with partitions 0 and 1 that the broker has called 7.
    fn opened() -> FetchSession {
        let mut session = FetchSession::default();
        let plan = session.next(wanted(&[(0, 0), (1, 0)]), true);
        assert_eq!((plan.session_id, plan.session_epoch, plan.wanted.len()), (0, 0, 2));
        assert!(told(&mut session, ErrorCode::NONE, 7, &[0, 1]));
        session
    }

    #[test]
    fn only_what_has_changed_is_said() {
        let mut session = opened();
        let plan = session.next(wanted(&[(0, 0), (1, 5), (2, 9)]), true);
        let expected = Plan {
            session_id: 7,
            session_epoch: 1,
            wanted: vec![(of(1), at(1, 5)), (of(2), at(1, 9))],
            forgotten: vec![],
        };
        assert_eq!(plan, expected);
        assert!(told(&mut session, ErrorCode::NONE, 7, &[2]));
        let plan = session.next(wanted(&[(0, 0), (2, 9)]), true);
        assert_eq!((plan.session_epoch, plan.wanted.len()), (2, 0));
        assert_eq!(plan.forgotten, [(of(1), Uuid::from_bytes([1; 16]))]);
    }

    #[test]
    fn a_topic_made_anew_is_another_one() {
        let mut session = opened();
        let plan = session.next([(of(0), at(2, 0))].into(), true);
        assert_eq!(plan.wanted, [(of(0), at(2, 0))]);
        let old = Uuid::from_bytes([1; 16]);
        assert_eq!(plan.forgotten, [(of(0), old), (of(1), old)]);
    }

    #[test]
    fn a_session_ends_by_errors_and_by_answers_that_make_no_sense() {
        let none = ErrorCode::NONE;
        for (error, id, partitions, closes) in [
            // The broker does not know it: there is nothing to close.
            (ErrorCode::FETCH_SESSION_ID_NOT_FOUND, 0, &[][..], 0),
            (ErrorCode::INVALID_FETCH_SESSION_EPOCH, 0, &[], 7),
            (ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR, 0, &[], 7),
            (ErrorCode::UNKNOWN_SERVER_ERROR, 0, &[], 7),
            // Of a partition that nobody asked for.
            (none, 7, &[5], 7),
        ] {
            let mut session = opened();
            session.next(wanted(&[(0, 1), (1, 0)]), true);
            assert!(!told(&mut session, error, id, partitions), "{error}");
            let plan = session.next(wanted(&[(0, 1), (1, 0)]), true);
            assert_eq!((plan.session_id, plan.session_epoch), (closes, 0), "{error}");
            assert_eq!((plan.wanted.len(), plan.forgotten.len()), (2, 0), "{error}");
        }
    }

    #[test]
    fn a_broker_may_have_no_room_for_sessions_or_end_one() {
        let mut session = FetchSession::default();
        for _ in 0..3 {
            let plan = session.next(wanted(&[(0, 0), (1, 0)]), true);
            assert_eq!((plan.session_id, plan.session_epoch, plan.wanted.len()), (0, 0, 2));
            assert!(told(&mut session, ErrorCode::NONE, 0, &[0, 1]));
        }
        let mut session = opened();
        session.next(wanted(&[(0, 3), (1, 0)]), true);
        assert!(told(&mut session, ErrorCode::NONE, 0, &[0]));
        let plan = session.next(wanted(&[(0, 3), (1, 0)]), true);
        assert_eq!((plan.session_id, plan.session_epoch, plan.wanted.len()), (0, 0, 2));
    }

    #[test]
    fn a_full_answer_has_all_partitions_unless_it_is_throttled() {
        for (partitions, expected) in [(&[0, 1][..], true), (&[0], false), (&[], true)] {
            let mut session = FetchSession::default();
            session.next(wanted(&[(0, 0), (1, 0)]), true);
            assert_eq!(told(&mut session, ErrorCode::NONE, 7, partitions), expected);
        }
    }

    #[test]
    fn what_a_broker_keeps_is_ended_once() {
        let mut session = opened();
        assert!(session.is_open());
        let plan = session.close();
        assert_eq!((plan.session_id, plan.session_epoch), (7, -1));
        assert!(plan.wanted.is_empty() && plan.forgotten.is_empty());
        assert!(!session.is_open());
    }

    #[test]
    fn names_and_ids_are_not_mixed() {
        let mut session = opened();
        let plan = session.next(wanted(&[(0, 0), (1, 0)]), false);
        assert_eq!((plan.session_id, plan.session_epoch, plan.wanted.len()), (7, 0, 2));
    }

    #[test]
    fn epochs_do_not_become_0_by_counting() {
        assert_eq!((following(1), following(i32::MAX)), (2, 1));
    }
}

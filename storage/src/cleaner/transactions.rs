//! Which batches a cleaning meets are of aborted transactions, and which markers end transactions
//! of which nothing is left.
//!
//! Aborted transactions are known from the transaction indexes before their batches come by; any
//! other transaction was committed, for nothing undecided is cleaned.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};

use crate::txn_index::AbortedTxn;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    /// Aborted ones whose first offset lies ahead: by first offset, then producer and marker.
    ahead: BinaryHeap<Reverse<(i64, i64, i64)>>,
    known: BTreeMap<(i64, i64, i64), AbortedTxn>,
    /// Aborted ones that are passed through, by producer; whether a batch of them came by.
    aborted: HashMap<i64, (AbortedTxn, bool)>,
    /// Producers of which a batch of a committed transaction came by.
    committed: HashSet<i64>,
}

/// What a control batch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// Nothing any more: its record is gone.
    Empty,
    Commit,
    Abort,
    /// It ends no transaction.
    Other,
}

/// What becomes of a control batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    /// It must stay: records of its transaction are, or were until now, in front of it.
    Needed,
    /// It must stay, and the index entry of its transaction with it.
    Indexed(AbortedTxn),
    /// Nothing is left that it ends.
    Idle,
}

impl Transactions {
    /// Notes aborted transactions, of which some may be known already.
    pub(crate) fn add_aborted(&mut self, txns: impl IntoIterator<Item = AbortedTxn>) {
        for txn in txns {
            let key = (txn.first_offset, txn.producer_id, txn.last_offset);
            self.known.insert(key, txn);
            self.ahead.push(Reverse(key));
        }
    }

    fn advance_to(&mut self, offset: i64) {
        while let Some(Reverse(key)) = self.ahead.peek().copied() {
            if key.0 > offset {
                break;
            }
            self.ahead.pop();
            if let Some(txn) = self.known.remove(&key) {
                self.aborted.entry(txn.producer_id).or_insert((txn, false));
            }
        }
    }

    /// Passes a batch of data that ends with `last_offset`; says whether its records were aborted.
    pub(crate) fn on_data(
        &mut self,
        producer_id: i64,
        last_offset: i64,
        is_transactional: bool,
    ) -> bool {
        self.advance_to(last_offset);
        if !is_transactional {
            return false;
        }
        match self.aborted.get_mut(&producer_id) {
            Some((_, seen)) => {
                *seen = true;
                true
            }
            None => {
                self.committed.insert(producer_id);
                false
            }
        }
    }

    /// Passes a control batch that ends with `last_offset`.
    pub(crate) fn on_control(
        &mut self,
        producer_id: i64,
        last_offset: i64,
        control: Control,
    ) -> Marker {
        self.advance_to(last_offset);
        match control {
            Control::Empty => Marker::Idle,
            Control::Other => Marker::Needed,
            Control::Abort => match self.aborted.remove(&producer_id) {
                Some((txn, true)) => Marker::Indexed(txn),
                _ => Marker::Idle,
            },
            Control::Commit if self.committed.remove(&producer_id) => Marker::Needed,
            Control::Commit => Marker::Idle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn txn(producer_id: i64, first_offset: i64, last_offset: i64) -> AbortedTxn {
        AbortedTxn { producer_id, first_offset, last_offset, last_stable_offset: last_offset + 1 }
    }

    #[test]
    fn aborted_records_go_first_and_their_marker_later() {
        let mut txns = Transactions::default();
        txns.add_aborted([txn(7, 10, 30)]);
        assert!(!txns.on_data(7, 5, true), "an earlier transaction");
        assert_eq!(txns.on_control(7, 6, Control::Commit), Marker::Needed);
        assert!(!txns.on_data(8, 11, true), "another producer");
        assert!(txns.on_data(7, 12, true));
        // The next segment knows the transaction too.
        txns.add_aborted([txn(7, 10, 30)]);
        assert!(txns.on_data(7, 20, true));
        assert!(!txns.on_data(9, 21, false), "no transaction");
        assert_eq!(txns.on_control(7, 30, Control::Abort), Marker::Indexed(txn(7, 10, 30)));
        assert!(!txns.on_data(7, 31, true), "a later transaction");
        assert_eq!(txns.on_control(8, 32, Control::Commit), Marker::Needed);
    }

    #[test]
    fn markers_of_nothing_are_idle() {
        let mut txns = Transactions::default();
        txns.add_aborted([txn(7, 10, 30)]);
        for control in [Control::Abort, Control::Commit, Control::Empty] {
            assert_eq!(txns.on_control(7, 30, control), Marker::Idle);
        }
        assert_eq!(txns.on_control(7, 31, Control::Other), Marker::Needed);
    }

    #[test]
    fn transactions_of_one_producer_follow_each_other() {
        let mut txns = Transactions::default();
        txns.add_aborted([txn(7, 10, 12), txn(7, 20, 22)]);
        assert!(txns.on_data(7, 11, true));
        assert_eq!(txns.on_control(7, 12, Control::Abort), Marker::Indexed(txn(7, 10, 12)));
        assert!(!txns.on_data(7, 15, true));
        assert_eq!(txns.on_control(7, 16, Control::Commit), Marker::Needed);
        assert!(txns.on_data(7, 21, true));
        assert_eq!(txns.on_control(7, 22, Control::Abort), Marker::Indexed(txn(7, 20, 22)));
        assert_eq!(txns.on_control(7, 23, Control::Abort), Marker::Idle);
    }
}

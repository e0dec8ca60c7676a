//! Transactions that Kafka left open: nobody ends them here, and they go on holding back
//! `read_committed` readers, until Kafka ends them.

use ottla_storage::log::PartitionLog;

use crate::node::Node;

/// Open transactions that are told one by one at a start; of the rest, the number.
const TOLD_MAX: usize = 100;

/// Logs each open transaction of each partition.
pub(crate) fn tell_open_transactions(node: &Node) {
    let mut open: Vec<String> = node.logs.logs().iter().flat_map(|log| open_in(log)).collect();
    open.sort_unstable();
    for transaction in open.iter().take(TOLD_MAX) {
        log::warn!("open transaction: {transaction}");
    }
    if TOLD_MAX < open.len() {
        log::warn!("and {} open transactions more", open.len() - TOLD_MAX);
    }
    if !open.is_empty() {
        log::warn!(
            "Ottla has no transaction coordinator yet: read_committed consumers stop at these \
             offsets until Kafka ends the transactions"
        );
    }
}

fn open_in(log: &PartitionLog) -> Vec<String> {
    let topic_partition = log.topic_partition();
    log.with_producers(|state| {
        let open = state.producers().filter_map(|(producer_id, entry)| {
            let first_offset = entry.current_txn_first_offset?;
            Some(format!(
                "{topic_partition}: producer id {producer_id}, epoch {}, first offset \
                 {first_offset}",
                entry.producer_epoch
            ))
        });
        open.collect()
    })
}

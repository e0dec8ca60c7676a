//! What the answer to a Fetch request says.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::fetch::{AbortedTransaction, FetchResponse};

use super::request::has_ids;
use crate::cluster::Cluster;
use crate::consumer::positions::Marks;
use crate::error::Error;
use crate::net::Answer;
use crate::partition::TopicPartition;

/// All of it, by the names of topics.
pub(super) struct Read {
    pub(super) error: ErrorCode,
    pub(super) session_id: i32,
    /// How long the broker wants to be left alone, because of a quota.
    pub(super) throttle: Duration,
    pub(super) parts: Vec<Part>,
    /// Whether something is of a topic that nobody knows.
    pub(super) is_strange: bool,
}

/// What it says of a partition.
pub(super) struct Part {
    pub(super) partition: TopicPartition,
    pub(super) error: ErrorCode,
    pub(super) marks: Marks,
    pub(super) aborted: Vec<AbortedTransaction>,
    /// -1 for none.
    pub(super) preferred_replica: i32,
    /// Its id and epoch; -1 for none.
    pub(super) leader: (i32, i32),
    /// Where in the frame the records are.
    pub(super) range: Range<usize>,
}

/// # Errors
/// It is none.
pub(super) fn read(answer: &Answer, cluster: &Cluster) -> Result<Read, Error> {
    let read: FetchResponse<'_> = answer.read()?;
    let frame = answer.frame();
    let mut parts = Vec::new();
    let mut is_strange = false;
    for topic in read.responses {
        let name = match has_ids(answer.version()) {
            true => cluster.name(topic.topic_id),
            false => Some(topic.topic),
        };
        let Some(name) = name else {
            is_strange = true;
            continue;
        };
        let name: Arc<str> = name.into();
        for told in topic.partitions {
            let records = told.records.unwrap_or_default().bytes();
            let start = match records.is_empty() {
                true => 0,
                // They were read out of the frame.
                false => records.as_ptr() as usize - frame.as_ptr() as usize,
            };
            parts.push(Part {
                partition: TopicPartition {
                    topic: Arc::clone(&name),
                    partition: told.partition_index,
                },
                error: told.error_code,
                marks: Marks {
                    high_watermark: told.high_watermark,
                    last_stable_offset: told.last_stable_offset,
                    log_start_offset: told.log_start_offset,
                },
                aborted: told.aborted_transactions.unwrap_or_default(),
                preferred_replica: told.preferred_read_replica,
                leader: (told.current_leader.leader_id, told.current_leader.leader_epoch),
                range: start..start + records.len(),
            });
        }
    }
    let throttle = Duration::from_millis(u64::try_from(read.throttle_time_ms).unwrap_or(0));
    let (error, session_id) = (read.error_code, read.session_id);
    Ok(Read { error, session_id, throttle, parts, is_strange })
}

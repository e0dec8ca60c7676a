//! AlterReplicaLogDirs: in which log directory a replica shall lie.
//!
//! A replica that lies there already is where it shall be. Moving one is not done yet, and refused
//! as a disk's failure is: with the code by which Kafka says that a move did not start.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_replica_log_dirs::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult, AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
};
use ottla_storage::partition_dir::TopicPartition;

use super::{Call, Outcome, Unanswerable};
use crate::directories::absolute;
use crate::node::Node;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: AlterReplicaLogDirsRequest<'_> = call.body()?;
    // A partition that is named for several directories goes to the last of them, as in Kafka.
    let mut asked: BTreeMap<&str, BTreeMap<i32, &str>> = BTreeMap::new();
    for dir in &request.dirs {
        for topic in &dir.topics {
            let places = asked.entry(topic.name).or_default();
            places.extend(topic.partitions.iter().map(|number| (*number, dir.path)));
        }
    }
    let results =
        asked.into_iter().filter(|(_, places)| !places.is_empty()).map(|(name, places)| {
            let partitions =
                places.into_iter().map(|(number, path)| AlterReplicaLogDirPartitionResult {
                    partition_index: number,
                    error_code: place(node, name, number, path).err().unwrap_or(ErrorCode::NONE),
                });
            AlterReplicaLogDirTopicResult { topic_name: name, partitions: partitions.collect() }
        });
    call.answer(&AlterReplicaLogDirsResponse { results: results.collect(), ..Default::default() })
}

fn place(node: &Node, topic: &str, number: i32, path: &str) -> Result<(), ErrorCode> {
    let dir = node.logs.log_dirs().find(|dir| absolute(dir.path()) == path);
    let dir = dir.ok_or(ErrorCode::LOG_DIR_NOT_FOUND)?;
    if !dir.is_online() {
        return Err(ErrorCode::KAFKA_STORAGE_ERROR);
    }
    let served = node.topics.by_name(topic).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    served.partition(number)?;
    let log = node.logs.get(&TopicPartition::new(topic, number));
    let log = log.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if Arc::ptr_eq(log.log_dir(), dir) { Ok(()) } else { Err(ErrorCode::KAFKA_STORAGE_ERROR) }
}

//! DescribeLogDirs: the log directories, the partitions in them, and their space.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse,
    DescribeLogDirsResult, DescribeLogDirsTopic,
};
use ottla_storage::log::PartitionLog;
use ottla_storage::log_dir::LogDir;
use ottla_storage::manager::DamagedLog;
use ottla_storage::partition_dir::TopicPartition;

use super::{Call, Outcome, Unanswerable};
use crate::directories::absolute;
use crate::node::Node;

/// A space that is not known.
const UNKNOWN: i64 = -1;

/// The partitions asked about; `None` for all.
type Asked<'a> = Option<HashMap<&'a str, HashSet<i32>>>;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: DescribeLogDirsRequest<'_> = call.body()?;
    let asked: Asked<'_> = request.topics.as_ref().map(|topics| {
        let mut asked: HashMap<&str, HashSet<i32>> = HashMap::new();
        for topic in topics {
            asked.entry(topic.topic).or_default().extend(&topic.partitions);
        }
        asked
    });
    let logs = wanted_logs(node, &asked);
    let mut damaged = node.logs.damaged();
    damaged.retain(|log| is_wanted(&asked, &log.topic_partition));
    let dirs: Vec<(&Arc<LogDir>, String)> =
        node.logs.log_dirs().map(|dir| (dir, absolute(dir.path()))).collect();
    let results = dirs.iter().map(|(dir, path)| describe(node, dir, path, &logs, &damaged));
    call.answer(&DescribeLogDirsResponse { results: results.collect(), ..Default::default() })
}

fn wanted_logs(node: &Node, asked: &Asked<'_>) -> Vec<Arc<PartitionLog>> {
    let Some(asked) = asked else { return node.logs.logs() };
    let wanted = asked.iter().flat_map(|(topic, numbers)| {
        numbers.iter().filter_map(|number| node.logs.get(&TopicPartition::new(topic, *number)))
    });
    wanted.collect()
}

fn is_wanted(asked: &Asked<'_>, partition: &TopicPartition) -> bool {
    asked.as_ref().is_none_or(|asked| {
        asked.get(&*partition.topic).is_some_and(|numbers| numbers.contains(&partition.partition))
    })
}

/// A log directory with what is in it. A damaged log is listed too, for it takes its space.
fn describe<'a>(
    node: &Node,
    dir: &Arc<LogDir>,
    log_dir: &'a str,
    logs: &'a [Arc<PartitionLog>],
    damaged: &'a [Arc<DamagedLog>],
) -> DescribeLogDirsResult<'a> {
    if !dir.is_online() {
        let error_code = ErrorCode::KAFKA_STORAGE_ERROR;
        return DescribeLogDirsResult { error_code, log_dir, ..Default::default() };
    }
    let mut topics: BTreeMap<&str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    let good = logs.iter().filter(|log| Arc::ptr_eq(log.log_dir(), dir));
    let good = good.map(|log| (log.topic_partition(), log.size_bytes()));
    let damaged = damaged.iter().filter(|log| Arc::ptr_eq(&log.log_dir, dir));
    let damaged = damaged.map(|log| (&log.topic_partition, log.size_bytes));
    for (place, size_bytes) in good.chain(damaged) {
        topics.entry(&place.topic).or_default().push(DescribeLogDirsPartition {
            partition_index: place.partition,
            partition_size: i64::try_from(size_bytes).unwrap_or(i64::MAX),
            offset_lag: 0,
            is_future_key: false,
        });
    }
    let told = topics.into_iter().map(|(name, mut partitions)| {
        partitions.sort_unstable_by_key(|partition| partition.partition_index);
        DescribeLogDirsTopic { name, partitions }
    });
    let space = node.logs.space(dir).ok();
    let bytes = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    DescribeLogDirsResult {
        error_code: ErrorCode::NONE,
        log_dir,
        topics: told.collect(),
        total_bytes: space.map_or(UNKNOWN, |space| bytes(space.total_bytes)),
        usable_bytes: space.map_or(UNKNOWN, |space| bytes(space.usable_bytes)),
        is_cordoned: node.is_cordoned(dir.path()),
    }
}

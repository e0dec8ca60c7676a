//! The log directories of brokers, and the replicas in them.

use std::collections::BTreeMap;
use std::fmt;

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::alter_replica_log_dirs::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
};
use ottla_protocol::messages::describe_log_dirs::{
    DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirsResult,
};

use super::spread::{Item, by_topic, distinct, sorted};
use super::{Admin, Results};
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Outgoing};
use crate::partition::TopicPartition;
use crate::pending::Pending;
use crate::session::Route;

/// A log directory of a broker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LogDirDescription {
    /// Its absolute path.
    pub path: String,
    /// Why the broker cannot use it, as with KAFKA_STORAGE_ERROR; `None` when it can.
    pub error: Option<Error>,
    /// The size of its volume, in bytes; `None` when the broker does not tell (before Kafka 3.3).
    pub total_bytes: Option<i64>,
    /// The free space of its volume, in bytes; `None` as for `total_bytes`.
    pub usable_bytes: Option<i64>,
    /// Whether it takes no new partitions. Told from Kafka 4.2 on.
    pub is_cordoned: bool,
    /// The replicas in it, by topic and partition.
    pub replicas: Vec<ReplicaInfo>,
}

/// A replica in a log directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplicaInfo {
    /// Of which partition.
    pub partition: TopicPartition,
    /// The size of its segments, in bytes.
    pub size_bytes: i64,
    /// How far it is behind the high watermark; a future one, behind the one that it will take the
    /// place of. In offsets.
    pub offset_lag: i64,
    /// Whether it is being copied here from another directory.
    pub is_future: bool,
}

/// The replica of a partition on a broker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartitionReplica {
    /// The partition.
    pub partition: TopicPartition,
    /// The broker's id.
    pub broker: i32,
}

/// `orders-3 on broker 1`
impl fmt::Display for TopicPartitionReplica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on broker {}", self.partition, self.broker)
    }
}

impl Item for TopicPartitionReplica {
    fn blame(&self, error: Error) -> Error {
        let error = self.partition.blame(error);
        if error.broker().is_some() { error } else { error.at(self.broker) }
    }
}

impl LogDirDescription {
    fn of(told: &DescribeLogDirsResult<'_>) -> Self {
        let replicas = told.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|of| ReplicaInfo {
                partition: TopicPartition::new(topic.name, of.partition_index),
                size_bytes: of.partition_size,
                offset_lag: of.offset_lag,
                is_future: of.is_future_key,
            })
        });
        let mut replicas: Vec<_> = replicas.collect();
        replicas.sort_by(|one, other| one.partition.cmp(&other.partition));
        Self {
            path: told.log_dir.to_owned(),
            error: Error::of_code(told.error_code, None).err(),
            total_bytes: (told.total_bytes >= 0).then_some(told.total_bytes),
            usable_bytes: (told.usable_bytes >= 0).then_some(told.usable_bytes),
            is_cordoned: told.is_cordoned,
            replicas,
        }
    }
}

impl Admin {
    /// The log directories of brokers, by their paths, with all replicas in them; with no brokers,
    /// of all.
    ///
    /// # Errors
    /// The brokers are not known; one is there twice. Of a broker: it did not answer, or may not
    /// tell; the cluster does not have it.
    pub fn describe_log_dirs(
        &self,
        brokers: &[i32],
    ) -> Result<Results<i32, Vec<LogDirDescription>>, Error> {
        self.of_brokers(brokers, |broker| {
            let build = |version, timeout| {
                Outgoing::new(&DescribeLogDirsRequest { topics: None }, version, timeout)
            };
            let read = |answer: &Answer| {
                let read: DescribeLogDirsResponse<'_> = answer.read()?;
                Error::of_code(read.error_code, None)?;
                let mut dirs: Vec<_> = read.results.iter().map(LogDirDescription::of).collect();
                dirs.sort_by(|one, other| one.path.cmp(&other.path));
                Ok(dirs)
            };
            let api = (ApiKey::DescribeLogDirs, 1..=5);
            self.remote.ask(Route::Broker(broker), api, build, read)
        })
    }

    /// Has replicas moved to other log directories of their brokers, given by their absolute paths.
    /// A replica that is not there yet is made in that directory. The call does not wait for the
    /// end of the moves: [`Admin::describe_log_dirs`] shows them.
    ///
    /// # Errors
    /// The brokers are not known; a replica is there twice. Of a replica: its broker's, such as
    /// LOG_DIR_NOT_FOUND; or that it did not answer.
    pub fn alter_replica_log_dirs(
        &self,
        moves: &[(TopicPartitionReplica, String)],
    ) -> Result<Results<TopicPartitionReplica, ()>, Error> {
        let replicas: Vec<_> = moves.iter().map(|(replica, _)| replica.clone()).collect();
        distinct(&replicas)?;
        let mut brokers: BTreeMap<i32, Vec<(TopicPartition, String)>> = BTreeMap::new();
        for (replica, directory) in moves {
            let of = brokers.entry(replica.broker).or_default();
            of.push((replica.partition.clone(), directory.clone()));
        }
        if brokers.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<i32> = brokers.keys().copied().collect();
        let told = self.of_brokers(&ids, |broker| {
            self.move_replicas(broker, brokers.get(&broker).cloned().unwrap_or_default())
        })?;
        let mut results = BTreeMap::new();
        for (broker, told) in told {
            let told = match told {
                Ok(told) => told,
                Err(error) => {
                    let of = brokers.get(&broker).into_iter().flatten();
                    of.map(|(partition, _)| (partition.clone(), Err(error.clone()))).collect()
                }
            };
            results.extend(
                told.into_iter().map(|(partition, result)| {
                    (TopicPartitionReplica { partition, broker }, result)
                }),
            );
        }
        let lost = || Err(Error::new(ErrorKind::Malformed, "no word about it"));
        let result = |replica: TopicPartitionReplica| {
            let result = results.remove(&replica).unwrap_or_else(lost);
            let result = result.map_err(|error| replica.blame(error));
            (replica, result)
        };
        Ok(replicas.into_iter().map(result).collect())
    }

    fn move_replicas(
        &self,
        broker: i32,
        moves: Vec<(TopicPartition, String)>,
    ) -> Pending<Results<TopicPartition, ()>> {
        let of: Vec<_> = moves.iter().map(|(partition, _)| partition.clone()).collect();
        let build = move |version, timeout| {
            let mut dirs: BTreeMap<&str, Vec<&TopicPartition>> = BTreeMap::new();
            for (partition, directory) in &moves {
                dirs.entry(directory).or_default().push(partition);
            }
            let topic = |(name, partitions)| AlterReplicaLogDirTopic { name, partitions };
            let dirs = dirs.into_iter().map(|(path, partitions)| AlterReplicaLogDir {
                path,
                topics: by_topic(partitions).into_iter().map(topic).collect(),
            });
            let request = AlterReplicaLogDirsRequest { dirs: dirs.collect() };
            Outgoing::new(&request, version, timeout)
        };
        let read = move |answer: &Answer| {
            let read: AlterReplicaLogDirsResponse<'_> = answer.read()?;
            let told = read.results.iter().flat_map(|topic| {
                topic.partitions.iter().map(|told| {
                    let partition = TopicPartition::new(topic.topic_name, told.partition_index);
                    (partition, Error::of_code(told.error_code, None))
                })
            });
            sorted(ApiKey::AlterReplicaLogDirs, &of, told)
        };
        let api = (ApiKey::AlterReplicaLogDirs, 1..=2);
        self.remote.ask(Route::Broker(broker), api, build, read)
    }
}

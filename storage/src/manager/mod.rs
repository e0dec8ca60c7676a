//! All logs of a broker, over one or several log directories.
//!
//! [`LockedDirs::lock`] takes the directories, [`LockedDirs::load`] opens what is in them. In
//! between, the caller may read what else is there, such as the metadata log that tells which
//! topics exist. The manager has no threads of its own: [`LogManager`]'s periodic work is called by
//! whoever keeps the time, and takes it as an argument.
//!
//! A directory that fails goes offline: its logs answer errors, those of other directories go on.

mod cleaning;
mod close;
mod damaged;
mod dirs;
mod duplicates;
mod error;
mod load;
mod opening;
mod partitions;
mod periodic;
mod progress;
mod retain;
mod spread;
mod stray;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use arc_swap::ArcSwap;

pub use damaged::{Checkpointed, DamagedLog};
pub use dirs::{DirIdentity, LockedDirs};
pub use error::ManagerError;
pub use load::{FoundLog, Known};
pub use partitions::{Begin, NewPartition};
pub use progress::{LoadProgress, Loaded};
pub use retain::RetentionReport;

use crate::config::LogConfig;
use crate::disk::Disk;
use crate::error::StorageError;
use crate::log::{LogEnvironment, LogRole, OpenBudget, PartitionLog};
use crate::log_dir::LogDir;
use crate::partition_dir::TopicPartition;
use crate::producer_state::ProducerSettings;
use crate::retention::ClockWatch;
use cleaning::Cleanings;
use dirs::Dir;

/// Settings of a broker's logs.
#[derive(Clone, Debug)]
pub struct ManagerConfig {
    /// `log.dirs`.
    pub dirs: Vec<PathBuf>,
    /// `num.recovery.threads.per.data.dir`, at least 1.
    pub recovery_threads_per_dir: usize,
    /// How many sealed segments may have a descriptor and two maps at a time.
    pub open_segments_max: usize,
    /// The broker's own settings, by which deleted partitions go.
    pub default_log_config: LogConfig,
    /// Settings of producer state.
    pub producer_settings: ProducerSettings,
    /// Whether other brokers have replicas.
    pub role: LogRole,
}

/// See the module. Every method may be called from any thread.
#[derive(Debug)]
pub struct LogManager {
    disk: Arc<dyn Disk>,
    config: ArcSwap<ManagerConfig>,
    dirs: Vec<Dir>,
    open_segments: Arc<OpenBudget>,
    previous_broker_epoch: Option<i64>,
    logs: RwLock<HashMap<TopicPartition, Arc<PartitionLog>>>,
    damaged: RwLock<HashMap<TopicPartition, Arc<DamagedLog>>>,
    /// Held while a log is made or deleted, so that two calls for the same one take turns.
    changes: Mutex<Changes>,
    cleanings: Mutex<Cleanings>,
}

/// What one caller at a time changes.
#[derive(Debug, Default)]
struct Changes {
    /// Directories renamed `-delete`, to be removed.
    deletions: Vec<Deletion>,
    /// Directories in which Kafka was copying partitions to another log directory.
    futures: Vec<Future>,
    /// Log directories whose checkpoints may still name deleted partitions.
    stale: HashSet<PathBuf>,
    /// Log directories that get no new partitions, as long as others are online.
    cordoned: HashSet<PathBuf>,
    clock: ClockWatch,
    /// Retention passes that spared segments because the clock was not believed.
    spared_passes: u64,
}

/// A copy that Kafka had begun. It is left for Kafka to go on with, as long as the topic is there.
#[derive(Debug)]
struct Future {
    topic_partition: TopicPartition,
    log_dir: Arc<LogDir>,
    path: PathBuf,
}

/// One of them.
#[derive(Debug)]
struct Deletion {
    log_dir: Arc<LogDir>,
    path: PathBuf,
    due_ms: i64,
}

impl LogManager {
    /// Locks and loads in one go; see [`LockedDirs`].
    ///
    /// # Errors
    /// See [`ManagerError`].
    pub fn open(
        config: ManagerConfig,
        disk: Arc<dyn Disk>,
        now_ms: i64,
        known: &(dyn Fn(&FoundLog) -> Known + Sync),
    ) -> Result<Self, ManagerError> {
        LockedDirs::lock(config, disk)?.load(now_ms, known)
    }

    /// Puts other settings in force: those that deleted partitions go by, and those of producer
    /// state. The directories, the budget of segments and the role stay what they were.
    pub fn set_config(&self, change: impl Fn(&mut ManagerConfig)) {
        let changes = self.changes();
        self.config.rcu(|config| {
            let mut config = ManagerConfig::clone(config);
            change(&mut config);
            config
        });
        // With the lock held no log is made in between with the settings of before.
        let settings = self.config.load().producer_settings;
        self.logs().iter().for_each(|log| log.set_producer_settings(settings));
        drop(changes);
    }

    /// The log of a partition, whether its directory is online or not.
    pub fn get(&self, topic_partition: &TopicPartition) -> Option<Arc<PartitionLog>> {
        let logs = self.logs.read().unwrap_or_else(PoisonError::into_inner);
        logs.get(topic_partition).map(Arc::clone)
    }

    /// All logs, in no order.
    pub fn logs(&self) -> Vec<Arc<PartitionLog>> {
        let logs = self.logs.read().unwrap_or_else(PoisonError::into_inner);
        let mut logs: Vec<_> = logs.values().map(Arc::clone).collect();
        if self.disk.is_repeatable() {
            logs.sort_unstable_by(|a, b| a.topic_partition().cmp(b.topic_partition()));
        }
        logs
    }

    /// The log directories, in the order of the configuration.
    pub fn log_dirs(&self) -> impl Iterator<Item = &Arc<LogDir>> {
        self.dirs.iter().map(|dir| &dir.log_dir)
    }

    /// The broker epoch at the last stop, if that was in order in every directory, and they agree.
    pub fn previous_broker_epoch(&self) -> Option<i64> {
        self.previous_broker_epoch
    }

    /// Whether no directory is left: the process has no more use.
    pub fn is_all_offline(&self) -> bool {
        self.dirs.iter().all(|dir| !dir.log_dir.is_online())
    }

    /// What logs in `dir` share; also for a log that the manager does not keep, such as the
    /// metadata log.
    pub fn environment(&self, log_dir: &Arc<LogDir>) -> LogEnvironment {
        LogEnvironment {
            disk: Arc::clone(&self.disk),
            log_dir: Arc::clone(log_dir),
            open_segments: Arc::clone(&self.open_segments),
        }
    }

    fn logs_in(&self, log_dir: &Arc<LogDir>) -> Vec<Arc<PartitionLog>> {
        let mut logs = self.logs();
        logs.retain(|log| Arc::ptr_eq(log.log_dir(), log_dir));
        logs
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does `work` for every item, and returns the first error; an error does not stop the others.
fn for_each<T>(
    items: impl IntoIterator<Item = T>,
    mut work: impl FnMut(T) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let mut first = Ok(());
    for item in items {
        let outcome = work(item);
        first = first.and(outcome);
    }
    first
}

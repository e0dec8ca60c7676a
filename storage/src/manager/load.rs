//! Opening every log of every directory.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

use arc_swap::ArcSwap;
use ottla_protocol::uuid::Uuid;

use super::damaged::{Checkpointed, DamagedLog};
use super::dirs::{Dir, LockedDirs};
use super::progress::LoadProgress;
use super::spread::spread;
use super::{Changes, Deletion, Future, LogManager, ManagerError, opening, stray};
use crate::checkpoint::{
    self, LOG_START_OFFSET_CHECKPOINT, RECOVERY_POINT_CHECKPOINT, RECOVERY_POINT_UNKNOWN,
    REPLICATION_OFFSET_CHECKPOINT,
};
use crate::clean_shutdown;
use crate::config::LogConfig;
use crate::disk::Entry;
use crate::error::StorageError;
use crate::log::{LogDamage, OpenLog, OpenLogError, PartitionLog};
use crate::log_dir::LogDir;
use crate::partition_dir::{DirState, PartitionDir, TopicPartition};
use crate::partition_metadata::{self, PartitionMetadataError};
use crate::producer_state::snapshots::Shutdown;
use crate::whole_file::WholeFileError;

/// Directories in a log directory that are no partitions of the broker's.
const NOT_PARTITIONS: [&str; 2] = ["remote-log-index-cache", "__cluster_metadata-0"];

/// A partition's directory found on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundLog {
    /// By its name.
    pub topic_partition: TopicPartition,
    /// The topic's id; `None` when the log has none, as in Kafka before 2.8.
    pub topic_id: Option<Uuid>,
    /// Where it is.
    pub dir: PathBuf,
}

/// What the caller knows of a partition that was found.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// It belongs here, with these settings.
    Here(LogConfig),
    /// It does not: no such topic, or another one of the same name. It is renamed and left alone.
    Stray,
}

/// What a log directory has, besides the logs.
struct DirContents {
    jobs: Vec<OpenLog>,
    /// Logs that are not opened, for nobody can tell whose they are.
    damaged: Vec<DamagedLog>,
    deletions: Vec<Deletion>,
    futures: Vec<Future>,
    broker_epoch: Option<i64>,
    /// The checkpoints name partitions that are not there.
    is_stale: bool,
    checkpointed: HashMap<TopicPartition, Checkpointed>,
}

/// Logs by partition, of one log directory or of all.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) logs: HashMap<TopicPartition, Arc<PartitionLog>>,
    pub(super) damaged: HashMap<TopicPartition, Arc<DamagedLog>>,
    deletions: Vec<Deletion>,
    futures: Vec<Future>,
    broker_epoch: Option<i64>,
    /// Directories whose checkpoints name partitions that are not there.
    pub(super) stale: Vec<Arc<LogDir>>,
}

impl LockedDirs {
    /// Opens every log: directories at the same time, and in each of them several logs at a time.
    /// After an orderly stop little is read; after a crash, logs are recovered from their recovery
    /// points.
    ///
    /// A directory with a log that cannot be read goes offline as a whole. A log that is damaged
    /// where it was durable is offline alone, see [`LogManager::damaged`].
    ///
    /// # Errors
    /// Names and duplicates that Kafka does not start on either, and when no directory is left.
    pub fn load(
        self,
        now_ms: i64,
        known: &(dyn Fn(&FoundLog) -> Known + Sync),
    ) -> Result<LogManager, ManagerError> {
        self.load_with(now_ms, known, &LoadProgress::default())
    }

    /// As [`LockedDirs::load`], and counts `progress` up meanwhile.
    ///
    /// # Errors
    /// As [`LockedDirs::load`].
    pub fn load_with(
        self,
        now_ms: i64,
        known: &(dyn Fn(&FoundLog) -> Known + Sync),
        progress: &LoadProgress,
    ) -> Result<LogManager, ManagerError> {
        let loaded = self.load_all(now_ms, known, progress).inspect_err(|_| self.unlock())?;
        let Loaded { deletions, futures, .. } = loaded;
        let changes = Changes { deletions, futures, ..Changes::default() };
        let Self { config, disk, dirs, open_segments } = self;
        let manager = LogManager {
            disk,
            config: ArcSwap::from_pointee(config),
            dirs,
            open_segments,
            previous_broker_epoch: loaded.broker_epoch,
            logs: RwLock::new(loaded.logs),
            damaged: RwLock::new(loaded.damaged),
            changes: Mutex::new(changes),
            cleanings: Mutex::default(),
        };
        manager.forget_lost();
        for log_dir in loaded.stale {
            // A partition that is made later must not be thought to have been as long as an older
            // one of the same name.
            if let Err(error) = manager.checkpoint_dir(&log_dir) {
                log::warn!("{error}");
            }
        }
        Ok(manager)
    }

    /// Looks at the names of all directories, which [`LockedDirs::load`] does too, but which who
    /// is about to change something else may want to know before.
    ///
    /// # Errors
    /// A directory is there that Kafka does not start on either: `lost+found`, say.
    pub fn check_names(&self) -> Result<(), ManagerError> {
        for dir in self.dirs.iter().filter(|dir| dir.log_dir.is_online()) {
            match self.partition_dirs(dir.log_dir.path()) {
                Err(ManagerError::Storage(error)) => dir.log_dir.fail(&error),
                other => drop(other?),
            }
        }
        Ok(())
    }

    fn load_all(
        &self,
        now_ms: i64,
        known: &(dyn Fn(&FoundLog) -> Known + Sync),
        progress: &LoadProgress,
    ) -> Result<Loaded, ManagerError> {
        let mut all = Loaded::default();
        let mut broker_epochs = Vec::new();
        let online: Vec<_> = self.dirs.iter().filter(|dir| dir.log_dir.is_online()).collect();
        let loaded = spread(&*self.disk, online.len(), &online, |dir| {
            self.load_dir(dir, now_ms, known, progress)
        });
        for dir in loaded {
            let dir = dir?;
            all.deletions.extend(dir.deletions);
            all.futures.extend(dir.futures);
            all.stale.extend(dir.stale);
            broker_epochs.push(dir.broker_epoch);
            for log in dir.logs.into_values() {
                self.add_log(&mut all, log)?;
            }
            for log in dir.damaged.into_values() {
                self.add_damaged(&mut all, log)?;
            }
        }
        if let Some(error) = self.all_offline() {
            return Err(error);
        }
        let agreed = broker_epochs.len() == self.dirs.len()
            && broker_epochs.windows(2).all(|pair| pair[0] == pair[1]);
        all.broker_epoch = if agreed { broker_epochs[0] } else { None };
        Ok(all)
    }

    fn load_dir(
        &self,
        dir: &Dir,
        now_ms: i64,
        known: &(dyn Fn(&FoundLog) -> Known + Sync),
        progress: &LoadProgress,
    ) -> Result<Loaded, ManagerError> {
        let contents = match self.read_dir(dir, now_ms, known) {
            Err(ManagerError::Storage(error)) => {
                dir.log_dir.fail(&error);
                return Ok(Loaded::default());
            }
            other => other?,
        };
        let mut loaded = Loaded {
            deletions: contents.deletions,
            futures: contents.futures,
            broker_epoch: contents.broker_epoch,
            ..Loaded::default()
        };
        let damaged = contents.damaged.into_iter();
        loaded.damaged.extend(damaged.map(|log| (log.topic_partition.clone(), Arc::new(log))));
        let jobs = opening::in_order(&*self.disk, self.threads(), contents.jobs, progress);
        let checkpointed = |topic_partition: &TopicPartition| {
            contents.checkpointed.get(topic_partition).copied().unwrap_or_default()
        };
        let cut = |job: &OpenLog| checkpointed(&job.topic_partition).cut();
        for (job, opened) in opening::open_all(&*self.disk, self.threads(), &jobs, &cut, progress) {
            let topic_partition = job.topic_partition.clone();
            let checkpointed = checkpointed(&topic_partition);
            let damage = match opened {
                Ok(log) => {
                    log.advance_high_watermark(checkpointed.high_watermark.unwrap_or(0));
                    loaded.logs.insert(topic_partition, log);
                    continue;
                }
                Err(OpenLogError::FileName(error)) => {
                    return Err(ManagerError::FileName { dir: job.dir.clone(), error });
                }
                Err(OpenLogError::Damaged(damage)) => *damage,
                Err(OpenLogError::Storage(error)) => match LogDamage::of_error(error) {
                    Ok(damage) => damage,
                    Err(error) => {
                        dir.log_dir.fail(&error);
                        continue;
                    }
                },
            };
            let log = self.damaged(dir, &topic_partition, &job.dir, damage, checkpointed);
            loaded.damaged.insert(topic_partition, Arc::new(log));
        }
        if !dir.log_dir.is_online() {
            loaded.logs.clear();
            loaded.damaged.clear();
        } else if contents.is_stale {
            loaded.stale.push(Arc::clone(&dir.log_dir));
        }
        Ok(loaded)
    }

    /// A log that is offline alone, of which the log tells.
    fn damaged(
        &self,
        dir: &Dir,
        topic_partition: &TopicPartition,
        path: &Path,
        damage: LogDamage,
        checkpointed: Checkpointed,
    ) -> DamagedLog {
        log::error!("partition {topic_partition} is offline: {damage}");
        DamagedLog {
            topic_partition: topic_partition.clone(),
            log_dir: Arc::clone(&dir.log_dir),
            dir: path.to_owned(),
            damage,
            size_bytes: opening::size_bytes(&*self.disk, path, i64::MIN).unwrap_or(0),
            checkpointed,
        }
    }

    fn threads(&self) -> usize {
        self.config.recovery_threads_per_dir.max(1)
    }

    /// Looks through a directory, and says which logs are to be opened and how.
    fn read_dir(
        &self,
        dir: &Dir,
        now_ms: i64,
        known: &(dyn Fn(&FoundLog) -> Known + Sync),
    ) -> Result<DirContents, ManagerError> {
        let disk = &*self.disk;
        let root = dir.log_dir.path();
        let found = self.partition_dirs(root)?;
        let marker = clean_shutdown::read(disk, root).map_err(StorageError::io("read", root))?;
        // Before anything else: a crash from here on must not find it.
        clean_shutdown::remove(disk, root).map_err(StorageError::io("unmark", root))?;
        let after = if marker.is_some() { Shutdown::Clean } else { Shutdown::Unclean };
        let path = dir.path_of(RECOVERY_POINT_CHECKPOINT);
        let recovery_points = or_none(checkpoint::read_recovery_points(disk, &path))?;
        let log_starts = self.read_checkpoint(dir, LOG_START_OFFSET_CHECKPOINT);
        let log_starts = or_none(log_starts)?.unwrap_or_default();
        let high_watermarks = self.read_checkpoint(dir, REPLICATION_OFFSET_CHECKPOINT)?;
        let mut contents = DirContents {
            jobs: Vec::new(),
            damaged: Vec::new(),
            deletions: Vec::new(),
            futures: Vec::new(),
            broker_epoch: marker.and_then(|marker| marker.broker_epoch),
            is_stale: false,
            checkpointed: HashMap::new(),
        };
        let topic_ids = self.topic_ids(&found);
        for ((path, partition_dir), topic_id) in found.into_iter().zip(topic_ids) {
            if partition_dir.state != DirState::Live {
                self.pass_over(dir, &mut contents, partition_dir, path, now_ms);
                continue;
            }
            let topic_partition = partition_dir.topic_partition;
            let checkpointed = Checkpointed {
                recovery_point: recovery_points
                    .as_ref()
                    .map_or(Some(RECOVERY_POINT_UNKNOWN), |all| all.get(&topic_partition).copied()),
                log_start_offset: log_starts.get(&topic_partition).copied(),
                high_watermark: high_watermarks.get(&topic_partition).copied(),
            };
            let topic_id = match topic_id {
                Ok(topic_id) => topic_id,
                Err(WholeFileError::Content { path: file, error }) => {
                    let damage = LogDamage::of_metadata(file, &error);
                    let log = self.damaged(dir, &topic_partition, &path, damage, checkpointed);
                    contents.checkpointed.insert(topic_partition, checkpointed);
                    contents.damaged.push(log);
                    continue;
                }
                Err(error) => return Err(StorageError::from(error).into()),
            };
            let found = FoundLog { topic_partition, topic_id, dir: path };
            let Known::Here(config) = known(&found) else {
                let FoundLog { topic_partition, dir, .. } = &found;
                stray::set_aside(disk, topic_partition, dir, "of no known topic")?;
                continue;
            };
            let FoundLog { topic_partition, dir: path, .. } = found;
            contents.checkpointed.insert(topic_partition.clone(), checkpointed);
            contents.jobs.push(OpenLog {
                environment: self.environment(&dir.log_dir),
                recovery_point: checkpointed.recovery_point.unwrap_or(0).max(0),
                log_start_offset: checkpointed.log_start_offset.unwrap_or(0),
                dir: path,
                topic_partition,
                config,
                role: self.config.role,
                producer_settings: self.config.producer_settings,
                after,
                now_ms,
            });
        }
        let is_gone = |partition: &TopicPartition| !contents.checkpointed.contains_key(partition);
        let mut named = recovery_points.iter().flatten().chain(&log_starts);
        contents.is_stale = named.any(|(partition, _)| is_gone(partition));
        Ok(contents)
    }

    /// The topic ids of live partitions, in the order of these; one after the other those of
    /// thousands would be waited for.
    fn topic_ids(
        &self,
        found: &[(PathBuf, PartitionDir)],
    ) -> Vec<Result<Option<Uuid>, WholeFileError<PartitionMetadataError>>> {
        spread(&*self.disk, self.threads(), found, |(path, partition_dir)| {
            match partition_dir.state {
                DirState::Live => partition_metadata::read(&*self.disk, path),
                _ => Ok(None),
            }
        })
    }

    /// Notes what is to be done with a directory that holds no log in use.
    fn pass_over(
        &self,
        dir: &Dir,
        contents: &mut DirContents,
        PartitionDir { topic_partition, state, .. }: PartitionDir,
        path: PathBuf,
        now_ms: i64,
    ) {
        let log_dir = Arc::clone(&dir.log_dir);
        match state {
            DirState::Live => {}
            DirState::Deleted => {
                let delay_ms = self.config.default_log_config.file_delete_delay_ms;
                let due_ms = now_ms.saturating_add(delay_ms);
                contents.deletions.push(Deletion { log_dir, path, due_ms });
            }
            DirState::Stray => log::warn!("{}: left alone", path.display()),
            DirState::Future => {
                log::warn!(
                    "{}: a copy that was not finished, left alone until its topic is deleted",
                    path.display()
                );
                contents.futures.push(Future { topic_partition, log_dir, path });
            }
        }
    }

    /// The directories with their names taken apart. Who stops at a name that nobody should have
    /// given has changed nothing yet, so that what was stopped cleanly stays so.
    fn partition_dirs(&self, root: &Path) -> Result<Vec<(PathBuf, PartitionDir)>, ManagerError> {
        let entries = self.disk.list(root).map_err(StorageError::io("list", root))?;
        let is_partition =
            |entry: &Entry| entry.is_dir && !NOT_PARTITIONS.contains(&entry.name.as_str());
        let dirs = entries.into_iter().filter(is_partition).map(|entry| {
            let parsed = PartitionDir::parse(&entry.name)
                .map_err(|error| ManagerError::DirName { dir: root.to_owned(), error })?;
            Ok((root.join(&entry.name), parsed))
        });
        dirs.collect()
    }

    fn read_checkpoint(&self, dir: &Dir, name: &str) -> Result<checkpoint::Offsets, StorageError> {
        let path = dir.path_of(name);
        checkpoint::read_offsets(&*self.disk, &path).map_err(StorageError::from)
    }
}

/// A checkpoint without which the load only takes longer; `None` for a damaged one.
fn or_none<E>(
    read: Result<checkpoint::Offsets, E>,
) -> Result<Option<checkpoint::Offsets>, StorageError>
where
    StorageError: From<E>,
{
    match read.map_err(StorageError::from) {
        Err(error @ StorageError::Corrupt { .. }) => {
            log::warn!("{error}; going on without it");
            Ok(None)
        }
        other => other.map(Some),
    }
}

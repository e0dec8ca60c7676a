//! Making and deleting partitions.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::thread;

use ottla_protocol::uuid::Uuid;

use super::dirs::Dir;
use super::spread::spread;
use super::{Changes, Deletion, Future, LogManager, ManagerError, for_each};
use crate::config::LogConfig;
use crate::disk::Disk;
use crate::error::StorageError;
use crate::log::{OpenLog, OpenLogError, PartitionLog};
use crate::log_dir::LogDir;
use crate::partition_dir::{DirState, TopicPartition, dir_name};
use crate::partition_metadata;
use crate::producer_state::snapshots::Shutdown;

/// What partition to make.
#[derive(Clone, Debug)]
pub struct NewPartition {
    /// Its name.
    pub topic_partition: TopicPartition,
    /// The topic's id.
    pub topic_id: Uuid,
    /// The topic's settings.
    pub config: LogConfig,
}

/// Partitions that are made at a time. Making one is mostly waiting for syncs, and syncs that wait
/// together share a commit of the file system's journal.
const CREATE_THREADS: usize = 8;

/// What a new log is given before anybody else sees it.
pub type Begin<'a> = dyn Fn(&NewPartition, &PartitionLog) -> Result<(), StorageError> + Sync + 'a;

type Outcome = Result<Arc<PartitionLog>, ManagerError>;

/// Where a partition is, or will be.
enum Place<'a> {
    Known(Arc<PartitionLog>),
    In(&'a Dir),
}

impl LogManager {
    /// Makes a partition's log in the online directory that has the fewest, and the files that it
    /// begins with. If it exists it is returned as it is.
    ///
    /// # Errors
    /// What the disk says; the partition is then not there.
    pub fn create(
        &self,
        new: NewPartition,
        now_ms: i64,
    ) -> Result<Arc<PartitionLog>, ManagerError> {
        // At a start this is asked for each log there is: it must not cost a look at all of them.
        if let Some(log) = self.get(&new.topic_partition) {
            return Ok(log);
        }
        let made = self.create_all(&[new], now_ms, &|_, _| Ok(()));
        made.into_iter().next().expect("a partition has an outcome")
    }

    /// The directories that get no new partitions from now on, as long as others are online. Those
    /// of before may again.
    pub fn set_cordoned(&self, dirs: impl IntoIterator<Item = PathBuf>) {
        self.changes().cordoned = dirs.into_iter().collect();
    }

    /// [`LogManager::create`] of many partitions, none of which may be named twice: the outcomes
    /// in their order. `begin` is called with each log that is new.
    pub fn create_all(
        &self,
        new: &[NewPartition],
        now_ms: i64,
        begin: &Begin<'_>,
    ) -> Vec<Result<Arc<PartitionLog>, ManagerError>> {
        if new.is_empty() {
            return Vec::new();
        }
        let mut changes = self.changes();
        let places = self.places(&mut changes, new, now_ms);
        let jobs: Vec<_> = new.iter().zip(&places).collect();
        let made = spread(&*self.disk, CREATE_THREADS, &jobs, |(new, place)| match place {
            Ok(Place::In(dir)) => Some(self.make_in(dir, new, now_ms, begin)),
            _ => None,
        });
        let mut logs = self.logs.write().unwrap_or_else(PoisonError::into_inner);
        let outcome = |((new, place), made): ((&NewPartition, _), Option<Outcome>)| match place {
            Ok(Place::Known(log)) => Ok(log),
            Ok(Place::In(_)) => {
                let log = made.expect("what has a place was tried")?;
                logs.insert(new.topic_partition.clone(), Arc::clone(&log));
                Ok(log)
            }
            Err(error) => Err(error),
        };
        new.iter().zip(places).zip(made).map(outcome).collect()
    }

    /// Finds a place for each partition: those that are not there go to the directories that have
    /// the fewest. Theirs are made and synced, with one sync for all that a log directory gets.
    fn places(
        &self,
        changes: &mut Changes,
        new: &[NewPartition],
        now_ms: i64,
    ) -> Vec<Result<Place<'_>, ManagerError>> {
        let online = self.dirs.iter().filter(|dir| dir.log_dir.is_online());
        // As in Kafka, one that is cordoned is taken all the same when there is no other: to keep
        // partitions away from such a broker is up to the controller.
        let mut counts: Vec<_> = online
            .map(|dir| {
                let is_cordoned = changes.cordoned.contains(dir.log_dir.path());
                ((is_cordoned, self.logs_in(&dir.log_dir).len()), dir)
            })
            .collect();
        let mut place = |new: &NewPartition| {
            if let Some(log) = self.get(&new.topic_partition) {
                return Ok(Place::Known(log));
            }
            if let Some(log) = self.damaged_log(&new.topic_partition) {
                return Err(ManagerError::Damaged(Box::new(log.damage.clone())));
            }
            let name = new.topic_partition.to_string();
            // One that could not be made before has left its directory there, and must not be in
            // two of them.
            let is_begun = |dir: &Dir| self.disk.exists(&dir.path_of(&name)).unwrap_or(false);
            let begun = match counts.len() {
                0 | 1 => None,
                _ => counts.iter().position(|(_, dir)| is_begun(dir)),
            };
            let chosen = match begun {
                Some(at) => counts.get_mut(at),
                None => counts.iter_mut().min_by_key(|(rank, _)| *rank),
            };
            let Some(((_, count), dir)) = chosen else {
                return Err(self.all_offline());
            };
            let path = dir.path_of(&name);
            if changes.stale.contains(dir.log_dir.path()) {
                // It may say that the partition of that name which was deleted was longer.
                self.checkpoint_dir(&dir.log_dir)?;
                changes.stale.remove(dir.log_dir.path());
            }
            let made = self.clear_place(changes, dir, new, now_ms).and_then(|()| {
                self.disk.create_dir_all(&path).map_err(StorageError::io("create", &path))
            });
            dir.log_dir.watch(made)?;
            *count += 1;
            Ok(Place::In(dir))
        };
        let mut places: Vec<_> = new.iter().map(&mut place).collect();
        for dir in &self.dirs {
            let is_in = |place: &&mut Result<Place<'_>, ManagerError>| match place {
                Ok(Place::In(its)) => std::ptr::eq(*its, dir),
                _ => false,
            };
            let mut new = places.iter_mut().filter(is_in);
            let Some(first) = new.next() else { continue };
            let root = dir.log_dir.path();
            let synced = self.disk.sync_dir(root).map_err(StorageError::sync(root));
            if let Err(error) = dir.log_dir.watch(synced) {
                *first = Err(ManagerError::Storage(error));
                for other in new {
                    *other = Err(ManagerError::Storage(StorageError::Offline { dir: root.into() }));
                }
            }
        }
        places
    }

    /// Puts away what another topic of the name has left where a partition is to be made: a disk
    /// that was full may have refused to rename it when it was deleted.
    fn clear_place(
        &self,
        changes: &mut Changes,
        dir: &Dir,
        new: &NewPartition,
        now_ms: i64,
    ) -> Result<(), StorageError> {
        let path = dir.path_of(&new.topic_partition.to_string());
        if !self.disk.exists(&path).map_err(StorageError::io("look for", &path))? {
            return Ok(());
        }
        // Before the topic's id is written down no record is.
        let left = partition_metadata::read(&*self.disk, &path)?;
        if left.is_none_or(|topic_id| topic_id == new.topic_id) {
            return Ok(());
        }
        let mut unique = 0;
        loop {
            let to = dir.path_of(&dir_name(&new.topic_partition, DirState::Deleted, unique));
            if !self.disk.exists(&to).map_err(StorageError::io("look for", &to))? {
                break;
            }
            unique += 1;
        }
        self.put_away(changes, &dir.log_dir, (&new.topic_partition, &path), unique, now_ms)
    }

    /// Makes the files of a partition whose directory is there.
    fn make_in(&self, dir: &Dir, new: &NewPartition, now_ms: i64, begin: &Begin<'_>) -> Outcome {
        let made = dir.log_dir.check().map_err(OpenLogError::Storage).and_then(|()| {
            let log = self.create_in(dir, new, now_ms)?;
            begin(new, &log)?;
            Ok(log)
        });
        match made {
            Ok(log) => Ok(log),
            Err(OpenLogError::Storage(error)) => {
                dir.log_dir.watch(Err(error)).map_err(ManagerError::Storage)
            }
            Err(OpenLogError::Damaged(damage)) => Err(ManagerError::Damaged(damage)),
            Err(OpenLogError::FileName(error)) => {
                let dir = dir.path_of(&new.topic_partition.to_string());
                Err(ManagerError::FileName { dir, error })
            }
        }
    }

    fn create_in(
        &self,
        dir: &Dir,
        new: &NewPartition,
        now_ms: i64,
    ) -> Result<Arc<PartitionLog>, OpenLogError> {
        let path = dir.path_of(&new.topic_partition.to_string());
        let log = PartitionLog::open(OpenLog {
            environment: self.environment(&dir.log_dir),
            dir: path.clone(),
            topic_partition: new.topic_partition.clone(),
            config: new.config.clone(),
            role: self.config.load().role,
            producer_settings: self.config.load().producer_settings,
            recovery_point: 0,
            log_start_offset: 0,
            after: Shutdown::Unclean,
            now_ms,
        })?;
        // Last, as in Kafka: its sync of the directory makes the names of the log's files durable
        // too, so that a power loss does not take the first segment and leave a later one.
        partition_metadata::write(&*self.disk, &path, new.topic_id)
            .map_err(StorageError::io("write", &partition_metadata::path(&path)))?;
        Ok(log)
    }

    fn all_offline(&self) -> ManagerError {
        let reasons = self.dirs.iter().filter_map(|dir| dir.log_dir.offline_reason()).collect();
        ManagerError::AllDirsOffline { reasons }
    }

    /// Deletes a partition's log: its directory is renamed at once, and removed with its files
    /// after the broker's `file.delete.delay.ms`, so that readers can finish. `unique` is a random
    /// number for the name. Returns whether there was such a log.
    ///
    /// # Errors
    /// What the disk says. The log can no longer be used then either.
    pub fn delete(
        &self,
        topic_partition: &TopicPartition,
        unique: u128,
        now_ms: i64,
    ) -> Result<bool, StorageError> {
        let is_known =
            self.get(topic_partition).is_some() || self.damaged_log(topic_partition).is_some();
        self.delete_all(&[(topic_partition.clone(), unique)], now_ms)?;
        Ok(is_known)
    }

    /// [`LogManager::delete`] of many partitions, each with its `unique`; those that are not there
    /// are passed over. A log directory is synced, and its checkpoints are written, once for all.
    ///
    /// # Errors
    /// The first failure; it does not stop the others.
    pub fn delete_all(
        &self,
        gone: &[(TopicPartition, u128)],
        now_ms: i64,
    ) -> Result<(), StorageError> {
        let mut changes = self.changes();
        let mut deleted: Vec<(Arc<LogDir>, &TopicPartition)> = Vec::new();
        let renamed = for_each(gone, |(topic_partition, unique)| {
            let log_dir = match (self.get(topic_partition), self.damaged_log(topic_partition)) {
                (Some(log), _) => Arc::clone(log.log_dir()),
                (None, Some(log)) => Arc::clone(&log.log_dir),
                (None, None) => return Ok(()),
            };
            log_dir.check()?;
            self.forget(topic_partition);
            let from = log_dir.path().join(topic_partition.to_string());
            let renamed =
                self.put_away(&mut changes, &log_dir, (topic_partition, &from), *unique, now_ms);
            let renamed = log_dir.watch(renamed);
            self.put_away_futures(&mut changes, topic_partition, *unique, now_ms);
            deleted.push((log_dir, topic_partition));
            renamed
        });
        let has_any =
            |dir: &&Dir| deleted.iter().any(|(log_dir, _)| Arc::ptr_eq(log_dir, &dir.log_dir));
        let dirs: Vec<_> = self.dirs.iter().filter(has_any).collect();
        let synced = for_each(&dirs, |dir| {
            let root = dir.log_dir.path();
            changes.stale.insert(root.to_owned());
            dir.log_dir.watch(self.disk.sync_dir(root).map_err(StorageError::sync(root)))
        });
        drop(changes);
        let told = for_each(dirs, |dir| {
            dir.log_dir.check()?;
            let is_in = |(log_dir, _): &&(Arc<LogDir>, _)| Arc::ptr_eq(log_dir, &dir.log_dir);
            let logs = deleted.iter().filter(is_in).map(|(_, topic_partition)| *topic_partition);
            let forgotten = self.forget_cleaned(&dir.log_dir, logs);
            let checkpointed = self.checkpoint_dir(&dir.log_dir);
            let root = dir.log_dir.path();
            match checkpointed {
                Ok(()) => self.changes().stale.remove(root),
                Err(_) => self.changes().stale.insert(root.to_owned()),
            };
            checkpointed.and(forgotten)
        });
        renamed.and(synced).and(told)
    }

    /// Takes a log, good or damaged, out of the tables, so that nobody uses it any more.
    fn forget(&self, topic_partition: &TopicPartition) {
        if let Some(log) = self.get(topic_partition) {
            log.abandon();
            let mut logs = self.logs.write().unwrap_or_else(PoisonError::into_inner);
            logs.remove(topic_partition);
        }
        self.forget_damaged(topic_partition);
    }

    /// Puts away the copies of a deleted partition that Kafka had begun in other log directories.
    /// One that cannot be renamed stays for the next load, which finds no topic for it.
    fn put_away_futures(
        &self,
        changes: &mut Changes,
        topic_partition: &TopicPartition,
        unique: u128,
        now_ms: i64,
    ) {
        let is_its = |future: &mut Future| future.topic_partition == *topic_partition;
        let copies: Vec<_> = changes.futures.extract_if(.., is_its).collect();
        for (n, copy) in (1..).zip(copies) {
            let what = (topic_partition, &*copy.path);
            let unique = unique.wrapping_add(n);
            let put = self.put_away(changes, &copy.log_dir, what, unique, now_ms);
            let root = copy.log_dir.path();
            let put = put.and_then(|()| self.disk.sync_dir(root).map_err(StorageError::sync(root)));
            if let Err(error) = copy.log_dir.watch(put) {
                log::warn!("{error}");
            }
        }
    }

    /// Renames a partition's directory to one that is to be removed.
    fn put_away(
        &self,
        changes: &mut Changes,
        log_dir: &Arc<LogDir>,
        (topic_partition, from): (&TopicPartition, &Path),
        unique: u128,
        now_ms: i64,
    ) -> Result<(), StorageError> {
        let root = log_dir.path();
        let to = root.join(dir_name(topic_partition, DirState::Deleted, unique));
        self.disk.rename(from, &to).map_err(StorageError::io("rename", from))?;
        let delay_ms = self.config.load().default_log_config.file_delete_delay_ms;
        let due_ms = now_ms.saturating_add(delay_ms);
        let log_dir = Arc::clone(log_dir);
        changes.deletions.push(Deletion { log_dir, path: to, due_ms });
        Ok(())
    }

    /// Periodic work: removes deleted partitions and segments whose time has come. What cannot be
    /// removed stays for the next load.
    pub fn remove_due_files(&self, now_ms: i64) {
        for log in self.logs() {
            log.remove_due_files(now_ms);
        }
        let mut due = Vec::new();
        let delay_ms = self.config.load().default_log_config.file_delete_delay_ms;
        self.changes().deletions.retain_mut(|deletion| {
            deletion.due_ms = deletion.due_ms.min(now_ms.saturating_add(delay_ms));
            let is_due = deletion.due_ms <= now_ms;
            if is_due {
                due.push((Arc::clone(&deletion.log_dir), std::mem::take(&mut deletion.path)));
            }
            !is_due
        });
        for (log_dir, path) in due {
            if log_dir.is_online()
                && let Err(error) = remove_tree(&*self.disk, &path)
            {
                log::warn!("{error}");
            }
        }
    }

    /// The space of a log directory's file system.
    ///
    /// # Errors
    /// What the disk says.
    pub fn space(&self, log_dir: &LogDir) -> Result<crate::disk::Space, StorageError> {
        let path = log_dir.path();
        self.disk.space(path).map_err(StorageError::io("measure", path))
    }
}

/// Removes a partition's directory with what is in it. Directories in it, which nobody should have
/// made, are not removed, and so it is not either.
fn remove_tree(disk: &dyn Disk, path: &Path) -> Result<(), StorageError> {
    for entry in disk.list(path).map_err(StorageError::io("list", path))? {
        if !entry.is_dir {
            let file = path.join(entry.name);
            disk.unlink_in_steps(&file).map_err(StorageError::io("remove", &file))?;
            thread::yield_now();
        }
    }
    disk.remove_dir(path).map_err(StorageError::io("remove", path))
}

//! The cluster as this node knows it: the image that every request reads, and the one place where
//! it changes.
//!
//! A change is decided by the pure controller, written to the metadata log, synced, replayed,
//! carried out on the disk, and only then shown: whoever sees a topic in the image can use it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use ottla_metadata::controller::Records;
use ottla_metadata::image::Image;
use ottla_metadata::replay::Replay;
use ottla_storage::log_dir::LogDir;

use crate::metadata_log::{MetadataLog, MetadataLogError};

/// The image, and the controller's lock.
pub struct Cluster {
    image: ArcSwap<Image>,
    /// The metadata log's.
    log_dir: Arc<LogDir>,
    controller: Mutex<Controller>,
}

/// A place in the metadata log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPosition {
    /// The epoch in which this node leads the quorum.
    pub epoch: i32,
    /// The offset of the next record.
    pub end_offset: i64,
}

struct Controller {
    log: MetadataLog,
    replay: Replay,
}

impl Cluster {
    /// The cluster after what was replayed.
    pub fn new(log: MetadataLog, replay: Replay) -> Self {
        Self {
            image: ArcSwap::from_pointee(replay.image().clone()),
            log_dir: Arc::clone(log.log_dir()),
            controller: Mutex::new(Controller { log, replay }),
        }
    }

    /// The cluster's state, as of the last change that is carried out.
    pub fn image(&self) -> Arc<Image> {
        self.image.load_full()
    }

    /// The directory of the metadata log. When it fails, nothing can change any more.
    pub fn log_dir(&self) -> &LogDir {
        &self.log_dir
    }

    fn controller(&self) -> MutexGuard<'_, Controller> {
        self.controller.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one change: `decide` says which records it takes and what to answer, `carry_out` is
    /// given the image before and after. Nothing happens when there are no records.
    ///
    /// # Errors
    /// When the metadata log cannot be written: nothing has changed then, unless its directory is
    /// offline, which ends the broker: whether it has changed, the next start finds out.
    pub fn change<T>(
        &self,
        now_ms: i64,
        decide: impl FnOnce(&Image) -> (Records, T),
        carry_out: impl FnOnce(&Image, &Image),
    ) -> Result<T, MetadataLogError> {
        let mut controller = self.controller();
        let before = controller.replay.image().clone();
        let (records, answer) = decide(&before);
        if records.is_empty() {
            return Ok(answer);
        }
        controller.write(&records, now_ms)?;
        let after = controller.replay.image().clone();
        carry_out(&before, &after);
        self.image.store(Arc::new(after));
        Ok(answer)
    }

    /// How far the metadata log is, which is synced that far.
    pub fn position(&self) -> LogPosition {
        let controller = self.controller();
        LogPosition { epoch: controller.log.epoch(), end_offset: controller.log.next_offset() }
    }

    /// Calls `act` with the image while nobody changes it.
    pub fn hold<T>(&self, act: impl FnOnce(&Image) -> T) -> T {
        act(self.controller().replay.image())
    }

    /// Writes batches one behind the other, as at a node's start and stop.
    ///
    /// # Errors
    /// As [`Cluster::change`], and when the batches cannot be decided on.
    pub fn write<E: From<MetadataLogError>>(
        &self,
        now_ms: i64,
        decide: impl FnOnce(&Replay, i64) -> Result<Vec<Records>, E>,
    ) -> Result<(), E> {
        let mut controller = self.controller();
        let next_offset = controller.log.next_offset();
        for records in decide(&controller.replay, next_offset)? {
            controller.write(&records, now_ms)?;
        }
        self.image.store(Arc::new(controller.replay.image().clone()));
        Ok(())
    }

    /// Writes a snapshot if the log has grown enough since the last one.
    ///
    /// # Errors
    /// When it cannot be written; the log itself is whole.
    pub fn snapshot_if_due(&self, now_ms: i64) -> Result<(), MetadataLogError> {
        let controller = &mut *self.controller();
        controller.log.snapshot_if_due(&controller.replay, now_ms)
    }

    /// Closes the metadata log.
    ///
    /// # Errors
    /// When it cannot be synced.
    pub fn close(&self) -> Result<(), MetadataLogError> {
        self.controller().log.close()
    }
}

impl Controller {
    /// What is not surely on the disk is not replayed: neither [`Cluster::hold`] nor a snapshot
    /// knows of it. But it is in the log, and the next sync would make it durable behind the back
    /// of the image that the next change is decided on: a topic that is asked for again would be
    /// there twice, with which no start goes on. So the directory goes out of service, be it only
    /// for want of a descriptor, and the next start sees what became of the change.
    fn write(&mut self, records: &Records, now_ms: i64) -> Result<(), MetadataLogError> {
        let place = self.log.append(records, now_ms)?;
        let applied = self.log.sync().and_then(|()| {
            self.replay.apply_records(records, place).map_err(MetadataLogError::Replay)
        });
        applied.inspect_err(|error| {
            let offset = place.base_offset;
            let why = format!("the fate of the metadata records from {offset} on is open: {error}");
            self.log.log_dir().take_offline(&why);
        })
    }
}

#[cfg(test)]
mod tests;

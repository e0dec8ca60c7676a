//! A broker's storage at work: each step is done on the simulated disk and noted in the model.

use std::path::PathBuf;
use std::sync::Arc;

use ottla_storage::cleaner::{Cleaner, CleanerSettings, FullSpeed};
use ottla_storage::config::LogConfig;
use ottla_storage::disk::Disk;
use ottla_storage::error::{StorageError, StorageErrorKind};
use ottla_storage::log::{AppendAsLeader, AppendError, LogRole, PartitionLog};
use ottla_storage::manager::{LogManager, ManagerConfig, ManagerError, NewPartition};
use ottla_storage::producer_state::{ProducerSettings, VerificationGuard};
use ottla_storage::retention::Moment;
use ottla_storage::sim::SimDisk;

use crate::check::{Broken, check};
use crate::model::{Kind, Life, Model, NewBatch};
use crate::plan::Step;

/// How long a step takes, ms.
const STEP_MS: i64 = 1000;

/// Which model was in force from which operation on.
pub(crate) type Timeline = Vec<(u64, Model)>;

/// A broker's storage, and what it has promised.
#[derive(Debug)]
pub(crate) struct Live {
    disk: SimDisk,
    dirs: usize,
    pub(crate) manager: LogManager,
    pub(crate) model: Model,
    pub(crate) timeline: Timeline,
}

/// What a step has come to.
pub(crate) enum Done {
    /// Another step may follow.
    GoesOn,
    /// The broker is gone: all its directories failed, or it could not start again.
    Ended,
}

/// Opens what is on a disk, as a broker with the model's metadata does.
pub(crate) fn open(disk: &SimDisk, dirs: usize, model: &Model) -> Result<LogManager, ManagerError> {
    let config = ManagerConfig {
        dirs: (0..dirs).map(|n| PathBuf::from(format!("d{n}"))).collect(),
        recovery_threads_per_dir: 1,
        open_segments_max: 2,
        default_log_config: LogConfig { file_delete_delay_ms: 2000, ..LogConfig::default() },
        producer_settings: ProducerSettings {
            verification_enabled: false,
            ..ProducerSettings::default()
        },
        role: LogRole::SoleReplica,
    };
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    LogManager::open(config, shared, model.now_ms, &|found| model.known(found))
}

impl Live {
    /// A broker that has just started.
    pub(crate) fn new(disk: &SimDisk, dirs: usize, manager: LogManager, model: Model) -> Self {
        let timeline = vec![(disk.ops(), model.clone())];
        Self { disk: disk.clone(), dirs, manager, model, timeline }
    }

    /// From here on the model is what it is now.
    fn mark(&mut self) {
        self.timeline.push((self.disk.ops(), self.model.clone()));
    }

    /// Takes what a start has found for what is there. `power` was lost before it.
    pub(crate) fn adopt(&mut self, power: bool) -> Result<(), Broken> {
        for found in check(&self.manager, &self.model, power)? {
            let part = &mut self.model.parts[found.slot];
            let Some(log) = self.manager.get(&part.topic_partition) else { continue };
            let end = found.end;
            let given = std::mem::replace(&mut part.batches, found.batches);
            let lost = given.into_iter().filter(|batch| end <= batch.last);
            // After a mere kill they may still come up, with the next loss of power; so may batches
            // that the kill has cut off amid a truncation.
            part.refused.retain(|batch| !power && end <= batch.base);
            if !power {
                part.refused.extend(lost);
            }
            part.empty_end = end;
            part.acked_end = end;
            if power {
                part.durable_end = end;
                part.is_made = true;
            }
            part.durable_end = part.durable_end.min(end);
            part.start_tried = found.start;
            part.life = Life::Live;
            part.in_doubt = false;
            part.dir = log.log_dir().path().to_string_lossy().into_owned();
            part.leader_epoch = part.leader_epoch.max(log.latest_epoch().unwrap_or(0));
        }
        Ok(())
    }

    /// Does a step, and looks whether a failed sync was taken for what it is.
    pub(crate) fn step(&mut self, step: Step) -> Result<Done, Broken> {
        self.model.now_ms += STEP_MS;
        self.disk.set_now_ms(self.model.now_ms);
        self.mark();
        let done = self.act(step)?;
        if let Done::Ended = done {
            return Ok(done);
        }
        self.doubt_offline();
        self.mark();
        self.check_failed_syncs()?;
        if self.manager.is_all_offline() {
            return Ok(Done::Ended);
        }
        Ok(done)
    }

    /// Nothing can be said of partitions whose directory is out of service, until the next start.
    fn doubt_offline(&mut self) {
        let is_offline = |dir: &str| {
            let mut dirs = self.manager.log_dirs();
            dirs.any(|log_dir| !log_dir.is_online() && log_dir.path().to_str() == Some(dir))
        };
        for part in &mut self.model.parts {
            part.in_doubt |= is_offline(&part.dir);
        }
    }

    pub(crate) fn check_failed_syncs(&self) -> Result<(), Broken> {
        for failed in self.disk.struck().iter().filter(|struck| struck.is_sync()) {
            let mut dirs = self.manager.log_dirs();
            let holds =
                |dir: &str| failed.path == dir || failed.path.starts_with(&format!("{dir}/"));
            let dir = dirs.find(|dir| dir.path().to_str().is_some_and(holds));
            if dir.is_some_and(|dir| dir.is_online()) {
                return Err(format!("{failed:?}, and the directory is in service"));
            }
        }
        // Where the log directories themselves stand is shared by them.
        let mut again = self.disk.syncs_after_failure();
        again.retain(|path| path != ".");
        match &again[..] {
            [] => Ok(()),
            again => Err(format!("synced after a sync had failed: {again:?}")),
        }
    }

    fn act(&mut self, step: Step) -> Result<Done, Broken> {
        if let Some(slot) = step.slot()
            && self.model.parts[slot].life != Life::Live
        {
            self.create(slot);
            return Ok(Done::GoesOn);
        }
        match step {
            Step::Append { slot, records } => self.produce(slot, -1, records, Kind::Plain)?,
            Step::Produce { slot, producer, records } => {
                self.produce(slot, producer, records, Kind::Plain)?;
            }
            Step::ProduceTxn { slot, producer, records } => {
                self.produce(slot, producer, records, Kind::Txn)?;
            }
            Step::EndTxn { slot, producer, commit } => self.end_txn(slot, producer, commit)?,
            Step::Resend { slot, producer } => self.resend(slot, producer)?,
            Step::ProduceNewEpoch { slot, producer } => self.new_epoch(slot, producer)?,
            Step::Truncate { slot, batches } => self.truncate(slot, batches)?,
            Step::Delete { slot } => self.delete(slot),
            Step::Flush { slot } => self.flush(slot),
            Step::DeleteRecords { slot, percent } => self.delete_records(slot, percent),
            Step::LeaderEpoch { slot } => self.leader_epoch(slot),
            Step::Configure { slot, flush, segment_bytes, retention_bytes } => {
                let part = &mut self.model.parts[slot];
                part.config.flush_messages = flush;
                part.config.segment_bytes = segment_bytes;
                part.config.retention_bytes = retention_bytes;
                if let Some(log) = self.manager.get(&part.topic_partition) {
                    log.set_config(part.config.clone());
                }
            }
            Step::FlushDue => _ = self.manager.flush_due(self.model.now_ms),
            Step::CheckpointRecoveryPoints => _ = self.manager.checkpoint_recovery_points(),
            Step::CheckpointHighWatermarks => _ = self.manager.checkpoint_high_watermarks(),
            Step::CheckpointLogStarts => self.checkpoint_log_starts(),
            Step::Retain => self.retain(),
            Step::Compact => self.compact(),
            Step::RemoveDue => self.manager.remove_due_files(self.model.now_ms),
            Step::Reopen => return self.reopen(),
        }
        Ok(Done::GoesOn)
    }

    fn usable(&self, slot: usize) -> Option<Arc<PartitionLog>> {
        let part = &self.model.parts[slot];
        part.is_usable().then(|| self.manager.get(&part.topic_partition)).flatten()
    }

    fn create(&mut self, slot: usize) {
        self.model.begin_create(slot);
        self.mark();
        let part = &self.model.parts[slot];
        let new = NewPartition {
            topic_partition: part.topic_partition.clone(),
            topic_id: part.topic_id,
            config: part.config.clone(),
        };
        if let Ok(log) = self.manager.create(new, self.model.now_ms) {
            let part = &mut self.model.parts[slot];
            part.life = Life::Live;
            part.is_made = true;
            part.in_doubt = false;
            part.dir = log.log_dir().path().to_string_lossy().into_owned();
        }
    }

    fn delete(&mut self, slot: usize) {
        if self.usable(slot).is_none() {
            return;
        }
        let part = &mut self.model.parts[slot];
        part.life = Life::Absent;
        let (topic_partition, unique) = (part.topic_partition.clone(), self.model.next_id);
        self.model.next_id += 1;
        self.mark();
        _ = self.manager.delete(&topic_partition, u128::from(unique), self.model.now_ms);
    }

    fn produce(
        &mut self,
        slot: usize,
        producer_id: i64,
        records: usize,
        kind: Kind,
    ) -> Result<(), Broken> {
        let part = &self.model.parts[slot];
        let (producers, _) = part.replay(i64::MAX);
        let known = producers.get(&producer_id);
        let new = NewBatch {
            producer_id,
            producer_epoch: if producer_id < 0 { -1 } else { known.map_or(0, |known| known.epoch) },
            base_sequence: match known {
                _ if producer_id < 0 => -1,
                // Forgotten with the records below the log start.
                Some(known) if known.last_offset < part.start_tried => return Ok(()),
                Some(known) => known.last_sequence + 1,
                None => 0,
            },
            kind,
            records: self.model.new_records(records),
            timestamp: self.model.now_ms,
        };
        self.append(slot, new)
    }

    fn new_epoch(&mut self, slot: usize, producer_id: i64) -> Result<(), Broken> {
        let (producers, _) = self.model.parts[slot].replay(i64::MAX);
        let Some(known) = producers.get(&producer_id) else { return Ok(()) };
        let new = NewBatch {
            producer_id,
            producer_epoch: known.epoch + 1,
            base_sequence: 0,
            kind: Kind::Plain,
            records: self.model.new_records(1),
            timestamp: self.model.now_ms,
        };
        self.append(slot, new)
    }

    fn end_txn(&mut self, slot: usize, producer_id: i64, commit: bool) -> Result<(), Broken> {
        let (producers, _) = self.model.parts[slot].replay(i64::MAX);
        let Some(known) = producers.get(&producer_id) else { return Ok(()) };
        let Some(first) = known.txn_first_offset else { return Ok(()) };
        // What was deleted with its records is for nobody to end.
        if first < self.model.parts[slot].start_tried {
            return Ok(());
        }
        let new = NewBatch {
            producer_id,
            producer_epoch: known.epoch,
            base_sequence: -1,
            kind: if commit { Kind::Commit } else { Kind::Abort },
            records: Vec::new(),
            timestamp: self.model.now_ms,
        };
        self.append(slot, new)
    }

    fn append(&mut self, slot: usize, new: NewBatch) -> Result<(), Broken> {
        let Some(log) = self.usable(slot) else { return Ok(()) };
        let built = new.build();
        let part = &mut self.model.parts[slot];
        let base = log.offsets().log_end_offset;
        if base != part.acked_end {
            return Err(format!("t{slot}: ends at {base}, acknowledged {}", part.acked_end));
        }
        let how = AppendAsLeader {
            leader_epoch: part.leader_epoch,
            now_ms: self.model.now_ms,
            origin: new.origin(),
            guard: VerificationGuard::NONE,
        };
        let batch = Arc::new(new.at(base, part.leader_epoch, &built));
        let end = batch.last + 1;
        part.batches.push(Arc::clone(&batch));
        self.mark();
        let outcome = log.append_as_leader(&built, how);
        let part = &mut self.model.parts[slot];
        match outcome {
            Ok(appended) if appended.base_offset == base && !appended.duplicate => {
                part.acknowledge(end);
            }
            Err(AppendError::Storage(error)) => {
                let is_still = log.offsets().log_end_offset == base;
                if log.log_dir().is_online() && is_still {
                    check_refusal(&error)?;
                    part.batches.pop();
                    part.refused.push(batch);
                    // Of a compacted log it could not be told what a loss of power brings up.
                    part.in_doubt |= part.config.cleanup_compact;
                }
                part.in_doubt |= !is_still;
            }
            other => return Err(format!("t{slot}: append at {base}: {other:?}")),
        }
        Ok(())
    }

    fn resend(&mut self, slot: usize, producer_id: i64) -> Result<(), Broken> {
        let Some(log) = self.usable(slot) else { return Ok(()) };
        let part = &self.model.parts[slot];
        let mut sent = part.batches.iter().rev();
        let Some(last) = sent.find(|batch| batch.producer_id == producer_id) else { return Ok(()) };
        if last.base < part.start_tried {
            return Ok(());
        }
        let new = NewBatch {
            producer_id,
            producer_epoch: last.producer_epoch,
            base_sequence: last.base_sequence,
            kind: last.kind,
            records: last.records.clone(),
            timestamp: self.model.now_ms,
        };
        let how = AppendAsLeader {
            leader_epoch: part.leader_epoch,
            now_ms: self.model.now_ms,
            origin: new.origin(),
            guard: VerificationGuard::NONE,
        };
        let (base, end) = (last.base, last.last + 1);
        match log.append_as_leader(&new.build(), how) {
            Ok(appended) if appended.duplicate && appended.base_offset == base => {
                self.model.parts[slot].acknowledge_again(end);
                Ok(())
            }
            Err(AppendError::Storage(_)) => Ok(()),
            other => Err(format!("t{slot}: sent again at {base}: {other:?}")),
        }
    }

    fn flush(&mut self, slot: usize) {
        let Some(log) = self.usable(slot) else { return };
        if log.flush().is_ok() {
            let part = &mut self.model.parts[slot];
            part.durable_end = part.acked_end;
        }
    }

    fn truncate(&mut self, slot: usize, batches: usize) -> Result<(), Broken> {
        let Some(log) = self.usable(slot) else { return Ok(()) };
        let part = &mut self.model.parts[slot];
        let kept = part.batches.len().saturating_sub(batches);
        let Some(first_cut) = part.batches.get(kept).map(|batch| batch.base) else { return Ok(()) };
        if first_cut < part.start_tried || part.config.cleanup_compact {
            return Ok(());
        }
        part.acked_end = part.acked_end.min(first_cut);
        part.durable_end = part.durable_end.min(first_cut);
        self.mark();
        let truncated = self.manager.truncate_to(&log, first_cut, self.model.now_ms);
        let part = &mut self.model.parts[slot];
        match truncated {
            Ok(()) => {
                part.batches.truncate(kept);
                part.refused.clear();
                part.empty_end = part.empty_end.min(first_cut);
            }
            Err(_) => part.in_doubt = true,
        }
        Ok(())
    }

    fn delete_records(&mut self, slot: usize, percent: i64) {
        let Some(log) = self.usable(slot) else { return };
        let offsets = log.offsets();
        let start = offsets.log_start_offset;
        let to = start + (offsets.high_watermark - start) * percent / 100;
        let part = &mut self.model.parts[slot];
        part.start_tried = part.start_tried.max(to);
        part.start_asked = part.start_asked.max(to);
        self.mark();
        _ = log.advance_log_start(to);
    }

    fn leader_epoch(&mut self, slot: usize) {
        let Some(log) = self.usable(slot) else { return };
        let part = &mut self.model.parts[slot];
        part.leader_epoch += 1;
        _ = log.begin_leader_epoch(part.leader_epoch);
    }

    fn checkpoint_log_starts(&mut self) {
        let written = self.manager.checkpoint_log_start_offsets();
        if written.is_ok() {
            self.each_log(|part, log| {
                let start = log.offsets().log_start_offset;
                if log.first_segment_base_offset() < start {
                    part.start_floor = part.start_floor.max(start);
                }
            });
        }
    }

    fn each_log(&mut self, mut work: impl FnMut(&mut crate::model::Part, &PartitionLog)) {
        for part in self.model.parts.iter_mut().filter(|part| part.is_usable()) {
            if let Some(log) = self.manager.get(&part.topic_partition)
                && log.log_dir().is_online()
            {
                work(part, &log);
            }
        }
    }

    fn retain(&mut self) {
        self.each_log(|part, _| {
            part.start_tried = part.start_tried.max(part.acked_end);
            part.start_asked = part.start_asked.max(part.acked_end);
        });
        self.mark();
        let (wall_ms, monotonic_ms) = (self.model.now_ms, self.model.now_ms);
        let now = self.manager.trusted_now(Moment { wall_ms, monotonic_ms });
        let first = self.manager.delete_old_segments(now);
        let second = self.manager.delete_old_segments_of_compacted(now);
        if first.errors.is_empty() && second.errors.is_empty() {
            self.each_log(|part, log| part.start_tried = log.offsets().log_start_offset);
        }
    }

    fn compact(&mut self) {
        // Cleaning may move the log start to the first record that is left.
        let mut cleaner = Cleaner::new(CleanerSettings::default());
        for _ in 0..3 {
            if cleaner.clean_once(&self.manager, self.model.now_ms, &FullSpeed).is_none() {
                break;
            }
        }
    }

    fn reopen(&mut self) -> Result<Done, Broken> {
        let is_online = self.manager.log_dirs().all(|dir| dir.is_online());
        self.doubt_offline();
        let closed = self.manager.close(7).is_ok();
        self.check_failed_syncs()?;
        if closed {
            self.each_log(|part, _| part.durable_end = part.acked_end);
        }
        self.model.parts.iter_mut().for_each(|part| part.in_doubt = true);
        self.mark();
        if !self.disk.struck().is_empty() {
            return Ok(Done::Ended);
        }
        match open(&self.disk, self.dirs, &self.model) {
            Ok(manager) => {
                self.manager = manager;
                self.check_failed_syncs()?;
                self.adopt(closed && is_online)?;
                Ok(Done::GoesOn)
            }
            // A fault may have struck.
            Err(error) if self.disk.struck().is_empty() => Err(format!("cannot start: {error}")),
            Err(_) => Ok(Done::Ended),
        }
    }
}

/// A refusal that leaves the directory in service must be one that may pass.
fn check_refusal(error: &StorageError) -> Result<(), Broken> {
    match error.kind() {
        StorageErrorKind::Full | StorageErrorKind::Exhausted => Ok(()),
        kind => Err(format!("{kind:?}, but the directory is in service: {error}")),
    }
}

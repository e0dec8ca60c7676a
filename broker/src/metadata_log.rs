//! The files of `__cluster_metadata-0`: the log, its snapshots, and `quorum-state`.
//!
//! What the records mean is [`ottla_metadata`]'s; here they are written, synced and read back. This
//! node is the quorum's only voter, so that each start begins a new epoch and what is synced is
//! committed.

mod retention;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_metadata::controller::Records;
use ottla_metadata::image::Image;
use ottla_metadata::log_codec::{self, BatchPlace};
use ottla_metadata::quorum::Quorum;
use ottla_metadata::quorum_state::{self, QuorumState};
use ottla_metadata::replay::{LogError, Replay};
use ottla_metadata::snapshot::{self, SnapshotId};
use ottla_protocol::record::builder::BuildError;
use ottla_protocol::record::set::BatchError;
use ottla_protocol::uuid::Uuid;
use ottla_storage::disk::Disk;
use ottla_storage::error::{StorageError, StorageErrorKind};
use ottla_storage::file_name::{FileKind, FileName};
use ottla_storage::log::{
    AppendAsLeader, AppendError, Cut, Isolation, LogEnvironment, LogRole, OpenLog, OpenLogError,
    PartitionLog, Read, ReadError, Recovery,
};
use ottla_storage::log_dir::LogDir;
use ottla_storage::partition_dir::TopicPartition;
use ottla_storage::producer_state::snapshots::Shutdown;
use ottla_storage::producer_state::{Origin, ProducerSettings, VerificationGuard};
use ottla_storage::validate::Validated;
use ottla_storage::{partition_metadata, whole_file};

use crate::config::MetadataSettings;
use retention::{Due, log_config};

/// The directory's name, which no topic can have.
pub const DIR_NAME: &str = "__cluster_metadata-0";

/// How much of the log is read at a time when it is replayed.
const READ_BYTES: u32 = 8 << 20;

/// Why the metadata log cannot be used.
#[derive(Debug)]
pub enum MetadataLogError {
    /// The disk failed.
    Io(PathBuf, std::io::Error),
    /// The log cannot be opened.
    Open(OpenLogError),
    /// It cannot be read.
    Read(ReadError),
    /// It cannot be appended to.
    Append(AppendError),
    /// It cannot be synced.
    Storage(StorageError),
    /// Its records make no sense.
    Replay(LogError),
    /// A batch could not be built.
    Build(BuildError),
    /// A batch that was built is none.
    Batch(BatchError),
    /// A file beside it is damaged.
    Damaged(PathBuf, String),
}

impl fmt::Display for MetadataLogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Open(error) => error.fmt(f),
            Self::Read(error) => error.fmt(f),
            Self::Append(error) => error.fmt(f),
            Self::Storage(error) => error.fmt(f),
            Self::Replay(error) => error.fmt(f),
            Self::Build(error) => error.fmt(f),
            Self::Batch(error) => error.fmt(f),
            Self::Damaged(path, problem) => write!(f, "{}: {problem}", path.display()),
        }
    }
}

impl std::error::Error for MetadataLogError {}

/// The log and what is beside it.
pub struct MetadataLog {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    log: Arc<PartitionLog>,
    epoch: i32,
    settings: MetadataSettings,
    due: Due,
    /// Snapshots that were found to be damaged: nothing goes because of them.
    damaged: BTreeSet<SnapshotId>,
}

/// What the log is opened with.
pub struct OpenMetadataLog {
    /// What it shares with the logs of its directory.
    pub environment: LogEnvironment,
    /// `node.id`.
    pub node_id: i32,
    /// How the log and its snapshots are kept.
    pub settings: MetadataSettings,
    /// The time, ms.
    pub now_ms: i64,
}

impl MetadataLog {
    /// Opens the log, replays it, and begins this node's next epoch in it. A missing one is made.
    ///
    /// # Errors
    /// When a file cannot be read or written, or does not hold what it should.
    pub fn open(open: OpenMetadataLog) -> Result<(Self, Replay), MetadataLogError> {
        let disk = Arc::clone(&open.environment.disk);
        let root = open.environment.log_dir.path().to_owned();
        let dir = root.join(DIR_NAME);
        if !disk.exists(&dir).map_err(io(&dir))? {
            disk.create_dir_all(&dir).map_err(io(&dir))?;
            disk.sync_dir(&root).map_err(io(&root))?;
        }
        // A directory that was formatted with voters is there, without it.
        if !disk.exists(&partition_metadata::path(&dir)).map_err(io(&dir))? {
            partition_metadata::write(&*disk, &dir, Uuid::METADATA_TOPIC).map_err(io(&dir))?;
        }
        let (mut replay, damaged) = newest_snapshot(&*disk, &dir)?;
        let snapshot_end = replay.offset() + 1;
        // A snapshot is of what is durable, and its name says how far that is, though no more of it
        // can be read.
        let durable_end = damaged.last().map_or(snapshot_end, |id| id.end_offset.max(snapshot_end));
        // What is damaged here is known to nobody else: only an append that a crash has torn may
        // go, which nobody was answered.
        let recovery = Recovery { cut: Cut::TornEndFrom(durable_end), ..Recovery::default() };
        let open_log = OpenLog {
            environment: open.environment,
            dir: dir.clone(),
            topic_partition: TopicPartition::new("__cluster_metadata", 0),
            config: log_config(&open.settings),
            role: LogRole::SoleReplica,
            producer_settings: ProducerSettings::default(),
            // Every change is synced before it counts, but how far was not noted: all is checked.
            recovery_point: 0,
            log_start_offset: 0,
            after: Shutdown::Unclean,
            now_ms: open.now_ms,
        };
        let log = PartitionLog::open_with(open_log, &recovery).map_err(MetadataLogError::Open)?;
        let log_end = log.offsets().log_end_offset;
        if let Some((path, problem)) = cut_short(&dir, damaged.last().copied(), log_end) {
            return Err(MetadataLogError::Damaged(path, problem));
        }
        remove_leftovers(&*disk, &dir)?;
        if log_end < snapshot_end {
            log.truncate_fully_and_start_at(snapshot_end, open.now_ms)
                .map_err(MetadataLogError::Storage)?;
        }
        let due = Due { since_ms: open.now_ms, end_offset: snapshot_end, ..Due::default() };
        let mut this = Self { disk, dir, log, epoch: 0, settings: open.settings, due, damaged };
        this.due.bytes = this.replay(&mut replay)?;
        this.epoch = this.next_epoch(open.node_id, &replay)?;
        let place = this.place(open.now_ms);
        let batch = log_codec::leader_change_batch(open.node_id, &[open.node_id], place);
        this.append_batch(batch, open.now_ms)?;
        this.replay(&mut replay)?;
        Ok((this, replay))
    }

    /// The offset of the next record.
    pub fn next_offset(&self) -> i64 {
        self.log.offsets().log_end_offset
    }

    /// The epoch that all appends are in.
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// The log directory that it lies in.
    pub fn log_dir(&self) -> &Arc<LogDir> {
        self.log.log_dir()
    }

    /// An error met while writing beside the log, which takes the directory out of service as one
    /// of the log itself would.
    fn failed(&self, path: &Path, source: std::io::Error) -> MetadataLogError {
        let error = StorageError::Io { doing: "write", path: path.to_owned(), source };
        if error.kind() == StorageErrorKind::Offline {
            self.log_dir().take_offline(&error.to_string());
        }
        MetadataLogError::Storage(error)
    }

    fn place(&self, now_ms: i64) -> BatchPlace {
        BatchPlace { base_offset: self.next_offset(), epoch: self.epoch, now_ms }
    }

    /// Appends records as one batch; answers where it is. They count after [`MetadataLog::sync`].
    ///
    /// # Errors
    /// When the batch was not written.
    pub fn append(
        &mut self,
        records: &Records,
        now_ms: i64,
    ) -> Result<BatchPlace, MetadataLogError> {
        let place = self.place(now_ms);
        let batch = log_codec::records_batch(records, place).map_err(MetadataLogError::Build)?;
        self.append_batch(batch, now_ms)?;
        Ok(place)
    }

    /// At most one batch waits for a sync: were there two, a power loss could keep the second
    /// alone, and a hole before a good batch is taken for damage.
    fn append_batch(&mut self, batch: Vec<u8>, now_ms: i64) -> Result<(), MetadataLogError> {
        self.sync()?;
        let batch_bytes = batch.len() as u64;
        let validated = Validated::from_built(batch).map_err(MetadataLogError::Batch)?;
        let how = AppendAsLeader {
            leader_epoch: self.epoch,
            now_ms,
            origin: Origin::RaftLeader,
            guard: VerificationGuard::NONE,
        };
        self.log.append_as_leader(&validated, how).map_err(MetadataLogError::Append)?;
        self.due.bytes += batch_bytes;
        Ok(())
    }

    /// Makes what was appended durable.
    ///
    /// # Errors
    /// When it is not surely on the disk.
    pub fn sync(&self) -> Result<(), MetadataLogError> {
        self.log.flush().map_err(MetadataLogError::Storage)
    }

    /// Applies what is in the log and not yet in the replay; answers how many bytes that was.
    fn replay(&self, replay: &mut Replay) -> Result<u64, MetadataLogError> {
        let mut replayed_bytes = 0;
        let mut next_offset = (replay.offset() + 1).max(self.log.offsets().log_start_offset);
        loop {
            let read = self
                .log
                .read(Read {
                    start_offset: next_offset,
                    bytes_max: READ_BYTES,
                    isolation: Isolation::LogEnd,
                    min_one_batch: true,
                })
                .map_err(MetadataLogError::Read)?;
            let Some(region) = read.region else { return Ok(replayed_bytes) };
            let mut bytes = vec![0; region.length as usize];
            region.file.read_exact_at(&mut bytes, region.position).map_err(io(&self.dir))?;
            replay.apply_batches(&bytes).map_err(MetadataLogError::Replay)?;
            replayed_bytes += u64::from(region.length);
            if replay.offset() < next_offset {
                let problem = format!("no whole batch at offset {next_offset}");
                return Err(MetadataLogError::Damaged(self.dir.clone(), problem));
            }
            next_offset = replay.offset() + 1;
        }
    }

    /// The epoch after the last one, written down before anything is done in it. Should the file be
    /// gone, the log knows the last one too, and whether its voters are in it (KIP-853).
    fn next_epoch(&self, node_id: i32, replay: &Replay) -> Result<i32, MetadataLogError> {
        let path = self.dir.join(quorum_state::FILE_NAME);
        let damaged = |problem: String| MetadataLogError::Damaged(path.clone(), problem);
        let mut state = match whole_file::read(&*self.disk, &path).map_err(io(&path))? {
            None => {
                let quorum = Quorum::of(&replay.progress().quorum);
                match quorum.map_err(|error| damaged(error.to_string()))?.kraft_version {
                    0 => QuorumState::sole_voter(node_id, 0),
                    _ => QuorumState::sole_dynamic_voter(node_id, 0),
                }
            }
            Some(bytes) => {
                let text = String::from_utf8(bytes).map_err(|error| damaged(error.to_string()))?;
                QuorumState::parse(&text).map_err(|error| damaged(error.to_string()))?
            }
        };
        let last = state.leader_epoch.max(self.log.latest_epoch().unwrap_or(0));
        state.leader_epoch =
            last.checked_add(1).ok_or_else(|| damaged("the epochs are used up".to_owned()))?;
        state.leader_id = node_id;
        state.voted_id = -1;
        whole_file::replace(&*self.disk, &path, state.to_json().as_bytes()).map_err(io(&path))?;
        Ok(state.leader_epoch)
    }

    /// Closes the log.
    ///
    /// # Errors
    /// When it cannot be synced.
    pub fn close(&self) -> Result<(), MetadataLogError> {
        self.log.close().map_err(MetadataLogError::Storage)
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> MetadataLogError {
    let path = path.to_owned();
    |error| MetadataLogError::Io(path, error)
}

/// The snapshots in the directory, in no order.
fn snapshots(disk: &dyn Disk, dir: &Path) -> Result<Vec<SnapshotId>, MetadataLogError> {
    let entries = disk.list(dir).map_err(io(dir))?;
    Ok(entries.iter().filter_map(|entry| SnapshotId::from_file_name(&entry.name)).collect())
}

/// What the newest snapshot holds that can be read; without one, nothing. Damaged ones are passed
/// over, and answered too, if the log still has all that follows the one before them.
fn newest_snapshot(
    disk: &dyn Disk,
    dir: &Path,
) -> Result<(Replay, BTreeSet<SnapshotId>), MetadataLogError> {
    let mut ids = snapshots(disk, dir)?;
    ids.sort_unstable();
    let mut passed_over = BTreeSet::new();
    let mut damaged: Option<(PathBuf, LogError)> = None;
    let mut found = None;
    for id in ids.into_iter().rev() {
        let path = dir.join(id.to_string());
        let bytes = whole_file::read(disk, &path).map_err(io(&path))?.unwrap_or_default();
        match snapshot::read(&bytes, id) {
            Ok(replay) => {
                found = Some(replay);
                break;
            }
            Err(error) => {
                log::error!("{}: {error}; looking for an older snapshot", path.display());
                damaged.get_or_insert((path, error));
                passed_over.insert(id);
            }
        }
    }
    let replay = found.unwrap_or_else(|| Replay::new(Image::empty()));
    let ends_at = replay.offset() + 1;
    match lacking(dir, first_base_offset(disk, dir)?, damaged.as_ref(), ends_at) {
        None => Ok((replay, passed_over)),
        Some((path, problem)) => Err(MetadataLogError::Damaged(path, problem)),
    }
}

/// What is missing between the newest snapshot that can be read, which ends before `ends_at`, and
/// a log that begins with `log_start`, if anything is: the file to blame, and why. `damaged` is the
/// newest snapshot that cannot be read.
pub(crate) fn lacking(
    dir: &Path,
    log_start: Option<i64>,
    damaged: Option<&(PathBuf, LogError)>,
    ends_at: i64,
) -> Option<(PathBuf, String)> {
    match (log_start, damaged) {
        // A snapshot stands for a log that is gone, nothing for one that never was.
        (None, None) => return None,
        (Some(log_start), _) if log_start <= ends_at => return None,
        _ => {}
    }
    let log = match log_start {
        None => "there is no log".to_owned(),
        Some(offset) => format!("the log begins with offset {offset}"),
    };
    Some(match damaged {
        Some((path, error)) => {
            let problem = format!(
                "{error}; what is older ends with offset {ends_at}, but {log}: records between \
                 are in this snapshot alone; restore it from a copy"
            );
            (path.clone(), problem)
        }
        None => {
            let problem =
                format!("no snapshot has the records from offset {ends_at} on, and {log}");
            (dir.to_owned(), problem)
        }
    })
}

/// What is missing of a log that ends before the newest snapshot that cannot be read does: the file
/// to blame, and why.
pub(crate) fn cut_short(
    dir: &Path,
    damaged: Option<SnapshotId>,
    log_end: i64,
) -> Option<(PathBuf, String)> {
    let id = damaged.filter(|id| log_end < id.end_offset)?;
    let problem = format!(
        "it is damaged, and the log ends with offset {log_end}: records behind are in this \
         snapshot alone; restore it from a copy, or move it away to go on without them"
    );
    Some((dir.join(id.to_string()), problem))
}

/// The base offset of the log's first segment, by the files' names.
fn first_base_offset(disk: &dyn Disk, dir: &Path) -> Result<Option<i64>, MetadataLogError> {
    let entries = disk.list(dir).map_err(io(dir))?;
    let bases = entries.iter().filter_map(|entry| match FileName::parse(&entry.name) {
        Ok(FileName::Segment { base_offset, kind: FileKind::Log }) => Some(base_offset),
        _ => None,
    });
    Ok(bases.min())
}

/// Removes snapshots that were never finished, and those that were to be removed.
fn remove_leftovers(disk: &dyn Disk, dir: &Path) -> Result<(), MetadataLogError> {
    for entry in disk.list(dir).map_err(io(dir))? {
        let is_leftover = [".checkpoint.part", ".checkpoint.tmp", ".checkpoint.deleted"]
            .into_iter()
            .any(|suffix| entry.name.ends_with(suffix));
        if is_leftover && !entry.is_dir {
            let path = dir.join(entry.name);
            log::info!("{}: removed, it was never finished or no longer used", path.display());
            disk.unlink(&path).map_err(io(&path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! The metadata log, read without being opened: no file is made, cut or locked.

use std::path::{Path, PathBuf};

use ottla_metadata::image::Image;
use ottla_metadata::replay::{LogError, Replay};
use ottla_metadata::snapshot::{self, SnapshotId};
use ottla_protocol::wire::ReadErrorKind;
use ottla_storage::disk::{Disk, Open};
use ottla_storage::file_name::{FileKind, FileName};
use ottla_storage::log::find_damage;
use ottla_storage::whole_file;

use super::reason::Reason;
use crate::metadata_log::{DIR_NAME, cut_short, lacking};

/// Bytes read at a time; a batch that is larger makes them more.
const READ_BYTES: usize = 8 << 20;

/// What the metadata log says.
pub(super) struct FoundMetadata {
    /// The directory `__cluster_metadata-0`.
    pub(super) dir: PathBuf,
    /// The replay at the log's end.
    pub(super) replay: Replay,
    /// The snapshot that it began with.
    pub(super) snapshot: Option<SnapshotId>,
    /// The newest snapshot, when it is damaged and passed over, and what is wrong with it.
    pub(super) passed_over: Option<(PathBuf, LogError)>,
    /// Why the log was not read to its end.
    pub(super) stopped: Option<String>,
    /// Whether that is more than the torn end of an append, which a start cuts off.
    pub(super) damage: Option<Reason>,
}

/// Reads the metadata log below the log directory `root`; `None` when it has none.
///
/// # Errors
/// A file cannot be read, or holds what this build does not understand.
pub(super) fn read(disk: &dyn Disk, root: &Path) -> Result<Option<FoundMetadata>, Reason> {
    let dir = root.join(DIR_NAME);
    if !disk.exists(&dir).map_err(|error| Reason::unreadable(&dir, &error))? {
        return Ok(None);
    }
    let entries = disk.list(&dir).map_err(|error| Reason::unreadable(&dir, &error))?;
    let names = || entries.iter().filter(|entry| !entry.is_dir).map(|entry| &*entry.name);
    let Newest { replay, snapshot, damaged } = newest_snapshot(disk, &dir, names())?;
    let mut bases: Vec<i64> = names().filter_map(segment_base).collect();
    bases.sort_unstable();
    // All below the snapshot's end is in the snapshot.
    let end = replay.offset() + 1;
    let (damaged_id, damaged) = damaged.unzip();
    if let Some((path, what)) = lacking(&dir, bases.first().copied(), damaged.as_ref(), end) {
        return Err(beyond_repair(what, &path));
    }
    // The name of a damaged one says how far the log was durable, as at a start.
    let durable_end = damaged_id.map_or(end, |id: SnapshotId| id.end_offset.max(end));
    let damage = find_damage(disk, &dir, durable_end);
    let damage = damage.map_err(|error| Reason::unreadable(&dir, &error))?;
    let damage = damage.map(|damage| beyond_repair(damage.to_string(), &damage.path));
    let mut found =
        FoundMetadata { dir, replay, snapshot, passed_over: damaged, stopped: None, damage };
    let first = bases.iter().rposition(|base| *base <= end).unwrap_or(0);
    for base in &bases[first..] {
        if found.stopped.is_none() {
            found.read_segment(disk, *base)?;
        }
    }
    let log_end = found.replay.offset() + 1;
    if let Some((path, what)) = cut_short(&found.dir, damaged_id, log_end) {
        found.damage.get_or_insert_with(|| beyond_repair(what, &path));
    }
    Ok(Some(found))
}

fn segment_base(name: &str) -> Option<i64> {
    match FileName::parse(name) {
        Ok(FileName::Segment { base_offset, kind: FileKind::Log }) => Some(base_offset),
        _ => None,
    }
}

/// What a start begins to replay with.
struct Newest {
    /// The state that it holds; nothing at first.
    replay: Replay,
    snapshot: Option<SnapshotId>,
    /// The newest one of those that are passed over.
    damaged: Option<(SnapshotId, (PathBuf, LogError))>,
}

/// The newest snapshot that is whole. A damaged one is passed over, as at a start; one that this
/// build does not understand is not.
fn newest_snapshot<'a>(
    disk: &dyn Disk,
    dir: &Path,
    names: impl Iterator<Item = &'a str>,
) -> Result<Newest, Reason> {
    let mut damaged = None;
    let mut ids: Vec<SnapshotId> = names.filter_map(SnapshotId::from_file_name).collect();
    ids.sort_unstable();
    for id in ids.into_iter().rev() {
        let path = dir.join(id.to_string());
        let bytes = whole_file::read(disk, &path);
        let bytes = bytes.map_err(|error| Reason::unreadable(&path, &error))?.unwrap_or_default();
        match snapshot::read(&bytes, id) {
            Ok(replay) => return Ok(Newest { replay, snapshot: Some(id), damaged }),
            Err(error @ LogError::Decode(_)) => {
                damaged.get_or_insert((id, (path, error)));
            }
            Err(error) => return Err(not_understood(&path, &error)),
        }
    }
    Ok(Newest { replay: Replay::new(Image::empty()), snapshot: None, damaged })
}

impl FoundMetadata {
    fn read_segment(&mut self, disk: &dyn Disk, base_offset: i64) -> Result<(), Reason> {
        let path = self.dir.join(format!("{base_offset:020}.log"));
        let unreadable = |error: std::io::Error| Reason::unreadable(&path, &error);
        let next = self.replay.offset() + 1;
        if next < base_offset {
            return Err(hole(&path, next, base_offset));
        }
        let file = disk.open(&path, Open::Read).map_err(unreadable)?;
        let len = file.len().map_err(unreadable)?;
        let (mut position, mut window) = (0_u64, READ_BYTES);
        while position < len {
            let rest = usize::try_from(len - position).unwrap_or(usize::MAX);
            let mut bytes = vec![0; rest.min(window)];
            file.read_exact_at(&mut bytes, position).map_err(unreadable)?;
            match self.replay.apply_batches(&bytes) {
                Ok(0) if bytes.len() == rest => {
                    self.stopped =
                        Some(format!("{}: no whole batch at byte {position}", path.display()));
                    return Ok(());
                }
                Ok(0) => window *= 2,
                Ok(consumed) => position += consumed as u64,
                Err(LogError::Decode(error)) => {
                    self.stopped = Some(format!("{}: {error}", path.display()));
                    return Ok(());
                }
                Err(error) => return Err(not_understood(&path, &error)),
            }
        }
        Ok(())
    }
}

/// What was durable is gone, and nobody else knows it.
fn beyond_repair(what: String, path: &Path) -> Reason {
    Reason {
        what: format!("the metadata log has lost records: {what}"),
        place: path.display().to_string(),
        next: "restore the file from a copy of the directory; without one, `ottlactl repair \
               --dry-run` on the log directory tells what is behind the damage, and by which \
               option it is given up"
            .to_owned(),
        accept: None,
    }
}

fn hole(path: &Path, next: i64, base_offset: i64) -> Reason {
    Reason {
        what: format!("the metadata log lacks the offsets {next} to {}", base_offset - 1),
        place: path.display().to_string(),
        next: "restore the missing segment or a newer snapshot from a backup".to_owned(),
        accept: None,
    }
}

/// A record that is whole but says nothing to this build.
fn not_understood(path: &Path, error: &LogError) -> Reason {
    use ReadErrorKind::{UnsupportedFrame, UnsupportedVersion};
    let is_newer = match error {
        LogError::Frame { error, .. } => {
            [UnsupportedVersion, UnsupportedFrame].contains(&error.kind)
        }
        _ => false,
    };
    Reason {
        what: match is_newer {
            true => format!("{error}: a version newer than those of Kafka 4.3"),
            false => error.to_string(),
        },
        place: path.display().to_string(),
        next: match is_newer {
            true => "go on with the Kafka that wrote it, or with an Ottla that knows it",
            false => "look at it with kafka-dump-log; start Kafka on it to see whether it does",
        }
        .to_owned(),
        accept: None,
    }
}

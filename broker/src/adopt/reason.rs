//! Reasons not to serve a directory, each with its place and what to do.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use ottla_metadata::bootstrap;
use ottla_metadata::features::unknown_levels;
use ottla_metadata::image::{ConfigEntries, ConfigResourceType, Image};
use ottla_metadata::quorum::Quorum;
use ottla_metadata::quorum_state::{self, QuorumState, QuorumStateVersion};
use ottla_metadata::replay::Replay;
use ottla_storage::disk::Disk;
use ottla_storage::meta_properties::{self, MetaProperties};
use ottla_storage::whole_file;

use super::directories::not_mounted;
use super::metadata::{self, FoundMetadata};
use super::partitions::{not_loadable, without_metadata};
use super::peers;
use crate::config::{Acceptable, BrokerConfig, DataDirs, StaticConfig};
use crate::format;

/// Topics that are named in one reason at most.
pub(super) const NAMES_MAX: usize = 5;

/// Why a directory cannot, or should not, be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What is so.
    pub what: String,
    /// The file or setting that says so.
    pub place: String,
    /// What to do now.
    pub next: String,
    /// By which name it can be accepted; `None` when it cannot be.
    pub accept: Option<Acceptable>,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  where: {}\n  next: {}", self.what, self.place, self.next)?;
        match self.accept {
            Some(accept) => {
                write!(f, "; or --accept {}: {}", accept.name(), accept.meaning())
            }
            None => Ok(()),
        }
    }
}

impl Reason {
    /// Whether it was said that it does not matter.
    pub(super) fn is_accepted(&self, statics: &StaticConfig) -> bool {
        self.accept.is_some_and(|accept| statics.accepts(accept))
    }

    pub(super) fn unreadable(path: &Path, error: &dyn fmt::Display) -> Self {
        Self {
            what: format!("cannot be read: {error}"),
            place: path.display().to_string(),
            next: "correct the path or the permissions".to_owned(),
            accept: None,
        }
    }
}

/// Everything that speaks against starting on these directories and is not accepted; `None` when
/// there is nothing. Reads the metadata log and a few small files, and changes nothing.
pub fn refusal(disk: &dyn Disk, config: &BrokerConfig, statics: &StaticConfig) -> Option<String> {
    let dirs = DataDirs {
        node_id: config.node_id,
        log_dirs: config.log_dirs.clone(),
        metadata_log_dir: config.metadata_log_dir.clone(),
    };
    let Looked { mut reasons, .. } = look(disk, &dirs);
    reasons.retain(|reason| !reason.is_accepted(statics));
    if reasons.is_empty() {
        return None;
    }
    let reasons: Vec<String> = reasons.iter().map(|reason| format!("\n- {reason}")).collect();
    Some(format!("this directory is not started on, and nothing was changed:{}", reasons.concat()))
}

/// What a look at the directories found.
pub(super) struct Looked {
    /// Whose they are, as far as their `meta.properties` can be read.
    pub(super) identities: Vec<(PathBuf, MetaProperties)>,
    /// The metadata log, if there is one that can be read.
    pub(super) metadata: Option<FoundMetadata>,
    /// Whether there is one, to be read or not.
    pub(super) is_metadata_there: bool,
    /// What the log says about the quorum.
    pub(super) quorum: Quorum,
    /// What speaks against it, in the order in which it was found.
    pub(super) reasons: Vec<Reason>,
}

impl Looked {
    /// The cluster as a start would find it: without topics where there is no metadata log. `None`
    /// when the log is not read to its end, and so does not know all topics.
    pub(super) fn whole_image(&self) -> Option<Cow<'_, Image>> {
        match &self.metadata {
            Some(found) if found.damage.is_none() => Some(Cow::Borrowed(found.replay.image())),
            None if !self.is_metadata_there => Some(Cow::Owned(Image::empty())),
            _ => None,
        }
    }
}

pub(super) fn look(disk: &dyn Disk, dirs: &DataDirs) -> Looked {
    let mut reasons = Vec::new();
    let identities = identities(disk, dirs, &mut reasons);
    let read = metadata::read(disk, &dirs.metadata_log_dir);
    let is_metadata_there = !matches!(read, Ok(None));
    let metadata = read.unwrap_or_else(|reason| {
        reasons.push(reason);
        None
    });
    let mut quorum = Quorum::default();
    if let Some(found) = &metadata {
        match Quorum::of(&found.replay.progress().quorum) {
            Ok(of_log) => quorum = of_log,
            Err(error) => reasons.push(Reason {
                what: format!("the record of the quorum's voters is malformed: {error}"),
                place: found.dir.display().to_string(),
                next: "look at it with kafka-dump-log --cluster-metadata-decoder".to_owned(),
                accept: None,
            }),
        }
        reasons.extend(found.damage.clone());
        reasons.extend(of_image(found, &quorum));
        reasons.extend(voters(disk, found, &quorum, dirs.node_id));
        reasons.extend(peers::reasons(found, dirs.node_id));
        reasons.extend(voter_directory(found, &quorum, dirs, &identities));
        reasons.extend(not_mounted(disk, dirs, found.replay.image(), &identities));
    }
    let is_empty = |found: &FoundMetadata| {
        found.damage.is_none() && found.replay.image().metadata_version() == 0
    };
    if metadata.as_ref().map_or(!is_metadata_there, is_empty) {
        reasons.extend(of_bootstrap(disk, &dirs.metadata_log_dir));
        let image = metadata.as_ref().map(|found| found.replay.image());
        reasons.extend(without_metadata(disk, dirs, image));
    }
    let mut looked = Looked { identities, metadata, is_metadata_there, quorum, reasons };
    let loaded = looked.whole_image().map(|image| not_loadable(disk, dirs, &image));
    looked.reasons.extend(loaded.into_iter().flatten());
    looked
}

/// The `meta.properties` that can be read. Directories that cannot be reached are none of this:
/// they are offline, and the others go on.
fn identities(
    disk: &dyn Disk,
    dirs: &DataDirs,
    reasons: &mut Vec<Reason>,
) -> Vec<(PathBuf, MetaProperties)> {
    let mut known = Vec::new();
    for dir in dirs.all().filter(|dir| disk.exists(dir).unwrap_or(false)) {
        match meta_properties::read(disk, dir) {
            Ok(Some(properties)) => known.push((dir.clone(), properties)),
            Ok(None) => reasons.extend(lost_identity(disk, dirs, dir)),
            Err(_) if disk.list(dir).is_err() => {}
            Err(error) => reasons.push(Reason {
                what: error.to_string(),
                place: meta_properties::path(dir).display().to_string(),
                next: "correct the file, or choose another directory".to_owned(),
                accept: None,
            }),
        }
    }
    if let Err(conflict) = meta_properties::verify(&known, dirs.node_id) {
        reasons.push(Reason {
            what: conflict.to_string(),
            place: conflict.path().display().to_string(),
            next: "correct node.id or log.dirs in the configuration".to_owned(),
            accept: None,
        });
    }
    known
}

/// A directory that is none of a broker's, or has lost the file that says so.
fn lost_identity(disk: &dyn Disk, dirs: &DataDirs, dir: &Path) -> Option<Reason> {
    // What cannot be listed is offline.
    if !dirs.log_dirs.iter().any(|of| of == dir) || disk.list(dir).is_err() {
        return None;
    }
    let error = format::is_new(disk, dir).err()?;
    Some(Reason {
        what: error.to_string(),
        place: meta_properties::path(dir).display().to_string(),
        next: "restore the file, or choose an empty directory".to_owned(),
        accept: None,
    })
}

/// What the image speaks against, beside its voters.
fn of_image(found: &FoundMetadata, quorum: &Quorum) -> Vec<Reason> {
    let image = found.replay.image();
    let mut reasons = levels(image, quorum.kraft_version, &found.dir);
    let kinds = image.kept().unknown_kinds();
    if !kinds.is_empty() {
        let kinds: Vec<String> = kinds.iter().map(ToString::to_string).collect();
        reasons.push(Reason {
            what: format!(
                "the metadata log has records of kinds that Kafka 4.3 does not have: {}",
                kinds.join(", ")
            ),
            place: found.dir.display().to_string(),
            next: "go on with the Kafka that wrote them, or with an Ottla that knows them"
                .to_owned(),
            accept: None,
        });
    }
    let tiered = tiered_topics(image);
    if !tiered.is_empty() {
        let names: Vec<&str> = tiered.iter().take(NAMES_MAX).copied().collect();
        let more = if NAMES_MAX < tiered.len() { ", ..." } else { "" };
        reasons.push(Reason {
            what: format!(
                "{} topics have remote storage, which is not built yet: {}{more}",
                tiered.len(),
                names.join(", ")
            ),
            place: "topic setting remote.storage.enable".to_owned(),
            next: "switch it off under Kafka, with remote.log.delete.on.disable".to_owned(),
            accept: Some(Acceptable::TieredStorage),
        });
    }
    reasons
}

fn levels(image: &Image, kraft_version: i16, place: &Path) -> Vec<Reason> {
    let unknown = unknown_levels(image, kraft_version).into_iter();
    unknown
        .map(|level| Reason {
            what: level.to_string(),
            place: place.display().to_string(),
            next: format!(
                "under Kafka, try kafka-features downgrade --feature {}={}; or wait for an Ottla \
                 that knows the level",
                level.name,
                level.known.map_or(0, |known| known.max)
            ),
            accept: None,
        })
        .collect()
}

fn tiered_topics(image: &Image) -> Vec<&str> {
    let topic = ConfigResourceType::Topic.code();
    let is_tiered = |entries: &ConfigEntries| {
        entries.iter().any(|(name, value)| {
            &**name == "remote.storage.enable" && value.eq_ignore_ascii_case("true")
        })
    };
    let resources = image.configs().iter();
    let tiered = resources.filter(|(kind, _, entries)| *kind == topic && is_tiered(entries));
    tiered.map(|(_, name, _)| name).collect()
}

/// Several voters would part the cluster, were one of them to go on by itself.
fn voters(disk: &dyn Disk, found: &FoundMetadata, quorum: &Quorum, node_id: i32) -> Vec<Reason> {
    let path = found.dir.join(quorum_state::FILE_NAME);
    let mut reasons = Vec::new();
    let state = match read_quorum_state(disk, &path) {
        Ok(state) => state,
        Err(reason) => {
            reasons.push(reason);
            None
        }
    };
    let of_state = state.and_then(|state| match state.version {
        QuorumStateVersion::StaticVoters { voters, .. } => voters,
        QuorumStateVersion::DynamicVoters { .. } => None,
    });
    let of_log = quorum.voters.as_ref().map(|voters| voters.iter().map(|voter| voter.id).collect());
    // With voters in the log, those of the file are what was before.
    let (voters, place): (Vec<i32>, &Path) = match (of_log, of_state) {
        (Some(voters), _) => (voters, &found.dir),
        (None, Some(voters)) => (voters, &path),
        (None, None) => return reasons,
    };
    if voters != [node_id] && !voters.is_empty() {
        let list: Vec<String> = voters.iter().map(ToString::to_string).collect();
        reasons.push(Reason {
            what: format!(
                "the quorum's voters are {}, and not node {node_id} alone; Ottla does not join \
                 others yet",
                list.join(", ")
            ),
            place: place.display().to_string(),
            next: "under Kafka, remove the other voters (kafka-metadata-quorum \
                   remove-controller) and move all replicas here, or keep Kafka"
                .to_owned(),
            accept: None,
        });
    }
    reasons
}

/// The voter is a directory too (KIP-853): another one of the same node has no vote.
fn voter_directory(
    found: &FoundMetadata,
    quorum: &Quorum,
    dirs: &DataDirs,
    identities: &[(PathBuf, MetaProperties)],
) -> Option<Reason> {
    let [voter] = quorum.voters.as_deref()? else { return None };
    let (_, properties) = identities.iter().find(|(dir, _)| *dir == dirs.metadata_log_dir)?;
    let here = properties.directory_id?;
    (voter.id == dirs.node_id && voter.directory_id != here).then(|| Reason {
        what: format!(
            "the quorum's voter is directory {} of this node, and this is {here}",
            voter.directory_id
        ),
        place: found.dir.display().to_string(),
        next: "correct metadata.log.dir, or restore meta.properties".to_owned(),
        accept: None,
    })
}

fn read_quorum_state(disk: &dyn Disk, path: &Path) -> Result<Option<QuorumState>, Reason> {
    let bytes = whole_file::read(disk, path).map_err(|error| Reason::unreadable(path, &error))?;
    let Some(bytes) = bytes else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    let state = QuorumState::parse(&text).map_err(|error| Reason {
        what: error.to_string(),
        place: path.display().to_string(),
        next: "restore the file; without it, the log's last epoch is what is known".to_owned(),
        accept: None,
    })?;
    Ok(Some(state))
}

/// A directory without records yet begins with those of `bootstrap.checkpoint`.
fn of_bootstrap(disk: &dyn Disk, root: &Path) -> Vec<Reason> {
    let path = root.join(bootstrap::FILE_NAME);
    let bytes = match whole_file::read(disk, &path) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![Reason::unreadable(&path, &error)],
    };
    let damaged = |error: &dyn fmt::Display| {
        vec![Reason {
            what: error.to_string(),
            place: path.display().to_string(),
            next: "format the directory again, or restore the file".to_owned(),
            accept: None,
        }]
    };
    let records = match bootstrap::read_checkpoint(&bytes) {
        Ok(records) => records,
        Err(error) => return damaged(&error),
    };
    let mut replay = Replay::new(Image::empty());
    for (value, offset) in records.iter().zip(0..) {
        if let Err(error) = replay.apply_value(value, offset) {
            return damaged(&error);
        }
    }
    levels(replay.image(), 0, &path)
}

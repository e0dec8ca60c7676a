//! `ottla check`: a survey and the reasons not to start, without a change to any file.

use std::path::PathBuf;

use ottla_storage::disk::Disk;
use ottla_storage::meta_properties;

use super::groups::{self, FoundGroups};
use super::partitions::{self, Fate, LivePartition};
use super::reason::{Looked, Reason, look};
use super::report;
use super::survey::{SurveyedDir, survey};
use crate::config::{BrokerConfig, ConfigError, DataDirs, Problem, StaticConfig};

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The report, for people.
    pub text: String,
    /// Every reason not to start that was not accepted.
    pub reasons: Vec<Reason>,
}

impl Check {
    /// Whether a start with the same arguments would serve the directories.
    pub fn is_ready(&self) -> bool {
        self.reasons.is_empty()
    }
}

/// What the report is made of.
pub(super) struct Findings<'a> {
    pub(super) statics: &'a StaticConfig,
    /// Whose data it would be; `None` when the settings do not say.
    pub(super) dirs: Option<DataDirs>,
    pub(super) looked: Option<Looked>,
    pub(super) surveyed: Vec<SurveyedDir>,
    pub(super) groups: FoundGroups,
    /// Partitions that a start would set aside; nothing when the metadata log is not read to its
    /// end, and so does not tell.
    pub(super) strays: Vec<LivePartition>,
    /// Not accepted, with those of the settings.
    pub(super) reasons: Vec<Reason>,
}

/// Looks at the settings and at the directories that they name. `hostname` is this machine's name.
pub fn check(disk: &dyn Disk, statics: &StaticConfig, hostname: &str) -> Check {
    let mut reasons = of_settings(statics, hostname);
    let mut findings = Findings {
        statics,
        dirs: data_dirs(disk, statics),
        looked: None,
        surveyed: Vec::new(),
        groups: FoundGroups::default(),
        strays: Vec::new(),
        reasons: Vec::new(),
    };
    if let Some(dirs) = &findings.dirs {
        let mut looked = look(disk, dirs);
        reasons.append(&mut looked.reasons);
        if let Some(image) = looked.whole_image() {
            findings.strays = partitions::live(disk, dirs);
            let is_stray =
                |at: &LivePartition| at.fate(disk, &image, dirs.node_id) == Fate::SetAside;
            findings.strays.retain(is_stray);
        }
        findings.looked = Some(looked);
        let paths: Vec<PathBuf> =
            dirs.all().filter(|dir| disk.exists(dir).unwrap_or(true)).cloned().collect();
        findings.surveyed = paths.iter().map(|path| survey(disk, path)).collect();
        findings.groups = groups::find(disk, &findings.surveyed);
        let has_partitions = |dir: &SurveyedDir| dirs.log_dirs.contains(&dir.path);
        for home in findings.surveyed.iter_mut().filter(|dir| !has_partitions(dir)) {
            // A metadata log's directory set apart may have anything beside it.
            home.strangers.clear();
        }
        reasons.extend(findings.surveyed.iter().flat_map(of_dir));
        reasons.extend(out_of_use(dirs, &findings.surveyed));
    }
    reasons.retain(|reason| !reason.is_accepted(statics));
    findings.reasons = reasons;
    let text = report::report(&findings);
    Check { text, reasons: findings.reasons }
}

/// Where the data is. Should the settings not say whose it is, which is a reason of its own, it is
/// looked at as the node's whose files are there.
fn data_dirs(disk: &dyn Disk, statics: &StaticConfig) -> Option<DataDirs> {
    DataDirs::of(statics).ok().or_else(|| {
        let mut dirs = DataDirs::of(&statics.without(&["node.id", "broker.id"])).ok()?;
        let read = |dir: &PathBuf| meta_properties::read(disk, dir).ok().flatten();
        let node_id = dirs.all().find_map(read)?.node_id;
        dirs.node_id = node_id;
        Some(dirs)
    })
}

/// What is wrong with the settings.
fn of_settings(statics: &StaticConfig, hostname: &str) -> Vec<Reason> {
    let Err(ConfigError { problems }) = BrokerConfig::new(statics, hostname) else {
        return Vec::new();
    };
    let reason = |problem: Problem| Reason {
        what: format!("{}: {}", problem.subject, problem.wrong),
        place: problem.place,
        next: problem.next,
        accept: None,
    };
    problems.into_iter().map(reason).collect()
}

/// A directory that cannot be used is offline, and the others go on; but for the one with the
/// metadata log.
fn out_of_use(dirs: &DataDirs, surveyed: &[SurveyedDir]) -> Option<Reason> {
    let home = surveyed.iter().find(|dir| dir.path == dirs.metadata_log_dir)?;
    let problem = home.problem.as_ref()?;
    Some(Reason {
        what: format!("the directory of the metadata log cannot be used: {problem}"),
        place: home.path.display().to_string(),
        next: "correct log.dirs or the permissions, or run this as the broker's user; a \
               checkpoint is mended by `ottlactl repair`"
            .to_owned(),
        accept: None,
    })
}

fn of_dir(dir: &SurveyedDir) -> Vec<Reason> {
    let place = dir.path.display().to_string();
    let mut reasons = Vec::new();
    if dir.is_in_use {
        reasons.push(Reason {
            what: "a running broker has this directory".to_owned(),
            place: place.clone(),
            next: "stop that broker; until then the figures may change while they are read"
                .to_owned(),
            accept: None,
        });
    }
    for stranger in &dir.strangers {
        reasons.push(Reason {
            what: format!("the directory {stranger:?} is no partition's"),
            place: place.clone(),
            next: "move it elsewhere; Kafka does not start beside it either".to_owned(),
            accept: None,
        });
    }
    reasons
}

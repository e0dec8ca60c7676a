//! What `ottlactl verify` finds in a directory between brokers, and `repair` would do.

use std::process::Command;

use anyhow::{Context, Result};

use super::super::broker::Site;
use super::super::toolbox::Toolbox;

/// Of one directory; a mistake may be found in each partition.
const SHOWN_MAX: usize = 12;

/// A topic was deleted just before the stop, as each visit does; the next start removes it. And
/// Apache Kafka leaves segments of the metadata log for which a snapshot stands.
const ALLOWED: [&str; 2] = ["a deleted partition, to be removed", ".deleted: was to be removed"];

/// What `repair --dry-run` says when there is nothing that it would do.
const NOTHING: &str = "0 actions, none carried out";

/// Findings in all log directories. After an orderly stop there must be none at all, after a kill
/// none but notes, with which the exit code is 0; and a repair must have nothing to do.
pub(super) fn check(toolbox: &Toolbox, site: &Site, stopped: bool) -> Result<Vec<String>> {
    let metadata = site.dirs().iter().find(|dir| dir.join("__cluster_metadata-0").is_dir());
    let metadata = metadata.context("a broker keeps its metadata log in one of them")?;
    let mut problems = Vec::new();
    for dir_path in site.dirs() {
        let mut command = Command::new(&toolbox.ottlactl);
        command.args(["verify", "--deep", "--metadata-dir"]).arg(metadata).arg(dir_path);
        let output = command.output().context("ottlactl")?;
        let said = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        let dir = dir_path.display();
        if output.status.code() != Some(0) {
            problems.push(format!("verify {dir}: {} {}", output.status, complaint.trim()));
        }
        let wanted = |line: &&str| {
            let severity = line.split(':').next();
            severity == Some("damage")
                || severity == Some("warning")
                || stopped
                    && severity == Some("note")
                    && !ALLOWED.iter().any(|allowed| line.contains(allowed))
        };
        let lines = said.lines().filter(wanted).take(SHOWN_MAX);
        problems.extend(lines.map(|line| format!("verify {line}")));
        let mut command = Command::new(&toolbox.ottlactl);
        command.args(["repair", "--dry-run", "--metadata-dir"]).arg(metadata).arg(dir_path);
        let output = command.output().context("ottlactl")?;
        let said = String::from_utf8_lossy(&output.stdout);
        let last = said.lines().last().unwrap_or_default();
        if output.status.code() != Some(0) || !last.starts_with(NOTHING) {
            let first = said.lines().next().unwrap_or_default();
            problems.push(format!("repair {dir}: {}: {last}: {first}", output.status));
        }
    }
    Ok(problems)
}

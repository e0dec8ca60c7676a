//! What lies in a directory between brokers, and what must not.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::super::broker::Site;

/// Deleted topics have folders for a second; a busy machine gets some more.
const DELETE_LIMIT: Duration = Duration::from_secs(15);

/// What an orderly stop leaves in each log directory, and only that.
const CLEAN_STOP: &str = ".kafka_cleanshutdown";

/// Files that only live while something goes on.
const PASSING: [&str; 4] = [".cleaned", ".swap", ".deleted", ".tmp"];

/// What is wrong before the next broker starts.
pub(super) fn before_start(site: &Site, stopped: bool) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for dir in site.dirs() {
        if dir.join(CLEAN_STOP).exists() != stopped {
            let word = if stopped { "no" } else { "a" };
            problems.push(format!("{}: {word} {CLEAN_STOP}", dir.display()));
        }
    }
    for folder in folders(site)? {
        if folder.ends_with("-stray") || folder.ends_with("-future") {
            problems.push(format!("{folder} is there"));
        }
    }
    if stopped {
        for dir in site.dirs() {
            passing(dir, &mut problems)?;
        }
    }
    Ok(problems)
}

/// What is wrong while a broker runs that has nothing to do any more. Folders of deleted topics
/// may be there for a while.
pub(super) fn while_running(site: &Site) -> Result<Vec<String>> {
    let start = Instant::now();
    let mut problems = Vec::new();
    loop {
        problems.clear();
        for folder in folders(site)? {
            let ends = ["-stray", "-delete", "-future"];
            // Topics may be called so; their folders end with a number.
            if ends.iter().any(|end| folder.ends_with(end)) && !folder.contains("gone-stop") {
                problems.push(format!("{folder} is there still"));
            }
        }
        if problems.is_empty() || start.elapsed() > DELETE_LIMIT {
            return Ok(problems);
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// What is wrong with the metadata log if its beginning should have been removed by now, because
/// snapshots stand for it.
pub(super) fn trimmed(site: &Site) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for dir in site.dirs() {
        let folder = dir.join("__cluster_metadata-0");
        if folder.is_dir() {
            for entry in fs::read_dir(folder)? {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
        }
    }
    let count = |end: &str| names.iter().filter(|name| name.ends_with(end)).count();
    let first = format!("{:020}.log", 0);
    let mut problems = Vec::new();
    if names.contains(&first) || count(".log") == 0 {
        problems.push(format!("the metadata log begins where it began: {names:?}"));
    }
    if count(".checkpoint") == 0 {
        problems.push(format!("the metadata log has no snapshot: {names:?}"));
    }
    Ok(problems)
}

fn folders(site: &Site) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for dir in site.dirs() {
        for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    Ok(names)
}

/// Apache Kafka keeps what it has removed of the metadata log for a minute, whatever its settings
/// say, and does not look for it when it stops.
fn is_trimmed(folder: &Path, name: &str) -> bool {
    folder.ends_with("__cluster_metadata-0") && name.ends_with(".deleted")
}

fn passing(folder: &Path, problems: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            passing(&path, problems)?;
        } else if PASSING.iter().any(|end| name.ends_with(end)) && !is_trimmed(folder, &name) {
            problems.push(format!("{} is there", path.display()));
        }
    }
    Ok(())
}

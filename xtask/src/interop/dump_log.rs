//! Apache Kafka's own dump tool over every file that a broker wrote and closed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Shop;
use super::broker::Site;
use super::process;
use super::toolbox::Need;
use crate::gate::Outcome;

/// The tool prints a line for each record, and there are millions.
const LIMIT: Duration = Duration::from_secs(1800);

/// Dumps all files of a site whose broker has stopped.
pub(crate) fn run(shop: &Shop, site: &Site) -> Result<Outcome> {
    if !shop.toolbox.has(Need::Java) {
        // Already counted as not run.
        return Ok(Outcome::default());
    }
    let mut files = Vec::new();
    collect(&site.data(), &mut files)?;
    files.sort();
    ensure!(!files.is_empty(), "no files in {}", site.data().display());
    let list = shop.toolbox.target.join("dump-log.txt");
    let text: String = files.iter().map(|path| format!("{}\n", path.display())).collect();
    fs::write(&list, text)?;
    let mut command = shop.toolbox.java();
    command.arg("DumpLog").arg(&list);
    let mut process = process::Process::start(command, &shop.toolbox.log("dump-log"), LIMIT)?;
    let mut last = String::new();
    while let Some(line) = process.line()? {
        println!("dump-log: {line}");
        last = line;
    }
    Ok(Outcome::of(process.wait()?.success() && last == format!("dumped {}", files.len())))
}

/// Every file that the tool can read, of partitions that still exist.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            if !name.ends_with("-delete") && !name.ends_with("-stray") {
                collect(&path, files)?;
            }
            continue;
        }
        let kinds = [".log", ".index", ".timeindex", ".txnindex", ".snapshot", ".checkpoint"];
        let known = kinds.iter().any(|kind| name.ends_with(kind));
        if known && name.starts_with("0000") {
            files.push(path);
        }
    }
    Ok(())
}

//! Apache Kafka's own dump tool over every file that a broker wrote and closed: it must have no
//! complaint, and `ottlactl dump-log` must print the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::broker::{Kind, Site};
use super::toolbox::{Need, Toolbox};
use super::{Shop, clients, process};
use crate::gate::Outcome;

/// The tool prints a line for each record, and there are millions.
const LIMIT: Duration = Duration::from_secs(1800);

/// Of larger logs the beginning is compared record by record.
const DEEP_BYTES_MAX: u64 = 2_000_000;

/// Files in one call: both programs take some time to start.
const FILES_MAX: usize = 40;

/// Damaged copies of each of some files, and the most bytes of one.
const DAMAGED_EACH: u64 = 12;
const DAMAGED_FILES: usize = 12;
const DAMAGED_BYTES_MAX: u64 = 30_000;

/// [`of_site`], and the same of a directory that Kafka wrote, and of damaged files.
pub(crate) fn run(shop: &Shop, site: &Site) -> Result<Outcome> {
    let mut outcome = of_site(shop, site)?;
    if !shop.toolbox.has(Need::Java) {
        return Ok(outcome);
    }
    let kafka = of_kafka(shop)?;
    outcome.add(compare(&shop.toolbox, &kafka.data(), "kafka")?);
    outcome.add(damaged(&shop.toolbox, &kafka.data())?);
    Ok(outcome)
}

/// Dumps all files of a site whose broker has stopped, and compares the two tools on them.
pub(crate) fn of_site(shop: &Shop, site: &Site) -> Result<Outcome> {
    if !shop.toolbox.has(Need::Java) {
        // Already counted as not run.
        return Ok(Outcome::default());
    }
    let mut outcome = complaints(shop, site)?.0;
    outcome.add(compare(&shop.toolbox, &site.data(), site.name())?);
    Ok(outcome)
}

/// Whether Kafka's tool has no complaint about a stopped site's files, and the codecs that it saw
/// in them.
pub(crate) fn complaints(shop: &Shop, site: &Site) -> Result<(Outcome, Vec<String>)> {
    let files = collect(&site.data())?;
    let list = shop.toolbox.target.join("dump-log.txt");
    let text: String = files.iter().map(|path| format!("{}\n", path.display())).collect();
    fs::write(&list, text)?;
    let mut command = shop.toolbox.java();
    command.arg("DumpLog").arg(&list);
    let mut process = process::Process::start(command, &shop.toolbox.log("dump-log"), LIMIT)?;
    let (mut last, mut codecs) = (String::new(), Vec::new());
    while let Some(line) = process.line()? {
        println!("dump-log: {line}");
        if let Some(names) = line.strip_prefix("codecs ") {
            codecs = names.split(' ').map(str::to_owned).collect();
        }
        last = line;
    }
    let is_fine = process.wait()?.success() && last == format!("dumped {}", files.len());
    Ok((Outcome::of(is_fine), codecs))
}

/// Lets Apache Kafka fill a directory of its own.
fn of_kafka<'a>(shop: &'a Shop) -> Result<Site<'a>> {
    let site = Site::fresh(&shop.toolbox, "dump-log")?;
    let running = site.start(Kind::Kafka)?;
    let java = clients::named("java").context("the Java client is in the table")?;
    let mut command = java.command(&shop.toolbox, site.bootstrap());
    let cases = java.cases(&[]);
    command.args(["cases", "dump"]).args(&cases);
    let lines = process::output(command, &shop.toolbox.log("dump-log-kafka"), LIMIT)?;
    let good = lines.iter().filter(|line| line.starts_with("ok ")).count();
    ensure!(good == cases.len(), "Kafka's own directory: {lines:?}");
    running.stop()?;
    Ok(site)
}

/// Compares what Kafka's dump tool and `ottlactl dump-log` print of every file of a log directory
/// that no broker uses, standard error too. The name is for messages and for the file with the
/// list of calls.
fn compare(toolbox: &Toolbox, dir: &Path, name: &str) -> Result<Outcome> {
    let mut groups: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for path in collect(dir)? {
        for options in options(&path)? {
            groups.entry(options).or_default().push(path.clone());
        }
    }
    let mut cases = Vec::new();
    for (options, files) in groups {
        for files in files.chunks(FILES_MAX) {
            let files: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
            cases.push(format!("{options}\t{}", files.join(",")));
        }
    }
    run_cases(toolbox, &cases, name)
}

/// The options that each of the two tools is given for a file, one call each.
fn options(path: &Path) -> Result<Vec<String>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let of = |options: &[&str]| options.iter().map(|&options| options.to_owned()).collect();
    if name.ends_with(".index") || name.ends_with(".timeindex") {
        return Ok(of(&["", "--verify-index-only", "--index-sanity-check"]));
    }
    let is_log = name.ends_with(".log");
    if !is_log && !name.ends_with(".checkpoint") {
        return Ok(of(&[""]));
    }
    if is_log && fs::metadata(path)?.len() > DEEP_BYTES_MAX {
        return Ok(vec![String::new(), format!("--print-data-log --max-bytes {DEEP_BYTES_MAX}")]);
    }
    let dir = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let decoder = match dir.rsplit_once('-').map(|(topic, _)| topic) {
        Some("__consumer_offsets") => "--offsets-decoder",
        Some("__transaction_state") => "--transaction-log-decoder",
        Some("__share_group_state") => "--share-group-state-decoder",
        Some("__cluster_metadata") => "--cluster-metadata-decoder",
        _ if !is_log => "--cluster-metadata-decoder",
        _ => return Ok(of(&["--print-data-log", "--deep-iteration"])),
    };
    Ok(vec![
        decoder.to_owned(),
        format!("{decoder} --skip-record-metadata"),
        "--print-data-log".to_owned(),
    ])
}

/// Compares the tools on damaged copies of a directory's smaller files.
fn damaged(toolbox: &Toolbox, dir: &Path) -> Result<Outcome> {
    let folder = toolbox.target.join("dump-log-damaged");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let mut sources = collect(dir)?;
    sources
        .retain(|path| fs::metadata(path).is_ok_and(|m| (1..DAMAGED_BYTES_MAX).contains(&m.len())));
    // Of all kinds, not the first ones of one kind.
    sources.sort_by_key(|path| (path.file_name().map(ToOwned::to_owned), path.clone()));
    let step = sources.len().div_ceil(DAMAGED_FILES).max(1);
    let mut random = 1u64;
    let mut cases = Vec::new();
    for (n, source) in sources.iter().step_by(step).enumerate() {
        for k in 0..DAMAGED_EACH {
            let copy = folder.join(format!("{n}-{k}"));
            let bytes = damage(fs::read(source)?, &mut random);
            for path in copy_beside(source, &copy, &bytes)? {
                let calls = match path.extension().is_some_and(|end| end == "log") {
                    true => &["--print-data-log", "--offsets-decoder"][..],
                    false => &["", "--index-sanity-check"],
                };
                cases.extend(calls.iter().map(|call| format!("{call}\t{}", path.display())));
            }
        }
    }
    run_cases(toolbox, &cases, "damaged")
}

/// Copies the files of a segment into a folder, one of them with other bytes.
fn copy_beside(source: &Path, folder: &Path, bytes: &[u8]) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    let stem = source.file_stem().context("a file has a name")?;
    let mut copies = Vec::new();
    for entry in fs::read_dir(source.parent().context("a file is in a folder")?)? {
        let path = entry?.path();
        if path.file_stem() != Some(stem) {
            continue;
        }
        let copy = folder.join(path.file_name().context("a file has a name")?);
        if path == source {
            fs::write(&copy, bytes)?;
        } else {
            fs::copy(&path, &copy)?;
        }
        copies.push(copy);
    }
    copies.sort();
    Ok(copies)
}

/// Cuts the bytes, flips one, or adds zeros, by the next random number.
fn damage(mut bytes: Vec<u8>, random: &mut u64) -> Vec<u8> {
    let mut below = |limit: usize| {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (*random >> 33) as usize % limit.max(1)
    };
    let at = below(bytes.len());
    match below(4) {
        0 => bytes.truncate(at),
        1 => bytes.extend(vec![0; 1 + below(40)]),
        2 => bytes[below(70).min(at)] = below(256) as u8,
        _ => bytes[at] ^= 1 << below(8),
    }
    bytes
}

fn run_cases(toolbox: &Toolbox, cases: &[String], name: &str) -> Result<Outcome> {
    ensure!(!cases.is_empty(), "{name}: no files to compare");
    let list = toolbox.target.join(format!("dump-log-{name}.txt"));
    fs::write(&list, cases.join("\n"))?;
    let mut command = toolbox.java();
    command.arg("CompareDump").arg(&toolbox.ottlactl).arg(&list);
    let log = toolbox.log(&format!("dump-log-{name}"));
    let mut process = process::Process::start(command, &log, LIMIT)?;
    let mut last = String::new();
    while let Some(line) = process.line()? {
        println!("dump-log {name}: {line}");
        last = line;
    }
    let same = last.strip_prefix("compared ").and_then(|rest| rest.rsplit(' ').next());
    let same: u64 = same.and_then(|same| same.parse().ok()).context("it ended early")?;
    Ok(Outcome { passed: same, failed: cases.len() as u64 - same, not_run: Vec::new() })
}

/// Every file that the tool can read, of partitions that still exist.
fn collect(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect_into(folder, &mut files)?;
    files.sort();
    ensure!(!files.is_empty(), "no files in {}", folder.display());
    Ok(files)
}

fn collect_into(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            if !name.ends_with("-delete") && !name.ends_with("-stray") {
                collect_into(&path, files)?;
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

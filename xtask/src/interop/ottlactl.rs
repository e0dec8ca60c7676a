//! `ottlactl` against Apache Kafka: its transcripts, which are the files of `tools/tests/expected`,
//! and the links by which it answers to the names of Kafka's tools.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Shop;
use super::broker::{Kind, Site};
use super::process::{self, Process};
use super::toolbox::{Need, Toolbox};
use crate::gate::{Outcome, cargo_command};

/// For all transcripts.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs the transcripts against a Kafka of their own: they show its settings, and all topics.
pub(crate) fn run(shop: &Shop, program: &Path) -> Result<Outcome> {
    if !shop.toolbox.has(Need::Java) {
        // Already counted as not run.
        return Ok(Outcome::default());
    }
    let site = Site::fresh(&shop.toolbox, "ottlactl")?;
    let running = site.start(Kind::Kafka)?;
    let outcome = transcripts(shop, &site, program)?;
    running.stop()?;
    Ok(outcome)
}

fn transcripts(shop: &Shop, site: &Site, program: &Path) -> Result<Outcome> {
    let mut command = Command::new(program);
    // It looks for its files from there.
    command.current_dir(shop.toolbox.root.join("tools"));
    command.env("OTTLACTL_TEST_BOOTSTRAP", site.bootstrap());
    command.env("OTTLACTL_TEST_DATA", site.data());
    command.env("RUST_BACKTRACE", "0");
    let log = shop.toolbox.log("ottlactl-transcripts");
    let mut process = Process::start(command, &log, LIMIT)?;
    let mut outcome = Outcome::default();
    let mut lines = Vec::new();
    while let Some(line) = process.line()? {
        match result_of(&line) {
            Some((_, true)) => outcome.passed += 1,
            Some((name, false)) => {
                println!("FAIL ottlactl transcript {name}");
                outcome.failed += 1;
            }
            None => {}
        }
        lines.push(line);
    }
    let status = process.wait()?;
    if outcome.failed > 0 {
        println!("{}", lines.join("\n"));
    }
    let has_ended = outcome.failed > 0 || status.success();
    ensure!(has_ended && outcome.passed > 0, "{status}, see {}", log.display());
    Ok(outcome)
}

/// A test's name and whether it held, of `test NAME ... ok`.
fn result_of(line: &str) -> Option<(&str, bool)> {
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    match result {
        "ok" => Some((name, true)),
        "FAILED" => Some((name, false)),
        _ => None,
    }
}

/// Builds the program that runs the transcripts, as the gate's tests have it; returns its path.
pub(crate) fn build(root: &Path) -> Result<PathBuf> {
    let args = ["test", "--workspace", "--test", "transcripts", "--no-run"];
    let mut command = cargo_command(root, &args);
    command.args(["--quiet", "--message-format", "json"]);
    let output = command.output().context("cargo test")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "the transcripts do not build: cargo test {args:?} tells why");
    let is_test = |message: &serde_json::Value| message["target"]["name"] == "transcripts";
    let mut messages = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    let message = messages.find(is_test).context("cargo names no program of the transcripts")?;
    let path = message["executable"].as_str().context("cargo names no path of the transcripts")?;
    Ok(path.into())
}

/// A folder with links to the release build by the names of Kafka's tools, each of which is called
/// in `tools.txt`.
pub(crate) fn links(toolbox: &Toolbox) -> Result<PathBuf> {
    let folder = toolbox.target.join("links");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let mut install = Command::new(&toolbox.ottlactl);
    install.arg("install-links").arg(&folder);
    process::output(install, &toolbox.log("install-links"), LIMIT)?;
    let calls = fs::read_to_string(toolbox.sources.join("tools.txt"))?;
    for link in fs::read_dir(&folder)? {
        let name = link?.file_name();
        let tool = name.to_str().and_then(|name| name.strip_suffix(".sh"));
        let tool = tool.with_context(|| format!("{} is no name of a tool", name.display()))?;
        ensure!(is_called(&calls, tool), "interop/tools.txt has no call of {tool}");
    }
    Ok(folder)
}

fn is_called(calls: &str, tool: &str) -> bool {
    let mut calls = calls.lines().filter_map(|line| line.strip_prefix("$ "));
    calls.any(|call| call.split(' ').next() == Some(tool))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_called_by_its_whole_name() {
        let calls = "= kafka-topics list\n$ kafka-topics-more --list\n$ kafka-configs\n";
        assert!(!is_called(calls, "kafka-topics") && is_called(calls, "kafka-configs"));
    }

    #[test]
    fn results_of_tests_are_told_from_other_lines() {
        assert_eq!(result_of("test topics ... ok"), Some(("topics", true)));
        assert_eq!(result_of("test topics ... FAILED"), Some(("topics", false)));
        assert_eq!(result_of("test result: ok. 16 passed; 0 failed"), None);
        assert_eq!(result_of("test topics has been running for over 60 seconds"), None);
    }
}

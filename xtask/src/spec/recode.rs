//! Has Kafka's own generated classes read and write again what the tables write, and write it as
//! JSON too.
//!
//! The comparison of schemas says that the tables are right, this one that what is done with them
//! is: lengths, presence bytes, order, which tagged fields are written.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use ottla_protocol::json::Schema;
use ottla_protocol::wire::reflect::{MessageSchema, Seed};

use crate::gate::Outcome;

/// Fillings of each message in each of its versions.
const SEEDS: u64 = 8;

/// Runs the comparison with the classes unpacked in `folder`.
pub(super) fn run(tables: &[MessageSchema], folder: &Path) -> Result<Outcome> {
    let mut lines = String::new();
    for table in tables {
        let schema = Schema::from(table);
        for version in table.versions.clone() {
            for seed in 0..SEEDS {
                let bytes = (table.sample)(&mut Seed(seed), version);
                write!(lines, "{} {version} ", table.name)?;
                for byte in &bytes {
                    write!(lines, "{byte:02x}")?;
                }
                let json = match schema.json(&bytes, version) {
                    _ if is_api(table.name) => "-".to_owned(),
                    Ok((json, 0)) => json,
                    other => format!("{other:?}"),
                };
                writeln!(lines, " {json}")?;
            }
        }
    }
    let messages = folder.join("messages.txt");
    fs::write(&messages, lines)?;
    let program = folder.join("Recode.java");
    fs::write(&program, include_str!("Recode.java"))?;
    let mut java = Command::new("java");
    java.arg("-cp").arg(folder.join("jars")).arg(program).arg(messages).stdout(Stdio::piped());
    let Ok(child) = java.spawn() else {
        let not_run = vec!["spec: recoding needs java".to_owned()];
        return Ok(Outcome { not_run, ..Outcome::default() });
    };
    let output = String::from_utf8(child.wait_with_output()?.stdout)?;
    print!("{output}");
    let (passed, failed) = output.lines().last().and_then(counts).context("java did not finish")?;
    Ok(Outcome { passed, failed, not_run: Vec::new() })
}

/// Whether it is a request or a response. Their JSON is for logs, and leaves records out.
fn is_api(name: &str) -> bool {
    name.ends_with("Request") || name.ends_with("Response")
}

/// The numbers in `same 3 different 0`.
fn counts(line: &str) -> Option<(u64, u64)> {
    let (same, different) = line.strip_prefix("same ")?.split_once(" different ")?;
    Some((same.parse().ok()?, different.parse().ok()?))
}

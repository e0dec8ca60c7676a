//! Segments of the message formats before Kafka 0.11, as an independent encoder writes them, under
//! the broker and then under Apache Kafka in the same directory: clients find every record.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::broker::{Kind, Site};
use super::toolbox::Need;
use super::{Shop, dump_log, process};
use crate::gate::Outcome;

/// For one program; seconds are enough on an idle machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Who reads. aiokafka's decoder fails on a null value in these formats, also from Kafka.
const READERS: [&str; 3] = ["java", "kafka-python", "confluent"];

pub(crate) fn run(shop: &Shop) -> Result<Outcome> {
    if !shop.toolbox.has(Need::Java) || !shop.toolbox.has(Need::Python) {
        let missing = "interop old-formats: needs java and python3, of a run with those clients";
        return Ok(Outcome { not_run: vec![missing.to_owned()], ..Outcome::default() });
    }
    let site = Site::fresh(&shop.toolbox, "old-formats")?;
    let running = site.start(shop.kind)?;
    script(shop, &["create", site.bootstrap()])?;
    running.stop()?;
    script(shop, &["write", &site.data().display().to_string()])?;
    let expected = script(shop, &["expected"])?;
    let list = shop.toolbox.target.join("old-formats.txt");
    fs::write(&list, expected.join("\n"))?;

    let mut outcome = Outcome::default();
    let running = site.start(shop.kind)?;
    for reader in READERS {
        outcome.add(read(shop, &site, reader, &expected));
    }
    running.stop()?;
    outcome.add(dump_log::of_site(shop, &site)?);
    // Kafka finds them as before, and its own files beside them.
    let running = site.start(Kind::Kafka)?;
    outcome.add(read(shop, &site, "java", &expected));
    running.stop()?;
    Ok(outcome)
}

fn read(shop: &Shop, site: &Site, reader: &str, expected: &[String]) -> Outcome {
    let lines = match reader {
        "java" => {
            let mut java = shop.toolbox.java();
            java.arg("OldFormats").arg(site.bootstrap());
            java.arg(shop.toolbox.target.join("old-formats.txt"));
            process::output(java, &shop.toolbox.log("old-formats"), LIMIT)
        }
        reader => script(shop, &["read", reader, site.bootstrap()]),
    };
    let compared = lines.and_then(|lines| compare(&lines, expected));
    if let Err(error) = &compared {
        println!("FAIL old-formats, read by {reader}: {error:#}");
    }
    Outcome::of(compared.is_ok())
}

fn compare(lines: &[String], expected: &[String]) -> Result<()> {
    for (line, expected) in lines.iter().zip(expected) {
        if line != expected {
            bail!("found {line:?}, expected {expected:?}");
        }
    }
    ensure!(lines.len() == expected.len(), "{} lines of {}", lines.len(), expected.len());
    Ok(())
}

fn script(shop: &Shop, args: &[&str]) -> Result<Vec<String>> {
    let mut python = Command::new(shop.toolbox.target.join("venv/bin/python"));
    python.arg(shop.toolbox.sources.join("python/old_formats.py")).args(args);
    process::output(python, &shop.toolbox.log("old-formats"), LIMIT)
}

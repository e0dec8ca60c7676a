//! Apache Kafka goes on in the directory that the broker wrote, and the broker after it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Shop;
use super::broker::{Kind, Running, Site};
use super::clients::{self, Client};
use super::cross::{self, Text};
use super::process;
use super::toolbox::Need;
use crate::gate::Outcome;

const LIMIT: Duration = Duration::from_secs(120);

/// Topics whose records are compared in each direction; their ids are for all.
const TEXTS_MAX: usize = 5;

/// Starts the other broker in a stopped site, compares, and comes back.
pub(crate) fn run(shop: &Shop, site: &Site, texts: &[Text]) -> Result<Outcome> {
    if !shop.toolbox.has(Need::Java) {
        // Already counted as not run.
        return Ok(Outcome::default());
    }
    let java = clients::named("java").context("the Java client is in the table")?;
    let mut outcome = Outcome::default();
    let running = site.start(shop.kind)?;
    let ids = topic_ids(shop, site, java, texts)?;
    running.stop()?;
    for (kind, round) in [(Kind::Kafka, 1), (shop.kind, 2)] {
        let running = site.start(kind).with_context(|| format!("{kind:?} in round {round}"))?;
        let result = check(shop, site, java, texts, &ids, round);
        if let Err(error) = &result {
            println!("FAIL handover to {kind:?}: {error:#}");
        }
        outcome.add(Outcome::of(result.is_ok()));
        stop(kind, running, &mut outcome);
    }
    Ok(outcome)
}

fn stop(kind: Kind, running: Running, outcome: &mut Outcome) {
    let result = running.stop();
    if let Err(error) = &result {
        println!("FAIL handover: {kind:?} does not stop: {error:#}");
    }
    outcome.add(Outcome::of(result.is_ok()));
}

fn check(
    shop: &Shop,
    site: &Site,
    java: &Client,
    texts: &[Text],
    ids: &[String],
    round: usize,
) -> Result<()> {
    let now = topic_ids(shop, site, java, texts)?;
    ensure!(now == ids, "topic ids were {ids:?}, are {now:?}");
    for text in texts.iter().take(TEXTS_MAX) {
        cross::receive(shop, site, java, text)?;
    }
    // Both rounds write too: into an old topic, and into a new one.
    let mut command = java.command(&shop.toolbox, site.bootstrap());
    command.args(["cases", &format!("handover-{round}"), "codec-lz4", "idempotent", "seek-time"]);
    let lines = process::output(command, &shop.toolbox.log("handover"), LIMIT)?;
    let failed: Vec<&String> = lines.iter().filter(|line| line.starts_with("FAIL")).collect();
    ensure!(failed.is_empty() && lines.len() == 3, "after the handover: {lines:?}");
    Ok(())
}

fn topic_ids(shop: &Shop, site: &Site, java: &Client, texts: &[Text]) -> Result<Vec<String>> {
    let mut command = java.command(&shop.toolbox, site.bootstrap());
    command.arg("topic-ids").args(texts.iter().map(|text| &text.topic));
    let lines = process::output(command, &shop.toolbox.log("topic-ids"), LIMIT)?;
    ensure!(lines.len() == texts.len(), "topic ids: {lines:?}");
    Ok(lines)
}

//! Apache Kafka goes on in the directory that the broker wrote, and the broker after it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Shop;
use super::broker::{Kind, Site};
use super::clients::{self, Client};
use super::cross::{self, Text};
use super::process;
use super::toolbox::Need;
use crate::gate::Outcome;

/// For one program; seconds are enough on an idle machine.
const LIMIT: Duration = Duration::from_secs(300);

/// Topics whose records are compared in each direction; their ids are for all.
const TEXTS_MAX: usize = 5;

/// Kafka goes on in the stopped site of the broker that is tested, which then comes back; and the
/// other way round in a directory that Kafka formatted.
pub(crate) fn run(shop: &Shop, site: &Site, texts: &[Text]) -> Result<Outcome> {
    if !shop.toolbox.has(Need::Java) {
        // Already counted as not run.
        return Ok(Outcome::default());
    }
    let java = clients::named("java").context("the Java client is in the table")?;
    let running = site.start(shop.kind)?;
    let ids = topic_ids(shop, site, java, texts)?;
    running.stop()?;
    let mut outcome = Outcome::default();
    let mut rounds = |site: &Site, texts: &[Text], ids: &[String], kinds: [Kind; 2]| {
        for (n, kind) in kinds.into_iter().enumerate() {
            let result = round(shop, site, java, texts, ids, (n, kind));
            if let Err(error) = &result {
                println!("FAIL handover of {} to {kind:?}: {error:#}", site.name());
            }
            outcome.add(Outcome::of(result.is_ok()));
        }
    };
    rounds(site, texts, &ids, [Kind::Kafka, shop.kind]);
    let adopted = Site::fresh(&shop.toolbox, "adopted")?;
    let (texts, ids) = begin_with_kafka(shop, &adopted, java)?;
    rounds(&adopted, &texts, &ids, [shop.kind, Kind::Kafka]);
    Ok(outcome)
}

/// Lets Kafka format a directory and fill some topics.
fn begin_with_kafka(shop: &Shop, site: &Site, java: &Client) -> Result<(Vec<Text>, Vec<String>)> {
    let running = site.start(Kind::Kafka)?;
    let mut texts = Vec::new();
    for codec in ["none", "zstd"] {
        let outcome = cross::small(shop, site, codec, java.name, &mut texts)?;
        ensure!(outcome.failed == 0, "Kafka took no text");
    }
    let ids = topic_ids(shop, site, java, &texts)?;
    running.stop()?;
    Ok((texts, ids))
}

/// One broker's turn in the directory, from its start to its clean stop.
fn round(
    shop: &Shop,
    site: &Site,
    java: &Client,
    texts: &[Text],
    ids: &[String],
    (n, kind): (usize, Kind),
) -> Result<()> {
    let running = site.start(kind)?;
    check(shop, site, java, texts, ids, n)?;
    running.stop()
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
    // Every round writes too.
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

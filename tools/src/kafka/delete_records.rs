//! `kafka-delete-records`.

use std::collections::HashSet;
use std::fs;

use ottla_client::{DeleteBefore, TopicPartition};
use serde_json::Value;

use super::options::{Known, Options, Takes};
use super::{Failed, java, out};

const KNOWN: &Known = &[
    ("bootstrap-server", Takes::Value),
    ("command-config", Takes::Value),
    ("help", Takes::Nothing),
    ("offset-json-file", Takes::Value),
    ("version", Takes::Nothing),
];

/// Runs the tool.
pub(super) fn run(args: &[String]) -> Result<(), Failed> {
    let Some(options) = Options::parse(KNOWN, args)? else { return Ok(()) };
    let file = options.required("offset-json-file")?;
    let text = fs::read(file).map_err(|_| Failed::Err(format!("Unable to read file {file}")))?;
    let ends = ends(&text)?;
    let admin = options.admin()?;
    out("Executing records delete operation\n")?;
    // In the order of the file; the tool prints another one in each run.
    let results = admin.delete_records(&ends)?;
    out("Records delete operation completed:\n")?;
    for (at, deleted) in results {
        out(&match deleted {
            Ok(low) => format!("partition: {at}\tlow_watermark: {low}\n"),
            Err(error) => format!("partition: {at}\terror: {}\n", java::exception(&error)),
        })?;
    }
    Ok(())
}

/// What the file says: `{"partitions":[{"topic":"t","partition":0,"offset":1}],"version":1}`.
fn ends(text: &[u8]) -> Result<Vec<(TopicPartition, DeleteBefore)>, Failed> {
    let failed = |why: &str| Failed::Err(why.to_owned());
    let json: Value =
        serde_json::from_slice(text).map_err(|_| failed("The input string is not a valid JSON"))?;
    if json.get("version").is_some_and(|version| *version != 1) {
        return Err(Failed::Err(format!("Not supported version field value {}", json["version"])));
    }
    let partitions = json.get("partitions").and_then(Value::as_array);
    let partitions = partitions.ok_or_else(|| failed("Missing partitions field"))?;
    let mut ends: Vec<(TopicPartition, DeleteBefore)> = Vec::new();
    let mut known: HashSet<TopicPartition> = HashSet::new();
    for of in partitions {
        let number = |name: &str| of.get(name).and_then(Value::as_i64);
        let topic = of.get("topic").and_then(Value::as_str);
        let partition = number("partition").and_then(|number| i32::try_from(number).ok());
        let (Some(topic), Some(partition), Some(offset)) = (topic, partition, number("offset"))
        else {
            return Err(failed("a partition without topic, partition or offset"));
        };
        let before = match offset {
            -1 => DeleteBefore::HighWatermark,
            offset => DeleteBefore::Offset(offset),
        };
        let at = TopicPartition::new(topic, partition);
        if !known.insert(at.clone()) {
            return Err(Failed::Err(format!(
                "Offset json file contains duplicate topic partitions: {at}"
            )));
        }
        ends.push((at, before));
    }
    Ok(ends)
}

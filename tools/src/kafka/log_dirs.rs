//! `kafka-log-dirs`.

use std::collections::BTreeSet;

use ottla_client::{LogDirDescription, ReplicaInfo};
use serde_json::Value;

use super::options::{Known, Options, Takes, missing};
use super::{Failed, java, out};

const KNOWN: &Known = &[
    ("bootstrap-server", Takes::Value),
    ("broker-list", Takes::Value),
    ("command-config", Takes::Value),
    ("describe", Takes::Nothing),
    ("help", Takes::Nothing),
    ("topic-list", Takes::Value),
    ("version", Takes::Nothing),
];

/// Runs the tool.
pub(super) fn run(args: &[String]) -> Result<(), Failed> {
    let Some(options) = Options::parse(KNOWN, args)? else { return Ok(()) };
    if !options.has("describe") {
        return Err(missing("describe"));
    }
    let list = |name| {
        let parts = options.get(name).unwrap_or_default().split(',');
        parts.filter(|part| !part.is_empty()).collect::<BTreeSet<&str>>()
    };
    let topics = list("topic-list");
    let ids = list("broker-list")
        .into_iter()
        .map(|id| id.parse().map_err(|_| Failed::Err(format!("For input string: \"{id}\""))));
    let ids: BTreeSet<i32> = ids.collect::<Result<_, _>>()?;
    let mut ids: Vec<i32> = ids.into_iter().collect();
    let admin = options.admin()?;
    let known: Vec<i32> =
        admin.describe_cluster()?.brokers.iter().map(|broker| broker.id).collect();
    let words = |ids: &[i32]| ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
    if ids.is_empty() {
        ids.clone_from(&known);
    }
    let missing: Vec<i32> = ids.iter().copied().filter(|id| !known.contains(id)).collect();
    if !missing.is_empty() {
        return Err(Failed::Err(format!(
            "ERROR: The given brokers do not exist from --broker-list: {}. Current existent \
             brokers: {}",
            words(&missing),
            words(&known)
        )));
    }
    out("Querying brokers for log directories information\n")?;
    let mut brokers = Vec::new();
    for (id, dirs) in admin.describe_log_dirs(&ids)? {
        let dirs = dirs.map_err(|error| Failed::Err(java::exception(&error)))?;
        let dirs: Vec<String> = dirs.iter().map(|dir| of_dir(dir, &topics)).collect();
        brokers.push(format!("{{\"broker\":{id},\"logDirs\":[{}]}}", dirs.join(",")));
    }
    let ids = words(&ids);
    out(&format!("Received log directory information from brokers {ids}\n"))?;
    out(&format!("{{\"brokers\":[{}],\"version\":1}}\n", brokers.join(",")))
}

fn of_dir(dir: &LogDirDescription, topics: &BTreeSet<&str>) -> String {
    let hash = |replica: &&ReplicaInfo| java::hash_of_partition(&replica.partition);
    let mut replicas: Vec<&ReplicaInfo> = dir.replicas.iter().collect();
    java::map_order(&mut replicas, hash);
    // The tool makes a map of all and then one of those that are asked for.
    replicas.retain(|replica| topics.is_empty() || topics.contains(&*replica.partition.topic));
    java::map_order(&mut replicas, hash);
    let of_replica = |replica: &&ReplicaInfo| {
        format!(
            "{{\"partition\":\"{}\",\"size\":{},\"offsetLag\":{},\"isFuture\":{}}}",
            replica.partition, replica.size_bytes, replica.offset_lag, replica.is_future
        )
    };
    let replicas: Vec<String> = replicas.iter().map(of_replica).collect();
    let error = dir.error.as_ref().map(java::exception);
    format!(
        "{{\"partitions\":[{}],\"error\":{},\"logDir\":{}}}",
        replicas.join(","),
        Value::from(error),
        Value::from(dir.path.as_str())
    )
}

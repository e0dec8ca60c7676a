//! What must hold before the broker starts: each value valid, and all of them together.

use super::accept::Acceptable;
use super::error::Problem;
use super::statics::{Origin, Setting, StaticConfig};
use super::value::Value;
use super::{dynamic_config, keys, providers};

/// What `ottla` is when the file does not say.
pub(super) const NODE_ID: i64 = 1;

/// Each value by itself. Problems come in the order of the file's lines.
pub(super) fn values(config: &StaticConfig) -> Vec<Problem> {
    let providers = providers::named(config);
    let wrong = |(key, setting): (&str, &Setting)| {
        let line = if let Origin::File { line, .. } = setting.origin { line } else { 0 };
        let problem = match providers::problem(&providers, key, setting) {
            Some(problem) => problem,
            None => config.value(keys::find(key)?).err()?,
        };
        Some((line, problem))
    };
    let mut problems: Vec<(usize, Problem)> = config.iter().filter_map(wrong).collect();
    problems.sort_by_key(|(line, _)| *line);
    problems.into_iter().map(|(_, problem)| problem).collect()
}

/// The values together, and those that ask for what Ottla cannot do and must not ignore. What is
/// wrong with a value by itself may be told again.
pub(super) fn together(config: &StaticConfig) -> Vec<Problem> {
    let checks = [
        node_id(config).map(drop),
        role(config),
        voters(config),
        authorizer(config),
        tiered_storage(config),
        compaction_lags(config),
        cordoned(config),
        request_bytes(config),
        connections_per_ip(config),
    ];
    let checks = checks.into_iter().chain(spans(config)).chain(bounds(config));
    checks.chain(buffers(config)).filter_map(Result::err).collect()
}

fn integer(config: &StaticConfig, key: &str) -> Result<Option<i64>, Problem> {
    match config.known(key)? {
        Some(Value::Integer(n)) => Ok(Some(n)),
        _ => Ok(None),
    }
}

/// `node.id`, else `broker.id`, else 1.
pub(super) fn node_id(config: &StaticConfig) -> Result<i32, Problem> {
    let node = integer(config, "node.id")?;
    let broker = integer(config, "broker.id")?.filter(|id| *id != -1);
    match (node, broker) {
        (Some(node), Some(broker)) if node != broker => {
            let mut problem = config.problem("broker.id", format!("differs from node.id={node}"));
            "remove broker.id, its older name".clone_into(&mut problem.next);
            Err(problem)
        }
        (None, Some(id)) if id < 0 => Err(config.problem("broker.id", "must be at least 0")),
        (node, broker) => {
            let id = node.or(broker).unwrap_or(NODE_ID);
            Ok(i32::try_from(id).expect("both keys are of type INT"))
        }
    }
}

/// Two brokers that both believe to be the cluster would part its data: so a file of a node that
/// belongs to controllers elsewhere is not started as a cluster of its own.
fn role(config: &StaticConfig) -> Result<(), Problem> {
    if let Some(Value::List(roles)) = config.known("process.roles")?
        && roles.len() < 2
    {
        let mut problem = config.problem(
            "process.roles",
            "asks for one role; Ottla runs as broker and controller in one process",
        );
        "broker,controller".clone_into(&mut problem.valid);
        "set both roles if this node is a cluster by itself; joining others is not built yet"
            .clone_into(&mut problem.next);
        return Err(problem);
    }
    Ok(())
}

/// See [`role`].
fn voters(config: &StaticConfig) -> Result<(), Problem> {
    let id = node_id(config)?;
    if let Some(Value::List(voters)) = config.known("controller.quorum.voters")?
        && !voters.is_empty()
    {
        let own = voters.iter().filter_map(|voter| voter.split('@').next()?.parse().ok());
        if own.collect::<Vec<i32>>() != [id] {
            let wrong = format!("is not this node alone, whose node.id is {id}");
            let mut problem = config.problem("controller.quorum.voters", wrong);
            problem.valid = format!("{id}@HOST:PORT");
            "name this node only if it is a cluster by itself; joining others is not built yet"
                .clone_into(&mut problem.next);
            return Err(problem);
        }
    }
    Ok(())
}

/// Settings that keep people out are not passed over, unless somebody says so.
fn authorizer(config: &StaticConfig) -> Result<(), Problem> {
    if let Some(Value::Text(class)) = config.known("authorizer.class.name")?
        && !class.is_empty()
        && !config.accepts(Acceptable::Acls)
    {
        let mut problem =
            config.problem("authorizer.class.name", "asks for ACLs, which are not built yet");
        "empty: every client may do everything".clone_into(&mut problem.valid);
        "remove the line, or start with --accept acls, if that is acceptable on this network; \
         the ACLs are kept for Kafka"
            .clone_into(&mut problem.next);
        return Err(problem);
    }
    Ok(())
}

/// What was moved to remote storage is not passed over either.
fn tiered_storage(config: &StaticConfig) -> Result<(), Problem> {
    if config.known("remote.log.storage.system.enable")? == Some(Value::Bool(true))
        && !config.accepts(Acceptable::TieredStorage)
    {
        let mut problem = config.problem(
            "remote.log.storage.system.enable",
            "asks for tiered storage, which is not built yet",
        );
        "false".clone_into(&mut problem.valid);
        "remove the line, or start with --accept tiered-storage; what was moved to remote storage \
         cannot be read without it"
            .clone_into(&mut problem.next);
        return Err(problem);
    }
    Ok(())
}

/// Spans of time whose lower bound the type does not tell, since null defers to another key.
fn spans(config: &StaticConfig) -> Vec<Result<(), Problem>> {
    let at_least = |(key, low)| match integer(config, key)? {
        Some(n) if n < low => Err(config.problem(key, format!("must be at least {low}"))),
        _ => Ok(()),
    };
    let retention = |key| match integer(config, key)? {
        Some(n) if n < 1 && n != -1 => {
            let mut problem = config.problem(key, "must be at least 1, or -1 for ever");
            "a whole number from 1, or -1".clone_into(&mut problem.valid);
            Err(problem)
        }
        _ => Ok(()),
    };
    let rolls = [("log.roll.ms", 1), ("log.roll.jitter.ms", 0), ("log.flush.interval.ms", 0)];
    let kept = ["log.retention.ms", "log.retention.minutes", "log.retention.hours"];
    rolls.into_iter().map(at_least).chain(kept.into_iter().map(retention)).collect()
}

fn compaction_lags(config: &StaticConfig) -> Result<(), Problem> {
    let least = integer(config, "log.cleaner.min.compaction.lag.ms")?.unwrap_or(0);
    if integer(config, "log.cleaner.max.compaction.lag.ms")?.is_some_and(|most| most < least) {
        let wrong = format!("is less than log.cleaner.min.compaction.lag.ms={least}");
        return Err(config.problem("log.cleaner.max.compaction.lag.ms", wrong));
    }
    Ok(())
}

/// Each default of a group's setting lies between its bounds.
fn bounds(config: &StaticConfig) -> Vec<Result<(), Problem>> {
    let in_order =
        |(less, more): (String, String)| match (integer(config, &less)?, integer(config, &more)?) {
            (Some(low), Some(high)) if high < low => {
                Err(config.problem(&more, format!("is less than {less}={low}")))
            }
            _ => Ok(()),
        };
    ordered_keys().into_iter().map(in_order).collect()
}

/// What is to get no new partitions is a log directory, or all are.
fn cordoned(config: &StaticConfig) -> Result<(), Problem> {
    let key = "cordoned.log.dirs";
    let list = |key| match config.known(key) {
        Ok(Some(Value::List(list))) => Ok(Some(list)),
        other => other.map(|_| None),
    };
    let cordoned = list(key)?.unwrap_or_default();
    if cordoned.iter().any(|dir| dir == "*") {
        let is_alone = cordoned.len() == 1;
        return if is_alone { Ok(()) } else { Err(config.problem(key, "has more than the *")) };
    }
    let dirs = list("log.dirs")?.or(list("log.dir")?).unwrap_or_default();
    match cordoned.iter().find(|dir| !dirs.contains(dir)) {
        Some(dir) => {
            Err(config.problem(key, format!("names {dir}, which is none of the log directories")))
        }
        None => Ok(()),
    }
}

/// Pairs of broker keys of which the second's value is never less than the first's.
pub(super) fn ordered_keys() -> Vec<(String, String)> {
    let mut ordered = vec![(
        "group.min.session.timeout.ms".to_owned(),
        "group.max.session.timeout.ms".to_owned(),
    )];
    for kind in ["consumer", "share", "streams"] {
        for name in ["session.timeout.ms", "heartbeat.interval.ms", "assignment.interval.ms"] {
            let key = format!("group.{kind}.{name}");
            ordered.push((format!("group.{kind}.min.{name}"), key.clone()));
            ordered.push((key, format!("group.{kind}.max.{name}")));
        }
    }
    for name in ["delivery.count.limit", "record.lock.duration.ms", "partition.max.record.locks"] {
        let key = format!("group.share.{name}");
        ordered.push((format!("group.share.min.{name}"), key.clone()));
        ordered.push((key, format!("group.share.max.{name}")));
    }
    ordered
}

fn buffers(config: &StaticConfig) -> Vec<Result<(), Problem>> {
    let sized = |key| match integer(config, key)? {
        Some(n) if n < 1 && n != -1 => {
            let mut problem = config.problem(key, "must be at least 1, or -1");
            "a whole number from 1, or -1 for the system's default".clone_into(&mut problem.valid);
            Err(problem)
        }
        _ => Ok(()),
    };
    ["socket.send.buffer.bytes", "socket.receive.buffer.bytes"].into_iter().map(sized).collect()
}

fn request_bytes(config: &StaticConfig) -> Result<(), Problem> {
    let request = integer(config, "socket.request.max.bytes")?.unwrap_or(0);
    if integer(config, "queued.max.request.bytes")?.is_some_and(|n| 0 < n && n < request) {
        let wrong = format!("is less than one request, socket.request.max.bytes={request}");
        return Err(config.problem("queued.max.request.bytes", wrong));
    }
    Ok(())
}

fn connections_per_ip(config: &StaticConfig) -> Result<(), Problem> {
    let overrides = per_ip_overrides(config)?;
    if integer(config, "max.connections.per.ip")? == Some(0) && overrides.is_empty() {
        let wrong = "lets nobody in: no max.connections.per.ip.overrides is set";
        return Err(config.problem("max.connections.per.ip", wrong));
    }
    Ok(())
}

/// `max.connections.per.ip.overrides`, whose form is `host:count,host:count`.
fn per_ip_overrides(config: &StaticConfig) -> Result<Vec<(String, usize)>, Problem> {
    const KEY: &str = "max.connections.per.ip.overrides";
    let Some(Value::Text(text)) = config.known(KEY)? else { return Ok(Vec::new()) };
    dynamic_config::per_ip_overrides(&text).map_err(|entry| {
        let mut problem = config.problem(KEY, format!("holds {entry:?}, which is no host:count"));
        "127.0.0.1:100,client.example.org:20".clone_into(&mut problem.valid);
        problem
    })
}

//! A `server.properties`: names that there are not, values that are not valid, values that hurt.

use std::collections::HashMap;

use super::super::facts::{Facts, SettingsFile};
use super::super::finding::{Finding, Findings};
use super::super::names::{self, Known};

pub(super) fn judge(facts: &Facts, all: &mut Vec<Finding>) {
    let Some(settings) = &facts.settings else { return };
    let mut findings = Findings::of("settings", all);
    let known = names::all();
    let known: HashMap<&str, Known> = known.into_iter().map(|known| (known.name, known)).collect();
    names_and_values(settings, &known, &mut findings);
    listeners(settings, &mut findings);
    durability(settings, &mut findings);
    sizes(settings, &mut findings);
    threads(facts, settings, &mut findings);
    let count = settings.properties.len();
    findings.good(format!("{}: {count} settings read", settings.path.display()));
}

/// A setting of one listener: what is behind its name.
fn of_listener(name: &str) -> Option<&str> {
    let (_, setting) = name.strip_prefix("listener.name.")?.split_once('.')?;
    Some(setting)
}

fn names_and_values(
    settings: &SettingsFile,
    known: &HashMap<&str, Known>,
    findings: &mut Findings<'_>,
) {
    let path = settings.path.display();
    let mut lines: HashMap<&str, usize> = HashMap::new();
    let (mut idle, mut missing) = (Vec::new(), Vec::new());
    for property in &settings.properties {
        let (name, line, value) = (&*property.key, property.line, property.value.trim());
        if let Some(before) = lines.insert(name, line) {
            findings.warning(
                format!("{path}: {name} is set in lines {before} and {line}; the last one counts"),
                "delete one of them",
            );
        }
        let base = of_listener(name).unwrap_or(name);
        let Some(known) = known.get(base) else {
            unknown(&format!("{path}, line {line}"), name, base, known, findings);
            continue;
        };
        if let Some(wrong) = known.wrong(value) {
            let what = format!("{path}, line {line}: {name}={value}: {wrong}");
            findings.error(what, "correct it; a broker does not start with it");
        }
        match known.effect {
            "not yet" => missing.push(name),
            "no effect" => idle.push(name),
            _ => {}
        }
    }
    if !missing.is_empty() {
        findings.warning(
            format!("set, but Ottla does not do it yet: {}", missing.join(", ")),
            "docs/CONFIG.md says what each is about; Kafka obeys them",
        );
    }
    if !idle.is_empty() {
        let what = format!("set, and without effect in Ottla: {}", idle.join(", "));
        findings.note(what, "they may stay");
    }
}

fn unknown(
    place: &str,
    name: &str,
    base: &str,
    known: &HashMap<&str, Known>,
    findings: &mut Findings<'_>,
) {
    if base.starts_with("zookeeper.") {
        let remedy = "delete it; a data directory of that time is taken over by way of Kafka 3.9";
        findings.warning(format!("{place}: {name}: there is no ZooKeeper since Kafka 4"), remedy);
        return;
    }
    let mut names: Vec<&str> = known.keys().copied().collect();
    names.sort_unstable();
    let guess = ottla_properties::nearest(base, names.into_iter());
    let remedy = match guess {
        Some(guess) => format!("did you mean {guess}?"),
        None => "delete it, unless a plug-in of Kafka's reads it".to_owned(),
    };
    findings.warning(format!("{place}: {name} is no setting of a broker"), &remedy);
}

fn listeners(settings: &SettingsFile, findings: &mut Findings<'_>) {
    let advertised = settings.get("advertised.listeners");
    let is_any = |listener: &str| {
        let address = listener.split_once("://").map_or(listener, |(_, address)| address);
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        matches!(host, "" | "0.0.0.0" | "[::]" | "::")
    };
    if let Some(listener) =
        advertised.and_then(|all| all.split(',').map(str::trim).find(|one| is_any(one)))
    {
        findings.error(
            format!("advertised.listeners has {listener}: clients are told an address of nobody"),
            "name the host that clients reach the broker by",
        );
    }
    let listeners = settings.get("listeners");
    if advertised.is_none() && listeners.is_some_and(|all| all.split(',').any(is_any)) {
        findings.note(
            "listeners has no host, and advertised.listeners is not set: clients are told the \
             machine's own name"
                .to_owned(),
            "set advertised.listeners if clients do not know that name",
        );
    }
}

fn durability(settings: &SettingsFile, findings: &mut Findings<'_>) {
    let dirs = settings.get("log.dirs").or(settings.get("log.dir"));
    match dirs {
        None => findings.warning(
            "log.dirs is not set: logs go to /tmp/kafka-logs, which systems clean".to_owned(),
            "set it to a directory on a disk for this alone",
        ),
        Some(dirs) => {
            for dir in dirs.split(',').map(str::trim) {
                if ["/tmp", "/var/tmp", "/dev/shm"].iter().any(|temp| is_under(dir, temp)) {
                    findings.error(
                        format!("log.dirs has {dir}, and systems clean such directories"),
                        "name a directory on a disk for this alone",
                    );
                }
            }
        }
    }
    let is =
        |name, value| settings.get(name).is_some_and(|text: &str| text.eq_ignore_ascii_case(value));
    if is("unclean.leader.election.enable", "true") {
        findings.warning(
            "unclean.leader.election.enable=true: acknowledged records may be lost".to_owned(),
            "set it to false, unless being there matters more than being right",
        );
    }
    if is("log.cleaner.enable", "false") {
        findings.warning(
            "log.cleaner.enable=false: compacted topics grow for ever, __consumer_offsets too"
                .to_owned(),
            "delete the line",
        );
    }
    let factor = settings.number("default.replication.factor").unwrap_or(1);
    if let Some(min) = settings.number("min.insync.replicas").filter(|min| *min > factor) {
        findings.error(
            format!(
                "min.insync.replicas={min} is more than default.replication.factor={factor}: \
                 new topics cannot be written to with acks=all"
            ),
            "lower the first or raise the second",
        );
    }
    let is_every = |name| settings.number(name).is_some_and(|n| n == 1);
    if is_every("log.flush.interval.messages") {
        findings.note(
            "log.flush.interval.messages=1: each batch waits for the disk".to_owned(),
            "it is the safest on one node; docs/DURABILITY.md says what it costs",
        );
    }
}

fn is_under(dir: &str, parent: &str) -> bool {
    std::path::Path::new(dir).starts_with(parent)
}

fn sizes(settings: &SettingsFile, findings: &mut Findings<'_>) {
    let or = |name, default| settings.number(name).unwrap_or(default);
    let message = or("message.max.bytes", 1_048_588);
    let request = or("socket.request.max.bytes", 104_857_600);
    if message > request {
        findings.error(
            format!(
                "message.max.bytes={message} is more than socket.request.max.bytes={request}: \
                 such a batch ends its connection"
            ),
            "raise socket.request.max.bytes",
        );
    }
    let segment = or("log.segment.bytes", 1 << 30);
    if message > segment {
        findings.error(
            format!("message.max.bytes={message} is more than log.segment.bytes={segment}"),
            "raise log.segment.bytes",
        );
    }
    let kept = or("log.retention.bytes", -1);
    if 0 <= kept && kept < segment {
        findings.warning(
            format!(
                "log.retention.bytes={kept} is less than log.segment.bytes={segment}: only closed \
                 segments are deleted, so that more is kept"
            ),
            "lower log.segment.bytes to a fourth of log.retention.bytes, say",
        );
    }
    let for_ever = ["log.retention.ms", "log.retention.minutes", "log.retention.hours"];
    let for_ever = for_ever.iter().find_map(|name| settings.number(name)).is_some_and(|n| n < 0);
    if for_ever && kept < 0 {
        findings.warning(
            "neither time nor size deletes anything: logs grow until the disk is full".to_owned(),
            "set log.retention.bytes",
        );
    }
    let offsets = or("offsets.retention.minutes", 10_080);
    if offsets < 60 {
        findings.warning(
            format!("offsets.retention.minutes={offsets}: a group that pauses longer begins anew"),
            "set it to a day at least (1440)",
        );
    }
}

fn threads(facts: &Facts, settings: &SettingsFile, findings: &mut Findings<'_>) {
    if facts.processors == 0 {
        return;
    }
    let most = facts.processors.saturating_mul(8).max(16);
    for name in ["num.network.threads", "num.io.threads", "num.recovery.threads.per.data.dir"] {
        let count = settings.number(name).and_then(|n| usize::try_from(n).ok());
        if let Some(count) = count.filter(|count| *count > most) {
            let processors = facts.processors;
            findings.note(
                format!("{name}={count} on {processors} processors"),
                "more threads than processors only wait for each other; leave it to its default",
            );
        }
    }
}

//! The text of `ottla check`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use ottla_metadata::features::METADATA_VERSION;
use ottla_metadata::image::{ConfigResourceType, Image, KeptKey};

use super::check::Findings;
use super::groups::FoundGroups;
use super::peers;
use super::reason::Looked;
use super::survey::SurveyedDir;
use crate::config::{DataDirs, Effect, Notice, keys, notices, topic_keys};

/// Names in one line of the report; of the rest, the number.
const NAMES_MAX: usize = 20;

pub(super) fn report(findings: &Findings<'_>) -> String {
    let mut text = String::new();
    settings(&mut text, findings);
    if let Some(dirs) = &findings.dirs {
        cluster(&mut text, dirs, findings.looked.as_ref());
    }
    for dir in &findings.surveyed {
        directory(&mut text, dir);
    }
    groups(&mut text, &findings.groups);
    transactions(&mut text, &findings.surveyed);
    let notes = notes(findings);
    list(&mut text, "notes: told, and no reason to stay", &notes);
    let accepted = findings.statics.accepted().iter();
    let accepted: Vec<String> =
        accepted.map(|one| format!("{}: {}", one.name(), one.meaning())).collect();
    list(&mut text, "accepted", &accepted);
    let reasons: Vec<String> = findings.reasons.iter().map(ToString::to_string).collect();
    list(&mut text, "reasons not to start", &reasons);
    let verdict = match findings.reasons.len() {
        0 => "ready: ottla would start on this".to_owned(),
        1 => "not ready: 1 reason not to start".to_owned(),
        count => format!("not ready: {count} reasons not to start"),
    };
    text.push('\n');
    line(&mut text, "result", &format!("{verdict}; nothing was changed"));
    text
}

fn line(text: &mut String, head: &str, rest: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{head:<16}{rest}");
}

fn list(text: &mut String, title: &str, entries: &[String]) {
    if entries.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}");
    for entry in entries {
        let _ = writeln!(text, "- {entry}");
    }
}

fn names<'a>(all: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = all.collect();
    let shown = all.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(NAMES_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Every setting, by what it does. Nothing is left out here, however long the list.
fn settings(text: &mut String, findings: &Findings<'_>) {
    let acts = |key: &str| keys::find(key).is_some_and(|def| def.effect == Effect::Acts);
    let acting: Vec<&str> =
        findings.statics.iter().map(|(key, _)| key).filter(|key| acts(key)).collect();
    line(text, "settings", &format!("obeyed: {}", acting.join(", ")));
    for notice in notices(findings.statics) {
        line(text, "", &notice.to_string());
    }
}

fn cluster(text: &mut String, dirs: &DataDirs, looked: Option<&Looked>) {
    line(text, "node", &dirs.node_id.to_string());
    let Some(looked) = looked else { return };
    let Some((_, properties)) = looked.identities.first() else {
        line(text, "cluster", "none yet: a start would make a new one");
        return;
    };
    line(text, "cluster", &properties.cluster_id);
    let found = match (&looked.metadata, looked.is_metadata_there) {
        (Some(found), _) => found,
        (None, true) => return line(text, "metadata", "cannot be read, see the reasons below"),
        (None, false) => return line(text, "metadata", "no metadata log yet"),
    };
    let image = found.replay.image();
    line(text, "metadata", &found.dir.display().to_string());
    let snapshot = found.snapshot.map_or("none".to_owned(), |id| id.to_string());
    let at = format!(
        "offset {}, epoch {}, snapshot {snapshot}",
        found.replay.offset(),
        found.replay.progress().epoch
    );
    line(text, "", &at);
    if let Some(stopped) = &found.stopped {
        let what = if found.damage.is_some() { "damaged" } else { "torn, a start cuts it off" };
        line(text, "", &format!("{what}: {stopped}"));
    }
    let level = |(name, level): (&std::sync::Arc<str>, &i16)| format!("{name} {level}");
    let mut levels = vec![format!("{METADATA_VERSION} {}", image.metadata_version())];
    levels.extend(
        image.features().iter().filter(|(name, _)| &***name != METADATA_VERSION).map(level),
    );
    levels.push(format!("kraft.version {}", looked.quorum.kraft_version));
    line(text, "features", &levels.join(", "));
    let partitions: usize =
        image.topics().iter().map(|topic| topic.partitions.iter().count()).sum();
    line(text, "topics", &format!("{}, {partitions} partitions", image.topics().iter().count()));
    line(text, "kept", &kept(image));
}

/// What is carried along without being acted on.
fn kept(image: &Image) -> String {
    let acls = image.kept().count(|key| matches!(key, KeptKey::AccessControlEntry(_)));
    let tokens = image.kept().count(|key| matches!(key, KeptKey::DelegationToken(_)));
    let credentials: usize = image.scram_credentials().iter().map(|(_, of)| of.len()).sum();
    let quotas = image.client_quotas().iter().count();
    format!(
        "{acls} ACLs, {tokens} delegation tokens, {credentials} SCRAM credentials, \
         quotas of {quotas} clients"
    )
}

fn directory(text: &mut String, dir: &SurveyedDir) {
    line(text, "data", &dir.path.display().to_string());
    if let Some(problem) = &dir.problem {
        line(text, "", &format!("cannot be read: {problem}"));
        return;
    }
    let left = match dir.leftovers {
        0 => String::new(),
        count => format!(", {count} directories deleted, moved or set aside"),
    };
    let found = format!(
        "{} partitions, {} offsets, {} bytes of records{left}",
        dir.partitions.len(),
        dir.offsets,
        dir.bytes
    );
    line(text, "", &found);
    for damaged in &dir.damaged {
        line(text, "", &format!("cannot be surveyed: {damaged}"));
    }
}

/// How many groups there are of each type.
fn groups(text: &mut String, groups: &FoundGroups) {
    if groups.counts.is_empty() && groups.unreadable.is_empty() {
        return;
    }
    let counts: Vec<String> =
        groups.counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    line(text, "groups", &counts.join(", "));
    for unreadable in &groups.unreadable {
        line(text, "", &format!("cannot be read: {unreadable}"));
    }
}

fn transactions(text: &mut String, dirs: &[SurveyedDir]) {
    let open: Vec<String> = dirs
        .iter()
        .flat_map(|dir| &dir.open)
        .map(|open| {
            format!(
                "{}: producer id {}, first offset {}",
                open.topic_partition, open.producer_id, open.first_offset
            )
        })
        .collect();
    list(text, "open transactions: read_committed stops there until Kafka ends them", &open);
}

fn notes(findings: &Findings<'_>) -> Vec<String> {
    let mut notes = offline(findings);
    notes.extend(unserved(&findings.groups));
    notes.extend(strays(findings));
    let found = findings.looked.as_ref().and_then(|looked| looked.metadata.as_ref());
    let Some(found) = found else { return notes };
    if let Some((path, error)) = &found.passed_over {
        notes.push(format!(
            "{} is damaged, and passed over by a start, which reads what is older: {error}",
            path.display()
        ));
    }
    let image = found.replay.image();
    let has_topic = |name: &str| image.topics().by_name(name).is_some();
    let has_acls = image.kept().count(|key| matches!(key, KeptKey::AccessControlEntry(_))) > 0;
    if has_acls && findings.statics.get("authorizer.class.name").is_none() {
        notes.push("ACLs are kept; without an authorizer they are not in force".to_owned());
    }
    if has_topic("__transaction_state") {
        notes.push(
            "transactional producers are not served yet: their requests get errors; \
             __transaction_state is kept for Kafka"
                .to_owned(),
        );
    }
    if has_topic("__share_group_state") {
        notes.push("__share_group_state is kept for Kafka, and not touched".to_owned());
    }
    if image.configs().iter().any(|(kind, ..)| kind == ConfigResourceType::ClientMetrics.code()) {
        notes.push("subscriptions of client metrics are kept, and not served yet".to_owned());
    }
    if image.client_quotas().iter().next().is_some() {
        notes.push("client quotas are kept and told, and not enforced yet".to_owned());
    }
    if let Some(note) = not_acted_on(image) {
        notes.push(note);
    }
    notes.extend(findings.dirs.as_ref().and_then(|dirs| peers::note(image, dirs.node_id)));
    // A log that is not read to its end does not know all topics.
    if found.damage.is_none() {
        notes.extend(missing(findings, image));
    }
    notes
}

/// Groups of types that only Kafka serves.
fn unserved(groups: &FoundGroups) -> Vec<String> {
    let note = |group_type: &str| {
        let of_type = groups.unserved.iter().filter(|(_, other)| other == group_type);
        let ids: Vec<&str> = of_type.map(|(group_id, _)| group_id.as_str()).collect();
        (!ids.is_empty()).then(|| {
            let names = names(ids.into_iter());
            format!("{group_type} groups are kept, not served: their members get errors: {names}")
        })
    };
    ["share", "streams"].into_iter().filter_map(note).collect()
}

/// Directories that a start goes on without.
fn offline(findings: &Findings<'_>) -> Vec<String> {
    let Some(dirs) = &findings.dirs else { return Vec::new() };
    let broken = findings.surveyed.iter().filter(|dir| dir.path != dirs.metadata_log_dir);
    let broken = broken.filter_map(|dir| Some((dir, dir.problem.as_ref()?)));
    let told = broken.map(|(dir, problem)| {
        format!(
            "{} cannot be used: {problem}; as under Kafka, a start goes on with the other \
             directories, and the partitions in it are offline until it is back",
            dir.path.display()
        )
    });
    told.collect()
}

/// Settings in the metadata log that do nothing yet.
fn not_acted_on(image: &Image) -> Option<String> {
    let mut idle = BTreeSet::new();
    for (kind, _, entries) in image.configs().iter() {
        let effect = |key: &str| {
            if kind == ConfigResourceType::Topic.code() {
                topic_keys::find(key).map(|key| key.def.effect)
            } else if kind == ConfigResourceType::Broker.code() {
                keys::find(key).map(|def| def.effect)
            } else {
                None
            }
        };
        idle.extend(entries.keys().filter(|key| effect(key) == Some(Effect::NotYet)));
    }
    let idle_names = names(idle.iter().map(|key| &***key));
    (!idle.is_empty())
        .then(|| Notice::NotYet(vec![idle_names]).to_string() + ", set in the metadata log")
}

/// Partitions that a start sets aside.
fn strays(findings: &Findings<'_>) -> Option<String> {
    let strays = findings.strays.iter().map(|stray| stray.topic_partition.to_string());
    let strays: Vec<String> = strays.collect();
    (!strays.is_empty()).then(|| {
        let strays = names(strays.iter().map(String::as_str));
        format!("not in the metadata log, and renamed to *-stray by a start, as by Kafka: {strays}")
    })
}

/// Partitions of this node that are not where the metadata log has them.
fn missing(findings: &Findings<'_>, image: &Image) -> Option<String> {
    let node_id = findings.dirs.as_ref()?.node_id;
    let here: BTreeSet<(&str, i32)> = findings
        .surveyed
        .iter()
        .flat_map(|dir| &dir.partitions)
        .map(|found| (&*found.topic, found.partition))
        .collect();
    let mut missing = Vec::new();
    for topic in image.topics().iter() {
        let absent = topic.partitions.iter().filter(|(index, partition)| {
            partition.replicas.contains(&node_id) && !here.contains(&(&*topic.name, **index))
        });
        missing.extend(absent.map(|(index, _)| format!("{}-{index}", topic.name)));
    }
    (!missing.is_empty()).then(|| {
        let missing = names(missing.iter().map(String::as_str));
        format!("in the metadata log and in none of these directories: {missing}")
    })
}

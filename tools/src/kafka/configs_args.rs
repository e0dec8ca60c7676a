//! What `kafka-configs` is asked for: of what, and which changes.

use std::path::Path;

use ottla_client::{ConfigResourceKind, Properties};

use super::Failed;
use super::options::{Known, Options, Takes};

pub(super) const KNOWN: &Known = &[
    ("add-config", Takes::Value),
    ("add-config-file", Takes::Value),
    ("all", Takes::Nothing),
    ("alter", Takes::Nothing),
    ("bootstrap-server", Takes::Value),
    ("broker", Takes::Value),
    ("broker-defaults", Takes::Nothing),
    ("broker-logger", Takes::Value),
    ("client", Takes::Value),
    ("client-defaults", Takes::Nothing),
    ("client-metrics", Takes::Value),
    ("command-config", Takes::Value),
    ("delete-config", Takes::Value),
    ("describe", Takes::Nothing),
    ("entity-default", Takes::Nothing),
    ("entity-name", Takes::Value),
    ("entity-type", Takes::Value),
    ("force", Takes::Nothing),
    ("group", Takes::Value),
    ("help", Takes::Nothing),
    ("ip", Takes::Value),
    ("ip-defaults", Takes::Nothing),
    ("topic", Takes::Value),
    ("user", Takes::Value),
    ("user-defaults", Takes::Nothing),
    ("version", Takes::Nothing),
];

/// What has settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entity {
    pub(super) kind: ConfigResourceKind,
    /// As `--entity-type` has it, without its `s`.
    pub(super) word: &'static str,
}

const ENTITIES: [(&str, Entity); 5] = [
    ("topics", Entity { kind: ConfigResourceKind::Topic, word: "topic" }),
    ("brokers", Entity { kind: ConfigResourceKind::Broker, word: "broker" }),
    ("broker-loggers", Entity { kind: ConfigResourceKind::BrokerLogger, word: "broker-logger" }),
    ("client-metrics", Entity { kind: ConfigResourceKind::ClientMetrics, word: "client-metric" }),
    ("groups", Entity { kind: ConfigResourceKind::Group, word: "group" }),
];
/// The options that name one of a type at once.
const SHORT: [(&str, &str); 5] = [
    ("topic", "topics"),
    ("broker", "brokers"),
    ("broker-logger", "broker-loggers"),
    ("client-metrics", "client-metrics"),
    ("group", "groups"),
];
/// The type, and the name: empty for the default of brokers, `None` for all that there are.
///
/// # Errors
/// There is none, or one that is not known.
pub(super) fn entity(options: &Options) -> Result<(Entity, Option<String>), Failed> {
    let of = |kind: &str| ENTITIES.iter().find(|(name, _)| *name == kind).map(|(_, of)| *of);
    if options.has("broker-defaults") {
        let (_, brokers) = ENTITIES[1];
        return Ok((brokers, Some(String::new())));
    }
    for (option, kind) in SHORT {
        if let Some((name, entity)) = options.get(option).zip(of(kind)) {
            return Ok((entity, Some(name.to_owned())));
        }
    }
    let kind = options
        .get("entity-type")
        .ok_or_else(|| Failed::Err("At least one entity type must be specified".to_owned()))?;
    let entity = of(kind).ok_or_else(|| {
        Failed::Err(format!(
            "Invalid entity type {kind}, the entity type must be one of topics, clients, users, \
             brokers, ips, client-metrics, groups, broker-loggers with a --bootstrap-server or \
             --bootstrap-controller argument"
        ))
    })?;
    let is_default = options.has("entity-default");
    let name = options.get("entity-name").map(str::to_owned);
    Ok((entity, name.or(is_default.then(String::new))))
}

/// A setting's name and new value; none deletes it.
pub(super) type Change = (String, Option<String>);

/// The changes that are asked for.
///
/// # Errors
/// There are none, or they are malformed; the file cannot be read.
pub(super) fn changes(options: &Options) -> Result<Vec<Change>, Failed> {
    let names = ["add-config", "add-config-file", "delete-config"];
    if options.given(&names).is_empty() {
        let why = "At least one of --add-config, --add-config-file, or --delete-config must be \
                   specified with --alter";
        return Err(Failed::Err(why.to_owned()));
    }
    let mut changes = Vec::new();
    if let Some(file) = options.get("add-config-file") {
        let properties = Properties::from_file(Path::new(file))?;
        let change = |(name, value): (&str, &str)| (name.to_owned(), Some(value.to_owned()));
        changes.extend(properties.iter().map(change));
    }
    for part in options.get("add-config").map(split).unwrap_or_default() {
        let (name, value) = part.split_once('=').ok_or_else(|| {
            let why = "requirement failed: Invalid entity config: all configs to be added must be \
                       in the format \"key=val\" or  \"key=[val1,val2]\" to group values which \
                       contain commas.";
            Failed::Err(why.to_owned())
        })?;
        let value = value.trim().replace(['[', ']'], "");
        changes.push((name.trim().to_owned(), Some(value)));
    }
    for name in options.all("delete-config").flat_map(|names| names.split(',')) {
        changes.push((name.trim().to_owned(), None));
    }
    Ok(changes)
}

/// Parts with commas between them; those within brackets are of the part.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_i32);
    for (at, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            ',' if depth <= 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_stand_in_brackets() {
        assert_eq!(split("a=1,b=[x,y],c="), ["a=1", "b=[x,y]", "c="]);
        assert_eq!(split("a"), ["a"]);
        assert_eq!(split(""), Vec::<&str>::new());
    }
}

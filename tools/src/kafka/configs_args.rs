//! What `kafka-configs` is asked for: of what, and which changes.

use std::net::ToSocketAddrs;
use std::path::Path;

use ottla_client::Properties;

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
    ("delete-config", Takes::Values),
    ("describe", Takes::Nothing),
    ("entity-default", Takes::Nothing),
    ("entity-name", Takes::Values),
    ("entity-type", Takes::Values),
    ("group", Takes::Value),
    ("help", Takes::Nothing),
    ("ip", Takes::Value),
    ("ip-defaults", Takes::Nothing),
    ("topic", Takes::Value),
    ("user", Takes::Value),
    ("user-defaults", Takes::Nothing),
    ("version", Takes::Nothing),
];

/// Types as `--entity-type` has them.
const TYPES: [&str; 8] =
    ["topics", "clients", "users", "brokers", "ips", "client-metrics", "groups", "broker-loggers"];
/// The options that name one of a type at once.
const SHORT: [(&str, &str); 8] = [
    ("topic", "topics"),
    ("client", "clients"),
    ("user", "users"),
    ("broker", "brokers"),
    ("broker-logger", "broker-loggers"),
    ("ip", "ips"),
    ("client-metrics", "client-metrics"),
    ("group", "groups"),
];
/// Those that name the default of a type.
const DEFAULTS: [(&str, &str); 4] = [
    ("client-defaults", "clients"),
    ("user-defaults", "users"),
    ("broker-defaults", "brokers"),
    ("ip-defaults", "ips"),
];

/// A type of what has settings, and the name: empty for the default, `None` for all that there are.
pub(super) type Entity = (&'static str, Option<String>);

/// What is asked for, and what has a type and no name.
///
/// # Errors
/// There is none, one that is not known, or those that cannot stand together; `--alter` needs a
/// name of each; there are more names than types.
pub(super) fn entities(options: &Options, action: &str) -> Result<Vec<Entity>, Failed> {
    let err = |why: &str| Err(Failed::Err(why.to_owned()));
    let (mut types, mut names) = (Vec::new(), Vec::new());
    for asked in options.all("entity-type") {
        let Some(known) = TYPES.into_iter().find(|known| *known == asked) else {
            let known = TYPES.join(", ");
            return err(&format!(
                "Invalid entity type {asked}, the entity type must be one of {known} with a \
                 --bootstrap-server or --bootstrap-controller argument"
            ));
        };
        types.push(known);
    }
    let named = options.in_order(&["entity-name", "entity-default"]);
    names.extend(named.map(|(_, name)| name.unwrap_or_default().to_owned()));
    for (option, kind) in SHORT.into_iter().chain(DEFAULTS) {
        if options.has(option) {
            types.push(kind);
            names.push(options.get(option).unwrap_or_default().to_owned());
        }
    }
    if types.is_empty() {
        return err("At least one entity type must be specified");
    }
    if let Some(n) = (1..types.len()).find(|n| types[..*n].contains(&types[*n])) {
        return err(&format!("Duplicate entity type(s) specified: {}", types[n]));
    }
    let is_short = SHORT.iter().chain(&DEFAULTS).any(|(option, _)| options.has(option));
    let long = ["entity-type", "entity-name", "entity-default"];
    if is_short && !options.given(&long).is_empty() {
        return err(
            "--entity-{type,name,default} should not be used in conjunction with specific \
                    entity flags",
        );
    }
    if types.len() > 1 && types.iter().any(|kind| !["users", "clients"].contains(kind)) {
        return err("Only 'users' and 'clients' entity types may be specified together");
    }
    if action == "alter" && names.len() != types.len() {
        return err("An entity name must be specified for every entity type");
    }
    match (action, types[0], names.first().map(String::as_str)) {
        ("describe", "broker-loggers", None) => {
            return err("An entity name must be specified with --describe of broker-loggers");
        }
        ("describe", kind @ ("topics" | "broker-loggers"), Some("")) => {
            return err(&format!(
                "--entity-default must not be specified with --describe of {kind}"
            ));
        }
        _ => {}
    }
    let mut names = names.into_iter();
    let entities: Vec<Entity> = types.into_iter().map(|kind| (kind, names.next())).collect();
    if ["users", "clients", "ips"].contains(&entities[0].0) && names.next().is_some() {
        return err("More entity names specified than entity types");
    }
    entities.iter().try_for_each(check_name)?;
    Ok(entities)
}

fn check_name((kind, name): &Entity) -> Result<(), Failed> {
    let Some(name) = name.as_deref().filter(|name| !name.is_empty()) else { return Ok(()) };
    let wanted = match *kind {
        "brokers" | "broker-loggers" if name.parse::<i32>().is_err() => "a valid integer broker id",
        "ips" if (name, 0).to_socket_addrs().is_err() => "a valid IP or resolvable host",
        _ => return Ok(()),
    };
    Err(Failed::Err(format!("The entity name for {kind} must be {wanted}, but it is: {name}")))
}

/// A setting's name and new value; none deletes it.
pub(super) type Change = (String, Option<String>);

/// The changes that are asked for.
///
/// # Errors
/// There are none, or they are malformed; the file cannot be read.
pub(super) fn changes(options: &Options) -> Result<Vec<Change>, Failed> {
    if options.has("add-config") && options.has("add-config-file") {
        let why = "Only one of --add-config or --add-config-file must be specified";
        return Err(Failed::Err(why.to_owned()));
    }
    let names = ["add-config", "add-config-file", "delete-config"];
    if options.given(&names).is_empty() {
        let why = "At least one of --add-config, --add-config-file, or --delete-config must be \
                   specified with --alter";
        return Err(Failed::Err(why.to_owned()));
    }
    let mut changes: Vec<Change> = Vec::new();
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
        let (name, value) = (name.trim(), value.trim().replace(['[', ']'], ""));
        // Of several the last counts.
        changes.retain(|(before, _)| before != name);
        changes.push((name.to_owned(), Some(value)));
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
    // Nothing is a part; nothing between commas is none.
    parts.retain(|part| !part.trim().is_empty() || text.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_stand_in_brackets() {
        assert_eq!(split("a=1,b=[x,y],c="), ["a=1", "b=[x,y]", "c="]);
        assert_eq!(split("a"), ["a"]);
        assert_eq!(split(""), [""]);
        assert_eq!(split(","), Vec::<&str>::new());
    }

    fn asked(text: &str, action: &str) -> Result<Vec<Entity>, String> {
        let args: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let options = Options::parse(KNOWN, &args).unwrap().unwrap();
        entities(&options, action).map_err(|failed| format!("{failed:?}"))
    }

    #[test]
    fn types_and_names_meet_in_order() {
        let name = |name: &str| Some(name.to_owned());
        for (text, expected) in [
            ("--entity-type topics --entity-name t", vec![("topics", name("t"))]),
            ("--entity-type topics", vec![("topics", None)]),
            ("--broker-defaults", vec![("brokers", name(""))]),
            ("--user u --client c", vec![("clients", name("c")), ("users", name("u"))]),
            (
                "--entity-type users --entity-type clients --entity-default",
                vec![("users", name("")), ("clients", None)],
            ),
            ("--ip 127.0.0.1", vec![("ips", name("127.0.0.1"))]),
        ] {
            assert_eq!(asked(text, "describe"), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_asked_for_is_told() {
        for (text, action, why) in [
            ("", "describe", "At least one entity type"),
            ("--entity-type topic", "describe", "Invalid entity type topic"),
            ("--topic t --entity-type topics", "describe", "Duplicate entity type(s)"),
            ("--topic t --broker 1", "describe", "Only 'users' and 'clients'"),
            ("--topic t --user u", "alter", "Only 'users' and 'clients'"),
            ("--entity-type topics", "alter", "for every entity type"),
            ("--topic t --entity-name u", "alter", "in conjunction with specific"),
            (
                "--entity-type users --entity-name u --entity-name v",
                "describe",
                "More entity names",
            ),
            ("--broker x", "describe", "must be a valid integer broker id, but it is: x"),
            ("--ip no..host", "describe", "must be a valid IP or resolvable host"),
            ("--entity-type broker-loggers", "describe", "with --describe of broker-loggers"),
            ("--entity-type topics --entity-default", "describe", "must not be specified"),
        ] {
            let told = asked(text, action).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
    }

    #[test]
    fn the_last_value_of_a_setting_counts() {
        let change = |text: &str| {
            let args: Vec<String> = text.split(' ').map(str::to_owned).collect();
            changes(&Options::parse(KNOWN, &args).unwrap().unwrap())
        };
        let one = vec![("a".to_owned(), Some("2".to_owned()))];
        assert_eq!(change("--add-config a=1,a=2").unwrap(), one);
        assert!(change("--add-config=").is_err());
        assert!(change("--add-config a=1 --add-config-file f").is_err());
    }
}

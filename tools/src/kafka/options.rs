//! Arguments as Kafka's tools take them: `--name value`, `--name=value`, and any beginning of a
//! name that only one has.

use std::path::Path;

use ottla_client::{Admin, Properties};

use super::Failed;

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    Value,
    /// It may have one.
    Perhaps,
}

/// The options of a tool.
pub(super) type Known = [(&'static str, Takes)];

/// What was given, in order.
#[derive(Debug, Default)]
pub(super) struct Options(Vec<(&'static str, Option<String>)>);

impl Options {
    /// # Errors
    /// An option is not known, or has no value.
    pub(super) fn parse(known: &'static Known, args: &[String]) -> Result<Self, Failed> {
        let mut given = Vec::new();
        let mut args = args.iter().peekable();
        while let Some(arg) = args.next() {
            let Some(name) = arg.strip_prefix("--").or(arg.strip_prefix('-')) else {
                // The tools pass over what is no option.
                continue;
            };
            let (name, mut value) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (name, None),
            };
            let (name, takes) = find(known, name)?;
            match takes {
                Takes::Nothing => {}
                Takes::Value if value.is_none() => {
                    let next = args.next();
                    let missing = || Failed::Err(format!("Option {name} requires an argument"));
                    value = Some(next.ok_or_else(missing)?.clone());
                }
                Takes::Perhaps if value.is_none() => {
                    value = args.next_if(|next| !next.starts_with('-')).cloned();
                }
                Takes::Value | Takes::Perhaps => {}
            }
            given.push((name, value));
        }
        Ok(Self(given))
    }

    /// Those that were taken in another form.
    pub(super) fn of(given: Vec<(&'static str, Option<String>)>) -> Self {
        Self(given)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(given, _)| *given == name)
    }

    /// The value of an option, the first if there are several.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of an option.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(given, _)| *given == name).filter_map(|(_, of)| of.as_deref())
    }

    /// All that was given of these options, in order.
    pub(super) fn in_order(&self, names: &[&str]) -> impl Iterator<Item = (&str, Option<&str>)> {
        let all = self.0.iter().filter(|(given, _)| names.contains(given));
        all.map(|(given, of)| (*given, of.as_deref()))
    }

    /// Names and values of options whose value is `NAME=VALUE`.
    pub(super) fn pairs(&self, names: &[&'static str]) -> Vec<(&str, &str)> {
        let all = names.iter().flat_map(|name| self.all(name));
        all.map(|text| text.split_once('=').unwrap_or((text, ""))).collect()
    }

    /// The value of an option as a number.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        let parsed = |text: &str| {
            let parsed = text.trim().parse();
            parsed.map_err(|_| format!("Cannot parse argument '{text}' of option {name}"))
        };
        self.get(name).map(parsed).transpose()
    }

    /// Which of these options were given, by their names.
    pub(super) fn given(&self, names: &[&'static str]) -> Vec<&'static str> {
        names.iter().copied().filter(|name| self.has(name)).collect()
    }

    /// The client of `--bootstrap-server` and `--command-config`.
    ///
    /// # Errors
    /// There is no address; the file cannot be read.
    pub(super) fn admin(&self) -> Result<Admin, Failed> {
        let server = self.get("bootstrap-server");
        let missing = || Failed::Err("Missing required argument \"[bootstrap-server]\"".to_owned());
        let server = server.ok_or_else(missing)?;
        let mut properties = Properties::new();
        if let Some(file) = self.get("command-config") {
            properties.add_file(Path::new(file))?;
        }
        properties.set("bootstrap.servers", server);
        Ok(Admin::new(&properties)?)
    }
}

fn find(known: &'static Known, name: &str) -> Result<(&'static str, Takes), Failed> {
    if let Some(found) = known.iter().find(|(known, _)| *known == name) {
        return Ok(*found);
    }
    let mut near = known.iter().filter(|(known, _)| !name.is_empty() && known.starts_with(name));
    match (near.next(), near.next()) {
        (Some(found), None) => Ok(*found),
        _ => Err(Failed::Err(format!("{name} is not a recognized option"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &Known = &[
        ("topic", Takes::Value),
        ("topic-id", Takes::Value),
        ("list", Takes::Nothing),
        ("state", Takes::Perhaps),
    ];

    fn parse(text: &str) -> Result<Options, String> {
        let args: Vec<String> = text.split(' ').map(str::to_owned).collect();
        Options::parse(KNOWN, &args).map_err(|failed| format!("{failed:?}"))
    }

    #[test]
    fn options_are_taken_as_the_scripts_take_them() {
        let options = parse("--list --topic -2 --topic=b --state --topic-i x").unwrap();
        assert!(options.has("list") && options.has("state"));
        assert_eq!(options.all("topic").collect::<Vec<_>>(), ["-2", "b"]);
        assert_eq!(options.get("state"), None);
        assert_eq!(options.get("topic-id"), Some("x"));
        assert_eq!(parse("--state Empty").unwrap().get("state"), Some("Empty"));
        assert!(parse("--bogus").unwrap_err().contains("bogus is not a recognized option"));
        assert!(parse("--topic").unwrap_err().contains("Option topic requires an argument"));
        assert!(parse("--to x").is_err(), "two begin so");
        assert!(parse("--topic x").unwrap().number::<i32>("topic").is_err());
    }
}

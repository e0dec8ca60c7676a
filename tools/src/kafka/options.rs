//! Arguments as Kafka's tools take them: `--name value`, `-name value`, `--name=value`.

use std::io::ErrorKind;
use std::net::ToSocketAddrs;
use std::path::Path;

use ottla_client::{Admin, Properties};

use super::{Failed, out};

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    /// One: the option cannot be given again.
    Value,
    /// One each time that the option is given.
    Values,
    /// It may have one.
    Perhaps,
}

/// The options of a tool.
pub(super) type Known = [(&'static str, Takes)];

/// What was given, in order.
#[derive(Debug, Default)]
pub(super) struct Options(Vec<(&'static str, Option<String>)>);

impl Options {
    /// What was given to a tool; `None` when its version was asked for, which is told.
    ///
    /// # Errors
    /// An option is not known, has no value, or has two where one is asked for. Likewise when help
    /// is asked for, as the tools have it: there it is.
    pub(super) fn parse(known: &'static Known, args: &[String]) -> Result<Option<Self>, Failed> {
        let options = Self::take(known, args)?;
        if options.has("help") {
            return Err(Failed::Err(help(known)));
        }
        if options.has("version") {
            return out("4.3.1\n").map(|()| None);
        }
        Ok(Some(options))
    }

    fn take(known: &'static Known, args: &[String]) -> Result<Self, Failed> {
        let mut given: Vec<(&'static str, Option<String>)> = Vec::new();
        let mut args = args.iter().peekable();
        while let Some(arg) = args.next() {
            if arg == "--" {
                break;
            }
            let name = arg.strip_prefix("--").or(arg.strip_prefix('-'));
            let Some(name) = name.filter(|name| !name.is_empty()) else {
                // The tools pass over what is no option.
                continue;
            };
            let (name, mut value) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (name, None),
            };
            let unknown = || Failed::Err(format!("{name} is not a recognized option"));
            let (name, takes) =
                *known.iter().find(|(known, _)| *known == name).ok_or_else(unknown)?;
            match takes {
                Takes::Nothing => {}
                Takes::Value | Takes::Values if value.is_none() => {
                    let next = args.next();
                    let missing = || Failed::Err(format!("Option {name} requires an argument"));
                    value = Some(next.ok_or_else(missing)?.clone());
                }
                Takes::Perhaps if value.is_none() => {
                    value = args.next_if(|next| !next.starts_with('-')).cloned();
                }
                Takes::Value | Takes::Values | Takes::Perhaps => {}
            }
            if takes == Takes::Value && given.iter().any(|(before, _)| *before == name) {
                return Err(Failed::Err(format!(
                    "Found multiple arguments for option {name}, but you asked for only one"
                )));
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
            let parsed = text.parse();
            parsed.map_err(|_| format!("Cannot parse argument '{text}' of option {name}"))
        };
        self.get(name).map(parsed).transpose()
    }

    /// Which of these options were given, by their names.
    pub(super) fn given(&self, names: &[&'static str]) -> Vec<&'static str> {
        names.iter().copied().filter(|name| self.has(name)).collect()
    }

    /// # Errors
    /// The option is given, and one of the others is.
    pub(super) fn exclude(&self, option: &str, others: &[&'static str]) -> Result<(), Failed> {
        match self.given(others).first().filter(|_| self.has(option)) {
            Some(other) => Err(Failed::Err(format!(
                "Option \"[{option}]\" can't be used with option \"[{other}]\""
            ))),
            None => Ok(()),
        }
    }

    /// # Errors
    /// The option is not given.
    pub(super) fn required(&self, option: &str) -> Result<&str, Failed> {
        self.get(option).ok_or_else(|| missing(option))
    }

    /// The addresses of `--bootstrap-server`. Those that nobody knows are told at once: the client
    /// would wait for somebody to name them.
    ///
    /// # Errors
    /// There are none; none of them is known.
    pub(super) fn bootstrap(&self) -> Result<&str, Failed> {
        let given = self.required("bootstrap-server")?;
        let is_unknown = |address: &str| {
            address.trim().to_socket_addrs().is_err_and(|e| e.kind() != ErrorKind::InvalidInput)
        };
        if given.split(',').all(is_unknown) {
            let why = format!("No resolvable bootstrap urls given in bootstrap.servers: {given}");
            return Err(Failed::Err(why));
        }
        Ok(given)
    }

    /// The client of `--bootstrap-server` and `--command-config`.
    ///
    /// # Errors
    /// There is no address; the file cannot be read.
    pub(super) fn admin(&self) -> Result<Admin, Failed> {
        Ok(Admin::new(&self.admin_properties()?)?)
    }

    /// Its settings.
    ///
    /// # Errors
    /// As [`Options::admin`].
    pub(super) fn admin_properties(&self) -> Result<Properties, Failed> {
        let server = self.bootstrap()?;
        let mut properties = Properties::new();
        if let Some(file) = self.get("command-config") {
            properties.add_file(Path::new(file))?;
        }
        properties.set("bootstrap.servers", server);
        Ok(properties)
    }
}

/// An option that has to be given is not.
pub(super) fn missing(option: &str) -> Failed {
    Failed::Err(format!("Missing required argument \"[{option}]\""))
}

/// All options in a line.
fn help(known: &'static Known) -> String {
    let option = |(name, takes): &(&str, Takes)| match takes {
        Takes::Nothing => format!("--{name}"),
        Takes::Value | Takes::Values => format!("--{name} VALUE"),
        Takes::Perhaps => format!("--{name} [VALUE]"),
    };
    let all: Vec<String> = known.iter().map(option).collect();
    format!("Options, as Kafka's documentation explains them: {}", all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &Known = &[
        ("config", Takes::Values),
        ("help", Takes::Nothing),
        ("list", Takes::Nothing),
        ("state", Takes::Perhaps),
        ("topic", Takes::Value),
        ("topic-id", Takes::Value),
    ];

    fn parse(text: &str) -> Result<Options, String> {
        let args: Vec<String> = text.split(' ').map(str::to_owned).collect();
        let parsed = Options::parse(KNOWN, &args).map_err(|failed| format!("{failed:?}"));
        parsed.map(|options| options.unwrap())
    }

    #[test]
    fn options_are_taken_as_the_scripts_take_them() {
        let options =
            parse("--list --topic -2 --config=b -config c=d --state x --topic-id y --list")
                .unwrap();
        assert!(options.has("list") && options.has("state") && !options.has("help"));
        assert_eq!(options.get("topic"), Some("-2"));
        assert_eq!(options.all("config").collect::<Vec<_>>(), ["b", "c=d"]);
        assert_eq!(options.get("topic-id"), Some("y"));
        assert_eq!(options.get("state"), Some("x"));
        assert_eq!(parse("--state --list").unwrap().get("state"), None);
        assert_eq!(parse("- more --topic a -- --topic b --bogus").unwrap().get("topic"), Some("a"));
        assert!(parse("--topic x").unwrap().number::<i32>("topic").is_err());
        assert!(parse("--topic=").unwrap().number::<i32>("topic").is_err());
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, why) in [
            ("--bogus", "bogus is not a recognized option"),
            // A name that is cut short is none.
            ("--topi x", "topi is not a recognized option"),
            ("--=x", " is not a recognized option"),
            ("--topic", "Option topic requires an argument"),
            ("--topic a --topic=b", "Found multiple arguments for option topic, but you asked"),
            ("--list --help", "--list, --state [VALUE], --topic VALUE"),
        ] {
            let told = parse(text).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
        let options = parse("--list --topic a").unwrap();
        assert!(options.exclude("state", &["list"]).is_ok());
        assert!(options.exclude("list", &["state"]).is_ok());
        let told = format!("{:?}", options.exclude("list", &["state", "topic"]).unwrap_err());
        assert!(told.contains("can't be used with option"), "{told}");
        assert_eq!(options.required("topic").unwrap(), "a");
        assert!(options.required("topic-id").is_err());
    }
}

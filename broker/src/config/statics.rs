//! The settings that a broker starts with: a file, the command line, built-in ones.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use ottla_properties as properties;

use super::accept::{Acceptable, Accepted};
use super::def::ConfigDef;
use super::error::{ConfigError, Problem};
use super::keys;
use super::value::Value;

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A properties file.
    File {
        /// Its path as given.
        path: Arc<str>,
        /// The line that the setting starts on, from 1.
        line: usize,
    },
    /// An option of the command line, by its name.
    Option(&'static str),
    /// Ottla's own value for a start without a file.
    BuiltIn,
    /// The program that has the broker inside.
    Program,
    /// The key is not set.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{path}, line {line}"),
            Self::Option(name) => write!(f, "command line, {name}"),
            Self::BuiltIn => f.write_str("built in"),
            Self::Program => f.write_str("the program's configuration"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value with its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The value as written, escapes resolved.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// The settings of a broker by key, as they were written. [`super::BrokerConfig::new`] checks them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StaticConfig {
    settings: BTreeMap<String, Setting>,
    accepted: Accepted,
}

impl StaticConfig {
    /// What `ottla` starts with when it is given no file: data in `data_dir`, one listener on
    /// 127.0.0.1:9092, nobody else's business.
    pub fn standalone(data_dir: &str) -> Self {
        let mut config = Self::default();
        for (key, value) in [
            ("process.roles", "broker,controller"),
            ("node.id", "1"),
            ("controller.listener.names", "CONTROLLER"),
            ("listeners", "PLAINTEXT://127.0.0.1:9092"),
        ] {
            config.set(key, value, Origin::BuiltIn);
        }
        config.set("log.dirs", data_dir, Origin::Option("--data"));
        config
    }

    /// The settings of the file at `path`.
    ///
    /// # Errors
    /// The file cannot be read, or holds a malformed `\u` escape.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| Problem {
            place: name.clone(),
            subject: "the file".to_owned(),
            wrong: format!("cannot be read: {error}"),
            valid: String::new(),
            next: "check the path and its permissions; without a path, ottla needs no file"
                .to_owned(),
        })?;
        Self::parse(&name, &bytes)
    }

    /// The settings of the file `name` that holds `bytes`. Of a key that comes twice the later
    /// one counts.
    ///
    /// # Errors
    /// A malformed `\u` escape.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, ConfigError> {
        let path: Arc<str> = name.into();
        let read = properties::parse(bytes).map_err(|bad| Problem {
            place: Origin::File { path: path.clone(), line: bad.line }.to_string(),
            subject: "an escape".to_owned(),
            wrong: "has no four hexadecimal digits after \\u".to_owned(),
            valid: "\\u0041, or \\\\ for a backslash itself".to_owned(),
            next: "correct the line".to_owned(),
        })?;
        let mut config = Self::default();
        for property in read {
            let origin = Origin::File { path: path.clone(), line: property.line };
            config.set(&property.key, &property.value, origin);
        }
        Ok(config)
    }

    /// Sets what `--override` was given, `key=value`.
    ///
    /// # Errors
    /// There is no `=`, or nothing before it.
    pub fn set_override(&mut self, argument: &str) -> Result<(), ConfigError> {
        match argument.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                self.set(key.trim(), value, Origin::Option("--override"));
                Ok(())
            }
            _ => Err(Problem {
                place: Origin::Option("--override").to_string(),
                subject: format!("{argument:?}"),
                wrong: "is not key=value".to_owned(),
                valid: "--override num.partitions=3".to_owned(),
                next: "write the key, an equals sign and the value, without blanks".to_owned(),
            }
            .into()),
        }
    }

    /// Takes what `--accept` was given: names of reasons in spite of which to start.
    ///
    /// # Errors
    /// A name is not known.
    pub fn accept(&mut self, names: &str) -> Result<(), ConfigError> {
        self.accepted.add(names)
    }

    /// The same settings without those of `keys`.
    pub(crate) fn without(&self, keys: &[&str]) -> Self {
        let mut config = self.clone();
        config.settings.retain(|key, _| !keys.contains(&&**key));
        config
    }

    /// What was accepted.
    pub fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    /// Whether this was accepted.
    pub fn accepts(&self, one: Acceptable) -> bool {
        self.accepted.contains(one)
    }

    /// Sets `key`, whatever it was before.
    pub fn set(&mut self, key: &str, value: &str, origin: Origin) {
        self.settings.insert(key.to_owned(), Setting { value: value.to_owned(), origin });
    }

    /// The setting of `key`; `None` when it is not set.
    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.get(key)
    }

    /// All settings, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.settings.iter().map(|(key, setting)| (key.as_str(), setting))
    }

    /// The value of `def`, or its default; `None` for null.
    ///
    /// # Errors
    /// The value that is set is not valid.
    pub fn value(&self, def: &ConfigDef) -> Result<Option<Value>, Problem> {
        let Some(setting) = self.settings.get(def.name) else {
            return Ok(def.default_value());
        };
        match def.parse(&setting.value) {
            Ok(value) => Ok(Some(value)),
            Err(wrong) => Err(Problem::with_value(def, &setting.value, &setting.origin, wrong)),
        }
    }

    /// The value of the broker key `name` as [`Self::value`] has it.
    ///
    /// # Panics
    /// When `name` is no broker key.
    pub(super) fn known(&self, name: &str) -> Result<Option<Value>, Problem> {
        self.value(keys::find(name).expect("callers name keys of the tables"))
    }

    /// The problem `wrong` with what the broker key `name` is set to.
    pub(super) fn problem(&self, name: &str, wrong: impl Into<String>) -> Problem {
        let def = keys::find(name).expect("callers name keys of the tables");
        match self.settings.get(name) {
            Some(setting) => {
                Problem::with_value(def, &setting.value, &setting.origin, wrong.into())
            }
            None => {
                let value = def.default.text().unwrap_or("");
                Problem::with_value(def, value, &Origin::Default, wrong.into())
            }
        }
    }
}

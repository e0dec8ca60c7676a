//! Names and values, and where they come from.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::error::{Error, ErrorKind};

/// Settings by Kafka's names, from a program, a map or a `client.properties` file.
///
/// ```
/// use ottla_client::Properties;
///
/// let properties = Properties::new()
///     .with("bootstrap.servers", "localhost:9092")
///     .with("client.id", "me");
/// assert_eq!(properties.get("client.id"), Some("me"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, Setting>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    value: String,
    /// `client.properties, line 3`; `None` for what a program set.
    place: Option<String>,
}

impl Properties {
    /// No settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// The settings of a file in the syntax of Java's properties files.
    ///
    /// # Errors
    /// The file cannot be read, or has a malformed escape.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let mut properties = Self::new();
        properties.add_file(path)?;
        Ok(properties)
    }

    /// Adds the settings of a file; those that were there already give way to them.
    ///
    /// # Errors
    /// As [`Properties::from_file`]; nothing is added then.
    pub fn add_file(&mut self, path: &Path) -> Result<(), Error> {
        let file = path.display();
        let wrong = |detail: String| Error::new(ErrorKind::Config, detail);
        let bytes = fs::read(path).map_err(|error| wrong(format!("{file}: {error}")))?;
        let read = ottla_properties::parse(&bytes).map_err(|bad| {
            let line = bad.line;
            wrong(format!("{file}, line {line}: no four hexadecimal digits after \\u"))
        })?;
        for property in read {
            let place = Some(format!("{file}, line {}", property.line));
            self.0.insert(property.key, Setting { value: property.value, place });
        }
        Ok(())
    }

    /// Sets a value, whatever it was before.
    pub fn set(&mut self, name: &str, value: &str) {
        let setting = Setting { value: value.to_owned(), place: None };
        self.0.insert(name.to_owned(), setting);
    }

    /// The same with this value.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// The value of a name; `None` when it is not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|setting| setting.value.as_str())
    }

    /// All names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, setting)| (name.as_str(), setting.value.as_str()))
    }

    /// What is wrong with a setting, and where it was set.
    pub(crate) fn error(&self, name: &str, wrong: &str) -> Error {
        let text = match self.0.get(name) {
            Some(Setting { value, place: Some(place) }) => {
                format!("{place}: {name}={value}: {wrong}")
            }
            Some(Setting { value, place: None }) => format!("{name}={value}: {wrong}"),
            None => format!("{name}: {wrong}"),
        };
        Error::new(ErrorKind::Config, text)
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Properties {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(pairs: T) -> Self {
        let setting = |value: V| Setting { value: value.into(), place: None };
        Self(pairs.into_iter().map(|(name, value)| (name.into(), setting(value))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_tells_the_line_of_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("client.properties");
        fs::write(&path, "# ours\nclient.id = me\n\nacks=7\n").unwrap();
        let mut properties = Properties::new().with("client.id", "you").with("linger.ms", "0");
        properties.add_file(&path).unwrap();
        let read: Vec<_> = properties.iter().collect();
        assert_eq!(read, [("acks", "7"), ("client.id", "me"), ("linger.ms", "0")]);
        let error = properties.error("acks", "not one of all, -1, 0, 1").to_string();
        assert!(error.ends_with("client.properties, line 4: acks=7: not one of all, -1, 0, 1"));
    }

    #[test]
    fn a_file_that_cannot_be_read_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bad");
        fs::write(&path, "a=1\nb=\\u00zz\n").unwrap();
        let mut properties = Properties::new();
        let error = properties.add_file(&path).unwrap_err();
        assert!(error.to_string().contains("bad, line 2: no four hexadecimal digits"), "{error}");
        assert_eq!(properties, Properties::new());
        let error = Properties::from_file(&dir.path().join("none")).unwrap_err();
        assert!(error.to_string().contains("none: No such file"), "{error}");
    }
}

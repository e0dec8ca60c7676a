//! What a mirror remembers from one run to the next, in a file.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use ottla_client::TopicPartition;
use serde_json::{Value, json};

use super::mapping::Mapping;
use crate::CannotRun;

/// Where a mirror is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// The ids of the clusters.
    pub(super) source: String,
    pub(super) target: String,
    pub(super) partitions: BTreeMap<TopicPartition, Mapping>,
}

impl State {
    /// Reads a file; one that is not there knows nothing yet.
    ///
    /// # Errors
    /// It cannot be read, is no such file, or one of other clusters.
    pub(super) fn read(path: &Path, source: &str, target: &str) -> Result<Self, CannotRun> {
        let cannot = |why: &str| CannotRun(format!("{}: {why}", path.display()));
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (source, target) = (source.to_owned(), target.to_owned());
                return Ok(Self { source, target, partitions: BTreeMap::new() });
            }
            Err(error) => return Err(cannot(&error.to_string())),
        };
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|error| cannot(&error.to_string()))?;
        let state = Self::of_json(&value);
        let state = state.ok_or_else(|| cannot("is no state of a mirror; name another --state"))?;
        if (&*state.source, &*state.target) != (source, target) {
            let Self { source: from, target: to, .. } = &state;
            return Err(cannot(&format!(
                "is of a mirror from the cluster {from} to {to}, not from {source} to {target}; \
                 name another --state"
            )));
        }
        Ok(state)
    }

    fn of_json(value: &Value) -> Option<Self> {
        let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
        let mut partitions = BTreeMap::new();
        for partition in value.get("partitions")?.as_array()? {
            let topic = partition.get("topic")?.as_str()?;
            let index = i32::try_from(partition.get("partition")?.as_i64()?).ok()?;
            let mapping = Mapping::of_json(partition.get("offsets")?)?;
            partitions.insert(TopicPartition::new(topic, index), mapping);
        }
        Some(Self { source: text("source")?, target: text("target")?, partitions })
    }

    /// Writes the file. Whatever happens there is a whole one, this or the one before.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write(&self, path: &Path) -> Result<(), CannotRun> {
        let partition = |(of, mapping): (&TopicPartition, &Mapping)| {
            let offsets = mapping.json();
            json!({ "topic": &*of.topic, "partition": of.partition, "offsets": offsets })
        };
        let partitions: Vec<Value> = self.partitions.iter().map(partition).collect();
        let value =
            json!({ "source": self.source, "target": self.target, "partitions": partitions });
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let written = File::create(&new).and_then(|mut file| {
            writeln!(file, "{value}")?;
            file.sync_all()
        });
        let written = written.and_then(|()| fs::rename(&new, path));
        written.map_err(|error| CannotRun(format!("{}: {error}", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::mapping::Pair;
    use super::*;

    #[test]
    fn what_is_written_is_read_by_the_same_mirror() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let mut state = State::read(&path, "a", "b").unwrap();
        assert_eq!(state.partitions.len(), 0);
        let mut mapping = Mapping::new(Pair { source: 3, target: 0 });
        mapping.copied(Pair { source: 4, target: 0 }).unwrap();
        state.partitions.insert(TopicPartition::new("t", 2), mapping);
        state.write(&path).unwrap();
        assert_eq!(State::read(&path, "a", "b").unwrap(), state);
        let CannotRun(why) = State::read(&path, "b", "a").unwrap_err();
        assert!(why.contains("from the cluster a to b, not from b to a"), "{why}");
        for wrong in ["", "{}", "[]", "{\"source\":\"a\",\"target\":\"b\",\"partitions\":[{}]}"] {
            fs::write(&path, wrong).unwrap();
            assert!(State::read(&path, "a", "b").is_err(), "{wrong}");
        }
    }
}

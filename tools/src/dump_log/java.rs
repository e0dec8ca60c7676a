//! Paths, numbers and maps as Java has them: they show in what Kafka's tool prints.

use std::env;

use super::failure::Failure;
use crate::kafka::java::hash;

/// A path as `java.io.File` keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JavaPath(String);

impl JavaPath {
    /// Drops repeated slashes and one at the end.
    pub(super) fn new(path: &str) -> Self {
        let mut kept = String::with_capacity(path.len());
        for c in path.chars() {
            if c != '/' || !kept.ends_with('/') {
                kept.push(c);
            }
        }
        if kept.len() > 1 && kept.ends_with('/') {
            kept.pop();
        }
        Self(kept)
    }

    /// As given, but for the slashes.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Below the working directory, if it does not begin at the root.
    pub(super) fn absolute(&self) -> String {
        if self.0.starts_with('/') {
            return self.0.clone();
        }
        let dir = env::current_dir().unwrap_or_default();
        let dir = dir.to_string_lossy();
        if self.0.is_empty() { dir.into_owned() } else { format!("{dir}/{}", self.0) }
    }

    /// The last name.
    pub(super) fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The name from its last dot on; empty without one.
    pub(super) fn suffix(&self) -> &str {
        let name = self.name();
        name.rfind('.').map_or("", |at| &name[at..])
    }

    /// The name up to its first dot.
    pub(super) fn stem(&self) -> &str {
        self.name().split('.').next().unwrap_or_default()
    }

    /// The offset that the name begins with.
    pub(super) fn offset(&self) -> Result<i64, Failure> {
        parse_long(self.stem())
    }

    /// The absolute path of the file of another suffix beside it.
    pub(super) fn sibling(&self, suffix: &str) -> String {
        let absolute = self.absolute();
        let dir = absolute.rsplit_once('/').map_or("", |(dir, _)| dir);
        format!("{dir}/{}{suffix}", self.stem())
    }
}

/// `Long.parseLong`.
pub(super) fn parse_long(text: &str) -> Result<i64, Failure> {
    text.parse().map_err(|_| {
        let quoted = format!("For input string: \"{text}\"");
        Failure::new("java.lang.NumberFormatException", quoted)
    })
}

/// `text.split(",")`: empty pieces at the end are none.
pub(super) fn split_commas(text: &str) -> impl Iterator<Item = &str> {
    let trimmed = text.trim_end_matches(',');
    // Of an empty text, `split` makes one piece, of commas none.
    let pieces = if trimmed.is_empty() && !text.is_empty() { None } else { Some(trimmed) };
    pieces.into_iter().flat_map(|text| text.split(','))
}

/// A map that is walked in the order of a `HashMap` of strings that Java fills by
/// `computeIfAbsent`, which does not do what `put` does: a new entry is the first of its bucket,
/// and the table grows before an entry is added, not after.
#[derive(Debug)]
pub(super) struct HashMapOrder<V> {
    entries: Vec<(String, V)>,
}

impl<V> Default for HashMapOrder<V> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<V: Default> HashMapOrder<V> {
    /// The value of the key, made when missing.
    pub(super) fn entry(&mut self, key: &str) -> &mut V {
        let place = self.entries.iter().position(|(known, _)| known == key);
        let place = place.unwrap_or_else(|| {
            self.entries.push((key.to_owned(), V::default()));
            self.entries.len() - 1
        });
        &mut self.entries[place].1
    }

    /// The entries: by bucket, and within one the last that came first.
    pub(super) fn in_order(&self) -> Vec<&(String, V)> {
        // It is doubled when an entry comes and it is more than three quarters full already.
        let mut buckets = 16usize;
        while self.entries.len().saturating_sub(1) * 4 > buckets * 3 {
            buckets *= 2;
        }
        let mut ordered: Vec<&(String, V)> = self.entries.iter().rev().collect();
        ordered.sort_by_key(|(key, _)| {
            let hash = hash(key);
            (hash ^ (hash >> 16)) as usize & (buckets - 1)
        });
        ordered
    }
}

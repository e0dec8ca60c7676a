//! `partition.metadata`: which topic id the log in a directory belongs to.
//!
//! ```text
//! version: 0
//! topic_id: TAAAAAAAAAAAAAAAAAAAAA
//! ```
//!
//! 43 bytes without a line end behind the last line. The file must be durable before the first
//! record is: a log without it is a stray to Kafka.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use ottla_protocol::uuid::Uuid;

use crate::disk::Disk;
use crate::file_name::PARTITION_METADATA;
use crate::whole_file::{self, WholeFileError};

/// What is wrong with a `partition.metadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartitionMetadataError {
    /// A line is missing or is not `name: value` with such a value.
    MalformedLine {
        /// Its text.
        line: String,
    },
    /// A negative version.
    Version {
        /// The number found.
        got: i32,
    },
    /// The id that stands for "none".
    ZeroTopicId,
}

impl fmt::Display for PartitionMetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MalformedLine { line } => write!(f, "malformed line {line:?}"),
            Self::Version { got } => write!(f, "version is {got}, expected 0 or above"),
            Self::ZeroTopicId => write!(f, "topic id is zero"),
        }
    }
}

impl std::error::Error for PartitionMetadataError {}

/// The file's text.
pub fn encode(topic_id: Uuid) -> String {
    format!("version: 0\ntopic_id: {topic_id}")
}

/// Reads the topic id out of the file's text. As in Kafka, names are not looked at, later versions
/// are accepted, and so are lines behind the second one.
///
/// # Errors
/// [`PartitionMetadataError`], where Kafka would fail too.
pub fn decode(text: &[u8]) -> Result<Uuid, PartitionMetadataError> {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines();
    let mut next = || {
        let line = lines.next().unwrap_or_default();
        let malformed = || PartitionMetadataError::MalformedLine { line: line.to_owned() };
        (value_of(line).ok_or_else(malformed), malformed())
    };
    let (value, malformed) = next();
    let version: i32 = value?.parse().map_err(|_| malformed)?;
    if version < 0 {
        return Err(PartitionMetadataError::Version { got: version });
    }
    let (value, malformed) = next();
    let topic_id: Uuid = value?.parse().map_err(|_| malformed)?;
    if topic_id.is_zero() {
        return Err(PartitionMetadataError::ZeroTopicId);
    }
    Ok(topic_id)
}

/// The path of the file in a partition's directory.
pub fn path(dir: &Path) -> PathBuf {
    dir.join(PARTITION_METADATA)
}

/// Reads the topic id of the log in `dir`; `None` when the file is missing.
///
/// # Errors
/// What the disk says, or what is wrong with the text.
pub fn read(
    disk: &dyn Disk,
    dir: &Path,
) -> Result<Option<Uuid>, WholeFileError<PartitionMetadataError>> {
    whole_file::read_as(disk, &path(dir), decode)
}

/// Writes the topic id of the log in `dir`, durably.
///
/// # Errors
/// What the disk says.
pub fn write(disk: &dyn Disk, dir: &Path, topic_id: Uuid) -> io::Result<()> {
    whole_file::replace(disk, &path(dir), encode(topic_id).as_bytes())
}

/// What stands behind the only `:` with white space after it.
fn value_of(line: &str) -> Option<&str> {
    let is_space = |char: char| matches!(char, ' ' | '\t' | '\x0B' | '\x0C');
    let mut parts = line.split(':');
    let (_, rest) = (parts.next()?, parts.next()?);
    let value = rest.trim_start_matches(is_space);
    (parts.next().is_none() && value.len() < rest.len() && !value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::SimDisk;

    const TEXT: &str = "version: 0\ntopic_id: TAAAAAAAAAAAAAAAAAAAAA";

    fn topic_id() -> Uuid {
        "TAAAAAAAAAAAAAAAAAAAAA".parse().unwrap()
    }

    #[test]
    fn golden_text() {
        assert_eq!(encode(topic_id()), TEXT);
        assert_eq!(TEXT.len(), 43);
        assert_eq!(decode(TEXT.as_bytes()), Ok(topic_id()));
    }

    #[test]
    fn what_kafka_reads_and_refuses() {
        let id = "TAAAAAAAAAAAAAAAAAAAAA";
        for text in [
            format!("{TEXT}\n"),
            format!("version: 7\r\ntopic_id: \t{id}\r\nmore"),
            format!("v: 0\nt: {id}"),
        ] {
            assert_eq!(decode(text.as_bytes()), Ok(topic_id()), "{text:?}");
        }
        let malformed =
            |line: &str| PartitionMetadataError::MalformedLine { line: line.to_owned() };
        let table = [
            (String::new(), malformed("")),
            ("version: 0".to_owned(), malformed("")),
            ("version: x\n".to_owned(), malformed("version: x")),
            ("version:0\n".to_owned(), malformed("version:0")),
            ("version 0\n".to_owned(), malformed("version 0")),
            (format!("version: 0\ntopic_id: {id}: x"), malformed(&format!("topic_id: {id}: x"))),
            ("version: 0\ntopic_id: short".to_owned(), malformed("topic_id: short")),
            (format!("version: -1\ntopic_id: {id}"), PartitionMetadataError::Version { got: -1 }),
            (encode(Uuid::ZERO), PartitionMetadataError::ZeroTopicId),
        ];
        for (text, expected) in table {
            assert_eq!(decode(text.as_bytes()), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn every_prefix_is_refused() {
        for end in 0..TEXT.len() {
            assert!(decode(&TEXT.as_bytes()[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn files() {
        let disk = SimDisk::new();
        let dir = Path::new("t-0");
        disk.create_dir_all(dir).unwrap();
        assert_eq!(read(&disk, dir).unwrap(), None);
        write(&disk, dir, topic_id()).unwrap();
        assert_eq!(read(&disk, dir).unwrap(), Some(topic_id()));
        assert_eq!(disk.files(), ["t-0/partition.metadata"]);
    }
}

//! Text checkpoints: a version line, a count line, one line an entry.
//!
//! ```text
//! 0
//! 2
//! orders 0 1042
//! orders 1 998
//! ```
//!
//! Four files of a data directory hold offsets by partition in this form; a partition's
//! `leader-epoch-checkpoint` holds leader epochs in it ([`crate::leader_epoch`]). The reader is as
//! strict as Kafka's, so that a file which Kafka would refuse is not quietly accepted here.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

use crate::disk::{Disk, Open};
use crate::partition_dir::TopicPartition;
use crate::whole_file::{self, WholeFileError};

/// Up to where each log was flushed: recovery after a crash starts there.
pub const RECOVERY_POINT_CHECKPOINT: &str = "recovery-point-offset-checkpoint";
/// Log start offsets that are above the base of the first segment.
pub const LOG_START_OFFSET_CHECKPOINT: &str = "log-start-offset-checkpoint";
/// High watermarks.
pub const REPLICATION_OFFSET_CHECKPOINT: &str = "replication-offset-checkpoint";
/// First dirty offsets of compacted logs.
pub const CLEANER_OFFSET_CHECKPOINT: &str = "cleaner-offset-checkpoint";

/// In place of a recovery point: any record of the log may have been durable, for what the
/// checkpoint said of it could not be read when the log was found damaged. To Kafka it is like 0.
pub const RECOVERY_POINT_UNKNOWN: i64 = -1;

/// The only version.
const VERSION: i32 = 0;

/// Offsets by partition.
pub type Offsets = BTreeMap<TopicPartition, i64>;

/// What is wrong with a checkpoint's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointError {
    /// A version that is not 0.
    Version {
        /// The number found.
        got: i32,
    },
    /// A line that does not parse.
    MalformedLine {
        /// Its number, from 1.
        number: usize,
        /// Its text.
        line: String,
    },
    /// It ends before the line that says how many entries there are.
    CutShort,
    /// More or fewer entries than the second line says.
    Count {
        /// What it says.
        expected: i32,
        /// How many there are.
        got: usize,
    },
    /// Entries that contradict the file's meaning, such as a negative leader epoch.
    Meaning {
        /// What is wrong.
        reason: &'static str,
    },
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { got } => write!(f, "checkpoint has version {got}, expected {VERSION}"),
            Self::MalformedLine { number, line } => {
                write!(f, "malformed line {number} in checkpoint: {line:?}")
            }
            Self::CutShort => f.write_str("checkpoint ends before the number of its entries"),
            Self::Count { expected, got } => {
                write!(f, "checkpoint says {expected} entries, found {got}")
            }
            Self::Meaning { reason } => write!(f, "checkpoint entry is invalid: {reason}"),
        }
    }
}

impl std::error::Error for CheckpointError {}

/// The text of a checkpoint of offsets, in the order of the partitions.
pub fn encode_offsets(offsets: &Offsets) -> Vec<u8> {
    encode_lines(offsets.iter().map(|(TopicPartition { topic, partition }, offset)| {
        format!("{topic} {partition} {offset}")
    }))
}

/// Reads a checkpoint of offsets. Of a partition that is named twice the last line counts.
///
/// # Errors
/// [`CheckpointError`], as Kafka would fail.
pub fn decode_offsets(text: &[u8]) -> Result<Offsets, CheckpointError> {
    let entries = decode_lines(text, |[topic, partition, offset]| {
        Some((TopicPartition::new(topic, partition.parse().ok()?), offset.parse().ok()?))
    })?;
    Ok(entries.into_iter().collect())
}

/// Reads the offset checkpoint at `path`; a missing or empty file has no entries.
///
/// # Errors
/// What the disk says, or what is wrong with the text.
pub fn read_offsets(
    disk: &dyn Disk,
    path: &Path,
) -> Result<Offsets, WholeFileError<CheckpointError>> {
    Ok(whole_file::read_as(disk, path, decode_offsets)?.unwrap_or_default())
}

/// Reads the recovery points at `path`; a missing file has none. Kafka takes an empty file for one
/// without entries. But it only ever makes one in the first minute of a new directory, and one that
/// has lost its bytes must not say that nothing was flushed.
///
/// # Errors
/// What the disk says, or what is wrong with the text.
pub fn read_recovery_points(
    disk: &dyn Disk,
    path: &Path,
) -> Result<Offsets, WholeFileError<CheckpointError>> {
    let decode = |text: &[u8]| match java_lines(&String::from_utf8_lossy(text)).nth(1) {
        None => Err(CheckpointError::CutShort),
        Some(_) => decode_offsets(text),
    };
    Ok(whole_file::read_as(disk, path, decode)?.unwrap_or_default())
}

/// Replaces the offset checkpoint at `path`, durably.
///
/// # Errors
/// What the disk says.
pub fn write_offsets(disk: &dyn Disk, path: &Path, offsets: &Offsets) -> io::Result<()> {
    whole_file::replace(disk, path, &encode_offsets(offsets))
}

/// Makes the checkpoint at `path` with no bytes, unless it exists: Kafka does so for every
/// checkpoint before it is first written.
///
/// # Errors
/// What the disk says.
pub fn touch(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    disk.open(path, Open::Create).map(drop)
}

/// A checkpoint's text around `lines`, which bring no line ends.
pub(crate) fn encode_lines(lines: impl ExactSizeIterator<Item = String>) -> Vec<u8> {
    let mut text = format!("{VERSION}\n{}\n", lines.len());
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    text.into_bytes()
}

/// Takes a checkpoint's text apart; `parse` gets the fields of each entry.
pub(crate) fn decode_lines<T, const FIELDS: usize>(
    text: &[u8],
    parse: impl Fn([&str; FIELDS]) -> Option<T>,
) -> Result<Vec<T>, CheckpointError> {
    // Java decodes broken UTF-8 to a replacement character too, and then fails on the number or
    // keeps a topic that no partition has.
    let text = String::from_utf8_lossy(text);
    let malformed = |number: usize, line: &str| CheckpointError::MalformedLine {
        number,
        line: line.to_owned(),
    };
    let mut lines = java_lines(&text).enumerate().map(|(index, line)| (index + 1, line));
    let Some((number, line)) = lines.next() else { return Ok(Vec::new()) };
    let got = line.parse().map_err(|_| malformed(number, line))?;
    if got != VERSION {
        return Err(CheckpointError::Version { got });
    }
    let Some((number, line)) = lines.next() else { return Ok(Vec::new()) };
    let expected: i32 = line.parse().map_err(|_| malformed(number, line))?;
    let mut entries = Vec::new();
    for (number, line) in lines {
        let fields = split_fields(line).ok_or_else(|| malformed(number, line))?;
        entries.push(parse(fields).ok_or_else(|| malformed(number, line))?);
    }
    if usize::try_from(expected) != Ok(entries.len()) {
        return Err(CheckpointError::Count { expected, got: entries.len() });
    }
    Ok(entries)
}

/// The lines as Java's `BufferedReader` cuts them: at `\n`, `\r` or `\r\n`, with nothing behind the
/// last of them.
fn java_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let (line, tail) = rest.split_at(end);
        rest = tail.strip_prefix("\r\n").or_else(|| tail.get(1..)).unwrap_or("");
        Some(line)
    })
}

/// Exactly `FIELDS` fields with white space between them, as Java's `split("\\s+")` yields them:
/// spaces in front make an empty field, spaces behind do not count.
fn split_fields<const FIELDS: usize>(line: &str) -> Option<[&str; FIELDS]> {
    let is_space = |char: char| matches!(char, ' ' | '\t' | '\x0B' | '\x0C');
    let mut fields = [""; FIELDS];
    let mut rest = line.trim_end_matches(is_space);
    for (index, field) in fields.iter_mut().enumerate() {
        let end = rest.find(is_space).unwrap_or(rest.len());
        *field = &rest[..end];
        if field.is_empty() || index + 1 == FIELDS && end != rest.len() {
            return None;
        }
        rest = rest[end..].trim_start_matches(is_space);
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    fn offsets(entries: &[(&str, i32, i64)]) -> Offsets {
        entries.iter().map(|&(t, p, offset)| (TopicPartition::new(t, p), offset)).collect()
    }

    #[test]
    fn golden_text() {
        let two = offsets(&[("orders", 0, 1042), ("orders", 1, 998)]);
        let text = "0\n2\norders 0 1042\norders 1 998\n";
        assert_eq!(encode_offsets(&two), text.as_bytes());
        assert_eq!(decode_offsets(text.as_bytes()), Ok(two));
        assert_eq!(encode_offsets(&Offsets::new()), b"0\n0\n");
    }

    #[test]
    fn what_kafka_reads() {
        let one = offsets(&[("t", 0, 5)]);
        for text in ["0\n1\nt 0 5\n", "0\n1\nt 0 5", "0\r\n1\r\nt\t 0  5 \r\n", "0\n1\rt 0 +5\n"] {
            assert_eq!(decode_offsets(text.as_bytes()), Ok(one.clone()), "{text:?}");
        }
        for text in ["", "0", "0\n", "0\n0", "0\n0\n"] {
            assert_eq!(decode_offsets(text.as_bytes()), Ok(Offsets::new()), "{text:?}");
        }
        assert_eq!(decode_offsets(b"0\n2\nt 0 4\nt 0 5\n"), Ok(one));
    }

    #[test]
    fn what_kafka_refuses() {
        let malformed =
            |number, line: &str| CheckpointError::MalformedLine { number, line: line.to_owned() };
        let table = [
            ("1\n0\n", CheckpointError::Version { got: 1 }),
            ("-1\n", CheckpointError::Version { got: -1 }),
            ("x\n", malformed(1, "x")),
            ("\n", malformed(1, "")),
            (" 0\n0\n", malformed(1, " 0")),
            ("0\nx\n", malformed(2, "x")),
            ("0\n\n", malformed(2, "")),
            ("0\n0\n\n", malformed(3, "")),
            ("0\n1\nt 0 5\n\n", malformed(4, "")),
            ("0\n1\nt 0\n", malformed(3, "t 0")),
            ("0\n1\nt 0 5 6\n", malformed(3, "t 0 5 6")),
            ("0\n1\n t 0 5\n", malformed(3, " t 0 5")),
            ("0\n1\nt 0 9223372036854775808\n", malformed(3, "t 0 9223372036854775808")),
            ("0\n1\nt x 5\n", malformed(3, "t x 5")),
            ("0\n2\nt 0 5\n", CheckpointError::Count { expected: 2, got: 1 }),
            ("0\n0\nt 0 5\n", CheckpointError::Count { expected: 0, got: 1 }),
            ("0\n-1\n", CheckpointError::Count { expected: -1, got: 0 }),
            ("0\n2147483647\n", CheckpointError::Count { expected: i32::MAX, got: 0 }),
        ];
        for (text, expected) in table {
            assert_eq!(decode_offsets(text.as_bytes()), Err(expected), "{text:?}");
        }
    }

    /// A cut file is refused or, where a last line lost digits only, read with other numbers: the
    /// format has no sum. It never reads as more entries, and never panics.
    #[test]
    fn every_prefix() {
        let text = encode_offsets(&offsets(&[("a", 0, 12), ("b-c", 3, 45)]));
        for end in 0..text.len() {
            let Ok(read) = decode_offsets(&text[..end]) else { continue };
            assert!(read.is_empty() || read.len() == 2, "cut at {end}: {read:?}");
        }
        assert!(decode_offsets(&[0xff, 0xfe, b'\n']).is_err());
    }

    #[test]
    fn files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(RECOVERY_POINT_CHECKPOINT);
        assert_eq!(read_offsets(&RealDisk, &path).unwrap(), Offsets::new());
        touch(&RealDisk, &path).unwrap();
        assert_eq!(read_offsets(&RealDisk, &path).unwrap(), Offsets::new());
        let some = offsets(&[("t", 0, 5)]);
        write_offsets(&RealDisk, &path, &some).unwrap();
        touch(&RealDisk, &path).unwrap();
        assert_eq!(read_offsets(&RealDisk, &path).unwrap(), some);
        whole_file::replace(&RealDisk, &path, b"7\n").unwrap();
        let error = read_offsets(&RealDisk, &path).unwrap_err().to_string();
        assert!(error.ends_with("-checkpoint: checkpoint has version 7, expected 0"), "{error}");
    }
}

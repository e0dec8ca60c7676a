//! `meta.properties`: whose a data directory is.
//!
//! ```text
//! #
//! #Wed Nov 25 15:06:31 UTC 2026
//! version=1
//! cluster.id=4L6g3nShT-eMCtK--X86sw
//! node.id=1
//! directory.id=Kf0x2TMpRMSPGQLD8LBQ2w
//! ```
//!
//! The syntax is that of Java's properties files ([`ottla_properties`]). Version 0, from the days
//! of ZooKeeper, names the node `broker.id` and may lack anything.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use ottla_properties as properties;
use ottla_protocol::uuid::Uuid;

use crate::disk::Disk;
use crate::whole_file::{self, WholeFileError};

/// The file's name.
pub const META_PROPERTIES_FILE: &str = "meta.properties";
/// Ids from 0 up to this one, exclusive, mean something else than a directory (KIP-858).
const RESERVED_DIRECTORY_IDS: u128 = 100;

/// What the file says, version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    /// The cluster, normally 22 characters of base64.
    pub cluster_id: String,
    /// The node, not negative.
    pub node_id: i32,
    /// The directory; files from before KIP-858 have none.
    pub directory_id: Option<Uuid>,
}

/// What is wrong with a `meta.properties`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetaPropertiesError {
    /// It does not follow the syntax.
    Syntax {
        /// The line, from 1.
        line: usize,
    },
    /// A property is missing.
    Missing {
        /// Its name.
        key: &'static str,
    },
    /// A property has no possible value.
    Invalid {
        /// Its name.
        key: &'static str,
        /// The value found.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
}

impl fmt::Display for MetaPropertiesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { line } => write!(f, "malformed \\u escape in line {line}"),
            Self::Missing { key } => write!(f, "{key} is missing"),
            Self::Invalid { key, value, expected } => {
                write!(f, "{key} is {value:?}, expected {expected}")
            }
        }
    }
}

impl std::error::Error for MetaPropertiesError {}

impl MetaProperties {
    /// Reads the file's text. Of version 0 it takes what can also be said in version 1.
    ///
    /// # Errors
    /// [`MetaPropertiesError`]: the directory must not be used.
    pub fn decode(text: &[u8]) -> Result<Self, MetaPropertiesError> {
        let lines = properties::parse(text)
            .map_err(|bad| MetaPropertiesError::Syntax { line: bad.line })?;
        let values: HashMap<String, String> =
            lines.into_iter().map(|property| (property.key, property.value)).collect();
        let value = |key: &'static str| values.get(key).map(String::as_str);
        let required = |key| value(key).ok_or(MetaPropertiesError::Missing { key });
        let node_id_key = match value("version").map_or(Ok(0), |text| text.trim().parse::<i32>()) {
            Ok(0) => "broker.id",
            Ok(1) => "node.id",
            _ => return Err(invalid("version", required("version")?, "0 or 1")),
        };
        let node_id = required(node_id_key)?;
        let directory_id = value("directory.id").map(parse_directory_id).transpose()?;
        Ok(Self {
            cluster_id: required("cluster.id")?.to_owned(),
            node_id: (node_id.trim().parse().ok())
                .filter(|&id: &i32| 0 <= id)
                .ok_or_else(|| invalid(node_id_key, node_id, "an integer from 0"))?,
            directory_id,
        })
    }

    /// The file's text as it is written at `now_ms`, milliseconds since the epoch.
    pub fn encode(&self, now_ms: i64) -> String {
        let mut text = format!("#\n#{}\n", java_date(now_ms));
        properties::write_line("version", "1", &mut text);
        properties::write_line("cluster.id", &self.cluster_id, &mut text);
        properties::write_line("node.id", &self.node_id.to_string(), &mut text);
        if let Some(directory_id) = self.directory_id {
            properties::write_line("directory.id", &directory_id.to_string(), &mut text);
        }
        text
    }
}

/// Whether a directory may have this id.
pub fn is_legal_directory_id(id: Uuid) -> bool {
    // Kafka compares the lower half as a signed number, so that of 2^63 on is reserved too.
    let bits = u128::from_be_bytes(*id.as_bytes());
    bits >> 64 != 0 || RESERVED_DIRECTORY_IDS <= bits && bits >> 63 == 0
}

fn parse_directory_id(text: &str) -> Result<Uuid, MetaPropertiesError> {
    let id = text.parse().ok().filter(|&id| is_legal_directory_id(id));
    id.ok_or_else(|| invalid("directory.id", text, "22 characters of base64, not reserved"))
}

fn invalid(key: &'static str, value: &str, expected: &'static str) -> MetaPropertiesError {
    MetaPropertiesError::Invalid { key, value: value.to_owned(), expected }
}

/// The path of the file in a data directory.
pub fn path(dir: &Path) -> PathBuf {
    dir.join(META_PROPERTIES_FILE)
}

/// Reads the file of a data directory; `None` when it is missing: the directory is not formatted.
///
/// # Errors
/// What the disk says, or what is wrong with the text.
pub fn read(
    disk: &dyn Disk,
    dir: &Path,
) -> Result<Option<MetaProperties>, WholeFileError<MetaPropertiesError>> {
    whole_file::read_as(disk, &path(dir), MetaProperties::decode)
}

/// Replaces the file of a data directory, durably.
///
/// # Errors
/// What the disk says.
pub fn write(disk: &dyn Disk, dir: &Path, meta: &MetaProperties, now_ms: i64) -> io::Result<()> {
    whole_file::replace(disk, &path(dir), meta.encode(now_ms).as_bytes())
}

/// Data directories that do not belong together, or not to this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetaPropertiesConflict {
    /// A directory of another node.
    NodeId {
        /// Its `meta.properties`.
        path: PathBuf,
        /// What the node is configured to be.
        expected: i32,
        /// What the file says.
        got: i32,
    },
    /// Two directories of different clusters.
    ClusterId {
        /// The `meta.properties` of the second one.
        path: PathBuf,
        /// The cluster of the first one.
        expected: String,
        /// The cluster of the second one.
        got: String,
    },
    /// Two directories with the same id: one is a copy.
    DirectoryId {
        /// The `meta.properties` of the second one.
        path: PathBuf,
        /// The id.
        id: Uuid,
        /// The data directory that has it too.
        other: PathBuf,
    },
}

impl MetaPropertiesConflict {
    /// The `meta.properties` that says so.
    pub fn path(&self) -> &Path {
        let (Self::NodeId { path, .. }
        | Self::ClusterId { path, .. }
        | Self::DirectoryId { path, .. }) = self;
        path
    }
}

impl fmt::Display for MetaPropertiesConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodeId { path, expected, got } => write!(
                f,
                "{}: stored node id {got} doesn't match the configured node id {expected}",
                path.display()
            ),
            Self::ClusterId { path, expected, got } => write!(
                f,
                "{}: cluster id {got:?} doesn't match {expected:?} of the other directories",
                path.display()
            ),
            Self::DirectoryId { path, id, other } => write!(
                f,
                "{}: directory id {id} is also that of {}",
                path.display(),
                other.display()
            ),
        }
    }
}

impl std::error::Error for MetaPropertiesConflict {}

/// Checks that data directories belong together and to the node `node_id`.
///
/// # Errors
/// The first [`MetaPropertiesConflict`]: the node must not start.
pub fn verify(
    dirs: &[(PathBuf, MetaProperties)],
    node_id: i32,
) -> Result<(), MetaPropertiesConflict> {
    for (at, (dir, meta)) in dirs.iter().enumerate() {
        let path = path(dir);
        if meta.node_id != node_id {
            let (expected, got) = (node_id, meta.node_id);
            return Err(MetaPropertiesConflict::NodeId { path, expected, got });
        }
        let expected = &dirs[0].1.cluster_id;
        if meta.cluster_id != *expected {
            let (expected, got) = (expected.clone(), meta.cluster_id.clone());
            return Err(MetaPropertiesConflict::ClusterId { path, expected, got });
        }
        let Some(id) = meta.directory_id else { continue };
        let twin = dirs[..at].iter().find(|(_, earlier)| earlier.directory_id == Some(id));
        if let Some((other, _)) = twin {
            return Err(MetaPropertiesConflict::DirectoryId { path, id, other: other.clone() });
        }
    }
    Ok(())
}

/// A time as Java's `Date` prints it, in UTC: `Wed Nov 25 15:06:31 UTC 2026`.
fn java_date(now_ms: i64) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    const DAYS_IN_ERA: i64 = 146_097;
    let seconds = now_ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // 1970-01-01 was a Thursday.
    let weekday = WEEKDAYS[days.rem_euclid(7) as usize];
    // Years that begin in March have the leap day last, so a month's start is a linear formula;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    let (era, day_of_era) =
        ((days + 719_468).div_euclid(DAYS_IN_ERA), (days + 719_468).rem_euclid(DAYS_IN_ERA));
    let leap_days = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / (DAYS_IN_ERA - 1);
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = era * 400 + year_of_era + i64::from(month < 2);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    let month = MONTHS[month as usize];
    format!("{weekday} {month} {day:02} {hour:02}:{minute:02}:{:02} UTC {year}", second % 60)
}

#[cfg(test)]
mod tests;

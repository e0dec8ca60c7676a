//! The features of a cluster: their names, the levels that this build knows, and what the level of
//! metadata.version says about record versions.

use std::fmt;

/// The feature that governs the metadata log itself; its level names a Kafka release.
pub const METADATA_VERSION: &str = "metadata.version";
/// The feature of tracking eligible leader replicas (KIP-966).
pub const ELIGIBLE_LEADER_REPLICAS_VERSION: &str = "eligible.leader.replicas.version";
/// The feature of transactions; level 2 is KIP-890.
pub const TRANSACTION_VERSION: &str = "transaction.version";
/// The feature of groups; level 1 is KIP-848.
pub const GROUP_VERSION: &str = "group.version";
/// The feature of share groups (KIP-932).
pub const SHARE_VERSION: &str = "share.version";
/// The feature of streams groups (KIP-1071).
pub const STREAMS_VERSION: &str = "streams.version";
/// The feature of the quorum; level 1 is KIP-853. Never in a metadata record: it is the quorum's.
pub const KRAFT_VERSION: &str = "kraft.version";

/// A feature: the levels that Kafka 4.3 knows and the one that it formats a directory with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// The lowest level known.
    pub min: i16,
    /// The highest level known.
    pub max: i16,
    /// The level of a fresh directory; 0 is off, and no record is written.
    pub formatted: i16,
}

const fn feature(name: &'static str, min: i16, max: i16, formatted: i16) -> Feature {
    Feature { name, min, max, formatted }
}

/// The features of Kafka 4.3, in the order in which `kafka-storage format` writes them. A node must
/// say that it knows them all, or a Kafka controller refuses its registration.
pub const FEATURES: [Feature; 7] = [
    feature(METADATA_VERSION, 7, METADATA_VERSION_4_3, METADATA_VERSION_4_3),
    feature(ELIGIBLE_LEADER_REPLICAS_VERSION, 0, 1, 1),
    feature(GROUP_VERSION, 0, 1, 1),
    feature(SHARE_VERSION, 0, 1, 1),
    feature(STREAMS_VERSION, 0, 1, 1),
    feature(TRANSACTION_VERSION, 0, 2, 2),
    feature(KRAFT_VERSION, 0, 1, 0),
];

/// A finalized level that this build cannot work with: the log may then hold what it would not
/// understand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownLevel {
    /// The feature.
    pub name: String,
    /// Its level.
    pub level: i16,
    /// The declaration; `None` when the feature itself is unknown.
    pub known: Option<Feature>,
}

/// Says what is known instead.
impl fmt::Display for UnknownLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnknownLevel { name, level, known } = self;
        match known {
            None => write!(f, "feature {name}, of level {level}, is not known"),
            Some(Feature { min, max, .. }) => {
                write!(f, "feature {name} is at level {level}, known are {min} to {max}")
            }
        }
    }
}

/// Checks one level. Level 0 of any feature is that of its absence.
fn unknown_level(name: &str, level: i16) -> Option<UnknownLevel> {
    let known = FEATURES.into_iter().find(|feature| feature.name == name);
    let is_known = known.is_some_and(|known| (known.min..=known.max).contains(&level));
    (level != 0 && !is_known).then(|| UnknownLevel { name: name.to_owned(), level, known })
}

/// The levels of an image, and that of the quorum, that this build cannot work with.
pub fn unknown_levels(image: &crate::image::Image, kraft_version: i16) -> Vec<UnknownLevel> {
    let levels = image.features().iter().map(|(name, level)| (&**name, *level));
    levels
        .chain([(KRAFT_VERSION, kraft_version)])
        .filter_map(|(name, level)| unknown_level(name, level))
        .collect()
}

/// The level of metadata.version for 4.3-IV0.
pub const METADATA_VERSION_4_3: i16 = 30;

/// The levels of metadata.version that brought something new into the log: below one of them, what
/// was written at it or above could not be read.
const CHANGES: [i16; 8] = [8, 11, 13, 14, 15, 17, 23, 30];

/// Whether the log can be read after metadata.version went down from one level to another: nothing
/// new came in between.
pub(crate) fn is_downgrade_lossless(from: i16, to: i16) -> bool {
    !CHANGES.iter().any(|change| to < *change && *change <= from)
}

/// The first level that logs can end metadata transactions with (3.6-IV1).
const TRANSACTIONS_FROM: i16 = 13;
/// The first level at which replicas name their directories (3.7-IV2).
const DIRECTORIES_FROM: i16 = 17;
/// The first level at which controllers register (3.7-IV0).
const CONTROLLER_REGISTRATION_FROM: i16 = 15;
/// The first level at which a ZooKeeper broker could say that it migrates (3.4-IV0).
const MIGRATION_FROM: i16 = 8;
/// The first level at which partitions can name eligible leaders (4.0-IV1).
const ELR_FROM: i16 = 23;
/// The first level at which directories can be cordoned (4.3-IV0).
const CORDONED_DIRECTORIES_FROM: i16 = 30;

/// What may be written at one level of metadata.version, so that every Kafka that can read the
/// directory's other records can read Ottla's too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordVersions {
    metadata_version: i16,
    elr: bool,
}

impl RecordVersions {
    /// For a level of metadata.version, and whether the feature of tracking eligible leaders is on;
    /// below a level that has fields for them it counts as off.
    pub fn new(metadata_version: i16, elr: bool) -> Self {
        RecordVersions { metadata_version, elr: elr && metadata_version >= ELR_FROM }
    }

    /// Whether a batch of records can be made a transaction.
    pub fn has_transactions(self) -> bool {
        self.metadata_version >= TRANSACTIONS_FROM
    }

    /// Whether controllers register.
    pub fn has_controller_registration(self) -> bool {
        self.metadata_version >= CONTROLLER_REGISTRATION_FROM
    }

    /// Whether replicas name their directories.
    pub fn has_directories(self) -> bool {
        self.metadata_version >= DIRECTORIES_FROM
    }

    /// Whether a broker says which of its directories are cordoned.
    pub fn has_cordoned_directories(self) -> bool {
        self.metadata_version >= CORDONED_DIRECTORIES_FROM
    }

    /// Whether eligible leaders are tracked.
    pub fn has_elr(self) -> bool {
        self.elr
    }

    /// The version of a RegisterBroker record.
    pub fn register_broker(self) -> i16 {
        match self.metadata_version {
            CORDONED_DIRECTORIES_FROM.. => 4,
            DIRECTORIES_FROM.. => 3,
            MIGRATION_FROM.. => 2,
            _ => 1,
        }
    }

    /// The version of a Partition or PartitionChange record.
    pub fn partition(self) -> i16 {
        match self.metadata_version {
            ELR_FROM.. => 2,
            DIRECTORIES_FROM.. => 1,
            _ => 0,
        }
    }
}

impl RecordVersions {
    /// Those of the levels that an image has.
    pub fn of(image: &crate::image::Image) -> Self {
        RecordVersions::new(image.metadata_version(), image.is_elr_enabled())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image;
    use ottla_protocol::metadata::cluster::FeatureLevelRecord;

    fn found(levels: &[(&str, i16)], kraft_version: i16) -> Vec<String> {
        let mut image = Image::empty();
        for ((name, feature_level), offset) in levels.iter().zip(0..) {
            let record = FeatureLevelRecord { name, feature_level: *feature_level };
            image.apply(&record.into(), offset).unwrap();
        }
        unknown_levels(&image, kraft_version).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn levels_of_kafka_4_3_and_before_are_known() {
        for feature in FEATURES.iter().filter(|feature| feature.name != KRAFT_VERSION) {
            for level in feature.min.max(1)..=feature.max {
                assert!(found(&[(feature.name, level)], 0).is_empty(), "{feature:?}");
            }
        }
        assert!(found(&[], 1).is_empty());
    }

    #[test]
    fn levels_beyond_them_are_told_by_name() {
        for (levels, kraft_version, expected) in [
            (&[("metadata.version", 31)][..], 0, "feature metadata.version is at level 31, known"),
            (&[("metadata.version", 6)], 0, "feature metadata.version is at level 6, known are 7"),
            (&[("group.version", 2)], 0, "feature group.version is at level 2, known are 0 to 1"),
            (&[("transaction.version", 3)], 0, "feature transaction.version is at level 3"),
            (&[("tea.version", 1)], 0, "feature tea.version, of level 1, is not known"),
            (&[], 2, "feature kraft.version is at level 2, known are 0 to 1"),
        ] {
            let found = found(levels, kraft_version);
            assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
        }
    }
}

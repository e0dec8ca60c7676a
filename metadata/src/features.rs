//! The features of a cluster: their names, the levels that this build knows, and what the level of
//! metadata.version says about record versions.

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

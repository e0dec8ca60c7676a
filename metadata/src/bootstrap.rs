//! The records that a fresh directory begins with.
//!
//! `bootstrap.checkpoint` has the form of a snapshot and says which feature levels a new cluster
//! starts with; `kafka-storage format` writes it. A controller that finds an empty metadata log
//! copies these records into it, as one transaction, with one config added:
//!
//! ```text
//! BeginTransaction "Bootstrap records"
//! FeatureLevel metadata.version 30, and each other feature that is on
//! Config min.insync.replicas, of all brokers         only if eligible leaders are tracked
//! EndTransaction
//! ```

use crate::controller::Records;
use crate::features::{FEATURES, RecordVersions};
use crate::image::{ConfigResourceType, Image};
use crate::log_codec::{BatchPlace, DecodeError};
use crate::replay::{LogError, Replay};
use crate::snapshot;
use ottla_protocol::metadata::MetadataRecord;
use ottla_protocol::metadata::cluster::{
    BeginTransactionRecord, EndTransactionRecord, FeatureLevelRecord,
};
use ottla_protocol::metadata::config::ConfigRecord;

/// The name of the file, in the directory that holds the metadata log.
pub const FILE_NAME: &str = "bootstrap.checkpoint";

/// The name that Kafka gives to the transaction of the first records.
const TRANSACTION_NAME: &str = "Bootstrap records";

/// The records of a directory that is formatted for Kafka 4.3: the level of each feature.
pub fn records() -> Records {
    let mut records = Records::new();
    for feature in FEATURES.iter().filter(|feature| feature.formatted > 0) {
        let record = FeatureLevelRecord { name: feature.name, feature_level: feature.formatted };
        records.push(&MetadataRecord::FeatureLevel(record), 0);
    }
    records
}

/// The bytes of `bootstrap.checkpoint` with those records, made at `now_ms`.
pub fn checkpoint(records: &Records, now_ms: i64) -> Vec<u8> {
    let place = BatchPlace { base_offset: 0, epoch: 0, now_ms };
    let header = snapshot::Header::default();
    snapshot::file(records, &header, place)
}

/// The records in the bytes of a `bootstrap.checkpoint`. Beside levels there can be SCRAM
/// credentials, which `kafka-storage format --add-scram` puts there.
///
/// # Errors
/// When the bytes are no snapshot.
pub fn read_checkpoint(bytes: &[u8]) -> Result<Records, DecodeError> {
    snapshot::read_file(bytes).map(|(records, _)| records)
}

/// What a controller writes into an empty log, as one batch at `base_offset`, and the image then.
/// `min_insync_replicas` is what its own configuration says of that key.
///
/// # Errors
/// When the bootstrap records cannot be applied to an empty image.
pub fn first_records(
    bootstrap: &Records,
    min_insync_replicas: &str,
    base_offset: i64,
) -> Result<(Records, Image), LogError> {
    let mut levels = Replay::new(Image::empty());
    for (value, offset) in bootstrap.iter().zip(0..) {
        levels.apply_value(value, offset)?;
    }
    let versions = RecordVersions::of(levels.image());
    let mut records = Records::new();
    if versions.has_transactions() {
        let record = BeginTransactionRecord { name: Some(TRANSACTION_NAME) };
        records.push(&MetadataRecord::BeginTransaction(record), 0);
    }
    records.append(bootstrap);
    if versions.has_elr() {
        // With eligible leaders all brokers must agree on this key, so it is set for all of them.
        let record = ConfigRecord {
            resource_type: ConfigResourceType::Broker.code(),
            resource_name: "",
            name: "min.insync.replicas",
            value: Some(min_insync_replicas),
        };
        records.push(&MetadataRecord::Config(record), 0);
    }
    if versions.has_transactions() {
        records.push(&MetadataRecord::EndTransaction(EndTransactionRecord::default()), 0);
    }
    let mut replay = Replay::new(Image::empty());
    for (value, offset) in records.iter().zip(base_offset..) {
        replay.apply_value(value, offset)?;
    }
    Ok((records, replay.into_image()))
}

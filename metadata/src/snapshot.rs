//! Snapshots of the metadata log: an image as a file of records.
//!
//! ```text
//! {end offset, 20 digits}-{epoch, 10 digits}.checkpoint
//!
//! offset 0     SnapshotHeader, then KraftVersion and KraftVoters if the voters are in the log
//! then         data batches: features, brokers, controllers, topics with their partitions,
//!              configs, client quotas, producer ids, ACLs, SCRAM credentials, tokens
//! last offset  SnapshotFooter
//! ```
//!
//! The file stands for all records below its end offset. Offsets inside of it count from 0, and
//! all batches carry the epoch of the name. Within a kind Ottla sorts; Kafka does not.

use crate::controller::Records;
use crate::features::{METADATA_VERSION, RecordVersions};
use crate::image::{self, Image, KeptKey, Partition, Topic};
use crate::log_codec::{self, BatchPlace, Content, DecodeError, QuorumRecords};
use crate::replay::{LogError, Progress, Replay};
use ottla_protocol::metadata::MetadataRecord;
use ottla_protocol::metadata::cluster::{FeatureLevelRecord, ProducerIdsRecord};
use ottla_protocol::metadata::config::ConfigRecord;
use ottla_protocol::metadata::control::{
    MetadataControl, SnapshotFooterRecord, SnapshotHeaderRecord,
};
use ottla_protocol::metadata::topic::{PartitionRecord, TopicRecord};
use ottla_protocol::record::control::ControlType;
use std::fmt;

/// What ends the name of a snapshot.
pub const FILE_SUFFIX: &str = ".checkpoint";

/// Records in one data batch at most, as in Kafka, so that a reader's buffer stays small.
const BATCH_RECORDS_MAX: usize = 1024;

/// Bytes of values after which a data batch gets no further one. Kafka's bound for a batch.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// Which part of the log a snapshot stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId {
    /// The offset after the last record that it covers.
    pub end_offset: i64,
    /// The epoch of that last record.
    pub epoch: i32,
}

impl SnapshotId {
    /// The id that a file's name states; `None` when it is not a snapshot's name.
    pub fn from_file_name(name: &str) -> Option<Self> {
        let (end_offset, epoch) = name.strip_suffix(FILE_SUFFIX)?.split_once('-')?;
        let digits = |text: &str, count: usize| {
            text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(end_offset, 20) || !digits(epoch, 10) {
            return None;
        }
        Some(SnapshotId { end_offset: end_offset.parse().ok()?, epoch: epoch.parse().ok()? })
    }
}

/// The name of the file.
impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}-{:010}{FILE_SUFFIX}", self.end_offset, self.epoch)
    }
}

/// What a snapshot's control records say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The time of the last record that it covers, ms.
    pub last_contained_log_timestamp: i64,
    /// The quorum.
    pub quorum: QuorumRecords,
}

/// The snapshot of what has been replayed: its id and the bytes of its file. `None` while a
/// transaction is open, since its records could still be aborted, and before the first record.
pub fn of_replay(replay: &Replay, now_ms: i64) -> Option<(SnapshotId, Vec<u8>)> {
    if replay.open_transaction().is_some() || replay.offset() < 0 {
        return None;
    }
    let progress = replay.progress();
    let id = SnapshotId { end_offset: replay.offset() + 1, epoch: progress.epoch };
    let header = Header {
        last_contained_log_timestamp: progress.timestamp_ms,
        quorum: progress.quorum.clone(),
    };
    let place = BatchPlace { base_offset: 0, epoch: id.epoch, now_ms };
    Some((id, file(&records(replay.image()), &header, place)))
}

/// Reads the file of a snapshot into a replay that goes on at its end offset.
///
/// # Errors
/// When the file is malformed, incomplete, or its records cannot follow each other.
pub fn read(bytes: &[u8], id: SnapshotId) -> Result<Replay, LogError> {
    let (records, header) = read_file(bytes).map_err(LogError::Decode)?;
    let mut replay = Replay::new(Image::empty());
    for (value, offset) in records.iter().zip(0..) {
        replay.apply_value(value, offset)?;
    }
    let mut image = replay.into_image();
    image.set_offset(id.end_offset - 1);
    let progress = Progress {
        epoch: id.epoch,
        timestamp_ms: header.last_contained_log_timestamp,
        quorum: header.quorum,
    };
    Ok(Replay::resume(image, progress))
}

/// The records that make an empty image into this one.
pub fn records(image: &Image) -> Records {
    let versions = RecordVersions::of(image);
    let mut records = Records::new();
    push_features(image, &mut records);
    for broker in image.brokers().values() {
        let record = MetadataRecord::RegisterBroker(broker.to_record(versions));
        records.push(&record, versions.register_broker());
    }
    for controller in image.controllers().values() {
        records.push(&MetadataRecord::RegisterController(controller.to_record()), 0);
    }
    for topic in image.topics().iter() {
        push_topic(topic, versions, &mut records);
    }
    for (resource_type, resource_name, entries) in image.configs().iter() {
        for (name, value) in entries {
            let value = Some(&**value);
            let record = ConfigRecord { resource_type, resource_name, name, value };
            records.push(&MetadataRecord::Config(record), 0);
        }
    }
    for (entity, limits) in image.client_quotas().iter() {
        for (key, limit) in limits {
            let record = image::quota_record(entity, key, Some(*limit));
            records.push(&MetadataRecord::ClientQuota(record), 0);
        }
    }
    if image.next_producer_id() > 0 {
        let next_producer_id = image.next_producer_id();
        let record = ProducerIdsRecord { broker_id: -1, broker_epoch: -1, next_producer_id };
        records.push(&MetadataRecord::ProducerIds(record), 0);
    }
    let is_acl = |key: &KeptKey| matches!(key, KeptKey::AccessControlEntry(_));
    push_kept(image, is_acl, &mut records);
    for (name, credentials) in image.scram_credentials().iter() {
        for (mechanism, credential) in credentials {
            let record = image::scram_record(name, *mechanism, credential);
            records.push(&MetadataRecord::UserScramCredential(record), 0);
        }
    }
    push_kept(image, |key| !is_acl(key), &mut records);
    records
}

/// The level of metadata.version comes first: it says how to read the rest.
fn push_features(image: &Image, records: &mut Records) {
    let mut push = |name: &str, feature_level: i16| {
        let record = FeatureLevelRecord { name, feature_level };
        records.push(&MetadataRecord::FeatureLevel(record), 0);
    };
    if image.metadata_version() > 0 {
        push(METADATA_VERSION, image.metadata_version());
    }
    for (name, level) in image.features().iter().filter(|(name, _)| &***name != METADATA_VERSION) {
        push(name, *level);
    }
}

fn push_topic(topic: &Topic, versions: RecordVersions, records: &mut Records) {
    let record = TopicRecord { name: &topic.name, topic_id: topic.id };
    records.push(&MetadataRecord::Topic(record), 0);
    for (number, partition) in topic.partitions.iter() {
        let record = partition_record(topic, *number, partition, versions);
        records.push(&MetadataRecord::Partition(record), versions.partition());
    }
}

fn partition_record(
    topic: &Topic,
    partition_id: i32,
    partition: &Partition,
    versions: RecordVersions,
) -> PartitionRecord {
    let has_elr_fields = versions.partition() >= 2;
    let eligible = |list: &Vec<i32>| Some(list.clone()).filter(|l| has_elr_fields && !l.is_empty());
    let directories = match versions.has_directories() {
        true => partition.directories.clone(),
        false => vec![],
    };
    PartitionRecord {
        partition_id,
        topic_id: topic.id,
        replicas: partition.replicas.clone(),
        isr: partition.isr.clone(),
        removing_replicas: partition.removing_replicas.clone(),
        adding_replicas: partition.adding_replicas.clone(),
        leader: partition.leader,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        directories,
        leader_recovery_state: partition.leader_recovery_state,
        eligible_leader_replicas: eligible(&partition.elr),
        last_known_elr: eligible(&partition.last_known_elr),
    }
}

fn push_kept(image: &Image, wanted: impl Fn(&KeptKey) -> bool, records: &mut Records) {
    for (_, value) in image.kept().iter().filter(|(key, _)| wanted(key)) {
        records.push_value(value);
    }
}

/// The bytes of a snapshot file with those records. `place.base_offset` must be 0.
///
/// # Panics
/// If one record takes nearly 2 GiB, which none that came out of a batch does.
pub fn file(records: &Records, header: &Header, place: BatchPlace) -> Vec<u8> {
    let small = "batches of a snapshot are far smaller than 2 GiB";
    let control = |control: MetadataControl<'_>| control.to_bytes().expect("version 0 has it all");
    let last_contained_log_timestamp = header.last_contained_log_timestamp;
    let first = SnapshotHeaderRecord { version: 0, last_contained_log_timestamp };
    let first = control(MetadataControl::SnapshotHeader(first));
    let last = control(MetadataControl::SnapshotFooter(SnapshotFooterRecord { version: 0 }));

    let mut controls = vec![(ControlType::SnapshotHeader, &*first)];
    let kraft_version = header.quorum.kraft_version.iter();
    controls.extend(kraft_version.map(|value| (ControlType::KraftVersion, &**value)));
    let voters = header.quorum.voters.iter();
    controls.extend(voters.map(|value| (ControlType::KraftVoters, &**value)));
    let mut next = BatchPlace { base_offset: controls.len() as i64, ..place };
    let mut bytes = log_codec::control_batch(controls, place).expect(small);

    let mut values = records.iter().peekable();
    while values.peek().is_some() {
        let mut size_bytes = 0;
        let mut batch: Vec<&[u8]> = vec![];
        while batch.len() < BATCH_RECORDS_MAX && size_bytes < BATCH_BYTES_MAX {
            let Some(value) = values.next() else { break };
            size_bytes += value.len();
            batch.push(value);
        }
        let count = batch.len() as i64;
        bytes.extend_from_slice(&log_codec::data_batch(batch, next).expect(small));
        next.base_offset += count;
    }
    let footer = [(ControlType::SnapshotFooter, &*last)];
    bytes.extend_from_slice(&log_codec::control_batch(footer, next).expect(small));
    bytes
}

/// The data records and the control records of a snapshot file.
///
/// # Errors
/// When a batch is malformed, or header or footer is not where it belongs. A file that was not
/// written to its end has no footer.
pub fn read_file(bytes: &[u8]) -> Result<(Records, Header), DecodeError> {
    let (mut records, mut header) = (Records::new(), Header::default());
    let (mut has_header, mut has_footer) = (false, false);
    let mut batches = log_codec::batches(bytes);
    while let Some(batch) = batches.next_batch()? {
        for entry in batch.entries()? {
            let entry = entry?;
            if has_footer {
                return Err(DecodeError::NoFooter);
            }
            match entry.content {
                Content::Control(ControlType::SnapshotHeader, value) if !has_header => {
                    let read = MetadataControl::read(ControlType::SnapshotHeader, value);
                    let Ok(Some(MetadataControl::SnapshotHeader(first))) = read else {
                        return Err(DecodeError::NoHeader);
                    };
                    header.last_contained_log_timestamp = first.last_contained_log_timestamp;
                    has_header = true;
                }
                _ if !has_header => return Err(DecodeError::NoHeader),
                Content::Control(ControlType::SnapshotFooter, _) => has_footer = true,
                Content::Control(control_type, value) => header.quorum.note(control_type, value),
                Content::Record(value) => records.push_value(value),
            }
        }
    }
    if !has_header {
        return Err(DecodeError::NoHeader);
    }
    if !has_footer || batches.position() != bytes.len() {
        return Err(DecodeError::NoFooter);
    }
    Ok((records, header))
}

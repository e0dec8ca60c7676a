//! The cluster image: everything that the metadata log says, at one offset.
//!
//! An [`Image`] is changed only by [`Image::apply`], one record at a time, and is the sum of the
//! records before it. Its clones share their memory, see [`SharedMap`], so the writer keeps one and
//! hands clones to whoever reads. Replay with transactions is one level up, in [`crate::replay`].

mod cluster;
mod configs;
mod error;
mod kept;
mod quotas;
mod scram;
mod shared_map;
mod topics;

#[cfg(test)]
mod tests;

pub use cluster::{Broker, Controller, Endpoint, FeatureRange};
pub use configs::{ConfigEntries, ConfigResourceType, Configs};
pub use error::ReplayError;
pub use kept::{Kept, KeptKey};
pub(crate) use quotas::quota_record;
pub use quotas::{ClientQuotas, QuotaEntity, QuotaLimits};
pub(crate) use scram::scram_record;
pub use scram::{ScramCredential, ScramCredentials, ScramMechanism, UserCredentials};
pub use shared_map::SharedMap;
pub(crate) use topics::folded;
pub use topics::{NO_LEADER, NO_LEADER_CHANGE, Partition, Topic, Topics};

use crate::features;
use ottla_protocol::metadata::MetadataRecord;
use ottla_protocol::metadata::cluster::FeatureLevelRecord;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The offset of an image that no record was applied to.
pub const NO_OFFSET: i64 = -1;

/// The state of the cluster after the record at [`Image::offset`].
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    offset: i64,
    features: BTreeMap<Arc<str>, i16>,
    controllers: BTreeMap<i32, Arc<Controller>>,
    brokers: BTreeMap<i32, Arc<Broker>>,
    topics: Topics,
    configs: Configs,
    client_quotas: ClientQuotas,
    scram_credentials: ScramCredentials,
    next_producer_id: i64,
    kept: Kept,
}

impl Image {
    /// The image before the first record of a log.
    pub fn empty() -> Self {
        Image {
            offset: NO_OFFSET,
            features: BTreeMap::new(),
            controllers: BTreeMap::new(),
            brokers: BTreeMap::new(),
            topics: Topics::default(),
            configs: Configs::default(),
            client_quotas: ClientQuotas::default(),
            scram_credentials: ScramCredentials::default(),
            next_producer_id: 0,
            kept: Kept::default(),
        }
    }

    /// The offset of the last record applied, [`NO_OFFSET`] before the first. ApiVersions calls it
    /// the epoch of the finalized features.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// The finalized level of each feature that is on, by name.
    pub fn features(&self) -> &BTreeMap<Arc<str>, i16> {
        &self.features
    }

    /// The finalized level of one feature; 0 when it is off or unknown.
    pub fn feature_level(&self, name: &str) -> i16 {
        self.features.get(name).copied().unwrap_or(0)
    }

    /// The finalized metadata.version; 0 before it was written.
    pub fn metadata_version(&self) -> i16 {
        self.feature_level(features::METADATA_VERSION)
    }

    /// Whether partitions track their eligible leader replicas (KIP-966).
    pub fn is_elr_enabled(&self) -> bool {
        self.feature_level(features::ELIGIBLE_LEADER_REPLICAS_VERSION) > 0
    }

    /// The registered controllers, by id.
    pub fn controllers(&self) -> &BTreeMap<i32, Arc<Controller>> {
        &self.controllers
    }

    /// The registered brokers, fenced ones too, by id.
    pub fn brokers(&self) -> &BTreeMap<i32, Arc<Broker>> {
        &self.brokers
    }

    /// Whether a broker may lead and may be given replicas: registered, not fenced and not
    /// stopping.
    pub fn is_broker_active(&self, id: i32) -> bool {
        self.brokers.get(&id).is_some_and(|broker| broker.is_active())
    }

    /// The topics, by name and by id.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// The dynamic configs of all resources.
    pub fn configs(&self) -> &Configs {
        &self.configs
    }

    /// The client quotas.
    pub fn client_quotas(&self) -> &ClientQuotas {
        &self.client_quotas
    }

    /// The SCRAM credentials.
    pub fn scram_credentials(&self) -> &ScramCredentials {
        &self.scram_credentials
    }

    /// The first producer id that no block holds yet.
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    /// What is carried from snapshot to snapshot but not understood: ACLs and the like.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Accounts for an offset that holds no metadata record: a control record of the log.
    pub fn skip(&mut self, offset: i64) -> Result<(), ReplayError> {
        if offset <= self.offset {
            return Err(ReplayError::OffsetNotAbove { last: self.offset, got: offset });
        }
        self.offset = offset;
        Ok(())
    }

    /// For a snapshot, whose records have other offsets than the log that it stands for.
    pub(crate) fn set_offset(&mut self, offset: i64) {
        self.offset = offset;
    }

    /// Applies the record at `offset`. A refused record leaves the image as it was.
    ///
    /// Markers of a metadata transaction are refused here, since an image alone cannot undo what
    /// an aborted one did; see [`crate::replay::Replay`].
    pub fn apply(&mut self, record: &MetadataRecord<'_>, offset: i64) -> Result<(), ReplayError> {
        self.apply_read(record, None, offset)
    }

    /// [`Image::apply`] of a record that was read from `value`, which is kept as it is if the
    /// record is one that is only carried along.
    pub(crate) fn apply_read(
        &mut self,
        record: &MetadataRecord<'_>,
        value: Option<&[u8]>,
        offset: i64,
    ) -> Result<(), ReplayError> {
        if offset <= self.offset {
            return Err(ReplayError::OffsetNotAbove { last: self.offset, got: offset });
        }
        self.change(record, value)?;
        self.offset = offset;
        Ok(())
    }

    fn change(
        &mut self,
        record: &MetadataRecord<'_>,
        value: Option<&[u8]>,
    ) -> Result<(), ReplayError> {
        use MetadataRecord as R;
        match record {
            R::NoOp(_) => Ok(()),
            R::BeginTransaction(_) | R::EndTransaction(_) | R::AbortTransaction(_) => {
                Err(ReplayError::TransactionMarker)
            }
            R::FeatureLevel(record) => self.set_feature(record),
            R::ProducerIds(record) => self.set_next_producer_id(record.next_producer_id),
            R::Config(record) => {
                self.configs.replay(record);
                Ok(())
            }
            R::Topic(record) => self.topics.replay_topic(record),
            R::Partition(record) => self.topics.replay_partition(record),
            R::PartitionChange(record) => self.topics.replay_partition_change(record),
            R::ClearElr(record) => self.topics.replay_clear_elr(record),
            R::RemoveTopic(record) => {
                let topic = self.topics.replay_remove_topic(record)?;
                self.configs.remove_resource(ConfigResourceType::Topic.code(), &topic.name);
                Ok(())
            }
            R::RegisterController(record) => {
                let controller = Controller::from_record(record);
                self.controllers.insert(controller.id, Arc::new(controller));
                Ok(())
            }
            R::RegisterBroker(_)
            | R::UnregisterBroker(_)
            | R::FenceBroker(_)
            | R::UnfenceBroker(_)
            | R::BrokerRegistrationChange(_) => cluster::replay(&mut self.brokers, record),
            R::ClientQuota(record) => {
                self.client_quotas.replay(record);
                Ok(())
            }
            R::UserScramCredential(record) => {
                self.scram_credentials.replay(record);
                Ok(())
            }
            R::RemoveUserScramCredential(record) => {
                self.scram_credentials.replay_remove(record);
                Ok(())
            }
            R::AccessControlEntry(_)
            | R::RemoveAccessControlEntry(_)
            | R::DelegationToken(_)
            | R::RemoveDelegationToken(_)
            | R::ZkMigrationState(_)
            | R::Unknown(_) => self.kept.replay(record, value),
            // Kinds that the record table has and this list lacks: neither drop nor guess.
            _ => Err(ReplayError::NotEncodable { api_key: record.api_key() }),
        }
    }

    fn set_feature(&mut self, record: &FeatureLevelRecord<'_>) -> Result<(), ReplayError> {
        match record.feature_level {
            0 => {
                self.features.remove(record.name);
            }
            level if level < 0 => {
                return Err(ReplayError::FeatureLevel { name: record.name.into(), level });
            }
            level => {
                self.features.insert(record.name.into(), level);
            }
        }
        Ok(())
    }

    fn set_next_producer_id(&mut self, next_producer_id: i64) -> Result<(), ReplayError> {
        if next_producer_id <= self.next_producer_id {
            let next = self.next_producer_id;
            return Err(ReplayError::ProducerIdsNotAbove { next, got: next_producer_id });
        }
        self.next_producer_id = next_producer_id;
        Ok(())
    }
}

impl Default for Image {
    fn default() -> Self {
        Image::empty()
    }
}

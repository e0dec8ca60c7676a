//! Registrations of brokers and controllers, and the replay of the records about them.

use super::ReplayError;
use crate::features::RecordVersions;
use ottla_protocol::metadata::MetadataRecord;
use ottla_protocol::metadata::node::{
    BrokerEndpoint, BrokerFeature, BrokerRegistrationChangeRecord, ControllerEndpoint,
    ControllerFeature, RegisterBrokerRecord, RegisterControllerRecord,
};
use ottla_protocol::uuid::Uuid;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A listener of a broker or controller, as it is told to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name.
    pub name: Arc<str>,
    /// The host to connect to.
    pub host: Arc<str>,
    /// The port to connect to.
    pub port: u16,
    /// The security protocol's number: 0 is PLAINTEXT.
    pub security_protocol: i16,
}

/// The levels of a feature that a node can work with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureRange {
    /// The feature's name.
    pub name: Arc<str>,
    /// The lowest level.
    pub min: i16,
    /// The highest level.
    pub max: i16,
}

/// A registered controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// Its node id.
    pub id: i32,
    /// A fresh id of each start of its process.
    pub incarnation_id: Uuid,
    /// Whether it could take part in a migration from ZooKeeper; false since that is gone.
    pub zk_migration_ready: bool,
    /// Its listeners.
    pub endpoints: Vec<Endpoint>,
    /// The features that it knows.
    pub features: Vec<FeatureRange>,
}

impl Controller {
    pub(super) fn from_record(record: &RegisterControllerRecord<'_>) -> Self {
        let endpoint = |end: &ControllerEndpoint<'_>| Endpoint {
            name: end.name.into(),
            host: end.host.into(),
            port: end.port,
            security_protocol: end.security_protocol,
        };
        let feature = |feature: &ControllerFeature<'_>| FeatureRange {
            name: feature.name.into(),
            min: feature.min_supported_version,
            max: feature.max_supported_version,
        };
        Controller {
            id: record.controller_id,
            incarnation_id: record.incarnation_id,
            zk_migration_ready: record.zk_migration_ready,
            endpoints: record.end_points.iter().map(endpoint).collect(),
            features: record.features.iter().map(feature).collect(),
        }
    }

    /// The record that registers it.
    pub(crate) fn to_record(&self) -> RegisterControllerRecord<'_> {
        let endpoints = self.endpoints.iter().map(|endpoint| ControllerEndpoint {
            name: &endpoint.name,
            host: &endpoint.host,
            port: endpoint.port,
            security_protocol: endpoint.security_protocol,
        });
        let features = self.features.iter().map(|feature| ControllerFeature {
            name: &feature.name,
            min_supported_version: feature.min,
            max_supported_version: feature.max,
        });
        RegisterControllerRecord {
            controller_id: self.id,
            incarnation_id: self.incarnation_id,
            zk_migration_ready: self.zk_migration_ready,
            end_points: endpoints.collect(),
            features: features.collect(),
        }
    }
}

/// A registered broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its node id.
    pub id: i32,
    /// The epoch of this registration: the offset at which the log ended when it was made.
    pub epoch: i64,
    /// A fresh id of each start of its process.
    pub incarnation_id: Uuid,
    /// Whether it is a ZooKeeper broker on its way to KRaft; false since that is gone.
    pub is_migrating_zk_broker: bool,
    /// Its listeners.
    pub endpoints: Vec<Endpoint>,
    /// The features that it knows.
    pub features: Vec<FeatureRange>,
    /// Where it stands, if it says.
    pub rack: Option<Arc<str>>,
    /// Whether it may not lead or be named to clients.
    pub fenced: bool,
    /// Whether it is stopping in order.
    pub in_controlled_shutdown: bool,
    /// The ids of its log directories.
    pub directories: Vec<Uuid>,
    /// Directories that get no new partitions; `None` when it never said.
    pub cordoned_directories: Option<Vec<Uuid>>,
}

impl Broker {
    /// Whether it may lead and be given replicas: neither fenced nor stopping.
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    /// Whether it has a directory that may get new partitions, or names none at all.
    pub fn has_uncordoned(&self) -> bool {
        let cordoned = self.cordoned_directories.as_deref().unwrap_or_default();
        self.directories.is_empty() || self.directories.iter().any(|id| !cordoned.contains(id))
    }

    /// The listener of that name.
    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| &*endpoint.name == listener)
    }

    fn from_record(record: &RegisterBrokerRecord<'_>) -> Self {
        let endpoint = |end: &BrokerEndpoint<'_>| Endpoint {
            name: end.name.into(),
            host: end.host.into(),
            port: end.port,
            security_protocol: end.security_protocol,
        };
        let feature = |feature: &BrokerFeature<'_>| FeatureRange {
            name: feature.name.into(),
            min: feature.min_supported_version,
            max: feature.max_supported_version,
        };
        Broker {
            id: record.broker_id,
            epoch: record.broker_epoch,
            incarnation_id: record.incarnation_id,
            is_migrating_zk_broker: record.is_migrating_zk_broker,
            endpoints: record.end_points.iter().map(endpoint).collect(),
            features: record.features.iter().map(feature).collect(),
            rack: record.rack.map(Into::into),
            fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            directories: record.log_dirs.clone(),
            cordoned_directories: record.cordoned_log_dirs.clone(),
        }
    }

    /// The record that registers it as it is, for [`RecordVersions::register_broker`].
    pub(crate) fn to_record(&self, versions: RecordVersions) -> RegisterBrokerRecord<'_> {
        let endpoints = self.endpoints.iter().map(|endpoint| BrokerEndpoint {
            name: &endpoint.name,
            host: &endpoint.host,
            port: endpoint.port,
            security_protocol: endpoint.security_protocol,
        });
        let features = self.features.iter().map(|feature| BrokerFeature {
            name: &feature.name,
            min_supported_version: feature.min,
            max_supported_version: feature.max,
        });
        let has_directories = versions.has_directories();
        let cordoned = self.cordoned_directories.clone();
        RegisterBrokerRecord {
            broker_id: self.id,
            is_migrating_zk_broker: self.is_migrating_zk_broker && versions.register_broker() >= 2,
            incarnation_id: self.incarnation_id,
            broker_epoch: self.epoch,
            end_points: endpoints.collect(),
            features: features.collect(),
            rack: self.rack.as_deref(),
            fenced: self.fenced,
            in_controlled_shutdown: self.in_controlled_shutdown,
            log_dirs: if has_directories { self.directories.clone() } else { vec![] },
            cordoned_log_dirs: cordoned.filter(|_| versions.has_cordoned_directories()),
        }
    }

    fn change(&mut self, record: &BrokerRegistrationChangeRecord) -> Result<(), ReplayError> {
        let id = self.id;
        let fenced = match record.fenced {
            0 => self.fenced,
            1 => true,
            -1 => false,
            code => return Err(ReplayError::BrokerChangeCode { id, field: "fenced", code }),
        };
        let in_controlled_shutdown = match record.in_controlled_shutdown {
            0 => self.in_controlled_shutdown,
            1 => true,
            code => {
                let field = "in_controlled_shutdown";
                return Err(ReplayError::BrokerChangeCode { id, field, code });
            }
        };
        self.fenced = fenced;
        self.in_controlled_shutdown = in_controlled_shutdown;
        if !record.log_dirs.is_empty() {
            self.directories.clone_from(&record.log_dirs);
        }
        if record.cordoned_log_dirs.is_some() {
            self.cordoned_directories.clone_from(&record.cordoned_log_dirs);
        }
        Ok(())
    }
}

type Brokers = BTreeMap<i32, Arc<Broker>>;

/// Applies a record about a broker's registration; others change nothing.
pub(super) fn replay(
    brokers: &mut Brokers,
    record: &MetadataRecord<'_>,
) -> Result<(), ReplayError> {
    match record {
        MetadataRecord::RegisterBroker(record) => {
            brokers.insert(record.broker_id, Arc::new(Broker::from_record(record)));
        }
        MetadataRecord::UnregisterBroker(record) => {
            registered(brokers, record.broker_id, record.broker_epoch)?;
            brokers.remove(&record.broker_id);
        }
        MetadataRecord::FenceBroker(record) => {
            registered(brokers, record.id, record.epoch)?.fenced = true;
        }
        MetadataRecord::UnfenceBroker(record) => {
            registered(brokers, record.id, record.epoch)?.fenced = false;
        }
        MetadataRecord::BrokerRegistrationChange(record) => {
            registered(brokers, record.broker_id, record.broker_epoch)?.change(record)?;
        }
        _ => {}
    }
    Ok(())
}

/// The registration of a broker, if it has the epoch that the record speaks of.
fn registered(brokers: &mut Brokers, id: i32, got: i64) -> Result<&mut Broker, ReplayError> {
    let broker = brokers.get_mut(&id).ok_or(ReplayError::BrokerUnknown { id })?;
    if broker.epoch != got {
        return Err(ReplayError::BrokerEpoch { id, registered: broker.epoch, got });
    }
    Ok(Arc::make_mut(broker))
}

//! Nodes that come and go: registration, fencing, and the order of records in which a node starts
//! and stops.

use super::elections::{self, Event};
use super::{Records, Refused};
use crate::bootstrap;
use crate::features::{METADATA_VERSION, RecordVersions};
use crate::image::{Broker, Controller, Endpoint, FeatureRange, Image};
use crate::replay::{LogError, Replay};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::metadata::MetadataRecord;
use ottla_protocol::metadata::cluster::AbortTransactionRecord;
use ottla_protocol::metadata::node::{BrokerRegistrationChangeRecord, UnregisterBrokerRecord};
use ottla_protocol::uuid::Uuid;
use std::fmt;

/// A controller that is about to act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerRegistration {
    /// Its node id.
    pub id: i32,
    /// A fresh id of this start of the process.
    pub incarnation_id: Uuid,
    /// Its listeners.
    pub endpoints: Vec<Endpoint>,
    /// The features that it knows; see [`crate::features::FEATURES`].
    pub features: Vec<FeatureRange>,
}

/// A broker that is about to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerRegistration {
    /// Its node id.
    pub id: i32,
    /// A fresh id of this start of the process.
    pub incarnation_id: Uuid,
    /// Its listeners as clients reach them.
    pub endpoints: Vec<Endpoint>,
    /// The features that it knows; see [`crate::features::FEATURES`].
    pub features: Vec<FeatureRange>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// The ids of its log directories, from `meta.properties`.
    pub directories: Vec<Uuid>,
    /// The epoch that every directory's `.kafka_cleanshutdown` names: with any other than that of
    /// the last registration, -1 too, the broker counts as crashed.
    pub previous_broker_epoch: i64,
}

/// Registers a controller; nothing when its release had no such record.
pub fn register_controller(image: &Image, registration: &ControllerRegistration) -> Records {
    let mut records = Records::new();
    if !RecordVersions::of(image).has_controller_registration() {
        return records;
    }
    let controller = Controller {
        id: registration.id,
        incarnation_id: registration.incarnation_id,
        zk_migration_ready: false,
        endpoints: registration.endpoints.clone(),
        features: registration.features.clone(),
    };
    records.push(&MetadataRecord::RegisterController(controller.to_record()), 0);
    records
}

/// Registers a broker, fenced. Its epoch is `next_offset`, the offset that the first of the records
/// will have. A broker that crashed is taken out of every ELR first.
///
/// # Errors
/// DUPLICATE_BROKER_REGISTRATION when a broker of that id is registered and not fenced,
/// UNSUPPORTED_VERSION when a feature's level is not one that it knows, INVALID_REGISTRATION
/// without listeners or with directories that are not distinct.
pub fn register_broker(
    image: &Image,
    registration: &BrokerRegistration,
    next_offset: i64,
) -> Result<Records, Refused> {
    check_registration(image, registration)?;
    let mut records = Records::new();
    let before = image.brokers().get(&registration.id);
    if before.is_some_and(|before| before.epoch != registration.previous_broker_epoch) {
        elections::push_changes(image, &Event::Crashed(registration.id), &mut records);
    }
    let broker = Broker {
        id: registration.id,
        epoch: next_offset,
        incarnation_id: registration.incarnation_id,
        is_migrating_zk_broker: false,
        endpoints: registration.endpoints.clone(),
        features: registration.features.clone(),
        rack: registration.rack.as_deref().map(Into::into),
        fenced: true,
        in_controlled_shutdown: false,
        directories: registration.directories.clone(),
        cordoned_directories: None,
    };
    let versions = RecordVersions::of(image);
    let record = MetadataRecord::RegisterBroker(broker.to_record(versions));
    records.push(&record, versions.register_broker());
    Ok(records)
}

fn check_registration(image: &Image, broker: &BrokerRegistration) -> Result<(), Refused> {
    let id = broker.id;
    let before = image.brokers().get(&id);
    if before.is_some_and(|before| !before.fenced) {
        let message = format!("Another broker is registered with that broker id: {id}.");
        return Err(Refused::new(ErrorCode::DUPLICATE_BROKER_REGISTRATION, message));
    }
    for (name, level) in image.features() {
        let knows = |feature: &FeatureRange| {
            feature.name == *name && feature.min <= *level && *level <= feature.max
        };
        if !broker.features.iter().any(knows) {
            let message = format!(
                "Unable to register because the broker does not support finalized version {level} \
                 of {name}."
            );
            return Err(Refused::new(ErrorCode::UNSUPPORTED_VERSION, message));
        }
    }
    let mut directories = broker.directories.clone();
    directories.sort_unstable();
    directories.dedup();
    if directories.len() != broker.directories.len() || directories.contains(&Uuid::ZERO) {
        let message = format!("The directory ids of broker {id} are not distinct.");
        return Err(Refused::new(ErrorCode::INVALID_REGISTRATION, message));
    }
    if directories.is_empty() && RecordVersions::of(image).has_directories() {
        let message = format!("Broker {id} has no directory ids.");
        return Err(Refused::new(ErrorCode::INVALID_REGISTRATION, message));
    }
    if broker.endpoints.is_empty() {
        let message = format!("Broker {id} has no listeners.");
        return Err(Refused::new(ErrorCode::INVALID_REGISTRATION, message));
    }
    Ok(())
}

/// Lets a fenced broker serve: the partitions that wait for it get their leader. Nothing when it
/// is not fenced. `cordoned` are those of its directories that get no new partitions.
///
/// # Errors
/// BROKER_ID_NOT_REGISTERED.
pub fn unfence_broker(image: &Image, id: i32, cordoned: &[Uuid]) -> Result<Records, Refused> {
    let broker = registered(image, id)?;
    let mut records = Records::new();
    if !broker.fenced {
        return Ok(records);
    }
    push_change(&mut records, broker, 0, |change| change.fenced = -1);
    elections::push_changes(image, &Event::Returns(id), &mut records);
    push_cordoned(image, broker, cordoned, &mut records);
    Ok(records)
}

/// Says which of a broker's directories get no new partitions. Nothing when that is known, and
/// before `metadata.version` 4.3-IV0, which has no record for it.
///
/// # Errors
/// BROKER_ID_NOT_REGISTERED.
pub fn cordon_directories(image: &Image, id: i32, cordoned: &[Uuid]) -> Result<Records, Refused> {
    let mut records = Records::new();
    push_cordoned(image, registered(image, id)?, cordoned, &mut records);
    Ok(records)
}

fn push_cordoned(image: &Image, broker: &Broker, cordoned: &[Uuid], records: &mut Records) {
    if RecordVersions::of(image).has_cordoned_directories()
        && broker.cordoned_directories.as_deref() != Some(cordoned)
    {
        let list = Some(cordoned.to_vec());
        push_change(records, broker, 3, |change| change.cordoned_log_dirs = list);
    }
}

/// Takes a broker that is gone out of service: it leads nothing and is in no ISR. Nothing when it
/// is fenced.
///
/// # Errors
/// BROKER_ID_NOT_REGISTERED.
pub fn fence_broker(image: &Image, id: i32) -> Result<Records, Refused> {
    let broker = registered(image, id)?;
    let mut records = Records::new();
    if !broker.fenced {
        elections::push_changes(image, &Event::Leaves(id), &mut records);
        push_change(&mut records, broker, 0, |change| change.fenced = 1);
    }
    Ok(records)
}

/// Forgets a broker that is gone for good, in every ISR too. Its replicas stay in the lists: a
/// broker of that id may come back.
///
/// # Errors
/// BROKER_ID_NOT_REGISTERED.
pub fn unregister_broker(image: &Image, id: i32) -> Result<Records, Refused> {
    let broker = registered(image, id)?;
    let mut records = Records::new();
    elections::push_changes(image, &Event::Leaves(id), &mut records);
    let record = UnregisterBrokerRecord { broker_id: id, broker_epoch: broker.epoch };
    records.push(&MetadataRecord::UnregisterBroker(record), 0);
    Ok(records)
}

/// What the start of a node needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStart {
    /// The controller half.
    pub controller: ControllerRegistration,
    /// The broker half.
    pub broker: BrokerRegistration,
    /// Those of its directories that get no new partitions (`cordoned.log.dirs`).
    pub cordoned_directories: Vec<Uuid>,
    /// `min.insync.replicas` of the node's configuration, or its default: what a new cluster begins
    /// with.
    pub min_insync_replicas: String,
}

/// Why a node cannot start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The registration was refused.
    Refused(Refused),
    /// The records to write could not be replayed: those of `bootstrap.checkpoint` contradict each
    /// other, or an epoch has no next.
    Replay(LogError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::Replay(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

impl From<LogError> for StartError {
    fn from(error: LogError) -> Self {
        StartError::Replay(error)
    }
}

impl From<Refused> for StartError {
    fn from(refused: Refused) -> Self {
        StartError::Refused(refused)
    }
}

/// What a node that is the whole cluster writes when it starts, each item to be appended as a batch
/// of its own, the first at `next_offset`. The LeaderChange record of the new epoch comes before
/// them and is not among them.
///
/// The records are Kafka's, in Kafka's order: a transaction that was left open is aborted; an empty
/// log gets the bootstrap records; the controller registers; the broker is fenced if it crashed,
/// registers, and is unfenced, by which each partition that it has in sync gets a leader and the
/// next leader epoch. Brokers that a larger cluster has left in service are fenced before, as a
/// controller does when their heartbeats fail to come: nothing is led by them or placed on them.
///
/// # Errors
/// Those of [`register_broker`], bootstrap records that contradict each other, a `next_offset` that
/// is not above the replay's, and an epoch that has no next.
pub fn start(
    replay: &Replay,
    node: &NodeStart,
    bootstrap: &Records,
    next_offset: i64,
) -> Result<Vec<Records>, StartError> {
    let mut plan = Plan { image: replay.image().clone(), next_offset, batches: vec![] };
    if replay.open_transaction().is_some() {
        let mut abort = Records::new();
        let reason = Some("the controller that began it is gone");
        abort.push(&MetadataRecord::AbortTransaction(AbortTransactionRecord { reason }), 0);
        plan.next_offset += 1;
        plan.batches.push(abort);
    }
    if plan.image.feature_level(METADATA_VERSION) == 0 {
        let (records, image) =
            bootstrap::first_records(bootstrap, &node.min_insync_replicas, plan.next_offset)?;
        plan.next_offset += records.len() as i64;
        plan.batches.push(records);
        plan.image = image;
    }
    plan.push(register_controller(&plan.image, &node.controller))?;
    let id = node.broker.id;
    // The others first, so that none of them gets what this one leads.
    let others: Vec<i32> = plan.image.brokers().keys().copied().filter(|one| *one != id).collect();
    for other in others {
        plan.push(fence_broker(&plan.image, other)?)?;
    }
    if plan.image.brokers().contains_key(&id) {
        plan.push(fence_broker(&plan.image, id)?)?;
    }
    plan.push(register_broker(&plan.image, &node.broker, plan.next_offset)?)?;
    plan.push(unfence_broker(&plan.image, id, &node.cordoned_directories)?)?;
    Ok(plan.batches)
}

/// What such a node writes when it stops in order, each item a batch: the broker gives up its
/// partitions, then is fenced.
///
/// # Errors
/// BROKER_ID_NOT_REGISTERED; UNKNOWN_SERVER_ERROR when an epoch has no next.
pub fn stop(image: &Image, id: i32, next_offset: i64) -> Result<Vec<Records>, Refused> {
    let mut plan = Plan { image: image.clone(), next_offset, batches: vec![] };
    let broker = registered(image, id)?;
    let mut leaving = Records::new();
    if !broker.in_controlled_shutdown {
        push_change(&mut leaving, broker, 1, |change| change.in_controlled_shutdown = 1);
    }
    elections::push_changes(image, &Event::Leaves(id), &mut leaving);
    let failed = |error: LogError| Refused::new(ErrorCode::UNKNOWN_SERVER_ERROR, error.to_string());
    plan.push(leaving).map_err(failed)?;
    plan.push(fence_broker(&plan.image, id)?).map_err(failed)?;
    Ok(plan.batches)
}

/// Batches that follow each other, and the image after them.
struct Plan {
    image: Image,
    next_offset: i64,
    batches: Vec<Records>,
}

impl Plan {
    fn push(&mut self, records: Records) -> Result<(), LogError> {
        if !records.is_empty() {
            records.apply_to(&mut self.image, self.next_offset)?;
            self.next_offset += records.len() as i64;
            self.batches.push(records);
        }
        Ok(())
    }
}

fn push_change(
    records: &mut Records,
    broker: &Broker,
    version: i16,
    set: impl FnOnce(&mut BrokerRegistrationChangeRecord),
) {
    let mut change = BrokerRegistrationChangeRecord {
        broker_id: broker.id,
        broker_epoch: broker.epoch,
        ..BrokerRegistrationChangeRecord::default()
    };
    set(&mut change);
    records.push(&MetadataRecord::BrokerRegistrationChange(change), version);
}

fn registered(image: &Image, id: i32) -> Result<&Broker, Refused> {
    image.brokers().get(&id).map(|broker| &**broker).ok_or_else(|| {
        let message = format!("Broker {id} is not registered.");
        Refused::new(ErrorCode::BROKER_ID_NOT_REGISTERED, message)
    })
}

/// Checks that a broker speaks of its present registration.
pub(super) fn check_epoch(image: &Image, id: i32, epoch: i64) -> Result<(), Refused> {
    let registered = registered(image, id)?.epoch;
    if registered != epoch {
        let message = format!("Expected broker epoch {registered} of broker {id}, but got {epoch}");
        return Err(Refused::new(ErrorCode::STALE_BROKER_EPOCH, message));
    }
    Ok(())
}

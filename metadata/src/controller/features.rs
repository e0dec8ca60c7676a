//! Changing the finalized levels of features.

use super::configs::MIN_INSYNC_REPLICAS;
use super::{Records, Refused};
use crate::features::{
    self, ELIGIBLE_LEADER_REPLICAS_VERSION, FEATURES, KRAFT_VERSION, METADATA_VERSION,
    RecordVersions,
};
use crate::image::{ConfigEntries, ConfigResourceType, FeatureRange, Image};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::metadata::MetadataRecord;
use ottla_protocol::metadata::cluster::FeatureLevelRecord;
use ottla_protocol::metadata::config::ConfigRecord;

/// Which way a level may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeType {
    /// Up only.
    Upgrade,
    /// Down only, where nothing is lost by it.
    SafeDowngrade,
    /// Down only, whatever is lost by it.
    UnsafeDowngrade,
}

impl UpgradeType {
    /// The type with that number, if one has it.
    pub fn from_code(code: i8) -> Option<Self> {
        match code {
            1 => Some(Self::Upgrade),
            2 => Some(Self::SafeDowngrade),
            3 => Some(Self::UnsafeDowngrade),
            _ => None,
        }
    }
}

/// A new level of one feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureUpdate<'a> {
    /// The feature's name.
    pub name: &'a str,
    /// Its new level; 0 turns it off.
    pub level: i16,
    /// Which way it may go; `None` for a number that means nothing.
    pub upgrade_type: Option<UpgradeType>,
}

/// Changes the levels of features, all of them or none. When eligible leaders are to be tracked all
/// brokers come to agree on `min.insync.replicas`: what the controller's own configuration says,
/// unless it is set for all.
///
/// # Errors
/// INVALID_REQUEST for a feature named twice; INVALID_UPDATE_VERSION for an unknown feature, for a
/// level that this build or a registered node does not know, for one that is not in the direction
/// asked for, and for a downgrade of metadata.version by which something written could not be read.
pub fn update_features(
    image: &Image,
    request: &[FeatureUpdate<'_>],
    validate_only: bool,
    min_insync_replicas: &str,
) -> Result<Records, Refused> {
    let mut records = Records::new();
    let is_elr = |update: &FeatureUpdate<'_>| update.name == ELIGIBLE_LEADER_REPLICAS_VERSION;
    if request.iter().any(|update| is_elr(update) && update.level > 0) {
        agree_on_min_insync_replicas(image, min_insync_replicas, &mut records);
    }
    for (index, update) in request.iter().enumerate() {
        if request[..index].iter().any(|other| other.name == update.name) {
            let message = format!("Feature {} is named more than once.", update.name);
            return Err(Refused::new(ErrorCode::INVALID_REQUEST, message));
        }
        if let Err(problem) = check(image, update) {
            let message = format!(
                "The update failed for all features since the following feature had an error: \
                 Invalid update version {} for feature {}. {problem}",
                update.level, update.name
            );
            return Err(Refused::new(ErrorCode::INVALID_UPDATE_VERSION, message));
        }
        if update.level != image.feature_level(update.name) {
            let record = FeatureLevelRecord { name: update.name, feature_level: update.level };
            records.push(&MetadataRecord::FeatureLevel(record), 0);
        }
    }
    if validate_only {
        records = Records::new();
    }
    Ok(records)
}

fn agree_on_min_insync_replicas(image: &Image, value: &str, records: &mut Records) {
    let mut push = |resource_name: &str, value| {
        let record = ConfigRecord {
            resource_type: ConfigResourceType::Broker.code(),
            resource_name,
            name: MIN_INSYNC_REPLICAS,
            value,
        };
        records.push(&MetadataRecord::Config(record), 0);
    };
    let is_set = |entries: &ConfigEntries| entries.contains_key(MIN_INSYNC_REPLICAS);
    if !image.configs().default_broker().is_some_and(is_set) {
        push("", Some(value));
    }
    for id in image.brokers().keys() {
        if image.configs().broker(*id).is_some_and(is_set) {
            push(&id.to_string(), None);
        }
    }
}

fn check(image: &Image, update: &FeatureUpdate<'_>) -> Result<(), String> {
    let (name, level) = (update.name, update.level);
    if level < 0 {
        return Err("A feature version cannot be less than 0.".into());
    }
    let upgrade_type = update.upgrade_type.ok_or("The upgrade type is none that is known.")?;
    let feature = FEATURES.iter().find(|feature| feature.name == name);
    let feature = feature.ok_or("This controller does not support this feature.")?;
    // The level of the quorum is in control records, and the one voter that there is stays at 0.
    let max = if name == KRAFT_VERSION { feature.formatted } else { feature.max };
    if level < feature.min || max < level {
        return Err(format!("This controller supports versions {}-{max}.", feature.min));
    }
    if name == ELIGIBLE_LEADER_REPLICAS_VERSION
        && level > 0
        && !RecordVersions::new(image.metadata_version(), true).has_elr()
    {
        return Err("It needs a higher metadata.version.".into());
    }
    let controllers = image.controllers().values().map(|node| (node.id, &node.features));
    let brokers = image.brokers().values().map(|node| (node.id, &node.features));
    let knows =
        |range: &FeatureRange| &*range.name == name && range.min <= level && level <= range.max;
    for (id, features) in controllers.chain(brokers) {
        if level > 0 && !features.iter().any(knows) {
            return Err(format!("Node {id} does not support it."));
        }
    }
    check_direction(image.feature_level(name), update, upgrade_type)
}

fn check_direction(
    current: i16,
    update: &FeatureUpdate<'_>,
    upgrade_type: UpgradeType,
) -> Result<(), String> {
    let level = update.level;
    match upgrade_type {
        UpgradeType::Upgrade if level < current => Err("Can't downgrade the version of this \
            feature without setting the upgrade type to either safe or unsafe downgrade."
            .into()),
        UpgradeType::SafeDowngrade | UpgradeType::UnsafeDowngrade if level > current => {
            Err("Can't downgrade to a newer version.".into())
        }
        UpgradeType::SafeDowngrade
            if update.name == METADATA_VERSION
                && !features::is_downgrade_lossless(current, level) =>
        {
            Err("The downgrade might delete metadata, and is refused.".into())
        }
        UpgradeType::UnsafeDowngrade if update.name == METADATA_VERSION && level < current => {
            Err("Unsafe downgrades of metadata are not supported.".into())
        }
        _ => Ok(()),
    }
}

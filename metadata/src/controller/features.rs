//! Changing the finalized levels of features.

use super::{Records, Refused};
use crate::features::{
    ELIGIBLE_LEADER_REPLICAS_VERSION, FEATURES, METADATA_VERSION, RecordVersions,
};
use crate::image::Image;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::metadata::MetadataRecord;
use ottla_protocol::metadata::cluster::FeatureLevelRecord;

/// Which way a level may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeType {
    /// Up only.
    Upgrade,
    /// Down too, where nothing is lost by it.
    SafeDowngrade,
    /// Down too, whatever is lost by it.
    UnsafeDowngrade,
}

/// A new level of one feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureUpdate<'a> {
    /// The feature's name.
    pub name: &'a str,
    /// Its new level; 0 turns it off.
    pub level: i16,
    /// Which way it may go.
    pub upgrade_type: UpgradeType,
}

/// Changes the levels of features, all of them or none.
///
/// # Errors
/// INVALID_REQUEST for a feature named twice; INVALID_UPDATE_VERSION for an unknown feature, for a
/// level that this build or a registered node does not know, for a downgrade that is not allowed,
/// and for any downgrade of metadata.version, which could not undo what was already written.
pub fn update_features(
    image: &Image,
    request: &[FeatureUpdate<'_>],
    validate_only: bool,
) -> Result<Records, Refused> {
    let mut records = Records::new();
    for (index, update) in request.iter().enumerate() {
        if request[..index].iter().any(|other| other.name == update.name) {
            let message = format!("Feature {} is named more than once.", update.name);
            return Err(Refused::new(ErrorCode::INVALID_REQUEST, message));
        }
        if let Some(problem) = problem(image, update) {
            let message = format!(
                "Invalid update version {} for feature {}. {problem}",
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

fn problem(image: &Image, update: &FeatureUpdate<'_>) -> Option<String> {
    let (name, level) = (update.name, update.level);
    // The level of the quorum is in control records, and one static voter has level 0.
    let feature = FEATURES.iter().find(|feature| feature.name == name && feature.formatted > 0);
    let Some(feature) = feature else {
        return Some("This controller does not support this feature.".into());
    };
    if level < feature.min || feature.max < level {
        return Some(format!("This controller knows versions {}-{}.", feature.min, feature.max));
    }
    if name == ELIGIBLE_LEADER_REPLICAS_VERSION
        && level > 0
        && !RecordVersions::new(image.metadata_version(), true).has_elr()
    {
        return Some("It needs a higher metadata.version.".into());
    }
    let controllers = image.controllers().values().map(|node| (node.id, &node.features));
    let brokers = image.brokers().values().map(|node| (node.id, &node.features));
    for (id, features) in controllers.chain(brokers) {
        let knows = |range: &crate::image::FeatureRange| {
            &*range.name == name && range.min <= level && level <= range.max
        };
        if level > 0 && !features.iter().any(knows) {
            return Some(format!("Node {id} does not support it."));
        }
    }
    if level < image.feature_level(name) {
        if name == METADATA_VERSION {
            return Some("metadata.version cannot be downgraded.".into());
        }
        if update.upgrade_type == UpgradeType::Upgrade {
            return Some("A downgrade was not asked for.".into());
        }
    }
    None
}

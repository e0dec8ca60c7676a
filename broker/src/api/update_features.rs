//! UpdateFeatures: the finalized levels of features, up or down (KIP-584).

use std::sync::Arc;

use ottla_metadata::controller::{self, FeatureUpdate, Records, UpgradeType};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::update_features::{
    FeatureUpdateKey, UpdatableFeatureResult, UpdateFeaturesRequest, UpdateFeaturesResponse,
};

use super::{Call, Outcome, Unanswerable};
use crate::node::Node;

/// Before this version a request only said whether a level may go down.
const UPGRADE_TYPES_FROM: i16 = 1;
/// From this version on there is one answer for all features.
const ONE_RESULT_FROM: i16 = 2;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: UpdateFeaturesRequest<'_> = call.body()?;
    let upgrade_type = |update: &FeatureUpdateKey<'_>| match update.allow_downgrade {
        _ if call.version() >= UPGRADE_TYPES_FROM => UpgradeType::from_code(update.upgrade_type),
        true => Some(UpgradeType::SafeDowngrade),
        false => Some(UpgradeType::Upgrade),
    };
    let updates: Vec<FeatureUpdate<'_>> = request
        .feature_updates
        .iter()
        .map(|update| FeatureUpdate {
            name: update.feature,
            level: update.max_version_level,
            upgrade_type: upgrade_type(update),
        })
        .collect();
    let updated = node.change_features(|image| {
        let min_insync_replicas = node.static_min_insync_replicas();
        let validate_only = request.validate_only;
        match controller::update_features(image, &updates, validate_only, &min_insync_replicas) {
            Ok(records) => (records, Ok(())),
            Err(refused) => (Records::new(), Err(refused)),
        }
    });
    if let Err(refused) = updated.and_then(|updated| updated) {
        return call.answer(&UpdateFeaturesResponse {
            error_code: refused.code,
            error_message: Some(&refused.message),
            ..Default::default()
        });
    }
    let results = match call.version() {
        ONE_RESULT_FROM.. => vec![],
        _ => request.feature_updates.iter().map(done).collect(),
    };
    call.answer(&UpdateFeaturesResponse { error_message: None, results, ..Default::default() })
}

fn done<'a>(update: &FeatureUpdateKey<'a>) -> UpdatableFeatureResult<'a> {
    UpdatableFeatureResult {
        feature: update.feature,
        error_code: ErrorCode::NONE,
        error_message: None,
    }
}

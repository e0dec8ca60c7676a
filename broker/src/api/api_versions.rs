//! ApiVersions: what this broker speaks, and which features its cluster has.

use std::ops::RangeInclusive;
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use ottla_protocol::wire::Message;

use super::{Call, Outcome, Unanswerable, served};
use crate::node::{Node, SERVED_FEATURES};

/// Before this version clients refuse a feature whose lowest level is 0.
const ZERO_LEVELS_FROM: i16 = 4;
/// From this version on clients name their software.
const SOFTWARE_FROM: i16 = 3;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: ApiVersionsRequest<'_> = call.body()?;
    let names = [request.client_software_name, request.client_software_version];
    if call.version() >= SOFTWARE_FROM && !names.iter().all(|name| is_software_name(name)) {
        let error_code = ErrorCode::INVALID_REQUEST;
        return call.answer(&ApiVersionsResponse { error_code, ..Default::default() });
    }
    let image = node.cluster.image();
    let is_told =
        |levels: &RangeInclusive<i16>| *levels.start() > 0 || call.version() >= ZERO_LEVELS_FROM;
    let supported = SERVED_FEATURES.iter().filter(|(_, levels)| is_told(levels));
    // A feature is told as finalized only up to what this broker serves of it: a client that sees
    // transaction.version 2, say, would end its transactions in ways that are not served here.
    let finalized = image.features().iter().filter_map(|(name, level)| {
        let (_, levels) = SERVED_FEATURES.iter().find(|(served, _)| *served == &**name)?;
        let level = *levels.end().min(level);
        (level > 0).then_some(FinalizedFeatureKey {
            name,
            max_version_level: level,
            min_version_level: level,
        })
    });
    call.answer(&ApiVersionsResponse {
        api_keys: served().map(|(key, versions)| told(key.as_i16(), &versions)).collect(),
        supported_features: supported
            .map(|(name, levels)| SupportedFeatureKey {
                name,
                min_version: *levels.start(),
                max_version: *levels.end(),
            })
            .collect(),
        finalized_features_epoch: image.offset(),
        finalized_features: finalized.collect(),
        ..Default::default()
    })
}

fn told(api_key: i16, versions: &RangeInclusive<i16>) -> ApiVersion {
    ApiVersion { api_key, min_version: *versions.start(), max_version: *versions.end() }
}

/// The answer to a version that is not served: in version 0, so that any client can read it, with
/// the versions to ask in (KIP-511).
pub(super) fn from_the_future(call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: vec![told(call.api.as_i16(), &call.api.versions())],
        ..Default::default()
    };
    let mut bytes = call.header.correlation_id.to_be_bytes().to_vec();
    bytes.extend(response.to_bytes(0)?);
    Ok(Outcome::Answer(bytes.into()))
}

/// Letters, digits, dots and dashes, beginning and ending with a letter or digit (KIP-511).
fn is_software_name(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let bytes = name.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
        && bytes.iter().all(|byte| is_inner(*byte))
}

#[cfg(test)]
mod tests {
    use super::is_software_name;

    #[test]
    fn software_names() {
        for good in ["a", "apache-kafka-java", "4.3.1", "librdkafka", "9"] {
            assert!(is_software_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", ".", "a b", "ü", "a_b"] {
            assert!(!is_software_name(bad), "{bad}");
        }
    }
}

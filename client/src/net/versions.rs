//! Which requests a broker serves, in which versions.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::api_versions::ApiVersionsResponse;

use crate::error::{Error, ErrorKind};

/// What a broker's answer to ApiVersions says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Versions {
    /// Of the requests that are known here.
    served: BTreeMap<ApiKey, (i16, i16)>,
}

/// More kinds of requests than any broker will have: one that names more is not believed.
const APIS_MAX: usize = 1024;

impl Versions {
    /// # Errors
    /// The answer says an error, or is nonsense.
    pub(crate) fn of(answer: &ApiVersionsResponse<'_>) -> Result<Self, Error> {
        Error::of_code(answer.error_code, None)?;
        let count = answer.api_keys.len();
        if count > APIS_MAX {
            let detail = format!("ApiVersions: {count} kinds of requests");
            return Err(Error::new(ErrorKind::Malformed, detail));
        }
        let mut versions = Self::default();
        for api in &answer.api_keys {
            if let Some(key) = ApiKey::from_i16(api.api_key) {
                versions.served.insert(key, (api.min_version, api.max_version));
            }
        }
        Ok(versions)
    }

    /// The highest version that the broker serves and that is in `ours`.
    ///
    /// # Errors
    /// [`ErrorKind::UnsupportedVersion`] when there is none.
    pub(crate) fn pick(&self, api: ApiKey, ours: RangeInclusive<i16>) -> Result<i16, Error> {
        let Some(&(least, most)) = self.served.get(&api) else {
            let detail = format!("the broker does not serve {}", api.name());
            return Err(Error::new(ErrorKind::UnsupportedVersion, detail));
        };
        let version = most.min(*ours.end());
        if version < least.max(*ours.start()) {
            let detail = format!(
                "{}: the broker serves versions {least} to {most}, this client {} to {}",
                api.name(),
                ours.start(),
                ours.end()
            );
            return Err(Error::new(ErrorKind::UnsupportedVersion, detail));
        }
        Ok(version)
    }
}

#[cfg(test)]
mod tests {
    use ottla_protocol::messages::api_versions::ApiVersion;

    use super::*;

    fn versions(api_key: i16, min_version: i16, max_version: i16) -> Versions {
        let api_keys = vec![ApiVersion { api_key, min_version, max_version }];
        Versions::of(&ApiVersionsResponse { api_keys, ..Default::default() }).unwrap()
    }

    #[test]
    fn the_highest_common_version_is_taken() {
        let pick = |least, most, ours| versions(3, least, most).pick(ApiKey::Metadata, ours).ok();
        for (least, most, ours, expected) in [
            (0, 13, 4..=13, Some(13)),
            (0, 99, 4..=13, Some(13)),
            (0, 5, 4..=13, Some(5)),
            (0, 3, 4..=13, None),
            (14, 20, 4..=13, None),
            // Nonsense is no version at all.
            (9, 5, 4..=13, None),
            (-5, -1, 4..=13, None),
        ] {
            assert_eq!(pick(least, most, ours), expected, "{least} {most}");
        }
        let error = versions(3, 0, 3).pick(ApiKey::Fetch, 4..=4).unwrap_err();
        assert_eq!(error.to_string(), "the broker does not serve Fetch");
    }

    #[test]
    fn a_million_kinds_of_requests_are_not_believed() {
        let api = ApiVersion { api_key: 3, min_version: 0, max_version: 1 };
        let api_keys = vec![api; 1_000_000];
        let answer = ApiVersionsResponse { api_keys, ..Default::default() };
        assert_eq!(Versions::of(&answer).unwrap_err().kind(), ErrorKind::Malformed);
    }
}

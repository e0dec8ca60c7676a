//! What brokers tell of themselves: the requests that they serve, and the cluster's features.

use std::collections::BTreeMap;
use std::fmt;

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};
use ottla_protocol::messages::update_features::{
    FeatureUpdateKey, UpdateFeaturesRequest, UpdateFeaturesResponse,
};

use super::spread::{Item, distinct};
use super::{Admin, Results};
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Outgoing, millis};
use crate::pending::Pending;
use crate::session::Route;

/// The id of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BrokerId(pub(super) i32);

impl fmt::Display for BrokerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broker {}", self.0)
    }
}

impl Item for BrokerId {
    fn blame(&self, error: Error) -> Error {
        // Whatever came from a broker says already which one it was, and where.
        match error.broker() {
            Some(_) => error,
            None => error.at(self.0),
        }
    }
}

/// A kind of request that a broker serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerApi {
    /// Its number.
    pub key: i16,
    /// Its name; `None` when this client does not know it.
    pub name: Option<&'static str>,
    /// The lowest version that the broker serves.
    pub min_version: i16,
    /// The highest version that the broker serves.
    pub max_version: i16,
    /// The highest version that both know; `None` when there is none.
    pub usable: Option<i16>,
}

impl BrokerApi {
    fn of(told: &ApiVersion) -> Self {
        let api = ApiKey::from_i16(told.api_key);
        let usable = api.and_then(|api| {
            let ours = api.versions();
            let most = told.max_version.min(*ours.end());
            (told.min_version.max(*ours.start()) <= most).then_some(most)
        });
        Self {
            key: told.api_key,
            name: api.map(ApiKey::name),
            min_version: told.min_version,
            max_version: told.max_version,
            usable,
        }
    }
}

/// The features of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeatureMetadata {
    /// The features, by their names.
    pub features: Vec<Feature>,
    /// The offset in the cluster's metadata of which this is; `None` when the broker does not tell.
    pub epoch: Option<i64>,
}

/// A feature, `metadata.version` for instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// The lowest and the highest level that the broker's program can run at; `None` when it does
    /// not know the feature.
    pub supported: Option<(i16, i16)>,
    /// The level that is in force; `None` when it is not, which counts as 0.
    pub finalized: Option<i16>,
}

/// How a feature's level may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeatureUpgrade {
    /// It only goes up.
    Upgrade,
    /// It may go down where nothing is lost by that.
    SafeDowngrade,
    /// It may go down, and what only the higher level knows is lost.
    UnsafeDowngrade,
}

/// A change of a feature's level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureUpdate {
    /// The feature's name.
    pub name: String,
    /// Its level from now on; 0 takes it out of force.
    pub level: i16,
    /// How it may change.
    pub upgrade: FeatureUpgrade,
}

impl Admin {
    /// The kinds of requests that brokers serve, by their numbers; with no brokers, of all.
    ///
    /// # Errors
    /// The brokers are not known; one is there twice. Of a broker: it did not answer, or the
    /// cluster does not have it.
    pub fn describe_api_versions(
        &self,
        brokers: &[i32],
    ) -> Result<Results<i32, Vec<BrokerApi>>, Error> {
        self.of_brokers(brokers, |broker| {
            self.api_versions(Route::Broker(broker), |read| {
                let mut apis: Vec<_> = read.api_keys.iter().map(BrokerApi::of).collect();
                apis.sort_by_key(|api| api.key);
                Ok(apis)
            })
        })
    }

    /// The features that are in force, and the levels that a broker can run at: of this one, or of
    /// any.
    ///
    /// # Errors
    /// The broker did not answer, or the cluster does not have it.
    pub fn describe_features(&self, broker: Option<i32>) -> Result<FeatureMetadata, Error> {
        let route = match broker {
            Some(id) => {
                self.absent(&[id])?.remove(&id).map_or(Ok(()), Err)?;
                Route::Broker(id)
            }
            None => Route::Any,
        };
        let features = self.api_versions(route, |read| {
            let mut features: Vec<Feature> = Vec::new();
            for told in &read.supported_features {
                features.push(Feature {
                    name: told.name.to_owned(),
                    supported: Some((told.min_version, told.max_version)),
                    finalized: None,
                });
            }
            for told in &read.finalized_features {
                let finalized = Some(told.max_version_level);
                match features.iter_mut().find(|known| known.name == told.name) {
                    Some(known) => known.finalized = finalized,
                    None => {
                        let name = told.name.to_owned();
                        features.push(Feature { name, supported: None, finalized });
                    }
                }
            }
            features.sort_by(|one, other| one.name.cmp(&other.name));
            let epoch = read.finalized_features_epoch;
            Ok(FeatureMetadata { features, epoch: (epoch >= 0).then_some(epoch) })
        });
        features.wait()
    }

    fn api_versions<T: Send + 'static>(
        &self,
        route: Route,
        read: impl Fn(&ApiVersionsResponse<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Pending<T> {
        let build = |version, timeout| {
            let request = ApiVersionsRequest {
                client_software_name: env!("CARGO_PKG_NAME"),
                client_software_version: env!("CARGO_PKG_VERSION"),
            };
            Outgoing::new(&request, version, timeout)
        };
        let read = move |answer: &Answer| {
            let told: ApiVersionsResponse<'_> = answer.read()?;
            Error::of_code(told.error_code, None)?;
            read(&told)
        };
        self.remote.ask(route, (ApiKey::ApiVersions, 0..=4), build, read)
    }

    /// Changes levels of features: all of them, or none.
    ///
    /// # Errors
    /// No broker answered; the change is refused, as with FEATURE_UPDATE_FAILED. The first feature
    /// that is refused is named.
    pub fn update_features(&self, updates: &[FeatureUpdate]) -> Result<(), Error> {
        self.change_features(updates, false)
    }

    /// Checks whether levels of features could be changed so, and changes none. From Kafka 3.3 on.
    ///
    /// # Errors
    /// As [`Admin::update_features`].
    pub fn validate_features(&self, updates: &[FeatureUpdate]) -> Result<(), Error> {
        self.change_features(updates, true)
    }

    fn change_features(&self, updates: &[FeatureUpdate], validate_only: bool) -> Result<(), Error> {
        let updates = updates.to_vec();
        let build = move |version, timeout| {
            let feature_updates = updates.iter().map(|update| {
                let (is_down, upgrade_type) = match update.upgrade {
                    FeatureUpgrade::Upgrade => (false, 1),
                    FeatureUpgrade::SafeDowngrade => (true, 2),
                    FeatureUpgrade::UnsafeDowngrade => (true, 3),
                };
                FeatureUpdateKey {
                    feature: &update.name,
                    max_version_level: update.level,
                    allow_downgrade: is_down && version == 0,
                    upgrade_type: if version == 0 { 1 } else { upgrade_type },
                }
            });
            let request = UpdateFeaturesRequest {
                timeout_ms: millis(timeout),
                feature_updates: feature_updates.collect(),
                validate_only,
            };
            Outgoing::new(&request, version, timeout)
        };
        let read = |answer: &Answer| {
            let read: UpdateFeaturesResponse<'_> = answer.read()?;
            Error::of_code(read.error_code, read.error_message)?;
            for told in &read.results {
                let text = format!("{}: {}", told.feature, told.error_message.unwrap_or_default());
                Error::of_code(told.error_code, Some(&text))?;
            }
            Ok(())
        };
        let api = (ApiKey::UpdateFeatures, 0..=2);
        self.remote.ask(Route::Controller, api, build, read).wait()
    }

    /// Asks each of these brokers, or all when there are none.
    pub(super) fn of_brokers<T>(
        &self,
        brokers: &[i32],
        ask: impl Fn(i32) -> Pending<T>,
    ) -> Result<Results<i32, T>, Error> {
        let ids: Vec<BrokerId> = brokers.iter().copied().map(BrokerId).collect();
        distinct(&ids)?;
        let (brokers, absent) = match brokers {
            [] => {
                let there = self.describe_cluster()?.brokers;
                (there.iter().map(|broker| broker.id).collect(), BTreeMap::new())
            }
            some => (some.to_vec(), self.absent(some)?),
        };
        let asked = brokers.into_iter().map(|id| match absent.get(&id) {
            Some(error) => (id, Err(error.clone())),
            None => (id, Ok(ask(id))),
        });
        let asked: Vec<(i32, Result<Pending<T>, Error>)> = asked.collect();
        let result = |(id, asked): (i32, Result<Pending<T>, Error>)| {
            let result = asked.and_then(Pending::wait);
            (id, result.map_err(|error| BrokerId(id).blame(error)))
        };
        Ok(asked.into_iter().map(result).collect())
    }

    /// Of these brokers the ones that the cluster does not have, and what to say of them: to wait
    /// for them makes no sense.
    pub(super) fn absent(&self, brokers: &[i32]) -> Result<BTreeMap<i32, Error>, Error> {
        if brokers.is_empty() {
            return Ok(BTreeMap::new());
        }
        let there: Vec<i32> = self.describe_cluster()?.brokers.iter().map(|of| of.id).collect();
        let ids = || there.iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
        let error = |id: &i32| {
            let detail = format!("the cluster has no such broker; it has {}", ids());
            (*id, Error::new(ErrorKind::Usage, detail).at(id))
        };
        Ok(brokers.iter().filter(|id| !there.contains(id)).map(error).collect())
    }
}

//! Settings of topics, brokers, groups and others.

use std::collections::BTreeMap;

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsSynonym,
};
use ottla_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use ottla_protocol::messages::list_config_resources::{
    ListConfigResourcesRequest, ListConfigResourcesResponse,
};

use super::resources::{ConfigKind, ConfigResource, ConfigResourceKind, ConfigSource};
use super::spread::{Item, distinct, sorted};
use super::{Admin, Results};
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Outgoing};
use crate::pending::Pending;
use crate::session::Route;

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigEntry {
    /// Its name.
    pub name: String,
    /// Its value; `None` when it has none or is a secret.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether it cannot be changed while the broker runs.
    pub is_read_only: bool,
    /// Whether its value is a secret, which no broker tells.
    pub is_sensitive: bool,
    /// What kind of value it has; `Unknown(0)` when the broker is too old to tell (before 2.6).
    pub kind: ConfigKind,
    /// All places that define it, the strongest first, when they were asked for.
    pub synonyms: Vec<ConfigSynonym>,
    /// What it is for, when that was asked for and the broker tells it (from Kafka 2.6 on).
    pub documentation: Option<String>,
}

/// A place that defines a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigSynonym {
    /// What the setting is called there: `log.retention.ms` for a topic's `retention.ms`.
    pub name: String,
    /// Its value there; `None` when it has none or is a secret.
    pub value: Option<String>,
    /// The place.
    pub source: ConfigSource,
}

impl ConfigEntry {
    fn of(told: &DescribeConfigsResourceResult<'_>) -> Self {
        let synonym = |told: &DescribeConfigsSynonym<'_>| ConfigSynonym {
            name: told.name.to_owned(),
            value: told.value.map(str::to_owned),
            source: ConfigSource::of(told.source),
        };
        Self {
            name: told.name.to_owned(),
            value: told.value.map(str::to_owned),
            source: ConfigSource::of(told.config_source),
            is_read_only: told.read_only,
            is_sensitive: told.is_sensitive,
            kind: ConfigKind::of(told.config_type),
            synonyms: told.synonyms.iter().map(synonym).collect(),
            documentation: told.documentation.filter(|text| !text.is_empty()).map(str::to_owned),
        }
    }
}

/// What is asked of a setting beside its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConfigDetails {
    /// All places that define it.
    pub synonyms: bool,
    /// What it is for.
    pub documentation: bool,
}

/// A change of one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigChange {
    /// It gets this value.
    Set {
        /// The setting's name.
        name: String,
        /// Its value from now on.
        value: String,
    },
    /// It goes back to what it is without.
    Delete {
        /// The setting's name.
        name: String,
    },
    /// A list gets these elements too.
    Append {
        /// The setting's name.
        name: String,
        /// Elements, with commas between them.
        value: String,
    },
    /// A list loses these elements.
    Subtract {
        /// The setting's name.
        name: String,
        /// Elements, with commas between them.
        value: String,
    },
}

impl ConfigChange {
    /// Sets a value.
    pub fn set(name: &str, value: &str) -> Self {
        Self::Set { name: name.to_owned(), value: value.to_owned() }
    }

    /// Takes a value away.
    pub fn delete(name: &str) -> Self {
        Self::Delete { name: name.to_owned() }
    }

    /// Adds to a list.
    pub fn append(name: &str, value: &str) -> Self {
        Self::Append { name: name.to_owned(), value: value.to_owned() }
    }

    /// Takes from a list.
    pub fn subtract(name: &str, value: &str) -> Self {
        Self::Subtract { name: name.to_owned(), value: value.to_owned() }
    }

    fn request(&self) -> AlterableConfig<'_> {
        let (name, config_operation, value) = match self {
            Self::Set { name, value } => (name, 0, Some(value.as_str())),
            Self::Delete { name } => (name, 1, None),
            Self::Append { name, value } => (name, 2, Some(value.as_str())),
            Self::Subtract { name, value } => (name, 3, Some(value.as_str())),
        };
        AlterableConfig { name, config_operation, value }
    }
}

impl Admin {
    /// The settings of resources, by their names. A topic that is not there is an error; of other
    /// resources, whatever they are without.
    ///
    /// # Errors
    /// A resource is there twice, or a broker's id is no number. Of a resource: the broker's, such
    /// as UNKNOWN_TOPIC_OR_PARTITION; or that the broker did not answer.
    pub fn describe_configs(
        &self,
        resources: &[ConfigResource],
        details: ConfigDetails,
    ) -> Result<Results<ConfigResource, Vec<ConfigEntry>>, Error> {
        self.of_resources(resources, |route, asked| self.configs_of(route, asked, details))
    }

    fn configs_of(
        &self,
        route: Route,
        asked: &[ConfigResource],
        details: ConfigDetails,
    ) -> Pending<Results<ConfigResource, Vec<ConfigEntry>>> {
        let resources = asked.to_vec();
        let build = move |version, timeout| {
            let resources = resources.iter().map(|of| DescribeConfigsResource {
                resource_type: of.kind.into(),
                resource_name: &of.name,
                configuration_keys: None,
            });
            let request = DescribeConfigsRequest {
                resources: resources.collect(),
                include_synonyms: details.synonyms,
                // An older broker has no documentation to tell.
                include_documentation: details.documentation && version >= 3,
            };
            Outgoing::new(&request, version, timeout)
        };
        let asked = asked.to_vec();
        let read = move |answer: &Answer| {
            let read: DescribeConfigsResponse<'_> = answer.read()?;
            let told = read.results.iter().map(|told| {
                let kind = ConfigResourceKind::of(told.resource_type);
                let result = Error::of_code(told.error_code, told.error_message).map(|()| {
                    let mut entries: Vec<_> = told.configs.iter().map(ConfigEntry::of).collect();
                    entries.sort_by(|one, other| one.name.cmp(&other.name));
                    entries
                });
                (ConfigResource::new(kind, told.resource_name), result)
            });
            sorted(ApiKey::DescribeConfigs, &asked, told)
        };
        self.remote.ask(route, (ApiKey::DescribeConfigs, 1..=4), build, read)
    }

    /// Changes settings. Of one resource all changes are made, or none.
    ///
    /// # Errors
    /// A resource is there twice, or a broker's id is no number. Of a resource: the broker's, such
    /// as INVALID_CONFIG; or that the broker did not answer.
    pub fn incremental_alter_configs(
        &self,
        changes: &[(ConfigResource, Vec<ConfigChange>)],
    ) -> Result<Results<ConfigResource, ()>, Error> {
        self.alter(changes, false)
    }

    /// Checks whether settings could be changed so, and changes none.
    ///
    /// # Errors
    /// As [`Admin::incremental_alter_configs`].
    pub fn validate_configs(
        &self,
        changes: &[(ConfigResource, Vec<ConfigChange>)],
    ) -> Result<Results<ConfigResource, ()>, Error> {
        self.alter(changes, true)
    }

    fn alter(
        &self,
        changes: &[(ConfigResource, Vec<ConfigChange>)],
        validate_only: bool,
    ) -> Result<Results<ConfigResource, ()>, Error> {
        let resources: Vec<_> = changes.iter().map(|(resource, _)| resource.clone()).collect();
        self.of_resources(&resources, |route, asked| {
            let is_asked = |(resource, _): &&(ConfigResource, _)| asked.contains(resource);
            let changes: Vec<_> = changes.iter().filter(is_asked).cloned().collect();
            self.alter_at(route, changes, validate_only)
        })
    }

    fn alter_at(
        &self,
        route: Route,
        changes: Vec<(ConfigResource, Vec<ConfigChange>)>,
        validate_only: bool,
    ) -> Pending<Results<ConfigResource, ()>> {
        let asked: Vec<_> = changes.iter().map(|(resource, _)| resource.clone()).collect();
        let build = move |version, timeout| {
            let resources = changes.iter().map(|(of, changes)| AlterConfigsResource {
                resource_type: of.kind.into(),
                resource_name: &of.name,
                configs: changes.iter().map(ConfigChange::request).collect(),
            });
            let request =
                IncrementalAlterConfigsRequest { resources: resources.collect(), validate_only };
            Outgoing::new(&request, version, timeout)
        };
        let read = move |answer: &Answer| {
            let read: IncrementalAlterConfigsResponse<'_> = answer.read()?;
            let told = read.responses.iter().map(|told| {
                let kind = ConfigResourceKind::of(told.resource_type);
                let result = Error::of_code(told.error_code, told.error_message);
                (ConfigResource::new(kind, told.resource_name), result)
            });
            sorted(ApiKey::IncrementalAlterConfigs, &asked, told)
        };
        self.remote.ask(route, (ApiKey::IncrementalAlterConfigs, 0..=1), build, read)
    }

    /// Asks each broker about itself, and any about the rest.
    fn of_resources<T>(
        &self,
        resources: &[ConfigResource],
        ask: impl Fn(Route, &[ConfigResource]) -> Pending<Results<ConfigResource, T>>,
    ) -> Result<Results<ConfigResource, T>, Error> {
        distinct(resources)?;
        let mut routes: BTreeMap<Option<i32>, Vec<ConfigResource>> = BTreeMap::new();
        for resource in resources {
            routes.entry(resource.route()?).or_default().push(resource.clone());
        }
        let mut results = BTreeMap::new();
        let named: Vec<i32> = routes.keys().copied().flatten().collect();
        let absent = self.absent(&named)?;
        let mut asked = Vec::new();
        for (route, items) in routes {
            match route.and_then(|id| absent.get(&id)) {
                Some(error) => {
                    results.extend(items.into_iter().map(|item| (item, Err(error.clone()))));
                }
                None => asked.push((ask(route.map_or(Route::Any, Route::Broker), &items), items)),
            }
        }
        for (pending, items) in asked {
            match pending.wait() {
                Ok(told) => results.extend(told),
                Err(error) => results.extend(items.into_iter().map(|item| {
                    let error = item.blame(error.clone());
                    (item, Err(error))
                })),
            }
        }
        let lost = || Err(Error::new(ErrorKind::Malformed, "no word about it"));
        let mut result = |of: &ConfigResource| results.remove(of).unwrap_or_else(lost);
        Ok(resources.iter().map(|of| (of.clone(), result(of))).collect())
    }

    /// The resources of these kinds that there are; with no kinds, of all. Brokers of before 4.1
    /// know of subscriptions to clients' metrics only.
    ///
    /// # Errors
    /// No broker answered, or it is too old (`UnsupportedVersion`).
    pub fn list_config_resources(
        &self,
        kinds: &[ConfigResourceKind],
    ) -> Result<Vec<ConfigResource>, Error> {
        let kinds = kinds.to_vec();
        let least = i16::from(kinds != [ConfigResourceKind::ClientMetrics]);
        let build = move |version, timeout| {
            let resource_types = match version {
                0 => Vec::new(),
                _ => kinds.iter().map(|&kind| kind.into()).collect(),
            };
            Outgoing::new(&ListConfigResourcesRequest { resource_types }, version, timeout)
        };
        let read = |answer: &Answer| {
            let read: ListConfigResourcesResponse<'_> = answer.read()?;
            Error::of_code(read.error_code, None)?;
            let of = read.config_resources.iter().map(|told| {
                let kind = ConfigResourceKind::of(told.resource_type);
                ConfigResource::new(kind, told.resource_name)
            });
            let mut resources: Vec<_> = of.collect();
            resources.sort();
            Ok(resources)
        };
        let api = (ApiKey::ListConfigResources, least..=1);
        self.remote.ask(Route::Any, api, build, read).wait()
    }
}

//! Quotas of clients.

use std::fmt;

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::alter_client_quotas::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, EntityData, EntryData, OpData,
};
use ottla_protocol::messages::describe_client_quotas::{
    ComponentData, DescribeClientQuotasRequest, DescribeClientQuotasResponse,
};

use super::spread::{Item, distinct, sorted};
use super::{Admin, Results};
use crate::error::Error;
use crate::net::{Answer, Outgoing};
use crate::session::Route;

/// Whom a quota is for: a user, a client id, both together, or an address.
///
/// Its parts are a kind (`user`, `client-id`, `ip`) and a name each; no name stands for all that
/// have no quota of their own. The order of the parts does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuotaEntity(Vec<(String, Option<String>)>);

impl QuotaEntity {
    /// Nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this part.
    #[must_use]
    pub fn part(mut self, kind: &str, name: Option<&str>) -> Self {
        self.0.push((kind.to_owned(), name.map(str::to_owned)));
        self.0.sort();
        self
    }

    /// Of this user.
    #[must_use]
    pub fn user(self, name: &str) -> Self {
        self.part("user", Some(name))
    }

    /// Of this client id.
    #[must_use]
    pub fn client_id(self, id: &str) -> Self {
        self.part("client-id", Some(id))
    }

    /// Its kinds and names.
    pub fn parts(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(kind, name)| (kind.as_str(), name.as_deref()))
    }
}

/// `user alice, client-id <default>`
impl fmt::Display for QuotaEntity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (kind, name)) in self.parts().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}{kind} {}", name.unwrap_or("<default>"))?;
        }
        Ok(())
    }
}

impl Item for QuotaEntity {
    fn blame(&self, error: Error) -> Error {
        error.about(self)
    }
}

/// Which entities are looked for, by one of their parts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuotaMatch {
    /// The one with this name.
    Named(String),
    /// The one that stands for all without a quota of their own.
    Default,
    /// All.
    Any,
}

/// Which quotas are looked for. With nothing said, all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaFilter {
    parts: Vec<(String, QuotaMatch)>,
    is_strict: bool,
}

impl QuotaFilter {
    /// All quotas.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only of entities with such a part: `user`, `client-id` or `ip`.
    #[must_use]
    pub fn part(mut self, kind: &str, of: QuotaMatch) -> Self {
        self.parts.push((kind.to_owned(), of));
        self
    }

    /// Only of entities that have no other parts.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.is_strict = true;
        self
    }

    fn request(&self) -> DescribeClientQuotasRequest<'_> {
        let components = self.parts.iter().map(|(entity_type, of)| {
            let (match_type, name) = match of {
                QuotaMatch::Named(name) => (0, Some(name.as_str())),
                QuotaMatch::Default => (1, None),
                QuotaMatch::Any => (2, None),
            };
            ComponentData { entity_type, match_type, r#match: name }
        });
        DescribeClientQuotasRequest { components: components.collect(), strict: self.is_strict }
    }
}

/// The quotas of an entity.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClientQuota {
    /// Whose they are.
    pub entity: QuotaEntity,
    /// Their names and limits: `producer_byte_rate` and `consumer_byte_rate` in bytes a second,
    /// `request_percentage` in percent of a thread, `controller_mutation_rate` in changes a second,
    /// `connection_creation_rate` in connections a second.
    pub limits: Vec<(String, f64)>,
}

/// A change of quotas: their names and new limits; `None` takes a limit away.
pub type QuotaChange = Vec<(String, Option<f64>)>;

impl Admin {
    /// The quotas that a filter lets pass, by their entities. From Kafka 2.6 on.
    ///
    /// # Errors
    /// No broker answered; the filter makes no sense to it.
    pub fn describe_client_quotas(&self, filter: &QuotaFilter) -> Result<Vec<ClientQuota>, Error> {
        let filter = filter.clone();
        let build = move |version, timeout| Outgoing::new(&filter.request(), version, timeout);
        let read = |answer: &Answer| {
            let read: DescribeClientQuotasResponse<'_> = answer.read()?;
            Error::of_code(read.error_code, read.error_message)?;
            let quotas = read.entries.iter().flatten().map(|entry| {
                let parts = entry.entity.iter();
                let entity = parts.fold(QuotaEntity::new(), |entity, part| {
                    entity.part(part.entity_type, part.entity_name)
                });
                let mut limits: Vec<_> =
                    entry.values.iter().map(|of| (of.key.to_owned(), of.value)).collect();
                limits.sort_by(|(one, _), (other, _)| one.cmp(other));
                ClientQuota { entity, limits }
            });
            let mut quotas: Vec<_> = quotas.collect();
            quotas.sort_by(|one, other| one.entity.cmp(&other.entity));
            Ok(quotas)
        };
        self.remote.ask(Route::Any, (ApiKey::DescribeClientQuotas, 0..=1), build, read).wait()
    }

    /// Changes quotas. From Kafka 2.6 on.
    ///
    /// # Errors
    /// An entity is there twice; no broker answered. Of an entity: the controller's, such as
    /// INVALID_REQUEST.
    pub fn alter_client_quotas(
        &self,
        changes: &[(QuotaEntity, QuotaChange)],
    ) -> Result<Results<QuotaEntity, ()>, Error> {
        self.change_quotas(changes, false)
    }

    /// Checks whether quotas could be changed so, and changes none.
    ///
    /// # Errors
    /// As [`Admin::alter_client_quotas`].
    pub fn validate_client_quotas(
        &self,
        changes: &[(QuotaEntity, QuotaChange)],
    ) -> Result<Results<QuotaEntity, ()>, Error> {
        self.change_quotas(changes, true)
    }

    fn change_quotas(
        &self,
        changes: &[(QuotaEntity, QuotaChange)],
        validate_only: bool,
    ) -> Result<Results<QuotaEntity, ()>, Error> {
        let of: Vec<_> = changes.iter().map(|(entity, _)| entity.clone()).collect();
        distinct(&of)?;
        let changes = changes.to_vec();
        let build = move |version, timeout| {
            let entries = changes.iter().map(|(entity, limits)| EntryData {
                entity: (entity.parts())
                    .map(|(entity_type, entity_name)| EntityData { entity_type, entity_name })
                    .collect(),
                ops: (limits.iter())
                    .map(|(key, limit)| OpData {
                        key,
                        value: limit.unwrap_or_default(),
                        remove: limit.is_none(),
                    })
                    .collect(),
            });
            let entries = entries.collect();
            Outgoing::new(&AlterClientQuotasRequest { entries, validate_only }, version, timeout)
        };
        let read = move |answer: &Answer| {
            let read: AlterClientQuotasResponse<'_> = answer.read()?;
            let told = read.entries.iter().map(|told| {
                let parts = told.entity.iter();
                let entity = parts.fold(QuotaEntity::new(), |entity, part| {
                    entity.part(part.entity_type, part.entity_name)
                });
                (entity, Error::of_code(told.error_code, told.error_message))
            });
            sorted(ApiKey::AlterClientQuotas, &of, told)
        };
        let api = (ApiKey::AlterClientQuotas, 0..=1);
        self.remote.ask(Route::Controller, api, build, read).wait()
    }
}

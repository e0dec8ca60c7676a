//! Client quotas: limits on what users, clients and addresses may use.

use super::SharedMap;
use ottla_protocol::metadata::config::{ClientQuotaRecord, EntityData};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whom a quota is for: a name for each type of entity, `None` for the default of that type. A
/// type is `user`, `client-id` or `ip`, or one that this build does not know.
pub type QuotaEntity = BTreeMap<Arc<str>, Option<Arc<str>>>;

/// The limits of one entity, by key; `producer_byte_rate` for instance, in bytes a second.
pub type QuotaLimits = BTreeMap<Arc<str>, f64>;

/// All client quotas.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientQuotas {
    by_entity: SharedMap<QuotaEntity, Arc<QuotaLimits>>,
}

impl ClientQuotas {
    /// The limits of an entity that has any.
    pub fn get(&self, entity: &QuotaEntity) -> Option<&QuotaLimits> {
        self.by_entity.get(entity).map(|limits| &**limits)
    }

    /// The entities that have limits, in order, with those.
    pub fn iter(&self) -> impl Iterator<Item = (&QuotaEntity, &QuotaLimits)> {
        self.by_entity.iter().map(|(entity, limits)| (entity, &**limits))
    }

    /// How many entities have limits.
    pub fn len(&self) -> usize {
        self.by_entity.len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.by_entity.is_empty()
    }

    pub(super) fn replay(&mut self, record: &ClientQuotaRecord<'_>) {
        let part =
            |part: &EntityData<'_>| (part.entity_type.into(), part.entity_name.map(Arc::from));
        let entity: QuotaEntity = record.entity.iter().map(part).collect();
        if record.remove {
            self.remove(&entity, record.key);
            return;
        }
        match self.by_entity.get_mut(&entity) {
            Some(limits) => {
                Arc::make_mut(limits).insert(record.key.into(), record.value);
            }
            None => {
                let limits = QuotaLimits::from([(record.key.into(), record.value)]);
                self.by_entity.insert(entity, Arc::new(limits));
            }
        }
    }

    fn remove(&mut self, entity: &QuotaEntity, key: &str) {
        let Some(limits) = self.by_entity.get_mut(entity) else { return };
        let limits = Arc::make_mut(limits);
        limits.remove(key);
        if limits.is_empty() {
            self.by_entity.remove(entity);
        }
    }
}

/// The record that sets a limit of an entity, or removes it when there is no `value`.
pub(crate) fn quota_record<'a>(
    entity: &'a QuotaEntity,
    key: &'a str,
    value: Option<f64>,
) -> ClientQuotaRecord<'a> {
    let part = |(entity_type, name): (&'a Arc<str>, &'a Option<Arc<str>>)| EntityData {
        entity_type,
        entity_name: name.as_deref(),
    };
    ClientQuotaRecord {
        entity: entity.iter().map(part).collect(),
        key,
        value: value.unwrap_or(0.0),
        remove: value.is_none(),
    }
}

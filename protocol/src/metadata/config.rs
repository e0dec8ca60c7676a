//! Configs and client quotas.

use crate::wire::messages;

messages! {
    /// A config set or removed.
    struct ConfigRecord<'a> [0..=0, flexible (0..)] {
        /// The type of resource: 2 topic, 4 broker, 8 logger, 16 client metrics, 32 group.
        resource_type: i8 [0..];
        /// The resource's name.
        resource_name: &'a str [0..];
        /// The config.
        name: &'a str [0..];
        /// The value; null deletes the config.
        value: Option<&'a str> [0..] = Some("");
    }

    /// A quota set or removed.
    struct ClientQuotaRecord<'a> [0..=0, flexible (0..)] {
        /// The entity's parts.
        entity: Vec<EntityData<'a>> [0..];
        /// The quota, `producer_byte_rate` for instance.
        key: &'a str [0..];
        /// The limit, unless it is removed.
        value: f64 [0..];
        /// Whether the quota is removed.
        remove: bool [0..];
    }

    /// A part of an entity.
    struct EntityData<'a> {
        /// The type: `user`, `client-id` or `ip`.
        entity_type: &'a str [0..];
        /// The name; null for the default.
        entity_name: Option<&'a str> [0..] = Some("");
    }
}

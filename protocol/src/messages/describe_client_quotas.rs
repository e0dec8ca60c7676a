//! DescribeClientQuotas: find client quotas.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 48. Find client quotas.
    struct DescribeClientQuotasRequest<'a> [0..=1, flexible (1..)] {
        /// What to match, one entry an entity type.
        components: Vec<ComponentData<'a>> [0..];
        /// Whether entities with further parts are left out.
        strict: bool [0..];
    }

    /// A part of an entity to match.
    struct ComponentData<'a> {
        /// The type: `user`, `client-id` or `ip`.
        entity_type: &'a str [0..];
        /// 0 this name, 1 the default, 2 any name.
        match_type: i8 [0..];
        /// The name, for match type 0.
        r#match: Option<&'a str> [0..] = Some("");
    }

    /// The answer to [`DescribeClientQuotasRequest`].
    struct DescribeClientQuotasResponse<'a> [0..=1, flexible (1..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..] = Some("");
        /// One entry an entity; null on error.
        entries: Option<Vec<EntryData<'a>>> [0..] = Some(Vec::new());
    }

    /// An entity and its quotas.
    struct EntryData<'a> {
        /// The entity's parts.
        entity: Vec<EntityData<'a>> [0..];
        /// The quotas set for the entity.
        values: Vec<ValueData<'a>> [0..];
    }

    /// A part of an entity.
    struct EntityData<'a> {
        /// The type: `user`, `client-id` or `ip`.
        entity_type: &'a str [0..];
        /// The name; null for the default.
        entity_name: Option<&'a str> [0..] = Some("");
    }

    /// A quota.
    struct ValueData<'a> {
        /// The quota, `producer_byte_rate` for instance.
        key: &'a str [0..];
        /// The limit.
        value: f64 [0..];
    }
}

//! AlterClientQuotas: change client quotas.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 49. Change client quotas.
    struct AlterClientQuotasRequest<'a> [0..=1, flexible (1..)] {
        /// One entry an entity.
        entries: Vec<EntryData<'a>> [0..];
        /// Whether to check only, and change nothing.
        validate_only: bool [0..];
    }

    /// An entity to change.
    struct EntryData<'a> {
        /// The entity's parts.
        entity: Vec<EntityData<'a>> [0..];
        /// The changes.
        ops: Vec<OpData<'a>> [0..];
    }

    /// A part of an entity.
    struct EntityData<'a> {
        /// The type: `user`, `client-id` or `ip`.
        entity_type: &'a str [0..];
        /// The name; null for the default.
        entity_name: Option<&'a str> [0..] = Some("");
    }

    /// A change of a quota.
    struct OpData<'a> {
        /// The quota, `producer_byte_rate` for instance.
        key: &'a str [0..];
        /// The new limit, unless it is removed.
        value: f64 [0..];
        /// Whether the quota is removed.
        remove: bool [0..];
    }

    /// The answer to [`AlterClientQuotasRequest`].
    struct AlterClientQuotasResponse<'a> [0..=1, flexible (1..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// One entry an entity.
        entries: Vec<ResponseEntryData<'a>> [0..];
    }

    /// What became of an entity.
    struct ResponseEntryData<'a> {
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..] = Some("");
        /// The entity's parts.
        entity: Vec<EntityData<'a>> [0..];
    }
}

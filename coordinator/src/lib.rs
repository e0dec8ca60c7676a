//! The group coordinator as a pure state machine: `(state, event, now) -> (state, effects)`.
//!
//! Each partition of `__consumer_offsets` has a [`group::GroupShard`]: the groups whose ids hash to
//! it, and their offsets. A shard is given requests, the time and a view of the topics; it answers
//! with [`effects::Effects`]: records to write, answers to send. It never touches a file, a socket,
//! a clock or a source of chance, so that its rules can be run by the thousand a second.
//!
//! ```text
//!   request, now, topics ──> GroupShard ──> Effects { write, response, answers }
//!                               ▲                        │
//!                               │ written / replay       ▼ the caller appends, then answers
//!                               └───────────────── __consumer_offsets
//! ```
//!
//! What lasts changes only by replay: the records that an event leads to are appended first and
//! then replayed into the shard by the same function that rebuilds it at a start.
#![forbid(unsafe_code)]

pub mod context;
pub mod effects;
pub mod group;
pub mod record;
pub mod timers;

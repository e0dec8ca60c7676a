//! Taking over a directory: what it holds, and what speaks against serving it.
//!
//! Nothing here writes. The start ([`crate::broker`]) asks [`refusal`] before the first byte of a
//! directory is changed, and `ottla check` prints the same reasons with a survey of the directories
//! ([`check()`]).
//!
//! A reason is one of two kinds. What cannot be understood, or belongs to somebody else, is refused
//! in any case. What would let in whom Kafka keeps out, or hide records, is refused unless it is
//! accepted by name ([`Acceptable`](crate::config::Acceptable)). A feature that is only not served
//! is told and no reason: its clients get errors, and its state is kept for Kafka.

mod check;
mod directories;
mod groups;
mod metadata;
mod partitions;
mod peers;
mod reason;
mod report;
mod survey;
#[cfg(test)]
mod tests;
mod transactions;

pub use check::{Check, check};
pub(crate) use partitions::is_known;
pub use reason::{Reason, refusal};
pub(crate) use transactions::tell_open_transactions;

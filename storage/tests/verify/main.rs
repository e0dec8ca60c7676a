//! Verification and repair of directories that are in order, and of the same with damage.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod arbitrary;
mod batches;
mod files;
mod in_order;
mod indexes;
mod large_batches;
mod repairs;
mod unreadable;
mod world;

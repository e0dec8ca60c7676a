//! The clients against a broker in the same process.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod admin;
mod admin_access;
mod admin_brokers;
mod admin_configs;
mod admin_groups;
mod admin_moves;
mod admin_offsets;
mod consumer;
mod groups;
mod producer;
mod site;

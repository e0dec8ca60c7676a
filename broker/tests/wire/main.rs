//! The broker as its clients meet it: a whole one in this process, spoken to in raw frames.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod admin;
mod administration;
mod adoption;
mod alter_configs;
mod bad_input;
mod bystander;
mod cleaning;
mod configs;
mod damaged;
mod delete_records;
mod deletion;
mod directories;
mod disk_full;
mod embed;
mod fetch;
mod fetch_wait;
mod group_versions;
mod groups;
mod harness;
mod idempotence;
mod list_offsets;
mod log_dirs;
mod long_lists;
mod metadata;
mod produce;
mod quotas;
mod refused_batches;
mod restart;
mod scram;
mod slow_disk;
mod start_failures;
mod versions;
mod versions_of_administration;

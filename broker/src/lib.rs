//! The broker: wiring, configuration, one handler an API.
#![forbid(unsafe_code)]

// What a request meets, from the outside in:
pub mod api;
pub mod delayed;
mod errors;
pub mod fetch_session;
pub mod node;
mod serving;
pub mod topic_settings;
pub mod topics;

// The cluster:
pub mod cluster;
mod config_rules;
mod format;
pub mod metadata_log;

// The settings, the start and the stop:
pub mod broker;
pub mod cli;
pub mod clock;
pub mod config;
pub mod logging;
mod noise;
mod scheduler;
pub mod stop;

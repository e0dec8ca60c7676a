//! The broker: settings, start and stop, and one handler for each request.
//!
//! The `ottla` command is [`cli::run`] with [`broker::run`]. A program, a test above all, can have
//! a broker inside: on a free port, in a directory that goes with it, ready in milliseconds.
//!
//! ```
//! use ottla::{Broker, Config};
//!
//! let broker = Broker::start(Config::ephemeral().with("num.partitions", "3"))?;
//! println!("clients connect to {}", broker.bootstrap_servers());
//! broker.stop()?;
//! # Ok::<(), ottla::BrokerError>(())
//! ```
//!
//! What it does not do: transactions, TLS, authorization, quotas. Requests for them are not
//! advertised; see `docs/PROTOCOL.md`.
#![forbid(unsafe_code)]

// What a request meets, from the outside in:
mod administration;
pub mod altering;
pub mod api;
mod commits;
pub mod delayed;
mod errors;
pub mod fetch_session;
pub mod groups;
mod loading;
pub mod node;
mod serving;
pub mod topic_settings;
pub mod topics;

// The cluster:
pub mod cluster;
mod config_rules;
pub mod directories;
pub mod dynamic;
mod format;
pub mod metadata_log;

// The settings, the start and the stop:
pub mod adopt;
mod apart;
mod background;
pub mod broker;
mod cleaning;
pub mod cli;
pub mod clock;
pub mod config;
mod embed;
pub mod loggers;
pub mod logging;
mod noise;
mod scheduler;
pub mod stop;

pub use broker::BrokerError;
pub use embed::{Broker, Config};

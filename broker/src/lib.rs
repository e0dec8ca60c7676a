//! The broker: settings, start and stop, and one handler for each request.
//!
//! The `ottla` command is [`cli::run`] with [`broker::run`]. A program can have a broker inside:
//!
//! ```
//! use ottla::broker::Broker;
//! use ottla::cli::Start;
//! use ottla::config::{BrokerConfig, StaticConfig};
//! use ottla::stop::Stop;
//!
//! let dir = tempfile::tempdir()?;
//! let mut statics = StaticConfig::standalone(dir.path().to_str().ok_or("not UTF-8")?);
//! statics.set_override("listeners=PLAINTEXT://127.0.0.1:0")?;
//! let config = BrokerConfig::new(&statics, "localhost")?;
//! let broker = Broker::start(Start { config, statics, stop: Stop::new() })?;
//! std::net::TcpStream::connect(broker.addresses()[0])?;
//! broker.stop()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
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
pub mod loggers;
pub mod logging;
mod noise;
mod scheduler;
pub mod stop;

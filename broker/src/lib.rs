//! The broker: wiring, configuration, one handler an API.
#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod delayed;
pub mod fetch_session;
pub mod logging;
pub mod stop;

//! The broker: wiring, configuration, one handler an API.
#![forbid(unsafe_code)]

pub mod config;
pub mod delayed;
pub mod fetch_session;

//! The broker: wiring, configuration, one handler an API.
#![forbid(unsafe_code)]

//! The server over real sockets, on free ports of the loopback.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chaos;
mod client;
mod control;
mod exchange;
mod files;
mod limits;
mod memory;
mod outbound;
mod script;
mod stop;

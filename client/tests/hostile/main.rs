//! Servers that are no brokers, and brokers that lie or are slow: whatever they send, a call ends
//! with an error, and in time.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod coordinator;
mod frames;
mod groups;
mod records;
mod redirects;
mod server;
mod streams;

//! The clients against a broker in the same process.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod admin;
mod producer;
mod site;

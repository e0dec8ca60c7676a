//! The judge itself: legal histories pass, and every kind of wrong one is found and named.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod legal;
mod planted;
mod planted_clients;
mod planted_elsewhere;
mod story;

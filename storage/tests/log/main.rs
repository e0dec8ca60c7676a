//! The log as its users see it, on the real disk and on the simulated one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ahead;
mod append;
mod compaction;
mod crash;
mod damage;
mod faults;
mod fetch;
mod golden;
mod harness;
mod leftovers;
mod manager;
mod property;
mod recall;
mod retention;
mod starts;

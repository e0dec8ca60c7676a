//! Answers of a real broker, changed by chance on their way: whatever arrives, a client tells an
//! error or carries on, takes little memory, does not panic, and works again when the answers do.
//! What a real broker does not answer is made up. There is a trial of every answer that a client
//! reads.
//!
//! `OTTLA_FUZZ_ANSWERS` sets how many answers of each kind are changed, `OTTLA_FUZZ_SEED` how.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod admin;
mod chance;
mod clients;
#[path = "../hostile/coordinator.rs"]
mod coordinator;
mod lies;
mod memory;
mod proxy;
mod sent;
#[path = "../hostile/server.rs"]
mod server;
mod trial;
mod unserved;

use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

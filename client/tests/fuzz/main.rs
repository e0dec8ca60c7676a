//! Answers of a real broker, changed by chance on their way: whatever arrives, a client tells an
//! error or carries on, takes little memory, does not panic, and works again when the answers do.
//!
//! `OTTLA_FUZZ_ANSWERS` sets how many answers of each kind are changed, `OTTLA_FUZZ_SEED` how.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod chance;
#[path = "../hostile/coordinator.rs"]
mod coordinator;
mod lies;
mod memory;
mod proxy;
#[path = "../hostile/server.rs"]
mod server;

use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

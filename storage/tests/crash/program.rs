//! The whole log manager on a simulated disk, crashed at every operation: the program behind
//! `cargo xtask crash`, which builds it like the broker.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod check;
mod episode;
mod live;
mod model;
mod plan;
mod planted;
mod random;
mod run;

fn main() -> std::process::ExitCode {
    run::main(100_000)
}

//! The whole log manager on a simulated disk, crashed at every operation, as `cargo test` runs it:
//! few points, with all checks of a debug build. `cargo xtask crash` runs many.
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
    run::main(4000)
}

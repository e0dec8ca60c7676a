//! The `ottla` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ottla::cli::run(std::env::args_os(), |_start| {
        Err("the settings are valid, but this build has no broker to start with them".into())
    })
}

//! Developer commands: `cargo xtask --help` lists them, `cargo xtask ci` is the whole gate.
//!
//! Reading order: [`gate`] (the steps of the gate), [`tidy`] and [`layers`] (checks of the source
//! itself), [`spec`] (message tables against Kafka's), [`crash`] (crash points on a simulated
//! disk), [`interop`] (real clients and the real Apache Kafka against a running broker),
//! [`torture`] (the broker under faults), [`full_disk`] (the broker without space), [`mod@bench`]
//! (Ottla beside Apache Kafka and the floor), [`picture`] (the README's terminal).
//!
//! [`full_disk`] and two lanes of [`torture`] need root, nothing else does. Everything that is
//! written here is under `target/`, but for the picture and the figures.
#![forbid(unsafe_code)]

mod bench;
mod crash;
mod full_disk;
mod gate;
mod interop;
mod layers;
mod manifest;
mod picture;
mod spec;
mod tidy;
mod torture;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer commands of Ottla.
#[derive(Parser)]
#[command(name = "cargo xtask", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs every step below, in this order, and says what failed and what could not run.
    Ci,
    /// Checks the formatting of the whole workspace.
    Fmt,
    /// Checks the source by the house rules: widths, caps, docs, links, licenses, dependencies.
    Tidy,
    /// Compares the crates' dependencies with the tables in ARCHITECTURE.md.
    Layers,
    /// Runs clippy on everything, warnings are errors.
    Clippy,
    /// Runs all tests but doc tests.
    Test,
    /// Runs the doc tests.
    Doctest,
    /// Builds the docs, warnings are errors.
    Doc,
    /// Compares the message tables with the schemas inside Kafka's jars.
    Spec,
    /// Crashes the log manager on a simulated disk, at every operation and in many ways.
    Crash(crash::Args),
    /// Runs real clients and the real Apache Kafka against a release build of the broker.
    Interop(interop::Args),
    /// Kills the broker, cuts its power, fails its system calls, and judges what clients saw.
    Torture(torture::Args),
    /// Fills the broker's disk, and gives it space again; needs root.
    FullDisk(full_disk::Args),
    /// Records the terminal picture of the README; not part of the gate.
    Picture,
    /// Measures the broker beside Apache Kafka and the floor; not part of the gate.
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let root = root();
    let result = match Cli::parse().command {
        Command::Ci => gate::run_all(&root),
        Command::Fmt => gate::run_one(&root, "fmt"),
        Command::Tidy => gate::run_one(&root, "tidy"),
        Command::Layers => gate::run_one(&root, "layers"),
        Command::Clippy => gate::run_one(&root, "clippy"),
        Command::Test => gate::run_one(&root, "test"),
        Command::Doctest => gate::run_one(&root, "doctest"),
        Command::Doc => gate::run_one(&root, "doc"),
        Command::Spec => gate::run_one(&root, "spec"),
        Command::Bench(args) => bench::run(&root, &args).map(|()| true),
        Command::Picture => picture::run(&root).map(|()| true),
        Command::Torture(args) => gate::run_torture(&root, &args),
        Command::FullDisk(args) => gate::run_full_disk(&root, &args),
        Command::Crash(args) => gate::run_crash(&root, &args),
        Command::Interop(args) => gate::run_interop(&root, &args),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's root: the parent of this crate's folder.
fn root() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.pop();
    path
}

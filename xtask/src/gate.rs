//! The steps of `cargo xtask ci`, how they are timed, counted and reported.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::{crash, full_disk, interop, layers, spec, tidy, torture};

/// What a step found.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Checks, tests or cases that held.
    pub(crate) passed: u64,
    /// Those that did not; the step has printed why.
    pub(crate) failed: u64,
    /// Lanes that could not run, each as `lane: needs tool`.
    pub(crate) not_run: Vec<String>,
}

impl Outcome {
    /// One check with this result.
    pub(crate) fn of(ok: bool) -> Outcome {
        Outcome { passed: u64::from(ok), failed: u64::from(!ok), not_run: Vec::new() }
    }

    /// One check for each problem, printed; a single passed one when there is none.
    pub(crate) fn of_problems(problems: &[String]) -> Outcome {
        for problem in problems {
            println!("{problem}");
        }
        let failed = problems.len() as u64;
        Outcome { passed: u64::from(failed == 0), failed, not_run: Vec::new() }
    }

    /// Counts another outcome in.
    pub(crate) fn add(&mut self, other: Outcome) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.not_run.extend(other.not_run);
    }
}

/// A named step; `run` gets the workspace's root.
struct Step {
    name: &'static str,
    run: fn(&Path) -> Result<Outcome>,
}

/// In the order of the gate: what is fast and often fails comes first.
const STEPS: [Step; 12] = [
    Step { name: "fmt", run: |root| cargo(root, &["fmt", "--all", "--check"]) },
    Step { name: "tidy", run: tidy::run },
    Step { name: "layers", run: layers::run },
    Step { name: "clippy", run: clippy },
    Step { name: "test", run: test },
    Step { name: "doctest", run: |root| cargo_test(root, &["test", "--workspace", "--doc"]) },
    Step { name: "doc", run: doc },
    Step { name: "spec", run: spec::run },
    Step { name: "crash", run: |root| crash::run(root, &crash::Args::gate()) },
    Step { name: "torture", run: torture::run_in_gate },
    Step { name: "full-disk", run: |root| full_disk::run(root, &full_disk::Args::default()) },
    Step { name: "interop", run: |root| interop::run(root, &interop::Args::default()) },
];

/// Runs the whole gate. Every step runs, even after one has failed.
pub(crate) fn run_all(root: &Path) -> Result<bool> {
    let start = Instant::now();
    let mut total = Outcome::default();
    let mut failed = Vec::new();
    for step in &STEPS {
        let outcome = timed(step.name, || (step.run)(root));
        if outcome.failed > 0 {
            failed.push(step.name);
        }
        total.add(outcome);
    }
    if !failed.is_empty() {
        println!("ci: failed: {}", failed.join(", "));
    }
    println!("ci: {} steps in {:.0} s", STEPS.len(), start.elapsed().as_secs_f64());
    Ok(verdict(&total))
}

/// Runs one step by its name.
pub(crate) fn run_one(root: &Path, name: &str) -> Result<bool> {
    let step = STEPS.iter().find(|step| step.name == name).context("no such step")?;
    Ok(verdict(&timed(step.name, || (step.run)(root))))
}

/// Runs the interop step with arguments of its own.
pub(crate) fn run_interop(root: &Path, args: &interop::Args) -> Result<bool> {
    Ok(verdict(&timed("interop", || interop::run(root, args))))
}

/// Runs the crash step with arguments of its own.
pub(crate) fn run_crash(root: &Path, args: &crash::Args) -> Result<bool> {
    Ok(verdict(&timed("crash", || crash::run(root, args))))
}

/// Runs a lane of faults.
pub(crate) fn run_torture(root: &Path, args: &torture::Args) -> Result<bool> {
    Ok(verdict(&timed("torture", || torture::run(root, args).and_then(asked_for))))
}

/// Runs the broker on a disk that fills up.
pub(crate) fn run_full_disk(root: &Path, args: &full_disk::Args) -> Result<bool> {
    Ok(verdict(&timed("full-disk", || full_disk::run(root, args).and_then(asked_for))))
}

/// What was asked for by its name has failed where nothing of it can run.
fn asked_for(outcome: Outcome) -> Result<Outcome> {
    let has_run = outcome.passed + outcome.failed > 0;
    ensure!(has_run, "nothing was run: {}", outcome.not_run.join(", "));
    Ok(outcome)
}

/// Runs a step between two lines that name it; an error counts as one failure.
fn timed(name: &str, run: impl FnOnce() -> Result<Outcome>) -> Outcome {
    println!("==> {name}");
    let start = Instant::now();
    let mut outcome = run().unwrap_or_else(|error| {
        println!("{name}: {error:#}");
        Outcome::of(false)
    });
    let has_run = outcome.passed + outcome.failed > 0;
    if !has_run && outcome.not_run.is_empty() {
        println!("{name}: nothing was run; is what was asked for spelled as `--help` has it?");
        outcome.failed = 1;
    }
    let word = match (has_run, outcome.failed) {
        (_, 1..) => "FAILED",
        (true, 0) => "ok",
        (false, 0) => "NOT RUN",
    };
    println!("<== {name}: {word} in {:.1} s", start.elapsed().as_secs_f64());
    outcome
}

/// Prints the counts and tells whether the run is good. Lanes that did not run are forgiven on a
/// developer's machine, not where `CI=true` says that everything must be there.
fn verdict(total: &Outcome) -> bool {
    for lane in &total.not_run {
        println!("NOT RUN: {lane}");
    }
    println!("not run: {}", total.not_run.len());
    println!("total: {} passed, {} failed", total.passed, total.failed);
    let strict = std::env::var_os("CI").is_some_and(|value| value == "true");
    total.failed == 0 && (total.not_run.is_empty() || !strict)
}

/// A cargo command in the workspace's root, with the cargo that runs this program.
pub(crate) fn cargo_command(root: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root);
    command
}

/// Where cargo puts what it builds in the workspace at `root`.
pub(crate) fn target_dir(root: &Path) -> PathBuf {
    // cargo takes a relative path from the directory it runs in, which is the root.
    root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

fn cargo(root: &Path, args: &[&str]) -> Result<Outcome> {
    Ok(Outcome::of(cargo_command(root, args).status()?.success()))
}

fn clippy(root: &Path) -> Result<Outcome> {
    let args = ["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];
    cargo(root, &args)
}

fn test(root: &Path) -> Result<Outcome> {
    cargo_test(root, &["test", "--workspace", "--lib", "--bins", "--tests"])
}

fn doc(root: &Path) -> Result<Outcome> {
    let mut command = cargo_command(root, &["doc", "--quiet", "--workspace", "--no-deps"]);
    command.arg("--document-private-items").env("RUSTDOCFLAGS", "-D warnings");
    Ok(Outcome::of(command.status()?.success()))
}

/// Runs `cargo test`, shows its output as it comes, and adds up its result lines.
fn cargo_test(root: &Path, args: &[&str]) -> Result<Outcome> {
    let mut command = cargo_command(root, args);
    command.arg("--no-fail-fast").stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let outcome = count_results(&mut child)?;
    let status = child.wait()?;
    ensure!(status.success() || outcome.failed > 0, "cargo {}: {status}", args.join(" "));
    Ok(outcome)
}

/// Shows what a child with a piped output prints, as it comes, and adds up its result lines.
pub(crate) fn count_results(child: &mut Child) -> Result<Outcome> {
    let stdout = child.stdout.take().context("stdout was asked for")?;
    let mut outcome = Outcome::default();
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        println!("{line}");
        if let Some((passed, failed)) = result_line(&line) {
            outcome.passed += passed;
            outcome.failed += failed;
        }
    }
    Ok(outcome)
}

/// The numbers of passed and failed tests in a line like `test result: ok. 3 passed; 0 failed; …`.
fn result_line(line: &str) -> Option<(u64, u64)> {
    let rest = line.strip_prefix("test result: ")?;
    let number = |word: &str| -> Option<u64> {
        let end = rest.find(word)?;
        rest[..end].trim_end().rsplit(' ').next()?.parse().ok()
    };
    Some((number("passed")?, number("failed")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_counted() {
        let ok = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out";
        assert_eq!(result_line(ok), Some((12, 0)));
        let bad = "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured";
        assert_eq!(result_line(bad), Some((3, 2)));
        assert_eq!(result_line("running 3 tests"), None);
    }

    #[test]
    fn a_step_that_runs_nothing_has_failed() {
        assert_eq!(timed("none", || Ok(Outcome::default())).failed, 1);
        let missing = || Ok(Outcome { not_run: vec!["x: needs y".into()], ..Outcome::default() });
        assert_eq!(timed("missing", missing).failed, 0);
    }
}

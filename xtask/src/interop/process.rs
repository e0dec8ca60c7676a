//! A child process whose lines are read as they come, and which never outlives its deadline.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A running program. Dropping it kills it.
pub(crate) struct Process {
    name: String,
    child: Child,
    lines: Receiver<String>,
    deadline: Instant,
}

impl Process {
    /// Starts a program with its error output going to `log`.
    pub(crate) fn start(command: Command, log: &Path, limit: Duration) -> Result<Process> {
        let (sender, lines) = channel();
        let mut process =
            Process::start_into(command, log, limit, move |line| sender.send(line).is_ok())?;
        process.lines = lines;
        Ok(process)
    }

    /// Starts a program whose lines go to `take` as they come, until that says `false`.
    pub(crate) fn start_into(
        mut command: Command,
        log: &Path,
        limit: Duration,
        take: impl Fn(String) -> bool + Send + 'static,
    ) -> Result<Process> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(log)?);
        let mut child = command.spawn().with_context(|| format!("start {name}"))?;
        let stdout = child.stdout.take().context("stdout was asked for")?;
        // Ends with the child's output, or when nobody listens any more.
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).all(take);
        });
        let (_, lines) = channel();
        Ok(Process { name, child, lines, deadline: Instant::now() + limit })
    }

    /// The next line; `None` at the end of the output. Past the deadline it is an error.
    pub(crate) fn line(&mut self) -> Result<Option<String>> {
        match self.lines.recv_timeout(self.deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => bail!("{}: not done in time", self.name),
        }
    }

    /// Lines that are there already.
    pub(crate) fn lines_so_far(&self) -> impl Iterator<Item = String> {
        self.lines.try_iter()
    }

    /// Sends an empty line to the program.
    pub(crate) fn go_on(&mut self) -> Result<()> {
        self.say("")
    }

    /// Sends a line to the program.
    pub(crate) fn say(&mut self, line: &str) -> Result<()> {
        let stdin = self.child.stdin.as_mut().context("stdin was asked for")?;
        stdin.write_all(format!("{line}\n").as_bytes())?;
        Ok(stdin.flush()?)
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > self.deadline {
                bail!("{}: does not end", self.name);
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, which is the usual case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program to its end and returns its output; a bad exit code is an error that names the
/// log.
pub(crate) fn output(command: Command, log: &Path, limit: Duration) -> Result<Vec<String>> {
    let mut process = Process::start(command, log, limit)?;
    let mut lines = Vec::new();
    while let Some(line) = process.line()? {
        lines.push(line);
    }
    let status = process.wait()?;
    if !status.success() {
        bail!("{}: {status}, see {} {}", process.name, log.display(), lines.join(" / "));
    }
    Ok(lines)
}

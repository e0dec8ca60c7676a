//! A data directory and the broker in it: started, signalled, killed, looked at.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::load::ask;
use super::wire::Connection;
use crate::interop::free_ports;

/// How long a start may take before it counts as a hang.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long an orderly stop may take.
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A data directory with its settings.
pub(crate) struct Site {
    pub(crate) folder: PathBuf,
    pub(crate) data: Vec<PathBuf>,
    pub(crate) address: SocketAddr,
    broker: PathBuf,
    /// A command and arguments that run the broker; none by default.
    pub(crate) wrapper: Vec<String>,
}

impl Site {
    /// An empty directory, on free ports, with more settings than those of `interop/`. The data
    /// directories are inside `data_root`.
    pub(crate) fn fresh(
        root: &Path,
        folder: &Path,
        data: Vec<PathBuf>,
        broker: &Path,
        more: &str,
    ) -> Result<Site> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        let [port, controller_port] = free_ports()?;
        let dirs: Vec<String> = data.iter().map(|path| path.display().to_string()).collect();
        let settings = fs::read_to_string(root.join("interop/server.properties"))?
            .replace("@PORT@", &port.to_string())
            .replace("@CONTROLLER_PORT@", &controller_port.to_string())
            .replace("@LOG_DIRS@", &dirs.join(","));
        fs::write(folder.join("server.properties"), settings + more)?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let (folder, broker) = (folder.to_owned(), broker.to_owned());
        Ok(Site { folder, data, address, broker, wrapper: Vec::new() })
    }

    /// The command that runs the broker here.
    pub(crate) fn command(&self) -> Command {
        let mut command = match self.wrapper.split_first() {
            Some((program, args)) => {
                let mut command = Command::new(program);
                command.args(args).arg(&self.broker);
                command
            }
            None => Command::new(&self.broker),
        };
        command.arg(self.folder.join("server.properties"));
        command
    }

    /// Starts a broker, without waiting for it.
    pub(crate) fn spawn(&self) -> Result<Broker> {
        self.spawn_as(self.command())
    }

    /// Starts a broker by another command.
    pub(crate) fn spawn_as(&self, mut command: Command) -> Result<Broker> {
        let log = self.folder.join("broker.log");
        if log.exists() {
            fs::rename(&log, self.folder.join("broker-before.log"))?;
        }
        let output = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().context("start the broker")?;
        Ok(Broker { child, address: self.address, log })
    }

    /// Starts a broker and waits until it answers.
    pub(crate) fn start(&self) -> Result<Broker> {
        let mut broker = self.spawn()?;
        broker.wait_until_ready()?;
        Ok(broker)
    }

    /// All files below the data directories, by their paths.
    pub(crate) fn files(&self) -> Result<BTreeSet<PathBuf>> {
        let mut found = BTreeSet::new();
        let mut folders = self.data.clone();
        while let Some(folder) = folders.pop() {
            // A broker that runs may have removed it just now.
            let entries = match fs::read_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries?,
            };
            for entry in entries {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.insert(path);
                }
            }
        }
        Ok(found)
    }
}

/// A broker that runs. Dropping it kills it.
pub(crate) struct Broker {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Broker {
    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it answers.
    pub(crate) fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the broker ended at its start with {status}: {}", self.last_lines());
            }
            if let Ok(mut connection) = Connection::open(self.address)
                && ask::topics(&mut connection).is_ok()
            {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "no answer: {}", self.last_lines());
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends it at once.
    pub(crate) fn kill(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the broker had ended by itself with {status}: {}", self.last_lines());
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Ends it, if it has not ended by itself; its own status, if so.
    pub(crate) fn end(mut self) -> Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_none() {
            self.child.kill()?;
            self.child.wait()?;
        }
        Ok(status)
    }

    /// Its status, if it has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Sends a signal by its name, as `TERM`.
    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &id]).status()?;
        ensure!(status.success(), "kill -{name} {id}");
        Ok(())
    }

    /// Waits for an end with status 0; how long it took.
    pub(crate) fn wait_for_stop(mut self) -> Result<Duration> {
        let start = Instant::now();
        while start.elapsed() < STOP_LIMIT {
            if let Some(status) = self.child.try_wait()? {
                let text = self.last_lines();
                ensure!(status.code() == Some(0), "stopped with {status}: {text}");
                return Ok(start.elapsed());
            }
            thread::sleep(Duration::from_millis(1));
        }
        bail!("does not stop: {}", self.last_lines())
    }

    /// What it has logged since its start.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The end of what it has logged.
    pub(crate) fn last_lines(&self) -> String {
        let text = self.log();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(6)..].join(" / ")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // After `kill` and `wait_for_stop` there is nothing left to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

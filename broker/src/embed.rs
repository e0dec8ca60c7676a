//! A broker inside of another program: one that a test starts, uses and throws away.
//!
//! Nothing of it is the process's: it handles no signals, installs no logger (what it says goes to
//! the program's, by the `log` crate), raises no limits and ends no process. So there may be many
//! at a time.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_network::HeldPort;
use ottla_storage::disk::{Disk, RealDisk, UnsyncedDisk};

use crate::broker::{BrokerError, RunningBroker};
use crate::cli::{self, Start};
use crate::config::{Notice, Origin, StaticConfig, notices};

mod temp_dir;

use temp_dir::TempDir;

/// What a program that has a broker inside wants otherwise than Kafka's defaults: groups that do
/// not wait for members who may come, one partition of committed offsets instead of 50, and few
/// threads.
const DEFAULTS: [(&str, &str); 5] = [
    ("group.initial.rebalance.delay.ms", "0"),
    ("offsets.topic.num.partitions", "1"),
    ("num.io.threads", "2"),
    ("num.network.threads", "1"),
    ("num.recovery.threads.per.data.dir", "1"),
];

/// Settings that [`Config`] has methods for.
const GIVEN: [(&str, &str); 3] = [
    ("listeners", "call Config::listen instead; advertised.listeners may be set"),
    ("log.dir", "call Config::in_dir instead"),
    ("log.dirs", "call Config::in_dir instead"),
];

/// How a broker inside of a program is to be.
///
/// ```
/// use ottla::Config;
///
/// let config = Config::ephemeral().with("num.partitions", "3");
/// let broker = ottla::Broker::start(config)?;
///
/// let wrong = Config::ephemeral().with("num.partition", "3");
/// let error = ottla::Broker::start(wrong).unwrap_err();
/// assert!(error.to_string().contains("did you mean num.partitions?"));
/// # Ok::<(), ottla::BrokerError>(())
/// ```
///
/// Settings are Kafka's with Kafka's defaults (`docs/CONFIG.md`), but for these:
///
/// | setting | value | why |
/// |---|---|---|
/// | `group.initial.rebalance.delay.ms` | 0 | the first member of a group gets to work at once |
/// | `offsets.topic.num.partitions` | 1 | 50 are 50 directories to make |
/// | `num.network.threads`, `num.io.threads` | 1, 2 | a test has few connections |
/// | `num.recovery.threads.per.data.dir` | 1 | and little data |
#[derive(Clone, Debug)]
pub struct Config {
    dir: Dir,
    listen: Listen,
    settings: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
enum Dir {
    /// One that each start makes anew.
    Fresh,
    /// One that a start has made.
    Made(Arc<TempDir>),
    /// One that is not the broker's to remove.
    Given(PathBuf),
}

#[derive(Clone, Debug)]
enum Listen {
    On(SocketAddr),
    Held(Arc<HeldPort>),
}

impl Config {
    /// A broker of its own: on a free port of 127.0.0.1, with its data in a new directory below
    /// [`std::env::temp_dir`], which is removed when the broker is dropped, and so is what
    /// [`Broker::stop`] gives back.
    ///
    /// Nothing is synced to the medium: the data outlives the process, but not the machine's power.
    pub fn ephemeral() -> Self {
        Self { dir: Dir::Fresh, listen: Listen::On(ANY_PORT), settings: Vec::new() }
    }

    /// A broker on a free port of 127.0.0.1, with its data in `dir`, which is made when missing
    /// and stays. Data is synced when Kafka syncs it.
    pub fn in_dir(dir: &Path) -> Self {
        Self { dir: Dir::Given(dir.to_owned()), ..Self::ephemeral() }
    }

    /// The same listening on `address`; port 0 takes a free one.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = Listen::On(address);
        self
    }

    /// The same with this value of a setting, by Kafka's name. Whether there is such a setting and
    /// the value is valid, [`Broker::start`] finds out.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// Sets a value, whatever it was before.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// The directory with the data; `None` for one that is yet to be made.
    pub fn dir(&self) -> Option<&Path> {
        match &self.dir {
            Dir::Fresh => None,
            Dir::Made(dir) => Some(dir.path()),
            Dir::Given(dir) => Some(dir),
        }
    }

    /// The same with a directory and a port that are there.
    fn settled(mut self) -> Result<Self, BrokerError> {
        if let Dir::Fresh = self.dir {
            self.dir = Dir::Made(Arc::new(TempDir::new()?));
        }
        if let Listen::On(address) = self.listen {
            let held = HeldPort::new(address).map_err(|error| {
                BrokerError::new(format!(
                    "cannot listen on {address}: {error}; choose another address by \
                     Config::listen, with port 0 for a free one"
                ))
            })?;
            self.listen = Listen::Held(Arc::new(held));
        }
        Ok(self)
    }

    /// What a settled configuration means in settings.
    fn statics(&self) -> Result<StaticConfig, BrokerError> {
        let dir = self.dir().and_then(Path::to_str).filter(|dir| !dir.contains(','));
        let Some(dir) = dir.filter(|dir| !dir.trim().is_empty()) else {
            let dir = self.dir().unwrap_or(Path::new(""));
            return Err(BrokerError::new(format!(
                "{dir:?} cannot be a data directory: its path must be UTF-8, not empty, and \
                 without commas; choose another one by Config::in_dir or TMPDIR"
            )));
        };
        let mut statics = StaticConfig::standalone(dir);
        let address = self.address();
        statics.set("listeners", &format!("PLAINTEXT://{address}"), Origin::Program);
        for (name, value) in DEFAULTS {
            statics.set(name, value, Origin::Program);
        }
        for (name, value) in &self.settings {
            if let Some((_, next)) = GIVEN.iter().find(|(given, _)| given == name) {
                return Err(BrokerError::new(format!("{name}={value} is not for Config: {next}")));
            }
            statics.set(name, value, Origin::Program);
        }
        check_names(&statics)?;
        Ok(statics)
    }

    fn address(&self) -> SocketAddr {
        match &self.listen {
            Listen::On(address) => *address,
            Listen::Held(held) => held.address(),
        }
    }
}

const ANY_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// The command passes over names that nobody knows, as Kafka does, for files of other versions; a
/// program that sets one has misspelled it.
fn check_names(statics: &StaticConfig) -> Result<(), BrokerError> {
    for notice in notices(statics) {
        if let Notice::Unknown { key, nearest, .. } = notice {
            let meant = nearest.map_or_else(
                || "see docs/CONFIG.md for what there is".to_owned(),
                |nearest| format!("did you mean {nearest}?"),
            );
            return Err(BrokerError::new(format!("unknown setting {key}; {meant}")));
        }
    }
    Ok(())
}

/// A broker inside of this program. Dropping it stops it, as [`Broker::stop`] does, and tells what
/// goes wrong with that to the log alone.
///
/// ```
/// use ottla::{Broker, Config};
///
/// let broker = Broker::start(Config::ephemeral())?;
/// let client = std::net::TcpStream::connect(broker.bootstrap_servers());
/// assert!(client.is_ok());
///
/// // What is stopped can be started again: with its data, at its address.
/// let before = broker.bootstrap_servers().to_owned();
/// let stopped = broker.stop()?;
/// let broker = Broker::start(stopped)?;
/// assert_eq!(broker.bootstrap_servers(), before);
/// # Ok::<(), ottla::BrokerError>(())
/// ```
pub struct Broker {
    /// `None` once it is stopped.
    running: Option<RunningBroker>,
    bootstrap_servers: String,
    // Last, so that the directory is removed when nobody is in it any more.
    config: Config,
}

impl Broker {
    /// Starts a broker and returns when it serves.
    ///
    /// # Errors
    /// A setting is unknown or not valid, the address is taken, the directory cannot be used: the
    /// message says what it is, and what to do about it.
    pub fn start(config: Config) -> Result<Self, BrokerError> {
        let config = config.settled()?;
        let statics = config.statics()?;
        cli::say_notices(&statics);
        let start = Start::new(statics).map_err(|error| BrokerError::new(error.to_string()))?;
        let disk: Arc<dyn Disk> = match config.dir {
            Dir::Given(_) => Arc::new(RealDisk),
            Dir::Fresh | Dir::Made(_) => Arc::new(UnsyncedDisk),
        };
        let running = RunningBroker::start_on(disk, start)?;
        let bootstrap_servers = config.address().to_string();
        Ok(Self { running: Some(running), bootstrap_servers, config })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.config.address()
    }

    /// The same as clients' `bootstrap.servers` want it, `127.0.0.1:35471` say.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// The directory with its data, Kafka's files.
    pub fn dir(&self) -> &Path {
        self.config.dir().expect("a start has made it")
    }

    /// Stops it: requests in flight are answered, for 0.7 s at most, then the logs are closed. What
    /// it gives back starts it again, on the same data at the same address; the port stays taken
    /// until then. A directory that the start made is removed with it.
    ///
    /// # Errors
    /// Something could not be written, or the directory was lost.
    pub fn stop(mut self) -> Result<Config, BrokerError> {
        self.end()?;
        Ok(self.config.clone())
    }

    fn end(&mut self) -> Result<(), BrokerError> {
        self.running.take().map_or(Ok(()), RunningBroker::stop)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            log::warn!("broker {}: {error}", self.bootstrap_servers);
        }
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("address", &self.address())
            .field("dir", &self.dir())
            .finish_non_exhaustive()
    }
}

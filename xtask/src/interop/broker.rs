//! A data directory with its settings, and a broker, Ottla or Apache Kafka, running in it.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};

use super::process;
use super::toolbox::Toolbox;

/// Apache Kafka was seen to need 15 seconds on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(120);
const STOP_LIMIT: Duration = Duration::from_secs(120);

/// Below are ports that other programs are known by.
const PORT_MIN: u16 = 10_000;

/// Which broker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Ours, built for release.
    Ottla,
    /// Apache Kafka.
    Kafka,
}

/// A data directory, a port and the settings that name them. It outlives the broker in it, and
/// both kinds of broker run in it with the same settings.
pub(crate) struct Site<'a> {
    toolbox: &'a Toolbox,
    name: String,
    folder: PathBuf,
    /// What `log.dirs` names.
    dirs: Vec<PathBuf>,
    bootstrap: String,
    /// Where the JVM finds Apache Kafka.
    kafka_path: String,
    /// Whether voters are kept in the metadata log (KIP-853), not in the settings.
    keeps_voters: bool,
}

impl<'a> Site<'a> {
    /// An empty directory under `target/interop`, on free ports.
    pub(crate) fn fresh(toolbox: &'a Toolbox, name: &str) -> Result<Site<'a>> {
        Site::fresh_with(toolbox, name, "")
    }

    /// [`Site::fresh`] with more settings, as lines of a properties file.
    pub(crate) fn fresh_with(toolbox: &'a Toolbox, name: &str, more: &str) -> Result<Site<'a>> {
        Site::fresh_in(toolbox, name, &[""], more)
    }

    /// [`Site::fresh_with`] with these log directories, each a folder of the data directory.
    pub(crate) fn fresh_in(
        toolbox: &'a Toolbox,
        name: &str,
        dirs: &[&str],
        more: &str,
    ) -> Result<Site<'a>> {
        let folder = toolbox.target.join(format!("site-{name}"));
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let [port, controller_port] = free_ports()?;
        let data = folder.join("data");
        let under = |dir: &&str| if dir.is_empty() { data.clone() } else { data.join(dir) };
        let dirs: Vec<PathBuf> = dirs.iter().map(under).collect();
        let names: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
        let settings = fs::read_to_string(toolbox.sources.join("server.properties"))?
            .replace("@PORT@", &port.to_string())
            .replace("@CONTROLLER_PORT@", &controller_port.to_string())
            .replace("@LOG_DIRS@", &names.join(","));
        fs::write(folder.join("server.properties"), settings + more)?;
        let bootstrap = format!("127.0.0.1:{port}");
        let kafka_path = toolbox.class_path();
        let name = name.to_owned();
        Ok(Site { toolbox, name, folder, dirs, bootstrap, kafka_path, keeps_voters: false })
    }

    /// This site with its voters in the metadata log instead of the settings.
    pub(crate) fn keeping_voters(self) -> Result<Site<'a>> {
        let settings = fs::read_to_string(self.settings())?
            .replace("controller.quorum.voters=1@", "controller.quorum.bootstrap.servers=");
        fs::write(self.settings(), settings)?;
        Ok(Site { keeps_voters: true, ..self })
    }

    /// This site with another version of Apache Kafka in it.
    pub(crate) fn with_kafka(self, version: &str) -> Result<Site<'a>> {
        Ok(Site { kafka_path: self.toolbox.other_kafka(version)?, ..self })
    }

    /// A copy of the whole site, for the same ports; one of the two can run at a time.
    pub(crate) fn copy(&self, name: &str) -> Result<Site<'a>> {
        let folder = self.toolbox.target.join(format!("site-{name}"));
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let status = Command::new("cp").arg("-a").arg(&self.folder).arg(&folder).status()?;
        ensure!(status.success(), "cp -a {} {}", self.folder.display(), folder.display());
        let [old, new] = [&self.folder, &folder].map(|folder| folder.display().to_string());
        let settings = fs::read_to_string(self.settings())?.replace(&old, &new);
        fs::write(folder.join("server.properties"), settings)?;
        let moved = |dir: &PathBuf| dir.strip_prefix(&self.folder).map(|dir| folder.join(dir));
        let dirs = self.dirs.iter().map(moved).collect::<Result<_, _>>()?;
        let (bootstrap, kafka_path) = (self.bootstrap.clone(), self.kafka_path.clone());
        let name = name.to_owned();
        let keeps_voters = self.keeps_voters;
        Ok(Site { toolbox: self.toolbox, name, folder, dirs, bootstrap, kafka_path, keeps_voters })
    }

    /// For messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// HOST:PORT for clients.
    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The log directories, which are one and the same as the data directory or folders of it.
    pub(crate) fn dirs(&self) -> &[PathBuf] {
        &self.dirs
    }

    fn settings(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    /// Starts a broker and waits until it answers.
    pub(crate) fn start(&self, kind: Kind) -> Result<Running> {
        let command = self.command(kind)?;
        self.start_as(kind, command)
    }

    /// [`Site::start`] on one processor.
    pub(crate) fn start_on(&self, kind: Kind, cpu: usize) -> Result<Running> {
        self.start_among(kind, &cpu.to_string())
    }

    /// [`Site::start`] on the processors of a list, such as `0,1`.
    pub(crate) fn start_among(&self, kind: Kind, cpus: &str) -> Result<Running> {
        let plain = self.command(kind)?;
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", cpus]).arg(plain.get_program()).args(plain.get_args());
        self.start_as(kind, pinned)
    }

    /// What starts a broker here, in a directory that is formatted.
    pub(crate) fn command(&self, kind: Kind) -> Result<Command> {
        let mut command = match kind {
            Kind::Ottla => Command::new(&self.toolbox.ottla),
            Kind::Kafka => {
                self.format()?;
                self.kafka()
            }
        };
        command.arg(self.settings());
        Ok(command)
    }

    /// Removes everything.
    pub(crate) fn remove(self) -> Result<()> {
        Ok(fs::remove_dir_all(&self.folder)?)
    }

    fn start_as(&self, kind: Kind, mut command: Command) -> Result<Running> {
        let log = self.toolbox.log(&format!("{}-{kind:?}.log", self.name));
        let output = OpenOptions::new().create(true).append(true).open(&log)?;
        let log_start = output.metadata()?.len();
        command.stdin(Stdio::null());
        command.stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("start {kind:?}"))?;
        let mut running = Running { kind, child, log, log_start };
        let deadline = Instant::now() + START_LIMIT;
        while !answers(&self.bootstrap) {
            if let Some(status) = running.child.try_wait()? {
                bail!("{kind:?} ended at start with {status}: {}", tail(&running.log));
            }
            ensure!(Instant::now() < deadline, "{kind:?} does not answer: {}", tail(&running.log));
            thread::sleep(Duration::from_millis(5));
        }
        Ok(running)
    }

    /// With the JVM's settings that Kafka's scripts give a broker (`kafka-server-start.sh`,
    /// `kafka-run-class.sh`): on one processor it would choose another collector by itself.
    fn kafka(&self) -> Command {
        let mut command = Command::new("java");
        let config = self.toolbox.sources.join("log4j2.xml");
        command.args(["-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"]);
        command.args(["-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent"]);
        command.args(["-Djava.awt.headless=true", "-Dlog.level=INFO"]);
        command.arg(format!("-Dlog4j2.configurationFile={}", config.display()));
        command.arg("-cp").arg(&self.kafka_path).arg("kafka.Kafka");
        command
    }

    /// Apache Kafka wants its directory formatted before the first start.
    fn format(&self) -> Result<()> {
        if self.dirs.iter().any(|dir| dir.join("meta.properties").exists()) {
            return Ok(());
        }
        let log = self.toolbox.log("format");
        let mut id = self.toolbox.java();
        id.args(["kafka.tools.StorageTool", "random-uuid"]);
        let lines = process::output(id, &log, START_LIMIT)?;
        let mut format = self.toolbox.java_with(&self.kafka_path);
        format.args(["kafka.tools.StorageTool", "format", "-t"]);
        format.arg(lines.last().context("random-uuid printed nothing")?);
        format.arg("-c").arg(self.settings());
        if self.keeps_voters {
            format.arg("--standalone");
        }
        process::output(format, &log, START_LIMIT)?;
        Ok(())
    }
}

/// A broker that runs. Dropping it kills it.
pub(crate) struct Running {
    kind: Kind,
    child: Child,
    log: PathBuf,
    /// Where in the log this run begins, in bytes.
    log_start: u64,
}

impl Running {
    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged since its start, a line each.
    pub(crate) fn log_lines(&self) -> Result<Vec<String>> {
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(self.log_start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
    }

    /// Asks it to stop and waits; ours must end with 0, a JVM ends with the signal's 143.
    pub(crate) fn stop(mut self) -> Result<()> {
        let id = self.child.id().to_string();
        ensure!(Command::new("kill").args(["-TERM", &id]).status()?.success(), "kill -TERM {id}");
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                let wanted = if self.kind == Kind::Ottla { 0 } else { 143 };
                let kind = self.kind;
                let text = tail(&self.log);
                ensure!(status.code() == Some(wanted), "{kind:?} stopped with {status}: {text}");
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        bail!("{:?} does not stop: {}", self.kind, tail(&self.log))
    }

    /// Ends it at once, as a crash does.
    pub(crate) fn kill(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{:?} had ended by itself with {status}: {}", self.kind, tail(&self.log));
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After `stop` and `kill` there is nothing left to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two ports that nobody listens on, below those that the system gives out by itself. One of the
/// latter might be taken while the broker is down: by anybody who listens on any port, by anybody's
/// connection, even by that of a client to this very port, which then talks to itself.
pub(crate) fn free_ports() -> Result<[u16; 2]> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")?;
    let end: u16 = range.split_whitespace().next().context("no range of ports")?.parse()?;
    let ports = PORT_MIN..end.max(PORT_MIN);
    // Runs that begin at the same time begin to look at different places.
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos() as usize;
    let first = now.wrapping_add(std::process::id() as usize) % ports.len().max(1);
    // Where the system gives out all ports, it has to give out these.
    let candidates = ports.clone().skip(first).chain(ports.take(first)).chain([0, 0]);
    // Both are held until both are known, so that they differ.
    let mut free = candidates.filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    let (Some(one), Some(other)) = (free.next(), free.next()) else { bail!("no port is free") };
    Ok([one.local_addr()?.port(), other.local_addr()?.port()])
}

/// Whether a broker answers a Metadata request with at least one broker.
fn answers(bootstrap: &str) -> bool {
    ask(bootstrap).unwrap_or(false)
}

fn ask(bootstrap: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(bootstrap)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    // Length, Metadata (3) version 1, correlation id, no client id, no topics.
    stream.write_all(&[0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0])?;
    let mut head = [0; 12];
    match stream.read_exact(&mut head) {
        Ok(()) => Ok(head[4..8] == [0, 0, 0, 7] && head[8..12] != [0; 4]),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The last lines of a log, on one line.
fn tail(path: &Path) -> String {
    let mut bytes = Vec::new();
    // A log that cannot be read must not hide the failure that wants to show it.
    let _ = File::open(path).and_then(|mut file| file.read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    format!("{}: {}", path.display(), lines[lines.len().saturating_sub(5)..].join(" / "))
}

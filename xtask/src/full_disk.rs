//! The release broker on a disk that fills up, and has space again.
//!
//! A small file system is filled by producers to its last block: what each client is told, that
//! nothing half written is left, that readers and what makes room go on, and that all is well
//! without a restart when there is space. A stop, a kill while the disk is full, and starts on it
//! follow; in the end `ottlactl verify` finds nothing wrong. Needs root, to mount a file system.

mod client;

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ottla_protocol::error_code::ErrorCode;

use crate::gate::{Outcome, target_dir};
use crate::interop;
use crate::torture::load::{ask, commit};
use crate::torture::site::{Broker, Site};
use crate::torture::wire::Connection;
use client::Topic;

/// The file system, MiB: some segments of two topics.
const DISK_MIB: u64 = 48;
/// What is written of each topic before the disk is filled, MiB.
const BEFORE_MIB: usize = 8;
/// What somebody else has of the disk, and gives back, MiB.
const BALLAST_MIB: usize = 4;
/// The largest record; smaller ones follow when it finds no room.
const RECORD_BYTES: usize = 64 << 10;
/// Refusals in a row after which the disk counts as full.
const REFUSALS: u32 = 5;
/// Requests that may still find room in blocks that are begun.
const TRIES: u32 = 2_000;
/// How long anything may take to work again when there is space.
const HEAL_LIMIT: Duration = Duration::from_secs(15);

const SETTINGS: &str = "log.segment.bytes=1048576
log.index.interval.bytes=512
log.initial.task.delay.ms=50
log.retention.check.interval.ms=200
log.segment.delete.delay.ms=100
log.flush.offset.checkpoint.interval.ms=200
log.flush.start.offset.checkpoint.interval.ms=200
offsets.topic.num.partitions=1
";

/// What `cargo xtask full-disk` takes.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Only on this file system.
    #[arg(long, value_enum)]
    file_system: Option<FileSystem>,
    /// Use this broker, and the `ottlactl` beside it, instead of building them.
    #[arg(long)]
    broker: Option<PathBuf>,
}

/// Where the directory lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FileSystem {
    Tmpfs,
    Ext4,
}

/// Fills a disk of each kind.
pub(crate) fn run(root: &Path, args: &Args) -> Result<Outcome> {
    if Command::new("id").arg("-u").output()?.stdout.trim_ascii() != b"0" {
        let missing = "full-disk: needs root, to mount a file system";
        println!("{missing}: CANNOT RUN");
        return Ok(Outcome { not_run: vec![missing.to_owned()], ..Outcome::default() });
    }
    let broker = match &args.broker {
        Some(path) => path.clone(),
        None => {
            interop::build(root)?;
            target_dir(root).join("release/ottla")
        }
    };
    let mut outcome = Outcome::default();
    for file_system in [FileSystem::Tmpfs, FileSystem::Ext4] {
        if args.file_system.is_some_and(|only| only != file_system) {
            continue;
        }
        let folder = root.join(format!("target/full-disk/{file_system:?}").to_lowercase());
        let start = Instant::now();
        let result = Disk::mount(&folder, file_system).and_then(|disk| {
            let mut case = Case::start(root, &folder, &broker, disk)?;
            case.run().with_context(|| format!("logs are in {}", folder.display()))
        });
        let seconds = start.elapsed().as_secs_f64();
        match &result {
            Ok(()) => println!("full-disk: {file_system:?}: ok in {seconds:.0} s"),
            Err(error) => println!("full-disk: {file_system:?}: BAD: {error:#}"),
        }
        outcome.add(Outcome::of(result.is_ok()));
    }
    Ok(outcome)
}

/// A small file system, unmounted when dropped.
struct Disk {
    mount: PathBuf,
}

impl Disk {
    fn mount(folder: &Path, kind: FileSystem) -> Result<Disk> {
        let mount = folder.join("mount");
        // Left by a run that was ended from outside.
        let _ = Command::new("umount").arg(&mount).stderr(Stdio::null()).status();
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(&mount)?;
        match kind {
            FileSystem::Tmpfs => {
                let size = format!("size={DISK_MIB}m");
                command(
                    Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&mount),
                )?;
            }
            FileSystem::Ext4 => {
                let image = folder.join("image");
                File::create(&image)?.set_len(DISK_MIB << 20)?;
                command(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
                command(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&mount))?;
            }
        }
        Ok(Disk { mount })
    }

    fn filler(&self) -> PathBuf {
        self.mount.join("filler")
    }

    /// Takes so many bytes, or every block that is left.
    fn fill(&self, bytes: usize) -> Result<()> {
        let mut file = File::options().create(true).append(true).open(self.filler())?;
        for _ in 0..bytes / 4096 {
            match file.write_all(&[b'f'; 4096]) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn empty(&self) -> Result<()> {
        Ok(fs::remove_file(self.filler())?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            if command(Command::new("umount").arg(&self.mount)).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn command(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", said.trim());
    Ok(())
}

/// A broker on such a disk. The broker goes before the disk.
struct Case {
    verifier: PathBuf,
    broker: Option<Broker>,
    connection: Connection,
    site: Site,
    /// Is filled.
    filled: Topic,
    /// Its records are deleted.
    short: Topic,
    disk: Disk,
}

impl Case {
    fn start(root: &Path, folder: &Path, broker: &Path, disk: Disk) -> Result<Case> {
        let data = vec![disk.mount.join("data")];
        let site = Site::fresh(root, &folder.join("site"), data, broker, SETTINGS)?;
        let verifier = broker.with_file_name("ottlactl");
        let broker = site.start()?;
        let mut connection = Connection::open(site.address)?;
        let filled = Topic::create(&mut connection, "filled", &[])?;
        let short = Topic::create(&mut connection, "short", &[])?;
        let broker = Some(broker);
        Ok(Case { verifier, broker, connection, site, filled, short, disk })
    }

    fn run(&mut self) -> Result<()> {
        let mut gone = Topic::create(&mut self.connection, "gone", &[])?;
        for _ in 0..(BEFORE_MIB << 20) / RECORD_BYTES {
            for topic in [&mut self.short, &mut gone, &mut self.filled] {
                let code = topic.produce(&mut self.connection, RECORD_BYTES)?;
                ensure!(code.is_none(), "{}: {code}", topic.name);
            }
        }
        self.until("a coordinator", |case| {
            let found = ask::coordinator(&mut case.connection)?;
            Ok(if found { ErrorCode::NONE } else { ErrorCode::COORDINATOR_NOT_AVAILABLE })
        })?;
        self.until("a commit", |case| case.commit())?;
        self.fill()?;
        self.refused()?;
        self.read_all(0)?;
        self.make_room()?;
        // What makes no room by itself does, when somebody else gives it back.
        self.fill()?;
        self.disk.empty()?;
        self.healed("filled again")?;
        self.kill_when_full()?;
        let code = ask::delete(&mut self.connection, "gone")?;
        ensure!(code.is_none(), "a topic is not deleted: {code}");
        self.finish()
    }

    /// Writes until nothing is taken any more, not even when blocks that are begun have room.
    fn fill(&mut self) -> Result<()> {
        // What is given back later.
        self.disk.fill(BALLAST_MIB << 20)?;
        let mut bytes = RECORD_BYTES;
        let mut acked = 0;
        let mut refusals = 0;
        let mut taken = false;
        while refusals < REFUSALS {
            match self.filled.produce(&mut self.connection, bytes)? {
                ErrorCode::NONE => (acked, refusals) = (acked + 1, 0),
                ErrorCode::KAFKA_STORAGE_ERROR if bytes > 8 => bytes /= 2,
                ErrorCode::KAFKA_STORAGE_ERROR if !taken => {
                    self.disk.fill(usize::MAX)?;
                    (bytes, taken) = (RECORD_BYTES, true);
                }
                ErrorCode::KAFKA_STORAGE_ERROR => refusals += 1,
                code => bail!("a producer was told {code}"),
            }
            ensure!(acked < 1_000_000, "the disk is never full");
        }
        println!("full-disk: full after {acked} records more; Produce: KAFKA_STORAGE_ERROR");
        Ok(())
    }

    /// What other clients are told.
    fn refused(&mut self) -> Result<()> {
        let code = self.first_refusal(|case, _| case.commit())?;
        println!("full-disk: OffsetCommit: {code}");
        ensure!(code == ErrorCode::NOT_COORDINATOR, "a commit was told {code}");
        let code = self.first_refusal(|case, n| {
            let created = ask::create(&mut case.connection, &format!("new-{n}"), 1, &[])?;
            Ok(created.err().unwrap_or(ErrorCode::NONE))
        })?;
        println!("full-disk: CreateTopics: {code}");
        ensure!(code == ErrorCode::KAFKA_STORAGE_ERROR, "a new topic was told {code}");
        let code = self.filled.produce(&mut self.connection, 8)?;
        ensure!(code == ErrorCode::KAFKA_STORAGE_ERROR, "a producer was told {code}");
        Ok(())
    }

    fn first_refusal(
        &mut self,
        mut ask: impl FnMut(&mut Case, u32) -> Result<ErrorCode>,
    ) -> Result<ErrorCode> {
        for n in 0..TRIES {
            let code = ask(self, n)?;
            if !code.is_none() {
                return Ok(code);
            }
        }
        bail!("{TRIES} requests found room on a full disk")
    }

    fn commit(&mut self) -> Result<ErrorCode> {
        Ok(commit::commit(&mut self.connection, "group", "filled", 5)?)
    }

    fn read_all(&mut self, start: i64) -> Result<()> {
        self.filled.check(&mut self.connection, 0)?;
        self.short.check(&mut self.connection, start)
    }

    /// Deleted records make room, on a disk without any, and all goes on.
    fn make_room(&mut self) -> Result<()> {
        let code = self.short.delete_records(&mut self.connection)?;
        ensure!(code.is_none(), "records are not deleted: {code}");
        self.until("an append", |case| case.filled.produce(&mut case.connection, RECORD_BYTES))?;
        self.disk.empty()?;
        self.healed("records deleted")
    }

    /// Everything that was refused is done.
    fn healed(&mut self, name: &str) -> Result<()> {
        self.until("an append", |case| case.filled.produce(&mut case.connection, RECORD_BYTES))?;
        self.until("an append", |case| case.short.produce(&mut case.connection, RECORD_BYTES))?;
        self.until("a commit", |case| case.commit())?;
        let name = name.replace(' ', "-");
        let mut topic = Topic::create(&mut self.connection, &name, &[])?;
        self.until("an append", |case| topic.produce(&mut case.connection, RECORD_BYTES))?;
        topic.check(&mut self.connection, 0)?;
        let start = ask::ends(&mut self.connection, "short", 0)?.context("short is offline")?.0;
        self.read_all(start)
    }

    /// Asks until it is done, for it may take a moment to be noticed that there is space.
    fn until(
        &mut self,
        what: &str,
        mut ask: impl FnMut(&mut Case) -> Result<ErrorCode>,
    ) -> Result<()> {
        let start = Instant::now();
        loop {
            let code = ask(self)?;
            if code.is_none() {
                return Ok(());
            }
            ensure!(start.elapsed() < HEAL_LIMIT, "{what} is still told {code}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// A kill, and a start on the full disk: it serves, or says why not. With space it does.
    fn kill_when_full(&mut self) -> Result<()> {
        self.fill()?;
        self.broker.take().context("a broker runs")?.kill()?;
        let mut broker = self.site.spawn()?;
        match broker.wait_until_ready() {
            Ok(()) => {
                println!("full-disk: a start on the full disk serves");
                broker.kill()?;
            }
            Err(error) => {
                println!("full-disk: a start on the full disk: {error}");
                let status = broker.end()?.context("it hangs")?;
                ensure!(status.code() == Some(1), "it ended with {status}");
            }
        }
        self.disk.empty()?;
        self.start_again()?;
        self.healed("killed")
    }

    fn start_again(&mut self) -> Result<()> {
        self.broker = Some(self.site.start()?);
        self.connection = Connection::open(self.site.address)?;
        Ok(())
    }

    /// A clean stop while the disk is nearly full, a look at every file, and a start.
    fn finish(&mut self) -> Result<()> {
        let broker = self.broker.take().context("a broker runs")?;
        let log = broker.log();
        ensure!(!log.contains("goes offline"), "a directory went offline");
        broker.signal("TERM")?;
        broker.wait_for_stop()?;
        let output = Command::new(&self.verifier)
            .arg("verify")
            .args(&self.site.data)
            .output()
            .context("ottlactl")?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.code() == Some(0), "ottlactl verify: {}: {said}", output.status);
        self.start_again()?;
        self.healed("again")
    }
}

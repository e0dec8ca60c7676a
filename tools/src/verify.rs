//! `ottlactl verify`: checks a directory, every structure against every other, and changes nothing.

mod metadata;
mod print;
mod progress;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ottla_storage::disk::RealDisk;
use ottla_storage::verify::{self, DirReport, LockedDir, VerifyOptions};

use crate::global::Global;
use crate::output::Format;
use crate::{CannotRun, Found, Outcome, heard};
pub(crate) use metadata::Metadata;

const EXAMPLES: &str = "\
Examples:
  ottlactl verify /var/lib/kafka/data
  ottlactl verify --deep -o json /var/lib/kafka/data";

/// Checks a directory: every structure against every other
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    what: What,
}

/// What is verified, and how.
#[derive(clap::Args)]
pub(crate) struct What {
    /// The log directory, one entry of `log.dirs`; or one partition's directory.
    dir: PathBuf,
    /// Also decompresses and reads every record.
    #[arg(long)]
    deep: bool,
    /// Partitions that are read at a time.
    #[arg(long, value_name = "N", default_value_t = default_threads())]
    threads: usize,
    /// The broker's `log.index.interval.bytes`.
    #[arg(long, value_name = "BYTES", default_value_t = 4096)]
    pub(crate) index_interval_bytes: u32,
    /// The log directory with `__cluster_metadata-0`, if it is another one.
    #[arg(long, value_name = "DIR")]
    metadata_dir: Option<PathBuf>,
}

/// A verification that was made.
pub(crate) struct Verified {
    pub(crate) report: DirReport,
    /// Bytes of log files that were read.
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
}

fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Runs the command.
pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let is_data = match global.format() {
        None | Some(Format::Table | Format::Wide) => false,
        Some(Format::Json) => true,
        Some(Format::Yaml | Format::Name) => {
            return Err(CannotRun("verify prints text, or JSON with -o json".to_owned()));
        }
    };
    let target = args.what.lock()?;
    let metadata = args.what.metadata(&target)?;
    let verified = args.what.verify(&target, &metadata)?;
    drop(target);
    heard(if is_data { print::json(&verified) } else { print::text(&verified) })?;
    Ok(if verified.report.is_wrong() { Found::Damage } else { Found::Nothing })
}

/// The directory that is looked at, which no broker can open meanwhile.
pub(crate) struct Target {
    /// Under the name that a partition's directory has, else as it was given.
    dir: PathBuf,
    locked: Option<LockedDir<'static>>,
    /// It is a partition's directory, and the lock is that of the log directory around it.
    is_within: bool,
}

impl Target {
    /// Whether it is a partition's directory in a log directory, which has the checkpoints.
    pub(crate) fn is_in_log_dir(&self) -> bool {
        self.is_within
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // A lock file that stays behind holds nothing: brokers leave one too when they are killed.
        let _left = self.locked.take().map(LockedDir::release);
    }
}

impl What {
    /// Keeps brokers away from the directory.
    pub(crate) fn lock(&self) -> Result<Target, CannotRun> {
        let cannot = |why: String| CannotRun(format!("{}: {why}", self.dir.display()));
        match fs::metadata(&self.dir) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(cannot("is no directory".to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(cannot("no such directory".to_owned()));
            }
            Err(error) => return Err(cannot(error.to_string())),
        }
        // A partition's directory says by its name whose it is, and the lock is in the one above:
        // `.` and links lie elsewhere than they seem to.
        let real = self.dir.canonicalize().map_err(|error| cannot(error.to_string()))?;
        let locked = verify::lock(&RealDisk, &real).map_err(|error| match error.kind() {
            io::ErrorKind::ResourceBusy => CannotRun(error.to_string()),
            _ => CannotRun(format!("cannot lock {}: {error}", self.dir.display())),
        })?;
        let is_named = real.file_name() == self.dir.file_name();
        let is_within = locked.as_ref().is_some_and(|locked| locked.log_dir() != real);
        let dir = if is_named { self.dir.clone() } else { real };
        Ok(Target { dir, locked, is_within })
    }

    /// What the metadata log says, if there is one.
    pub(crate) fn metadata(&self, target: &Target) -> Result<Metadata, CannotRun> {
        let given = self.metadata_dir.as_ref();
        if let Some(dir) = given.filter(|dir| !Metadata::is_in(dir)) {
            return Err(CannotRun(format!("{}: there is no metadata log in it", dir.display())));
        }
        Ok(Metadata::read(given.unwrap_or(&target.dir), &target.dir))
    }

    /// Verifies it.
    pub(crate) fn verify(
        &self,
        target: &Target,
        metadata: &Metadata,
    ) -> Result<Verified, CannotRun> {
        let progress = verify::Progress::default();
        let known = |topic_partition: &_, topic_id| metadata.known(topic_partition, topic_id);
        let options = VerifyOptions {
            deep: self.deep,
            threads: self.threads,
            index_interval_bytes: self.index_interval_bytes,
            known: &known,
            progress: &progress,
        };
        let began = Instant::now();
        let report =
            progress::shown(&progress, || verify::verify_log_dir(&RealDisk, &target.dir, &options));
        let took = began.elapsed();
        let in_words = |error| CannotRun(format!("{}: {error}", target.dir.display()));
        let mut report = report.map_err(in_words)?;
        report.findings.extend(metadata.findings().iter().cloned());
        Ok(Verified { report, bytes: progress.done_bytes(), took })
    }
}

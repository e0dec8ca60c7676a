//! `ottlactl verify`: checks a directory, every structure against every other, and changes nothing.

mod metadata;
mod print;
mod progress;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ottla_storage::disk::RealDisk;
use ottla_storage::verify::{self, DirReport, LockedDir, VerifyOptions};

use crate::{CannotRun, Found, Outcome};
pub(crate) use metadata::Metadata;

/// Checks a directory.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) what: What,
    /// Output for people or for programs.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// What is verified, and how.
#[derive(clap::Args)]
pub(crate) struct What {
    /// The log directory, one entry of `log.dirs`; or one partition's directory.
    pub(crate) dir: PathBuf,
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

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A line for each finding, and one for what can be done about it.
    Text,
    /// One JSON object.
    Json,
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
pub(crate) fn run(args: &Args) -> Outcome {
    let locked = lock(&args.what.dir)?;
    let metadata = args.what.metadata();
    let verified = args.what.verify(&metadata)?;
    release(locked);
    match args.output {
        Format::Text => print::text(&verified)?,
        Format::Json => print::json(&verified)?,
    }
    Ok(if verified.report.is_wrong() { Found::Damage } else { Found::Nothing })
}

/// Keeps brokers away from the directory.
pub(crate) fn lock(dir: &Path) -> Result<Option<LockedDir<'static>>, CannotRun> {
    if !dir.is_dir() {
        return Err(CannotRun(format!("{}: no such directory", dir.display())));
    }
    verify::lock(&RealDisk, dir).map_err(|error| match error.kind() {
        io::ErrorKind::ResourceBusy => CannotRun(error.to_string()),
        _ => CannotRun(format!("cannot lock {}: {error}", dir.display())),
    })
}

/// Lets the directory go.
pub(crate) fn release(locked: Option<LockedDir<'static>>) {
    // A lock file that stays behind holds nothing: brokers leave one too when they are killed.
    let _left = locked.map(LockedDir::release);
}

impl What {
    /// What the metadata log says, if there is one.
    pub(crate) fn metadata(&self) -> Metadata {
        Metadata::read(self.metadata_dir.as_ref().unwrap_or(&self.dir), &self.dir)
    }

    /// Verifies it. The directory is locked.
    pub(crate) fn verify(&self, metadata: &Metadata) -> Result<Verified, CannotRun> {
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
            progress::shown(&progress, || verify::verify_log_dir(&RealDisk, &self.dir, &options));
        let took = began.elapsed();
        let in_words = |error| CannotRun(format!("{}: {error}", self.dir.display()));
        let mut report = report.map_err(in_words)?;
        report.findings.extend(metadata.findings().iter().cloned());
        Ok(Verified { report, bytes: progress.done_bytes(), took })
    }
}

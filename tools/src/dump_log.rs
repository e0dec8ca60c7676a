//! `ottlactl dump-log`: what is in log segments, snapshots and indexes, in the words of
//! `kafka-dump-log`, or as JSON.
//!
//! | module | what it does |
//! |---|---|
//! | [`segment`] | walks a `.log` or `.checkpoint` |
//! | [`indexes`] | walks indexes and producer snapshots, holds indexes against the log |
//! | [`printer`] | what is told of either, to one of the two printers |
//! | [`text`], [`json_lines`] | the printers |
//! | [`decoder`] | keys and values as text |
//! | [`failure`] | what ends a file, by the names of Java's exceptions |
//! | [`java`] | paths, numbers and maps as Java has them |

mod decoder;
mod failure;
mod indexes;
mod java;
mod json_lines;
mod printer;
mod segment;
mod text;

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use ottla_storage::disk::{Disk, DiskFile, Open, RealDisk};
use ottla_storage::meta_properties::META_PROPERTIES_FILE;
use ottla_storage::verify::{self, LockedDir};

use crate::global::Global;
use crate::output::Format;
use crate::{CannotRun, Found, Outcome};
use decoder::Contents;
use failure::{Failure, Stop};
use java::JavaPath;
use printer::Printer;

const EXAMPLES: &str = "\
Examples:
  ottlactl dump-log --print-data-log data/orders-0/00000000000000000000.log
  ottlactl dump-log --offsets-decoder data/__consumer_offsets-7/00000000000000000000.log
  ottlactl dump-log --index-sanity-check data/orders-0/00000000000000000000.index
  ottlactl dump-log --live -o json data/orders-0/*.log";

/// Prints what is in log segments, snapshots and indexes
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The files: .log, .checkpoint, .index, .timeindex, .txnindex, .snapshot
    #[arg(value_name = "FILE", required_unless_present = "files", conflicts_with = "files")]
    paths: Vec<String>,
    /// The same as kafka-dump-log has them, with commas between them
    #[arg(long, value_name = "FILE,...")]
    files: Option<String>,
    /// Prints each record too. Set by --print-data-log.
    #[arg(long)]
    deep_iteration: bool,
    /// Prints keys and values too. Set by any decoder.
    #[arg(long)]
    print_data_log: bool,
    /// Leaves out what is not the key or the value of a record, and control records.
    #[arg(long)]
    skip_record_metadata: bool,
    /// Only runs the check that a broker makes of an index when it starts.
    #[arg(long)]
    index_sanity_check: bool,
    /// Compares an index with its log without printing its entries.
    #[arg(long)]
    verify_index_only: bool,
    /// Stops reading a log behind this many bytes.
    #[arg(long, value_name = "BYTES", default_value_t = i32::MAX, allow_negative_numbers = true)]
    max_bytes: i32,
    /// How far behind the position in an index entry its batch is looked for, bytes.
    #[arg(long, value_name = "BYTES", default_value_t = MESSAGE_SIZE_MAX)]
    #[arg(allow_negative_numbers = true)]
    max_message_size: i32,
    /// Reads records of __consumer_offsets.
    #[arg(long)]
    offsets_decoder: bool,
    /// Reads records of __transaction_state.
    #[arg(long)]
    transaction_log_decoder: bool,
    /// Reads records of __cluster_metadata.
    #[arg(long)]
    cluster_metadata_decoder: bool,
    /// Reads records of __share_group_state.
    #[arg(long)]
    share_group_state_decoder: bool,
    /// Refused: it is of tiered storage, which Ottla does not have.
    #[arg(long, hide = true)]
    remote_log_metadata_decoder: bool,
    /// Refused but for Kafka's own StringDecoder: there is no JVM to load a class.
    #[arg(long, hide = true, value_name = "CLASS")]
    #[arg(num_args = 0..=1, default_missing_value = STRING_DECODER)]
    key_decoder_class: Option<String>,
    /// Refused but for Kafka's own StringDecoder: there is no JVM to load a class.
    #[arg(long, hide = true, value_name = "CLASS")]
    #[arg(num_args = 0..=1, default_missing_value = STRING_DECODER)]
    value_decoder_class: Option<String>,
    /// Reads files of a running broker too, whose ends may change meanwhile.
    #[arg(long)]
    pub(crate) live: bool,
}

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    /// As kafka-dump-log prints it.
    Text,
    /// A JSON object a line.
    Json,
}

impl Args {
    fn files(&self) -> Vec<&str> {
        let listed = self.files.iter().flat_map(|files| java::split_commas(files));
        self.paths.iter().map(String::as_str).chain(listed).collect()
    }
}

/// Kafka's default of `--max-message-size`, bytes.
const MESSAGE_SIZE_MAX: i32 = 5 * 1024 * 1024;
/// The only decoder class that needs no JVM.
const STRING_DECODER: &str = "org.apache.kafka.tools.api.StringDecoder";

/// Runs the command.
pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let output = match global.format() {
        None | Some(Format::Table | Format::Wide) => Output::Text,
        Some(Format::Json) => Output::Json,
        Some(Format::Yaml | Format::Name) => {
            return Err(CannotRun("dump-log prints text, or JSON lines with -o json".to_owned()));
        }
    };
    run_as(args, output)
}

/// Runs it as Kafka's tool does.
pub(crate) fn as_text(args: &Args) -> Outcome {
    run_as(args, Output::Text)
}

fn run_as(args: &Args, output: Output) -> Outcome {
    let locked = if args.live { Vec::new() } else { lock(&RealDisk, &args.files())? };
    let out = BufWriter::new(io::stdout().lock());
    let err = Box::new(io::stderr().lock());
    let outcome = run_with(args, output, &RealDisk, Box::new(out), err);
    for dir in locked {
        // A lock file that stays behind holds nothing.
        let _left = dir.release();
    }
    outcome
}

/// Takes the locks of the log directories that the files are in. Files elsewhere need none, and a
/// directory that only can be read is read.
fn lock<'d>(disk: &'d dyn Disk, files: &[&str]) -> Result<Vec<LockedDir<'d>>, CannotRun> {
    let mut locked: Vec<LockedDir<'d>> = Vec::new();
    for file in files {
        let folder = match Path::new(file).parent() {
            Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
            Some(folder) => folder,
            None => continue,
        };
        let candidates = [folder.join(".."), folder.to_owned()];
        for dir in candidates {
            let Ok(dir) = dir.canonicalize() else { continue };
            let is_log_dir = disk.exists(&dir.join(META_PROPERTIES_FILE)).unwrap_or(false);
            if !is_log_dir || locked.iter().any(|locked| locked.log_dir() == dir) {
                continue;
            }
            match verify::lock(disk, &dir) {
                Ok(lock) => locked.extend(lock),
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                    return Err(CannotRun(format!("{error}; --live reads its files all the same")));
                }
                Err(_) => {}
            }
        }
    }
    Ok(locked)
}

/// Runs the command on any disk, into any writers.
fn run_with<'a>(
    args: &Args,
    output: Output,
    disk: &dyn Disk,
    out: Box<dyn Write + 'a>,
    err: Box<dyn Write + 'a>,
) -> Outcome {
    refuse(args)?;
    let options = Options::new(args);
    let mut printer: Box<dyn Printer + 'a> = match output {
        Output::Text => Box::new(text::Text::new(out, err)),
        Output::Json => Box::new(json_lines::JsonLines::new(out)),
    };
    let result = dump_all(args, &options, disk, &mut *printer);
    let found = match result {
        Ok(()) => printer.end()?,
        Err(Stop::Output(error)) => return Err(error.into()),
        Err(Stop::File(failure)) => {
            printer.failure(&failure)?;
            Found::Damage
        }
    };
    Ok(found)
}

/// Options that cannot be, by name.
fn refuse(args: &Args) -> Result<(), CannotRun> {
    if args.remote_log_metadata_decoder {
        let why =
            "--remote-log-metadata-decoder: Ottla has no tiered storage, and no decoder of it";
        return Err(CannotRun(why.to_owned()));
    }
    for (option, class) in [
        ("--key-decoder-class", &args.key_decoder_class),
        ("--value-decoder-class", &args.value_decoder_class),
    ] {
        if let Some(class) = class.as_ref().filter(|class| *class != STRING_DECODER) {
            let why = format!("{option} {class}: there is no JVM here to load the class");
            return Err(CannotRun(why));
        }
    }
    Ok(())
}

/// What the options amount to.
struct Options {
    deep: bool,
    contents: Option<Contents>,
    skip_metadata: bool,
    sanity_only: bool,
    verify_only: bool,
    bytes_max: i32,
    message_size_max: i32,
}

impl Options {
    fn new(args: &Args) -> Self {
        // The order is Kafka's, when several are given.
        let contents = if args.offsets_decoder {
            Some(Contents::offsets())
        } else if args.transaction_log_decoder {
            Some(Contents::transactions())
        } else if args.cluster_metadata_decoder {
            Some(Contents::Metadata)
        } else if args.share_group_state_decoder {
            Some(Contents::share_state())
        } else {
            let string = args.key_decoder_class.is_some() || args.value_decoder_class.is_some();
            (args.print_data_log || string).then_some(Contents::Strings)
        };
        Self {
            deep: args.deep_iteration || contents.is_some(),
            contents,
            skip_metadata: args.skip_record_metadata,
            sanity_only: args.index_sanity_check,
            verify_only: args.verify_index_only,
            bytes_max: args.max_bytes,
            message_size_max: args.max_message_size,
        }
    }
}

fn dump_all(
    args: &Args,
    options: &Options,
    disk: &dyn Disk,
    printer: &mut dyn Printer,
) -> Result<(), Stop> {
    for file in args.files() {
        let path = JavaPath::new(file);
        printer.file(&path)?;
        match path.suffix() {
            ".log" | ".checkpoint" => segment::dump(&path, options, disk, printer)?,
            ".index" => indexes::offsets(&path, options, disk, printer)?,
            ".timeindex" => indexes::times(&path, options, disk, printer)?,
            ".snapshot" => indexes::producers(&path, disk, printer)?,
            ".txnindex" => indexes::transactions(&path, disk, printer)?,
            _ => printer.unknown_file(&path)?,
        }
    }
    Ok(())
}

/// Opens a file for reading. One that is not there has a Java exception of its own.
fn open(disk: &dyn Disk, path: &str) -> Result<Arc<dyn DiskFile>, Stop> {
    let path = if path.is_empty() { "." } else { path };
    disk.open(path.as_ref(), Open::Read).map_err(|error| {
        let class = match error.kind() {
            io::ErrorKind::NotFound => "java.nio.file.NoSuchFileException",
            io::ErrorKind::PermissionDenied => "java.nio.file.AccessDeniedException",
            _ => return Failure::new("java.io.IOException", error.to_string()).into(),
        };
        Failure::new(class, path.to_owned()).into()
    })
}

#[cfg(test)]
mod tests;

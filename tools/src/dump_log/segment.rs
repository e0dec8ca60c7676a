//! Walks a segment or a snapshot of the metadata log.

use ottla_protocol::record::compression::Codec;
use ottla_storage::disk::{Disk, DiskFile};
use ottla_storage::inspect::{
    Damage, FileBatch, FileBatches, Format, HeaderFacts, InspectedRecord, Source,
};

use super::decoder::control_of;
use super::failure::{Failure, Stop};
use super::java::{self, JavaPath};
use super::printer::{BatchRest, Printer, RecordEnd, RecordLine, Title};
use super::{Options, open};

/// The snapshot that a cluster begins with has a name of its own.
const BOOTSTRAP_NAME: &str = "bootstrap.checkpoint";

/// Dumps it.
pub(super) fn dump(
    path: &JavaPath,
    options: &Options,
    disk: &dyn Disk,
    printer: &mut dyn Printer,
) -> Result<(), Stop> {
    printer.title(title(path)?)?;
    let file = open(disk, path.as_str())?;
    let end = end_of(&*file, path, options.bytes_max)?;
    let mut walk = Walk { path, options, printer, last_offset: -1 };
    let mut valid_bytes = 0;
    for batch in FileBatches::new(&*file, path.as_str(), 0, end) {
        let batch = batch?;
        walk.batch(&batch, &*file, end)?;
        valid_bytes += batch.size;
    }
    if end > valid_bytes && options.bytes_max == i32::MAX {
        printer.invalid_bytes(end - valid_bytes, path.name())?;
    }
    Ok(())
}

/// Where the reading ends. Segments never reach 2 GiB, and Kafka opens none that does.
pub(super) fn file_bytes(file: &dyn DiskFile, path: &str) -> Result<u64, Stop> {
    let bytes = file.length().map_err(Damage::Io)?;
    if bytes > i32::MAX as u64 {
        let text = format!(
            "The size of segment {path} ({bytes}) is larger than the maximum allowed segment size \
             of 2147483647"
        );
        return Err(Failure::new("org.apache.kafka.common.KafkaException", text).into());
    }
    Ok(bytes)
}

fn end_of(file: &dyn DiskFile, path: &JavaPath, bytes_max: i32) -> Result<u64, Stop> {
    let bytes = file_bytes(file, path.as_str())?;
    match u64::try_from(bytes_max) {
        Ok(bytes_max) => Ok(bytes.min(bytes_max)),
        Err(_) => {
            let text =
                format!("Invalid size: {bytes_max} in read from {}", whole(bytes, path.as_str()));
            Err(Failure::new("java.lang.IllegalArgumentException", text).into())
        }
    }
}

/// The file as Kafka's errors show it.
pub(super) fn whole(bytes: u64, path: &str) -> String {
    format!("FileRecords(size={bytes}, file={path}, start=0, end=2147483647)")
}

fn title(path: &JavaPath) -> Result<Title, Failure> {
    let name = path.name();
    if path.suffix() == ".log" {
        return path.offset().map(Title::Log);
    }
    if name == BOOTSTRAP_NAME {
        return Ok(Title::Bootstrap);
    }
    snapshot_title(name)
}

/// `00000000000000000042-0000000003.checkpoint`.
fn snapshot_title(name: &str) -> Result<Title, Failure> {
    let none = || Failure::new("java.util.NoSuchElementException", "No value present".to_owned());
    // Twenty digits, a dash, ten digits.
    let (offset, rest) = name.split_at_checked(20).ok_or_else(none)?;
    let epoch = rest.strip_prefix('-').and_then(|rest| rest.get(..10)).ok_or_else(none)?;
    let end_offset = java::parse_long(offset)?;
    let epoch = java::parse_long(epoch)?;
    Ok(Title::Snapshot { end_offset, epoch: i32::try_from(epoch).map_err(|_| none())? })
}

/// The walk through a file.
struct Walk<'a> {
    path: &'a JavaPath,
    options: &'a Options,
    printer: &'a mut dyn Printer,
    last_offset: i64,
}

impl Walk<'_> {
    fn batch(&mut self, batch: &FileBatch, file: &dyn DiskFile, end: u64) -> Result<(), Stop> {
        let header = match batch.header(file, self.path.as_str()) {
            Ok(header) => header,
            // Of an old message this much is printed before its header is looked at.
            Err(damage @ Damage::LegacyMagic(_)) => {
                self.printer.batch(batch, None)?;
                return Err(damage.into());
            }
            Err(Damage::HeaderTruncated { position, file, .. }) => {
                return Err(Damage::HeaderTruncated { position, file, file_bytes: end }.into());
            }
            Err(damage) => return Err(damage.into()),
        };
        self.printer.batch(batch, Some(&header))?;
        let codec = Codec::from_id(header.codec_id).ok_or(Damage::UnknownCodec(header.codec_id))?;
        let bytes = batch.load(file)?;
        let is_valid = batch.is_valid(&bytes);
        self.printer.batch_rest(batch, &BatchRest { header, codec: codec.name(), is_valid })?;
        if !self.options.deep {
            return Ok(());
        }
        let records = batch.records(&bytes)?;
        records.for_each(&mut |record| self.record(batch, &header, record))
    }

    fn record(
        &mut self,
        batch: &FileBatch,
        header: &HeaderFacts,
        record: &InspectedRecord<'_>,
    ) -> Result<(), Stop> {
        if record.offset != self.last_offset.wrapping_add(1) {
            self.printer.gap(self.path, self.last_offset, record.offset);
        }
        self.last_offset = record.offset;
        let with_metadata = !self.options.skip_metadata;
        self.printer.record(&RecordLine { batch, header, record, with_metadata })?;
        let is_control = matches!(header.format, Format::V2 { is_control: true, .. });
        let end = match (&self.options.contents, is_control) {
            (_, true) if with_metadata => {
                RecordEnd { control: Some(control_of(record)?), ..RecordEnd::default() }
            }
            (Some(contents), false) => contents.of(record)?,
            _ => RecordEnd::default(),
        };
        Ok(self.printer.record_end(end)?)
    }
}

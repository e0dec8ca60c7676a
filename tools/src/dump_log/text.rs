//! The words of `kafka-dump-log`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use ottla_protocol::json::java_string;
use ottla_protocol::record::batch::TimestampType;
use ottla_storage::inspect::{
    FileBatch, Format, HeaderFacts, OffsetEntry, ProducerInspected, TimeEntry, TxnInspected,
};

use super::failure::Failure;
use super::java::{HashMapOrder, JavaPath};
use super::printer::{BatchRest, Control, Mismatch, Printer, RecordEnd, RecordLine, Title};
use crate::Found;

/// Prints text, and at the end to the other writer what did not agree.
pub(super) struct Text<'a> {
    out: Box<dyn Write + 'a>,
    err: Box<dyn Write + 'a>,
    found: Found,
    /// What key or payload is put behind.
    prefix: &'static str,
    /// By index file: entry's offset, log's offset.
    offsets: HashMapOrder<BTreeMap<i64, i64>>,
    timestamps: HashMapOrder<Vec<(i64, i64)>>,
    order: HashMapOrder<Vec<(i64, i64)>>,
    not_found: HashMapOrder<Vec<(i64, i64)>>,
    /// By log file: an offset and the one that follows it.
    gaps: HashMapOrder<BTreeMap<i64, i64>>,
}

impl<'a> Text<'a> {
    pub(super) fn new(out: Box<dyn Write + 'a>, err: Box<dyn Write + 'a>) -> Self {
        Self {
            out,
            err,
            found: Found::Nothing,
            prefix: " ",
            offsets: HashMapOrder::default(),
            timestamps: HashMapOrder::default(),
            order: HashMapOrder::default(),
            not_found: HashMapOrder::default(),
            gaps: HashMapOrder::default(),
        }
    }

    fn report(&mut self) -> io::Result<()> {
        for (file, mismatches) in self.offsets.in_order() {
            writeln!(self.err, "Mismatches in :{file}")?;
            for (index, log) in mismatches.iter().rev() {
                writeln!(self.err, "  Index offset: {index}, log offset: {log}")?;
            }
        }
        for (file, mismatches) in self.timestamps.in_order() {
            writeln!(self.err, "Found timestamp mismatch in :{file}")?;
            for (index, log) in mismatches {
                writeln!(self.err, "  Index timestamp: {index}, log timestamp: {log}")?;
            }
        }
        for (file, mismatches) in self.order.in_order() {
            writeln!(self.err, "Found out of order timestamp in :{file}")?;
            for (index, previous) in mismatches {
                writeln!(
                    self.err,
                    "  Index timestamp: {index}, Previously indexed timestamp: {previous}"
                )?;
            }
        }
        for (file, mismatches) in self.not_found.in_order() {
            writeln!(self.err, "The following indexed offsets are not found in :{file}")?;
            for (index, log) in mismatches {
                writeln!(self.err, "Indexed offset: {index}, found log offset: {log}")?;
            }
        }
        for (file, gaps) in self.gaps.in_order() {
            writeln!(self.err, "Non-consecutive offsets in {file}")?;
            for (from, to) in gaps {
                writeln!(self.err, "  {from} is followed by {to}")?;
            }
        }
        self.err.flush()
    }
}

impl Printer for Text<'_> {
    fn file(&mut self, path: &JavaPath) -> io::Result<()> {
        writeln!(self.out, "Dumping {}", path.as_str())
    }

    fn unknown_file(&mut self, path: &JavaPath) -> io::Result<()> {
        self.out.flush()?;
        writeln!(self.err, "Ignoring unknown file {}", path.as_str())
    }

    fn title(&mut self, title: Title) -> io::Result<()> {
        match title {
            Title::Log(offset) => writeln!(self.out, "Log starting offset: {offset}"),
            Title::Bootstrap => writeln!(self.out, "KRaft bootstrap snapshot"),
            Title::Snapshot { end_offset, epoch } => {
                writeln!(self.out, "Snapshot end offset: {end_offset}, epoch: {epoch}")
            }
        }
    }

    fn batch(&mut self, batch: &FileBatch, header: Option<&HeaderFacts>) -> io::Result<()> {
        let format = header.map_or(Format::Legacy, |header| header.format);
        let last_offset = header.map_or(batch.offset, |header| header.last_offset);
        let out = &mut self.out;
        let Format::V2 {
            count,
            base_sequence,
            last_sequence,
            producer_id,
            producer_epoch,
            partition_leader_epoch,
            is_transactional,
            is_control,
            delete_horizon_ms,
        } = format
        else {
            return write!(out, "offset: {last_offset}");
        };
        write!(out, "baseOffset: {} lastOffset: {last_offset} count: {count} ", batch.offset)?;
        write!(out, "baseSequence: {base_sequence} lastSequence: {last_sequence} ")?;
        write!(out, "producerId: {producer_id} producerEpoch: {producer_epoch} ")?;
        write!(out, "partitionLeaderEpoch: {partition_leader_epoch} ")?;
        write!(out, "isTransactional: {is_transactional} isControl: {is_control} ")?;
        write!(out, "deleteHorizonMs: {}", OptionalLong(delete_horizon_ms))
    }

    fn batch_rest(&mut self, batch: &FileBatch, rest: &BatchRest) -> io::Result<()> {
        let BatchRest { header, codec, is_valid } = rest;
        let out = &mut self.out;
        let label = label(header.timestamp_type);
        write!(out, " position: {} {label}: {} ", batch.position, header.max_timestamp)?;
        write!(out, "size: {} magic: {} compresscodec: {codec} ", batch.size, batch.magic)?;
        if !is_valid {
            self.found = Found::Damage;
        }
        writeln!(out, "crc: {} isvalid: {is_valid}", header.crc)
    }

    fn record(&mut self, line: &RecordLine<'_>) -> io::Result<()> {
        if line.is_damaged() {
            self.found = Found::Damage;
        }
        self.prefix = if line.with_metadata { " " } else { "| " };
        if !line.with_metadata {
            return Ok(());
        }
        let (record, out) = (line.record, &mut self.out);
        let label = label(line.header.timestamp_type);
        write!(out, "| offset: {} {label}: {} ", record.offset, record.timestamp)?;
        write!(out, "keySize: {} valueSize: {}", record.key_size, record.value_size)?;
        if line.batch.magic >= 2 {
            let names: Vec<_> = record.headers.iter().map(|(name, _)| java_string(name)).collect();
            write!(out, " sequence: {} headerKeys: [{}]", record.sequence, names.join(","))?;
        }
        if let Some((is_valid, crc)) = record.legacy {
            write!(out, " isValid: {is_valid} crc: {crc}")?;
        }
        Ok(())
    }

    fn record_end(&mut self, end: RecordEnd) -> io::Result<()> {
        let out = &mut self.out;
        match end.control {
            Some(Control::EndTxn { committed, coordinator_epoch }) => {
                let kind = if committed { "COMMIT" } else { "ABORT" };
                write!(out, " endTxnMarker: {kind} coordinatorEpoch: {coordinator_epoch}")?;
            }
            Some(Control::Struct(name, json)) => write!(out, " {name} {json}")?,
            Some(Control::Unknown(id)) => write!(out, " controlType: UNKNOWN({id})")?,
            None => {}
        }
        if let Some(key) = end.key {
            write!(out, "{}key: {key}", self.prefix)?;
            self.prefix = " ";
        }
        if let Some(payload) = end.payload {
            write!(out, "{}payload: {payload}", self.prefix)?;
        }
        writeln!(out)
    }

    fn invalid_bytes(&mut self, count: u64, file_name: &str) -> io::Result<()> {
        self.found = Found::Damage;
        writeln!(self.out, "Found {count} invalid bytes at the end of {file_name}")
    }

    fn gap(&mut self, path: &JavaPath, from: i64, to: i64) {
        self.gaps.entry(&path.absolute()).insert(from, to);
    }

    fn empty_index(&mut self, path: &JavaPath) -> io::Result<()> {
        writeln!(self.out, "{} is empty.", path.as_str())
    }

    fn sane_index(&mut self, path: &JavaPath) -> io::Result<()> {
        writeln!(self.out, "{} passed sanity check.", path.as_str())
    }

    fn offset_entry(&mut self, entry: OffsetEntry) -> io::Result<()> {
        writeln!(self.out, "offset: {} position: {}", entry.offset, entry.position)
    }

    fn time_entry(&mut self, entry: TimeEntry) -> io::Result<()> {
        writeln!(self.out, "timestamp: {} offset: {}", entry.timestamp, entry.offset)
    }

    fn mismatch(&mut self, path: &JavaPath, mismatch: Mismatch) {
        self.found = Found::Damage;
        let file = path.absolute();
        match mismatch {
            Mismatch::Offset { index, log } => _ = self.offsets.entry(&file).insert(index, log),
            Mismatch::Timestamp { index, log } => self.timestamps.entry(&file).push((index, log)),
            Mismatch::Order { index, previous } => self.order.entry(&file).push((index, previous)),
            Mismatch::NotFound { index, log } => self.not_found.entry(&file).push((index, log)),
        }
    }

    fn producer(&mut self, producer: &ProducerInspected) -> io::Result<()> {
        let (p, out) = (producer, &mut self.out);
        write!(out, "producerId: {} producerEpoch: {} ", p.producer_id, p.producer_epoch)?;
        let open =
            OptionalLong((0 <= p.current_txn_first_offset).then_some(p.current_txn_first_offset));
        write!(out, "coordinatorEpoch: {} currentTxnFirstOffset: {open} ", p.coordinator_epoch)?;
        write!(out, "lastTimestamp: {}", p.timestamp)?;
        if 0 <= p.last_offset {
            write!(out, " firstSequence: {} ", p.first_sequence())?;
            write!(out, "lastSequence: {} lastOffset: {} ", p.last_sequence, p.last_offset)?;
            write!(out, "offsetDelta: {} timestamp: {}", p.offset_delta, p.timestamp)?;
        }
        writeln!(out)
    }

    fn transaction(&mut self, transaction: &TxnInspected) -> io::Result<()> {
        let Ok(txn) = transaction.txn else { return Ok(()) };
        let out = &mut self.out;
        write!(out, "version: {} producerId: {} ", transaction.version, txn.producer_id)?;
        write!(out, "firstOffset: {} lastOffset: {} ", txn.first_offset, txn.last_offset)?;
        writeln!(out, "lastStableOffset: {}", txn.last_stable_offset)
    }

    fn noted(&mut self, text: &str) -> io::Result<()> {
        self.found = Found::Damage;
        self.out.flush()?;
        writeln!(self.err, "{text}")
    }

    fn failure(&mut self, failure: &Failure) -> io::Result<()> {
        self.out.flush()?;
        writeln!(self.err, "Exception in thread \"main\" {failure}")?;
        self.err.flush()
    }

    fn end(&mut self) -> io::Result<Found> {
        self.out.flush()?;
        self.report()?;
        Ok(self.found)
    }
}

/// The name of a timestamp's kind.
fn label(timestamp_type: Option<TimestampType>) -> &'static str {
    match timestamp_type {
        None => "NoTimestampType",
        Some(TimestampType::CreateTime) => "CreateTime",
        Some(TimestampType::LogAppendTime) => "LogAppendTime",
    }
}

/// Java's name for a number that may be missing.
struct OptionalLong(Option<i64>);

impl std::fmt::Display for OptionalLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(value) => write!(f, "OptionalLong[{value}]"),
            None => f.write_str("OptionalLong.empty"),
        }
    }
}

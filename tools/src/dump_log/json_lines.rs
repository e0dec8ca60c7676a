//! A JSON object a line; `docs/TOOLS.md` has the shapes.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ottla_protocol::record::batch::TimestampType;
use ottla_storage::inspect::{
    FileBatch, Format, HeaderFacts, OffsetEntry, ProducerInspected, TimeEntry, TxnInspected,
};
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::java::JavaPath;
use super::printer::{BatchRest, Control, Mismatch, Printer, RecordEnd, RecordLine, Title};
use crate::Found;

/// Prints JSON lines, all to one writer.
pub(super) struct JsonLines<'a> {
    out: Box<dyn Write + 'a>,
    found: Found,
    file: String,
    /// The record that is told piece by piece.
    record: Map<String, Value>,
    /// What a line that could not be written is remembered by, where a call cannot fail.
    failed: Option<io::Error>,
}

impl<'a> JsonLines<'a> {
    pub(super) fn new(out: Box<dyn Write + 'a>) -> Self {
        Self { out, found: Found::Nothing, file: String::new(), record: Map::new(), failed: None }
    }

    /// Writes an object of this kind, with the file in front.
    fn line(&mut self, kind: &str, fields: Value) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut object = Map::new();
        object.insert("file".to_owned(), self.file.clone().into());
        object.insert("kind".to_owned(), kind.into());
        if let Value::Object(fields) = fields {
            object.extend(fields);
        }
        serde_json::to_writer(&mut self.out, &object)?;
        self.out.write_all(b"\n")
    }

    /// As [`JsonLines::line`], of something that is wrong.
    fn damage(&mut self, fields: Value) -> io::Result<()> {
        self.found = Found::Damage;
        self.line("damage", fields)
    }

    /// For calls that cannot fail: the next one does.
    fn later(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.failed.get_or_insert(error);
        }
    }
}

impl Printer for JsonLines<'_> {
    fn file(&mut self, path: &JavaPath) -> io::Result<()> {
        self.file = path.as_str().to_owned();
        self.line("file", json!({}))
    }

    fn unknown_file(&mut self, _: &JavaPath) -> io::Result<()> {
        self.line("ignored", json!({}))
    }

    fn title(&mut self, title: Title) -> io::Result<()> {
        let fields = match title {
            Title::Log(offset) => json!({"type": "log", "startOffset": offset}),
            Title::Bootstrap => json!({"type": "bootstrap"}),
            Title::Snapshot { end_offset, epoch } => {
                json!({"type": "snapshot", "endOffset": end_offset, "epoch": epoch})
            }
        };
        self.line("title", fields)
    }

    fn batch(&mut self, _: &FileBatch, _: Option<&HeaderFacts>) -> io::Result<()> {
        // All of it is told at once.
        Ok(())
    }

    fn batch_rest(&mut self, batch: &FileBatch, rest: &BatchRest) -> io::Result<()> {
        let BatchRest { header, codec, is_valid } = rest;
        if !is_valid {
            self.found = Found::Damage;
        }
        let mut fields = json!({
            "position": batch.position,
            "size": batch.size,
            "magic": batch.magic,
            "lastOffset": header.last_offset,
            "timestampType": label(header.timestamp_type),
            "maxTimestamp": header.max_timestamp,
            "compression": codec,
            "crc": header.crc,
            "isValid": is_valid,
        });
        if let Format::V2 {
            count,
            base_sequence,
            last_sequence,
            producer_id,
            producer_epoch,
            partition_leader_epoch,
            is_transactional,
            is_control,
            delete_horizon_ms,
        } = header.format
        {
            fields["baseOffset"] = batch.offset.into();
            fields["count"] = count.into();
            fields["baseSequence"] = base_sequence.into();
            fields["lastSequence"] = last_sequence.into();
            fields["producerId"] = producer_id.into();
            fields["producerEpoch"] = producer_epoch.into();
            fields["partitionLeaderEpoch"] = partition_leader_epoch.into();
            fields["isTransactional"] = is_transactional.into();
            fields["isControl"] = is_control.into();
            fields["deleteHorizonMs"] = delete_horizon_ms.into();
        }
        self.line("batch", fields)
    }

    fn record(&mut self, line: &RecordLine<'_>) -> io::Result<()> {
        if line.is_damaged() {
            self.found = Found::Damage;
        }
        let record = line.record;
        let fields = json!({
            "offset": record.offset,
            "timestampType": label(line.header.timestamp_type),
            "timestamp": record.timestamp,
            "keySize": record.key_size,
            "valueSize": record.value_size,
        });
        self.record = match fields {
            Value::Object(fields) if line.with_metadata => fields,
            _ => Map::new(),
        };
        if line.with_metadata && line.batch.magic >= 2 {
            let headers: Vec<Value> = record
                .headers
                .iter()
                .map(|(name, value)| {
                    let value = value.map(|value| STANDARD.encode(value));
                    json!({"key": String::from_utf8_lossy(name), "value": value})
                })
                .collect();
            self.record.insert("sequence".to_owned(), record.sequence.into());
            self.record.insert("headers".to_owned(), headers.into());
        }
        if let (true, Some((is_valid, crc))) = (line.with_metadata, record.legacy) {
            self.record.insert("isValid".to_owned(), is_valid.into());
            self.record.insert("crc".to_owned(), crc.into());
        }
        Ok(())
    }

    fn record_end(&mut self, end: RecordEnd) -> io::Result<()> {
        let mut fields = std::mem::take(&mut self.record);
        match end.control {
            Some(Control::EndTxn { committed, coordinator_epoch }) => {
                let kind = if committed { "COMMIT" } else { "ABORT" };
                fields.insert("control".to_owned(), kind.into());
                fields.insert("coordinatorEpoch".to_owned(), coordinator_epoch.into());
            }
            Some(Control::Struct(name, data)) => {
                fields.insert("control".to_owned(), name.trim_end_matches(':').into());
                fields.insert("data".to_owned(), parsed(data));
            }
            Some(Control::Unknown(id)) => {
                fields.insert("control".to_owned(), "UNKNOWN".into());
                fields.insert("controlType".to_owned(), id.into());
            }
            None => {}
        }
        for (name, text) in [("key", end.key), ("payload", end.payload)] {
            if let Some(text) = text {
                let value = if end.is_json { parsed(text) } else { text.into() };
                fields.insert(name.to_owned(), value);
            }
        }
        self.line("record", Value::Object(fields))
    }

    fn invalid_bytes(&mut self, count: u64, _: &str) -> io::Result<()> {
        self.damage(json!({"problem": "invalidBytes", "count": count}))
    }

    fn gap(&mut self, _: &JavaPath, from: i64, to: i64) {
        let result = self.line("gap", json!({"after": from, "next": to}));
        self.later(result);
    }

    fn empty_index(&mut self, _: &JavaPath) -> io::Result<()> {
        self.line("empty", json!({}))
    }

    fn sane_index(&mut self, _: &JavaPath) -> io::Result<()> {
        self.line("sane", json!({}))
    }

    fn offset_entry(&mut self, entry: OffsetEntry) -> io::Result<()> {
        let fields = json!({"offset": entry.offset, "position": entry.position});
        self.line("offsetEntry", fields)
    }

    fn time_entry(&mut self, entry: TimeEntry) -> io::Result<()> {
        let fields = json!({"timestamp": entry.timestamp, "offset": entry.offset});
        self.line("timeEntry", fields)
    }

    fn mismatch(&mut self, _: &JavaPath, mismatch: Mismatch) {
        let (problem, index, log) = match mismatch {
            Mismatch::Offset { index, log } => ("offset", index, log),
            Mismatch::Timestamp { index, log } => ("timestamp", index, log),
            Mismatch::Order { index, previous } => ("timestampOrder", index, previous),
            Mismatch::NotFound { index, log } => ("offsetNotFound", index, log),
        };
        let other = if problem == "timestampOrder" { "previous" } else { "log" };
        let result = self.damage(json!({"problem": problem, "index": index, other: log}));
        self.later(result);
    }

    fn producer(&mut self, producer: &ProducerInspected) -> io::Result<()> {
        let p = producer;
        let open = (0 <= p.current_txn_first_offset).then_some(p.current_txn_first_offset);
        let mut fields = json!({
            "producerId": p.producer_id,
            "producerEpoch": p.producer_epoch,
            "coordinatorEpoch": p.coordinator_epoch,
            "currentTxnFirstOffset": open,
            "lastTimestamp": p.timestamp,
        });
        if 0 <= p.last_offset {
            fields["firstSequence"] = p.first_sequence().into();
            fields["lastSequence"] = p.last_sequence.into();
            fields["lastOffset"] = p.last_offset.into();
            fields["offsetDelta"] = p.offset_delta.into();
        }
        self.line("producer", fields)
    }

    fn transaction(&mut self, transaction: &TxnInspected) -> io::Result<()> {
        let Ok(txn) = transaction.txn else { return Ok(()) };
        let fields = json!({
            "version": transaction.version,
            "producerId": txn.producer_id,
            "firstOffset": txn.first_offset,
            "lastOffset": txn.last_offset,
            "lastStableOffset": txn.last_stable_offset,
        });
        self.line("abortedTransaction", fields)
    }

    fn noted(&mut self, text: &str) -> io::Result<()> {
        self.damage(json!({"problem": "unreadable", "message": text}))
    }

    fn failure(&mut self, failure: &Failure) -> io::Result<()> {
        let message = failure.message().to_owned();
        self.damage(json!({"problem": "unreadable", "message": message}))?;
        self.out.flush()
    }

    fn end(&mut self) -> io::Result<Found> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.out.flush()?;
        Ok(self.found)
    }
}

/// A decoder's text: JSON, or words where the record could not be read or is a tombstone.
fn parsed(text: String) -> Value {
    if text == "<DELETE>" {
        return Value::Null;
    }
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

fn label(timestamp_type: Option<TimestampType>) -> Value {
    match timestamp_type {
        None => Value::Null,
        Some(TimestampType::CreateTime) => "CreateTime".into(),
        Some(TimestampType::LogAppendTime) => "LogAppendTime".into(),
    }
}

//! The records inside a batch, for a verification that goes deep.

use ottla_protocol::record::batch::MAGIC_V2;
use ottla_protocol::record::compression::{Codec, DecompressLimits, Decompressor};
use ottla_protocol::record::facts::RecordFacts;
use ottla_protocol::record::legacy::LegacyEntry;
use ottla_protocol::record::set::Batch;
use ottla_protocol::record::stream::RecordStream;

/// Records of one batch may decompress to so much. They are read as a stream.
const DECOMPRESSED_BYTES_MAX: u64 = 1 << 40;
/// Messages in a wrapper of an old format, which are decompressed as a whole.
const LEGACY_BYTES_MAX: u64 = 256 << 20;

/// What is wrong with the records of a batch, if anything.
pub(super) fn problem(bytes: &[u8]) -> Option<String> {
    if bytes.get(ottla_protocol::record::batch::MAGIC_AT).is_some_and(|&m| (m as i8) < MAGIC_V2) {
        return legacy_problem(bytes);
    }
    let batch = Batch::new(bytes)?;
    let mut check = Check::of(&batch);
    // Numbers that are no codec's were found out before.
    let codec = batch.codec().unwrap_or(Codec::None);
    if codec == Codec::None {
        let records = match batch.records() {
            Ok(records) => records,
            Err(error) => return Some(error.to_string()),
        };
        for record in records {
            match record {
                Ok(record) => check.see(RecordFacts::from(&record)),
                Err(error) => return Some(error.to_string()),
            }
        }
        return check.problem;
    }
    let limits = DecompressLimits::of_bytes(DECOMPRESSED_BYTES_MAX);
    let reader = match Decompressor::new(codec, batch.payload(), limits) {
        Ok(reader) => reader,
        Err(error) => return Some(error.to_string()),
    };
    let header = batch.header();
    let mut stream = match RecordStream::new(reader, header.into(), header.records_count()) {
        Ok(stream) => stream,
        Err(error) => return Some(error.to_string()),
    };
    loop {
        match stream.next_facts() {
            Ok(Some(facts)) => check.see(facts),
            Ok(None) => return check.problem,
            Err(error) => return Some(error.to_string()),
        }
    }
}

/// Watches the records of one batch go by.
struct Check {
    last_offset_delta: i32,
    max_timestamp: i64,
    previous: i32,
    problem: Option<String>,
}

impl Check {
    fn of(batch: &Batch<'_>) -> Self {
        let header = batch.header();
        Self {
            last_offset_delta: header.last_offset_delta(),
            max_timestamp: header.max_timestamp(),
            previous: -1,
            problem: None,
        }
    }

    fn see(&mut self, record: RecordFacts) {
        let delta = record.offset_delta;
        if self.problem.is_some() {
            return;
        }
        if delta <= self.previous || delta > self.last_offset_delta {
            self.problem = Some(format!(
                "offset delta {delta} behind {}, the batch's last is {}",
                self.previous, self.last_offset_delta
            ));
        } else if record.timestamp > self.max_timestamp {
            self.problem = Some(format!(
                "record timestamp {} above the batch's largest, {}",
                record.timestamp, self.max_timestamp
            ));
        }
        self.previous = delta;
    }
}

fn legacy_problem(bytes: &[u8]) -> Option<String> {
    let entry = match LegacyEntry::new(bytes) {
        Ok(entry) => entry,
        Err(error) => return Some(error.to_string()),
    };
    let records = match entry.records(DecompressLimits::of_bytes(LEGACY_BYTES_MAX)) {
        Ok(records) => records,
        Err(error) => return Some(error.to_string()),
    };
    let mut previous = -1;
    for record in records.iter() {
        match record {
            Ok(record) if record.offset <= previous => {
                return Some(format!("offset {} behind {previous}", record.offset));
            }
            Ok(record) => previous = record.offset,
            Err(error) => return Some(error.to_string()),
        }
    }
    None
}

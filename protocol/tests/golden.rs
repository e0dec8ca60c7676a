//! Sets of every magic, codec and timestamp type, as Apache Kafka 4.3.1's own classes write them.
//! `golden/GoldenBatches.java` has made `golden/kafka.hex`, and says how.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use ottla_protocol::record::batch::TimestampType;
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_protocol::record::compression::{
    Compression, DecompressLimits, Decompressor, decompress,
};
use ottla_protocol::record::legacy::LegacyEntry;
use ottla_protocol::record::record::RecordHeader;
use ottla_protocol::record::set::{Batch, Entries, Entry};
use ottla_protocol::record::stream::RecordStream;

const TIME: i64 = 1_632_390_207_745;

#[derive(Debug, PartialEq)]
struct Read {
    offset: i64,
    timestamp: i64,
    key: Option<String>,
    value: Option<String>,
    headers: usize,
}

fn text(bytes: Option<&[u8]>) -> Option<String> {
    bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// What `GoldenBatches.java` appends.
fn written(magic: &str, timestamp_type: &str) -> Vec<Read> {
    let long = "na ".repeat(40);
    let contents = [
        (Some("key"), Some("value")),
        (None, Some("only a value")),
        (Some("only a key"), None),
        (Some(""), Some(&long[..])),
    ];
    let timestamp = |index| match (magic, timestamp_type, index) {
        ("v0", _, _) => -1,
        (_, "LogAppendTime", _) => TIME + 1000,
        (_, _, 2) => TIME - 5,
        (_, _, index) => TIME + index,
    };
    let records = (0..).zip(contents).map(|(index, (key, value))| Read {
        offset: 100 + index,
        timestamp: timestamp(index),
        key: key.map(str::to_owned),
        value: value.map(str::to_owned),
        headers: if magic == "v2" && index == 1 { 3 } else { 0 },
    });
    records.collect()
}

fn limits() -> DecompressLimits {
    DecompressLimits::of_bytes(1 << 20)
}

/// Reads a set of any magic to the end, with all checks; `None` at the first error.
fn read(set: &[u8]) -> Option<Vec<Read>> {
    let mut all = Vec::new();
    for entry in Entries::new(set) {
        match entry.ok()? {
            Entry::Batch(batch) => read_batch(&batch, &mut all)?,
            Entry::Legacy { bytes, .. } => {
                let entry = LegacyEntry::new(bytes).ok()?;
                entry.check_crc().ok()?;
                for record in entry.records(limits()).ok()?.iter() {
                    let record = record.ok()?;
                    all.push(Read {
                        offset: record.offset,
                        timestamp: record.timestamp,
                        key: text(record.key),
                        value: text(record.value),
                        headers: 0,
                    });
                }
            }
        }
    }
    Some(all)
}

fn read_batch(batch: &Batch<'_>, all: &mut Vec<Read>) -> Option<()> {
    batch.check_crc().ok()?;
    let payload = decompress(batch.codec()?, batch.payload(), limits()).ok()?;
    for record in batch.records_in(&payload).ok()? {
        let record = record.ok()?;
        all.push(Read {
            offset: record.offset,
            timestamp: record.timestamp,
            key: text(record.key),
            value: text(record.value),
            headers: record.headers.count(),
        });
    }
    Some(())
}

/// Name (`v2 gzip CreateTime`) and bytes of every vector.
fn vectors() -> Vec<([&'static str; 3], Vec<u8>)> {
    let lines = include_str!("golden/kafka.hex").lines().map(|line| {
        let words: Vec<_> = line.split(' ').collect();
        let [magic, codec, timestamp_type, hex] = words[..] else { panic!("{line}") };
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        ([magic, codec, timestamp_type], (0..hex.len()).step_by(2).map(byte).collect())
    });
    lines.collect()
}

#[test]
fn every_vector_reads_back() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 22);
    for (name, set) in &vectors {
        assert_eq!(read(set).unwrap(), written(name[0], name[2]), "{name:?}");
    }
}

#[test]
fn every_prefix_is_an_error_or_incomplete() {
    for (name, set) in vectors() {
        let whole = written(name[0], name[2]);
        for cut in 0..set.len() {
            // Plain messages of old magics are entries of their own.
            let records = read(&set[..cut]).unwrap();
            assert!(records.len() < whole.len() && records[..] == whole[..records.len()]);
        }
        // Cut in its records instead, under a right length.
        let Some(batch) = Batch::new(&set) else { continue };
        for cut in 0..batch.payload().len() {
            let payload = &batch.payload()[..cut];
            let mut stream = RecordStream::new(
                Decompressor::new(batch.codec().unwrap(), payload, limits()).unwrap(),
                batch.header().into(),
                batch.header().records_count(),
            )
            .unwrap();
            while let Ok(Some(_)) = stream.next_facts() {}
            let plain = decompress(batch.codec().unwrap(), payload, limits());
            let records = plain.ok().and_then(|plain| {
                batch.records_in(&plain).unwrap().collect::<Result<Vec<_>, _>>().ok().map(drop)
            });
            assert!(records.is_none(), "{name:?} {cut}");
        }
    }
}

/// The header and plain records come out as Kafka writes them; compressors may choose otherwise.
#[test]
fn building_gives_the_same_bytes() {
    for (name, set) in vectors() {
        let Some(batch) = Batch::new(&set) else { continue };
        let header = batch.header();
        let log_append_time = (header.attributes().timestamp_type()
            == TimestampType::LogAppendTime)
            .then(|| header.max_timestamp());
        let mut builder = BatchBuilder::new(BatchOptions {
            base_offset: 100,
            partition_leader_epoch: 5,
            compression: Compression::new(batch.codec().unwrap()),
            log_append_time,
            producer_id: 1000,
            producer_epoch: 3,
            base_sequence: 7,
            transactional: true,
            control: false,
        })
        .unwrap();
        let headers = [
            RecordHeader { key: b"trace", value: Some(b"abc") },
            RecordHeader { key: b"empty", value: Some(b"") },
            RecordHeader { key: b"none", value: None },
        ];
        for (index, record) in (0..).zip(written("v2", "CreateTime")) {
            builder
                .append(&NewRecord {
                    timestamp: record.timestamp,
                    key: record.key.as_deref().map(str::as_bytes),
                    value: record.value.as_deref().map(str::as_bytes),
                    headers: if index == 1 { &headers } else { &[] },
                })
                .unwrap();
        }
        let built = builder.build().unwrap();
        if name[1] == "none" {
            assert_eq!(built, set, "{name:?}");
        } else {
            // All but batch length and CRC.
            assert_eq!(built[..8], set[..8], "{name:?}");
            assert_eq!(built[12..17], set[12..17], "{name:?}");
            assert_eq!(built[21..61], set[21..61], "{name:?}");
            assert_eq!(read(&built), read(&set), "{name:?}");
        }
    }
}

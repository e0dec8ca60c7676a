//! Record sets that no log may take, and what a producer is told of each.

use std::io::Write;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::record::batch::{Attributes, BATCH_HEADER_BYTES, BatchHeader, HeaderFields};
use ottla_protocol::record::builder::BatchOptions;
use ottla_protocol::record::compression::{Codec, Compression, Compressor};

use crate::harness::{T, batch, batch_of, compressed};

/// A record set with what it is and the answer to it.
pub(crate) struct Refused {
    pub(crate) what: String,
    pub(crate) records: Vec<u8>,
    pub(crate) code: ErrorCode,
}

fn refused(what: impl Into<String>, records: Vec<u8>, code: ErrorCode) -> Refused {
    Refused { what: what.into(), records, code }
}

/// All of them.
pub(crate) fn table() -> Vec<Refused> {
    let mut table = headers();
    table.extend(record_bytes());
    table.extend(payloads());
    table
}

const INVALID: ErrorCode = ErrorCode::INVALID_RECORD;
const CORRUPT: ErrorCode = ErrorCode::CORRUPT_MESSAGE;

/// A good batch whose header says something else, with the right checksum for it.
fn with_header(change: impl FnOnce(&mut HeaderFields)) -> Vec<u8> {
    let mut bytes = batch(&[b"a", b"b"]);
    let mut fields = fields_of(&bytes);
    change(&mut fields);
    fields.seal(&mut bytes).unwrap();
    bytes
}

fn fields_of(bytes: &[u8]) -> HeaderFields {
    let header = BatchHeader::new(bytes).unwrap();
    HeaderFields {
        base_offset: header.base_offset(),
        batch_length: 0,
        partition_leader_epoch: -1,
        crc: 0,
        attributes: header.attributes(),
        last_offset_delta: header.last_offset_delta(),
        base_timestamp: header.base_timestamp(),
        max_timestamp: header.max_timestamp(),
        producer_id: header.producer_id(),
        producer_epoch: header.producer_epoch(),
        base_sequence: header.base_sequence(),
        records_count: header.records_count(),
    }
}

/// A good batch with other bytes at `at`, and a checksum that does not cover the change.
fn with_bytes(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut batch = batch(&[b"a", b"b"]);
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    batch
}

fn headers() -> Vec<Refused> {
    let good = batch(&[b"a", b"b"]);
    let two = [&*good, &*good].concat();
    let control = BatchOptions { control: true, ..Default::default() };
    let mut table = vec![
        refused("no bytes", Vec::new(), INVALID),
        refused("one byte", vec![0], INVALID),
        refused("an offset and no length", good[..11].to_vec(), INVALID),
        refused("a header that is cut", good[..60].to_vec(), INVALID),
        refused("a batch that is cut", good[..good.len() - 1].to_vec(), INVALID),
        refused("a length beyond the end", with_bytes(8, &500_i32.to_be_bytes()), INVALID),
        refused("the largest length", with_bytes(8, &i32::MAX.to_be_bytes()), INVALID),
        refused("a negative length", with_bytes(8, &(-1_i32).to_be_bytes()), CORRUPT),
        refused("length 0", with_bytes(8, &0_i32.to_be_bytes()), CORRUPT),
        refused("length 13", with_bytes(8, &13_i32.to_be_bytes()), CORRUPT),
        refused("length 48", with_bytes(8, &48_i32.to_be_bytes()), CORRUPT),
        refused("magic 0", with_bytes(16, &[0]), INVALID),
        refused("magic 1", with_bytes(16, &[1]), INVALID),
        refused("magic 3", with_bytes(16, &[3]), CORRUPT),
        refused("magic -1", with_bytes(16, &[0xff]), CORRUPT),
        refused("a wrong checksum", with_bytes(17, &[1, 2, 3, 4]), CORRUPT),
        refused("another value", with_bytes(good.len() - 2, b"z"), CORRUPT),
        refused("two batches", two, INVALID),
        refused("a base offset", with_header(|f| f.base_offset = 5), INVALID),
        refused("no records", with_header(|f| f.records_count = 0), INVALID),
        refused("-1 records", with_header(|f| f.records_count = -1), INVALID),
        refused("a record too few", with_header(|f| f.records_count = 1), INVALID),
        refused("a record too many", with_header(|f| f.records_count = 3), INVALID),
        refused("a negative range", with_header(|f| f.last_offset_delta = -1), INVALID),
        refused("a range too large", with_header(|f| f.last_offset_delta = 2), INVALID),
        refused("a control batch", batch_of(control, &[b"v"]), INVALID),
        refused("a producer without a sequence", with_header(|f| f.producer_id = 1), INVALID),
    ];
    let huge = with_header(|f| (f.records_count, f.last_offset_delta) = (i32::MAX, i32::MAX - 1));
    table.push(refused("records by the billion", huge, INVALID));
    for codec in 5..=7 {
        let bytes = with_header(|f| f.attributes = Attributes(codec));
        table.push(refused(format!("codec {codec}"), bytes, ErrorCode::UNKNOWN_SERVER_ERROR));
    }
    table
}

/// A batch of `count` records that says them to be `payload`, with the right checksum.
fn of_payload(codec: Codec, payload: &[u8], count: i32) -> Vec<u8> {
    let mut bytes = vec![0; BATCH_HEADER_BYTES];
    bytes.extend_from_slice(payload);
    let fields = HeaderFields {
        base_offset: 0,
        batch_length: 0,
        partition_leader_epoch: -1,
        crc: 0,
        attributes: Attributes(i16::from(codec.id())),
        last_offset_delta: count - 1,
        base_timestamp: T,
        max_timestamp: T,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        records_count: count,
    };
    fields.seal(&mut bytes).unwrap();
    bytes
}

/// Records in their bytes: length, attributes, deltas of time and offset, key, value, headers.
fn record_bytes() -> Vec<Refused> {
    let mut table = Vec::new();
    for (what, payload) in [
        ("a length beyond the end", &b"\x80\x01\0\0\0\x01\x02v\0"[..]),
        ("a negative length", b"\x01\0\0\0\x01\x02v\0"),
        ("a length that is too short", b"\x0c\0\0\0\x01\x02v\0"),
        ("a length that is too long", b"\x10\0\0\0\x01\x02v\0\0"),
        ("a length of 2 GiB", b"\xfe\xff\xff\xff\x0f\0\0\0\x01\x02v\0"),
        ("a length without end", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        ("a key longer than the record", b"\x0e\0\0\0\x7e\x02v\0"),
        ("a value longer than the record", b"\x0e\0\0\0\x01\x7ev\0"),
        ("headers by the dozen", b"\x0e\0\0\0\x01\x02v\x30"),
        ("-1 headers", b"\x0e\0\0\0\x01\x02v\x01"),
        ("a header without a key", b"\x12\0\0\0\x01\x02v\x02\x01\x01"),
        ("bytes after the last record", b"\x0e\0\0\0\x01\x02v\0zz"),
        ("no bytes", b""),
    ] {
        // What is wrong plainly is wrong in every codec.
        for codec in Codec::ALL {
            let mut compressor = Compressor::new(Compression::new(codec), Vec::new()).unwrap();
            compressor.write_all(payload).unwrap();
            let bytes = of_payload(codec, &compressor.finish().unwrap(), 1);
            table.push(refused(format!("{what}, {}", codec.name()), bytes, INVALID));
        }
    }
    table
}

fn payloads() -> Vec<Refused> {
    let mut table = Vec::new();
    let unknown = ErrorCode::UNKNOWN_SERVER_ERROR;
    let mut claims = vec![
        (Codec::Snappy, "a raw block of 4 GiB", &b"\xff\xff\xff\xff\x0f\0v"[..]),
        (Codec::Snappy, "a raw block of 1 GiB", b"\x80\x80\x80\x80\x04\0v"),
        (
            Codec::Snappy,
            "a framed block of 2 GiB",
            b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\x7f\xff\xff\xff\x01",
        ),
        (Codec::Lz4, "a block of 2 GiB", b"\x04\x22\x4d\x18\x60\x40\x82\xff\xff\xff\x7f\0"),
        (Codec::Zstd, "a window of 2 GiB", b"\x28\xb5\x2f\xfd\0\xa8\x09\0\0v"),
    ];
    for codec in Codec::ALL.into_iter().filter(|codec| *codec != Codec::None) {
        claims.push((codec, "garbage", b"this was never compressed"));
    }
    for (codec, what, payload) in claims {
        let bytes = of_payload(codec, payload, 1);
        table.push(refused(format!("{what}, {}", codec.name()), bytes, unknown));
    }
    for codec in Codec::ALL.into_iter().filter(|codec| *codec != Codec::None) {
        let good = compressed(codec, &[&[b'x'; 300]]);
        let cut = &good[BATCH_HEADER_BYTES..good.len() - 5];
        table.push(refused(format!("a cut, {}", codec.name()), of_payload(codec, cut, 1), unknown));
        table.push(refused(format!("a bomb, {}", codec.name()), bomb(codec), INVALID));
    }
    table
}

/// One good record, and behind it more zeros than anyone wants to hold in memory.
fn bomb(codec: Codec) -> Vec<u8> {
    let mut compressor = Compressor::new(Compression::new(codec), Vec::new()).unwrap();
    compressor.write_all(b"\x0e\0\0\0\x01\x02v\0").unwrap();
    // As much as fits into a batch of the size that the broker accepts.
    let mebibytes = if codec == Codec::Snappy { 16 } else { 64 };
    for _ in 0..16 * mebibytes {
        compressor.write_all(&[0; 1 << 16]).unwrap();
    }
    let bytes = of_payload(codec, &compressor.finish().unwrap(), 1);
    assert!(bytes.len() < 1_000_000, "{}: {} bytes", codec.name(), bytes.len());
    bytes
}

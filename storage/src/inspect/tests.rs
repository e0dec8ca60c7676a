//! Bytes of all kinds, whole and damaged.

use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_protocol::record::compression::{Codec, Compression};
use proptest::prelude::*;

use super::*;

/// Two messages of magic 0 and 1, as they lie in a file.
fn legacy_file() -> Vec<u8> {
    let mut file = Vec::new();
    for (offset, magic) in [(7i64, 0u8), (8, 1)] {
        let mut message = vec![magic, 0];
        if magic == 1 {
            message.extend(1000i64.to_be_bytes());
        }
        message.extend(b"\0\0\0\x01k\xff\xff\xff\xff");
        file.extend(offset.to_be_bytes());
        file.extend((message.len() as u32 + 4).to_be_bytes());
        file.extend(crc32fast::hash(&message).to_be_bytes());
        file.extend(message);
    }
    file
}

fn batch(codec: Codec, base_offset: i64) -> Vec<u8> {
    let compression = Compression::new(codec);
    let options = BatchOptions { compression, base_offset, ..Default::default() };
    let mut builder = BatchBuilder::new(options).unwrap();
    for n in 0..3 {
        let value = [n; 30];
        let record = NewRecord { timestamp: 5, value: Some(&value), ..Default::default() };
        builder.append(&record).unwrap();
    }
    builder.build().unwrap()
}

/// Reads everything that there is, and says how many batches and records that was, or what ended
/// it.
fn read_all(file: &[u8]) -> Result<(usize, usize), Damage> {
    let (mut batches, mut records) = (0, 0);
    for batch in FileBatches::new(file, "x.log", 0, file.len() as u64) {
        let batch = batch?;
        batch.header(file, "x.log")?;
        let bytes = batch.load(file)?;
        batch.is_valid(&bytes);
        batch.records(&bytes)?.for_each::<Damage>(&mut |_| {
            records += 1;
            Ok(())
        })?;
        batches += 1;
    }
    Ok((batches, records))
}

#[test]
fn batches_of_every_codec_and_format() {
    let mut file = legacy_file();
    for (n, codec) in Codec::ALL.into_iter().enumerate() {
        file.extend(batch(codec, n as i64 * 3));
    }
    assert_eq!(read_all(&file).unwrap(), (7, 17));
    // A batch that is cut short is the end, not an error.
    assert_eq!(read_all(&file[..file.len() - 1]).unwrap(), (6, 14));
}

#[test]
fn what_ends_a_file_is_said_in_kafkas_words() {
    let zeros = [0; 40];
    let error = read_all(&zeros).unwrap_err().to_string();
    let expected = "Found record size 0 smaller than minimum record overhead (14) in file x.log.";
    assert_eq!(error, expected);

    let good = batch(Codec::None, 0);
    for (at, byte, expected) in [
        (60, 2, "Incorrect declared batch size, records still remaining in file"),
        (60, 4, "Incorrect declared batch size, premature EOF reached"),
        (57, 0x80, "Found invalid record count -2147483645 in magic v2 batch"),
        (22, 7, "Unknown compression type id: 7"),
        (16, 0xff, "Invalid magic used in LegacyRecord: -1"),
        (22, 1, "Failed to decompress record stream"),
    ] {
        let mut bad = good.clone();
        bad[at] = byte;
        assert_eq!(read_all(&bad).unwrap_err().to_string(), expected, "byte {at}");
    }
}

#[test]
fn a_wrong_checksum_is_no_error() {
    let mut file = batch(Codec::None, 0);
    file[20] ^= 1;
    let found = FileBatches::new(&file[..], "x", 0, file.len() as u64).next().unwrap().unwrap();
    assert!(!found.is_valid(&found.load(&file[..]).unwrap()));
}

#[test]
fn index_entries_and_their_checks() {
    let bytes = b"\0\0\0\x01\0\0\0\x49\0\0\0\x05\0\0\0\x92\0";
    let index = OffsetEntries::new(&bytes[..16], 10).unwrap();
    assert_eq!(index.count(), 2);
    assert_eq!(index.entry(1).unwrap(), OffsetEntry { offset: 15, position: 0x92 });
    for (offset, position) in [(9, 0), (11, 0x49), (14, 0x49), (15, 0x92), (99, 0x92)] {
        assert_eq!(index.lookup(offset).unwrap().position, position, "{offset}");
    }
    assert_eq!(index.sanity().unwrap(), Ok(()));
    let index = OffsetEntries::new(&bytes[..], 10).unwrap();
    let expected = IndexDamage::Length { bytes: 17, entry_bytes: 8 };
    assert_eq!(index.sanity().unwrap(), Err(expected));

    let times = b"\0\0\0\0\0\0\0\x09\0\0\0\x01\0\0\0\0\0\0\0\x05\0\0\0\x02";
    let index = TimeEntries::new(&times[..], 10).unwrap();
    assert_eq!(index.entry(0).unwrap(), TimeEntry { timestamp: 9, offset: 11 });
    let expected = IndexDamage::LastTimestamp { last: 5, first: 9 };
    assert_eq!(index.sanity().unwrap(), Err(expected));
}

#[test]
fn snapshots_and_transactions() {
    let empty = b"\0\x01\x48\x67\x4b\xc7\0\0\0\0";
    assert_eq!(producers(&empty[..]).unwrap(), []);
    for (bytes, expected) in [
        (
            &b"\0\x02\0\0\0\0\0\0\0\0"[..],
            "Snapshot failed schema validation: Snapshot contained an unknown file version 2",
        ),
        (b"\0\x01", "Snapshot failed schema validation: null"),
        (
            b"\0\x01\0\0\0\0\0\0\0\0",
            "Snapshot is corrupt (CRC is no longer valid). Stored crc: 0. Computed crc: 1214729159",
        ),
    ] {
        assert_eq!(producers(bytes).unwrap_err().to_string(), expected);
    }
    let entry = [&[0, 0][..], &[1; 32]].concat();
    let all: Vec<_> = aborted_txns(&entry[..]).unwrap().map(Result::unwrap).collect();
    assert_eq!(all.len(), 1);
    assert!(all[0].txn.is_ok());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        codec in 0usize..5,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let _ = read_all(&bytes);
        let mut file = legacy_file();
        file.extend(batch(Codec::ALL[codec], 3));
        for (at, byte) in flips {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let _ = read_all(&file);
        let _ = producers(&bytes[..]);
        let index = OffsetEntries::new(&bytes[..], 0).unwrap();
        let _ = (index.lookup(5).unwrap(), index.sanity().unwrap());
        let _ = TimeEntries::new(&bytes[..], 0).unwrap().sanity().unwrap();
        prop_assert_eq!(aborted_txns(&bytes[..]).unwrap().count(), bytes.len() / 34);
    }
}

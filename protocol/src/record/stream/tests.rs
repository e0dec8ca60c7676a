//! A stream gives what the records give that lie in memory.

use std::io::{Read, Write};

use proptest::prelude::*;

use super::*;
use crate::record::batch::TimestampType;
use crate::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use crate::record::compression::{Codec, Compression, Compressor, DecompressLimits};
use crate::record::record::{RecordHeader, Records};
use crate::record::set::Batch;

fn limits() -> DecompressLimits {
    DecompressLimits::of_bytes(64 << 20)
}

fn base() -> RecordBase {
    RecordBase { offset: 0, timestamp: 1000, log_append_time: None }
}

fn stream_of(bytes: &[u8], count: i32) -> RecordStream<'_> {
    let reader = Decompressor::new(Codec::None, bytes, limits()).unwrap();
    RecordStream::new(reader, base(), count).unwrap()
}

/// What each way through says, up to the first error.
fn all_ways(bytes: &[u8], count: i32) -> [(Vec<RecordFacts>, Option<MalformedRecord>); 4] {
    let malformed = |error| match error {
        StreamError::Malformed(error) => error,
        other => panic!("{other}"),
    };
    let mut ways = [(); 4].map(|()| (Vec::new(), None));
    for record in Records::new(bytes, base(), count).unwrap() {
        match record {
            Ok(record) => ways[0].0.push(RecordFacts::from(&record)),
            Err(error) => ways[0].1 = Some(error),
        }
    }
    let mut stream = stream_of(bytes, count);
    loop {
        match stream.next_facts() {
            Ok(Some(facts)) => ways[1].0.push(facts),
            Ok(None) => break,
            Err(error) => ways[1].1 = Some(malformed(error)),
        }
    }
    let mut stream = stream_of(bytes, count);
    loop {
        match stream.next_record(usize::MAX) {
            Ok(Some(record)) => ways[2].0.push(RecordFacts::from(&record)),
            Ok(None) => break,
            Err(error) => ways[2].1 = Some(malformed(error)),
        }
    }
    let mut records = Records::new(bytes, base(), count).unwrap();
    while let Some(record) = records.next_facts() {
        match record {
            Ok(facts) => ways[3].0.push(facts),
            Err(error) => ways[3].1 = Some(error),
        }
    }
    ways
}

fn records_of(values: &[usize]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default()).unwrap();
    let value = vec![b'v'; values.iter().copied().max().unwrap_or(0)];
    let header = RecordHeader { key: b"name", value: None };
    for (index, &length) in values.iter().enumerate() {
        let record = NewRecord {
            timestamp: 1000 + index as i64,
            key: (index % 2 == 0).then_some(&value[..length / 3]),
            value: Some(&value[..length]),
            headers: &[header; 3][..index % 4],
        };
        builder.append(&record).unwrap();
    }
    builder.build().unwrap()[61..].to_vec()
}

#[test]
fn records_larger_than_the_buffer_are_passed_over_or_held() {
    let values = [10, 100_000, 5, BUFFER_BYTES - 40, BUFFER_BYTES, 1_000_000, 0];
    let bytes = records_of(&values);
    let [memory, facts, whole, lying] = all_ways(&bytes, values.len() as i32);
    assert_eq!(memory.0.len(), values.len());
    assert_eq!(memory.1, None);
    assert_eq!(facts, memory);
    assert_eq!(whole, memory);
    assert_eq!(lying, memory);
    let mut stream = stream_of(&bytes, values.len() as i32);
    for &length in &values {
        let record = stream.next_record(2_000_000).unwrap().unwrap();
        assert_eq!(record.value.unwrap().len(), length);
    }
    let mut stream = stream_of(&bytes, values.len() as i32);
    assert!(stream.next_record(100).unwrap().is_some());
    assert!(matches!(stream.next_record(100), Err(StreamError::RecordTooLarge { .. })));
    assert!(stream.next_record(100).unwrap().is_none());
}

#[test]
fn passing_over_a_large_record_does_not_grow_the_buffer() {
    let bytes = records_of(&[3_000_000]);
    let mut stream = stream_of(&bytes, 1);
    assert!(stream.next_facts().unwrap().unwrap().has_key);
    assert!(stream.next_facts().unwrap().is_none());
    assert!(stream.buffer.len() <= 2 * BUFFER_BYTES);
}

#[test]
fn cut_and_lengthened_records_are_errors_in_every_way() {
    let bytes = records_of(&[10, 40_000, 7]);
    let cuts = (0..60).chain([20_000]).chain(bytes.len() - 30..bytes.len());
    for cut in cuts {
        for (_, error) in all_ways(&bytes[..cut], 3) {
            assert!(error.is_some(), "{cut}");
        }
    }
    for (facts, error) in all_ways(&bytes, 2) {
        assert_eq!((facts.len(), error), (2, Some(MalformedRecord::TrailingBytes)));
    }
    for (facts, error) in all_ways(&bytes, 4) {
        let missing = MalformedRecord::MissingRecords { missing: 1 };
        assert_eq!((facts.len(), error), (3, Some(missing)));
    }
    assert!(Records::new(&bytes, base(), -1).is_err());
}

#[test]
fn every_codec_streams_the_same_records() {
    for codec in Codec::ALL {
        let compression = Compression::new(codec);
        let options = BatchOptions { compression, ..BatchOptions::default() };
        let mut builder = BatchBuilder::new(options).unwrap();
        for index in 0..1000_i64 {
            let value = index.to_string().repeat(20);
            let value = Some(value.as_bytes());
            builder.append(&NewRecord { timestamp: index, value, ..Default::default() }).unwrap();
        }
        let bytes = builder.build().unwrap();
        let batch = Batch::new(&bytes).unwrap();
        batch.check_crc().unwrap();
        let header = batch.header();
        assert_eq!(batch.codec(), Some(codec));
        assert_eq!(header.attributes().timestamp_type(), TimestampType::CreateTime);
        assert_eq!((header.base_timestamp(), header.max_timestamp()), (0, 999));
        let reader = Decompressor::new(codec, batch.payload(), limits()).unwrap();
        let mut stream = RecordStream::new(reader, header.into(), header.records_count()).unwrap();
        for index in 0..1000_i64 {
            let record = stream.next_record(1000).unwrap().unwrap();
            assert_eq!((record.offset, record.timestamp), (index, index), "{codec:?}");
            assert_eq!(record.value.unwrap(), index.to_string().repeat(20).as_bytes());
        }
        assert!(stream.next_record(1000).unwrap().is_none(), "{codec:?}");
    }
}

/// All facts of a batch's records, and the error that ends them.
fn facts_of(codec: Codec, blob: &[u8], count: i32, bytes_max: u64) -> (Vec<RecordFacts>, String) {
    let mut facts = Vec::new();
    let reader = Decompressor::new(codec, blob, DecompressLimits::of_bytes(bytes_max)).unwrap();
    let mut stream = RecordStream::new(reader, base(), count).unwrap();
    loop {
        match stream.next_facts() {
            Ok(Some(next)) => facts.push(next),
            Ok(None) => return (facts, String::new()),
            Err(error) => return (facts, error.to_string()),
        }
    }
}

fn blob_of(codec: Codec, bytes: &[u8]) -> Vec<u8> {
    let mut compressor = Compressor::new(Compression::new(codec), Vec::new()).unwrap();
    compressor.write_all(bytes).unwrap();
    compressor.finish().unwrap()
}

/// A batch that is damaged, cut, too large or left half read says nothing about the next one.
#[test]
fn what_a_thread_keeps_does_not_change_what_it_reads() {
    let values = [10, 20_000, 7, 100_000, 70, 33_000, 1];
    let bytes = records_of(&values);
    let count = values.len() as i32;
    let expected = all_ways(&bytes, count)[0].0.clone();
    for codec in Codec::ALL {
        let good = blob_of(codec, &bytes);
        let half_read = || {
            let reader = Decompressor::new(codec, &good, limits()).unwrap();
            let mut stream = RecordStream::new(reader, base(), count).unwrap();
            stream.next_record(1 << 20).unwrap();
        };
        for at in (0..good.len()).step_by(good.len() / 11) {
            let mut damaged = good.clone();
            damaged[at] ^= 0x55;
            for blob in [&damaged[..], &good[..at], b"nonsense"] {
                let fresh = std::thread::scope(|scope| {
                    scope.spawn(|| facts_of(codec, blob, count, 1 << 20)).join().unwrap()
                });
                assert_eq!(facts_of(codec, blob, count, 1 << 20), fresh, "{codec:?} {at}");
            }
            assert!(facts_of(codec, &good, count, 40_000).1.contains("40000"), "{codec:?}");
            half_read();
            let (facts, error) = facts_of(codec, &good, count, 1 << 20);
            assert_eq!((facts, error.as_str()), (expected.clone(), ""), "{codec:?} {at}");
        }
    }
}

#[test]
fn two_streams_of_a_thread_do_not_share_what_they_hold() {
    let (first, second) = (records_of(&[5, 50_000, 9]), records_of(&[40_000, 3, 70_000]));
    for codec in Codec::ALL {
        let blobs = [blob_of(codec, &first), blob_of(codec, &second)];
        let mut streams = blobs.each_ref().map(|blob| {
            let reader = Decompressor::new(codec, blob, limits()).unwrap();
            RecordStream::new(reader, base(), 3).unwrap()
        });
        for lengths in [[5, 40_000], [50_000, 3], [9, 70_000]] {
            for (stream, length) in streams.iter_mut().zip(lengths) {
                let value = stream.next_record(1 << 20).unwrap().unwrap().value.unwrap();
                assert!(value.len() == length && value.iter().all(|&byte| byte == b'v'));
            }
        }
        assert!(streams.iter_mut().all(|stream| stream.next_facts().unwrap().is_none()));
    }
}

/// What was read by pieces before is not lost.
#[test]
fn a_stream_begins_where_its_reader_stands() {
    let bytes = records_of(&[100, 50_000]);
    for codec in Codec::ALL {
        let blob = blob_of(codec, &[b"before", &bytes[..]].concat());
        let mut reader = Decompressor::new(codec, &blob, limits()).unwrap();
        reader.read_exact(&mut [0; 6]).unwrap();
        let mut stream = RecordStream::new(reader, base(), 2).unwrap();
        assert!(stream.next_facts().unwrap().is_some(), "{codec:?}");
        assert_eq!(stream.next_record(1 << 20).unwrap().unwrap().value.unwrap().len(), 50_000);
        assert!(stream.next_facts().unwrap().is_none(), "{codec:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_the_same_in_every_way(
        bytes in prop::collection::vec(any::<u8>(), 0..80), count in 0..5,
    ) {
        let [memory, facts, whole, lying] = all_ways(&bytes, count);
        // A record that is cut short and malformed too may be told as either.
        prop_assert_eq!(facts.1.is_some(), memory.1.is_some());
        prop_assert_eq!(&facts.0, &memory.0);
        prop_assert_eq!(&whole, &memory);
        prop_assert_eq!(&lying, &memory);
    }

    #[test]
    fn broken_large_records_are_errors_in_every_way(
        flips in prop::collection::vec((0_usize..12, any::<u8>()), 1..3),
        tail in 0_usize..12,
    ) {
        let mut bytes = records_of(&[20_000, 3]);
        for (at, byte) in flips {
            bytes[at] = byte;
            let end = bytes.len();
            bytes[end - 1 - tail] ^= byte;
        }
        let [memory, facts, whole, lying] = all_ways(&bytes, 2);
        prop_assert_eq!(facts.1.is_some(), memory.1.is_some());
        prop_assert_eq!(&facts.0, &memory.0);
        prop_assert_eq!(&whole, &memory);
        prop_assert_eq!(&lying, &memory);
    }
}

//! Compressed batches: taken where they lie, rebuilt, or refused.

use ottla_protocol::record::compression::{Decompressor, decompress};
use ottla_protocol::record::record::RecordHeader;
use ottla_protocol::record::stream::RecordStream;
use proptest::prelude::*;

use super::*;

fn all_rules() -> Vec<ValidateRules> {
    let mut all = Vec::new();
    let targets = Codec::ALL.map(|codec| TargetCompression::Topic(Compression::new(codec)));
    for compression in targets.into_iter().chain([TargetCompression::Producer]) {
        for timestamp_type in [TimestampType::CreateTime, TimestampType::LogAppendTime] {
            for compacted in [false, true] {
                all.push(ValidateRules { compression, timestamp_type, compacted, ..rules() });
            }
        }
    }
    all
}

fn options_of(codec: Codec) -> BatchOptions {
    BatchOptions { compression: Compression::new(codec), ..BatchOptions::default() }
}

type Owned = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>, usize);

/// Offsets, timestamps, keys, values and numbers of headers of a stored batch.
fn contents(bytes: &[u8]) -> Vec<Owned> {
    let batch = Batch::new(bytes).unwrap();
    batch.check_crc().unwrap();
    let limits = rules().decompress_limits();
    let payload = decompress(batch.codec().unwrap(), batch.payload(), limits).unwrap();
    let records = batch.records_in(&payload).unwrap().map(|record| {
        let record = record.unwrap();
        let (key, value) = (record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec));
        (record.offset, record.timestamp, key, value, record.headers.len())
    });
    records.collect()
}

fn rich_batch(options: BatchOptions, count: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(options).unwrap();
    let headers = [RecordHeader { key: b"h", value: None }; 2];
    for index in 0..count {
        let value = format!("value {index} ").repeat(index as usize % 40);
        let record = NewRecord {
            timestamp: NOW_MS + (index * 7) % 50,
            key: Some(b"key"),
            value: (index % 5 != 0).then_some(value.as_bytes()),
            headers: &headers[..index as usize % 3],
        };
        builder.append(&record).unwrap();
    }
    builder.build().unwrap()
}

#[test]
fn every_codec_into_every_topic() {
    for codec in Codec::ALL {
        let producer = BatchOptions {
            producer_id: 7,
            producer_epoch: 2,
            base_sequence: 30,
            transactional: true,
            ..options_of(codec)
        };
        let sent = rich_batch(producer, 300);
        let before = contents(&sent);
        for rules in all_rules() {
            let validated = validate(&sent, &rules).unwrap();
            let target = match rules.compression {
                TargetCompression::Producer => codec,
                TargetCompression::Topic(compression) => compression.codec(),
            };
            assert_eq!(validated.is_rebuilt(), codec != target, "{codec:?} {rules:?}");
            let bytes = stored(&validated, 1000, 5);
            let header = Batch::new(&bytes).unwrap().header();
            assert_eq!(header.attributes().codec_id(), target.id());
            assert_eq!((header.producer_id(), header.producer_epoch()), (7, 2));
            assert_eq!((header.base_sequence(), header.records_count()), (30, 300));
            assert!(header.attributes().is_transactional());
            assert_eq!(header.attributes().timestamp_type(), rules.timestamp_type);
            let append_time = validated.log_append_time_ms();
            assert_eq!(append_time.is_some(), rules.timestamp_type == TimestampType::LogAppendTime);
            assert_eq!(header.max_timestamp(), append_time.unwrap_or(NOW_MS + 49));
            let expected = before.iter().cloned().map(|mut record| {
                record.0 += 1000;
                record.1 = append_time.unwrap_or(record.1);
                record
            });
            assert!(contents(&bytes).into_iter().eq(expected), "{codec:?} {rules:?}");
        }
    }
}

/// The codec's number stays, but the records are at odds with the header.
#[test]
fn compressed_records_that_do_not_fit_their_header() {
    for codec in Codec::ALL {
        let sent = rich_batch(options_of(codec), 20);
        let more = with_header(sent.clone(), |header| {
            (header.records_count, header.last_offset_delta) = (21, 20);
        });
        let fewer = with_header(sent.clone(), |header| {
            (header.records_count, header.last_offset_delta) = (19, 18);
        });
        for rules in all_rules() {
            assert_eq!(class_of(&more, &rules), ErrorClass::InvalidRecord, "{codec:?}");
            assert_eq!(class_of(&fewer, &rules), ErrorClass::InvalidRecord, "{codec:?}");
        }
    }
}

#[test]
fn payloads_that_do_not_decompress() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let sent = rich_batch(options_of(codec), 20);
        let cut = with_header(sent[..sent.len() - 5].to_vec(), |_| {});
        assert_eq!(class_of(&cut, &rules()), ErrorClass::UnknownServerError, "{codec:?}");
        let mut rubbish = sent.clone();
        rubbish[61..].fill(0xa5);
        let rubbish = with_header(rubbish, |_| {});
        assert_eq!(class_of(&rubbish, &rules()), ErrorClass::UnknownServerError, "{codec:?}");
    }
}

/// Some old producers numbered all inner records 0. Such a batch is numbered anew.
#[test]
fn offsets_out_of_order_inside_are_put_right() {
    for codec in Codec::ALL {
        let mut builder = BatchBuilder::new(BatchOptions::default()).unwrap();
        for index in 0..3 {
            let value = format!("{index}");
            let value = Some(value.as_bytes());
            builder.append(&NewRecord { timestamp: NOW_MS, value, ..Default::default() }).unwrap();
        }
        let mut plain = builder.build().unwrap();
        // Length, attributes, two zero deltas: the offset delta is a record's fourth byte.
        let size = (plain.len() - 61) / 3;
        for index in 0..3 {
            plain[61 + index * size + 3] = 0;
        }
        let mut sent = plain[..61].to_vec();
        let compression = Compression::new(codec);
        let mut compressor =
            ottla_protocol::record::compression::Compressor::new(compression, sent).unwrap();
        std::io::Write::write_all(&mut compressor, &plain[61..]).unwrap();
        sent = compressor.finish().unwrap();
        let sent = with_header(sent, |header| {
            header.attributes = Attributes(i16::from(codec.id()));
        });
        let validated = validate(&sent, &rules()).unwrap();
        assert_eq!(validated.is_rebuilt(), codec != Codec::None, "{codec:?}");
        let offsets: Vec<_> =
            contents(&stored(&validated, 10, 0)).iter().map(|record| record.0).collect();
        let expected = if codec == Codec::None { [10, 10, 10] } else { [10, 11, 12] };
        assert_eq!(offsets, expected, "{codec:?}");
    }
}

#[test]
fn zstd_needs_version_7_of_the_request() {
    let old = ValidateRules { zstd_allowed: false, ..rules() };
    for codec in Codec::ALL {
        let sent = rich_batch(options_of(codec), 3);
        match validate(&sent, &old) {
            Ok(_) => assert_ne!(codec, Codec::Zstd),
            Err(error) => {
                assert_eq!(codec, Codec::Zstd);
                assert_eq!(error.class(), ErrorClass::UnsupportedCompressionType);
            }
        }
    }
}

#[test]
fn bombs_are_refused_in_bounded_memory() {
    // A megabyte of zeros in each record, 40 of them.
    let value = vec![0; 1 << 20];
    for codec in [Codec::Gzip, Codec::Lz4, Codec::Zstd] {
        let mut builder = BatchBuilder::new(options_of(codec)).unwrap();
        for _ in 0..40 {
            let record =
                NewRecord { timestamp: NOW_MS, value: Some(&value), ..NewRecord::default() };
            builder.append(&record).unwrap();
        }
        let sent = builder.build().unwrap();
        assert!(sent.len() < 1 << 20, "{codec:?}");
        // Where it lies it is only walked.
        assert!(!validate(&sent, &rules()).unwrap().is_rebuilt());
        let capped = ValidateRules { decompressed_bytes_max: 30 << 20, ..rules() };
        assert_eq!(class_of(&sent, &capped), ErrorClass::MessageTooLarge);
        // Rebuilt without compression it would outgrow the topic's limit.
        let compression = TargetCompression::Topic(Compression::NONE);
        let plain = ValidateRules { compression, ..rules() };
        let error = validate(&sent, &plain).unwrap_err();
        let InvalidBatch::TooLarge { size_bytes, .. } = error else { panic!("{error:?}") };
        assert!(size_bytes < 3 << 20, "given up too late: {size_bytes}");
        // A broken rule comes before the size.
        let compacted = ValidateRules { compacted: true, ..plain };
        assert_eq!(validate(&sent, &compacted).unwrap_err().record_errors().len(), 40);
    }
}

#[test]
fn one_record_that_is_too_large_to_rebuild() {
    let value = vec![0; 9 << 20];
    let mut builder = BatchBuilder::new(options_of(Codec::Zstd)).unwrap();
    builder.append(&NewRecord { value: Some(&value), ..NewRecord::default() }).unwrap();
    let sent = builder.build().unwrap();
    assert!(validate(&sent, &rules()).is_ok());
    let compression = TargetCompression::Topic(Compression::new(Codec::Lz4));
    let recompressed = ValidateRules { compression, ..rules() };
    assert_eq!(class_of(&sent, &recompressed), ErrorClass::MessageTooLarge);
}

#[test]
fn a_marker_stays_plain_in_a_topic_with_a_codec() {
    let options = BatchOptions { control: true, transactional: true, ..BatchOptions::default() };
    let marker = batch_of(options, &[NOW_MS]);
    let compression = TargetCompression::Topic(Compression::new(Codec::Gzip));
    let rules = ValidateRules { compression, origin: AppendOrigin::Coordinator, ..rules() };
    assert!(!validate(&marker, &rules).unwrap().is_rebuilt());
}

#[test]
fn record_errors_of_compressed_batches() {
    for codec in Codec::ALL {
        let sent = batch_of(options_of(codec), &[NOW_MS, NOW_MS + 3_600_001, NOW_MS]);
        for rules in all_rules() {
            let result = validate(&sent, &rules);
            if rules.timestamp_type == TimestampType::LogAppendTime {
                result.unwrap();
                continue;
            }
            let error = result.unwrap_err();
            assert_eq!(error.class(), ErrorClass::InvalidTimestamp);
            assert_eq!(error.record_errors()[0].batch_index, 1);
        }
    }
}

proptest! {
    /// Whatever is between the header and the end: an answer, and what is taken reads back.
    #[test]
    fn any_payload_is_answered(
        payload in prop::collection::vec(any::<u8>(), 0..120),
        codec in 0_i16..8,
        count in 0_i32..5,
        topic in 0_usize..24,
    ) {
        let sent = with_header([&[0; 61][..], &payload].concat(), |header| {
            header.attributes = Attributes(codec);
            (header.records_count, header.last_offset_delta) = (count, count - 1);
            (header.producer_id, header.base_sequence) = (-1, -1);
        });
        if let Ok(validated) = validate(&sent, &all_rules()[topic]) {
            contents(&stored(&validated, 0, 0));
        }
    }

    /// Damage under a right CRC: an answer, and what is taken reads back.
    #[test]
    fn damaged_batches_are_answered(
        codec in 0_usize..5,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..3),
        topic in 0_usize..24,
    ) {
        let mut sent = rich_batch(options_of(Codec::ALL[codec]), 10);
        for (index, byte) in flips {
            let at = 61 + index.index(sent.len() - 61);
            sent[at] = byte;
        }
        let sent = with_header(sent, |_| {});
        if let Ok(validated) = validate(&sent, &all_rules()[topic]) {
            let bytes = stored(&validated, 0, 0);
            let batch = Batch::new(&bytes).unwrap();
            let header = batch.header();
            let limits = rules().decompress_limits();
            let reader =
                Decompressor::new(batch.codec().unwrap(), batch.payload(), limits).unwrap();
            let mut stream =
                RecordStream::new(reader, header.into(), header.records_count()).unwrap();
            while stream.next_facts().unwrap().is_some() {}
        }
    }
}

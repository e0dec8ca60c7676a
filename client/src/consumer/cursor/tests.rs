//! Batches as brokers have them in their logs, and what is to be seen of them.

use std::collections::BTreeMap;

use ottla_protocol::messages::fetch::AbortedTransaction;
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_protocol::record::compression::Compression;
use ottla_protocol::record::control::EndTxnMarker;
use ottla_protocol::record::record::Headers;
use proptest::prelude::*;

use super::*;
use crate::consumer::chunk::{Frame, end_of};
use crate::partition::TopicPartition;

const READING: Reading =
    Reading { checks_crcs: true, is_read_committed: false, batch_bytes_max: 1 << 20 };

/// What is done to a log.
#[derive(Clone, Debug)]
enum Step {
    /// A batch of as many records, of which the offsets with a bit are left; by a producer in a
    /// transaction unless it is 0.
    Batch {
        producer: i64,
        count: u8,
        left: u8,
        codec: Codec,
    },
    End {
        producer: i64,
        committed: bool,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let codecs = prop_oneof![
        4 => Just(Codec::None),
        1 => Just(Codec::Gzip),
        1 => Just(Codec::Lz4),
        1 => Just(Codec::Snappy),
        1 => Just(Codec::Zstd),
    ];
    let batch = (0i64..3, 1u8..8, any::<u8>(), codecs)
        .prop_map(|(producer, count, left, codec)| Step::Batch { producer, count, left, codec });
    let end = (1i64..3, any::<bool>())
        .prop_map(|(producer, committed)| Step::End { producer, committed });
    prop::collection::vec(prop_oneof![3 => batch, 1 => end], 1..20)
}

/// A log: its batches by their last offsets, its records and those who read may see.
#[derive(Default)]
struct Log {
    batches: Vec<(i64, Vec<u8>)>,
    /// By offset: the value, and who is in the middle of a transaction then.
    records: BTreeMap<i64, (Vec<u8>, i64)>,
    /// Producer, first offset, last offset, whether it was committed.
    transactions: Vec<(i64, i64, i64, bool)>,
    end: i64,
}

impl Log {
    fn new(steps: &[Step]) -> Self {
        let mut log = Self::default();
        let mut open = BTreeMap::new();
        for step in steps {
            match *step {
                Step::Batch { producer, count, left, codec } => {
                    if producer > 0 {
                        open.entry(producer).or_insert(log.end);
                    }
                    log.batch(producer, count, left, codec);
                }
                Step::End { producer, committed } => log.close(&mut open, producer, committed),
            }
        }
        for producer in [1, 2] {
            log.close(&mut open, producer, false);
        }
        log
    }

    fn batch(&mut self, producer: i64, count: u8, left: u8, codec: Codec) {
        let base_offset = self.end;
        let options = BatchOptions {
            base_offset,
            partition_leader_epoch: 3,
            compression: Compression::new(codec),
            producer_id: if producer > 0 { producer } else { -1 },
            producer_epoch: 0,
            base_sequence: 0,
            transactional: producer > 0,
            ..Default::default()
        };
        let mut builder = BatchBuilder::new(options).unwrap();
        let mut last = base_offset;
        for at in (0..count).filter(|at| left & (1 << at) != 0) {
            last = base_offset + i64::from(at);
            let value = format!("{last}").into_bytes();
            let record = Record {
                offset: last,
                offset_delta: i32::from(at),
                timestamp: last,
                key: None,
                value: Some(&value),
                headers: Headers::default(),
            };
            builder.append_at(last, &record).unwrap();
            self.records.insert(last, (value, producer));
        }
        let last = last.max(base_offset + i64::from(count) - 1);
        self.batches.push((last, builder.build_to(last).unwrap()));
        self.end = last + 1;
    }

    fn close(&mut self, open: &mut BTreeMap<i64, i64>, producer: i64, committed: bool) {
        let Some(first) = open.remove(&producer) else { return };
        let options = BatchOptions {
            base_offset: self.end,
            producer_id: producer,
            producer_epoch: 0,
            ..Default::default()
        };
        let marker = EndTxnMarker { committed, coordinator_epoch: 0 };
        self.batches.push((self.end, marker.to_batch(options, 0).unwrap()));
        self.transactions.push((producer, first, self.end, committed));
        self.end += 1;
    }

    /// What a fetch at this offset brings.
    fn chunk(&self, offset: i64, held: &Arc<AtomicUsize>) -> Chunk {
        let set = self.batches.iter().filter(|(last, _)| *last >= offset);
        let mut bytes = b"before".to_vec();
        set.for_each(|(_, batch)| bytes.extend_from_slice(batch));
        let range = 6..bytes.len();
        bytes.extend_from_slice(&[0; 1000]);
        let aborted =
            self.transactions.iter().filter(|(.., end, committed)| !committed && *end >= offset);
        let mut aborted: Vec<_> = aborted
            .map(|&(producer_id, first_offset, ..)| AbortedTransaction {
                producer_id,
                first_offset,
            })
            .collect();
        aborted.reverse();
        Chunk {
            partition: TopicPartition::new("t", 0),
            generation: 1,
            node: 1,
            frame: Arc::new(Frame::new(bytes, held)),
            range,
            start: At { offset, epoch: -1 },
            aborted,
        }
    }

    fn seen(&self, from: i64, is_read_committed: bool) -> Vec<(i64, Vec<u8>)> {
        let is_aborted = |offset: i64, of: i64| {
            let mut all = self.transactions.iter();
            all.any(|&(producer, first, end, committed)| {
                producer == of && !committed && first <= offset && offset < end
            })
        };
        let records = self.records.range(from..);
        let seen = records.filter(|(offset, (_, producer))| {
            !is_read_committed || !is_aborted(**offset, *producer)
        });
        seen.map(|(offset, (value, _))| (*offset, value.clone())).collect()
    }
}

fn read(records: &Records) -> Vec<(i64, Vec<u8>)> {
    records.iter().map(|record| (record.offset(), record.value().unwrap().to_vec())).collect()
}

proptest! {
    #[test]
    fn what_is_to_be_seen_comes_once_and_in_order(
        steps in steps(),
        from in 0.0f64..1.0,
        counts in prop::collection::vec((1usize..9, any::<bool>()), 1..8),
        is_read_committed in any::<bool>(),
    ) {
        let log = Log::new(&steps);
        let from = (log.end as f64 * from) as i64;
        let held = Arc::new(AtomicUsize::new(0));
        let chunk = log.chunk(from, &held);
        let end = end_of(&chunk.frame.bytes()[chunk.range.clone()], chunk.start).unwrap();
        prop_assert_eq!(end.offset, log.end);
        let mut cursor = Cursor::new(chunk);
        let reading = Reading { is_read_committed, ..READING };
        let mut all = Vec::new();
        for (count, detaches) in counts.iter().cycle() {
            let mut records = Records::default();
            let more = cursor.read(*count, reading, &mut records).unwrap();
            prop_assert!(records.len() <= *count);
            prop_assert_eq!(read(&records).len(), records.len());
            prop_assert!(records.iter().eq_by_offset(records.clone().into_iter()));
            all.extend(read(&records));
            if !more {
                break;
            }
            prop_assert_eq!(records.len(), *count);
            if *detaches {
                cursor.detach(&held);
            }
        }
        prop_assert_eq!(all, log.seen(from, is_read_committed));
        prop_assert_eq!(cursor.next.offset, log.end);
        drop(cursor);
        prop_assert_eq!(held.load(std::sync::atomic::Ordering::SeqCst), 0);
    }
}

/// Whether owned records are those that are borrowed.
trait EqByOffset {
    fn eq_by_offset(self, owned: impl Iterator<Item = crate::OwnedRecord>) -> bool;
}

impl<'a, I: Iterator<Item = crate::Record<'a>>> EqByOffset for I {
    fn eq_by_offset(self, owned: impl Iterator<Item = crate::OwnedRecord>) -> bool {
        let offsets = owned.map(|record| (record.get().offset(), record.get().timestamp()));
        self.map(|record| (record.offset(), record.timestamp())).eq(offsets)
    }
}

fn cursor(batches: &[Vec<u8>], at: i64) -> Cursor {
    let log = Log {
        batches: batches.iter().map(|batch| (i64::MAX, batch.clone())).collect(),
        ..Log::default()
    };
    Cursor::new(log.chunk(at, &Arc::default()))
}

fn batch(base_offset: i64, codec: Codec, values: &[&[u8]]) -> Vec<u8> {
    let compression = Compression::new(codec);
    let options = BatchOptions { base_offset, compression, ..Default::default() };
    let mut builder = BatchBuilder::new(options).unwrap();
    for value in values {
        builder.append(&NewRecord { value: Some(value), ..Default::default() }).unwrap();
    }
    builder.build().unwrap()
}

#[test]
fn a_batch_that_is_not_valid_is_told_each_time_behind_what_is() {
    let good = batch(10, Codec::None, &[b"a", b"b"]);
    let mut flipped = batch(12, Codec::Lz4, &[b"c"]);
    *flipped.last_mut().unwrap() ^= 1;
    let mut cursor = cursor(&[good, flipped], 11);
    let mut records = Records::default();
    for _ in 0..2 {
        let error = cursor.read(10, READING, &mut records).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let text = error.to_string();
        assert!(text.starts_with("t-0: at offset 12: the batch's CRC is 0x"), "{text}");
        assert_eq!(read(&records), [(11, b"b".to_vec())]);
    }
    // Without the check the codec finds it, or nobody does.
    let reading = Reading { checks_crcs: false, ..READING };
    _ = cursor.read(10, reading, &mut records);
    assert!(records.len() <= 2);
}

#[test]
fn a_batch_that_expands_without_end_takes_no_more_memory_than_it_may() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let large = vec![0; 300_000];
        let bomb = batch(0, codec, &[&large, &large, &large, &large]);
        let mut cursor = cursor(&[bomb], 0);
        let error = cursor.read(10, READING, &mut Records::default()).unwrap_err();
        let text = "t-0: at offset 0: the data decompresses to more than 1048576 bytes";
        assert!(error.to_string().starts_with(text), "{error}");
    }
}

#[test]
fn records_that_do_not_fit_their_batch_are_refused() {
    // Numbers of records, and last offsets, that are not those of the batch.
    for (at, value, told) in [
        (57, 3u32, "1 of the batch's records are missing"),
        (57, 1, "bytes follow the batch's last record"),
        (57, u32::MAX, "the batch announces -1 records"),
        (23, 0, "bytes follow the batch's last record"),
    ] {
        let mut bytes = batch(5, Codec::None, &[b"a", b"b"]);
        bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
        let reading = Reading { checks_crcs: false, ..READING };
        let mut cursor = cursor(&[bytes], 5);
        let error = cursor.read(10, reading, &mut Records::default()).unwrap_err();
        assert!(error.to_string().contains(told), "{told}: {error}");
    }
}

#[test]
fn messages_of_old_formats_are_read() {
    // Magic 1, timestamp 7, key null, value "old"; at offset 4.
    let mut message = vec![1u8, 0];
    message.extend_from_slice(&7i64.to_be_bytes());
    message.extend_from_slice(&(-1i32).to_be_bytes());
    message.extend_from_slice(&3i32.to_be_bytes());
    message.extend_from_slice(b"old");
    let entry = |offset: i64, crc: u32| {
        let mut entry = offset.to_be_bytes().to_vec();
        entry.extend_from_slice(&(message.len() as u32 + 4).to_be_bytes());
        entry.extend_from_slice(&crc.to_be_bytes());
        entry.extend_from_slice(&message);
        entry
    };
    let crc = 0xFFFF_FFFF
        ^ message.iter().fold(0xFFFF_FFFFu32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xEDB8_8320 & 0u32.wrapping_sub(crc & 1))
            })
        });
    let mut both = cursor(&[entry(4, crc), batch(5, Codec::None, &[b"new"])], 4);
    let mut records = Records::default();
    assert!(!both.read(10, READING, &mut records).unwrap());
    assert_eq!(read(&records), [(4, b"old".to_vec()), (5, b"new".to_vec())]);
    let first = records.iter().next().unwrap();
    assert_eq!((first.timestamp(), first.key(), first.leader_epoch()), (7, None, None));
    assert_eq!(first.headers().len(), 0);
    let error = cursor(&[entry(4, crc ^ 1)], 4).read(10, READING, &mut Records::default());
    assert!(error.unwrap_err().to_string().contains("the message's CRC is"));
}

#[test]
fn batches_that_lead_nowhere_are_refused() {
    let at = At { offset: 10, epoch: -1 };
    let one = |base| batch(base, Codec::None, &[b"a"]);
    let two = |base| batch(base, Codec::None, &[b"a", b"b"]);
    let mut backwards = one(10);
    backwards[23..27].copy_from_slice(&(-5i32).to_be_bytes());
    for (set, expected) in [
        (vec![], Ok(10)),
        (one(10), Ok(11)),
        // A gap, and a batch that begins before.
        (one(50), Ok(51)),
        (two(9), Ok(11)),
        ([one(10), one(11), two(20)].concat(), Ok(22)),
        // The last batch is cut.
        ([one(10), one(11)[..40].to_vec()].concat(), Ok(11)),
        (one(9), Err("the batch at offset 9 comes where 10 is due")),
        ([one(10), one(10)].concat(), Err("the batch at offset 10 comes where 11 is due")),
        ([two(10), two(11)].concat(), Err("the batch at offset 11 comes where 12 is due")),
        (one(i64::MAX), Err("the batch at offset 9223372036854775807 ends before it begins")),
        (backwards, Err("the batch at offset 10 ends before it begins")),
        (one(10)[..40].to_vec(), Err("there is no whole batch in the answer")),
        (vec![7; 100], Err("the batch at byte 0 has the unknown magic 7")),
    ] {
        let end = end_of(&set, at).map(|end| end.offset);
        assert_eq!(end, expected.map_err(str::to_owned));
    }
}

//! Message sets made by hand, right and wrong. Those of Kafka's own classes are read in
//! `tests/golden.rs`.

use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::record::compression::{Compression, Compressor};

fn limits() -> DecompressLimits {
    DecompressLimits::of_bytes(1 << 20)
}

struct Message<'a> {
    magic: u8,
    offset: i64,
    attributes: u8,
    timestamp: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

impl Default for Message<'_> {
    fn default() -> Self {
        Self { magic: 1, offset: 0, attributes: 0, timestamp: 5, key: None, value: Some(b"v") }
    }
}

impl Message<'_> {
    fn bytes(&self) -> Vec<u8> {
        let mut fields = vec![self.magic, self.attributes];
        if self.magic > 0 {
            fields.extend(self.timestamp.to_be_bytes());
        }
        for field in [self.key, self.value] {
            let length = field.map_or(-1, |field| field.len() as i32);
            fields.extend(length.to_be_bytes());
            fields.extend(field.unwrap_or_default());
        }
        let mut entry = self.offset.to_be_bytes().to_vec();
        entry.extend((fields.len() as i32 + 4).to_be_bytes());
        entry.extend(crc32fast::hash(&fields).to_be_bytes());
        entry.extend(fields);
        entry
    }

    /// The messages of `inner` in this one, as gzip.
    fn around(self, inner: &[Message<'_>]) -> Vec<u8> {
        let set: Vec<u8> = inner.iter().flat_map(Message::bytes).collect();
        let mut compressor = Compressor::new(Compression::new(Codec::Gzip), Vec::new()).unwrap();
        compressor.write_all(&set).unwrap();
        let blob = compressor.finish().unwrap();
        Message { attributes: self.attributes | 1, value: Some(&blob), ..self }.bytes()
    }
}

fn read(bytes: &[u8]) -> Result<Vec<(i64, i64)>, LegacyError> {
    let entry = LegacyEntry::new(bytes)?;
    entry.check_crc()?;
    let records = entry.records(limits())?;
    records.iter().map(|record| record.map(|record| (record.offset, record.timestamp))).collect()
}

fn numbered(offsets: [i64; 3]) -> [Message<'static>; 3] {
    offsets.map(|offset| Message { offset, timestamp: 100 + offset, ..Message::default() })
}

#[test]
fn plain_messages() {
    let message = Message { key: Some(b"k"), offset: 7, ..Message::default() };
    let bytes = message.bytes();
    let entry = LegacyEntry::new(&bytes).unwrap();
    let (key, value) = (Some(&b"k"[..]), Some(&b"v"[..]));
    let record = LegacyRecord { offset: 7, timestamp: 5, key, value };
    assert_eq!(entry.record().unwrap(), record);
    assert_eq!(read(&bytes).unwrap(), [(7, 5)]);
    assert_eq!(read(&Message { magic: 0, ..message }.bytes()).unwrap(), [(7, -1)]);
    for bit in 16 * 8..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&flipped).is_err(), "{bit}");
    }
}

#[test]
fn offsets_inside_wrappers() {
    let wrapper = |offset| Message { offset, timestamp: 50, ..Message::default() };
    let at = |offset: i64| (offset, 100 + offset % 100);
    // Relative, and the wrapper's is the last one's.
    let bytes = wrapper(1009).around(&numbered([0, 1, 2]));
    assert_eq!(read(&bytes).unwrap(), [(1007, 100), (1008, 101), (1009, 102)]);
    // Compaction leaves gaps inside.
    let bytes = wrapper(1009).around(&numbered([0, 4, 9]));
    assert_eq!(read(&bytes).unwrap(), [(1000, 100), (1004, 104), (1009, 109)]);
    // A wrapper at 0 says nothing.
    let bytes = wrapper(0).around(&numbered([0, 1, 2]));
    assert_eq!(read(&bytes).unwrap(), [at(0), at(1), at(2)]);
    // Magic 0 has absolute offsets.
    let inner = numbered([40, 41, 42]).map(|message| Message { magic: 0, ..message });
    let bytes = Message { magic: 0, ..wrapper(42) }.around(&inner);
    assert_eq!(read(&bytes).unwrap(), [(40, -1), (41, -1), (42, -1)]);
}

#[test]
fn a_wrapper_of_log_append_time_dates_all_inside() {
    let wrapper =
        Message { offset: 2, attributes: LOG_APPEND_TIME, timestamp: 50, ..Message::default() };
    let bytes = wrapper.around(&numbered([0, 1, 2]));
    assert_eq!(read(&bytes).unwrap(), [(0, 50), (1, 50), (2, 50)]);
}

#[test]
fn malformed_messages() {
    let wrapper = || Message { offset: 1, ..Message::default() };
    let null = Message { attributes: 1, value: None, ..Message::default() }.bytes();
    assert!(matches!(read(&null), Err(LegacyError::NullWrapper)));
    for attributes in 4..8 {
        let bytes = Message { attributes, ..Message::default() }.bytes();
        assert!(matches!(read(&bytes), Err(LegacyError::Codec { .. })));
    }
    assert!(matches!(read(&wrapper().around(&[])), Err(LegacyError::EmptyWrapper)));
    let below = wrapper().around(&numbered([0, 1, 2]));
    let wanted = LegacyError::WrapperOffset { offset: 1, last_inner: 2 };
    assert_eq!(read(&below).unwrap_err().to_string(), wanted.to_string());
    let older = wrapper().around(&[Message { magic: 0, ..Message::default() }]);
    assert!(matches!(read(&older), Err(LegacyError::InnerMagic { magic: 0 })));
    let nested = wrapper().around(&[Message { attributes: 1, ..Message::default() }]);
    assert!(matches!(read(&nested), Err(LegacyError::InnerCompressed)));
    let rubbish = Message { attributes: 1, ..Message::default() }.bytes();
    assert!(matches!(read(&rubbish), Err(LegacyError::Decompress(_))));
    assert!(matches!(LegacyEntry::new(&[0; 16]), Err(LegacyError::Length)));
    let large = vec![0; 2 << 20];
    let bomb = wrapper().around(&[Message { value: Some(&large), ..Message::default() }]);
    let error = read(&bomb).unwrap_err();
    let LegacyError::Decompress(DecompressError::TooLarge { .. }) = error else {
        panic!("{error}");
    };
}

#[test]
fn lengths_that_do_not_fit() {
    let good = Message { key: Some(b"key"), ..Message::default() }.bytes();
    let key_length_at = AFTER_ATTRIBUTES + 8;
    for length in [0_i32, 2, 4, 100, i32::MAX] {
        let mut bytes = good.clone();
        bytes[key_length_at..key_length_at + 4].copy_from_slice(&length.to_be_bytes());
        let entry = LegacyEntry::new(&bytes).unwrap();
        assert!(matches!(entry.record(), Err(LegacyError::Length)), "{length}");
    }
    let longer = [&good[..], b"x"].concat();
    assert!(matches!(LegacyEntry::new(&longer).unwrap().record(), Err(LegacyError::Length)));
}

proptest! {
    #[test]
    fn any_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..90),
        magic in 0_u8..2,
        attributes in 0_u8..16,
    ) {
        let mut bytes = bytes;
        if bytes.len() > AFTER_ATTRIBUTES {
            bytes[MAGIC_AT] = magic;
            bytes[ATTRIBUTES_AT] = attributes;
        }
        if let Ok(entry) = LegacyEntry::new(&bytes) {
            let _ = entry.record();
            if let Ok(records) = entry.records(limits()) {
                records.iter().for_each(drop);
            }
        }
    }
}

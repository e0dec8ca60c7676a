//! The records within a batch, as far as they can be read.

use std::io::{BufReader, Read};

use ottla_protocol::record::batch::{BATCH_HEADER_BYTES, BatchHeader, MAGIC_V2};
use ottla_protocol::record::compression::{Codec, DecompressError, DecompressLimits, Decompressor};
use ottla_protocol::record::record::RecordBase;
use ottla_protocol::varint;

use super::batches::{codec, java_sequence_after};
use super::legacy::Messages;
use super::{Damage, FileBatch};

/// What a batch may decompress to: what Kafka could hold in one buffer.
pub(super) const OUTPUT_BYTES_MAX: u64 = i32::MAX as u64;

/// A record of any format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectedRecord<'a> {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, ms; -1 for none.
    pub timestamp: i64,
    /// Its sequence; -1 for none.
    pub sequence: i32,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The key's length as stored; negative for null.
    pub key_size: i32,
    /// The value, or null; null too where `beyond` says so.
    pub value: Option<&'a [u8]>,
    /// The value's length as stored; negative for null.
    pub value_size: i32,
    /// Of magic 0 and 1, when the value would reach beyond its message: how many bytes are there.
    pub beyond: Option<usize>,
    /// The headers: names, not checked to be UTF-8, and values.
    pub headers: Vec<(&'a [u8], Option<&'a [u8]>)>,
    /// Of magic 0 and 1: whether the record's own checksum is right, and the checksum.
    pub legacy: Option<(bool, u32)>,
}

/// The records of a loaded batch.
pub struct RecordsOf<'b>(Kind<'b>);

enum Kind<'b> {
    Legacy(Messages<'b>),
    V2 { bytes: &'b [u8], codec: Codec },
}

impl<'b> RecordsOf<'b> {
    pub(super) fn new(batch: &FileBatch, bytes: &'b [u8]) -> Result<Self, Damage> {
        if batch.magic < MAGIC_V2 {
            return Messages::new(bytes, batch.offset).map(|kind| Self(Kind::Legacy(kind)));
        }
        let header = BatchHeader::new(bytes).ok_or(Damage::OutOfBounds)?;
        let count = header.records_count();
        if count == 0 {
            return Ok(Self(Kind::V2 { bytes, codec: Codec::None }));
        }
        let codec = codec(header.attributes().codec_id())?;
        if count < 0 {
            return Err(Damage::RecordCount { count, magic: header.magic() });
        }
        if codec != Codec::None {
            walk_compressed::<Damage>(bytes, codec, &mut |_| Ok(()))?;
        }
        Ok(Self(Kind::V2 { bytes, codec }))
    }

    /// Gives each record to `take`, in order, until it fails.
    ///
    /// # Errors
    /// What `take` says, or [`Damage`] where a record cannot be read.
    pub fn for_each<E: From<Damage>>(
        self,
        take: &mut dyn FnMut(&InspectedRecord<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.0 {
            Kind::Legacy(messages) => messages.for_each(take),
            Kind::V2 { bytes, codec: Codec::None } => walk_plain(bytes, take),
            Kind::V2 { bytes, codec } => walk_compressed(bytes, codec, take),
        }
    }
}

/// What the records of a batch start from.
struct Base {
    of: RecordBase,
    base_sequence: i32,
    count: i32,
}

impl Base {
    fn new(bytes: &[u8]) -> Result<Self, Damage> {
        let header = BatchHeader::new(bytes).ok_or(Damage::OutOfBounds)?;
        let (base_sequence, count) = (header.base_sequence(), header.records_count());
        Ok(Self { of: header.into(), base_sequence, count })
    }
}

fn walk_plain<E: From<Damage>>(
    bytes: &[u8],
    take: &mut dyn FnMut(&InspectedRecord<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let base = Base::new(bytes)?;
    let mut rest = &bytes[BATCH_HEADER_BYTES..];
    for left in (0..base.count).rev() {
        let size = read_varint(&mut rest).map_err(|problem| match problem {
            Varint::Underflow => premature(),
            Varint::TooLong(text) => Damage::Record(text),
        })?;
        let (record, used) = parse(rest, size, &base)?;
        rest = &rest[used..];
        if left == 0 && !rest.is_empty() {
            return Err(remaining().into());
        }
        take(&record)?;
    }
    Ok(())
}

fn walk_compressed<E: From<Damage>>(
    bytes: &[u8],
    codec: Codec,
    take: &mut dyn FnMut(&InspectedRecord<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let base = Base::new(bytes)?;
    let limits = DecompressLimits::of_bytes(OUTPUT_BYTES_MAX);
    let reader = Decompressor::new(codec, &bytes[BATCH_HEADER_BYTES..], limits);
    let mut reader = BufReader::new(reader.map_err(Damage::Decompress)?);
    let failed = |error| Damage::Decompress(DecompressError::from_read(codec, error));
    let mut body = Vec::new();
    for left in (0..base.count).rev() {
        let size = stream_varint(&mut reader).map_err(failed)?;
        let size = size.and_then(|size| u64::try_from(size).ok()).ok_or_else(premature)?;
        body.clear();
        // The buffer grows with what is really there.
        let read = reader.by_ref().take(size).read_to_end(&mut body).map_err(failed)?;
        if read as u64 != size {
            return Err(Damage::Record(format!(
                "Invalid record size: expected {size} bytes in record payload, but the record \
                 payload reached EOF."
            ))
            .into());
        }
        let (record, _) = parse(&body, size as i32, &base)?;
        if left == 0 && reader.read(&mut [0]).map_err(failed)? > 0 {
            return Err(remaining().into());
        }
        take(&record)?;
    }
    Ok(())
}

fn premature() -> Damage {
    Damage::Record("Incorrect declared batch size, premature EOF reached".to_owned())
}

fn remaining() -> Damage {
    let text = "Incorrect declared batch size, records still remaining in file";
    Damage::Record(text.to_owned())
}

/// Reads a record of `size` bytes; also how many it took. It may reach beyond its own size, though
/// not beyond the bytes, and is refused then.
fn parse<'a>(
    bytes: &'a [u8],
    size: i32,
    base: &Base,
) -> Result<(InspectedRecord<'a>, usize), Damage> {
    let there = bytes.len();
    if i64::from(size) > there as i64 {
        return Err(Damage::Record(format!(
            "Invalid record size: expected {size} bytes in record payload, but instead the buffer \
             has only {there} remaining bytes."
        )));
    }
    let structure = || Damage::Record("Found invalid record structure".to_owned());
    let mut rest = bytes;
    // The attributes are unused.
    rest = rest.get(1..).ok_or_else(structure)?;
    let (timestamp_delta, used) = varint::decode_i64(rest).map_err(|_| structure())?;
    rest = &rest[used..];
    let int = |rest: &mut &'a [u8]| read_varint(rest).map_err(|_| structure());
    let offset_delta = int(&mut rest)?;
    let length = int(&mut rest)?;
    let (key, key_size) = (field(&mut rest, length).ok_or_else(structure)?, length.max(-1));
    let length = int(&mut rest)?;
    let value_size = length.max(-1);
    let value = field(&mut rest, length).ok_or_else(structure)?;
    let count = int(&mut rest)?;
    if count < 0 {
        return Err(Damage::Record(format!("Found invalid number of record headers {count}")));
    }
    if count as usize > rest.len() {
        return Err(Damage::Record(format!(
            "Found invalid number of record headers. {count} is larger than the remaining size of \
             the buffer"
        )));
    }
    let mut headers = Vec::new();
    for _ in 0..count {
        let length = int(&mut rest)?;
        if length < 0 {
            return Err(Damage::Record(format!("Invalid negative header key size {length}")));
        }
        let name = field(&mut rest, length).flatten();
        let name = name.ok_or_else(structure)?;
        let length = int(&mut rest)?;
        headers.push((name, field(&mut rest, length).ok_or_else(structure)?));
    }
    let used = there - rest.len();
    if used as i64 != i64::from(size) {
        return Err(Damage::Record(format!(
            "Invalid record size: expected to read {size} bytes in record payload, but instead \
             read {used}"
        )));
    }
    let sequence = match base.base_sequence {
        0.. => java_sequence_after(base.base_sequence, offset_delta),
        _ => -1,
    };
    let record = InspectedRecord {
        offset: base.of.offset.wrapping_add(i64::from(offset_delta)),
        timestamp: base.of.timestamp_of(timestamp_delta),
        sequence,
        key,
        key_size,
        value,
        value_size,
        beyond: None,
        headers,
        legacy: None,
    };
    Ok((record, used))
}

/// Takes a field of this length, negative for null; `None` when there are fewer bytes.
#[expect(clippy::option_option, reason = "absent bytes and a null field are two things")]
fn field<'a>(rest: &mut &'a [u8], length: i32) -> Option<Option<&'a [u8]>> {
    let Ok(length) = usize::try_from(length) else { return Some(None) };
    let (field, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(Some(field))
}

enum Varint {
    Underflow,
    TooLong(String),
}

fn read_varint(rest: &mut &[u8]) -> Result<i32, Varint> {
    let mut value = 0u32;
    for shift in [0, 7, 14, 21, 28] {
        let (&byte, after) = rest.split_first().ok_or(Varint::Underflow)?;
        *rest = after;
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(unzigzag(value));
        }
    }
    Err(Varint::TooLong(format!(
        "Varint is too long, the most significant bit in the 5th byte is set, converted value: \
         {value:x}"
    )))
}

/// A varint from a stream; `None` when it is too long or cut short.
fn stream_varint(reader: &mut impl Read) -> std::io::Result<Option<i32>> {
    let mut value = 0u32;
    for shift in [0, 7, 14, 21, 28] {
        let mut byte = [0];
        if reader.read(&mut byte)? == 0 {
            return Ok(None);
        }
        value |= u32::from(byte[0] & 0x7f) << shift;
        if byte[0] & 0x80 == 0 {
            return Ok(Some(unzigzag(value)));
        }
    }
    Ok(None)
}

fn unzigzag(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

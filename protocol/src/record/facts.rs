//! What a record says besides its contents: all that a leader checks of most records.
//!
//! Nearly all records are alike: sound, and with no number in them that takes more than three
//! bytes. A walk here passes over such a record in a third of the instructions of
//! [`Record::parse`], since it makes no slices and names no faults. Whatever it does not take goes
//! to [`Record::parse`], which decides; so there is one place that tells what is wrong with a
//! record.

use super::record::{MalformedRecord, Record, RecordBase};

/// What a record says besides its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordFacts {
    /// The offset less the batch's base offset.
    pub offset_delta: i32,
    /// Milliseconds since the epoch, -1 for none; the batch's max timestamp when it is of log
    /// append time.
    pub timestamp: i64,
    /// Whether the key is not null.
    pub has_key: bool,
}

impl From<&Record<'_>> for RecordFacts {
    fn from(record: &Record<'_>) -> Self {
        let has_key = record.key.is_some();
        Self { offset_delta: record.offset_delta, timestamp: record.timestamp, has_key }
    }
}

impl RecordFacts {
    /// Checks the record at the start of `bytes` as [`Record::parse`] does; also answers the bytes
    /// that it takes.
    ///
    /// # Errors
    /// Those of [`Record::parse`].
    #[inline]
    pub fn parse(bytes: &[u8], base: &RecordBase) -> Result<(Self, usize), MalformedRecord> {
        match Plain::pass(bytes, base) {
            Some(passed) => Ok(passed),
            None => Self::parse_any(bytes, base),
        }
    }

    #[cold]
    fn parse_any(bytes: &[u8], base: &RecordBase) -> Result<(Self, usize), MalformedRecord> {
        Record::parse(bytes, base).map(|(record, used)| (Self::from(&record), used))
    }
}

/// A walk over one record that gives up at anything unusual.
///
/// Its place only grows, and is the record's end in the end: so all that was read on the way lies
/// within the record, and only reads have to be held within the bytes.
struct Plain<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Plain<'_> {
    #[inline]
    fn pass(bytes: &[u8], base: &RecordBase) -> Option<(RecordFacts, usize)> {
        let mut fields = Plain { bytes, at: 0 };
        let length = fields.length()?;
        let end = fields.at + length;
        // The attributes mean nothing.
        fields.at += 1;
        let timestamp_delta = unzigzag(fields.number()?);
        let offset_delta = unzigzag(fields.number()?);
        let has_key = fields.nullable()?;
        fields.nullable()?;
        let headers_count = fields.length()?;
        if headers_count > 0 {
            fields.headers(headers_count)?;
        }
        if fields.at != end || end > bytes.len() {
            return None;
        }
        let timestamp = base.timestamp_of(timestamp_delta.into());
        Some((RecordFacts { offset_delta, timestamp, has_key }, end))
    }

    /// An unsigned number of at most three groups of seven bits.
    #[inline]
    fn number(&mut self) -> Option<u32> {
        let first = self.byte()?;
        if first < 0x80 {
            return Some(first);
        }
        let second = self.byte()?;
        if second < 0x80 {
            return Some(first & 0x7f | second << 7);
        }
        let third = self.byte()?;
        (third < 0x80).then_some(first & 0x7f | (second & 0x7f) << 7 | third << 14)
    }

    #[inline]
    fn byte(&mut self) -> Option<u32> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte.into())
    }

    /// A length or count; negative ones are odd in zigzag.
    #[inline]
    fn length(&mut self) -> Option<usize> {
        let number = self.number()?;
        number.is_multiple_of(2).then_some((number / 2) as usize)
    }

    /// Passes over bytes after their length; whether they are not null.
    #[inline]
    fn nullable(&mut self) -> Option<bool> {
        let number = self.number()?;
        let is_there = number.is_multiple_of(2);
        if is_there {
            self.at += (number / 2) as usize;
        }
        Some(is_there)
    }

    fn headers(&mut self, count: usize) -> Option<()> {
        for _ in 0..count {
            let key_length = self.length()?;
            self.at += key_length;
            self.nullable()?;
        }
        Some(())
    }
}

/// Undoes zigzag for a number that has few bits.
#[inline]
fn unzigzag(number: u32) -> i32 {
    crate::varint::unzigzag_32(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::builder::{BatchBuilder, BatchOptions, NewRecord};
    use crate::record::record::RecordHeader;

    const BASE: RecordBase = RecordBase { offset: 7, timestamp: 1000, log_append_time: None };

    /// A record, with its length before it, and what follows it in its batch.
    fn record(
        (timestamp, earlier): (i64, usize),
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[RecordHeader<'_>],
    ) -> Vec<u8> {
        let mut builder = BatchBuilder::new(BatchOptions::default()).unwrap();
        for _ in 0..earlier {
            builder.append(&NewRecord { timestamp: 1000, ..NewRecord::default() }).unwrap();
        }
        builder.append(&NewRecord { timestamp, key, value, headers }).unwrap();
        let batch = builder.build().unwrap();
        let mut rest = &batch[61..];
        for _ in 0..earlier {
            rest = &rest[Record::parse(rest, &BASE).unwrap().1..];
        }
        rest.to_vec()
    }

    fn check(bytes: &[u8]) -> Result<(RecordFacts, usize), MalformedRecord> {
        let parsed = RecordFacts::parse_any(bytes, &BASE);
        assert_eq!(RecordFacts::parse(bytes, &BASE), parsed, "{bytes:x?}");
        if let Some(passed) = Plain::pass(bytes, &BASE) {
            assert_eq!(Ok(passed), parsed, "{bytes:x?}");
        }
        parsed
    }

    /// All that a producer sends, but for numbers of four bytes and more.
    #[test]
    fn records_of_all_usual_forms_are_plain() {
        let headers = [
            RecordHeader { key: b"", value: None },
            RecordHeader { key: b"trace", value: Some(&[7; 200]) },
        ];
        let long = vec![1; 70_000];
        for timestamp in [1000, 1001, 63_000, 1_001_000] {
            for contents in [None, Some(&b""[..]), Some(&b"some"[..]), Some(&long[..])] {
                for headers in [&headers[..0], &headers[..1], &headers[..]] {
                    check_plain((timestamp, 1), contents, headers);
                }
            }
        }
        for earlier in [0, 70, 9000] {
            check_plain((1000, earlier), Some(b"key"), &[]);
        }
    }

    fn check_plain(
        (timestamp, earlier): (i64, usize),
        key: Option<&[u8]>,
        headers: &[RecordHeader<'_>],
    ) {
        let bytes = record((timestamp, earlier), key, Some(b"value"), headers);
        assert!(Plain::pass(&bytes, &BASE).is_some());
        let expected =
            RecordFacts { offset_delta: earlier as i32, timestamp, has_key: key.is_some() };
        assert_eq!(check(&bytes), Ok((expected, bytes.len())));
    }

    #[test]
    fn a_record_damaged_at_any_byte_or_cut_is_taken_for_the_same() {
        let header = RecordHeader { key: b"name", value: Some(b"text") };
        for (key, value, headers) in [
            (None, Some(&b"a value"[..]), &[][..]),
            (Some(&b"a key"[..]), None, &[header]),
            (
                Some(&b""[..]),
                Some(&[9; 100][..]),
                &[header, RecordHeader { key: b"", value: None }],
            ),
        ] {
            // What comes behind must not matter.
            let mut bytes = record((1000, 0), key, value, headers);
            let length = bytes.len();
            bytes.extend(record((1000, 0), None, Some(b"next"), &[]));
            for cut in 0..length {
                assert!(check(&bytes[..cut]).is_err(), "{cut}");
            }
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut damaged = bytes.clone();
                    damaged[at] = byte;
                    let _either_way = check(&damaged);
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn chance_bytes_are_taken_for_the_same(
            length in 0_u8..60,
            // Small numbers are lengths that may fit.
            body in prop::collection::vec(
                prop_oneof![0_u8..8, 0x80_u8..0x84, any::<u8>()], 0..40,
            ),
        ) {
            let _either_way = check(&body);
            let _either_way = check(&[&[length * 2][..], &body].concat());
            let _either_way = check(&[&[body.len() as u8 * 2][..], &body].concat());
        }
    }
}

//! Formats of `-f`, with the letters of kcat: `%t/%p@%o: %s\n`.

use std::io::{self, Write};

use super::escapes::escape;
use super::shown::Shown;

/// What `--help` says of it.
pub(crate) const LETTERS: &str = "\
%s value, %S its length in bytes (-1 for null), %R the same as 4 bytes, big-endian,
%k key, %K its length, %t topic, %p partition, %o offset, %T timestamp (ms since the epoch),
%h headers (a=1,b=2), %% a percent sign; \\n \\r \\t \\0 \\\\ \\xNN";

/// A format that was taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Bytes(Vec<u8>),
    Field(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Value,
    ValueLength,
    ValueLengthBinary,
    Key,
    KeyLength,
    Topic,
    Partition,
    Offset,
    Timestamp,
    Headers,
}

impl Field {
    fn of_letter(letter: u8) -> Option<Self> {
        Some(match letter {
            b's' => Self::Value,
            b'S' => Self::ValueLength,
            b'R' => Self::ValueLengthBinary,
            b'k' => Self::Key,
            b'K' => Self::KeyLength,
            b't' => Self::Topic,
            b'p' => Self::Partition,
            b'o' => Self::Offset,
            b'T' => Self::Timestamp,
            b'h' => Self::Headers,
            _ => return None,
        })
    }
}

impl Format {
    /// Takes a format apart.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let bytes = text.as_bytes();
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        let mut rest = bytes;
        while let Some((&byte, behind)) = rest.split_first() {
            let at = bytes.len() - rest.len() + 1;
            rest = behind;
            match byte {
                b'\\' => {
                    let byte = escape(&mut rest);
                    literal.push(byte.map_err(|wrong| format!("{wrong} (character {at})"))?);
                }
                b'%' => {
                    let Some((&letter, behind)) = rest.split_first() else {
                        return Err(format!("a % at the end; write %% for one (character {at})"));
                    };
                    rest = behind;
                    if letter == b'%' {
                        literal.push(b'%');
                        continue;
                    }
                    let Some(field) = Field::of_letter(letter) else {
                        let letter = letter.escape_ascii();
                        return Err(format!(
                            "%{letter} is unknown (character {at}); there are \
                             %s %S %R %k %K %t %p %o %T %h %%"
                        ));
                    };
                    if !literal.is_empty() {
                        pieces.push(Piece::Bytes(std::mem::take(&mut literal)));
                    }
                    pieces.push(Piece::Field(field));
                }
                other => literal.push(other),
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Bytes(literal));
        }
        Ok(Self(pieces))
    }

    /// Values, one a line.
    pub(crate) fn values() -> Self {
        Self(vec![Piece::Field(Field::Value), Piece::Bytes(b"\n".to_vec())])
    }

    /// Writes a record; `null` stands for a key, a value or a header that is null.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write(
        &self,
        record: &Shown<'_>,
        null: &[u8],
        out: &mut impl Write,
    ) -> io::Result<()> {
        for piece in &self.0 {
            match piece {
                Piece::Bytes(bytes) => out.write_all(bytes)?,
                Piece::Field(field) => write_field(*field, record, null, out)?,
            }
        }
        Ok(())
    }
}

fn write_field(
    field: Field,
    record: &Shown<'_>,
    null: &[u8],
    out: &mut impl Write,
) -> io::Result<()> {
    match field {
        Field::Value => out.write_all(record.value.unwrap_or(null)),
        Field::ValueLength => write!(out, "{}", length(record.value)),
        Field::ValueLengthBinary => out.write_all(&length(record.value).to_be_bytes()),
        Field::Key => out.write_all(record.key.unwrap_or(null)),
        Field::KeyLength => write!(out, "{}", length(record.key)),
        Field::Topic => out.write_all(record.topic.as_bytes()),
        Field::Partition => write!(out, "{}", record.partition),
        Field::Offset => write!(out, "{}", record.offset),
        Field::Timestamp => write!(out, "{}", record.timestamp),
        Field::Headers => {
            for (index, header) in record.headers.iter().enumerate() {
                if index > 0 {
                    out.write_all(b",")?;
                }
                out.write_all(header.key)?;
                out.write_all(b"=")?;
                out.write_all(header.value.unwrap_or(b"NULL"))?;
            }
            Ok(())
        }
    }
}

/// -1 for null; no record is longer than the number can say.
fn length(bytes: Option<&[u8]>) -> i32 {
    bytes.map_or(-1, |bytes| i32::try_from(bytes.len()).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use ottla_client::Header;
    use ottla_protocol::record::batch::TimestampType;
    use proptest::prelude::*;

    use super::*;

    fn shown<'a>(headers: &'a [Header<'a>]) -> Shown<'a> {
        Shown {
            topic: "orders",
            partition: 3,
            offset: 77,
            timestamp: 1_764_151_200_000,
            timestamp_type: TimestampType::CreateTime,
            key: Some(b"k\xff"),
            value: Some(b"one\0"),
            headers,
        }
    }

    fn written(format: &str, record: &Shown<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        Format::parse(format).unwrap().write(record, b"", &mut out).unwrap();
        out
    }

    #[test]
    fn every_letter_is_kcats() {
        let headers = [
            Header { key: b"a", value: Some(b"1") },
            Header { key: b"b", value: None },
            Header { key: b"a", value: Some(b"") },
        ];
        let record = shown(&headers);
        for (format, text) in [
            ("%s", &b"one\0"[..]),
            ("%S", b"4"),
            ("%R", b"\0\0\0\x04"),
            ("%k", b"k\xff"),
            ("%K", b"2"),
            ("%t/%p@%o", b"orders/3@77"),
            ("%T", b"1764151200000"),
            ("%h", b"a=1,b=NULL,a="),
            ("100%%\\n\\x00", b"100%\n\0"),
            ("", b""),
        ] {
            assert_eq!(written(format, &record), text, "{format}");
        }
    }

    #[test]
    fn null_has_no_length() {
        let record = Shown { key: None, value: None, ..shown(&[]) };
        assert_eq!(written("%s|%S|%R|%k|%K|%h|", &record), b"|-1|\xff\xff\xff\xff||-1||");
        let mut out = Vec::new();
        Format::parse("%k=%s").unwrap().write(&record, b"NULL", &mut out).unwrap();
        assert_eq!(out, b"NULL=NULL");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (format, wrong) in [
            ("ab%", "a % at the end; write %% for one (character 3)"),
            ("%s%q", "%q is unknown (character 3); there are %s %S %R %k %K %t %p %o %T %h %%"),
            ("%\u{e9}", "%\\xc3 is unknown (character 1)"),
            ("\\xg0", "\\x needs two hexadecimal digits, \\x1f (character 1)"),
        ] {
            let error = Format::parse(format).unwrap_err();
            assert!(error.starts_with(wrong), "{format}: {error}");
        }
    }

    proptest! {
        #[test]
        fn bytes_go_out_as_they_are(value in prop::collection::vec(any::<u8>(), 0..50)) {
            let record = Shown { value: Some(&value), ..shown(&[]) };
            let mut out = Vec::new();
            Format::values().write(&record, b"", &mut out).unwrap();
            let mut expected = value.clone();
            expected.push(b'\n');
            prop_assert_eq!(out, expected);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*|[%\\\\xnsk]{0,8}") {
            _ = Format::parse(&text);
        }
    }
}

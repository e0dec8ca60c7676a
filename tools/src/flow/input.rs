//! What `produce` reads: records out of lines.

use std::io::{self, BufRead};

use memchr::memmem;

use super::json::{self, OwnedHeader, ReadRecord};

/// How lines become records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LineFormat {
    /// A line is a record as `consume -o json` writes it.
    pub(crate) is_json: bool,
    /// What stands between key and value; lines without it are values alone.
    pub(crate) key_delimiter: Option<Vec<u8>>,
    /// The key of lines that have none.
    pub(crate) key: Option<Vec<u8>>,
    /// Empty keys and values are null.
    pub(crate) empty_is_null: bool,
    /// Headers of every record, before those that a JSON line has.
    pub(crate) headers: Vec<OwnedHeader>,
}

impl LineFormat {
    /// The record of a line, which comes without its end.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn record(&self, line: &[u8]) -> Result<ReadRecord, String> {
        if self.is_json {
            let mut record = json::read(line)?;
            let own = std::mem::replace(&mut record.headers, self.headers.clone());
            record.headers.extend(own);
            record.key = record.key.or_else(|| self.key.clone());
            return Ok(record);
        }
        let (key, value) = match &self.key_delimiter {
            Some(delimiter) => match memmem::find(line, delimiter) {
                Some(at) => (Some(&line[..at]), &line[at + delimiter.len()..]),
                None => (None, line),
            },
            None => (None, line),
        };
        let is_kept = |bytes: &&[u8]| !(self.empty_is_null && bytes.is_empty());
        let key = key.or(self.key.as_deref());
        Ok(ReadRecord {
            key: key.filter(is_kept).map(<[u8]>::to_vec),
            value: Some(value).filter(is_kept).map(<[u8]>::to_vec),
            headers: self.headers.clone(),
            ..ReadRecord::default()
        })
    }
}

/// A header of `-H`: `name=value`, or `name` for a null one.
///
/// # Errors
/// It has no name.
pub(crate) fn parse_header(text: &str) -> Result<OwnedHeader, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.as_bytes().to_vec())),
        None => (text, None),
    };
    if name.is_empty() {
        return Err(format!("{text:?} is no header; write NAME=VALUE, or NAME for a null value"));
    }
    Ok((name.as_bytes().to_vec(), value))
}

/// A line that was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// It is in the buffer, without its end.
    Whole,
    /// It is longer than allowed; its rest was skipped.
    TooLong,
    /// There are no more.
    End,
}

/// Reads a line into `line`, of `bytes_max` at most: whatever comes in, memory is bounded. The last
/// line need not end.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read_line(
    reader: &mut impl BufRead,
    delimiter: &[u8],
    bytes_max: usize,
    line: &mut Vec<u8>,
) -> io::Result<Line> {
    let Some(last) = delimiter.last() else { return Ok(Line::End) };
    line.clear();
    let (mut is_too_long, mut is_any) = (false, false);
    loop {
        let available = match reader.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if available.is_empty() {
            return Ok(match (is_any, is_too_long || line.len() > bytes_max) {
                (false, _) => Line::End,
                (true, true) => Line::TooLong,
                (true, false) => Line::Whole,
            });
        }
        is_any = true;
        let part = memchr::memchr(*last, available).map_or(available.len(), |at| at + 1);
        line.extend_from_slice(&available[..part]);
        reader.consume(part);
        if line.ends_with(delimiter) {
            line.truncate(line.len() - delimiter.len());
            let is_too_long = is_too_long || line.len() > bytes_max;
            return Ok(if is_too_long { Line::TooLong } else { Line::Whole });
        }
        if line.len() > bytes_max + delimiter.len() {
            // Enough of it to see its end.
            is_too_long = true;
            line.drain(..line.len() - (delimiter.len() - 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    fn record(format: &LineFormat, line: &str) -> (Option<String>, Option<String>) {
        let ReadRecord { key, value, .. } = format.record(line.as_bytes()).unwrap();
        let text = |bytes: Option<Vec<u8>>| bytes.map(|bytes| String::from_utf8(bytes).unwrap());
        (text(key), text(value))
    }

    fn texts(key: Option<&str>, value: Option<&str>) -> (Option<String>, Option<String>) {
        (key.map(str::to_owned), value.map(str::to_owned))
    }

    #[test]
    fn a_line_is_a_value_or_a_key_too() {
        let plain = LineFormat::default();
        assert_eq!(record(&plain, "a:b"), texts(None, Some("a:b")));
        assert_eq!(record(&plain, ""), texts(None, Some("")));
        let keyed = LineFormat { key_delimiter: Some(b"::".to_vec()), ..plain.clone() };
        assert_eq!(record(&keyed, "a::b::c"), texts(Some("a"), Some("b::c")));
        assert_eq!(record(&keyed, "::"), texts(Some(""), Some("")));
        assert_eq!(record(&keyed, "a:b"), texts(None, Some("a:b")));
        let nulls = LineFormat { empty_is_null: true, ..keyed.clone() };
        assert_eq!(record(&nulls, "::"), texts(None, None));
        assert_eq!(record(&nulls, "a::"), texts(Some("a"), None));
        let same = LineFormat { key: Some(b"k".to_vec()), ..keyed };
        assert_eq!(record(&same, "v"), texts(Some("k"), Some("v")));
        assert_eq!(record(&same, "a::v"), texts(Some("a"), Some("v")));
    }

    #[test]
    fn headers_are_every_records() {
        let headers = vec![parse_header("a=b=c").unwrap(), parse_header("n").unwrap()];
        let format = LineFormat { headers, ..LineFormat::default() };
        let expected = vec![(b"a".to_vec(), Some(b"b=c".to_vec())), (b"n".to_vec(), None)];
        assert_eq!(format.record(b"x").unwrap().headers, expected);
        let json = LineFormat { is_json: true, ..format };
        let read = json.record(b"{\"headers\":[\"z\",\"1\"],\"payload\":\"x\"}").unwrap();
        let own = (b"z".to_vec(), Some(b"1".to_vec()));
        assert_eq!(read.headers, [&expected[..], &[own]].concat());
        assert!(parse_header("=x").unwrap_err().contains("no header"));
    }

    fn lines(bytes: &[u8], capacity: usize, delimiter: &[u8], max: usize) -> Vec<Option<Vec<u8>>> {
        let mut reader = BufReader::with_capacity(capacity, bytes);
        let (mut line, mut lines) = (Vec::new(), Vec::new());
        loop {
            match read_line(&mut reader, delimiter, max, &mut line).unwrap() {
                Line::Whole => lines.push(Some(line.clone())),
                Line::TooLong => lines.push(None),
                Line::End => return lines,
            }
            assert!(line.capacity() <= 2 * (max + capacity + delimiter.len()).max(8));
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped() {
        let read = lines(b"ab\nabcdefghij\n\nabcd\nabc", 3, b"\n", 3);
        let [ab, abc] = [&b"ab"[..], b"abc"].map(|line| Some(line.to_vec()));
        assert_eq!(read, [ab, None, Some(Vec::new()), None, abc]);
        assert_eq!(lines(b"abcdef", 2, b"\n", 3), [None]);
        assert_eq!(lines(b"", 2, b"\n", 3), [] as [Option<Vec<u8>>; 0]);
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_reads(
            bytes in prop::collection::vec(prop::sample::select(b"ab;\n".to_vec()), 0..60),
            capacity in 1..9_usize,
            long in any::<bool>(),
        ) {
            let delimiter: &[u8] = if long { b";\n" } else { b";" };
            let mut expected: Vec<Vec<u8>> = Vec::new();
            let mut rest = &bytes[..];
            while let Some(at) = memmem::find(rest, delimiter) {
                expected.push(rest[..at].to_vec());
                rest = &rest[at + delimiter.len()..];
            }
            if !rest.is_empty() {
                expected.push(rest.to_vec());
            }
            let expected = |max: usize| -> Vec<Option<Vec<u8>>> {
                let within = |line: &Vec<u8>| line.len() <= max;
                expected.iter().cloned().map(|line| Some(line).filter(within)).collect()
            };
            for max in [5, 100] {
                prop_assert_eq!(lines(&bytes, capacity, delimiter, max), expected(max));
            }
        }
    }
}

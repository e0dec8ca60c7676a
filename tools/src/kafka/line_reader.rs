//! How `kafka-console-producer` takes lines: Kafka's `LineMessageReader`.

use crate::flow::json::{OwnedHeader, ReadRecord};

/// How a line becomes a record.
#[derive(Debug)]
pub(super) struct LineReader {
    parses_key: bool,
    parses_headers: bool,
    ignores_errors: bool,
    key_separator: String,
    headers_delimiter: String,
    headers_separator: String,
    headers_key_separator: String,
    null_marker: Option<String>,
}

impl LineReader {
    /// With these properties, `name=value`.
    ///
    /// # Errors
    /// Two that must differ are equal.
    pub(super) fn new<'a>(
        properties: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, String> {
        let mut reader = Self {
            parses_key: false,
            parses_headers: false,
            ignores_errors: false,
            key_separator: "\t".to_owned(),
            headers_delimiter: "\t".to_owned(),
            headers_separator: ",".to_owned(),
            headers_key_separator: ":".to_owned(),
            null_marker: None,
        };
        for (name, value) in properties {
            let flag = value.trim().eq_ignore_ascii_case("true");
            match name {
                "parse.key" => reader.parses_key = flag,
                "parse.headers" => reader.parses_headers = flag,
                "ignore.error" => reader.ignores_errors = flag,
                "key.separator" => value.clone_into(&mut reader.key_separator),
                "headers.delimiter" => value.clone_into(&mut reader.headers_delimiter),
                "headers.separator" => value.clone_into(&mut reader.headers_separator),
                "headers.key.separator" => value.clone_into(&mut reader.headers_key_separator),
                "null.marker" => reader.null_marker = Some(value.to_owned()),
                // The reader passes over what it does not know.
                _ => {}
            }
        }
        reader.check()?;
        Ok(reader)
    }

    fn check(&self) -> Result<(), String> {
        let marker = self.null_marker.as_ref();
        for (one, other, names) in [
            (
                &self.headers_delimiter,
                Some(&self.headers_separator),
                "headers.delimiter and headers.separator",
            ),
            (
                &self.headers_delimiter,
                Some(&self.headers_key_separator),
                "headers.delimiter and headers.key.separator",
            ),
            (
                &self.headers_separator,
                Some(&self.headers_key_separator),
                "headers.separator and headers.key.separator",
            ),
            (&self.key_separator, marker, "null.marker and key.separator"),
            (&self.headers_delimiter, marker, "null.marker and headers.delimiter"),
            (&self.headers_separator, marker, "null.marker and headers.separator"),
            (&self.headers_key_separator, marker, "null.marker and headers.key.separator"),
        ] {
            if Some(one) == other {
                return Err(format!("{names} may not be equal"));
            }
        }
        Ok(())
    }

    /// The record of a line.
    ///
    /// # Errors
    /// A separator is missing, and that is not to be ignored.
    pub(super) fn record(&self, line: &[u8], number: u64) -> Result<ReadRecord, String> {
        // Java's reader of lines takes a carriage return for a part of the end.
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut rest = line;
        let headers = match self.parses_headers {
            true => self.part(&mut rest, &self.headers_delimiter, "headers delimiter", number)?,
            false => None,
        };
        let key = match self.parses_key {
            true => self.part(&mut rest, &self.key_separator, "key separator", number)?,
            false => None,
        };
        let headers = match headers {
            Some(headers) if !self.is_null(headers) => self.headers(headers, number)?,
            _ => Vec::new(),
        };
        Ok(ReadRecord {
            key: key.filter(|key| !self.is_null(key)).map(<[u8]>::to_vec),
            value: Some(rest).filter(|value| !self.is_null(value)).map(<[u8]>::to_vec),
            headers,
            ..ReadRecord::default()
        })
    }

    fn is_null(&self, part: &[u8]) -> bool {
        self.null_marker.as_ref().is_some_and(|marker| marker.as_bytes() == part)
    }

    /// What is in front of a separator, which is taken off with it; `None` when it is missing and
    /// that is ignored.
    fn part<'a>(
        &self,
        rest: &mut &'a [u8],
        separator: &str,
        name: &str,
        number: u64,
    ) -> Result<Option<&'a [u8]>, String> {
        match memchr::memmem::find(rest, separator.as_bytes()) {
            Some(at) => {
                let part = &rest[..at];
                *rest = &rest[at + separator.len()..];
                Ok(Some(part))
            }
            None if self.ignores_errors => Ok(None),
            None => {
                let text = String::from_utf8_lossy(rest);
                Err(format!("No {name} found on line number {number}: '{text}'"))
            }
        }
    }

    fn headers(&self, text: &[u8], number: u64) -> Result<Vec<OwnedHeader>, String> {
        let mut headers = Vec::new();
        let mut rest = Some(text);
        while let Some(left) = rest {
            let separator = self.headers_separator.as_bytes();
            let pair = match memchr::memmem::find(left, separator).filter(|_| !separator.is_empty())
            {
                Some(at) => {
                    rest = Some(&left[at + separator.len()..]);
                    &left[..at]
                }
                None => {
                    rest = None;
                    left
                }
            };
            let separator = self.headers_key_separator.as_bytes();
            match memchr::memmem::find(pair, separator) {
                Some(at) => {
                    let value = &pair[at + separator.len()..];
                    let value = Some(value).filter(|value| !self.is_null(value));
                    headers.push((pair[..at].to_vec(), value.map(<[u8]>::to_vec)));
                }
                None if self.ignores_errors => headers.push((pair.to_vec(), None)),
                None => {
                    let text = String::from_utf8_lossy(pair);
                    return Err(format!(
                        "No header key separator found in pair '{text}' on line number {number}"
                    ));
                }
            }
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(properties: &[(&'static str, &'static str)]) -> LineReader {
        LineReader::new(properties.iter().copied()).unwrap()
    }

    fn bytes(text: &str) -> Option<Vec<u8>> {
        Some(text.as_bytes().to_vec())
    }

    #[test]
    fn a_line_has_what_the_properties_say() {
        let plain = reader(&[]).record(b"a\tb\r", 1).unwrap();
        assert_eq!((plain.key, plain.value), (None, bytes("a\tb")));
        let all =
            reader(&[("parse.key", "true"), ("parse.headers", "true"), ("null.marker", "NULL")]);
        let record = all.record(b"h:v,i:NULL\tk\tv\tw", 1).unwrap();
        let headers = vec![(b"h".to_vec(), bytes("v")), (b"i".to_vec(), None)];
        assert_eq!(
            (record.key, record.value, record.headers),
            (bytes("k"), bytes("v\tw"), headers)
        );
        let record = all.record(b"NULL\tNULL\tNULL", 1).unwrap();
        assert_eq!(record, ReadRecord::default());
        let own = reader(&[("parse.key", "true"), ("key.separator", "::")]);
        let record = own.record(b"a::b", 1).unwrap();
        assert_eq!((record.key, record.value), (bytes("a"), bytes("b")));
    }

    #[test]
    fn what_is_missing_is_told_or_ignored() {
        let key = [("parse.key", "true"), ("ignore.error", "true")];
        let error = reader(&key[..1]).record(b"nokey", 7).unwrap_err();
        assert_eq!(error, "No key separator found on line number 7: 'nokey'");
        let record = reader(&key).record(b"nokey", 7).unwrap();
        assert_eq!((record.key, record.value), (None, bytes("nokey")));
        let headers = reader(&[("parse.headers", "true")]);
        let error = headers.record(b"x", 1).unwrap_err();
        assert_eq!(error, "No headers delimiter found on line number 1: 'x'");
        let error = headers.record(b"a:b,c\tv", 2).unwrap_err();
        assert_eq!(error, "No header key separator found in pair 'c' on line number 2");
        let equal = [("headers.separator", ":")];
        let error = LineReader::new(equal.into_iter()).unwrap_err();
        assert_eq!(error, "headers.separator and headers.key.separator may not be equal");
    }
}

//! Records as JSON, one a line, and back: what `consume -o json` writes `produce -i json` reads.
//!
//! ```text
//! {"topic":"t","partition":0,"offset":5,"tstype":"create","ts":1764151200000,
//!  "headers":["name","value","name",null],"key":"k","payload":{"base64":"/w=="}}
//! ```
//!
//! The names are kcat's (`-J`), and it reads such lines. JSON has no bytes: those that are not
//! UTF-8 are an object with their base64, so that nothing is lost. [`BytesAs`] says otherwise.

use std::io::{self, Write};

use base64::Engine;
use base64::display::Base64Display;
use base64::prelude::BASE64_STANDARD;
use ottla_protocol::record::batch::TimestampType;
use serde_json::{Map, Value};

use super::shown::{Shown, clock_name, clock_of_name};

/// How bytes are told in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum BytesAs {
    /// A string when they are UTF-8, else {"base64": "..."}. Nothing is lost.
    #[default]
    Exact,
    /// Always {"base64": "..."}.
    Base64,
    /// Always a string; what is not UTF-8 becomes U+FFFD and is lost.
    Lossy,
}

/// Writes a record and the end of its line.
///
/// # Errors
/// It cannot be written.
pub(crate) fn write(record: &Shown<'_>, bytes_as: BytesAs, out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"{\"topic\":")?;
    serde_json::to_writer(&mut *out, record.topic)?;
    let Shown { partition, offset, timestamp, .. } = record;
    let kind = if *timestamp < 0 { "unknown" } else { clock_name(record.timestamp_type) };
    write!(
        out,
        ",\"partition\":{partition},\"offset\":{offset},\"tstype\":\"{kind}\",\"ts\":{timestamp}"
    )?;
    out.write_all(b",\"headers\":[")?;
    for (index, header) in record.headers.iter().enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        write_bytes(Some(header.key), bytes_as, out)?;
        out.write_all(b",")?;
        write_bytes(header.value, bytes_as, out)?;
    }
    out.write_all(b"],\"key\":")?;
    write_bytes(record.key, bytes_as, out)?;
    out.write_all(b",\"payload\":")?;
    write_bytes(record.value, bytes_as, out)?;
    out.write_all(b"}\n")
}

fn write_bytes(bytes: Option<&[u8]>, bytes_as: BytesAs, out: &mut impl Write) -> io::Result<()> {
    let Some(bytes) = bytes else { return out.write_all(b"null") };
    let text = match bytes_as {
        BytesAs::Exact => std::str::from_utf8(bytes).ok().map(Into::into),
        BytesAs::Base64 => None,
        BytesAs::Lossy => Some(String::from_utf8_lossy(bytes)),
    };
    match text {
        Some(text) => Ok(serde_json::to_writer(out, &text)?),
        None => write!(out, "{{\"base64\":\"{}\"}}", Base64Display::new(bytes, &BASE64_STANDARD)),
    }
}

/// A header: its name and its value.
pub(crate) type OwnedHeader = (Vec<u8>, Option<Vec<u8>>);

/// A record that was read; its topic is whichever it is sent to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReadRecord {
    pub(crate) partition: Option<i32>,
    /// ms since the epoch, when the record has a producer's.
    pub(crate) timestamp: Option<i64>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<OwnedHeader>,
}

/// The members that a line may have.
const MEMBERS: [&str; 9] =
    ["topic", "partition", "offset", "tstype", "ts", "broker", "headers", "key", "payload"];

/// Reads a line.
///
/// # Errors
/// It is no JSON, or another than these lines have.
pub(crate) fn read(line: &[u8]) -> Result<ReadRecord, String> {
    let value = serde_json::from_slice(line).map_err(|error| format!("no JSON: {error}"))?;
    let Value::Object(mut members) = value else {
        return Err("no JSON object with a payload".to_owned());
    };
    if let Some(unknown) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        let all = MEMBERS.join(", ");
        return Err(format!("{unknown:?} is no member of a record; there are {all}"));
    }
    let partition = whole(&members, "partition")?;
    let partition = partition.map(i32::try_from).transpose();
    let partition = partition.map_err(|_| "\"partition\" is too large")?;
    let kind = match members.get("tstype") {
        None | Some(Value::Null) => Some(TimestampType::CreateTime),
        Some(Value::String(kind)) if kind == "unknown" => None,
        Some(Value::String(kind)) => Some(
            clock_of_name(kind)
                .ok_or_else(|| format!("\"tstype\" is {kind:?}, not create or logappend"))?,
        ),
        Some(_) => return Err("\"tstype\" is no string".to_owned()),
    };
    let timestamp = whole(&members, "ts")?.filter(|ms| *ms >= 0);
    let timestamp = timestamp.filter(|_| kind == Some(TimestampType::CreateTime));
    Ok(ReadRecord {
        partition,
        timestamp,
        key: read_bytes("key", members.remove("key").unwrap_or_default())?,
        value: read_bytes("payload", members.remove("payload").unwrap_or_default())?,
        headers: read_headers(members.remove("headers").unwrap_or_default())?,
    })
}

fn whole(members: &Map<String, Value>, name: &str) -> Result<Option<i64>, String> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            value.as_i64().map(Some).ok_or_else(|| format!("{name:?} is no whole number"))
        }
    }
}

fn read_bytes(name: &str, value: Value) -> Result<Option<Vec<u8>>, String> {
    const MEMBER: &str = "base64";
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.into_bytes())),
        Value::Object(members) if members.len() == 1 && members.contains_key(MEMBER) => {
            let text = members[MEMBER].as_str();
            let bytes = text.and_then(|text| BASE64_STANDARD.decode(text).ok());
            bytes.map(Some).ok_or_else(|| format!("{name:?}: malformed base64"))
        }
        _ => Err(format!("{name:?} is no string, {{\"base64\": \"...\"}} or null")),
    }
}

fn read_headers(value: Value) -> Result<Vec<OwnedHeader>, String> {
    let parts = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(parts) if parts.len().is_multiple_of(2) => parts,
        _ => return Err("\"headers\" is no array of names and values in turn".to_owned()),
    };
    let mut headers = Vec::with_capacity(parts.len() / 2);
    let mut parts = parts.into_iter();
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        let name = read_bytes("headers", name)?.ok_or("\"headers\": a name is null")?;
        headers.push((name, read_bytes("headers", value)?));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use ottla_client::Header;
    use proptest::prelude::*;

    use super::*;

    fn record<'a>(value: Option<&'a [u8]>, headers: &'a [Header<'a>]) -> Shown<'a> {
        Shown {
            topic: "t",
            partition: 2,
            offset: 5,
            timestamp: 1000,
            timestamp_type: TimestampType::CreateTime,
            key: None,
            value,
            headers,
        }
    }

    fn line(record: &Shown<'_>, bytes_as: BytesAs) -> String {
        let mut out = Vec::new();
        write(record, bytes_as, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_has_kcats_members() {
        let headers =
            [Header { key: b"a", value: Some(b"\"1\"") }, Header { key: b"b", value: None }];
        let shown = record(Some(b"x\n"), &headers);
        let expected = "{\"topic\":\"t\",\"partition\":2,\"offset\":5,\"tstype\":\"create\",\
                        \"ts\":1000,\"headers\":[\"a\",\"\\\"1\\\"\",\"b\",null],\"key\":null,\
                        \"payload\":\"x\\n\"}\n";
        assert_eq!(line(&shown, BytesAs::Exact), expected);
        let none = Shown { timestamp: -1, ..shown };
        assert!(line(&none, BytesAs::Exact).contains("\"tstype\":\"unknown\",\"ts\":-1"));
    }

    #[test]
    fn bytes_that_are_no_text_are_told_as_asked() {
        let shown = record(Some(b"\xff"), &[]);
        assert!(line(&shown, BytesAs::Exact).contains("\"payload\":{\"base64\":\"/w==\"}"));
        assert!(line(&shown, BytesAs::Lossy).contains("\"payload\":\"\u{fffd}\""));
        let text = record(Some(b"a"), &[]);
        assert!(line(&text, BytesAs::Base64).contains("\"payload\":{\"base64\":\"YQ==\"}"));
        let empty = record(Some(b""), &[]);
        assert!(line(&empty, BytesAs::Base64).contains("\"payload\":{\"base64\":\"\"}"));
    }

    #[test]
    fn a_line_may_have_less() {
        let read = read(b" {\"payload\": \"a\"}\r").unwrap();
        assert_eq!(read, ReadRecord { value: Some(b"a".to_vec()), ..ReadRecord::default() });
        // A broker's time is no producer's.
        let line = b"{\"ts\": 5, \"tstype\": \"logappend\", \"broker\": 1}";
        assert_eq!(super::read(line).unwrap(), ReadRecord::default());
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (line, wrong) in [
            ("", "no JSON: EOF"),
            ("[]", "no JSON object"),
            ("{\"value\":1}", "\"value\" is no member of a record; there are topic,"),
            ("{\"payload\":1}", "\"payload\" is no string"),
            ("{\"key\":{\"base64\":\"*\"}}", "\"key\": malformed base64"),
            ("{\"key\":{\"base64\":\"YQ==\",\"x\":1}}", "\"key\" is no string"),
            ("{\"headers\":[\"a\"]}", "\"headers\" is no array of names and values"),
            ("{\"headers\":[null,\"a\"]}", "\"headers\": a name is null"),
            ("{\"ts\":1.5}", "\"ts\" is no whole number"),
            ("{\"partition\":3000000000}", "\"partition\" is too large"),
            ("{\"tstype\":\"later\"}", "\"tstype\" is \"later\""),
        ] {
            let error = read(line.as_bytes()).unwrap_err();
            assert!(error.starts_with(wrong), "{line}: {error}");
        }
    }

    type Bytes = Option<Vec<u8>>;

    fn bytes() -> impl Strategy<Value = Bytes> {
        let text = "\\PC{0,20}".prop_map(|text| Some(text.into_bytes()));
        prop_oneof![Just(None), text, prop::collection::vec(any::<u8>(), 0..20).prop_map(Some)]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            key in bytes(),
            value in bytes(),
            own in prop::collection::vec((bytes(), bytes()), 0..4),
            timestamp in 0..i64::MAX,
            base64 in any::<bool>(),
        ) {
            let own: Vec<(Vec<u8>, Bytes)> =
                own.into_iter().map(|(name, value)| (name.unwrap_or_default(), value)).collect();
            let headers: Vec<Header<'_>> = own
                .iter()
                .map(|(key, value)| Header { key, value: value.as_deref() })
                .collect();
            let shown = Shown {
                timestamp,
                key: key.as_deref(),
                ..record(value.as_deref(), &headers)
            };
            let bytes_as = if base64 { BytesAs::Base64 } else { BytesAs::Exact };
            let line = line(&shown, bytes_as);
            prop_assert_eq!(line.matches('\n').count(), 1);
            let read = read(line.as_bytes()).unwrap();
            let (partition, timestamp) = (Some(2), Some(timestamp));
            let expected = ReadRecord { partition, timestamp, key, value, headers: own };
            prop_assert_eq!(read, expected);
        }
    }
}

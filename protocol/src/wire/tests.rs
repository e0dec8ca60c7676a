//! Primitive values, tagged fields, splices, and what is refused.

use super::*;

const CLASSIC: Ver = Ver { version: 0, flexible: false };
const FLEXIBLE: Ver = Ver { version: 2, flexible: true };

messages! {
    /// A message with a field of each kind that needs care.
    #[expect(unreachable_pub, reason = "tables declare for other crates")]
    struct Sample<'a> [0..=3, flexible (2..)] {
        name: &'a str [0..];
        added: i32 [1..] = -1;
        hint: i8 [1.., ignorable];
        list: Option<Vec<Part>> [0..; null 1..] = Some(Vec::new());
        part: Option<Part> [3..];
        records: Option<Records<'a>> [0..];
    } tagged {
        0 => note: Option<&'a str> [2..];
        300 => blob: &'a [u8] [2..];
        301 => extra: Option<Part> [2.., ignorable];
    }

    /// A part of it.
    #[expect(unreachable_pub, reason = "tables declare for other crates")]
    struct Part {
        number: u16 [0..];
    }
}

fn read<'a, T: Wire<'a>>(bytes: &'a [u8], ver: Ver) -> Result<T, ReadErrorKind> {
    T::read(&mut Reader::new(bytes), ver).map_err(|error| error.kind)
}

fn written<'a, T: Wire<'a>>(value: &T, ver: Ver) -> Vec<u8> {
    let mut writer = Writer::new();
    value.write(&mut writer, ver).unwrap();
    writer.finish().bytes
}

#[test]
fn values_in_both_forms() {
    for (value, classic, flexible) in [
        (Some("hé"), &b"\0\x03h\xc3\xa9"[..], &b"\x04h\xc3\xa9"[..]),
        (Some(""), b"\0\0", b"\x01"),
        (None, b"\xff\xff", b"\0"),
    ] {
        for (bytes, ver) in [(classic, CLASSIC), (flexible, FLEXIBLE)] {
            assert_eq!(written(&value, ver), bytes);
            assert_eq!(read::<Option<&str>>(bytes, ver), Ok(value));
            assert_eq!(read::<&str>(bytes, ver), value.ok_or(ReadErrorKind::UnexpectedNull));
        }
    }
    for (value, classic, flexible) in [
        (Some(vec![1i16, -1]), &b"\0\0\0\x02\0\x01\xff\xff"[..], &b"\x03\0\x01\xff\xff"[..]),
        (Some(vec![]), b"\0\0\0\0", b"\x01"),
        (None, b"\xff\xff\xff\xff", b"\0"),
    ] {
        for (bytes, ver) in [(classic, CLASSIC), (flexible, FLEXIBLE)] {
            assert_eq!(written(&value, ver), bytes);
            assert_eq!(read::<Option<Vec<i16>>>(bytes, ver).as_ref(), Ok(&value));
        }
    }
    assert_eq!(read::<bool>(b"\x07", CLASSIC), Ok(true));
    assert_eq!(written(&-1.5f64, CLASSIC), b"\xbf\xf8\0\0\0\0\0\0");
    assert_eq!(read::<u32>(b"\xff\xff\xff\xfe", CLASSIC), Ok(u32::MAX - 1));
}

#[test]
fn bad_values_are_told_apart() {
    type Bytes<'a> = &'a [u8];
    assert_eq!(read::<i64>(b"\0", CLASSIC), Err(ReadErrorKind::Truncated));
    assert_eq!(read::<&str>(b"\0\x02a", CLASSIC), Err(ReadErrorKind::Truncated));
    assert_eq!(read::<&str>(b"\xff\xfe", CLASSIC), Err(ReadErrorKind::InvalidLength));
    assert_eq!(read::<&str>(b"\0\x01\xff", CLASSIC), Err(ReadErrorKind::InvalidUtf8));
    assert_eq!(read::<&str>(b"\x81\x80\x02", FLEXIBLE), Err(ReadErrorKind::StringTooLong));
    assert_eq!(read::<Bytes<'_>>(b"\x80\0\0\0", CLASSIC), Err(ReadErrorKind::InvalidLength));
    let endless = b"\xff\xff\xff\xff\xff\xff";
    assert_eq!(read::<Bytes<'_>>(endless, FLEXIBLE), Err(ReadErrorKind::InvalidVarint));
    assert_eq!(read::<Vec<i8>>(b"\0\0\0\x02\0", CLASSIC), Err(ReadErrorKind::CountTooLarge));
    assert_eq!(read::<Option<Part>>(b"\xfe", CLASSIC), Err(ReadErrorKind::InvalidLength));
    // 20,000 empty strings: one byte each here, sixteen in memory.
    let dense = [&b"\xa1\x9c\x01"[..], &[1; 20_000]].concat();
    assert_eq!(read::<Vec<&str>>(&dense, FLEXIBLE), Err(ReadErrorKind::HeapExceeded));
    let few = [&b"\xc9\x01"[..], &[1; 200]].concat();
    assert_eq!(read::<Vec<&str>>(&few, FLEXIBLE).map(|strings| strings.len()), Ok(200));

    let error = Sample::from_bytes(b"\0\x01a\xff\xff\xff\xff", 0).unwrap_err();
    assert_eq!(error, ReadError { at: 7, kind: ReadErrorKind::UnexpectedNull });
    assert_eq!(error.to_string(), "null in a field that is not nullable at byte 7");
}

#[test]
fn fields_follow_versions() {
    let sample = Sample { name: "n", hint: 5, ..Sample::default() };
    // Version 0 has no `hint`, which may be dropped; version 1 has it.
    assert_eq!(sample.to_bytes(0).unwrap(), b"\0\x01n\0\0\0\0\xff\xff\xff\xff");
    assert_eq!(sample.to_bytes(1).unwrap(), b"\0\x01n\xff\xff\xff\xff\x05\0\0\0\0\xff\xff\xff\xff");
    let bytes = sample.to_bytes(0).unwrap();
    assert_eq!(Sample::from_bytes(&bytes, 0).unwrap(), Sample { name: "n", ..Sample::default() });

    let refused = |sample: Sample<'_>, version| sample.to_bytes(version).unwrap_err().to_string();
    assert_eq!(
        refused(Sample { added: 0, ..Sample::default() }, 0),
        "Sample.added is set but does not exist in version 0"
    );
    assert_eq!(
        refused(Sample { note: Some(""), ..Sample::default() }, 1),
        "Sample.note is set but does not exist in version 1"
    );
    assert_eq!(
        refused(Sample { list: None, ..Sample::default() }, 0),
        "Sample.list is null, which version 0 does not allow"
    );
    assert_eq!(refused(Sample::default(), 4), "Sample has no version 4");
    let long = "x".repeat(32_768);
    assert_eq!(
        refused(Sample { name: &long, ..Sample::default() }, 3),
        "a value of length 32768 is too long"
    );
}

#[test]
fn tagged_fields_are_sized_and_unknown_ones_skipped() {
    let blob = [7; 130];
    let sample = Sample { note: Some("x"), blob: &blob, ..Sample::default() };
    let bytes = sample.to_bytes(2).unwrap();
    let start = b"\x01\xff\xff\xff\xff\0\x01\0";
    let tags = [&b"\x02\0\x02\x02x\xac\x02\x84\x01\x83\x01"[..], &blob].concat();
    assert_eq!(bytes, [&start[..], &tags].concat());
    assert_eq!(Sample::from_bytes(&bytes, 2), Ok(sample));

    // Tag 5 is unknown; tag 0 has a byte more than it needs; both are passed over.
    let odd = [&start[..], b"\x02\x05\x03abc\0\x03\x02y!", b"rest"].concat();
    let mut reader = Reader::new(&odd);
    let read = Sample::decode(&mut reader, 2).unwrap();
    assert_eq!(read, Sample { note: Some("y"), ..Sample::default() });
    assert_eq!(reader.remaining(), b"rest");
    // A value may not reach beyond its size.
    let error = Sample::from_bytes(&[&start[..], b"\x01\0\x01\x03ab"].concat(), 2).unwrap_err();
    assert_eq!(error, ReadError { at: 12, kind: ReadErrorKind::Truncated });
}

#[test]
fn structs_have_two_kinds_of_presence() {
    let part = Some(Part { number: 9 });
    let sample = Sample { part, ..Sample::default() };
    let bytes = sample.to_bytes(3).unwrap();
    assert_eq!(bytes, b"\x01\xff\xff\xff\xff\0\x01\x01\0\x09\0\0\0");
    assert_eq!(Sample::from_bytes(&bytes, 3), Ok(sample));
    let extra = Some(Part { number: 9 });
    let sample = Sample { extra, ..Sample::default() };
    let bytes = sample.to_bytes(3).unwrap();
    assert_eq!(bytes, b"\x01\xff\xff\xff\xff\0\x01\xff\0\x01\xad\x02\x04\x01\0\x09\0");
    assert_eq!(Sample::from_bytes(&bytes, 3), Ok(sample));
}

#[test]
fn splices_leave_their_place() {
    let spliced = |token, length| Some(Records::Spliced { token, length });
    let mut writer = Writer::on(b"head".to_vec());
    for (token, version) in [(1, 0), (2, 2)] {
        let sample = Sample { records: spliced(token, 300), ..Sample::default() };
        sample.encode(&mut writer, version).unwrap();
    }
    let encoded = writer.finish();
    assert_eq!(encoded.bytes, b"head\0\0\0\0\0\0\0\0\x01\x2c\x01\xff\xff\xff\xff\0\x01\xad\x02\0");
    assert_eq!(
        encoded.splices,
        [Splice { at: 14, token: 1 }, Splice { at: encoded.bytes.len() - 1, token: 2 }]
    );

    // A tagged field's size is put in front afterwards, and moves the splice within.
    let mut writer = Writer::new();
    let start = writer.begin_tag(3);
    writer.put(&[0; 200]);
    writer.splice(8);
    writer.end_tag(start);
    let encoded = writer.finish();
    assert_eq!(encoded.bytes[..3], *b"\x03\xc8\x01");
    assert_eq!(encoded.splices, [Splice { at: 203, token: 8 }]);
}

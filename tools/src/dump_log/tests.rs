//! Golden texts and damaged files.

use std::cell::RefCell;
use std::io::{self, Write};
use std::path::Path;

use clap::Parser;
use ottla_storage::disk::RealDisk;
use proptest::prelude::*;

use super::*;

const HELLO: &str = "00000000000000000000003d0000000002df92e83c0000000000000000017c1209d90100\
    00017c1209d901ffffffffffffffffffffffffffff0000000116000000010a68656c6c6f00";
const ABORT: &str = "000000000000000900000042000000000260c921640030000000000000017c1209d901000\
    0017c1209d90100000000000003e80000ffffffff000000012000000008000000000c00000000000000";
const SNAPSHOT: &str = "00013a39972f0000000100000000000003e8000000000009000000000000000900000009\
    0000018bcfe56800ffffffffffffffffffffffff";

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
    #[arg(short, long)]
    output: Option<Format>,
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().map(|c| (c as char).to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Both outputs are looked at when the command is done.
#[derive(Default)]
struct Page(RefCell<Vec<u8>>);

impl Write for &Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn text(self) -> String {
        String::from_utf8(self.0.into_inner()).unwrap()
    }
}

/// What the command prints of files in a folder, with the folder's name taken out.
fn dump(dir: &Path, files: &[&str], options: &[&str]) -> (String, String, Outcome) {
    let paths: Vec<String> = files.iter().map(|f| dir.join(f).display().to_string()).collect();
    let files = paths.join(",");
    let words = ["ottlactl", "--files", &files].into_iter().chain(options.iter().copied());
    let Cli { args, output } = Cli::try_parse_from(words).unwrap();
    let output = if output == Some(Format::Json) { Output::Json } else { Output::Text };
    let (out, err) = (Page::default(), Page::default());
    let outcome = run_with(&args, output, &RealDisk, Box::new(&out), Box::new(&err));
    let folder = format!("{}/", dir.display());
    (out.text().replace(&folder, ""), err.text().replace(&folder, ""), outcome)
}

fn write(dir: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(dir.join(name), bytes).unwrap();
}

const LOG: &str = "00000000000000000000.log";
const HEAD: &str = "Dumping 00000000000000000000.log\nLog starting offset: 0\n";
const BATCH: &str = "baseOffset: 0 lastOffset: 0 count: 1 baseSequence: -1 lastSequence: -1 \
    producerId: -1 producerEpoch: -1 partitionLeaderEpoch: 0 isTransactional: false isControl: \
    false deleteHorizonMs: OptionalLong.empty position: 0 CreateTime: 1632390207745 size: 73 \
    magic: 2 compresscodec: none crc: 3750946876 isvalid: true\n";
const MARKER: &str = "baseOffset: 9 lastOffset: 9 count: 1 baseSequence: -1 lastSequence: -1 \
    producerId: 1000 producerEpoch: 0 partitionLeaderEpoch: 0 isTransactional: true isControl: \
    true deleteHorizonMs: OptionalLong.empty position: 73 CreateTime: 1632390207745 size: 78 \
    magic: 2 compresscodec: none crc: 1623794020 isvalid: true\n";
const RECORD: &str =
    "| offset: 0 CreateTime: 1632390207745 keySize: -1 valueSize: 5 sequence: -1 headerKeys: []";
const MARKER_RECORD: &str = "| offset: 9 CreateTime: 1632390207745 keySize: 4 valueSize: 6 \
    sequence: -1 headerKeys: [] endTxnMarker: ABORT coordinatorEpoch: 0";

fn segment() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut log = bytes(HELLO);
    log.extend(bytes(ABORT));
    write(dir.path(), LOG, &log);
    dir
}

#[test]
fn every_option_of_a_log() {
    let (dir, marker) = (segment(), MARKER);
    let gap = "Non-consecutive offsets in 00000000000000000000.log\n  0 is followed by 9\n";
    let deep = format!("{HEAD}{BATCH}{RECORD}\n{marker}{MARKER_RECORD}\n");
    let printed = format!("{HEAD}{BATCH}{RECORD} payload: hello\n{marker}{MARKER_RECORD}\n");
    let skipped = format!("{HEAD}{BATCH}| payload: hello\n{marker}\n");
    let error = "Error at 0, skipping. Could not deserialize metadata record due to unknown frame \
        version 104(only frame version 1 is supported)";
    let metadata = format!("{HEAD}{BATCH}{RECORD} payload: {error}\n{marker}{MARKER_RECORD}\n");
    for (options, expected, err) in [
        (&[][..], format!("{HEAD}{BATCH}{marker}"), ""),
        (&["--deep-iteration"], deep.clone(), gap),
        (&["--print-data-log"], printed.clone(), gap),
        (&["--value-decoder-class", STRING_DECODER], printed, gap),
        (&["--print-data-log", "--skip-record-metadata"], skipped, gap),
        (&["--cluster-metadata-decoder"], metadata, gap),
        (&["--deep-iteration", "--max-bytes", "80"], format!("{HEAD}{BATCH}{RECORD}\n"), ""),
        (&["--deep-iteration", "--max-bytes", "5"], HEAD.to_owned(), ""),
    ] {
        let (out, errors, outcome) = dump(dir.path(), &[LOG], options);
        assert_eq!((out, errors.as_str()), (expected, err), "{options:?}");
        assert_eq!(outcome.unwrap(), Found::Nothing);
    }
    // A record without a key is none of an internal topic.
    for option in ["--offsets-decoder", "--transaction-log-decoder", "--share-group-state-decoder"]
    {
        let (out, errors, outcome) = dump(dir.path(), &[LOG], &[option]);
        assert_eq!(out, format!("{HEAD}{BATCH}{RECORD}"));
        let expected = "Exception in thread \"main\" java.lang.RuntimeException: Failed to decode \
            message at offset 0 using the specified decoder (message had a missing key)\n";
        assert_eq!(errors, expected);
        assert_eq!(outcome.unwrap(), Found::Damage);
    }
}

/// A gzip stream of one stored block, which says what it holds in clear.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    let mut stream = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01".to_vec();
    stream.extend([length.to_le_bytes(), (!length).to_le_bytes()].concat());
    stream.extend(bytes);
    stream.extend(crc32fast::hash(bytes).to_le_bytes());
    stream.extend(u32::from(length).to_le_bytes());
    stream
}

/// A message of magic 1, with its offset and size.
fn message(attributes: u8, value: &[u8]) -> Vec<u8> {
    let mut body = vec![1, attributes];
    body.extend(1000i64.to_be_bytes());
    body.extend([255; 4]);
    body.extend((value.len() as u32).to_be_bytes());
    body.extend(value);
    let crc = crc32fast::hash(&body).to_be_bytes();
    let size = (body.len() as u32 + 4).to_be_bytes();
    [&0i64.to_be_bytes()[..], &size, &crc, &body].concat()
}

#[test]
fn a_message_within_a_compressed_one_is_damaged_on_its_own() {
    let dir = tempfile::tempdir().unwrap();
    for (sum, found) in [(0, Found::Nothing), (1, Found::Damage)] {
        let mut inner = message(0, b"hello");
        inner[12] ^= sum;
        std::fs::write(dir.path().join(LOG), message(1, &gzip(&inner))).unwrap();
        for format in ["text", "json"] {
            let options = ["--deep-iteration", "-o", format];
            let (out, _, outcome) = dump(dir.path(), &[LOG], &options);
            assert_eq!(outcome.unwrap(), found, "{out}");
        }
    }
}

#[test]
fn options_that_cannot_be_are_refused_by_name() {
    let dir = segment();
    for options in [
        &["--remote-log-metadata-decoder"][..],
        &["--key-decoder-class", "org.example.Mine"],
        &["--value-decoder-class=org.example.Mine"],
    ] {
        let (_, _, outcome) = dump(dir.path(), &[LOG], options);
        let CannotRun(why) = outcome.unwrap_err();
        let name = options[0].split('=').next().unwrap();
        assert!(why.starts_with(name), "{why}");
    }
}

#[test]
fn indexes_are_held_against_their_log() {
    let dir = segment();
    write(dir.path(), "00000000000000000000.index", b"\0\0\0\x09\0\0\0\x49\0\0\0\0\0\0\0\0");
    write(dir.path(), "00000000000000000000.timeindex", &bytes("0000017c1209d90100000009"));
    let index = &["00000000000000000000.index"];
    let time = &["00000000000000000000.timeindex"];
    for (file, options, expected) in [
        (index, &[][..], "offset: 9 position: 73\n"),
        (index, &["--verify-index-only"], ""),
        (time, &[], "timestamp: 1632390207745 offset: 9\n"),
        (time, &["--index-sanity-check"], "00000000000000000000.timeindex passed sanity check.\n"),
    ] {
        let (out, err, outcome) = dump(dir.path(), file, options);
        assert_eq!(out, format!("Dumping {}\n{expected}", file[0]));
        assert_eq!((err.as_str(), outcome.unwrap()), ("", Found::Nothing));
    }
    write(dir.path(), "00000000000000000000.index", b"\0\0\0\x08\0\0\0\x49");
    let (_, err, outcome) = dump(dir.path(), index, &[]);
    let expected = "Mismatches in :00000000000000000000.index\n  Index offset: 8, log offset: 9\n";
    assert_eq!((err.as_str(), outcome.unwrap()), (expected, Found::Damage));
    let (_, err, _) = dump(dir.path(), index, &["--max-message-size", "-1"]);
    assert!(err.contains("java.lang.IllegalArgumentException: Invalid size: -1"), "{err}");
}

#[test]
fn snapshots_aborted_transactions_and_strangers() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "9.snapshot", &bytes(SNAPSHOT));
    let entry = "000000000000000003e800000000000000050000000000000009000000000000000a";
    write(dir.path(), "0.txnindex", &bytes(entry));
    write(dir.path(), "1.snapshot", b"\0\x01\0\0\0\0\0\0\0\0");
    let files = ["9.snapshot", "0.txnindex", "notes.txt", "1.snapshot"];
    let (out, err, outcome) = dump(dir.path(), &files, &[]);
    let expected = "Dumping 9.snapshot\nproducerId: 1000 producerEpoch: 0 coordinatorEpoch: -1 \
        currentTxnFirstOffset: OptionalLong.empty lastTimestamp: 1700000000000 firstSequence: 0 \
        lastSequence: 9 lastOffset: 9 offsetDelta: 9 timestamp: 1700000000000\n\
        Dumping 0.txnindex\nversion: 0 producerId: 1000 firstOffset: 5 lastOffset: 9 \
        lastStableOffset: 10\nDumping notes.txt\nDumping 1.snapshot\n";
    assert_eq!(out, expected);
    let expected = "Ignoring unknown file notes.txt\nSnapshot is corrupt (CRC is no longer \
        valid). Stored crc: 0. Computed crc: 1214729159\n";
    assert_eq!((err.as_str(), outcome.unwrap()), (expected, Found::Damage));
}

#[test]
fn files_that_are_not_there_or_have_no_name() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "x.log", b"");
    for (file, expected) in [
        ("0.log", "java.nio.file.NoSuchFileException: 0.log"),
        ("x.log", "java.lang.NumberFormatException: For input string: \"x\""),
        ("x.checkpoint", "java.util.NoSuchElementException: No value present"),
    ] {
        let (_, err, outcome) = dump(dir.path(), &[file], &[]);
        assert_eq!(err, format!("Exception in thread \"main\" {expected}\n"));
        assert_eq!(outcome.unwrap(), Found::Damage);
    }
}

#[test]
fn json_lines() {
    let dir = segment();
    let (out, err, outcome) = dump(dir.path(), &[LOG], &["--print-data-log", "-o", "json"]);
    assert_eq!((err.as_str(), outcome.unwrap()), ("", Found::Nothing));
    let lines: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["file", "title", "batch", "record", "batch", "gap", "record"]);
    assert_eq!(lines[2]["crc"], 3_750_946_876u32);
    assert_eq!(lines[3]["payload"], "hello");
    assert_eq!(lines[6]["control"], "ABORT");
    assert_eq!(lines[6]["file"], LOG);
}

#[test]
fn maps_are_walked_as_java_walks_them() {
    let walk = |count: usize| {
        let mut map = java::HashMapOrder::<u8>::default();
        for key in ["b", "a", "q", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"] {
            map.entry(key);
            if map.in_order().len() == count {
                break;
            }
        }
        map.in_order().iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(" ")
    };
    // As a JVM prints them. `a` and `q` share a bucket of sixteen.
    assert_eq!(walk(3), "q a b");
    assert_eq!(walk(13), "0 1 q a 2 b 3 4 5 6 7 8 9");
    assert_eq!(walk(14), "a b 0 1 q 2 3 4 5 6 7 8 9 10");
    let pieces = |text| java::split_commas(text).collect::<Vec<_>>();
    assert_eq!((pieces("a,,b,,"), pieces(""), pieces(",")), (vec!["a", "", "b"], vec![""], vec![]));
    assert_eq!(JavaPath::new("a//b/").as_str(), "a/b");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn damaged_files_are_dumped_or_refused(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        option in prop::sample::select(vec!["--print-data-log", "--offsets-decoder", "-ojson"]),
    ) {
        let dir = segment();
        let mut log = std::fs::read(dir.path().join(LOG)).unwrap();
        log.truncate(cut.index(log.len()) + 1);
        for (at, byte) in flips {
            let at = at.index(log.len());
            log[at] = byte;
        }
        for name in [LOG, "0.index", "0.timeindex", "0.log", "5.snapshot", "0.txnindex"] {
            write(dir.path(), name, &log);
            dump(dir.path(), &[name], &[option]).2.unwrap();
        }
    }
}

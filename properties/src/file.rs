//! The syntax of Java's properties files, which `meta.properties` and `server.properties` are
//! written in.
//!
//! A line is `key=value`, `key:value` or `key value`; blanks around the separator and before the
//! key do not count, those after the value do. `#` or `!` in front makes a comment. An odd number
//! of backslashes at the end continues on the next line, whose leading blanks are dropped.
//! `\t`, `\n`, `\r`, `\f` and `\uXXXX` are escapes; a backslash before anything else is dropped.
//! Bytes are Latin-1, not UTF-8, because Kafka reads them so, and the same file has to name the
//! same directories to both.

use std::iter::Peekable;

/// One setting of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The line that it starts on, from 1.
    pub line: usize,
    /// Its name.
    pub key: String,
    /// Its value, escapes resolved.
    pub value: String,
}

/// A `\u` without four hexadecimal digits after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadEscape {
    /// The line that the setting starts on, from 1.
    pub line: usize,
}

/// The settings of `bytes` in their order; a key that comes twice is returned twice.
///
/// # Errors
/// The first malformed `\u` escape; nothing else can be wrong.
pub fn parse(bytes: &[u8]) -> Result<Vec<Property>, BadEscape> {
    let mut properties = Vec::new();
    let mut lines = natural_lines(bytes).enumerate();
    while let Some((n, line)) = lines.next() {
        let mut logical = without_leading_blanks(line).to_vec();
        if logical.is_empty() || matches!(logical[0], b'#' | b'!') {
            continue;
        }
        while continues(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, line)) => logical.extend_from_slice(without_leading_blanks(line)),
                None => break,
            }
        }
        let line = n + 1;
        let (key, value) = split(&logical);
        let unescape = |part| unescape(part).ok_or(BadEscape { line });
        properties.push(Property { line, key: unescape(key)?, value: unescape(value)? });
    }
    Ok(properties)
}

/// Appends `key=value` and a line end to `text`, escaped as Java does it, so that [`parse`] gives
/// the same back.
pub fn write_line(key: &str, value: &str, text: &mut String) {
    for char in key.chars() {
        escape(char, true, text);
    }
    text.push('=');
    for (at, char) in value.chars().enumerate() {
        escape(char, at == 0, text);
    }
    text.push('\n');
}

/// Blanks must be escaped where the reader would skip them.
fn escape(char: char, is_blank_skipped: bool, text: &mut String) {
    match char {
        '\t' => text.push_str("\\t"),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\x0c' => text.push_str("\\f"),
        '=' | ':' | '#' | '!' | '\\' => text.extend(['\\', char]),
        ' ' if is_blank_skipped => text.push_str("\\ "),
        ' '..='~' => text.push(char),
        _ => {
            for unit in char.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04X}"));
            }
        }
    }
}

/// Lines that end in LF, CR or CR LF.
fn natural_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
            rest = None;
            return Some(bytes);
        };
        let ending = if bytes[end..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = Some(&bytes[end + ending..]);
        Some(&bytes[..end])
    })
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\x0c')
}

fn without_leading_blanks(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|byte| !is_blank(*byte)).unwrap_or(line.len());
    &line[start..]
}

fn continues(line: &[u8]) -> bool {
    line.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Key and value of a logical line, still escaped.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let mut end = 0;
    while end < line.len() && !is_blank(line[end]) && !matches!(line[end], b'=' | b':') {
        end += if line[end] == b'\\' { 2 } else { 1 };
    }
    let end = end.min(line.len());
    let mut value = without_leading_blanks(&line[end..]);
    if let [b'=' | b':', rest @ ..] = value {
        value = without_leading_blanks(rest);
    }
    (&line[..end], value)
}

fn unescape(bytes: &[u8]) -> Option<String> {
    let mut units = Vec::with_capacity(bytes.len());
    let mut bytes = bytes.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        units.push(match byte {
            b'\\' => escaped(&mut bytes)?,
            byte => u16::from(byte),
        });
    }
    // Escapes are UTF-16 units: two of them may make one character. A lone surrogate names no
    // character, so it becomes U+FFFD.
    Some(String::from_utf16_lossy(&units))
}

/// What stands after a backslash; one that ends the text stands for nothing in Java, and cannot
/// be here, for it would have continued the line.
fn escaped(bytes: &mut Peekable<impl Iterator<Item = u8>>) -> Option<u16> {
    match bytes.next()? {
        b't' => Some(u16::from(b'\t')),
        b'n' => Some(u16::from(b'\n')),
        b'r' => Some(u16::from(b'\r')),
        b'f' => Some(0x0c),
        b'u' => (0..4).try_fold(0, |unit: u16, _| {
            let digit = char::from(bytes.next()?).to_digit(16)?;
            Some(unit << 4 | u16::try_from(digit).ok()?)
        }),
        other => Some(u16::from(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_the_first_256_characters() {
        // As `Utils.loadProps` of Kafka 4.3.1 reads them: 0x80 to 0x9f are no windows-1252.
        let bytes: Vec<u8> = b"k=".iter().copied().chain(0x80..=0xff).collect();
        let expected: String = ('\u{80}'..='\u{ff}').collect();
        assert_eq!(parse(&bytes).unwrap()[0].value, expected);
    }

    /// What `java.util.Properties` of JDK 17 reads from the same bytes.
    const JAVA: &[(&str, &[(&str, &str)])] = &[
        ("a=b", &[("a", "b")]),
        ("a = b", &[("a", "b")]),
        ("a b", &[("a", "b")]),
        ("a:b", &[("a", "b")]),
        ("a : b", &[("a", "b")]),
        ("  a=b", &[("a", "b")]),
        ("a=b  ", &[("a", "b  ")]),
        ("a==b", &[("a", "=b")]),
        ("a:=b", &[("a", "=b")]),
        ("a", &[("a", "")]),
        ("a=", &[("a", "")]),
        ("=b", &[("", "b")]),
        ("# c\na=b", &[("a", "b")]),
        ("  ! c\na=b", &[("a", "b")]),
        ("#c\\\na=b", &[("a", "b")]),
        ("a=b\\\n  c", &[("a", "bc")]),
        ("a=b\\\\\nc=d", &[("a", "b\\"), ("c", "d")]),
        ("a\\=b=c", &[("a=b", "c")]),
        ("a\\:b c", &[("a:b", "c")]),
        ("a\\ b c", &[("a b", "c")]),
        ("a=\\u0041\\n\\t\\z", &[("a", "A\n\tz")]),
        ("a=b\r\nc=d", &[("a", "b"), ("c", "d")]),
        ("a=b\rc=d", &[("a", "b"), ("c", "d")]),
        ("\n\n \t\na=b", &[("a", "b")]),
        ("a=1\na=2", &[("a", "1"), ("a", "2")]),
        ("a=b\\", &[("a", "b")]),
        ("a=b\\\n", &[("a", "b")]),
        ("a=b\\\n#c", &[("a", "b#c")]),
        ("a=b\\\n\n", &[("a", "b")]),
        ("a\\\n=b", &[("a", "b")]),
        ("a\t=\tb", &[("a", "b")]),
        ("a=b # c", &[("a", "b # c")]),
        ("a = : b", &[("a", ": b")]),
        ("\\#a=b", &[("#a", "b")]),
        ("a=\\u00E4\\u20ac", &[("a", "\u{e4}\u{20ac}")]),
        ("a\u{c}=b", &[("a", "b")]),
        ("a=b\\\r\n c", &[("a", "bc")]),
        ("a=b\\\\\\\n c", &[("a", "b\\c")]),
        ("a=\\ b", &[("a", " b")]),
    ];

    #[test]
    fn reads_what_java_reads() {
        for (text, expected) in JAVA {
            let read = parse(text.as_bytes()).unwrap();
            let read: Vec<_> = read.iter().map(|p| (p.key.as_str(), p.value.as_str())).collect();
            assert_eq!(read, *expected, "{text:?}");
        }
    }

    #[test]
    fn bytes_are_latin_1() {
        assert_eq!(parse(b"a=\xe9").unwrap()[0].value, "\u{e9}");
    }

    #[test]
    fn two_units_make_one_character() {
        assert_eq!(parse(b"a=\\ud83d\\ude00").unwrap()[0].value, "\u{1f600}");
        assert_eq!(parse(b"a=\\ud83d").unwrap()[0].value, "\u{fffd}");
    }

    #[test]
    fn short_escapes_are_refused_with_their_line() {
        assert_eq!(parse(b"\na=\\u12"), Err(BadEscape { line: 2 }));
        assert_eq!(parse(b"a=1\\\n2\nb=\\u12G4"), Err(BadEscape { line: 3 }));
    }

    #[test]
    fn lines_are_those_that_a_setting_starts_on() {
        let read = parse(b"# comment\n\na=1\\\n  2\nb=3\r\nc=4").unwrap();
        let lines: Vec<_> = read.iter().map(|p| (p.line, p.key.as_str())).collect();
        assert_eq!(lines, [(3, "a"), (5, "b"), (6, "c")]);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut text = String::new();
        write_line("a b=c", "  x: \\y#\u{1f600}\n\u{e9}\t\u{c}\r", &mut text);
        let expected = "a\\ b\\=c=\\  x\\: \\\\y\\#\\uD83D\\uDE00\\n\\u00E9\\t\\f\\r\n";
        assert_eq!(text, expected);
        let read = parse(text.as_bytes()).unwrap();
        assert_eq!(read[0].key, "a b=c");
        assert_eq!(read[0].value, "  x: \\y#\u{1f600}\n\u{e9}\t\u{c}\r");
    }

    proptest::proptest! {
        #[test]
        fn any_text_survives(
            key in "\\PC{0,8}|[ =:#!\\t\n\r]{0,4}",
            value in ".{0,12}|[ \\n\r]{0,4}",
        ) {
            let mut text = String::new();
            write_line(&key, &value, &mut text);
            let read = parse(text.as_bytes()).unwrap();
            proptest::prop_assert_eq!(&read[0].key, &key);
            proptest::prop_assert_eq!(&read[0].value, &value);
            proptest::prop_assert_eq!(read.len(), 1);
        }
    }
}

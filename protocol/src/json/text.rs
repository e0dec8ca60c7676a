//! Pieces of JSON, in Java's and Jackson's spelling.

use std::borrow::Cow;
use std::fmt::Write;

/// The text that Java makes of bytes that are meant to be UTF-8: what is not becomes U+FFFD, a
/// surrogate or an overlong form of three bytes one of them, where Rust would put three.
pub fn java_string(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    loop {
        match str::from_utf8(rest) {
            Ok(good) => {
                text.push_str(good);
                return Cow::Owned(text);
            }
            Err(error) => {
                let (good, bad) = rest.split_at(error.valid_up_to());
                text.push_str(str::from_utf8(good).unwrap_or_default());
                text.push(char::REPLACEMENT_CHARACTER);
                rest = &bad[malformed_length(bad, error.error_len()).min(bad.len())..];
            }
        }
    }
}

/// How many bytes Java's decoder replaces at once. `std` is the standard library's answer, `None`
/// at the end of the bytes.
fn malformed_length(bytes: &[u8], std: Option<usize>) -> usize {
    let continues = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    match bytes[0] {
        // A surrogate is one malformed character to Java, whole or cut short.
        0xed if continues(1) && bytes[1] >= 0xa0 => 2 + usize::from(continues(2)),
        _ => std.unwrap_or(bytes.len()),
    }
}

/// Appends a JSON string, quotes and all.
pub fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            // Writing to a string cannot fail.
            c if c < ' ' => _ = write!(out, "\\u{:04X}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Appends a number as Java's `Double.toString` spells it. What is no number is a string, as JSON
/// has no other way.
pub(super) fn push_double(out: &mut String, value: f64) {
    if !value.is_finite() {
        let word = if value.is_nan() { "NaN" } else { "Infinity" };
        let sign = if value < 0.0 { "-" } else { "" };
        _ = write!(out, "\"{sign}{word}\"");
        return;
    }
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        // Always with a point.
        _ = write!(out, "{value:?}");
        return;
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if digits.contains('.') { "" } else { ".0" };
    _ = write!(out, "{digits}{point}E{exponent}");
}

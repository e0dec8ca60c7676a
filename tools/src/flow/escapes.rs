//! Escapes in what is typed on a command line: `\n`, `\t`, `\xNN`.

/// Bytes that were typed. A type of its own: clap takes a `Vec` for several values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Typed(pub(crate) Vec<u8>);

impl Typed {
    /// The bytes that a text with escapes means.
    ///
    /// # Errors
    /// What is wrong with an escape.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        unescape(text).map(Self)
    }

    /// The same for what stands between things, which cannot be empty.
    ///
    /// # Errors
    /// It is empty, or has a wrong escape.
    pub(crate) fn parse_delimiter(text: &str) -> Result<Self, String> {
        match unescape(text)? {
            bytes if bytes.is_empty() => Err("a delimiter has one character at least".to_owned()),
            bytes => Ok(Self(bytes)),
        }
    }
}

/// The character behind a backslash; of `\x` its two digits are taken too.
///
/// # Errors
/// What is wrong with it.
pub(super) fn escape(rest: &mut &[u8]) -> Result<u8, String> {
    let Some((&first, behind)) = rest.split_first() else {
        return Err("a backslash at the end; write \\\\ for one".to_owned());
    };
    *rest = behind;
    match first {
        b'n' => Ok(b'\n'),
        b'r' => Ok(b'\r'),
        b't' => Ok(b'\t'),
        b'0' => Ok(0),
        b'\\' => Ok(b'\\'),
        b'x' => {
            let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
            let is_hex = |digits: &&str| digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            let byte = digits.filter(is_hex).and_then(|hex| u8::from_str_radix(hex, 16).ok());
            let byte = byte.ok_or("\\x needs two hexadecimal digits, \\x1f")?;
            *rest = &behind[2..];
            Ok(byte)
        }
        other => {
            let other = other.escape_ascii();
            Err(format!("\\{other} is unknown; there are \\n \\r \\t \\0 \\\\ \\xNN"))
        }
    }
}

/// The bytes that a text with escapes means.
///
/// # Errors
/// What is wrong with an escape.
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut rest = text.as_bytes();
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        bytes.push(if byte == b'\\' { escape(&mut rest)? } else { byte });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_bytes() {
        assert_eq!(
            unescape("a\\n\\t\\r\\0\\\\\\x1f\\xFFé").unwrap(),
            b"a\n\t\r\0\\\x1f\xff\xc3\xa9"
        );
        assert_eq!(Typed::parse_delimiter("\\t"), Ok(Typed(b"\t".to_vec())));
        assert!(Typed::parse_delimiter("").is_err());
        for (text, wrong) in [
            ("\\", "a backslash at the end"),
            ("\\q", "\\q is unknown"),
            ("\\x", "two hexadecimal digits"),
            ("\\x1", "two hexadecimal digits"),
            ("\\x+1", "two hexadecimal digits"),
            ("\\xé", "two hexadecimal digits"),
        ] {
            let error = unescape(text).unwrap_err();
            assert!(error.contains(wrong), "{text}: {error}");
        }
    }
}

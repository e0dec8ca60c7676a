//! What the records of a measurement have in them.

use std::fs;
use std::path::Path;

use memchr::memmem;

/// Values, each without a copy.
#[derive(Debug)]
pub(crate) enum Payloads {
    /// Letters by chance, of this size each.
    Random { letters: Vec<u8>, size: usize },
    /// Those of a file, by chance.
    Of(Vec<Vec<u8>>),
    /// Numbers that count up, as text.
    Counting(String),
}

/// So many places that a value of letters can begin at: records that follow each other differ, and
/// a codec finds no more in a batch than in text by chance.
const PLACES: usize = 1 << 16;

impl Payloads {
    pub(crate) fn random(size: usize) -> Self {
        let mut chance = Chance(0x1234_5678_9abc_def0);
        let letters = (0..size + PLACES).map(|_| b'A' + (chance.next() % 26) as u8).collect();
        Self::Random { letters, size }
    }

    /// The values of a file.
    ///
    /// # Errors
    /// It cannot be read or has none.
    pub(crate) fn of_file(path: &Path, delimiter: &[u8]) -> Result<Self, String> {
        let wrong = |why: &str| format!("{}: {why}", path.display());
        let bytes = fs::read(path).map_err(|error| wrong(&error.to_string()))?;
        let values = split(&bytes, delimiter);
        if values.is_empty() {
            return Err(wrong("it is empty; there must be a record in it"));
        }
        Ok(Self::Of(values))
    }

    pub(crate) fn counting() -> Self {
        Self::Counting(String::new())
    }

    /// The value of the record of this number.
    pub(crate) fn value(&mut self, index: u64) -> &[u8] {
        // Neighbors get places that are far from each other.
        let chosen = Chance(index).next();
        match self {
            Self::Random { letters, size } => {
                let place = chosen as usize % PLACES;
                &letters[place..place + *size]
            }
            Self::Of(values) => &values[(chosen % values.len() as u64) as usize],
            Self::Counting(text) => {
                use std::fmt::Write;
                text.clear();
                // A string takes whatever is written.
                _ = write!(text, "{index}");
                text.as_bytes()
            }
        }
    }
}

/// The parts of a file; the last may end with the delimiter, and then none follows.
fn split(bytes: &[u8], delimiter: &[u8]) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    let mut from = 0;
    for at in memmem::find_iter(bytes, delimiter) {
        values.push(bytes[from..at].to_vec());
        from = at + delimiter.len();
    }
    if from < bytes.len() {
        values.push(bytes[from..].to_vec());
    }
    values
}

/// Numbers by chance that need not be secret (SplitMix64): a run can be repeated.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn letters_differ_from_record_to_record() {
        let mut payloads = Payloads::random(100);
        let values: HashSet<Vec<u8>> = (0..1000).map(|n| payloads.value(n).to_vec()).collect();
        assert!(values.len() > 980, "{}", values.len());
        assert!(values.iter().flatten().all(u8::is_ascii_uppercase));
        assert!(values.iter().all(|value| value.len() == 100));
        assert_eq!(Payloads::random(0).value(7), b"");
    }

    #[test]
    fn a_file_is_split_at_its_delimiter() {
        assert_eq!(split(b"a\nb\n\nc", b"\n"), [&b"a"[..], b"b", b"", b"c"]);
        assert_eq!(split(b"a--b--", b"--"), [b"a", b"b"]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        fs::write(&path, "").unwrap();
        assert!(Payloads::of_file(&path, b"\n").unwrap_err().contains("it is empty"));
        fs::write(&path, "one\ntwo\n").unwrap();
        let mut payloads = Payloads::of_file(&path, b"\n").unwrap();
        let values: HashSet<Vec<u8>> = (0..100).map(|n| payloads.value(n).to_vec()).collect();
        assert_eq!(values, HashSet::from([b"one".to_vec(), b"two".to_vec()]));
        assert_eq!(Payloads::counting().value(12), b"12");
    }
}

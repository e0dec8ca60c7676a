//! Places in partitions as people write them: `--offset`, `--partition`, sizes and counts.

use std::collections::BTreeSet;

use crate::{CannotRun, time};

/// Where reading a partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// The first record that there is.
    Beginning,
    /// Behind the last one.
    End,
    /// This offset.
    At(i64),
    /// So many offsets before the end, or the beginning when there are fewer.
    BeforeEnd(i64),
    /// The first record of this time (ms since the epoch) or later, or the end when there is none.
    Time(i64),
}

impl Start {
    /// What `--offset` says.
    ///
    /// # Errors
    /// It is no place, and which there are.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "beginning" | "earliest" => return Ok(Self::Beginning),
            "end" | "latest" => return Ok(Self::End),
            _ => {}
        }
        if let Some(point) = text.strip_prefix('@') {
            return time::point(point).map(Self::Time).map_err(|CannotRun(why)| why);
        }
        let number = match text.strip_prefix('-') {
            Some(back) => whole(back).map(Self::BeforeEnd),
            None => whole(text).map(Self::At),
        };
        number.ok_or_else(|| {
            format!(
                "{text:?} is no place in a partition; write beginning, end, an offset (5), so many \
                 before the end (-5), or a time (@2h)"
            )
        })
    }
}

/// Digits alone: no sign, no blank.
fn whole(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// A list of partitions that may be long, but is not meant to fill memory.
const PARTITIONS_MAX: usize = 1_000_000;

/// Partitions: `0`, `0,3`, `5-7`.
///
/// # Errors
/// It is no such list.
pub(crate) fn parse_partitions(text: &str) -> Result<BTreeSet<i32>, String> {
    let wrong = |part: &str| format!("{part:?} is no partition; write numbers and ranges: 0,3,5-7");
    let number = |part: &str| whole(part).and_then(|number| i32::try_from(number).ok());
    let mut partitions = BTreeSet::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = number(from).zip(number(to)).ok_or_else(|| wrong(part))?;
        let room = PARTITIONS_MAX - partitions.len();
        if from > to || usize::try_from(to - from).is_ok_and(|count| count >= room) {
            return Err(wrong(part));
        }
        partitions.extend(from..=to);
    }
    Ok(partitions)
}

/// A number of bytes: `100`, `64k`, `64KiB`, `1M`. Units are powers of 1024.
///
/// # Errors
/// It is none.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let units = |unit: &str| {
        Some(match unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(unit) {
            "" => 1,
            "k" => 1 << 10,
            "m" => 1 << 20,
            "g" => 1 << 30,
            _ => return None,
        })
    };
    scaled(text, units).ok_or_else(|| format!("{text:?} is no size; write 100, 64k, 1M, 2GiB"))
}

/// A number of things: `1000`, `1_000_000`, `10M`. Units are powers of 1000.
///
/// # Errors
/// It is none.
pub(crate) fn parse_count(text: &str) -> Result<u64, String> {
    let units = |unit: &str| {
        Some(match unit {
            "" => 1,
            "k" => 1000,
            "m" => 1_000_000,
            "g" => 1_000_000_000,
            _ => return None,
        })
    };
    scaled(text, units).ok_or_else(|| format!("{text:?} is no number; write 1000, 50k, 10M"))
}

fn scaled(text: &str, unit: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    let end = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'_').count();
    let digits: String = text[..end].chars().filter(char::is_ascii_digit).collect();
    let number: u64 = digits.parse().ok()?;
    number.checked_mul(unit(&text[end..].to_ascii_lowercase())?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_start_is_a_word_a_number_or_a_time() {
        for (text, start) in [
            ("beginning", Start::Beginning),
            ("earliest", Start::Beginning),
            ("end", Start::End),
            ("latest", Start::End),
            ("0", Start::At(0)),
            ("17", Start::At(17)),
            ("-5", Start::BeforeEnd(5)),
            ("@1970-01-01", Start::Time(0)),
        ] {
            assert_eq!(Start::parse(text), Ok(start), "{text}");
        }
        assert!(matches!(Start::parse("@2h"), Ok(Start::Time(ms)) if ms < time::now()));
        for text in ["", "-", "+1", "--1", "first", "1.5", "@", "9223372036854775808"] {
            assert!(Start::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn partitions_are_numbers_and_ranges() {
        let partitions = |text| parse_partitions(text).map(Vec::from_iter);
        assert_eq!(partitions("0"), Ok(vec![0]));
        assert_eq!(partitions("3,0,5-7,6"), Ok(vec![0, 3, 5, 6, 7]));
        for text in ["", "a", "1,", "7-5", "-1", "1-2-3", "2147483648", "0-2147483647", "0 "] {
            let error = partitions(text).unwrap_err();
            assert!(error.contains("is no partition"), "{text}: {error}");
        }
    }

    #[test]
    fn sizes_are_of_1024_and_counts_of_1000() {
        for (text, size) in [
            ("0", 0),
            ("100", 100),
            ("64k", 65_536),
            ("64KiB", 65_536),
            ("1MB", 1 << 20),
            ("2g", 2 << 30),
        ] {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for (text, count) in [("1_000", 1000), ("50k", 50_000), ("10M", 10_000_000)] {
            assert_eq!(parse_count(text), Ok(count), "{text}");
        }
        for text in
            ["", "k", "-1", "1.5k", "1x", "1kk", "99999999999999999999", "99999999999g", "_"]
        {
            assert!(parse_size(text).is_err(), "{text}");
            assert!(parse_count(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*|[0-9a-z@_,-]{0,12}") {
            _ = Start::parse(&text);
            _ = parse_partitions(&text);
            _ = parse_size(&text);
            _ = parse_count(&text);
        }
    }
}

//! Java's `SimpleDateFormat` in English and UTC.

use crate::time::{Civil, civil};

/// A pattern that has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DateFormat(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// A letter, so many times.
    Field(char, usize),
}

const KNOWN: &str = "GyMdHkKhmsSEuazZX";
/// Java has these too: weeks, and days of the year.
const UNKNOWN: &str = "LYwWDF";
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
/// Numbers are padded to no more digits than this.
const DIGITS_MAX: usize = 100;

impl DateFormat {
    /// # Errors
    /// A letter has no meaning; a quote has no end.
    pub(super) fn parse(pattern: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            if c == '\'' {
                parts.push(Part::Text(quoted(&mut chars)?));
            } else if c.is_ascii_alphabetic() {
                let mut count = 1;
                while chars.next_if_eq(&c).is_some() {
                    count += 1;
                }
                if UNKNOWN.contains(c) {
                    return Err(format!(
                        "pattern character '{c}' is not served here; these are: {KNOWN}"
                    ));
                }
                if !KNOWN.contains(c) {
                    return Err(format!("Illegal pattern character '{c}'"));
                }
                if c == 'X' && count > 3 {
                    return Err(format!("invalid ISO 8601 format: length={count}"));
                }
                parts.push(Part::Field(c, count.min(DIGITS_MAX)));
            } else {
                parts.push(Part::Text(c.to_string()));
            }
        }
        Ok(Self(parts))
    }

    /// Of milliseconds since 1970.
    pub(super) fn format(&self, ms: i64) -> String {
        let at = civil(ms);
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(letter, count) => field(*letter, *count, &at),
        };
        self.0.iter().map(part).collect()
    }
}

/// The rest of what a quote began; two of them are one.
fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, String> {
    if chars.next_if_eq(&'\'').is_some() {
        return Ok("'".to_owned());
    }
    let mut text = String::new();
    while let Some(c) = chars.next() {
        if c != '\'' {
            text.push(c);
        } else if chars.next_if_eq(&'\'').is_some() {
            text.push('\'');
        } else {
            return Ok(text);
        }
    }
    Err("Unterminated quote".to_owned())
}

fn field(letter: char, count: usize, at: &Civil) -> String {
    let named = |name: &str| if count > 3 { name.to_owned() } else { name[..3].to_owned() };
    let number = match letter {
        'G' => return "AD".to_owned(),
        'M' if count > 2 => return named(MONTHS[at.month as usize - 1]),
        'E' => return named(DAYS[at.weekday as usize]),
        'a' => return if at.hour < 12 { "AM" } else { "PM" }.to_owned(),
        'z' if count > 3 => return "Coordinated Universal Time".to_owned(),
        'z' => return "UTC".to_owned(),
        'Z' => return "+0000".to_owned(),
        'X' => return "Z".to_owned(),
        'y' if count == 2 => at.year % 100,
        'y' => at.year,
        'M' => at.month,
        'd' => at.day,
        'H' => at.hour,
        'k' => (at.hour + 23) % 24 + 1,
        'K' => at.hour % 12,
        'h' => (at.hour + 11) % 12 + 1,
        'm' => at.minute,
        's' => at.second,
        'S' => at.millis,
        // Monday is the first.
        _ => (at.weekday + 6) % 7 + 1,
    };
    format!("{number:0count$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-26, a Thursday.
    const TIME_MS: i64 = 1_795_725_433_007;

    #[test]
    fn times_look_as_java_writes_them() {
        for (pattern, text) in [
            ("yyyy-MM-dd HH:mm:ss:SSS", "2026-11-26 20:37:13:007"),
            ("yy M MMM MMMM EEE EEEE u", "26 11 Nov November Thu Thursday 4"),
            ("h K k a S G", "8 8 20 PM 7 AD"),
            ("HH 'o''clock' '' Z z X", "20 o'clock ' +0000 UTC Z"),
            ("ss.SSSSSS é", "13.000007 é"),
        ] {
            assert_eq!(DateFormat::parse(pattern).unwrap().format(TIME_MS), text, "{pattern}");
        }
        let midnight = DateFormat::parse("h K k a").unwrap().format(0);
        assert_eq!(midnight, "12 0 24 AM");
    }

    #[test]
    fn wrong_patterns_are_told() {
        for (pattern, why) in [
            ("QQ", "Illegal pattern character 'Q'"),
            ("yyyy 'x", "Unterminated quote"),
            ("XXXX", "invalid ISO 8601 format: length=4"),
        ] {
            assert_eq!(DateFormat::parse(pattern).unwrap_err(), why);
        }
        assert!(DateFormat::parse("YYYY").unwrap_err().contains("not served here"));
    }
}

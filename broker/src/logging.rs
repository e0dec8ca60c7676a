//! Log lines on standard error, in the form of Kafka's:
//! `[2026-11-25 15:06:32,123] INFO message (module)`, times in UTC.

use std::fmt;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use env_logger::{Builder, Target};
use log::LevelFilter;

use crate::loggers::Leveled;

/// The environment variable that says what is logged: a level, or `module=level,...`.
pub const VARIABLE: &str = "OTTLA_LOG";

/// Starts logging, once in a process; later calls change nothing. `level` is what the command
/// line asks for; else `variable`, the value of [`VARIABLE`], counts; else INFO.
pub fn start(level: Option<LevelFilter>, variable: Option<&str>) {
    let mut gate = Builder::new();
    match (level, variable) {
        (Some(level), _) => gate.filter_level(level),
        (None, Some(filters)) => gate.parse_filters(filters),
        (None, None) => gate.filter_level(LevelFilter::Info),
    };
    let mut out = Builder::new();
    out.filter_level(LevelFilter::Trace).target(Target::Stderr).format(|out, record| {
        // A clock before 1970 shows as 1970: a log line is no place to fail.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = Timestamp { ms: u64::try_from(since.as_millis()).unwrap_or(0) };
        let message = OneLine(record.args());
        writeln!(out, "[{time}] {} {message} ({})", record.level(), record.target())
    });
    Leveled { gate: gate.build(), out: out.build() }.install();
}

/// A message without control characters: names that clients choose are in some, and a line break
/// in one would make it look like two.
struct OneLine<'a>(&'a fmt::Arguments<'a>);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(char::is_control) {
            let control = part.chars().next_back().filter(|last| last.is_control());
            let plain = &part[..part.len() - control.map_or(0, char::len_utf8)];
            self.0.write_str(plain)?;
            if let Some(control) = control {
                write!(self.0, "{}", control.escape_default())?;
            }
        }
        Ok(())
    }
}

/// A point in time that prints as `2026-11-25 15:06:32,123`.
struct Timestamp {
    /// Milliseconds since 1970, UTC.
    ms: u64,
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, ms) = (self.ms / 1000, self.ms % 1000);
        let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) =
            (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02},{ms:03}")
    }
}

/// Year, month and day of the day `days` after 1 January 1970.
///
/// Years are counted from March, so that a leap day ends its year. 400 such years have 146,097
/// days; within them, one leap day is taken out a 4 years (1,460 days) and put back a century
/// (36,524), which leaves years of 365 days. From March on, months of 31, 30, 31, 30, 31 days
/// repeat: 153 days in 5 months.
fn civil(days: u64) -> (u64, u64, u64) {
    // 719,468 days lie between 1 March of the year 0 and 1 January 1970.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = 400 * era + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times() {
        for (ms, expected) in [
            (0, "1970-01-01 00:00:00,000"),
            (951_782_400_000, "2000-02-29 00:00:00,000"),
            (951_868_800_000, "2000-03-01 00:00:00,000"),
            (1_709_251_199_999, "2024-02-29 23:59:59,999"),
            (1_767_225_599_001, "2025-12-31 23:59:59,001"),
            (4_107_542_400_000, "2100-03-01 00:00:00,000"),
        ] {
            assert_eq!(Timestamp { ms }.to_string(), expected);
        }
    }

    #[test]
    fn a_message_is_one_line_whatever_is_in_it() {
        let (id, text) = ("g\r\n[2026] ERROR x\u{1b}[2J", "\u{e9}\u{85}");
        let line = OneLine(&format_args!("group {id} of {text}")).to_string();
        let expected = "group g\\r\\n[2026] ERROR x\\u{1b}[2J of \u{e9}\\u{85}";
        assert_eq!(line, expected);
    }

    #[test]
    fn days_follow_each_other() {
        let mut before = civil(0);
        for days in 1..150_000 {
            let (year, month, day) = civil(days);
            let next_day = (year, month) == (before.0, before.1) && day == before.2 + 1;
            let next_month = day == 1 && 28 <= before.2 && before.2 <= 31;
            assert!(next_day || next_month, "{before:?} then {year}-{month}-{day}");
            before = (year, month, day);
        }
    }
}

//! Points in time as people write them, in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

use ottla_client::OffsetSpec;

use crate::{CannotRun, duration};

const DAY_MS: i64 = 86_400_000;

/// Which offset is meant: `earliest`, `latest`, `max-timestamp`, or the first from some time on.
///
/// # Errors
/// It is none of them, in words that say how one looks.
pub(crate) fn spec(text: &str) -> Result<OffsetSpec, CannotRun> {
    match text {
        "earliest" => Ok(OffsetSpec::Earliest),
        "latest" => Ok(OffsetSpec::Latest),
        "max-timestamp" => Ok(OffsetSpec::MaxTimestamp),
        text => point(text).map(OffsetSpec::Timestamp),
    }
}

/// Milliseconds since 1970: of a date, a date and time, as a number, or so long ago.
///
/// # Errors
/// It is none of them, in words that say how one looks.
pub(crate) fn point(text: &str) -> Result<i64, CannotRun> {
    let wrong = || {
        CannotRun(format!(
            "{text:?} is no point in time; such are 2026-11-26T12:00:00Z, 2026-11-26, 2h for two \
             hours ago, 1700000000000"
        ))
    };
    if let Ok(ago) = duration::parse(text) {
        let ago = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
        return Ok(now().saturating_sub(ago));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_err(|_| wrong());
    }
    date_and_time(text).ok_or_else(wrong)
}

/// Now, milliseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// `2026-11-26`, then perhaps `T12:00`, `:30`, `.500`, and `Z` or `+01:00`. UTC where nothing is
/// said.
fn date_and_time(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let (year, month, day) =
        (number(parts.next()?, 4)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let is_day = (1..=12).contains(&month) && 1 <= day && day <= days_of(year, month);
    if parts.next().is_some() || !is_day {
        return None;
    }
    let midnight = days_since_1970(year, month, day) * DAY_MS;
    match time {
        Some(time) => Some(midnight + time_of_day(time)?),
        None => Some(midnight),
    }
}

/// Milliseconds since midnight in UTC.
fn time_of_day(text: &str) -> Option<i64> {
    let (time, zone_minutes) = match text.find(['Z', '+', '-']) {
        Some(at) => (&text[..at], zone(&text[at..])?),
        None => (text, 0),
    };
    let mut parts = time.split(':');
    let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let (second, millis) = match parts.next() {
        Some(second) => match second.split_once('.') {
            Some((second, fraction)) => (number(second, 2)?, thousandths(fraction)?),
            None => (number(second, 2)?, 0),
        },
        None => (0, 0),
    };
    let is_time = hour < 24 && minute < 60 && second < 60 && parts.next().is_none();
    let seconds = (hour * 60 + minute - zone_minutes) * 60 + second;
    is_time.then_some(seconds * 1000 + millis)
}

/// `Z`, `+01:00`, `-0530`, in minutes.
fn zone(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, rest) = text.split_at(1);
    let digits = rest.replacen(':', "", 1);
    let (hours, minutes) = digits.split_at_checked(2)?;
    let minutes = if minutes.is_empty() { 0 } else { number(minutes, 2)? };
    let minutes = number(hours, 2)? * 60 + minutes;
    Some(if sign == "-" { -minutes } else { minutes })
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let is_one = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_one { text.parse().ok() } else { None }
}

fn thousandths(text: &str) -> Option<i64> {
    let is_one = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_one {
        return None;
    }
    let mut digits = text.get(..3.min(text.len()))?.to_owned();
    while digits.len() < 3 {
        digits.push('0');
    }
    digits.parse().ok()
}

fn days_of(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the Gregorian calendar. Years begin in March, so that a leap day is their last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // From March on months have 31, 30, 31, 30, 31 days, twice and a bit.
    days + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// A point in time by the calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: i64,
    pub(crate) day: i64,
    /// 0 is Sunday.
    pub(crate) weekday: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    pub(crate) millis: i64,
}

/// Of milliseconds since 1970.
pub(crate) fn civil(ms: i64) -> Civil {
    let (days, in_day) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    // The first of 1970 was a Thursday.
    let weekday = (days + 4).rem_euclid(7);
    // The inverse of the above, by 400 years of 146,097 days.
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) =
        (era * 400 + year + i64::from(month >= 10), if month < 10 { month + 3 } else { month - 9 });
    let (seconds, millis) = (in_day / 1000, in_day % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    Civil { year, month, day, weekday, hour, minute, second, millis }
}

/// `2026-11-26T12:00:00.000Z`.
pub(crate) fn utc(ms: i64) -> String {
    let Civil { year, month, day, hour, minute, second, millis, .. } = civil(ms);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time_are_read_and_written() {
        for (text, ms) in [
            ("1970-01-01", 0),
            ("2000-02-29", 951_782_400_000),
            ("2023-11-14T22:13:20Z", 1_700_000_000_000),
            ("2023-11-14 23:13:20.5+01:00", 1_700_000_000_500),
            ("2023-11-14T22:13", 1_699_999_980_000),
            ("2023-11-14T16:43:20.000-0530", 1_700_000_000_000),
            ("1969-12-31T23:59:59.999Z", -1),
            ("1700000000000", 1_700_000_000_000),
        ] {
            assert_eq!(point(text).unwrap(), ms, "{text}");
        }
        for text in
            ["", "2023", "2023-13-01", "2023-02-29", "2023-1-1", "2023-01-01T24:00", "x", "-2h"]
        {
            assert_eq!(point(text).is_ok(), text == "2023", "{text}");
        }
        let ago = now() - point("2h").unwrap();
        assert!((7_200_000..7_260_000).contains(&ago), "{ago}");
        for ms in [0, -1, 951_782_400_000, 1_700_000_000_123, 253_402_300_799_999] {
            assert_eq!(point(&utc(ms)).unwrap(), ms, "{}", utc(ms));
        }
        assert_eq!(utc(1_700_000_000_000), "2023-11-14T22:13:20.000Z");
    }

    #[test]
    fn every_day_has_its_name() {
        for day in -200_000..200_000 {
            let text = utc(day * DAY_MS);
            assert_eq!(date_and_time(&text), Some(day * DAY_MS), "{text}");
        }
    }
}

//! What a consumer does, out of its settings.

use std::sync::Arc;
use std::time::Duration;

use crate::chance::Backoff;
use crate::config::Settings;
use crate::error::Error;

/// What the settings of a consumer say.
#[derive(Clone, Debug)]
pub(super) struct ConsumerSettings {
    /// `group.id`.
    pub(super) group: Option<Arc<str>>,
    pub(super) reset: Reset,
    pub(super) fetch: FetchSettings,
    pub(super) poll_records_max: usize,
    pub(super) checks_crcs: bool,
    /// What a batch may decompress to.
    pub(super) batch_bytes_max: usize,
    pub(super) is_read_committed: bool,
    /// `auto.commit.interval.ms`, if it is enabled.
    pub(super) auto_commit: Option<Duration>,
    /// `default.api.timeout.ms`.
    pub(super) api_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) retry_backoff: Backoff,
}

/// What fetches ask for.
#[derive(Clone, Debug)]
pub(super) struct FetchSettings {
    pub(super) bytes_min: i32,
    pub(super) wait_max: Duration,
    pub(super) bytes_max: i32,
    pub(super) partition_bytes_max: i32,
    pub(super) rack: Arc<str>,
}

/// Where a partition is begun that has no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reset {
    Earliest,
    Latest,
    /// Nowhere: it is an error.
    None,
    /// At the first record that is not older than this (KIP-1106).
    Since(Duration),
}

impl ConsumerSettings {
    /// # Errors
    /// Settings that contradict each other.
    pub(super) fn new(settings: &Settings<'_>, retry_backoff: Backoff) -> Result<Self, Error> {
        let group = settings.text("group.id").filter(|group| !group.is_empty());
        let auto_commit = settings.flag("enable.auto.commit");
        if group.is_none() && auto_commit && settings.is_set("enable.auto.commit") {
            let wrong = "there is nothing to commit without group.id";
            return Err(settings.error("enable.auto.commit", wrong));
        }
        let reset = settings.text("auto.offset.reset").unwrap_or_default().trim();
        let reset = Reset::parse(reset).ok_or_else(|| {
            let wrong = "not one of earliest, latest, none, by_duration:PnDTnHnMn.nS";
            settings.error("auto.offset.reset", wrong)
        })?;
        let int = |name| i32::try_from(settings.number(name)).unwrap_or(i32::MAX);
        Ok(Self {
            group: group.map(Into::into),
            reset,
            fetch: FetchSettings {
                bytes_min: int("fetch.min.bytes"),
                wait_max: settings.duration("fetch.max.wait.ms"),
                bytes_max: int("fetch.max.bytes"),
                partition_bytes_max: int("max.partition.fetch.bytes"),
                rack: settings.text("client.rack").unwrap_or_default().into(),
            },
            poll_records_max: settings.size("max.poll.records"),
            checks_crcs: settings.flag("check.crcs"),
            batch_bytes_max: settings.size("receive.message.max.bytes"),
            is_read_committed: settings.text("isolation.level") == Some("read_committed"),
            auto_commit: (auto_commit && group.is_some())
                .then(|| settings.duration("auto.commit.interval.ms")),
            api_timeout: settings.duration("default.api.timeout.ms"),
            request_timeout: settings.duration("request.timeout.ms"),
            retry_backoff,
        })
    }

    /// As requests have it.
    pub(super) fn isolation_level(&self) -> i8 {
        i8::from(self.is_read_committed)
    }
}

impl Reset {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "earliest" => Some(Self::Earliest),
            "latest" => Some(Self::Latest),
            "none" => Some(Self::None),
            _ => iso_duration(text.strip_prefix("by_duration:")?).map(Self::Since),
        }
    }
}

/// A duration as ISO 8601 and Java write it: `P1DT2H3M4.5S`, days to seconds, each at most once.
fn iso_duration(text: &str) -> Option<Duration> {
    let rest = text.strip_prefix(['P', 'p'])?;
    let (days, times) = match rest.split_once(['T', 't']) {
        Some((_, "")) => return None,
        Some((days, times)) => (days, times),
        None => (rest, ""),
    };
    let (mut total, mut parts) = (Duration::ZERO, 0);
    for (mut text, units) in [(days, &[('D', 86_400)][..]), (times, &[('H', 3600), ('M', 60)])] {
        for (unit, seconds) in units {
            let at = text.find(|letter: char| letter.to_ascii_uppercase() == *unit);
            let Some(at) = at else { continue };
            let count: u64 = digits(&text[..at])?.parse().ok()?;
            total = total.checked_add(Duration::from_secs(count.checked_mul(*seconds)?))?;
            text = &text[at + 1..];
            parts += 1;
        }
        if text.is_empty() {
            continue;
        }
        let number = text.strip_suffix(['S', 's']).filter(|_| units.len() > 1)?;
        let (seconds, fraction) = number.split_once('.').unwrap_or((number, ""));
        let seconds = Duration::from_secs(digits(seconds)?.parse().ok()?);
        let nanos = format!("{fraction:0<9}");
        let nanos = (nanos.len() == 9).then(|| digits(&nanos)?.parse().ok()).flatten()?;
        total = total.checked_add(seconds)?.checked_add(Duration::from_nanos(nanos))?;
        parts += 1;
    }
    (parts > 0).then_some(total)
}

fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resets_are_read_as_java_reads_them() {
        let since = |ms| Some(Reset::Since(Duration::from_millis(ms)));
        for (text, expected) in [
            ("earliest", Some(Reset::Earliest)),
            ("latest", Some(Reset::Latest)),
            ("none", Some(Reset::None)),
            ("by_duration:PT1H", since(3_600_000)),
            ("by_duration:P1DT2H3M4.5S", since(93_784_500)),
            ("by_duration:P2D", since(172_800_000)),
            ("by_duration:pt0.25s", since(250)),
            ("by_duration:PT0S", since(0)),
            ("by_duration:", None),
            ("by_duration:P", None),
            ("by_duration:PT", None),
            ("by_duration:P1S", None),
            ("by_duration:-PT1H", None),
            ("by_duration:PT-1H", None),
            ("by_duration:PT1M1H", None),
            ("by_duration:PT1.5H", None),
            ("by_duration:PT1.0123456789S", None),
            ("by_duration:P99999999999999999999D", None),
            ("by_duration:P999999999999999999D", None),
            ("soon", None),
        ] {
            assert_eq!(Reset::parse(text), expected, "{text}");
        }
    }
}

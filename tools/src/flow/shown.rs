//! A record as commands see it, wherever it came from.

use ottla_client::Header;
use ottla_protocol::record::batch::TimestampType;

/// A record of a partition, its bytes borrowed from whoever has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// ms since the epoch; -1 for none.
    pub(crate) timestamp: i64,
    pub(crate) timestamp_type: TimestampType,
    pub(crate) key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a [Header<'a>],
}

/// What kcat calls the clock that a timestamp is of.
pub(crate) fn clock_name(of: TimestampType) -> &'static str {
    match of {
        TimestampType::CreateTime => "create",
        TimestampType::LogAppendTime => "logappend",
    }
}

/// The clock of such a name.
pub(crate) fn clock_of_name(name: &str) -> Option<TimestampType> {
    let all = [TimestampType::CreateTime, TimestampType::LogAppendTime];
    all.into_iter().find(|of| clock_name(*of) == name)
}

//! The two sparse indexes of a segment: by offset and by time.

mod mapped;
mod offset;
mod search;
#[cfg(test)]
mod tests;
mod time;

pub(crate) use offset::{OFFSET_ENTRY_BYTES, OffsetIndex, OffsetPosition};
pub(crate) use time::{TIME_ENTRY_BYTES, TimeIndex, TimestampOffset};

//! The two sparse indexes of a segment: by offset and by time.

mod mapped;
mod offset;
mod search;
#[cfg(test)]
mod tests;
mod time;

pub(crate) use offset::{OffsetIndex, OffsetPosition};
pub(crate) use time::{TimeIndex, TimestampOffset};

//! A record of an internal topic, as bytes.

/// A record to append. The layouts are those of `ottla_protocol::internal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The key, which says what the record is about.
    pub key: Vec<u8>,
    /// The value; `None` deletes the key (a tombstone).
    pub value: Option<Vec<u8>>,
}

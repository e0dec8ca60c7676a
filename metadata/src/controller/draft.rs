//! Records that are decided on but not yet in the log.

use crate::image::Image;
use crate::replay::LogError;
use ottla_protocol::metadata::MetadataRecord;

/// The values of records to append as one batch, in their order and as they are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Records {
    /// No records.
    pub fn new() -> Self {
        Records::default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is nothing to append.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The value of each record.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.ends.len()).map(|index| {
            let start = if index == 0 { 0 } else { self.ends[index - 1] };
            &self.bytes[start..self.ends[index]]
        })
    }

    /// Adds a record in a version that can hold it.
    ///
    /// # Panics
    /// If a field is set that the version does not have, which is a bug of the caller.
    pub fn push(&mut self, record: &MetadataRecord<'_>, version: i16) {
        let value = record.to_bytes(version);
        self.push_value(&value.expect("fields are set only in versions that have them"));
    }

    /// Adds a record by its value as it is stored.
    pub fn push_value(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.ends.push(self.bytes.len());
    }

    /// Adds all records of another draft.
    pub fn append(&mut self, other: &Records) {
        other.iter().for_each(|value| self.push_value(value));
    }

    /// Takes back what was added after there were `len` records.
    pub fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Applies the records to an image as if they had been appended at `base_offset`.
    ///
    /// # Errors
    /// When the image is not the one that the records were made from, or one of its epochs has no
    /// next.
    pub fn apply_to(&self, image: &mut Image, base_offset: i64) -> Result<(), LogError> {
        for (value, offset) in self.iter().zip(base_offset..) {
            let read = MetadataRecord::read(value);
            let (record, _) = read.map_err(|error| LogError::Frame { offset, error })?;
            let applied = image.apply(&record, offset);
            applied.map_err(|error| LogError::Record { offset, error })?;
        }
        Ok(())
    }
}

//! The record set of a Produce request or a Fetch response.

use super::{Nullable, ReadError, ReadErrorKind, Reader, Ver, Wire, WriteError, Writer};

/// Record batches as they are on disk, or a promise of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records<'a> {
    /// The batches' bytes. All that reading yields.
    Bytes(&'a [u8]),
    /// `length` bytes that the writer of the message sends from elsewhere, known to it by `token`.
    /// Writing it appends the length and a [`Splice`](super::Splice), and no bytes.
    Spliced {
        /// The caller's name for the bytes.
        token: u32,
        /// How many bytes they are.
        length: u32,
    },
}

impl<'a> Records<'a> {
    /// The bytes; empty for a splice, which has none yet.
    pub fn bytes(&self) -> &'a [u8] {
        match *self {
            Self::Bytes(bytes) => bytes,
            Self::Spliced { .. } => &[],
        }
    }

    /// The size of the record set in bytes.
    pub fn size_bytes(&self) -> usize {
        match *self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Spliced { length, .. } => length as usize,
        }
    }
}

impl Default for Records<'_> {
    fn default() -> Self {
        Self::Bytes(&[])
    }
}

impl<'a> Wire<'a> for Records<'a> {
    #[inline]
    fn read(reader: &mut Reader<'a>, ver: Ver) -> Result<Self, ReadError> {
        match Self::read_nullable(reader, ver)? {
            Some(records) => Ok(records),
            None => Err(reader.error(ReadErrorKind::UnexpectedNull)),
        }
    }

    fn write(&self, writer: &mut Writer, ver: Ver) -> Result<(), WriteError> {
        writer.length(Some(self.size_bytes()), ver.flexible)?;
        match *self {
            Self::Bytes(bytes) => writer.put(bytes),
            Self::Spliced { token, .. } => writer.splice(token),
        }
        Ok(())
    }
}

impl<'a> Nullable<'a> for Records<'a> {
    #[inline]
    fn read_nullable(reader: &mut Reader<'a>, ver: Ver) -> Result<Option<Self>, ReadError> {
        Ok(<&[u8]>::read_nullable(reader, ver)?.map(Self::Bytes))
    }
}

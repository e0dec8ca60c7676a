//! Kafka's primitive types on the wire, and the table macro that builds messages from them.
//!
//! | type | classic form | compact form (flexible versions) |
//! |---|---|---|
//! | string | i16 length, UTF-8; -1 is null | uvarint length + 1, UTF-8; 0 is null |
//! | bytes, records | i32 length, bytes; -1 is null | uvarint length + 1, bytes; 0 is null |
//! | array | i32 count, elements; -1 is null | uvarint count + 1, elements; 0 is null |
//! | struct | its fields | its fields, then its tagged fields |
//! | nullable struct | i8: -1 is null, 1 is present | the same, but in a tagged field 0 is null |
//! | tagged fields | | uvarint count, then per field uvarint tag, uvarint size, value |
//!
//! Integers are big-endian. Which form is used depends on the message's version alone, so that
//! [`Ver`] travels down and types choose by themselves.
//!
//! Reading borrows from the frame, checks each length against the bytes that remain, and bounds the
//! heap it takes by the length of its input (see [`Reader`]). It never panics.

mod message;
mod reader;
mod records;
#[cfg(any(test, feature = "schema"))]
pub mod reflect;
mod value;
mod writer;

pub use message::Message;
#[cfg(any(test, feature = "schema"))]
pub(crate) use message::sampled_field;
pub(crate) use message::{
    check_default, default_of, message_impl, messages, read_field, write_field,
};
pub use reader::{ReadError, ReadErrorKind, Reader, TagCursor};
pub use records::Records;
pub(crate) use value::{read_gated, write_gated};
pub use writer::{Encoded, Splice, WriteError, Writer};

/// Which version of a message is read or written, and whether that version is a flexible one
/// (compact forms and tagged fields, KIP-482).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ver {
    /// The message's version.
    pub version: i16,
    /// Whether compact forms and tagged fields are used.
    pub flexible: bool,
}

/// A value that has a form on the wire.
pub trait Wire<'a>: Sized {
    /// Reads a value, borrowing from the reader's bytes where it can.
    ///
    /// # Errors
    /// When the bytes are not a value of this type. The reader's position is then meaningless.
    fn read(reader: &mut Reader<'a>, ver: Ver) -> Result<Self, ReadError>;

    /// Appends the value.
    ///
    /// # Errors
    /// When the value has no form at this version. The writer then holds half a value.
    fn write(&self, writer: &mut Writer, ver: Ver) -> Result<(), WriteError>;

    /// Reads the value of a tagged field.
    ///
    /// # Errors
    /// As [`Wire::read`].
    #[inline]
    fn read_tagged(reader: &mut Reader<'a>, ver: Ver) -> Result<Self, ReadError> {
        Self::read(reader, ver)
    }

    /// Appends the value of a tagged field.
    ///
    /// # Errors
    /// As [`Wire::write`].
    fn write_tagged(&self, writer: &mut Writer, ver: Ver) -> Result<(), WriteError> {
        self.write(writer, ver)
    }
}

/// A value that the protocol allows to be null; `Option` of it is a [`Wire`] too.
pub trait Nullable<'a>: Wire<'a> {
    /// Reads a value or null.
    ///
    /// # Errors
    /// As [`Wire::read`].
    fn read_nullable(reader: &mut Reader<'a>, ver: Ver) -> Result<Option<Self>, ReadError>;

    /// Appends a value or null, which is what most have in place of their length.
    ///
    /// # Errors
    /// As [`Wire::write`].
    fn write_nullable(
        value: Option<&Self>,
        writer: &mut Writer,
        ver: Ver,
    ) -> Result<(), WriteError> {
        match value {
            Some(value) => value.write(writer, ver),
            None => writer.length(None, ver.flexible),
        }
    }

    /// As [`Nullable::read_nullable`], in a tagged field.
    ///
    /// # Errors
    /// As [`Wire::read`].
    fn read_nullable_tagged(reader: &mut Reader<'a>, ver: Ver) -> Result<Option<Self>, ReadError> {
        Self::read_nullable(reader, ver)
    }

    /// As [`Nullable::write_nullable`], in a tagged field.
    ///
    /// # Errors
    /// As [`Wire::write`].
    fn write_nullable_tagged(
        value: Option<&Self>,
        writer: &mut Writer,
        ver: Ver,
    ) -> Result<(), WriteError> {
        Self::write_nullable(value, writer, ver)
    }
}

#[cfg(test)]
mod tests;

//! Writing primitives to a growing buffer, with places marked where a file's bytes go.

use std::fmt;

use crate::varint;

/// A buffer that messages are appended to.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    splices: Vec<Splice>,
}

/// A place in written bytes where bytes from elsewhere belong (a region of a segment file).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Splice {
    /// How many of the written bytes come before it.
    pub at: usize,
    /// What the caller put in [`Records::Spliced`](super::Records::Spliced).
    pub token: u32,
}

/// A finished message: its own bytes, and the places where others go, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The bytes, without those of the splices.
    pub bytes: Vec<u8>,
    /// Where bytes from elsewhere belong.
    pub splices: Vec<Splice>,
}

/// Why a value has no form on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// A field that the version lacks is set, and its meaning would be lost.
    FieldNotInVersion {
        /// The struct.
        name: &'static str,
        /// The field in it.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// A field is null that cannot be null in this version.
    NullNotAllowed {
        /// The struct.
        name: &'static str,
        /// The field in it.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// The message has no such version.
    UnsupportedVersion {
        /// The message.
        name: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// A string of more than 32767 bytes, or bytes or an array beyond `i32::MAX - 1`.
    TooLong {
        /// Its length in bytes or elements.
        length: usize,
    },
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FieldNotInVersion { name, field, version } => {
                write!(f, "{name}.{field} is set but does not exist in version {version}")
            }
            Self::NullNotAllowed { name, field, version } => {
                write!(f, "{name}.{field} is null, which version {version} does not allow")
            }
            Self::UnsupportedVersion { name, version } => {
                write!(f, "{name} has no version {version}")
            }
            Self::TooLong { length } => write!(f, "a value of length {length} is too long"),
        }
    }
}

impl std::error::Error for WriteError {}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// A writer that appends to `bytes`, to reuse their capacity.
    pub fn on(bytes: Vec<u8>) -> Self {
        Self { bytes, splices: Vec::new() }
    }

    /// What was written.
    pub fn finish(self) -> Encoded {
        Encoded { bytes: self.bytes, splices: self.splices }
    }

    /// The bytes written so far, without those of splices.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends bytes as they are.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends an unsigned variable-length integer: seven bits a byte, low ones first.
    #[inline]
    pub fn uvarint(&mut self, value: u32) {
        varint::encode_u32(value, &mut self.bytes);
    }

    /// Marks the place where the bytes that `token` stands for belong.
    pub fn splice(&mut self, token: u32) {
        self.splices.push(Splice { at: self.bytes.len(), token });
    }

    /// Appends the length of a bytes or array value; `None` is null.
    ///
    /// # Errors
    /// [`WriteError::TooLong`] beyond `i32::MAX - 1`.
    #[inline]
    pub fn length(&mut self, length: Option<usize>, flexible: bool) -> Result<(), WriteError> {
        let signed = match length {
            None => -1,
            Some(length) => match i32::try_from(length) {
                Ok(signed) if signed < i32::MAX => signed,
                _ => return Err(WriteError::TooLong { length }),
            },
        };
        if flexible {
            self.uvarint((signed + 1) as u32);
        } else {
            self.put(&signed.to_be_bytes());
        }
        Ok(())
    }

    /// Appends the length of a string; `None` is null.
    ///
    /// # Errors
    /// [`WriteError::TooLong`] beyond 32767.
    #[inline]
    pub fn string_length(
        &mut self,
        length: Option<usize>,
        flexible: bool,
    ) -> Result<(), WriteError> {
        let signed = match length {
            None => -1,
            Some(length) => i16::try_from(length).map_err(|_| WriteError::TooLong { length })?,
        };
        if flexible {
            self.uvarint((i32::from(signed) + 1) as u32);
        } else {
            self.put(&signed.to_be_bytes());
        }
        Ok(())
    }

    /// The byte in front of a nullable struct.
    pub(crate) fn presence(&mut self, present: bool) {
        self.bytes.push(if present { 1 } else { 0xff });
    }

    /// Starts a tagged field; the value follows, then [`Writer::end_tag`] with what this returns.
    pub fn begin_tag(&mut self, tag: u32) -> usize {
        self.uvarint(tag);
        self.bytes.len()
    }

    /// Ends a tagged field that began at `start` by putting its size in front of it.
    pub fn end_tag(&mut self, start: usize) {
        let size = self.bytes.len() - start;
        let mut prefix = Vec::new();
        varint::encode_u32(size as u32, &mut prefix);
        let moved = prefix.len();
        self.bytes.splice(start..start, prefix);
        // Splices are kept in ascending order, so that only the last ones can lie inside.
        for splice in self.splices.iter_mut().rev().take_while(|splice| splice.at >= start) {
            splice.at += moved;
        }
    }
}

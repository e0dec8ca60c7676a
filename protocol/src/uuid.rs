//! 16-byte ids as Kafka has them: topics, directories, incarnations, clients.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::wire::{ReadError, Reader, Ver, Wire, WriteError, Writer};

/// An id of 16 bytes. Its text is 22 characters of URL-safe base64 without padding.
///
/// The order is that of the bytes; zero stands for "none".
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

/// Text that is not the 22 characters of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseUuidError;

impl Uuid {
    /// No id.
    pub const ZERO: Self = Self([0; 16]);
    /// The id that is 1.
    pub const ONE: Self = Self::from_u64s(0, 1);
    /// The topic id that every node gives to `__cluster_metadata`.
    pub const METADATA_TOPIC: Self = Self::ONE;
    /// The directory id of a replica that was not told its directory yet (KIP-858).
    pub const UNASSIGNED_DIR: Self = Self::ONE;
    /// The directory id of a replica whose directory has failed (KIP-858).
    pub const LOST_DIR: Self = Self::from_u64s(0, 2);
    /// The directory id of a replica from before brokers had directory ids (KIP-858).
    pub const MIGRATING_DIR: Self = Self::ZERO;

    /// Of the bytes in the order of the wire.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Of the two halves that Java keeps, the most significant one first.
    pub const fn from_u64s(most: u64, least: u64) -> Self {
        Self((((most as u128) << 64) | least as u128).to_be_bytes())
    }

    /// The bytes in the order of the wire.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Whether it is [`Uuid::ZERO`].
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// A version 4 id of 16 random bytes; `None` for the few that Kafka never hands out (reserved
    /// ids, and those whose text begins with a dash): try again with other bytes.
    pub fn random_v4(mut random: [u8; 16]) -> Option<Self> {
        random[6] = (random[6] & 0x0f) | 0x40;
        random[8] = (random[8] & 0x3f) | 0x80;
        // The first character is the first six bits; 62 is the dash. Tools would take an id that
        // begins with it for an option.
        (random[0] >> 2 != 62).then_some(Self(random))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 22];
        match URL_SAFE_NO_PAD.encode_slice(self.0, &mut text) {
            Ok(_) => f.write_str(&String::from_utf8_lossy(&text)),
            Err(_) => Err(fmt::Error),
        }
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Self, ParseUuidError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ParseUuidError)?;
        bytes.try_into().map(Self).map_err(|_| ParseUuidError)
    }
}

impl fmt::Display for ParseUuidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id must be 22 characters of URL-safe base64")
    }
}

impl std::error::Error for ParseUuidError {}

impl<'a> Wire<'a> for Uuid {
    #[inline]
    fn read(reader: &mut Reader<'a>, _: Ver) -> Result<Self, ReadError> {
        reader.array().map(Self)
    }

    #[inline]
    fn write(&self, writer: &mut Writer, _: Ver) -> Result<(), WriteError> {
        writer.put(&self.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_url_safe_base64() {
        assert_eq!(Uuid::METADATA_TOPIC.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!("AAAAAAAAAAAAAAAAAAAAAQ".parse(), Ok(Uuid::ONE));
        let id = Uuid::from_bytes([0xfb; 16]);
        assert_eq!(id.to_string(), "-_v7-_v7-_v7-_v7-_v7-w");
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "AAAA", "AAAAAAAAAAAAAAAAAAAAAQ==", "AAAAAAAAAAAAAAAAAAAA+Q"] {
            assert_eq!(bad.parse::<Uuid>(), Err(ParseUuidError), "{bad}");
        }
    }

    #[test]
    fn random_ids_are_version_4_and_never_look_like_options() {
        let id = Uuid::random_v4([0; 16]).unwrap();
        assert_eq!(id.as_bytes()[6], 0x40);
        assert_eq!(id.as_bytes()[8], 0x80);
        for first in 0..=255 {
            let mut random = [0xff; 16];
            random[0] = first;
            match Uuid::random_v4(random) {
                Some(id) => assert!(!id.to_string().starts_with('-')),
                None => assert!(Uuid(random).to_string().starts_with('-')),
            }
        }
    }
}

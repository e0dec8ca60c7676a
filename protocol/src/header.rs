//! What stands in front of each request and response. Written by hand, because the request
//! header's client id keeps its classic form in the flexible version.
//!
//! | request header | v0 | v1 | v2 |
//! |---|---|---|---|
//! | api key i16, api version i16, correlation id i32 | yes | yes | yes |
//! | client id, classic nullable string | | yes | yes |
//! | tagged fields | | | yes |
//!
//! | response header | v0 | v1 |
//! |---|---|---|
//! | correlation id i32 | yes | yes |
//! | tagged fields | | yes |
//!
//! Version 0 of the request header belonged to one request between brokers that 4.x has not.

use crate::api::ApiKey;
use crate::wire::{ReadError, Reader, Ver, Wire, WriteError, Writer};

/// Strings of headers are classic ones in all versions: a broker must be able to read the header
/// of an ApiVersions request that is younger than itself.
const CLASSIC: Ver = Ver { version: 1, flexible: false };

/// A request's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    /// The number of the request's kind, whether known or not.
    pub api_key: i16,
    /// The version of the request's body.
    pub api_version: i16,
    /// Repeated in the response.
    pub correlation_id: i32,
    /// The client's name for itself.
    pub client_id: Option<&'a str>,
}

impl<'a> RequestHeader<'a> {
    /// Reads the header that a request begins with and leaves the reader at the body.
    ///
    /// The header's own version follows from the first four bytes. For a kind that is not in
    /// [`ApiKey`] it is taken for 1: nobody reads on. So it is for ApiVersions versions beyond
    /// those served, because the answer to them needs nothing after the client id.
    ///
    /// # Errors
    /// When the bytes end early or the client id is malformed.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, ReadError> {
        let api_key = i16::read(reader, CLASSIC)?;
        let api_version = i16::read(reader, CLASSIC)?;
        let correlation_id = i32::read(reader, CLASSIC)?;
        let client_id = Option::<&str>::read(reader, CLASSIC)?;
        let flexible = ApiKey::from_i16(api_key).is_some_and(|api| {
            api.versions().contains(&api_version) && api.is_flexible(api_version)
        });
        if flexible {
            let mut tags = reader.begin_tags()?;
            while reader.next_tag(&mut tags)?.is_some() {}
        }
        Ok(Self { api_key, api_version, correlation_id, client_id })
    }

    /// Appends the header, as clients do.
    ///
    /// # Errors
    /// When the client id is too long.
    pub fn write(&self, writer: &mut Writer) -> Result<(), WriteError> {
        self.api_key.write(writer, CLASSIC)?;
        self.api_version.write(writer, CLASSIC)?;
        self.correlation_id.write(writer, CLASSIC)?;
        self.client_id.write(writer, CLASSIC)?;
        if ApiKey::from_i16(self.api_key).is_some_and(|api| api.is_flexible(self.api_version)) {
            writer.uvarint(0);
        }
        Ok(())
    }
}

/// A response's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHeader {
    /// The request's number.
    pub correlation_id: i32,
}

impl ResponseHeader {
    /// Appends the header of an answer to a request of this kind and version.
    pub fn write(self, writer: &mut Writer, api: ApiKey, api_version: i16) {
        writer.put(&self.correlation_id.to_be_bytes());
        if api.response_header_version(api_version) == 1 {
            writer.uvarint(0);
        }
    }

    /// Reads the header of an answer, as clients do, and leaves the reader at the body.
    ///
    /// # Errors
    /// When the bytes end early.
    pub fn read(reader: &mut Reader<'_>, api: ApiKey, api_version: i16) -> Result<Self, ReadError> {
        let correlation_id = i32::read(reader, CLASSIC)?;
        if api.response_header_version(api_version) == 1 {
            let mut tags = reader.begin_tags()?;
            while reader.next_tag(&mut tags)?.is_some() {}
        }
        Ok(Self { correlation_id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classic_and_flexible_headers() {
        let classic = b"\0\x03\0\x08\0\0\0\x07\0\x02me";
        let flexible = b"\0\x03\0\x09\0\0\0\x07\0\x02me\x01\x05\x01\xff";
        for (bytes, api_version) in [(&classic[..], 8), (&flexible[..], 9)] {
            let mut reader = Reader::new(bytes);
            let header = RequestHeader::read(&mut reader).unwrap();
            assert_eq!(
                header,
                RequestHeader { api_key: 3, api_version, correlation_id: 7, client_id: Some("me") }
            );
            assert_eq!(reader.remaining(), b"");
            for cut in 0..bytes.len() {
                assert!(RequestHeader::read(&mut Reader::new(&bytes[..cut])).is_err(), "{cut}");
            }
        }
    }

    #[test]
    fn client_id_may_be_null_or_empty() {
        for (bytes, client_id) in [(b"\xff\xff", None), (b"\0\0", Some(""))] {
            let bytes = [b"\0\x12\0\0\0\0\0\0", &bytes[..]].concat();
            let header = RequestHeader::read(&mut Reader::new(&bytes)).unwrap();
            assert_eq!(header.client_id, client_id);
            let mut writer = Writer::new();
            header.write(&mut writer).unwrap();
            assert_eq!(writer.bytes(), bytes);
        }
    }

    #[test]
    fn an_api_versions_request_from_the_future_needs_no_tags() {
        let bytes = b"\0\x12\0\x63\0\0\0\x01\xff\xff";
        let header = RequestHeader::read(&mut Reader::new(bytes)).unwrap();
        assert_eq!((header.api_key, header.api_version), (18, 99));
    }

    #[test]
    fn response_headers() {
        let header = ResponseHeader { correlation_id: 9 };
        for (api, version, bytes) in [
            (ApiKey::Fetch, 11, &b"\0\0\0\x09"[..]),
            (ApiKey::Fetch, 12, b"\0\0\0\x09\0"),
            (ApiKey::ApiVersions, 3, b"\0\0\0\x09"),
        ] {
            let mut writer = Writer::new();
            header.write(&mut writer, api, version);
            assert_eq!(writer.bytes(), bytes);
            let mut reader = Reader::new(bytes);
            assert_eq!(ResponseHeader::read(&mut reader, api, version), Ok(header));
            assert_eq!(reader.remaining(), b"");
        }
    }
}

//! gzip (RFC 1952).

use std::io::{self, Read};

use flate2::Compression as Level;
use flate2::bufread::GzDecoder;

/// What every member begins with: the magic, and the only method there is.
const MEMBER_START: [u8; 3] = [0x1f, 0x8b, 8];

pub(super) type GzipWriter = flate2::write::GzEncoder<Vec<u8>>;

/// Level -1 is the codec's own default.
pub(super) fn writer(buffer: Vec<u8>, level: i32) -> GzipWriter {
    let level = u32::try_from(level).map_or_else(|_| Level::default(), Level::new);
    GzipWriter::new(buffer, level)
}

/// Reads members one after the other. Like the JVM's, it ignores what follows the last member
/// and is none.
pub(super) struct GzipReader<'a>(GzDecoder<&'a [u8]>);

impl<'a> GzipReader<'a> {
    pub(super) fn new(blob: &'a [u8]) -> Self {
        Self(GzDecoder::new(blob))
    }
}

impl Read for GzipReader<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.0.read(to)?;
            if count > 0 || to.is_empty() {
                return Ok(count);
            }
            let rest = *self.0.get_ref();
            if !rest.starts_with(&MEMBER_START) {
                return Ok(0);
            }
            self.0 = GzDecoder::new(rest);
        }
    }
}

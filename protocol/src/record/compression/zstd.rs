//! Zstandard (RFC 8878).

use std::io::{self, Read};

use zstd::stream::read::Decoder;
use zstd::stream::write::Encoder;

pub(super) type ZstdWriter = Encoder<'static, Vec<u8>>;

/// One frame of unknown content size, without a checksum, as Kafka's.
pub(super) fn writer(buffer: Vec<u8>, level: i32) -> io::Result<ZstdWriter> {
    Encoder::new(buffer, level)
}

/// Reads frames one after the other, from the blob itself without a buffer between.
pub(super) struct ZstdReader<'a>(Decoder<'static, &'a [u8]>);

impl<'a> ZstdReader<'a> {
    pub(super) fn new(blob: &'a [u8], window_log_max: u32) -> io::Result<Self> {
        let mut decoder = Decoder::with_buffer(blob)?;
        decoder.window_log_max(window_log_max)?;
        Ok(Self(decoder))
    }
}

impl Read for ZstdReader<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.0.read(to)
    }
}

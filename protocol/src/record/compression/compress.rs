//! Writing compressed blobs.

use std::fmt;
use std::io::{self, Write};

use super::snappy::XerialWriter;
use super::{Codec, Compression, gzip, lz4, zstd};

enum Writer {
    None(Vec<u8>),
    Gzip(gzip::GzipWriter),
    Snappy(Box<XerialWriter>),
    Lz4(Box<lz4::Lz4Writer>),
    Zstd(zstd::ZstdWriter),
}

/// Compresses what is written to it onto the end of a buffer.
pub struct Compressor(Writer);

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("written", &self.buffer().len()).finish_non_exhaustive()
    }
}

impl Compressor {
    /// Compresses onto the end of `buffer`, in the framing that Kafka's broker writes.
    ///
    /// # Errors
    /// When the encoder cannot be set up.
    pub fn new(compression: Compression, buffer: Vec<u8>) -> io::Result<Self> {
        let level = compression.level();
        Ok(Self(match compression.codec() {
            Codec::None => Writer::None(buffer),
            Codec::Gzip => Writer::Gzip(gzip::writer(buffer, level)),
            Codec::Snappy => Writer::Snappy(Box::new(XerialWriter::new(buffer))),
            Codec::Lz4 => Writer::Lz4(Box::new(lz4::writer(buffer))),
            Codec::Zstd => Writer::Zstd(zstd::ZstdWriter::new(buffer, level)?),
        }))
    }

    /// The buffer as it is now; the encoder may hold back some of what was written.
    pub fn buffer(&self) -> &Vec<u8> {
        match &self.0 {
            Writer::None(buffer) => buffer,
            Writer::Gzip(writer) => writer.get_ref(),
            Writer::Snappy(writer) => writer.get_ref(),
            Writer::Lz4(writer) => writer.get_ref(),
            Writer::Zstd(writer) => writer.get_ref(),
        }
    }

    /// The buffer, when it takes bytes as they are.
    pub(in crate::record) fn plain(&mut self) -> Option<&mut Vec<u8>> {
        match &mut self.0 {
            Writer::None(buffer) => Some(buffer),
            _ => None,
        }
    }

    /// Ends the blob and gives the buffer back.
    ///
    /// # Errors
    /// When the encoder fails.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        match self.0 {
            Writer::None(buffer) => Ok(buffer),
            Writer::Gzip(writer) => writer.finish(),
            Writer::Snappy(writer) => writer.finish(),
            Writer::Lz4(writer) => writer.finish().map_err(io::Error::from),
            Writer::Zstd(writer) => writer.finish(),
        }
    }
}

impl Write for Compressor {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Writer::None(buffer) => buffer.write(bytes),
            Writer::Gzip(writer) => writer.write(bytes),
            Writer::Snappy(writer) => writer.write(bytes),
            Writer::Lz4(writer) => writer.write(bytes),
            Writer::Zstd(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        // Flushing an encoder would cut its block short; `finish` writes everything.
        Ok(())
    }
}

//! Reading compressed blobs, under a cap.

use std::error::Error;
use std::io::{self, Read};
use std::{fmt, mem};

use super::Codec;
use super::gzip::GzipReader;
use super::lz4::{HeaderChecksum, Lz4Reader};
use super::snappy::SnappyReader;
use super::zstd::ZstdReader;

/// What a decompressor may use.
#[derive(Clone, Copy, Debug)]
pub struct DecompressLimits {
    /// The most bytes that may come out.
    pub bytes_max: u64,
    /// The largest zstd window, as a power of two. Kafka's clients read up to 27 (128 MiB), and
    /// its producers write that at level 22. A window is reserved when its frame begins, but takes
    /// real memory only as output fills it.
    pub zstd_window_log_max: u32,
}

impl DecompressLimits {
    /// At most `bytes_max` bytes of output, and the windows that Kafka's clients read.
    pub fn of_bytes(bytes_max: u64) -> Self {
        Self { bytes_max, zstd_window_log_max: 27 }
    }
}

/// Why a blob does not decompress.
#[derive(Debug)]
pub enum DecompressError {
    /// The blob is not of its codec's format, or is cut short.
    Corrupt {
        /// The codec.
        codec: Codec,
        /// What its decoder says.
        detail: String,
    },
    /// More comes out than allowed.
    TooLarge {
        /// The cap that was reached.
        bytes_max: u64,
    },
}

impl fmt::Display for DecompressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt { codec, detail } => {
                write!(f, "the {} data is corrupt: {detail}", codec.name())
            }
            Self::TooLarge { bytes_max } => {
                write!(f, "the data decompresses to more than {bytes_max} bytes")
            }
        }
    }
}

impl Error for DecompressError {}

impl DecompressError {
    /// The error of a [`Decompressor`] of `codec` that was read through [`io::Read`].
    pub fn from_read(codec: Codec, error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(error) => error,
            Err(error) => Self::Corrupt { codec, detail: error.to_string() },
        }
    }
}

impl From<DecompressError> for io::Error {
    fn from(error: DecompressError) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

enum Reader<'a> {
    None(&'a [u8]),
    Gzip(Box<GzipReader<'a>>),
    Snappy(SnappyReader<'a>),
    Lz4(Lz4Reader<'a>),
    Zstd(ZstdReader<'a>),
}

/// Decompresses a blob as it is read. After an error or the end, it only repeats the end.
pub struct Decompressor<'a> {
    codec: Codec,
    reader: Reader<'a>,
    bytes_left: u64,
    bytes_max: u64,
}

impl fmt::Debug for Decompressor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor")
            .field("codec", &self.codec)
            .field("bytes_left", &self.bytes_left)
            .finish_non_exhaustive()
    }
}

impl<'a> Decompressor<'a> {
    /// Reads `blob`, of a magic 1 wrapper or a magic 2 batch.
    ///
    /// # Errors
    /// When the decoder cannot be set up.
    pub fn new(
        codec: Codec,
        blob: &'a [u8],
        limits: DecompressLimits,
    ) -> Result<Self, DecompressError> {
        Self::with_lz4(codec, blob, limits, HeaderChecksum::Checked)
    }

    /// Reads `blob`, of a magic 0 wrapper, whose lz4 frames may have a wrong header checksum.
    ///
    /// # Errors
    /// When the decoder cannot be set up.
    pub fn of_magic_0(
        codec: Codec,
        blob: &'a [u8],
        limits: DecompressLimits,
    ) -> Result<Self, DecompressError> {
        Self::with_lz4(codec, blob, limits, HeaderChecksum::Ignored)
    }

    fn with_lz4(
        codec: Codec,
        blob: &'a [u8],
        limits: DecompressLimits,
        checksum: HeaderChecksum,
    ) -> Result<Self, DecompressError> {
        let reader = match codec {
            Codec::None => Reader::None(blob),
            Codec::Gzip => Reader::Gzip(Box::new(GzipReader::new(blob))),
            Codec::Snappy => Reader::Snappy(SnappyReader::new(blob, limits.bytes_max)),
            Codec::Lz4 => Reader::Lz4(Lz4Reader::new(blob, checksum)),
            Codec::Zstd => ZstdReader::new(blob, limits.zstd_window_log_max)
                .map(Reader::Zstd)
                .map_err(|error| DecompressError::from_read(codec, error))?,
        };
        let bytes_max = limits.bytes_max;
        Ok(Self { codec, reader, bytes_left: bytes_max, bytes_max })
    }

    /// Reads up to `to.len()` bytes; 0 at the end.
    ///
    /// # Errors
    /// When the blob is corrupt, or more comes out than allowed.
    pub fn read_some(&mut self, to: &mut [u8]) -> Result<usize, DecompressError> {
        let read = match &mut self.reader {
            Reader::None(rest) => rest.read(to),
            Reader::Gzip(reader) => reader.read(to),
            Reader::Snappy(reader) => reader.read(to),
            Reader::Lz4(reader) => reader.read(to),
            Reader::Zstd(reader) => reader.read(to),
        };
        let result = match read {
            Err(error) => Err(DecompressError::from_read(self.codec, error)),
            Ok(count) if count as u64 > self.bytes_left => {
                Err(DecompressError::TooLarge { bytes_max: self.bytes_max })
            }
            Ok(count) => {
                self.bytes_left -= count as u64;
                Ok(count)
            }
        };
        if result.is_err() {
            drop(mem::replace(&mut self.reader, Reader::None(&[])));
        }
        result
    }
}

impl Read for Decompressor<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_some(to)?)
    }
}

/// All of what `blob`, of a magic 1 wrapper or a magic 2 batch, decompresses to. The buffer grows
/// with the output.
///
/// # Errors
/// When the blob is corrupt, or more comes out than allowed.
pub fn decompress(
    codec: Codec,
    blob: &[u8],
    limits: DecompressLimits,
) -> Result<Vec<u8>, DecompressError> {
    let mut bytes = Vec::new();
    let mut reader = Decompressor::new(codec, blob, limits)?;
    match reader.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(DecompressError::from_read(codec, error)),
    }
}

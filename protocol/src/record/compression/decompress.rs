//! Reading compressed blobs, under a cap.

use std::error::Error;
use std::io::{self, Read};
use std::{fmt, mem};

use super::Codec;
use super::gzip::GzipReader;
use super::lz4::{HeaderChecksum, Lz4Reader};
use super::scratch::room;
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
    /// A block that is read in pieces, from `block_read` to `block_end`.
    block: Vec<u8>,
    block_read: usize,
    block_end: usize,
    bytes_left: u64,
    bytes_max: u64,
}

impl Reader<'_> {
    /// The next block of a codec that has them, decoded into `buffer` from `at` on: its length, or
    /// 0 at the end.
    fn next_block(&mut self, buffer: &mut Vec<u8>, at: usize) -> Option<io::Result<usize>> {
        match self {
            Self::Snappy(reader) => Some(reader.next_block(buffer, at)),
            Self::Lz4(reader) => Some(reader.next_block(buffer, at)),
            Self::None(_) | Self::Gzip(_) | Self::Zstd(_) => None,
        }
    }

    /// Reads from a codec whose blocks lie apart from what it gives.
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::None(rest) => rest.read(to),
            Self::Gzip(reader) => reader.read(to),
            Self::Zstd(reader) => reader.read(to),
            Self::Snappy(_) | Self::Lz4(_) => unreachable!("these are read by blocks"),
        }
    }
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
        let (block, block_read, block_end) = (Vec::new(), 0, 0);
        Ok(Self { codec, reader, block, block_read, block_end, bytes_left: bytes_max, bytes_max })
    }

    /// Reads up to `to.len()` bytes; 0 at the end.
    ///
    /// # Errors
    /// When the blob is corrupt, or more comes out than allowed.
    pub fn read_some(&mut self, to: &mut [u8]) -> Result<usize, DecompressError> {
        let read = self.read_uncounted(to);
        self.count(read)
    }

    /// Reads onto `buffer`, whose first `end` bytes are held: a whole block of a codec that has
    /// them, else up to `bytes_max` bytes. The buffer is made longer as is needed, and may be
    /// longer than what is read. 0 at the end.
    ///
    /// # Errors
    /// When the blob is corrupt, or more comes out than allowed.
    pub(in crate::record) fn read_onto(
        &mut self,
        buffer: &mut Vec<u8>,
        end: usize,
        bytes_max: usize,
    ) -> Result<usize, DecompressError> {
        let block = match self.block_read == self.block_end {
            true => self.reader.next_block(buffer, end),
            false => None,
        };
        let read = match block {
            Some(read) => read,
            None => self.read_uncounted(room(buffer, end, bytes_max)),
        };
        self.count(read)
    }

    fn read_uncounted(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.block_read == self.block_end {
            match self.reader.next_block(&mut self.block, 0) {
                None => return self.reader.read(to),
                Some(length) => (self.block_read, self.block_end) = (0, length?),
            }
        }
        let count = to.len().min(self.block_end - self.block_read);
        to[..count].copy_from_slice(&self.block[self.block_read..self.block_read + count]);
        self.block_read += count;
        Ok(count)
    }

    /// Counts what was read against the cap. Behind an error there is only the end.
    fn count(&mut self, read: io::Result<usize>) -> Result<usize, DecompressError> {
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
            (self.block_read, self.block_end) = (0, 0);
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

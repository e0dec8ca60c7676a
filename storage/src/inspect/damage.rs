//! What ends the reading of a file.

use std::fmt;
use std::io;

use ottla_protocol::record::compression::DecompressError;

/// Why a file cannot be read on. The text is that of Kafka's tool, without its stack trace.
#[derive(Debug)]
pub enum Damage {
    /// The operating system failed.
    Io(io::Error),
    /// A batch announces fewer bytes than the smallest batch has.
    BatchLength {
        /// The bytes announced.
        length: i32,
        /// The file.
        file: String,
        /// Where the batch begins, bytes.
        position: u64,
    },
    /// The file ends within a batch's header.
    HeaderTruncated {
        /// Where the batch begins, bytes.
        position: u64,
        /// The file.
        file: String,
        /// Bytes of the file.
        file_bytes: u64,
    },
    /// A codec's number that no codec has.
    UnknownCodec(u8),
    /// A magic below 0.
    LegacyMagic(i8),
    /// The batch announces a negative number of records.
    RecordCount {
        /// The number announced.
        count: i32,
        /// The batch's magic.
        magic: i8,
    },
    /// Records or their fields are not where the lengths say.
    Record(String),
    /// The records do not decompress.
    Decompress(DecompressError),
    /// The value of an old message would reach beyond it.
    ValueBeyond {
        /// The value's length as stored.
        size: i32,
        /// Bytes that are there.
        there: usize,
    },
    /// A field lies beyond its buffer, for which Kafka has no text.
    OutOfBounds,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::BatchLength { length, file, .. } => write!(
                f,
                "Found record size {length} smaller than minimum record overhead (14) in file \
                 {file}."
            ),
            Self::HeaderTruncated { position, file, file_bytes } => write!(
                f,
                "Failed to load record batch at position {position} from \
                 FileRecords(size={file_bytes}, file={file}, start=0, end={file_bytes})"
            ),
            Self::UnknownCodec(id) => write!(f, "Unknown compression type id: {id}"),
            Self::LegacyMagic(magic) => write!(f, "Invalid magic used in LegacyRecord: {magic}"),
            Self::RecordCount { count, magic } => {
                write!(f, "Found invalid record count {count} in magic v{magic} batch")
            }
            Self::Record(text) => f.write_str(text),
            Self::Decompress(_) => f.write_str("Failed to decompress record stream"),
            Self::ValueBeyond { size, there } => {
                write!(f, "newLimit > capacity: ({size} > {there})")
            }
            Self::OutOfBounds => f.write_str("null"),
        }
    }
}

impl std::error::Error for Damage {}

impl From<io::Error> for Damage {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

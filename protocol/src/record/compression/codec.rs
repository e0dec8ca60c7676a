//! The codecs by number and by name, and their levels.

use std::error::Error;
use std::fmt;

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy blocks: raw, or in the framing of the JVM's library.
    Snappy,
    /// The LZ4 frame format.
    Lz4,
    /// Zstandard, RFC 8878.
    Zstd,
}

impl Codec {
    /// All of them, by number.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec of this number in a batch's attributes; `None` for 5 and above.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.get(usize::from(id)).copied()
    }

    /// Its number in a batch's attributes.
    pub fn id(self) -> u8 {
        self as u8
    }

    /// Kafka's name for it, as in a client's `compression.type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The levels that Kafka's `compression.<codec>.level` settings allow; `None` for a codec
    /// without levels.
    pub fn levels(self) -> Option<(i32, i32)> {
        match self {
            Self::None | Self::Snappy => None,
            // 0, which would store, is not among them.
            Self::Gzip => Some((-1, 9)),
            Self::Lz4 => Some((1, 17)),
            Self::Zstd => Some((-131_072, 22)),
        }
    }

    /// The level when none is set; 0 for a codec without levels.
    pub fn default_level(self) -> i32 {
        match self {
            Self::None | Self::Snappy => 0,
            Self::Gzip => -1,
            Self::Lz4 => 9,
            Self::Zstd => 3,
        }
    }
}

/// A codec and how hard it tries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compression {
    codec: Codec,
    level: i32,
}

impl Compression {
    /// No compression.
    pub const NONE: Self = Self { codec: Codec::None, level: 0 };

    /// The codec at its default level.
    pub fn new(codec: Codec) -> Self {
        Self { codec, level: codec.default_level() }
    }

    /// The codec at `level`, which a codec without levels ignores.
    ///
    /// # Errors
    /// When Kafka's setting of that name would not allow the level.
    pub fn with_level(codec: Codec, level: i32) -> Result<Self, InvalidLevel> {
        match codec.levels() {
            None => Ok(Self::new(codec)),
            Some((least, most)) => {
                let stores = codec == Codec::Gzip && level == 0;
                let allowed = (least..=most).contains(&level) && !stores;
                if allowed { Ok(Self { codec, level }) } else { Err(InvalidLevel { codec, level }) }
            }
        }
    }

    /// The codec.
    pub fn codec(self) -> Codec {
        self.codec
    }

    /// The level, as in Kafka's settings.
    pub fn level(self) -> i32 {
        self.level
    }
}

/// A compression level outside of what Kafka's settings allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidLevel {
    /// The codec.
    pub codec: Codec,
    /// The level asked for.
    pub level: i32,
}

impl fmt::Display for InvalidLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has no compression level {}", self.codec.name(), self.level)
    }
}

impl Error for InvalidLevel {}

//! Compression of a batch's records, one file for each codec.
//!
//! Both directions stream. [`Decompressor`] reads from a blob in memory, under a cap on what comes
//! out, and holds no more than one block or window of its codec; [`Compressor`] appends to the
//! buffer that the batch is built in. What a blob claims about its size is never believed: memory
//! is taken as output is made.
//!
//! | codec | written | read |
//! |---|---|---|
//! | gzip | one member | members one after the other; what follows them is ignored |
//! | snappy | the JVM library's framing, blocks of 32 KiB | that framing, or one raw block |
//! | lz4 | frames of independent 64 KiB blocks, no checksums | what the JVM client reads |
//! | zstd | one frame of unknown size | frames one after the other |

mod codec;
mod compress;
mod decompress;
mod gzip;
pub mod lz4;
mod scratch;
pub mod snappy;
mod zstd;

pub use codec::{Codec, Compression, InvalidLevel};
pub use compress::Compressor;
pub use decompress::{DecompressError, DecompressLimits, Decompressor, decompress};
pub(in crate::record) use scratch::Scratch;

#[cfg(test)]
mod tests;

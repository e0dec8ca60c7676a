//! What broker, client and tools have in common where they read settings: the syntax of Java's
//! properties files, and a guess at what an unknown name was meant to be.
//!
//! ```
//! let read = ottla_properties::parse(b"# ours\nnum.partition = 3\n")?;
//! assert_eq!((read[0].line, &*read[0].key, &*read[0].value), (2, "num.partition", "3"));
//! let known = ["num.partitions", "num.io.threads"];
//! assert_eq!(ottla_properties::nearest(&read[0].key, known.into_iter()), Some("num.partitions"));
//! # Ok::<(), ottla_properties::BadEscape>(())
//! ```
#![forbid(unsafe_code)]

mod file;
mod nearest;

pub use file::{BadEscape, Property, parse, write_line};
pub use nearest::nearest;

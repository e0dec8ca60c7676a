//! Records as JSON, as Kafka's own tools print them: for people, and for programs that want no
//! protocol library.
//!
//! The message tables drive it ([`crate::wire::reflect`]); nothing is written twice. The text is
//! that of Kafka's generated converters, byte for byte: names in camel case, fields in the order of
//! Kafka's schemas, tagged fields only when they are not at their default, bytes as base64, ids as
//! their 22 characters. What cannot be read says what Kafka's tool says of it.
//!
//! ```
//! use ottla_protocol::json::{Decoder, Line};
//!
//! let decoder = Decoder::offsets();
//! let key = b"\0\x01\0\x02g1\0\x01t\0\0\0\0";
//! let line = decoder.decode(7, Some(&key[..]), None);
//! let key = r#"{"type":"1","data":{"group":"g1","topic":"t","partition":0}}"#;
//! assert_eq!(line, Ok(Line { key: Some(key.into()), payload: Some("<DELETE>".into()) }));
//! ```

mod coordinator;
mod decode;
mod metadata;
mod text;

pub use coordinator::{Decoder, Line, MissingKey};
pub use decode::{Fault, Schema};
pub use metadata::{control, metadata_record};
pub use text::{java_string, push_quoted};

#[cfg(test)]
mod tests;

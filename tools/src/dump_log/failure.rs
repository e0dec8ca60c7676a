//! What ends the dump of a file. Kafka's tool dies of an exception then; this one says the same
//! first line and leaves out where in Kafka's source it was.

use std::fmt;
use std::io;

use ottla_storage::inspect::Damage;

/// The end of a dump, by the name of Java's exception.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    class: &'static str,
    message: Option<String>,
}

/// Why a dump does not go on.
#[derive(Debug)]
pub(super) enum Stop {
    /// The file cannot be read on.
    File(Failure),
    /// The output cannot be written.
    Output(io::Error),
}

impl Failure {
    pub(super) fn new(class: &'static str, message: String) -> Self {
        Self { class, message: Some(message) }
    }

    /// An exception that has no text.
    pub(super) fn silent(class: &'static str) -> Self {
        Self { class, message: None }
    }

    /// What it says.
    pub(super) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or(self.class)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.class)?;
        self.message.as_ref().map_or(Ok(()), |message| write!(f, ": {message}"))
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::File(failure)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<Damage> for Failure {
    fn from(damage: Damage) -> Self {
        let class = match &damage {
            Damage::Io(_) => "java.io.IOException",
            Damage::BatchLength { .. } => "org.apache.kafka.common.errors.CorruptRecordException",
            Damage::HeaderTruncated { .. } | Damage::Decompress(_) => {
                "org.apache.kafka.common.KafkaException"
            }
            Damage::UnknownCodec(_) | Damage::LegacyMagic(_) | Damage::ValueBeyond { .. } => {
                "java.lang.IllegalArgumentException"
            }
            Damage::Record(text) if text.starts_with("Varint is too long") => {
                "java.lang.IllegalArgumentException"
            }
            Damage::Record(text) if text.starts_with("Record size is less") => {
                "org.apache.kafka.common.errors.CorruptRecordException"
            }
            Damage::RecordCount { .. } | Damage::Record(_) => {
                "org.apache.kafka.common.InvalidRecordException"
            }
            Damage::OutOfBounds => return Self::silent("java.lang.IndexOutOfBoundsException"),
        };
        Self::new(class, damage.to_string())
    }
}

impl From<Damage> for Stop {
    fn from(damage: Damage) -> Self {
        Self::File(damage.into())
    }
}

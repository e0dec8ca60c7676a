//! What clients and the harness write down.

use crate::value::Payload;

/// A topic's id: the same name created again is another topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub [u8; 16]);

/// A partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Its topic.
    pub topic: TopicId,
    /// Its number within the topic.
    pub partition: i32,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The broker said that it was done.
    Acked,
    /// The broker said, by an error that leaves no doubt, that it was not and will not be done.
    Failed,
    /// Nobody knows: no answer came, or one that leaves it open.
    Unknown,
}

/// Which records of a topic may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// None.
    Keep,
    /// Those below the log start offset, which retention by size moves up, a segment at a time.
    /// Whether it took too much is seen in [`What::Files`] only.
    Expire {
        /// Bytes of the log that have to stay.
        bytes: u64,
    },
    /// All but each key's last. A record's key is its producer and its number modulo `keys`.
    Compact {
        /// Keys of a producer, at least 1.
        keys: u64,
    },
}

/// A topic and its promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its id.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: i32,
    /// Which records may go.
    pub policy: Policy,
    /// Whether a record is on the disk when it is acknowledged. If not, a loss of power may take
    /// a partition's last records.
    pub synced: bool,
}

/// An attempt to append records whose numbers follow each other, as one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Send {
    /// Where to.
    pub place: Place,
    /// Who.
    pub producer: u32,
    /// The life of an idempotent producer: its id and epoch. `None` without idempotence.
    pub session: Option<u32>,
    /// The number of the first record.
    pub first_sequence: u64,
    /// How many records, at least 1.
    pub count: u32,
    /// The offset of the first record, from an answer that told it.
    pub base_offset: Option<i64>,
    /// What became of it.
    pub outcome: Outcome,
}

/// A record that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, ms since the epoch.
    pub timestamp_ms: i64,
    /// Its value.
    pub payload: Payload,
}

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A consumer beside the load, which goes on where it stopped.
    Live,
    /// A consumer that reads everything after the load has ended.
    Final,
    /// A program that reads the files, past the broker.
    Raw,
}

/// An answered read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Where from.
    pub place: Place,
    /// Who.
    pub reader: Reader,
    /// The offset that was asked for.
    pub from: i64,
    /// The offset to go on from.
    pub next: i64,
    /// The high watermark that was told, if any.
    pub high_watermark: Option<i64>,
    /// The log start offset that was told, if any.
    pub log_start: Option<i64>,
    /// Records at and behind `from`, in their order.
    pub records: Vec<Seen>,
}

/// What happens to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process ended, by whatever way; the system's page cache stays.
    Process,
    /// What was not synced is gone.
    Power,
}

/// A number that one writer counts up and others read: a committed offset, a setting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Register {
    /// Its name, of the group or the setting, and of the topic within.
    pub name: String,
    /// Whether a write is on the disk when it is acknowledged.
    pub synced: bool,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A topic was to be created. With an id that nobody was told, it is not recorded.
    Created {
        /// The topic.
        topic: Topic,
        /// What became of it.
        outcome: Outcome,
    },
    /// A topic was to be deleted.
    Deleted {
        /// Its id.
        topic: TopicId,
        /// What became of it.
        outcome: Outcome,
    },
    /// All topics that the broker says there are, with their numbers of partitions.
    Listed(Vec<(TopicId, i32)>),
    /// Records were sent.
    Send(Send),
    /// Records were read.
    Read(Read),
    /// Ends of a log as ListOffsets gives them.
    Ends {
        /// Of which partition.
        place: Place,
        /// The earliest offset, if asked for.
        log_start: Option<i64>,
        /// The latest offset, if asked for.
        end: Option<i64>,
    },
    /// The answer to the question for the first record with this timestamp or a later one.
    Lookup {
        /// Of which partition.
        place: Place,
        /// The timestamp asked for, ms.
        timestamp_ms: i64,
        /// Offset and timestamp of the record found.
        found: Option<(i64, i64)>,
    },
    /// A register was to be set. Values of a register only grow.
    Set {
        /// Which.
        register: Register,
        /// To what, at least 0.
        value: i64,
        /// What became of it.
        outcome: Outcome,
    },
    /// A register was read; `None` when it had never been set.
    Got {
        /// Which.
        register: Register,
        /// What it held.
        value: Option<i64>,
    },
    /// The files say that the log is on the disk up to this offset.
    Flushed {
        /// Of which partition.
        place: Place,
        /// The first offset that may not be.
        end: i64,
    },
    /// A partition's segments: the base offset and the bytes of each, in order. No broker runs.
    Files {
        /// Of which partition.
        place: Place,
        /// The first offset of each and its size.
        segments: Vec<(i64, u64)>,
    },
    /// The broker ended.
    Crash(Crash),
    /// The broker answers again.
    Restarted,
    /// Where a partition ends after a loss of power.
    Recovered {
        /// Which.
        place: Place,
        /// Its first free offset.
        end: i64,
    },
    /// A client begins; from now on it should get on.
    Started,
    /// A client ends on purpose; nothing more is expected from it.
    Stopped,
}

/// One line of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it began, in ns of any one clock.
    pub began_ns: u64,
    /// When it ended, not before it began.
    pub ended_ns: u64,
    /// Who saw it.
    pub client: u32,
    /// What was seen.
    pub what: What,
}

//! What can be wrong with a history.

use std::fmt;

use crate::event::Place;

/// The promise that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// An acknowledged record is not there.
    LostWrite,
    /// A record that a consumer has read is not there any more.
    LostRead,
    /// An offset held different records at different times.
    InconsistentOffset,
    /// A new record was given an offset below the end of its log.
    OffsetReuse,
    /// A log's end, high watermark or start went back.
    Regress,
    /// Retention by size has taken more than it may.
    ExpiredEarly,
    /// A record is there twice.
    Duplicate,
    /// Records of a producer are not in the order in which it sent them.
    Order,
    /// A record is there and one that its idempotent producer sent before it is not.
    Gap,
    /// A batch is there in part.
    TornBatch,
    /// A record that nobody sent, or that was sent elsewhere.
    Phantom,
    /// A record whose producer was told that it was refused.
    FailedVisible,
    /// A consumer was taken past records or back to records it had read.
    PollSkip,
    /// A committed offset or a setting went back, or ran ahead of what was written.
    Register,
    /// A search by timestamp found another record than a look at all of them.
    TimestampLookup,
    /// A topic that was created is not there, or not whole.
    TopicLost,
    /// A topic that was deleted is there.
    TopicUndead,
    /// A client got nothing done for too long while the broker ran.
    Liveness,
}

impl Rule {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Rule::LostWrite => "lost-write",
            Rule::LostRead => "lost-read",
            Rule::InconsistentOffset => "inconsistent-offset",
            Rule::OffsetReuse => "offset-reuse",
            Rule::Regress => "regress",
            Rule::ExpiredEarly => "expired-early",
            Rule::Duplicate => "duplicate",
            Rule::Order => "order",
            Rule::Gap => "gap",
            Rule::TornBatch => "torn-batch",
            Rule::Phantom => "phantom",
            Rule::FailedVisible => "failed-visible",
            Rule::PollSkip => "poll-skip",
            Rule::Register => "group-offset-register",
            Rule::TimestampLookup => "timestamp-lookup",
            Rule::TopicLost => "topic-lost",
            Rule::TopicUndead => "topic-undead",
            Rule::Liveness => "liveness",
        }
    }
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// Where, if in one partition.
    pub place: Option<Place>,
    /// With offsets, numbers and times.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.rule.name())?;
        if let Some(place) = self.place {
            let id = u128::from_be_bytes(place.topic.0);
            write!(f, " in {id:032x}-{}", place.partition)?;
        }
        write!(f, ": {}", self.text)
    }
}

//! What can go wrong, and of what: one type for all of the crate.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ottla_protocol::error_code::ErrorCode;

use crate::partition::TopicPartition;

/// An error: what kind it is, and the topic, partition, group and broker that it is about.
///
/// It is cheap to clone: all records of a batch that fails share it.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    detail: String,
    topic: Option<String>,
    partition: Option<i32>,
    group: Option<String>,
    broker: Option<String>,
}

/// What kind of error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is unknown or has a value that is not valid.
    Config,
    /// The call makes no sense as it is: an empty topic name, a partition that is not assigned.
    Usage,
    /// A broker answered with this code.
    Broker(ErrorCode),
    /// A broker could not be reached, or the connection ended before the answer.
    Network,
    /// It was not done within this time.
    Timeout(Duration),
    /// A broker sent bytes that are no answer, or one that makes no sense. The connection is
    /// closed then.
    Malformed,
    /// A broker does not serve the request in any version that this client knows.
    UnsupportedVersion,
    /// Records that a broker sent fail their checksum, or are none. The partition goes on when it
    /// is sought past them.
    Corrupt,
    /// A partition has no committed offset, or its offset is not there, and `auto.offset.reset`
    /// does not say where else to begin. It goes on when it is sought.
    NoOffset,
    /// Records that were read are not in the log any more, because another replica leads since
    /// (KIP-320).
    Truncated,
    /// [`Consumer::wakeup`](crate::Consumer::wakeup) was called.
    Wakeup,
    /// The client was closed.
    Closed,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            detail: detail.into(),
            topic: None,
            partition: None,
            group: None,
            broker: None,
        }))
    }

    /// What a broker answered: nothing for success. `message`: what it said beside the code.
    pub(crate) fn of_code(code: ErrorCode, message: Option<&str>) -> Result<(), Self> {
        if code.is_none() {
            return Ok(());
        }
        Err(Self::new(ErrorKind::Broker(code), message.unwrap_or_default()))
    }

    pub(crate) fn closed(what: &str) -> Self {
        Self::new(ErrorKind::Closed, format!("the {what} was closed"))
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        match Arc::get_mut(&mut self.0) {
            Some(inner) => {
                change(inner);
                self
            }
            None => {
                let mut inner = Inner::clone(&self.0);
                change(&mut inner);
                Self(Arc::new(inner))
            }
        }
    }

    /// The same of this topic.
    #[must_use]
    pub(crate) fn of_topic(self, topic: &str) -> Self {
        self.with(|inner| inner.topic = Some(topic.to_owned()))
    }

    /// The same of this partition.
    #[must_use]
    pub(crate) fn of_partition(self, topic: &str, partition: i32) -> Self {
        self.with(|inner| {
            inner.topic = Some(topic.to_owned());
            inner.partition = Some(partition);
        })
    }

    /// The same of this group.
    #[must_use]
    pub(crate) fn of_group(self, group: &str) -> Self {
        self.with(|inner| inner.group = Some(group.to_owned()))
    }

    /// The same of this partition.
    #[must_use]
    pub(crate) fn of(self, partition: &TopicPartition) -> Self {
        self.of_partition(&partition.topic, partition.partition)
    }

    /// The same of something that has no place of its own here, said before the detail.
    #[must_use]
    pub(crate) fn about(self, what: impl fmt::Display) -> Self {
        let what = what.to_string();
        if self.0.detail.starts_with(&what) {
            return self;
        }
        self.with(|inner| {
            inner.detail = match inner.detail.as_str() {
                "" => what,
                detail => format!("{what}: {detail}"),
            };
        })
    }

    /// The same from this broker: its id and address, as people know it.
    #[must_use]
    pub(crate) fn at(self, broker: impl fmt::Display) -> Self {
        self.with(|inner| inner.broker = Some(broker.to_string()))
    }

    /// What kind it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The code that a broker answered with; `None` when none did.
    pub fn code(&self) -> Option<ErrorCode> {
        match self.0.kind {
            ErrorKind::Broker(code) => Some(code),
            _ => None,
        }
    }

    /// What is known beside the kind, for people.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The topic that it is about.
    pub fn topic(&self) -> Option<&str> {
        self.0.topic.as_deref()
    }

    /// The partition of the topic that it is about.
    pub fn partition(&self) -> Option<i32> {
        self.0.partition
    }

    /// The group that it is about.
    pub fn group(&self) -> Option<&str> {
        self.0.group.as_deref()
    }

    /// The broker that answered so, or did not: `1 (localhost:9092)`.
    pub fn broker(&self) -> Option<&str> {
        self.0.broker.as_deref()
    }

    /// Whether the same call may succeed when it is made again. What this crate retries by itself
    /// it has retried, until the time that the settings give it was over.
    pub fn is_retriable(&self) -> bool {
        match self.0.kind {
            ErrorKind::Broker(code) => code.is_retriable(),
            ErrorKind::Network | ErrorKind::Timeout(_) => true,
            ErrorKind::Config
            | ErrorKind::Usage
            | ErrorKind::Malformed
            | ErrorKind::UnsupportedVersion
            | ErrorKind::Corrupt
            | ErrorKind::NoOffset
            | ErrorKind::Truncated
            | ErrorKind::Closed => false,
            ErrorKind::Wakeup => true,
        }
    }

    /// Whether the client that had it cannot go on: another one has taken its place, or what it is
    /// not allowed to do it never will be.
    pub fn is_fatal(&self) -> bool {
        match self.0.kind {
            ErrorKind::Closed => true,
            ErrorKind::Broker(code) => matches!(
                code,
                ErrorCode::PRODUCER_FENCED
                    | ErrorCode::INVALID_PRODUCER_EPOCH
                    | ErrorCode::FENCED_INSTANCE_ID
                    | ErrorCode::UNRELEASED_INSTANCE_ID
                    | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
                    | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                    | ErrorCode::UNSUPPORTED_VERSION
            ),
            _ => false,
        }
    }
}

/// `orders-3, broker 1 (localhost:9092): NOT_LEADER_OR_FOLLOWER (6): ...`
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let mut about = false;
        if let Some(topic) = &inner.topic {
            f.write_str(topic)?;
            if let Some(partition) = inner.partition {
                write!(f, "-{partition}")?;
            }
            about = true;
        }
        if let Some(group) = &inner.group {
            write!(f, "{}group {group}", if about { ", " } else { "" })?;
            about = true;
        }
        if let Some(broker) = &inner.broker {
            write!(f, "{}broker {broker}", if about { ", " } else { "" })?;
            about = true;
        }
        if about {
            f.write_str(": ")?;
        }
        let kind = match inner.kind {
            ErrorKind::Broker(code) => code.to_string(),
            ErrorKind::Timeout(after) => format!("not done within {} ms", after.as_millis()),
            ErrorKind::Malformed => "malformed answer".to_owned(),
            _ => String::new(),
        };
        match (kind.as_str(), inner.detail.as_str()) {
            ("", detail) => f.write_str(detail),
            (kind, "") => f.write_str(kind),
            (kind, detail) => write!(f, "{kind}: {detail}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_of_what_it_is() {
        let error = Error::of_code(ErrorCode::NOT_LEADER_OR_FOLLOWER, Some("moved")).unwrap_err();
        assert_eq!(error.to_string(), "NOT_LEADER_OR_FOLLOWER (6): moved");
        let shared = error.clone();
        let error = error.of_partition("orders", 3).at("1 (localhost:9092)");
        let text = "orders-3, broker 1 (localhost:9092): NOT_LEADER_OR_FOLLOWER (6): moved";
        assert_eq!(error.to_string(), text);
        assert_eq!((error.topic(), error.partition()), (Some("orders"), Some(3)));
        assert_eq!(shared.topic(), None);
        assert!(error.is_retriable() && !error.is_fatal());
        let of_group = Error::new(ErrorKind::Usage, "no").of_group("g").at("1 (h:1)");
        assert_eq!(of_group.to_string(), "group g, broker 1 (h:1): no");
        let about = of_group.about("member m").about("member m");
        assert_eq!(about.to_string(), "group g, broker 1 (h:1): member m: no");
        let late = Error::new(ErrorKind::Timeout(Duration::from_secs(2)), "no broker answers");
        assert_eq!(late.to_string(), "not done within 2000 ms: no broker answers");
        assert!(Error::of_code(ErrorCode::NONE, None).is_ok());
        let fenced = Error::of_code(ErrorCode::PRODUCER_FENCED, None).unwrap_err();
        assert!(fenced.is_fatal() && !fenced.is_retriable());
        assert_eq!(fenced.to_string(), "PRODUCER_FENCED (90)");
    }
}

//! Names of topic-partition directories.
//!
//! | state | name |
//! |---|---|
//! | live | `{topic}-{partition}` |
//! | to be deleted | `{topic}-{partition}.{32 hex}-delete` |
//! | not of this cluster | `{topic}-{partition}.{32 hex}-stray` |
//! | moving in from another directory | `{topic}-{partition}.{32 hex}-future` |
//!
//! A topic may itself contain `-`, `.` and digits, so names are split at the last `-`.

use std::fmt;
use std::sync::Arc;

/// Longest file name that Linux file systems take, bytes.
const FILE_NAME_BYTES_MAX: usize = 255;
/// Longest topic name that Kafka admits, characters.
pub const TOPIC_NAME_CHARS_MAX: usize = 249;

/// A partition of a topic, by name. Its text form is its directory's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Names a partition. Whether the topic's name is legal is not checked; see
    /// [`is_legal_topic_name`].
    pub fn new(topic: &str, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// What a directory's name says about the log in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirState {
    /// In use.
    Live,
    /// Deleted; its files go after a delay.
    Deleted,
    /// Unknown to the cluster; kept aside until a person removes it.
    Stray,
    /// Being filled to replace a log in another data directory.
    Future,
}

impl DirState {
    fn suffix(self) -> &'static str {
        match self {
            Self::Live => "",
            Self::Deleted => "-delete",
            Self::Stray => "-stray",
            Self::Future => "-future",
        }
    }
}

/// A topic-partition directory's name, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionDir {
    /// Whose log it is. The topic of a deleted or stray one may have been cut.
    pub topic_partition: TopicPartition,
    /// What the suffix says.
    pub state: DirState,
}

/// The name does not belong to a topic-partition directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirNameError {
    /// The name.
    pub name: String,
}

impl fmt::Display for DirNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "directory {:?} is not named topic-partition", self.name)
    }
}

impl std::error::Error for DirNameError {}

impl PartitionDir {
    /// Takes a directory's name apart.
    ///
    /// # Errors
    /// [`DirNameError`]: a Kafka broker refuses to start when it finds such a directory.
    pub fn parse(name: &str) -> Result<Self, DirNameError> {
        let refuse = || DirNameError { name: name.to_owned() };
        let marked = [DirState::Deleted, DirState::Stray, DirState::Future];
        let state = marked.into_iter().find(|state| name.ends_with(state.suffix()));
        let live_name = match state {
            None => name,
            Some(state) => {
                let body = &name[..name.len() - state.suffix().len()];
                if name.contains(is_java_space) || !has_marked_shape(body) {
                    return Err(refuse());
                }
                name.rsplit_once('.').ok_or_else(refuse)?.0
            }
        };
        let (topic, partition) = live_name.rsplit_once('-').ok_or_else(refuse)?;
        let partition = partition.parse().map_err(|_| refuse())?;
        if topic.is_empty() {
            return Err(refuse());
        }
        let topic_partition = TopicPartition::new(topic, partition);
        Ok(Self { topic_partition, state: state.unwrap_or(DirState::Live) })
    }
}

/// The directory name of `topic_partition` in `state`. `unique`, a random UUID v4, tells apart the
/// directories of topics that are deleted and made again; a live one has none.
///
/// The topic is cut where the name would be longer than a file name may be, but not for a future
/// directory: its topic must be read back whole, and a name too long fails when it is made.
pub fn dir_name(topic_partition: &TopicPartition, state: DirState, unique: u128) -> String {
    if state == DirState::Live {
        return topic_partition.to_string();
    }
    let tail = format!("-{}.{unique:032x}{}", topic_partition.partition, state.suffix());
    let topic = &*topic_partition.topic;
    let topic_bytes_max = match state {
        DirState::Future => topic.len(),
        _ => FILE_NAME_BYTES_MAX - tail.len(),
    };
    format!("{}{tail}", &topic[..topic.floor_char_boundary(topic_bytes_max)])
}

/// Whether Kafka admits a topic of this name: 1 to 249 of `a-zA-Z0-9._-`, neither `.` nor `..`.
/// Only such names can be put into a path.
pub fn is_legal_topic_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=TOPIC_NAME_CHARS_MAX).contains(&name.len())
        && !matches!(name, "." | "..")
        && name.bytes().all(legal)
}

/// Whether `body`, the name before its suffix, is anything, `-`, anything, `.`, anything, where
/// "anything" is at least one character.
fn has_marked_shape(body: &str) -> bool {
    let mut chars = body.char_indices();
    chars.next();
    let Some((dash, _)) = chars.find(|&(_, char)| char == '-') else { return false };
    chars.next();
    let dot = chars.find(|&(_, char)| char == '.').map(|(dot, _)| dot);
    dot.is_some_and(|dot| dash < dot && dot + 1 < body.len())
}

/// What `\s` means to Java's regular expressions.
fn is_java_space(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\n' | '\x0B' | '\x0C' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIQUE: u128 = 0x0123_4567_89ab_4def_8123_4567_89ab_cdef;

    #[test]
    fn names_are_split_at_the_last_dash() {
        let hex = "0123456789ab4def8123456789abcdef";
        let table = [
            ("orders-0", Some(("orders", 0, DirState::Live))),
            ("a-1-2", Some(("a-1", 2, DirState::Live))),
            ("foo-delete-0", Some(("foo-delete", 0, DirState::Live))),
            ("a.b_c-2147483647", Some(("a.b_c", i32::MAX, DirState::Live))),
            ("a--5", Some(("a-", 5, DirState::Live))),
            ("HEX", None),
            ("lost+found", None),
            ("", None),
            ("-", None),
            ("-0", None),
            ("a-", None),
            ("a-x", None),
            ("a-2147483648", None),
            ("a-0.HEX", None),
            ("a-0.HEX-delete", Some(("a", 0, DirState::Deleted))),
            ("a-b.c-7.HEX-stray", Some(("a-b.c", 7, DirState::Stray))),
            ("a-0.HEX-future", Some(("a", 0, DirState::Future))),
            ("foo-delete", None),
            ("a-0-delete", None),
            ("a-0.-delete", None),
            ("-0.HEX-delete", None),
            ("a-.HEX-delete", None),
            ("a b-0.HEX-delete", None),
            ("a-0.x.-stray", None),
        ];
        for (name, expected) in table {
            let name = name.replace("HEX", hex);
            let expected = expected.map(|(topic, partition, state)| PartitionDir {
                topic_partition: TopicPartition::new(topic, partition),
                state,
            });
            assert_eq!(PartitionDir::parse(&name).ok(), expected, "{name}");
        }
    }

    #[test]
    fn made_names_are_read_back() {
        let states = [DirState::Live, DirState::Deleted, DirState::Stray, DirState::Future];
        for topic in ["a", "a-1", "a.b", "x-delete", "..-..", &"t".repeat(249)] {
            for state in states {
                let topic_partition = TopicPartition::new(topic, 12);
                let name = dir_name(&topic_partition, state, UNIQUE);
                let dir = PartitionDir::parse(&name).unwrap();
                assert_eq!(dir.state, state);
                assert_eq!(dir.topic_partition.partition, 12);
                assert!(topic.starts_with(&*dir.topic_partition.topic));
                assert_eq!(name.len() <= 255, state != DirState::Future || topic.len() < 200);
            }
        }
    }

    #[test]
    fn long_topics_are_cut_to_the_name_limit() {
        let topic_partition = TopicPartition::new(&"t".repeat(249), 3);
        let name = dir_name(&topic_partition, DirState::Deleted, UNIQUE);
        assert_eq!(name.len(), 255);
        assert!(name.ends_with("t-3.0123456789ab4def8123456789abcdef-delete"));
    }

    #[test]
    fn legal_topic_names() {
        for name in ["a", "A.b_C-9", "...", &"x".repeat(249)] {
            assert!(is_legal_topic_name(name), "{name}");
        }
        for name in ["", ".", "..", "a/b", "a b", "ä", "a\0", "a\\b", &"x".repeat(250)] {
            assert!(!is_legal_topic_name(name), "{name}");
        }
    }
}

//! Groups of kinds that are not served here: share groups (KIP-932) and streams groups (KIP-1071).
//!
//! Their records stay in the log for the broker that wrote them. What has to be known of them is
//! that they are there: were a group of another kind made under the same id, that broker could not
//! read the partition any more. So such an id is refused to members and commits, and offsets that
//! are committed under it neither expire nor are deleted.

use std::collections::HashMap;

use ottla_protocol::error_code::ErrorCode;

/// The kinds of keys that say that a group exists; their values are its epoch.
const SHARE_GROUP_METADATA: i16 = 11;
const STREAMS_GROUP_METADATA: i16 = 17;
/// The kinds of keys of share groups, and of streams groups.
const SHARE_KINDS: std::ops::RangeInclusive<i16> = 10..=15;
const STREAMS_KINDS: std::ops::RangeInclusive<i16> = 17..=23;

/// What such a group is refused with, where a member of another kind joins it.
pub(super) const JOIN_REFUSED: ErrorCode = ErrorCode::INCONSISTENT_GROUP_PROTOCOL;

/// The ids of the groups, each with the kind of its key.
#[derive(Debug, Default)]
pub(super) struct ForeignGroups {
    groups: HashMap<String, i16>,
    /// Kinds of keys that were told of.
    told: Vec<i16>,
}

impl ForeignGroups {
    /// Whether the id is that of such a group.
    pub(super) fn contains(&self, group_id: &str) -> bool {
        self.groups.contains_key(group_id)
    }

    /// The ids, each with the name that Kafka has for the type of the group.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.groups.iter().map(|(group_id, kind)| {
            (group_id.as_str(), if *kind == SHARE_GROUP_METADATA { "share" } else { "streams" })
        })
    }

    /// Takes note of a record by its kind, its whole key, and whether it has a value.
    pub(super) fn note(&mut self, kind: i16, key: &[u8], has_value: bool) {
        if !self.told.contains(&kind) {
            self.told.push(kind);
            let whose = match kind {
                kind if SHARE_KINDS.contains(&kind) => "share groups",
                kind if STREAMS_KINDS.contains(&kind) => "streams groups",
                _ => "groups that are not known",
            };
            log::info!("records of kind {kind} in the groups' log, of {whose}, are kept");
        }
        if ![SHARE_GROUP_METADATA, STREAMS_GROUP_METADATA].contains(&kind) {
            return;
        }
        let Some(group_id) = group_id(key) else { return };
        if has_value {
            self.groups.insert(group_id.to_owned(), kind);
        } else if self.groups.get(group_id) == Some(&kind) {
            self.groups.remove(group_id);
        }
    }
}

/// The group's id, with which each of these keys begins: after the kind, a length and the text.
fn group_id(key: &[u8]) -> Option<&str> {
    let (len, text) = key.get(2..)?.split_first_chunk()?;
    let len = usize::try_from(i16::from_be_bytes(*len)).ok()?;
    std::str::from_utf8(text.get(..len)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: i16, group_id: &str) -> Vec<u8> {
        let len = group_id.len() as i16;
        [&kind.to_be_bytes()[..], &len.to_be_bytes(), group_id.as_bytes()].concat()
    }

    #[test]
    fn groups_come_and_go_by_their_own_record() {
        let mut foreign = ForeignGroups::default();
        foreign.note(11, &key(11, "sg"), true);
        foreign.note(17, &key(17, "app"), true);
        foreign.note(12, &key(12, "other"), true);
        foreign.note(11, &key(11, "app"), false);
        assert!(foreign.contains("sg") && foreign.contains("app"));
        assert!(!foreign.contains("other"));
        foreign.note(11, &key(11, "sg"), false);
        assert!(!foreign.contains("sg"));
    }

    #[test]
    fn keys_cut_short_are_passed_over() {
        let whole = key(11, "sg");
        let mut foreign = ForeignGroups::default();
        for cut in 0..whole.len() {
            foreign.note(11, &whole[..cut], true);
        }
        foreign.note(11, &[0, 11, 0xff, 0xff, b'x'], true);
        foreign.note(11, &[0, 11, 0, 1, 0xff], true);
        assert!(foreign.groups.is_empty());
    }
}

//! A hash over the topics that a group subscribes to: when it changes, the group needs another
//! assignment.
//!
//! The bytes are Kafka's (4.1 and later), so that a group goes on without a rebalance when its
//! files change hands. XXH3 with 64 bits, all integers little-endian; a text is its UTF-16 units
//! and then their number:
//!
//! - of a topic: one byte 0, both halves of the id, name, number of partitions; for each partition
//!   its number, and for each rack of its replicas, in order, the length and the text;
//! - of a group: the hashes of its existing topics in the order of their names; 0 when there are
//!   none.

use twox_hash::XxHash3_64;

use crate::context::TopicFacts;

/// Says how a topic is laid out.
const LAYOUT: u8 = 0;

/// The hash of a topic. `racks` lists the racks of a partition's replicas.
pub(super) fn topic_hash(name: &str, facts: TopicFacts, racks: impl Fn(i32) -> Vec<String>) -> u64 {
    let mut bytes = vec![LAYOUT];
    let id = facts.id.as_bytes();
    bytes.extend(id[..8].iter().rev());
    bytes.extend(id[8..].iter().rev());
    push_text(&mut bytes, name);
    bytes.extend(facts.partition_count.to_le_bytes());
    for partition in 0..facts.partition_count {
        bytes.extend(partition.to_le_bytes());
        let mut racks = racks(partition);
        racks.sort_unstable();
        for rack in racks {
            bytes.extend(text_length(&rack).to_le_bytes());
            push_text(&mut bytes, &rack);
        }
    }
    XxHash3_64::oneshot(&bytes)
}

/// The hash of a group, of its topics' hashes in the order of their names.
pub(super) fn group_hash(topics: &[u64]) -> i64 {
    if topics.is_empty() {
        return 0;
    }
    let bytes: Vec<u8> = topics.iter().flat_map(|hash| hash.to_le_bytes()).collect();
    XxHash3_64::oneshot(&bytes).cast_signed()
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    bytes.extend(text_length(text).to_le_bytes());
}

fn text_length(text: &str) -> u32 {
    // Names and racks come in frames or files of less than 2 GiB.
    u32::try_from(text.encode_utf16().count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use ottla_protocol::uuid::Uuid;

    use super::*;

    /// What Kafka 4.3.1 computes.
    #[test]
    fn hashes_are_kafkas() {
        let id = Uuid::from_u64s(1, 2);
        for (partition_count, expected) in [
            (3, 1_824_923_277_628_471_388),
            (30, -9_104_886_845_350_731_296),
            (100, -4_253_783_681_318_780_268),
            (1000, 5_094_120_087_422_953_958_i64),
        ] {
            let hash = topic_hash("t", TopicFacts { id, partition_count }, |_| Vec::new());
            assert_eq!(hash.cast_signed(), expected, "{partition_count}");
        }
        let racks = |partition| if partition == 0 { vec!["rack".to_owned()] } else { vec![] };
        let hash = topic_hash("t", TopicFacts { id, partition_count: 2 }, racks);
        assert_eq!(hash.cast_signed(), -799_934_508_137_712_710);
        assert_eq!(group_hash(&[]), 0);
        assert_eq!(group_hash(&[5]), -8_213_464_378_072_455_284);
        assert_eq!(group_hash(&[5, (-7_i64).cast_unsigned(), 9]), -5_978_407_320_079_150_446);
    }
}

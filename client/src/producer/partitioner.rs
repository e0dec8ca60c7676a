//! Which partition a record goes to, as the Java client decides it.

use std::fmt;

use crate::chance::Chance;

/// Chooses partitions in the place of the built-in choice.
pub trait Partitioner: Send + Sync + fmt::Debug {
    /// The partition of a record for a topic of `count` partitions, at least one: a number below
    /// `count`. `None` leaves the choice to the built-in partitioner.
    fn partition(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        count: usize,
    ) -> Option<usize>;
}

/// The partition of a key: the same as the Java client's, so that a key's records stay together
/// whoever writes them. 0 for a topic without partitions.
///
/// ```
/// assert_eq!(ottla_client::partition_of_key(b"21", 1000), 340);
/// ```
pub fn partition_of_key(key: &[u8], count: usize) -> usize {
    // Java makes a hash positive by dropping its sign's bit, not by negating it.
    let positive = murmur2(key) & 0x7fff_ffff;
    (positive as usize).checked_rem(count).unwrap_or(0)
}

/// MurmurHash2 with 32 bits (Austin Appleby, in the public domain), with the Java client's seed.
fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mixed = |word: u32| {
        let word = word.wrapping_mul(M);
        (word ^ (word >> 24)).wrapping_mul(M)
    };
    let (words, rest) = bytes.as_chunks::<4>();
    let mut hash = SEED ^ bytes.len() as u32;
    for word in words {
        hash = hash.wrapping_mul(M) ^ mixed(u32::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        let mut word = [0; 4];
        word[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u32::from_le_bytes(word)).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// Where records without a key go: to one partition until a batch's bytes went there, then to
/// another one, so that batches are full however many partitions there are (KIP-480, KIP-794).
#[derive(Clone, Debug, Default)]
pub(super) struct Sticky {
    current: Option<usize>,
    bytes: usize,
}

impl Sticky {
    /// The partition for the next record, if the choice was made; else `choose` makes it.
    pub(super) fn partition(&mut self, choose: impl FnOnce() -> usize) -> usize {
        *self.current.get_or_insert_with(choose)
    }

    /// Notes a record's bytes. `is_full`: the batch takes no more. After `bytes_max`, and a batch's
    /// end, another partition is to be chosen; after twice as much in any case, since a batch that
    /// goes on for ever would keep all records to itself.
    pub(super) fn appended(&mut self, bytes: usize, is_full: bool, bytes_max: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes >= bytes_max && (is_full || self.bytes >= bytes_max.saturating_mul(2)) {
            *self = Self::default();
        }
    }
}

/// How much waits for each partition, from which those with less are chosen more often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Loads {
    /// Partitions that can be chosen, with the sums of their weights up to each.
    sums: Vec<(usize, u64)>,
}

impl Loads {
    /// Of the partitions that have a leader, and how many batches wait for each. Without any, all
    /// `count` are as good.
    pub(super) fn new(waiting: &[(usize, u32)], count: usize) -> Self {
        let equal: Vec<(usize, u32)>;
        let waiting = if waiting.is_empty() {
            equal = (0..count).map(|partition| (partition, 0)).collect();
            &equal
        } else {
            waiting
        };
        // The most loaded one is not shut out: its weight is one.
        let most = waiting.iter().map(|(_, batches)| u64::from(*batches)).max().unwrap_or(0) + 1;
        let mut sum = 0;
        let add = |&(partition, batches): &(usize, u32)| {
            sum += most - u64::from(batches);
            (partition, sum)
        };
        Self { sums: waiting.iter().map(add).collect() }
    }

    /// One of them by chance; 0 when there is none.
    pub(super) fn choose(&self, chance: &mut Chance) -> usize {
        let total = self.sums.last().map_or(0, |(_, sum)| *sum);
        let drawn = chance.below(total as usize) as u64;
        let place = self.sums.partition_point(|(_, sum)| *sum <= drawn);
        self.sums.get(place).map_or(0, |(partition, _)| *partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_java_client() {
        // From the unit test of Kafka's `Utils.murmur2`.
        for (key, hash) in [
            (&b"21"[..], -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key).cast_signed(), hash, "{key:?}");
        }
        assert_eq!(partition_of_key(b"21", 0), 0);
    }

    #[test]
    fn a_partition_is_kept_until_its_batch_is_full() {
        let mut sticky = Sticky::default();
        assert_eq!(sticky.partition(|| 3), 3);
        sticky.appended(60, false, 100);
        assert_eq!(sticky.partition(|| 4), 3);
        sticky.appended(60, false, 100);
        assert_eq!(sticky.partition(|| 4), 3);
        sticky.appended(60, true, 100);
        assert_eq!(sticky.partition(|| 4), 4);
        sticky.appended(200, false, 100);
        assert_eq!(sticky.partition(|| 5), 5);
        sticky.appended(10, true, 100);
        assert_eq!(sticky.partition(|| 6), 5);
    }

    #[test]
    fn a_partition_with_less_to_send_is_chosen_more_often() {
        let loads = Loads::new(&[(0, 0), (2, 3), (5, 1)], 6);
        // The most is 3: weights 4, 1 and 3.
        assert_eq!(loads.sums, [(0, 4), (2, 5), (5, 8)]);
        let (mut chance, mut counts) = (Chance::seeded(1), [0; 6]);
        for _ in 0..8000 {
            counts[loads.choose(&mut chance)] += 1;
        }
        for (count, expected) in counts.into_iter().zip([4000, 0, 1000, 0, 0, 3000]) {
            assert!((expected - 200..=expected + 200).contains(&count), "{counts:?}");
        }
        assert_eq!(Loads::new(&[], 2).sums, [(0, 1), (1, 2)]);
        assert_eq!(Loads::default().choose(&mut chance), 0);
    }
}

//! The last offset of each key, in bounded memory.
//!
//! A key is not kept but its hash, of 128 bits: two halves of SipHash under two secret keys drawn
//! for each map. Two keys that collide would cost one of them its record. Of 2^32 keys, far more
//! than a map holds, some two collide with a probability of 2^-65; and who chooses keys cannot
//! look for a collision, for the secrets are in this process alone and gone with the map.
//!
//! A slot is three words: the two halves, and the offset plus one, 0 for a free slot. A key's slot
//! is the first free one from where its hash points to.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Bytes of a slot.
pub(crate) const SLOT_BYTES: usize = 24;

type Slot = [u64; 3];

/// See the module.
#[derive(Debug)]
pub(crate) struct OffsetMap {
    secrets: [RandomState; 2],
    slots: Vec<Slot>,
    entries: usize,
    entries_max: usize,
    latest_offset: i64,
}

/// How large a map may become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MapLimits {
    /// Bytes of all slots; one slot at least is had.
    pub(crate) bytes: usize,
    /// Which share of the slots may be used, 0 to 1; one at least.
    pub(crate) load_factor: f64,
}

/// The map has no room for another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl OffsetMap {
    /// A map with room for `keys` keys, or as many as the limits allow.
    pub(crate) fn new(limits: MapLimits, keys: u64) -> Self {
        let slots_max = (limits.bytes / SLOT_BYTES).max(1);
        let load_factor = limits.load_factor.clamp(0.0, 1.0);
        let entries_max = ((slots_max as f64 * load_factor) as usize).clamp(1, slots_max);
        let keys = usize::try_from(keys).unwrap_or(usize::MAX).max(1);
        // Half full, where memory allows it, it is looked up fastest.
        let slots = keys.saturating_mul(2).min(slots_max);
        Self {
            secrets: [RandomState::new(), RandomState::new()],
            slots: vec![[0; 3]; slots],
            entries: 0,
            entries_max: entries_max.min(slots),
            latest_offset: -1,
        }
    }

    /// Notes that `key` has a record at `offset`, not below any other noted before.
    pub(crate) fn put(&mut self, key: &[u8], offset: i64) -> Result<(), Full> {
        if self.entries >= self.entries_max {
            return Err(Full);
        }
        let (hash, at) = self.find(key);
        self.entries += usize::from(self.slots[at][2] == 0);
        self.slots[at] = [hash[0], hash[1], offset as u64 + 1];
        self.latest_offset = offset;
        Ok(())
    }

    /// The last offset noted for `key`, -1 for none.
    pub(crate) fn get(&self, key: &[u8]) -> i64 {
        let (hash, at) = self.find(key);
        let slot = &self.slots[at];
        if slot[..2] == hash { slot[2] as i64 - 1 } else { -1 }
    }

    /// All records up to this offset were noted; -1 for none.
    pub(crate) fn latest_offset(&self) -> i64 {
        self.latest_offset
    }

    /// Records up to `offset` were looked at.
    pub(crate) fn raise_latest_offset(&mut self, offset: i64) {
        self.latest_offset = self.latest_offset.max(offset);
    }

    /// How many keys it holds.
    pub(crate) fn len(&self) -> usize {
        self.entries
    }

    /// The hash of a key, and its slot: its own or a free one, of which there always is one unless
    /// the map is full of other keys.
    fn find(&self, key: &[u8]) -> ([u64; 2], usize) {
        let hash = [0, 1].map(|half: usize| {
            let mut hasher = self.secrets[half].build_hasher();
            hasher.write(key);
            hasher.finish()
        });
        let slots = self.slots.len();
        let mut at = ((u128::from(hash[0]) * slots as u128) >> 64) as usize;
        for _ in 0..slots {
            let slot = &self.slots[at];
            if slot[2] == 0 || slot[..2] == hash {
                return (hash, at);
            }
            at = if at + 1 == slots { 0 } else { at + 1 };
        }
        (hash, at)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const LIMITS: MapLimits = MapLimits { bytes: 100 * SLOT_BYTES, load_factor: 0.9 };

    #[test]
    fn it_answers_as_a_map_of_keys_does() {
        let mut map = OffsetMap::new(MapLimits { bytes: 1 << 20, load_factor: 1.0 }, 1000);
        let mut model = HashMap::new();
        for offset in 0..3000_i64 {
            let key = (offset * 7919 % 1009).to_be_bytes()[2..].to_vec();
            map.put(&key, offset).unwrap();
            model.insert(key, offset);
        }
        assert_eq!(map.len(), model.len());
        assert!(model.iter().all(|(key, offset)| map.get(key) == *offset));
        assert_eq!(map.get(b"never"), -1);
        assert_eq!(map.get(b""), -1);
        assert_eq!(map.latest_offset(), 2999);
    }

    #[test]
    fn it_is_full_at_its_share_of_slots_and_no_sooner() {
        let mut map = OffsetMap::new(LIMITS, u64::MAX);
        for n in 0..90_i64 {
            map.put(&n.to_be_bytes(), n).unwrap();
        }
        assert_eq!(map.put(&91_i64.to_be_bytes(), 90), Err(Full));
        assert_eq!(map.latest_offset(), 89);
        assert!((0..90_i64).all(|n| map.get(&n.to_be_bytes()) == n));
        assert_eq!(map.get(&91_i64.to_be_bytes()), -1);
        map.raise_latest_offset(95);
        map.raise_latest_offset(94);
        assert_eq!(map.latest_offset(), 95);
    }

    #[test]
    fn small_jobs_take_little_and_tiny_limits_still_do_one_key() {
        assert_eq!(OffsetMap::new(LIMITS, 3).slots.len(), 6);
        assert_eq!(OffsetMap::new(LIMITS, 0).slots.len(), 2);
        let mut map = OffsetMap::new(MapLimits { bytes: 0, load_factor: 0.0 }, 10);
        map.put(b"a", 5).unwrap();
        assert_eq!(map.put(b"a", 6), Err(Full));
        // Full to the last slot, a key that is not there is not found either.
        assert_eq!((map.get(b"a"), map.get(b"b"), map.slots.len()), (5, -1, 1));
    }
}

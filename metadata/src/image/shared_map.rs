//! A sorted map whose clones share their memory until one of them changes.
//!
//! Readers hold whole images for as long as they like while the writer applies the next record, so
//! a change must not copy ten thousand topics. The entries sit in sorted chunks of at most
//! [`CHUNK_ENTRIES_MAX`], each behind its own `Arc`, and the list of chunks behind another:
//!
//! ```text
//! Arc<Vec> ─┬─> Arc<Vec<(K, V)>>   a … f
//!           ├─> Arc<Vec<(K, V)>>   g … n      a change copies this list and one chunk,
//!           └─> Arc<Vec<(K, V)>>   o … z      when a clone shares them, and nothing when not
//! ```
//!
//! That is 157 pointers and 64 entries for 10,000 entries, and a replay that nobody watches is
//! done in place.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Entries a chunk holds before it is split in two.
const CHUNK_ENTRIES_MAX: usize = 64;

type Chunk<K, V> = Arc<Vec<(K, V)>>;

/// A sorted map; see the module's page for what a clone and a change cost.
pub struct SharedMap<K, V> {
    /// Never holds an empty chunk; all keys of a chunk are below all keys of the next.
    chunks: Arc<Vec<Chunk<K, V>>>,
    len: usize,
}

impl<K, V> SharedMap<K, V> {
    /// An empty map.
    pub fn new() -> Self {
        SharedMap { chunks: Arc::new(Vec::new()), len: 0 }
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All entries, keys ascending.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).map(|(key, value)| (key, value))
    }

    /// All values, keys ascending.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// All keys, ascending.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// The entries whose keys are `from` or above, ascending.
    pub fn iter_from<'a, Q: Ord + ?Sized>(
        &'a self,
        from: &Q,
    ) -> impl Iterator<Item = (&'a K, &'a V)>
    where
        K: Borrow<Q>,
    {
        let first = self.chunk_for(from);
        let (skip, rest) = match self.chunks.get(first) {
            Some(chunk) => (position(chunk, from).unwrap_or_else(|at| at), &self.chunks[first..]),
            None => (0, &self.chunks[..0]),
        };
        rest.iter().flat_map(|chunk| chunk.iter()).skip(skip).map(|(key, value)| (key, value))
    }

    /// The value of `key`.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let chunk = self.chunks.get(self.chunk_for(key))?;
        position(chunk, key).ok().map(|at| &chunk[at].1)
    }

    /// Whether `key` has a value.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    /// The index of the chunk that holds `key` if any does: the last whose first key is not above.
    fn chunk_for<Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        self.chunks.partition_point(|chunk| chunk[0].0.borrow() <= key).saturating_sub(1)
    }
}

impl<K: Clone + Ord, V: Clone> SharedMap<K, V> {
    /// The value of `key`, to be changed; copies its chunk if a clone of the map shares it.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let index = self.chunk_for(key);
        let at = position(self.chunks.get(index)?, key).ok()?;
        Some(&mut self.chunk_mut(index)[at].1)
    }

    /// Sets the value of `key`; returns the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let index = self.chunk_for(&key);
        let at = match self.chunks.get(index).map(|chunk| position(chunk, &key)) {
            None => {
                Arc::make_mut(&mut self.chunks).push(Arc::new(vec![(key, value)]));
                self.len += 1;
                return None;
            }
            Some(Ok(at)) => {
                return Some(std::mem::replace(&mut self.chunk_mut(index)[at].1, value));
            }
            Some(Err(at)) => at,
        };
        self.len += 1;
        let is_last = index + 1 == self.chunks.len();
        let chunk = self.chunk_mut(index);
        if chunk.len() < CHUNK_ENTRIES_MAX {
            chunk.insert(at, (key, value));
            return None;
        }
        // Keys that arrive in order leave full chunks behind; others split their chunk in half.
        let upper = if is_last && at == chunk.len() {
            vec![(key, value)]
        } else {
            chunk.insert(at, (key, value));
            chunk.split_off(CHUNK_ENTRIES_MAX / 2)
        };
        Arc::make_mut(&mut self.chunks).insert(index + 1, Arc::new(upper));
        None
    }

    /// Takes `key` out; returns its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let index = self.chunk_for(key);
        let at = position(self.chunks.get(index)?, key).ok()?;
        self.len -= 1;
        let (_, value) = self.chunk_mut(index).remove(at);
        self.merge(index);
        Some(value)
    }

    /// Drops the chunk if it is empty, or joins it with the next while both are small, so that a
    /// map that shrank does not keep a long list of nearly empty chunks.
    fn merge(&mut self, index: usize) {
        let len = self.chunks[index].len();
        let next_len = self.chunks.get(index + 1).map(|chunk| chunk.len());
        if len == 0 {
            Arc::make_mut(&mut self.chunks).remove(index);
        } else if next_len.is_some_and(|next_len| len + next_len <= CHUNK_ENTRIES_MAX / 2) {
            let next = Arc::make_mut(&mut self.chunks).remove(index + 1);
            self.chunk_mut(index).extend(next.iter().cloned());
        }
    }

    fn chunk_mut(&mut self, index: usize) -> &mut Vec<(K, V)> {
        Arc::make_mut(&mut Arc::make_mut(&mut self.chunks)[index])
    }
}

/// Where `key` is in the chunk, or where it would be inserted.
fn position<K: Borrow<Q>, V, Q: Ord + ?Sized>(chunk: &[(K, V)], key: &Q) -> Result<usize, usize> {
    chunk.binary_search_by(|(other, _)| other.borrow().cmp(key))
}

impl<K, V> Clone for SharedMap<K, V> {
    fn clone(&self) -> Self {
        SharedMap { chunks: Arc::clone(&self.chunks), len: self.len }
    }
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        SharedMap::new()
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Eq, V: Eq> Eq for SharedMap<K, V> {}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Clone + Ord, V: Clone> FromIterator<(K, V)> for SharedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = SharedMap::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u16, u32),
        Remove(u16),
        Change(u16),
        Keep,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            5 => (0..600u16, any::<u32>()).prop_map(|(key, value)| Step::Insert(key, value)),
            3 => (0..600u16).prop_map(Step::Remove),
            1 => (0..600u16).prop_map(Step::Change),
            1 => Just(Step::Keep),
        ];
        proptest::collection::vec(step, 0..1500)
    }

    fn same(map: &SharedMap<u16, u32>, model: &BTreeMap<u16, u32>) {
        assert_eq!(map.len(), model.len());
        assert!(map.iter().eq(model.iter()));
        assert!(map.chunks.iter().all(|c| (1..=CHUNK_ENTRIES_MAX).contains(&c.len())));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn behaves_as_a_btree_map_and_leaves_clones_alone(steps in steps(), from in 0..700u16) {
            let (mut map, mut model) = (SharedMap::new(), BTreeMap::new());
            let mut kept = vec![];
            for step in steps {
                match step {
                    Step::Insert(key, value) => {
                        assert_eq!(map.insert(key, value), model.insert(key, value));
                    }
                    Step::Remove(key) => assert_eq!(map.remove(&key), model.remove(&key)),
                    Step::Change(key) => {
                        assert_eq!(map.get(&key), model.get(&key));
                        if let Some(value) = map.get_mut(&key) {
                            *value ^= 1;
                        }
                        model.entry(key).and_modify(|value| *value ^= 1);
                    }
                    Step::Keep => kept.push((map.clone(), model.clone())),
                }
            }
            same(&map, &model);
            assert!(map.iter_from(&from).eq(model.range(from..)));
            for (map, model) in &kept {
                same(map, model);
            }
        }
    }

    #[test]
    fn ascending_keys_fill_their_chunks() {
        let map: SharedMap<u32, ()> = (0..6400).map(|n| (n, ())).collect();
        assert_eq!(map.chunks.len(), 100);
    }

    #[test]
    fn one_change_to_a_shared_map_copies_one_chunk() {
        let mut map: SharedMap<u32, u32> = (0..10_000).map(|n| (n, n)).collect();
        let before = map.clone();
        map.insert(5_000, 0);
        let shared = map.chunks.iter().zip(before.chunks.iter());
        assert_eq!(shared.filter(|(a, b)| !Arc::ptr_eq(a, b)).count(), 1);
        assert_eq!(before.get(&5_000), Some(&5_000));
    }
}

//! Incremental fetch sessions (Kafka, KIP-227), as a pure bookkeeping of what a client fetches.
//!
//! A consumer names its partitions once; from then on it sends only what changed, and is sent only
//! the partitions that have something to say. Sessions belong to the broker, not to a connection.
//!
//! | session id | epoch | meaning |
//! |---:|---:|---|
//! | 0 | -1 | a full fetch, no session wanted |
//! | 0 | 0 | a full fetch, and a session if there is room |
//! | s | 0 or -1 | close s; otherwise as with session id 0 |
//! | s | n > 0 | changes against the partitions that s holds |

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// A session that was not used for so long may be replaced by any other (Kafka's figure).
const EVICTION_MS: i64 = 120_000;
/// The epoch of a request that wants no session.
const FINAL_EPOCH: i32 = -1;
/// The epoch of a request that asks for a new session.
const INITIAL_EPOCH: i32 = 0;

/// One partition as a client wants it fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionFetch {
    /// The first offset wanted.
    pub fetch_offset: i64,
    /// The leader epoch that the client knows, -1 for none.
    pub current_leader_epoch: i32,
    /// The epoch of the last record it has, -1 for none.
    pub last_fetched_epoch: i32,
    /// The most bytes to answer with, but for a first batch that is larger.
    pub partition_max_bytes: i32,
}

/// A fetch request's session fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRequest<K> {
    /// The session, 0 for none.
    pub session_id: i32,
    /// The request's number within its session.
    pub session_epoch: i32,
    /// Whether the request names topics by id (version 13 and up).
    pub uses_topic_ids: bool,
    /// The partitions to add or to change, in the client's order.
    pub partitions: Vec<(K, PartitionFetch)>,
    /// The partitions to drop.
    pub forgotten: Vec<K>,
}

/// Why a request was refused. The session, if any, is left as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionError {
    /// There is no such session: FETCH_SESSION_ID_NOT_FOUND.
    NotFound,
    /// The epoch is not the next one: INVALID_FETCH_SESSION_EPOCH.
    InvalidEpoch,
    /// The session names topics the other way: FETCH_SESSION_TOPIC_ID_ERROR.
    TopicIdMismatch,
}

/// What to fetch for one request, and what to remember of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchContext<K> {
    /// The session id to answer with.
    pub session_id: i32,
    /// The partitions to read, in order.
    pub partitions: Vec<(K, PartitionFetch)>,
    /// Where the session had them when the request came; empty without a session.
    places: Vec<u64>,
    incremental: bool,
}

impl<K> FetchContext<K> {
    fn without_session(partitions: Vec<(K, PartitionFetch)>) -> Self {
        Self { session_id: 0, partitions, places: Vec::new(), incremental: false }
    }

    /// Whether the answer leaves out the partitions that have nothing new.
    pub fn is_incremental(&self) -> bool {
        self.incremental
    }
}

/// What the answer says of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionOutcome {
    /// The high watermark answered.
    pub high_watermark: i64,
    /// The log start offset answered.
    pub log_start_offset: i64,
    /// Whether it carries records.
    pub has_records: bool,
    /// Whether it carries an error.
    pub is_error: bool,
    /// Whether it must be sent whatever else (a diverging epoch).
    pub must_send: bool,
}

#[derive(Debug)]
struct CachedPartition<K> {
    key: K,
    fetch: PartitionFetch,
    high_watermark: i64,
    log_start_offset: i64,
}

#[derive(Debug)]
struct Session<K> {
    next_epoch: i32,
    uses_topic_ids: bool,
    created_ms: i64,
    used_ms: i64,
    next_place: u64,
    places: HashMap<K, u64>,
    partitions: BTreeMap<u64, CachedPartition<K>>,
}

impl<K: Clone + Eq + Hash> Session<K> {
    fn new(uses_topic_ids: bool, now_ms: i64) -> Self {
        Self {
            next_epoch: 1,
            uses_topic_ids,
            created_ms: now_ms,
            used_ms: now_ms,
            next_place: 0,
            places: HashMap::new(),
            partitions: BTreeMap::new(),
        }
    }

    fn upsert(&mut self, key: &K, fetch: PartitionFetch) {
        if let Some(cached) = self.places.get(key).and_then(|place| self.partitions.get_mut(place))
        {
            cached.fetch = fetch;
            return;
        }
        let cached =
            CachedPartition { key: key.clone(), fetch, high_watermark: -1, log_start_offset: -1 };
        self.append(cached);
    }

    fn append(&mut self, cached: CachedPartition<K>) {
        self.places.insert(cached.key.clone(), self.next_place);
        self.partitions.insert(self.next_place, cached);
        self.next_place += 1;
    }

    fn remove(&mut self, key: &K) {
        if let Some(place) = self.places.remove(key) {
            self.partitions.remove(&place);
        }
    }

    fn context(&self, session_id: i32, incremental: bool) -> FetchContext<K> {
        let cached = self.partitions.values();
        FetchContext {
            session_id,
            partitions: cached.map(|cached| (cached.key.clone(), cached.fetch)).collect(),
            places: self.partitions.keys().copied().collect(),
            incremental,
        }
    }

    /// Records what is about to be answered; whether an incremental answer has to carry it. `place`
    /// is where `key` was when the request came.
    fn record(&mut self, key: &K, mut place: u64, outcome: PartitionOutcome) -> bool {
        // Nothing else moves it, as long as a client has one request of a session in flight.
        if self.partitions.get(&place).is_none_or(|cached| cached.key != *key) {
            let Some(moved) = self.places.get(key) else { return true };
            place = *moved;
        }
        let Some(cached) = self.partitions.get_mut(&place) else { return true };
        let changed = cached.high_watermark != outcome.high_watermark
            || cached.log_start_offset != outcome.log_start_offset;
        let send = changed || outcome.has_records || outcome.is_error || outcome.must_send;
        // After an error the next good answer must be sent whatever it says.
        cached.high_watermark = if outcome.is_error { -1 } else { outcome.high_watermark };
        cached.log_start_offset = outcome.log_start_offset;
        if outcome.has_records
            && let Some(cached) = self.partitions.remove(&place)
        {
            // Fairness: who was served goes to the end of the order.
            self.append(cached);
        }
        send
    }
}

/// All sessions of a broker.
#[derive(Debug)]
pub struct FetchSessions<K> {
    slots: usize,
    sessions: HashMap<i32, Session<K>>,
}

impl<K: Clone + Eq + Hash> FetchSessions<K> {
    /// Room for `slots` sessions (`max.incremental.fetch.session.cache.slots`).
    pub fn new(slots: usize) -> Self {
        Self { slots, sessions: HashMap::new() }
    }

    /// How many sessions are open.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether no session is open.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Takes a request's session fields and says what to fetch. `entropy` makes a new session's id;
    /// it is asked again until the id is free.
    pub fn begin(
        &mut self,
        request: SessionRequest<K>,
        now_ms: i64,
        mut entropy: impl FnMut() -> u32,
    ) -> Result<FetchContext<K>, SessionError> {
        if matches!(request.session_epoch, FINAL_EPOCH | INITIAL_EPOCH) {
            self.sessions.remove(&request.session_id);
            let partitions = once(request.partitions);
            let wants_session = request.session_epoch == INITIAL_EPOCH;
            if !wants_session || !self.make_room(partitions.len(), now_ms) {
                return Ok(FetchContext::without_session(partitions));
            }
            let mut session = Session::new(request.uses_topic_ids, now_ms);
            for (key, fetch) in &partitions {
                session.upsert(key, *fetch);
            }
            let id = self.free_id(&mut entropy);
            let context = session.context(id, false);
            self.sessions.insert(id, session);
            return Ok(context);
        }
        self.continue_session(request, now_ms)
    }

    fn continue_session(
        &mut self,
        request: SessionRequest<K>,
        now_ms: i64,
    ) -> Result<FetchContext<K>, SessionError> {
        let session = self.sessions.get_mut(&request.session_id).ok_or(SessionError::NotFound)?;
        if session.next_epoch != request.session_epoch {
            return Err(SessionError::InvalidEpoch);
        }
        if session.uses_topic_ids != request.uses_topic_ids {
            return Err(SessionError::TopicIdMismatch);
        }
        for (key, fetch) in &request.partitions {
            session.upsert(key, *fetch);
        }
        for key in &request.forgotten {
            session.remove(key);
        }
        session.used_ms = now_ms;
        session.next_epoch = session.next_epoch.checked_add(1).unwrap_or(1);
        if session.partitions.is_empty() {
            self.sessions.remove(&request.session_id);
            return Ok(FetchContext::without_session(Vec::new()));
        }
        Ok(session.context(request.session_id, true))
    }

    /// Remembers what is answered, in the context's order, and says for each partition whether the
    /// answer has to carry it: always in a full answer, only what is new in an incremental one.
    pub fn finish(
        &mut self,
        context: &FetchContext<K>,
        outcomes: &[PartitionOutcome],
    ) -> Vec<bool> {
        debug_assert_eq!(context.partitions.len(), outcomes.len());
        if context.session_id == 0 {
            return vec![true; outcomes.len()];
        }
        let Some(session) = self.sessions.get_mut(&context.session_id) else {
            return vec![true; outcomes.len()];
        };
        let recorded = context.partitions.iter().zip(&context.places).zip(outcomes);
        recorded
            .map(|(((key, _), place), outcome)| {
                session.record(key, *place, *outcome) || !context.incremental
            })
            .collect()
    }

    fn free_id(&self, entropy: &mut impl FnMut() -> u32) -> i32 {
        loop {
            let id = (entropy() & 0x7fff_ffff).cast_signed();
            if id != 0 && !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }

    /// Whether there is a slot for a session of `size` partitions, after closing one that may be: a
    /// session idle for [`EVICTION_MS`], or an older one that is smaller.
    fn make_room(&mut self, size: usize, now_ms: i64) -> bool {
        if self.sessions.len() < self.slots {
            return true;
        }
        let idle = self.sessions.iter().min_by_key(|(id, session)| (session.used_ms, **id));
        let victim = match idle {
            Some((id, session)) if now_ms - session.used_ms > EVICTION_MS => Some(*id),
            _ => self
                .sessions
                .iter()
                .filter(|(_, session)| now_ms - session.created_ms > EVICTION_MS)
                .map(|(id, session)| (session.partitions.len(), *id))
                .min()
                .filter(|(smallest, _)| *smallest < size)
                .map(|(_, id)| id),
        };
        victim.is_some_and(|id| self.sessions.remove(&id).is_some())
    }
}

/// Each partition once. Of those listed again the last one counts, in the place of the first.
fn once<K: Clone + Eq + Hash>(partitions: Vec<(K, PartitionFetch)>) -> Vec<(K, PartitionFetch)> {
    if partitions.len() <= 1 {
        return partitions;
    }
    let mut places = HashMap::with_capacity(partitions.len());
    let mut listed: Vec<(K, PartitionFetch)> = Vec::with_capacity(partitions.len());
    for (key, fetch) in partitions {
        match places.entry(key.clone()) {
            Entry::Occupied(place) => {
                let place: &usize = place.get();
                listed[*place].1 = fetch;
            }
            Entry::Vacant(place) => {
                place.insert(listed.len());
                listed.push((key, fetch));
            }
        }
    }
    listed
}

#[cfg(test)]
mod tests;

//! Producer snapshots and transaction indexes, held against the batches as they go by.
//!
//! The state of all producers is rebuilt from the log, from one snapshot to the next, and compared
//! with what the next one says. A snapshot may lack producers: brokers forget those that have been
//! silent. And it may know producers of batches that retention has removed since.
//!
//! In memory are the state and the one snapshot that it is compared with.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use ottla_protocol::record::batch::MAGIC_V2;
use ottla_protocol::record::set::Batch;

use super::batches::bytes_of;
use super::{Code, Finding, Found, Remedy, Severity};
use crate::disk::{Disk, DiskFile};
use crate::log::producer_batch;
use crate::producer_state::snapshot;
use crate::producer_state::{
    BatchKind, CompletedTxn, ProducerEntry, ProducerError, ProducerSettings, ProducerState,
};
use crate::txn_index::{self, AbortedTxn};
use crate::whole_file::{self, WholeFileError};

/// What a batch did.
#[derive(Debug, Default)]
pub(crate) struct Effect {
    pub(crate) completed: Vec<CompletedTxn>,
    /// It is an abort marker of this producer.
    pub(crate) aborts: Option<i64>,
}

/// A finding that says nothing of a log which compaction has taken batches out of.
pub(crate) struct Suspicion {
    pub(super) finding: Finding,
    pub(super) unless_compacted: bool,
}

impl Suspicion {
    fn certain(finding: Finding) -> Self {
        Self { finding, unless_compacted: false }
    }
}

/// See the module. For the whole of a log.
pub(crate) struct ProducerCheck<'a> {
    disk: &'a dyn Disk,
    dir: PathBuf,
    /// As the batches so far make it, from the last snapshot on.
    state: ProducerState,
    /// The offsets of those that are still to be read and compared, one at a time.
    snapshots: BTreeSet<i64>,
    first_base: i64,
    /// A snapshot was compared, or the log begins at 0: nothing is unknown any more.
    complete: bool,
    /// The batches contradict each other or some are damaged: nothing more can be said.
    given_up: bool,
    trusts_snapshots: bool,
    has_producers: bool,
    had_snapshots: bool,
    pub(super) suspicions: Vec<Suspicion>,
}

impl<'a> ProducerCheck<'a> {
    /// For a log whose first segment has the base `first_base`, with snapshots at these offsets.
    pub(crate) fn new(disk: &'a dyn Disk, dir: &Path, offsets: &[i64], first_base: i64) -> Self {
        // Nobody is forgotten: which producers a broker had forgotten is not known.
        let settings =
            ProducerSettings { producer_id_expiration_ms: i64::MAX, verification_enabled: false };
        // Of what retention has removed since, a start removes the snapshots too.
        let snapshots: BTreeSet<i64> =
            offsets.iter().copied().filter(|&offset| offset >= first_base).collect();
        Self {
            disk,
            dir: dir.to_owned(),
            state: ProducerState::new(settings, first_base),
            had_snapshots: !snapshots.is_empty(),
            snapshots,
            first_base,
            complete: first_base == 0,
            given_up: false,
            trusts_snapshots: false,
            has_producers: false,
            suspicions: Vec::new(),
        }
    }

    /// Part of the log is damaged: what is behind it cannot be judged.
    pub(super) fn give_up(&mut self) {
        self.given_up = true;
    }

    /// Whether [`ProducerCheck::give_up`] was called, or the batches were too contradictory.
    pub(super) fn has_given_up(&self) -> bool {
        self.given_up
    }

    /// Whether all that the state depends on was seen.
    pub(super) fn is_complete(&self) -> bool {
        self.complete && !self.given_up
    }

    /// For a log that is compacted: its snapshots know more than its batches.
    pub(crate) fn trust_snapshots(&mut self, trusted: bool) {
        self.trusts_snapshots = trusted;
    }

    /// The state below `end_offset`, up to which all batches were seen.
    pub(crate) fn into_state(mut self, end_offset: i64) -> ProducerState {
        self.compare_up_to(end_offset);
        self.state
    }

    /// The next batch of the log.
    pub(crate) fn see(
        &mut self,
        batch: &Found<'_>,
        file: &dyn DiskFile,
        log: &Path,
    ) -> io::Result<Effect> {
        if self.given_up {
            return Ok(Effect::default());
        }
        self.compare_up_to(batch.base_offset);
        self.has_producers |= batch.magic == MAGIC_V2 && batch.view().producer_id() >= 0;
        match self.apply(batch, file)? {
            Ok(effect) => Ok(effect),
            Err(error) => {
                self.given_up = true;
                let finding =
                    Finding::new(Severity::Warning, log, Code::ProducerState, error.to_string())
                        .at(batch.position);
                self.suspicions.push(Suspicion { finding, unless_compacted: true });
                Ok(Effect::default())
            }
        }
    }

    /// After the last batch. `clean` after an orderly stop.
    pub(super) fn finish(&mut self, log_end_offset: i64, clean: bool) {
        if !self.given_up {
            self.compare_up_to(log_end_offset);
        }
        // Those that cannot be compared can be damaged all the same.
        while let Some(offset) = self.snapshots.pop_first() {
            self.read(offset);
            if !self.given_up {
                let problem = format!("is of offset {offset}, the log ends at {log_end_offset}");
                let path = snapshot::path(&self.dir, offset);
                let finding = Finding::new(Severity::Note, path, Code::ProducerSnapshot, problem);
                self.suspicions.push(Suspicion::certain(finding));
            }
        }
        if !self.given_up && clean && !self.had_snapshots && self.has_producers {
            let path = snapshot::path(&self.dir, log_end_offset);
            let problem = "no snapshot of producers at all: a start after this orderly stop would \
                           forget all of them"
                .to_owned();
            let remedy = Remedy::RebuildSnapshot { offset: log_end_offset };
            let finding = Finding::new(Severity::Warning, path, Code::ProducerSnapshot, problem);
            self.suspicions.push(Suspicion::certain(finding.mended_by(remedy)));
        }
    }

    /// Takes the next batch into the state. The outer error is the disk's.
    fn apply(
        &mut self,
        batch: &Found<'_>,
        file: &dyn DiskFile,
    ) -> io::Result<Result<Effect, ProducerError>> {
        let end_offset = batch.last_offset.saturating_add(1);
        if batch.magic < MAGIC_V2 || batch.view().producer_id() < 0 {
            self.state.set_map_end_offset(end_offset);
            return Ok(Ok(Effect::default()));
        }
        let view = batch.view();
        let bytes =
            if view.attributes().is_control() { Some(bytes_of(file, batch)?) } else { None };
        let whole = || bytes.as_deref().and_then(Batch::new);
        let Some(facts) = producer_batch(view, whole) else { return Ok(Ok(Effect::default())) };
        let aborts = match facts.kind {
            BatchKind::EndTxn(marker) if marker.aborted => Some(facts.producer_id),
            _ => None,
        };
        let replayed = self.state.replay(&[facts], end_offset);
        self.state.on_high_watermark(i64::MAX);
        Ok(replayed.map(|completed| Effect { completed, aborts }))
    }

    fn compare_up_to(&mut self, offset: i64) {
        while let Some(at) = self.snapshots.pop_first() {
            if at > offset {
                self.snapshots.insert(at);
                return;
            }
            if let Some(producers) = self.read(at) {
                self.compare(at, producers);
            }
        }
    }

    /// The snapshot at `at`; `None` when it is damaged, which is told.
    fn read(&mut self, at: i64) -> Option<Vec<(i64, ProducerEntry)>> {
        match snapshot::read(self.disk, &self.dir, at) {
            Ok(read) => read,
            Err(error) => {
                let finding = self.wrong(at, inner_text(&error));
                self.suspicions.push(Suspicion::certain(finding));
                None
            }
        }
    }

    fn compare(&mut self, at: i64, producers: Vec<(i64, ProducerEntry)>) {
        let trusts = self.trusts_snapshots;
        let problem = self.problem(at, &producers).filter(|(_, unless)| !(trusts && *unless));
        self.complete |= problem.is_none();
        match problem {
            None => self.state.restore(at, producers, 0),
            Some((problem, unless_compacted)) => {
                let finding = self.wrong(at, problem);
                self.suspicions.push(Suspicion { finding, unless_compacted });
            }
        }
    }

    fn wrong(&self, at: i64, problem: String) -> Finding {
        let path = snapshot::path(&self.dir, at);
        Finding::new(Severity::Warning, path, Code::ProducerSnapshot, problem)
            .mended_by(Remedy::RebuildSnapshot { offset: at })
    }

    /// What is wrong with the snapshot at `at`, and whether that says nothing of a compacted log.
    fn problem(&self, at: i64, producers: &[(i64, ProducerEntry)]) -> Option<(String, bool)> {
        for (id, stored) in producers {
            let beyond = stored.last_batch().is_some_and(|batch| batch.last_offset >= at)
                || stored.current_txn_first_offset.is_some_and(|first| first >= at);
            if beyond {
                return Some((format!("producer {id} has offsets at {at} or above"), false));
            }
            if let Some(problem) = self.entry_problem(*id, stored) {
                return Some((format!("producer {id}: {problem}"), true));
            }
        }
        let stored: BTreeMap<i64, &ProducerEntry> =
            producers.iter().map(|(id, entry)| (*id, entry)).collect();
        for (id, entry) in self.state.producers() {
            if let Some(first) = entry.current_txn_first_offset
                && !stored.contains_key(&id)
            {
                let problem =
                    format!("lacks producer {id}, whose transaction is open from {first}");
                return Some((problem, true));
            }
        }
        None
    }

    fn entry_problem(&self, id: i64, stored: &ProducerEntry) -> Option<String> {
        let is_old = |offset: i64| !self.complete && offset < self.first_base;
        let batch_of = |entry: &ProducerEntry| {
            entry
                .last_batch()
                .map(|batch| (batch.last_offset, batch.last_sequence, batch.offset_delta))
        };
        let (batch, txn) = (batch_of(stored), stored.current_txn_first_offset);
        let Some(known) = self.state.producer(id) else {
            return match batch {
                Some((last_offset, ..)) if !is_old(last_offset) => Some(format!(
                    "its last offset is {last_offset}, where the log has no batch of it"
                )),
                Some(_) => None,
                None if !self.complete => None,
                None => Some("the log has no batch of it".to_owned()),
            };
        };
        let (known_batch, known_txn) = (batch_of(known), known.current_txn_first_offset);
        let batches_agree = batch == known_batch
            || batch.is_none()
            || known_batch.is_none() && batch.is_some_and(|(offset, ..)| is_old(offset));
        if !batches_agree {
            return Some(format!(
                "its last batch ends at (offset, sequence, delta) {batch:?}, by the log \
                 {known_batch:?}"
            ));
        }
        if txn != known_txn && !txn.is_some_and(is_old) {
            return Some(format!("its open transaction is {txn:?}, by the log {known_txn:?}"));
        }
        if stored.producer_epoch != known.producer_epoch {
            let (stored, known) = (stored.producer_epoch, known.producer_epoch);
            return Some(format!("its epoch is {stored}, by the log {known}"));
        }
        if stored.last_timestamp != known.last_timestamp {
            let (stored, known) = (stored.last_timestamp, known.last_timestamp);
            return Some(format!("its last timestamp is {stored}, by the log {known}"));
        }
        let (stored, known) = (stored.coordinator_epoch, known.coordinator_epoch);
        (stored != known && stored != -1 && known != -1)
            .then(|| format!("its coordinator's epoch is {stored}, by the log {known}"))
    }
}

/// What an error says of a file's content, without the path, which a finding has.
pub(super) fn inner_text<E: std::fmt::Display>(error: &WholeFileError<E>) -> String {
    match error {
        WholeFileError::Io { error, .. } => error.to_string(),
        WholeFileError::Content { error, .. } => error.to_string(),
    }
}

/// Whether a file was looked at and is not what it should be; if not, it could not be read.
pub(super) fn is_content<E>(error: &WholeFileError<E>) -> bool {
    match error {
        WholeFileError::Io { error, .. } => error.kind() == io::ErrorKind::FileTooLarge,
        WholeFileError::Content { .. } => true,
    }
}

/// The transaction index of one segment, held against the markers in it.
pub(super) struct TxnIndexCheck {
    path: PathBuf,
    base_offset: i64,
    entries: Vec<AbortedTxn>,
    has_marker: Vec<bool>,
    suspicions: Vec<Suspicion>,
}

impl TxnIndexCheck {
    /// Reads the index at `path`, which need not be there.
    pub(super) fn new(disk: &dyn Disk, path: &Path, base_offset: i64) -> Self {
        let mut check = Self {
            path: path.to_owned(),
            base_offset,
            entries: Vec::new(),
            has_marker: Vec::new(),
            suspicions: Vec::new(),
        };
        match whole_file::read(disk, path) {
            Ok(bytes) => check.take(&bytes.unwrap_or_default()),
            Err(error) => check.suspect(None, error.to_string(), false),
        }
        check
    }

    fn take(&mut self, bytes: &[u8]) {
        let entry_bytes = txn_index::ENTRY_BYTES;
        for (slot, entry) in bytes.as_chunks::<{ txn_index::ENTRY_BYTES }>().0.iter().enumerate() {
            match AbortedTxn::decode(entry) {
                Ok(txn) if txn.encode() == *entry => self.entries.push(txn),
                _ => {
                    let version = i16::from_be_bytes([entry[0], entry[1]]);
                    let problem = format!("version {version}, expected 0");
                    self.suspect(Some((slot * entry_bytes) as u64), problem, false);
                    break;
                }
            }
        }
        self.has_marker = vec![false; self.entries.len()];
        if self.suspicions.is_empty() && !bytes.len().is_multiple_of(entry_bytes) {
            let len = bytes.len();
            let problem = format!("{len} bytes are no whole number of entries");
            self.suspect(Some((len / entry_bytes * entry_bytes) as u64), problem, false);
        }
        let disorder = self.entries.windows(2).position(|w| w[1].last_offset <= w[0].last_offset);
        if let Some(at) = disorder {
            let problem = format!(
                "last offset {} does not follow {}",
                self.entries[at + 1].last_offset,
                self.entries[at].last_offset
            );
            self.suspect(Some(((at + 1) * entry_bytes) as u64), problem, false);
        }
    }

    fn suspect(&mut self, position: Option<u64>, problem: String, unless_compacted: bool) {
        let mut finding = Finding::new(Severity::Warning, &self.path, Code::TxnIndex, problem)
            .mended_by(Remedy::RebuildTxnIndex { base_offset: self.base_offset });
        finding.position = position;
        self.suspicions.push(Suspicion { finding, unless_compacted });
    }

    /// A batch of the segment; `complete` if the state before it was all known.
    pub(super) fn see(&mut self, batch: &Found<'_>, effect: &Effect, complete: bool) {
        let Some(producer_id) = effect.aborts else { return };
        let offset = batch.last_offset;
        let slot = self.entries.binary_search_by_key(&offset, |entry| entry.last_offset).ok();
        let slot = slot.filter(|&slot| self.entries[slot].producer_id == producer_id);
        if let Some(slot) = slot {
            self.has_marker[slot] = true;
        }
        for expected in effect.completed.iter().filter_map(AbortedTxn::of) {
            match slot.map(|slot| (slot, self.entries[slot])) {
                None => {
                    let problem = format!(
                        "lacks the transaction of producer {producer_id} from {} that the marker \
                         at {offset} aborts",
                        expected.first_offset
                    );
                    self.suspect(None, problem, true);
                }
                Some((slot, entry)) if complete && entry != expected => {
                    let problem = format!(
                        "producer {producer_id}: (first, last, last stable) offsets ({}, {}, {}), \
                         by the log ({}, {}, {})",
                        entry.first_offset,
                        entry.last_offset,
                        entry.last_stable_offset,
                        expected.first_offset,
                        expected.last_offset,
                        expected.last_stable_offset
                    );
                    self.suspect(Some((slot * txn_index::ENTRY_BYTES) as u64), problem, true);
                }
                Some(_) => {}
            }
        }
    }

    /// After the segment's last batch. `whole` if the state of producers was known all the way.
    /// Only the first suspicion is told: one rebuild mends all.
    pub(super) fn finish(mut self, whole: bool) -> Option<Suspicion> {
        for slot in 0..self.entries.len() {
            let AbortedTxn { producer_id, first_offset, last_offset, last_stable_offset } =
                self.entries[slot];
            let position = Some((slot * txn_index::ENTRY_BYTES) as u64);
            if whole && !self.has_marker[slot] {
                let problem = format!(
                    "producer {producer_id}: no abort marker of it is at offset {last_offset}"
                );
                self.suspect(position, problem, false);
            } else if first_offset > last_offset
                || last_stable_offset > last_offset.saturating_add(1)
            {
                let problem = format!(
                    "producer {producer_id}: (first, last, last stable) offsets ({first_offset}, \
                     {last_offset}, {last_stable_offset})"
                );
                self.suspect(position, problem, false);
            }
        }
        self.suspicions.sort_by_key(|suspicion| suspicion.unless_compacted);
        self.suspicions.into_iter().next()
    }
}

//! One segment: its batches in order, and its indexes against them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Previous, Suspicion, Walk, unreadable};
use crate::disk::{DiskFile, Open};
use crate::file_name::{FileKind, segment_file_name};
use crate::verify::batches::{Bad, BatchReader, Step, bytes_of};
use crate::verify::dir::is_metadata_log;
use crate::verify::indexes::{OffsetIndexCheck, TimeIndexCheck, Verdict};
use crate::verify::producers::TxnIndexCheck;
use crate::verify::{Code, Finding, Found, Offsets, Remedy, Severity, records};

/// The largest `.log`: positions in the offset index are 32 bits, signed.
const SEGMENT_BYTES_MAX: u64 = i32::MAX as u64;

/// The segment that is walked through.
struct Current {
    base_offset: i64,
    log: PathBuf,
    len: u64,
    next_base: Option<i64>,
    /// The next start checks it and makes its indexes anew.
    recovered: bool,
    damaged: bool,
}

/// Its indexes. Damage in the log ends their checks.
struct Indexes<'f> {
    offset: Option<OffsetIndexCheck<'f>>,
    time: Option<TimeIndexCheck<'f>>,
}

impl Walk<'_> {
    fn path_of(&self, base_offset: i64, kind: FileKind) -> PathBuf {
        self.place.dir.join(segment_file_name(base_offset, kind))
    }

    /// Verifies the segment at `base_offset`, which has these files; the one behind it begins at
    /// `next_base`.
    pub(super) fn segment(
        &mut self,
        base_offset: i64,
        kinds: &[FileKind],
        next_base: Option<i64>,
    ) -> io::Result<()> {
        let log = self.path_of(base_offset, FileKind::Log);
        let file = self.disk.open(&log, Open::Read)?;
        let len = file.len()?;
        if len > SEGMENT_BYTES_MAX {
            let problem = format!("{len} bytes, at most {SEGMENT_BYTES_MAX} allowed");
            self.pass_over(Finding::new(Severity::Damage, log, Code::SegmentSize, problem));
            return Ok(());
        }
        let recovered = self.is_recovered(base_offset);
        let mut current = Current { base_offset, log, len, next_base, recovered, damaged: false };
        self.join_on(&current);
        let offset_file = self.index_file(&current, kinds, FileKind::OffsetIndex);
        let time_file = self.index_file(&current, kinds, FileKind::TimeIndex);
        let check = |file| OffsetIndexCheck::new(file, base_offset);
        let offset = offset_file.as_deref().map(check).transpose()?;
        let check = |file| TimeIndexCheck::new(file, base_offset);
        let time = time_file.as_deref().map(check).transpose()?;
        let mut indexes = Indexes { offset, time };
        let txn_path = self.path_of(base_offset, FileKind::TxnIndex);
        let mut txns = TxnIndexCheck::new(self.disk, &txn_path, base_offset);

        let mut reader = BatchReader::new(&*file, len, Some(self.options.progress));
        self.previous = None;
        loop {
            match reader.next()? {
                Step::End => break,
                Step::Batch(batch) => {
                    self.batch(&mut current, &batch, &*file)?;
                    let complete = self.producers.is_complete();
                    let effect = self.producers.see(&batch, &*file, &current.log)?;
                    txns.see(&batch, &effect, complete);
                    if !current.damaged {
                        indexes.see(&batch)?;
                    }
                }
                Step::Bad(bad) => {
                    let expected = self.next_offset.unwrap_or(base_offset);
                    let later = reader.find_later(bad.position + 1, expected, base_offset)?;
                    let next = later.map(|later| later.base_offset);
                    self.damage(&mut current, bad, next);
                    let Some(later) = later else { break };
                    self.next_offset = Some(later.base_offset);
                    reader.resume(later.position);
                }
            }
        }
        if !current.damaged {
            self.finish_indexes(&current, indexes)?;
        }
        let whole = !self.producers.has_given_up();
        let suspicion = txns.finish(whole);
        self.suspicions.extend(suspicion.map(|suspicion| eased(suspicion, recovered)));
        Ok(())
    }

    /// Whether the segment begins where the one before has ended.
    fn join_on(&mut self, current: &Current) {
        let base_offset = current.base_offset;
        let expected = *self.next_offset.get_or_insert(base_offset);
        if base_offset < expected {
            let problem = format!("begins at {base_offset}, the segment before ends at {expected}");
            let offsets = Offsets { first: base_offset, last: expected - 1 };
            let finding = Finding::new(Severity::Damage, &current.log, Code::OffsetOrder, problem);
            self.findings.push(finding.of(offsets));
        } else if base_offset > expected {
            self.gap(current, None, base_offset);
            self.next_offset = Some(base_offset);
        }
    }

    fn gap(&mut self, current: &Current, position: Option<u64>, found: i64) {
        let expected = self.next_offset.unwrap_or(found);
        if found <= self.log_start_offset {
            return;
        }
        let problem = format!("{} offsets are missing before {found}", found - expected);
        let offsets = Offsets { first: expected, last: found - 1 };
        let mut finding = Finding::new(Severity::Damage, &current.log, Code::OffsetGap, problem);
        finding.position = position;
        self.gaps.push(finding.of(offsets));
    }

    fn index_file(
        &mut self,
        current: &Current,
        kinds: &[FileKind],
        kind: FileKind,
    ) -> Option<Arc<dyn DiskFile>> {
        let path = self.path_of(current.base_offset, kind);
        let remedy = Remedy::RebuildIndexes { base_offset: current.base_offset };
        let finding = if !kinds.contains(&kind) {
            let problem = "is missing".to_owned();
            Finding::new(Severity::Warning, path, Code::IndexMissing, problem)
        } else {
            match self.disk.open(&path, Open::Read) {
                Ok(file) => return Some(file),
                Err(error) => unreadable(&path, &error),
            }
        };
        if finding.code != Code::IndexMissing || !current.recovered {
            self.findings.push(finding.mended_by(remedy));
        }
        None
    }

    /// A batch that its sum vouches for.
    fn batch(
        &mut self,
        current: &mut Current,
        batch: &Found<'_>,
        file: &dyn DiskFile,
    ) -> io::Result<()> {
        let expected = self.next_offset.unwrap_or(current.base_offset);
        let reach = batch.last_offset - current.base_offset > i64::from(i32::MAX);
        if batch.base_offset < expected || reach {
            self.out_of_order(current, batch, expected);
        } else if batch.base_offset > expected {
            self.gap(current, Some(batch.position), batch.base_offset);
        }
        self.previous =
            Some(Previous { position: batch.position, base_offset: batch.base_offset, expected });
        let next_offset = self.next_offset.unwrap_or(expected);
        self.next_offset = Some(next_offset.max(batch.last_offset.saturating_add(1)));
        self.note_compaction(batch);
        self.see_epoch(batch, &current.log.clone(), current.recovered);
        if self.options.deep
            && let Some(problem) = records::problem(&bytes_of(file, batch)?)
        {
            let offsets = Offsets { first: batch.base_offset, last: batch.last_offset };
            let finding = Finding::new(Severity::Damage, &current.log, Code::Records, problem);
            self.findings.push(finding.at(batch.position).of(offsets));
        }
        Ok(())
    }

    /// A batch whose offsets are not its place's. If the one before it came behind a gap in which
    /// this one has room, it is that one's which are wrong.
    fn out_of_order(&mut self, current: &mut Current, batch: &Found<'_>, expected: i64) {
        current.damaged = true;
        self.producers.give_up();
        let moved = self.previous.filter(|previous| {
            previous.expected < previous.base_offset
                && (previous.expected..=previous.base_offset).contains(&batch.base_offset)
        });
        let (position, offsets, problem, end_offset) = match moved {
            Some(previous) => {
                let at = Some(previous.position);
                self.gaps.retain(|gap| gap.position != at || gap.path != current.log);
                let problem = format!(
                    "the batch begins at {}, the one behind it at {}",
                    previous.base_offset, batch.base_offset
                );
                let offsets = Offsets { first: previous.expected, last: batch.base_offset - 1 };
                self.next_offset = Some(batch.base_offset);
                (previous.position, offsets, problem, previous.expected)
            }
            None => {
                let problem = format!(
                    "the batch has offsets {} to {} in segment {}, {expected} or more expected",
                    batch.base_offset, batch.last_offset, current.base_offset
                );
                let offsets = Offsets { first: batch.base_offset, last: batch.last_offset };
                (batch.position, offsets, problem, expected)
            }
        };
        let remedy = self.cut_at(current, position, end_offset);
        let finding = Finding::new(Severity::Damage, &current.log, Code::OffsetOrder, problem);
        self.findings.push(finding.at(position).of(offsets).mended_by(remedy));
    }

    fn cut_at(&mut self, current: &Current, position: u64, end_offset: i64) -> Remedy {
        let base_offset = current.base_offset;
        let is_metadata = self.place.topic_partition.as_ref().is_some_and(is_metadata_log);
        let cut = Remedy::Cut { base_offset, position, end_offset, is_metadata };
        self.cut.get_or_insert(cut).clone()
    }

    /// Bytes that are no good batch; the next good one in the file begins at the offset `next`.
    fn damage(&mut self, current: &mut Current, bad: Bad, next: Option<i64>) {
        let expected = self.next_offset.unwrap_or(current.base_offset);
        let recovery_point = self.place.recovered_from.unwrap_or(i64::MAX);
        let Bad { position, code, problem } = bad;
        let is_tail = next.is_none() && current.next_base.is_none();
        if is_tail && current.recovered && expected >= recovery_point {
            let bytes = current.len - position;
            let problem = format!("{problem}: the tail of {bytes} bytes will be cut at the start");
            let note = Finding::new(Severity::Note, &current.log, Code::TornTail, problem);
            self.findings.push(note.at(position));
            return;
        }
        current.damaged = true;
        self.producers.give_up();
        let last = match next.or(current.next_base) {
            Some(next) => next - 1,
            // What was flushed is known to have been there.
            None if recovery_point < i64::MAX => recovery_point - 1,
            None => expected - 1,
        };
        let remedy = self.cut_at(current, position, expected);
        let finding = Finding::new(Severity::Damage, &current.log, code, problem);
        let finding = finding.at(position).of(Offsets { first: expected, last });
        self.findings.push(finding.mended_by(remedy));
        if next.is_none() {
            self.next_offset = Some(current.next_base.unwrap_or(expected).max(expected));
        }
    }

    fn finish_indexes(&mut self, current: &Current, indexes: Indexes<'_>) -> io::Result<()> {
        if let Some(check) = indexes.offset {
            let path = self.path_of(current.base_offset, FileKind::OffsetIndex);
            let verdict = check.finish(self.options.index_interval_bytes)?;
            self.index_verdict(current, &path, Code::OffsetIndex, verdict);
        }
        if let Some(check) = indexes.time {
            let path = self.path_of(current.base_offset, FileKind::TimeIndex);
            let verdict = check.finish(!current.recovered)?;
            self.index_verdict(current, &path, Code::TimeIndex, verdict);
        }
        Ok(())
    }

    fn index_verdict(&mut self, current: &Current, path: &Path, code: Code, verdict: Verdict) {
        let remedy = Remedy::RebuildIndexes { base_offset: current.base_offset };
        let (severity, code, position, problem) = match verdict {
            Verdict::Fine => return,
            Verdict::Sparse { .. } | Verdict::Zeros { .. } if current.recovered => return,
            Verdict::Sparse { stretch_bytes } => {
                let problem = format!("{stretch_bytes} bytes of the log have no entry");
                (Severity::Note, Code::OffsetIndexSparse, None, problem)
            }
            Verdict::Zeros { position } => {
                let problem = "zeros that a broker would take for entries".to_owned();
                (Severity::Warning, code, Some(position), problem)
            }
            Verdict::Wrong { position, problem } => {
                (Severity::Warning, code, Some(position), problem)
            }
        };
        let (severity, remedy) =
            if current.recovered { (Severity::Note, Remedy::AtStart) } else { (severity, remedy) };
        let mut finding = Finding::new(severity, path, code, problem).mended_by(remedy);
        finding.position = position;
        self.findings.push(finding);
    }
}

impl Indexes<'_> {
    fn see(&mut self, batch: &Found<'_>) -> io::Result<()> {
        if let Some(check) = &mut self.offset {
            check.see(batch)?;
        }
        match &mut self.time {
            Some(check) => check.see(batch),
            None => Ok(()),
        }
    }
}

/// What the next start makes anew is only noted.
fn eased(suspicion: Suspicion, recovered: bool) -> Suspicion {
    if !recovered {
        return suspicion;
    }
    let Suspicion { mut finding, unless_compacted } = suspicion;
    (finding.severity, finding.remedy) = (Severity::Note, Remedy::AtStart);
    Suspicion { finding, unless_compacted }
}

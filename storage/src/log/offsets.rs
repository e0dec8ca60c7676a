//! The four offsets of a log: log start, high watermark, last stable, log end.
//!
//! They are four numbers with four ways to move, although with one replica some are often equal.
//! Three of them bound what readers see, and for that their place in the files is kept with them.

use crate::error::StorageError;

/// The four offsets at one moment. `log_start_offset <= last_stable_offset <= high_watermark <=
/// log_end_offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// The first offset that may be read.
    pub log_start_offset: i64,
    /// Below it, records are replicated as far as they must be: consumers see up to here.
    pub high_watermark: i64,
    /// Below it, and below the high watermark, every transaction is decided.
    pub last_stable_offset: i64,
    /// The next record's offset.
    pub log_end_offset: i64,
}

/// An offset and where its batch starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) offset: i64,
    /// `None` until somebody needs to know.
    pub(super) place: Option<Place>,
}

/// A byte in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment_base_offset: i64,
    pub(super) position: u64,
}

impl Mark {
    /// An offset whose place is not known yet.
    pub(super) fn somewhere(offset: i64) -> Self {
        Self { offset, place: None }
    }
}

/// The first batch of the last append: what a consumer that keeps up asks for next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LastAppend {
    pub(super) base_offset: i64,
    pub(super) place: Place,
    /// Bytes of the batch.
    pub(super) size: u32,
}

/// Which end a read stops at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// The log end: followers.
    LogEnd,
    /// The high watermark: consumers that read uncommitted records.
    HighWatermark,
    /// The last stable offset: consumers that read committed records only.
    TxnCommitted,
}

/// The offsets as the log keeps them. Held under a lock that is never kept across I/O.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    log_start_offset: i64,
    high_watermark: Mark,
    log_end: Mark,
    /// The first offset of the first transaction that is undecided, or decided above the high
    /// watermark.
    first_unstable: Option<Mark>,
    last_append: Option<LastAppend>,
}

/// A new log start offset above the high watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartAboveHighWatermark {
    /// The offset that was asked for.
    pub requested: i64,
    /// The high watermark.
    pub high_watermark: i64,
}

impl Marks {
    /// After loading: the high watermark is at the log's start until the replica layer knows more.
    pub(super) fn new(log_start_offset: i64, log_end: Mark) -> Self {
        assert!(log_start_offset <= log_end.offset);
        let high_watermark = Mark::somewhere(log_start_offset);
        Self { log_start_offset, high_watermark, log_end, first_unstable: None, last_append: None }
    }

    pub(super) fn offsets(&self) -> Offsets {
        Offsets {
            log_start_offset: self.log_start_offset,
            high_watermark: self.high_watermark.offset,
            last_stable_offset: self.last_stable().offset,
            log_end_offset: self.log_end.offset,
        }
    }

    pub(super) fn log_end(&self) -> Mark {
        self.log_end
    }

    /// The last append, if its first batch begins with `offset`.
    pub(super) fn last_append_at(&self, offset: i64) -> Option<LastAppend> {
        self.last_append.filter(|last| last.base_offset == offset)
    }

    pub(super) fn set_last_append(&mut self, last: LastAppend) {
        self.last_append = Some(last);
    }

    /// Forgets it when its segment is sealed: in what a compaction makes of that, it is elsewhere.
    pub(super) fn forget_last_append(&mut self) {
        self.last_append = None;
    }

    /// Where a read of this kind ends.
    pub(super) fn bound(&self, isolation: Isolation) -> Mark {
        match isolation {
            Isolation::LogEnd => self.log_end,
            Isolation::HighWatermark => self.high_watermark,
            Isolation::TxnCommitted => self.last_stable(),
        }
    }

    /// Whether a transaction holds the last stable offset back, or may.
    pub(super) fn has_unstable(&self) -> bool {
        self.first_unstable.is_some()
    }

    fn last_stable(&self) -> Mark {
        match self.first_unstable {
            Some(first) if first.offset < self.high_watermark.offset => first,
            _ => self.high_watermark,
        }
    }

    /// Keeps the place of an offset that had to be searched for.
    pub(super) fn learn_place(&mut self, found: Mark) {
        if self.high_watermark.offset == found.offset {
            self.high_watermark = found;
        }
        if let Some(first) = &mut self.first_unstable
            && first.offset == found.offset
        {
            *first = found;
        }
    }

    /// Moves the log end forward, or to a new segment.
    pub(super) fn append_to(&mut self, log_end: Mark) {
        assert!(self.log_end.offset <= log_end.offset);
        let caught_up = self.high_watermark.offset >= log_end.offset;
        self.log_end = log_end;
        if caught_up {
            self.high_watermark = log_end;
        }
    }

    /// Moves the high watermark to `offset`, held within the log. Forward only; returns whether it
    /// moved.
    pub(super) fn advance_high_watermark(&mut self, offset: i64) -> bool {
        let bounded = offset.max(self.log_start_offset).min(self.log_end.offset);
        if bounded <= self.high_watermark.offset {
            return false;
        }
        self.set_high_watermark(bounded);
        true
    }

    fn set_high_watermark(&mut self, offset: i64) {
        self.high_watermark =
            if offset == self.log_end.offset { self.log_end } else { Mark::somewhere(offset) };
    }

    /// Sets where undecided transactions begin.
    pub(super) fn set_first_unstable(&mut self, offset: Option<i64>) {
        let offset = offset.map(|offset| offset.max(self.log_start_offset));
        if offset != self.first_unstable.map(|first| first.offset) {
            self.first_unstable = offset.map(Mark::somewhere);
        }
    }

    /// Moves the log start offset forward; returns whether it moved.
    pub(super) fn advance_log_start(
        &mut self,
        offset: i64,
    ) -> Result<bool, StartAboveHighWatermark> {
        if offset > self.high_watermark.offset {
            let high_watermark = self.high_watermark.offset;
            return Err(StartAboveHighWatermark { requested: offset, high_watermark });
        }
        if offset <= self.log_start_offset {
            return Ok(false);
        }
        self.log_start_offset = offset;
        let first_unstable = self.first_unstable.map(|first| first.offset);
        self.set_first_unstable(first_unstable);
        Ok(true)
    }

    /// After a truncation, which moves the end back and may take the start and the high watermark
    /// with it.
    pub(super) fn truncate_to(&mut self, log_end: Mark) {
        self.log_end = log_end;
        self.last_append = None;
        self.log_start_offset = self.log_start_offset.min(log_end.offset);
        if self.high_watermark.offset >= log_end.offset {
            self.high_watermark = log_end;
        }
    }

    /// After the whole log was replaced by an empty segment at `log_end`.
    pub(super) fn start_over(&mut self, log_end: Mark) {
        self.log_end = log_end;
        self.log_start_offset = log_end.offset;
        self.high_watermark = log_end;
        self.first_unstable = None;
        self.last_append = None;
    }
}

impl std::fmt::Display for StartAboveHighWatermark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "log start {} above high watermark {}", self.requested, self.high_watermark)
    }
}

impl std::error::Error for StartAboveHighWatermark {}

/// Why the log start offset could not be moved.
#[derive(Debug)]
pub enum LogStartError {
    /// It may not pass the high watermark.
    AboveHighWatermark(StartAboveHighWatermark),
    /// The disk failed.
    Storage(StorageError),
}

//! Stops and injected errors: what may happen to a call instead of its work.

use std::fmt;
use std::io;

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpKind {
    /// A file is made or cut by opening it.
    CreateFile,
    /// Directories are made.
    CreateDir,
    /// A directory is removed.
    RemoveDir,
    /// A rename.
    Rename,
    /// A file's name is removed.
    Unlink,
    /// A directory is synced.
    SyncDir,
    /// A lock is taken.
    Lock,
    /// A write.
    Write,
    /// A change of length.
    SetLen,
    /// Blocks are allocated.
    Allocate,
    /// A file is synced.
    Sync,
    /// A map is synced.
    Flush,
    /// A modification time is set.
    SetModified,
    /// A file that exists is opened.
    Open,
    /// A read.
    Read,
    /// A map is made.
    Map,
    /// Length, time, existence, listing, space.
    Look,
}

impl OpKind {
    /// Whether it makes something durable.
    pub fn is_sync(self) -> bool {
        matches!(self, Self::Sync | Self::Flush | Self::SyncDir)
    }

    /// Whether it changes the disk or what of it is durable, and so is numbered.
    pub fn is_change(self) -> bool {
        !matches!(self, Self::Open | Self::Read | Self::Map | Self::Look)
    }
}

/// Where the simulated process ends, by operation number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The operation does not happen.
    Before(u64),
    /// A write does half of its bytes; any other operation does not happen.
    Amid(u64),
    /// The operation happens, but nobody learns of it.
    After(u64),
}

/// The error of every call after the simulated process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the simulated process has ended")
    }
}

impl std::error::Error for Stopped {}

impl Stopped {
    /// Whether `error` came from a call after the end.
    pub fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

/// An error to be injected.
#[derive(Clone, Debug)]
pub struct Fault {
    kind: Option<OpKind>,
    number: Option<u64>,
    path_end: String,
    skip: u64,
    is_sticky: bool,
    bytes_done: usize,
    errno: Option<i32>,
}

impl Fault {
    /// Fails the operation of this number with the system's error number, such as `EIO`.
    pub fn at_op(number: u64, errno: i32) -> Self {
        Self { number: Some(number), ..Self::any(Some(errno)) }
    }

    /// Fails the next call of this kind.
    pub fn on(kind: OpKind, errno: i32) -> Self {
        Self { kind: Some(kind), ..Self::any(Some(errno)) }
    }

    /// All calls of this kind do nothing and say that all is well: what a program does that forgets
    /// them. For syncs and removals of names; to see that a test would notice.
    pub fn forget(kind: OpKind) -> Self {
        Self { kind: Some(kind), is_sticky: true, ..Self::any(None) }
    }

    fn any(errno: Option<i32>) -> Self {
        Self {
            kind: None,
            number: None,
            path_end: String::new(),
            skip: 0,
            is_sticky: false,
            bytes_done: 0,
            errno,
        }
    }

    /// Only for paths that end so.
    pub fn path(self, end: &str) -> Self {
        Self { path_end: end.to_owned(), ..self }
    }

    /// Lets so many matching calls pass first.
    pub fn skip(self, calls: u64) -> Self {
        Self { skip: calls, ..self }
    }

    /// Goes on failing for ever, instead of once: by number, all operations from it on.
    pub fn sticky(self) -> Self {
        Self { is_sticky: true, ..self }
    }

    /// A write does so many bytes before it fails.
    pub fn after_bytes(self, bytes: usize) -> Self {
        Self { bytes_done: bytes, ..self }
    }

    fn matches(&self, kind: OpKind, number: Option<u64>, path: &str) -> bool {
        let number_fits = match (self.number, number) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wanted), Some(number)) if self.is_sticky => wanted <= number,
            (Some(wanted), Some(number)) => wanted == number,
        };
        number_fits
            && self.kind.is_none_or(|wanted| wanted == kind)
            && path.ends_with(&self.path_end)
    }
}

/// How much of a call is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    Whole,
    /// Half of a write.
    Half,
    /// So many bytes of a write.
    Bytes(usize),
    /// The call fails as a whole; a sync leaves damage behind.
    Fails,
    /// Nothing.
    Nothing,
}

/// What is to happen to a call.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) extent: Extent,
    /// What the caller gets instead of the result.
    pub(super) error: Option<io::Error>,
}

/// Counts calls, and decides about each.
#[derive(Debug, Default)]
pub(super) struct Control {
    ops: u64,
    stop: Option<Stop>,
    is_stopped: bool,
    faults: Vec<Fault>,
    struck: Vec<Struck>,
    syncs_after_failure: Vec<String>,
    trace: Vec<String>,
    is_quiet: bool,
}

/// A call that an injected [`Fault`] has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Struck {
    /// What kind of call.
    pub kind: OpKind,
    /// Its number, unless it changes nothing.
    pub number: Option<u64>,
    /// Of which file or directory.
    pub path: String,
    /// With which of the system's error numbers.
    pub errno: i32,
}

impl Struck {
    /// Whether it was a sync, after which what is on the disk is not known.
    pub fn is_sync(&self) -> bool {
        self.kind.is_sync()
    }
}

impl Control {
    pub(super) fn ops(&self) -> u64 {
        self.ops
    }

    pub(super) fn stop(&mut self, stop: Stop) {
        self.stop = Some(stop);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    pub(super) fn inject(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn clear_faults(&mut self) {
        self.faults.clear();
    }

    pub(super) fn struck(&self) -> &[Struck] {
        &self.struck
    }

    pub(super) fn syncs_after_failure(&self) -> &[String] {
        &self.syncs_after_failure
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    pub(super) fn set_quiet(&mut self, is_quiet: bool) {
        self.is_quiet = is_quiet;
    }

    pub(super) fn trace(&self) -> &[String] {
        &self.trace
    }

    /// Announces a call. An error is the call's outcome, and nothing is done.
    pub(super) fn turn(
        &mut self,
        kind: OpKind,
        path: &str,
        details: fmt::Arguments<'_>,
    ) -> io::Result<Turn> {
        if self.is_stopped {
            return Err(io::Error::other(Stopped));
        }
        let number = kind.is_change().then(|| {
            self.ops += 1;
            self.ops - 1
        });
        if kind.is_sync() && self.has_failed_sync_beside(path) {
            self.syncs_after_failure.push(path.to_owned());
        }
        if self.is_quiet {
            return self.decide(kind, number, path);
        }
        let label = number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let mut line = format!("{label} {kind:?} {path}{details}");
        let turn = self.decide(kind, number, path);
        match &turn {
            Ok(Turn { error: None, .. }) => {}
            Ok(Turn { extent, error: Some(error) }) => line += &format!(" ! {extent:?}, {error}"),
            Err(error) => line += &format!(" ! {error}"),
        }
        self.trace.push(line);
        turn
    }

    /// Whether a sync has failed in the same directory right below the root.
    fn has_failed_sync_beside(&self, path: &str) -> bool {
        let top = |path: &str| path.split('/').find(|name| !name.is_empty()).map(str::to_owned);
        let failed = |struck: &Struck| struck.is_sync() && top(&struck.path) == top(path);
        !self.struck.is_empty() && self.struck.iter().any(failed)
    }

    fn decide(&mut self, kind: OpKind, number: Option<u64>, path: &str) -> io::Result<Turn> {
        let stopped = || Some(io::Error::other(Stopped));
        match self.stop {
            Some(Stop::Before(at)) if number == Some(at) => {
                self.is_stopped = true;
                return Err(io::Error::other(Stopped));
            }
            Some(Stop::Amid(at)) if number == Some(at) => {
                self.is_stopped = true;
                if kind != OpKind::Write {
                    return Err(io::Error::other(Stopped));
                }
                return Ok(Turn { extent: Extent::Half, error: stopped() });
            }
            Some(Stop::After(at)) if number == Some(at) => {
                self.is_stopped = true;
                return Ok(Turn { extent: Extent::Whole, error: stopped() });
            }
            _ => {}
        }
        let Some(at) = self.faults.iter().position(|fault| fault.matches(kind, number, path))
        else {
            return Ok(Turn { extent: Extent::Whole, error: None });
        };
        let fault = &mut self.faults[at];
        if 0 < fault.skip {
            fault.skip -= 1;
            return Ok(Turn { extent: Extent::Whole, error: None });
        }
        let (errno, bytes) = (fault.errno, fault.bytes_done);
        if !fault.is_sticky {
            self.faults.remove(at);
        }
        let Some(errno) = errno else {
            return Ok(Turn { extent: Extent::Nothing, error: None });
        };
        let error = io::Error::from_raw_os_error(errno);
        self.struck.push(Struck { kind, number, path: path.to_owned(), errno });
        match kind {
            OpKind::Write => Ok(Turn { extent: Extent::Bytes(bytes), error: Some(error) }),
            kind if kind.is_sync() => Ok(Turn { extent: Extent::Fails, error: Some(error) }),
            _ => Err(error),
        }
    }
}

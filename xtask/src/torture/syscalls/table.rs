//! Which calls fail in which ways, and what is promised then.

/// The ways in which a call may fail, in groups that several calls share.
type Faults = &'static [&'static [Fault]];

/// A call, how it may fail, and whether it may do so for any file. The others are used for sockets
/// and threads as well: they fail only for files of the data directories.
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) any_file: bool,
    pub(crate) faults: Faults,
}

impl Call {
    /// What may fail at a start. The loader of programs reads libraries before the broker is there.
    pub(crate) fn at_start(&self) -> Call {
        let any_file = self.any_file && self.name != "pread64";
        Call { any_file, ..*self }
    }

    /// Whether it is a sync, whose failure is final.
    pub(crate) fn is_sync(&self) -> bool {
        matches!(self.name, "fdatasync" | "fsync")
    }
}

/// What a call does instead of its work. A number of bytes that were never moved would be a lie of
/// the kernel that no file system tells, so a short transfer is one of nothing: really short ones
/// come from a limit on the size of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails with this error, once in each thread.
    Once(&'static str),
    /// It fails with this error from now on.
    Always(&'static str),
    /// It fails with this error from now on for what is in one of the two directories.
    OneDir(&'static str),
    /// It moves no byte, once in each thread.
    Short,
}

use Fault::{Always, Once, OneDir, Short};

/// Broken, for a moment, for good, or in part.
const BROKEN: &[Fault] = &[Once("EIO"), Always("EIO"), OneDir("EIO")];
/// Nothing can be added.
const NO_ROOM: &[Fault] = &[Always("ENOSPC"), Always("EDQUOT"), Always("EROFS")];
/// What may befall a call that takes its time or makes a file longer.
const STOPPED: &[Fault] = &[Once("EFBIG"), Once("EINTR")];

const WRITES: Faults = &[BROKEN, NO_ROOM, STOPPED, &[OneDir("ENOSPC"), Short]];
const SYNCS: Faults = &[BROKEN, &[Once("ENOSPC"), Once("EDQUOT"), Once("EROFS"), Once("EINTR")]];
const SPACE: Faults = &[BROKEN, NO_ROOM, STOPPED];
const NAMES: Faults = &[BROKEN, NO_ROOM];
const READS: Faults = &[BROKEN, &[Once("EINTR"), Short]];
const LISTS: Faults = &[BROKEN];
const OPENS: Faults = &[BROKEN, NO_ROOM, &[Once("EINTR"), Once("EMFILE")]];
const MAPS: Faults = &[&[Once("ENOMEM"), Always("ENOMEM"), OneDir("ENOMEM"), Once("EAGAIN")]];
const CLOSES: Faults = &[&[Once("EIO"), Once("EINTR"), Once("ENOSPC")]];

const fn call(name: &'static str, faults: Faults) -> Call {
    Call { name, any_file: true, faults }
}

const fn call_of_data(name: &'static str, faults: Faults) -> Call {
    Call { name, any_file: false, faults }
}

/// All calls that the storage makes and that can fail. Files are never written by `write`.
pub(crate) const CALLS: [Call; 15] = [
    call("pwrite64", WRITES),
    call("pwritev", WRITES),
    call("fdatasync", SYNCS),
    call("fsync", SYNCS),
    call("rename", NAMES),
    call("ftruncate", SPACE),
    call("fallocate", SPACE),
    call("unlink", NAMES),
    call("mkdir", NAMES),
    call("getdents64", LISTS),
    call("pread64", READS),
    call("sendfile", READS),
    call_of_data("openat", OPENS),
    call_of_data("mmap", MAPS),
    call_of_data("close", CLOSES),
];

/// How a broker may be after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It answers, and so many directories are offline.
    Serves { offline: usize },
    /// It ended by itself with this code.
    Exits(i32),
    /// A signal ended it, though nobody sent one.
    Dies,
    /// It neither answers nor ends.
    Hangs,
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            End::Serves { offline: 0 } => write!(f, "serves"),
            End::Serves { offline } => write!(f, "serves, {offline} offline"),
            End::Exits(code) => write!(f, "exit code {code}"),
            End::Dies => write!(f, "died"),
            End::Hangs => write!(f, "hangs"),
        }
    }
}

/// What is wrong with this end after so many calls had this fault, by the promises of
/// `docs/DURABILITY.md`.
pub(crate) fn broken_promise(
    call: &Call,
    fault: Fault,
    injected: usize,
    end: End,
) -> Option<String> {
    // No directory is opened to be synced on a disk that has no room to open it.
    let may_be_sync = match call.name {
        "openat" => fault != Once("EMFILE"),
        _ => call.is_sync(),
    };
    let allowed = match fault {
        // Interrupted is not failed; a closed descriptor is closed.
        Once("EINTR") => end == End::Serves { offline: 0 },
        // Nothing is changed for want of space, or of memory, and it heals.
        Once("ENOSPC" | "EDQUOT" | "ENOMEM" | "EMFILE" | "EAGAIN")
        | Always("ENOSPC" | "EDQUOT" | "ENOMEM")
        | OneDir("ENOSPC" | "EDQUOT" | "ENOMEM")
            if !may_be_sync =>
        {
            end == End::Serves { offline: 0 }
        }
        // A failed sync is never forgiven.
        OneDir(_) if call.is_sync() && injected > 0 => end == End::Serves { offline: 1 },
        _ if call.is_sync() && injected > 0 => {
            matches!(end, End::Serves { offline: 1.. } | End::Exits(1))
        }
        OneDir(_) => matches!(end, End::Serves { offline: 0 | 1 }),
        _ => matches!(end, End::Serves { .. } | End::Exits(1)),
    };
    (!allowed).then(|| format!("the broker: {end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_sync_is_never_forgiven() {
        let serves = End::Serves { offline: 0 };
        let one_offline = End::Serves { offline: 1 };
        for sync in CALLS.iter().filter(|call| call.is_sync()) {
            for fault in sync.faults.iter().copied().flatten().copied() {
                let is_failure = fault != Once("EINTR");
                let is_wrong = |end| broken_promise(sync, fault, 1, end).is_some();
                assert_eq!(is_wrong(serves), is_failure, "{} {fault:?}", sync.name);
                assert_eq!(is_wrong(one_offline), !is_failure, "{} {fault:?}", sync.name);
                assert!(is_wrong(End::Exits(0)) && is_wrong(End::Dies) && is_wrong(End::Hangs));
                // Nothing failed.
                assert_eq!(broken_promise(sync, fault, 0, serves), None);
            }
        }
        assert_eq!(CALLS.iter().filter(|call| call.is_sync()).count(), 2);
    }
}

//! A simulated disk, as nasty as real ones: what was not synced may be lost, torn or reordered.
//!
//! [`SimDisk`] implements [`Disk`](crate::disk::Disk) in memory. Each file has an image that every
//! reader sees (the page cache), a durable image, and the ordered operations that lie between them;
//! each directory has the same for its names. [`SimDisk::crash`] makes a new disk of what a crash
//! leaves, chosen from a seed and a [`CrashStyle`]. The old disk stays as it was, so that one run
//! gives many crash images.
//!
//! A test enumerates crash points like this: run the work once and read [`SimDisk::ops`]; then for
//! each number run it anew with [`SimDisk::stop`] before (amid, after) that operation, crash, open
//! the log on the new disk, and compare it with a model.
//!
//! Errors are injected with [`Fault`]s, a full disk with [`SimDisk::set_capacity`], and a failed
//! sync leaves behind what [`FsyncFailure`] says. Everything is deterministic; nothing here is
//! called by the broker.
//!
//! Not simulated: hard links, permissions, the access time, a file system's own consistency (an
//! operation on names is atomic), and the time that calls take.
//!
//! ```
//! use std::io::IoSlice;
//! use std::path::Path;
//! use ottla_storage::disk::{Disk, Open};
//! use ottla_storage::sim::{CrashStyle, SimDisk};
//!
//! let disk = SimDisk::new();
//! let file = disk.open(Path::new("log"), Open::Create)?;
//! file.write_all_at(&[IoSlice::new(b"synced")], 0)?;
//! file.sync_data()?;
//! disk.sync_dir(Path::new("."))?;
//! file.write_all_at(&[IoSlice::new(b" not synced")], 6)?;
//!
//! let after = disk.crash(7, CrashStyle::DropPending);
//! assert_eq!(after.contents(Path::new("log")).as_deref(), Some(&b"synced"[..]));
//! # std::io::Result::Ok(())
//! ```

mod crash;
mod fault;
mod handle;
mod image;
mod names;
mod random;
mod world;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use crash::CrashStyle;
pub use fault::{Fault, OpKind, Stop, Stopped, Struck};
pub use world::{FsyncFailure, KeptImage};

use world::World;

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    world: Arc<Mutex<World>>,
}

impl SimDisk {
    /// An empty disk without a limit.
    pub fn new() -> Self {
        Self::default()
    }

    fn with(world: World) -> Self {
        Self { world: Arc::new(Mutex::new(world)) }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // A simulated SIGBUS panics under the lock; the images are whole even then.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk as a crash at this moment leaves it, the same for the same seed. Handles of the old
    /// disk do not reach it; locks, faults and stops are gone; the clock and the capacity stay.
    pub fn crash(&self, seed: u64, style: CrashStyle) -> Self {
        Self::with(crash::crash(&self.world(), seed, style))
    }

    /// How many operations that change something have begun. They are numbered from 0; reads,
    /// stores into maps, and opening files that exist are not counted.
    pub fn ops(&self) -> u64 {
        self.world().control.ops()
    }

    /// Ends the simulated process at an operation: from then on every call fails with [`Stopped`]
    /// and stores into maps do nothing.
    pub fn stop(&self, stop: Stop) {
        self.world().control.stop(stop);
    }

    /// Whether the simulated process has ended.
    pub fn is_stopped(&self) -> bool {
        self.world().control.is_stopped()
    }

    /// Keeps an image of the disk before each operation from now on, and one amid each write: all
    /// crash points of a run, in one run.
    pub fn keep_images(&self) {
        self.world().kept = Some(Vec::new());
    }

    /// The images kept, with one as things are now at their end; no more are kept.
    pub fn take_images(&self) -> Vec<KeptImage> {
        let mut world = self.world();
        world.keep(false);
        world.kept.take().unwrap_or_default()
    }

    /// Faults that have struck, in their order.
    pub fn struck(&self) -> Vec<Struck> {
        self.world().control.struck().to_vec()
    }

    /// What was synced in a directory right below the root after a sync in it had failed: nobody
    /// may trust such a sync, and so nobody should try it.
    pub fn syncs_after_failure(&self) -> Vec<String> {
        self.world().control.syncs_after_failure().to_vec()
    }

    /// Notes no calls down from now on; so do the disks that crashes make of this one.
    pub fn set_quiet(&self, is_quiet: bool) {
        self.world().control.set_quiet(is_quiet);
    }

    /// Adds a fault. Of several that match, the first one added strikes.
    pub fn inject(&self, fault: Fault) {
        self.world().control.inject(fault);
    }

    /// Takes all faults away.
    pub fn clear_faults(&self) {
        self.world().control.clear_faults();
    }

    /// What a failed sync does to the pages that it did not write.
    pub fn set_fsync_failure(&self, failure: FsyncFailure) {
        self.world().fsync_failure = failure;
    }

    /// Limits the disk to so many bytes, in blocks of 4 KiB; `None` for no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.world().capacity_bytes = bytes;
    }

    /// Makes reads return fewer bytes than asked for, at random from `seed`; `None` ends it.
    pub fn set_short_reads(&self, seed: Option<u64>) {
        self.world().short_reads = seed.map(random::Random::new);
    }

    /// Sets the clock that modification times are taken from, milliseconds.
    pub fn set_now_ms(&self, now_ms: i64) {
        self.world().now_ms = now_ms;
    }

    /// All calls so far, one line each, for a failing test's message.
    pub fn trace(&self) -> Vec<String> {
        self.world().control.trace().to_vec()
    }

    /// The calls before the operation of this number.
    pub fn trace_before(&self, op: u64) -> Vec<String> {
        let world = self.world();
        let trace = world.control.trace();
        let label = format!("{op} ");
        let end = trace.iter().position(|line| line.starts_with(&label)).unwrap_or(trace.len());
        trace[..end].to_vec()
    }

    /// The bytes of a file as readers see them.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        self.world().file_at(path).map(|file| file.cache.to_vec())
    }

    /// The bytes of a file that the medium holds: what a crash that drops everything leaves of it
    /// if its name survives.
    pub fn durable_contents(&self, path: &Path) -> Option<Vec<u8>> {
        self.world().file_at(path).map(|file| file.durable.to_vec())
    }

    /// The paths of all files, ascending, without a leading slash.
    pub fn files(&self) -> Vec<String> {
        self.world().file_paths()
    }

    /// Changes bytes of a file behind everybody's back, in both images: bit rot. The file must
    /// exist and must be long enough.
    ///
    /// # Panics
    /// When it is not.
    pub fn corrupt(&self, path: &Path, position: u64, bytes: &[u8]) {
        let mut world = self.world();
        let file = world.file_at_mut(path).expect("the file to corrupt exists");
        let end = position + bytes.len() as u64;
        assert!(end <= file.cache.len(), "corruption lies inside the file");
        file.cache.write(position, bytes);
        if end <= file.durable.len() {
            file.durable.write(position, bytes);
        }
    }
}

#[cfg(test)]
mod tests;

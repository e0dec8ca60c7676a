//! A file of fixed-size entries that one thread appends to through a map while others search it.
//!
//! While its segment is active, the file has Kafka's full length, `segment.index.bytes` rounded
//! down to whole entries, but only as many blocks as the entries soon need: the tail is sparse, and
//! [`MappedIndex::reserve`] has blocks allocated ahead of the entries, one page at first and then
//! as much again as there is. A store into the map thus never needs a block that a full disk would
//! refuse, which the kernel could only tell by a signal. Trimming cuts the file to its entries.
//!
//! Only the map is kept, no descriptor: thousands of partitions have two indexes each. The map of a
//! sealed segment's index is made when it is first searched, and let go by
//! [`MappedIndex::release`]. The index of an active segment *rests* at the length of its entries
//! until the first of them is due: most partitions that a broker opens are not appended to soon,
//! and one that never is costs neither a map nor a system call when it is closed again.

use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::disk::{Disk, DiskFile, DiskMap, Open};
use crate::error::StorageError;
use crate::segment::Place;

/// The first step of allocation, and the unit of all.
const PAGE_BYTES: u64 = 4096;
/// The largest step. At this size the system calls are one in 131,072 entries.
const STEP_BYTES_MAX: u64 = 1 << 20;

/// See the module.
#[derive(Debug)]
pub(super) struct MappedIndex {
    disk: Arc<dyn Disk>,
    place: Place,
    entry_bytes: u32,
    /// Held shared while the map is used, so that the file cannot shrink under a search.
    state: RwLock<State>,
    /// Filled slots; published with release after their words, read with acquire.
    entries: AtomicU32,
    /// The file was cut or filled since it was last synced: true through any change of state.
    unsynced: AtomicBool,
}

#[derive(Debug)]
enum State {
    /// Not mapped; the file, if there is one, is full of entries.
    Closed,
    /// Not mapped, and not to be: the name may be another index's.
    Gone,
    /// To be appended to, but not yet: the file is as long as its entries.
    Resting {
        /// The length that it is to have then, bytes.
        length: u64,
        /// The entries, where they were searched meanwhile.
        map: Option<Arc<dyn DiskMap>>,
    },
    /// Mapped, or of no length and therefore not mappable.
    Open {
        map: Option<Arc<dyn DiskMap>>,
        /// How much of the file has blocks, bytes.
        allocated: u64,
    },
}

/// The map and the entries in it, good as long as it is held.
pub(super) struct View<'a> {
    state: RwLockReadGuard<'a, State>,
    /// Filled slots when the view was made.
    pub(super) entries: u32,
    words_per_entry: usize,
}

/// What stands at the ends of an index's file.
pub(super) struct Ends {
    /// Its length, bytes.
    pub(super) length: u64,
    /// The words of its first slot and of its last; `None` when there is not one whole slot.
    pub(super) slots: Option<[Vec<u32>; 2]>,
}

impl View<'_> {
    /// The `word`th 32 bits of slot `slot`, which must be a filled one.
    pub(super) fn word(&self, slot: u32, word: usize) -> u32 {
        debug_assert!(slot < self.entries && word < self.words_per_entry);
        let (State::Open { map: Some(map), .. } | State::Resting { map: Some(map), .. }) =
            &*self.state
        else {
            unreachable!("a view of {} entries has a map", self.entries)
        };
        map.load_u32((slot as usize * self.words_per_entry + word) * 4)
    }
}

impl MappedIndex {
    /// The index at `place`, whose file is neither opened nor asked for.
    pub(super) fn new(disk: Arc<dyn Disk>, place: Place, entry_bytes: u32) -> Self {
        assert!(entry_bytes.is_multiple_of(4));
        let state = RwLock::new(State::Closed);
        let (entries, unsynced) = (AtomicU32::new(0), AtomicBool::new(false));
        Self { disk, place, entry_bytes, state, entries, unsynced }
    }

    /// Its file.
    pub(super) fn path(&self) -> PathBuf {
        self.place.path()
    }

    pub(super) fn base_offset(&self) -> i64 {
        self.place.base_offset
    }

    fn read_state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_state(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entries, mapping the file first if it is not mapped.
    pub(super) fn view(&self) -> io::Result<View<'_>> {
        loop {
            let state = self.read_state();
            let is_ready = match &*state {
                State::Open { .. } => true,
                State::Resting { map, .. } => map.is_some() || self.entries() == 0,
                State::Closed | State::Gone => false,
            };
            if is_ready {
                let entries = self.entries.load(Ordering::Acquire);
                let words_per_entry = self.entry_bytes as usize / 4;
                return Ok(View { state, entries, words_per_entry });
            }
            drop(state);
            let mut state = self.write_state();
            match &mut *state {
                State::Closed => *state = self.open_as_full()?,
                State::Gone => return Err(io::ErrorKind::NotFound.into()),
                State::Resting { map, .. } => {
                    let file = self.disk.open(&self.path(), Open::ReadWrite)?;
                    *map = map_if_any(&*file, self.used_bytes())?;
                }
                State::Open { .. } => {}
            }
        }
    }

    /// What the filled slots take of the file.
    fn used_bytes(&self) -> u64 {
        u64::from(self.entries()) * u64::from(self.entry_bytes)
    }

    /// Maps the file at its present length, every slot of which counts as an entry: a file that was
    /// closed in order holds nothing else. A missing file has no entries.
    fn open_as_full(&self) -> io::Result<State> {
        let file = match self.disk.open(&self.path(), Open::ReadWrite) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.entries.store(0, Ordering::Release);
                return Ok(State::Open { map: None, allocated: 0 });
            }
            Err(error) => return Err(error),
        };
        let length = file.len()?;
        let entries = u32::try_from(length / u64::from(self.entry_bytes)).map_err(too_long)?;
        let mapped = u64::from(entries) * u64::from(self.entry_bytes);
        let map = map_if_any(&*file, mapped)?;
        self.entries.store(entries, Ordering::Release);
        Ok(State::Open { map, allocated: length })
    }

    /// Looks at a file that a trim may not have left as it is; `None` without one. By reads, not
    /// through a map: on tmpfs a look at a sparse tail through a map needs a block, which a full
    /// disk refuses by a signal.
    pub(super) fn read_ends(&self) -> io::Result<Option<Ends>> {
        let file = match self.disk.open(&self.path(), Open::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = file.len()?;
        let entry_bytes = u64::from(self.entry_bytes);
        let read = |slot: u64| -> io::Result<Vec<u32>> {
            let mut bytes = vec![0; self.entry_bytes as usize];
            file.read_exact_at(&mut bytes, slot * entry_bytes)?;
            Ok(bytes.as_chunks().0.iter().map(|word| u32::from_be_bytes(*word)).collect())
        };
        let slots = match (length / entry_bytes).checked_sub(1) {
            Some(last) => Some([read(0)?, read(last)?]),
            None => None,
        };
        Ok(Some(Ends { length, slots }))
    }

    /// Lets the map go until the next search. For a sealed segment's only.
    pub(super) fn release(&self) {
        let mut state = self.write_state();
        if matches!(*state, State::Open { .. } | State::Resting { .. }) {
            *state = State::Closed;
        }
    }

    /// Lets the map of an index that rests go until the next search.
    pub(super) fn rest(&self) {
        if let State::Resting { map, .. } = &mut *self.write_state() {
            *map = None;
        }
    }

    /// Lets the map go for ever: searches fail with [`io::ErrorKind::NotFound`] from now on.
    pub(super) fn retire(&self) {
        *self.write_state() = State::Gone;
    }

    /// The length of its file, bytes; 0 without one.
    pub(super) fn file_bytes(&self) -> io::Result<u64> {
        match self.disk.open(&self.path(), Open::Read) {
            Ok(file) => file.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Whether a map is held.
    pub(super) fn is_mapped(&self) -> bool {
        matches!(
            *self.read_state(),
            State::Open { map: Some(_), .. } | State::Resting { map: Some(_), .. }
        )
    }

    /// Makes it the index of a segment that is appended to, with room for `bytes_max` rounded down
    /// to whole entries; the file is made when missing. With `emptied`, no slot counts as an entry
    /// any more. The file gets that length when the first entry is due. Fails when there is no room
    /// for one entry.
    pub(super) fn make_active(&self, bytes_max: u32, emptied: bool) -> io::Result<()> {
        let length = u64::from(bytes_max / self.entry_bytes * self.entry_bytes);
        if length == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no room for one entry"));
        }
        let mut state = self.write_state();
        match &mut *state {
            State::Resting { length: resting, map } if !emptied && *resting == length => {
                *map = None;
                return Ok(());
            }
            // A trim that failed has left it so.
            State::Open { map: Some(map), .. } if !emptied && map.len() as u64 == length => {
                return Ok(());
            }
            State::Open { .. } if !emptied => self.cut(&mut state)?,
            _ => {}
        }
        // Nobody searches now, and the map must be gone before the file is cut.
        *state = State::Closed;
        let how = if emptied { Open::Truncate } else { Open::Create };
        let file = self.disk.open(&self.path(), how)?;
        let present = if emptied { 0 } else { file.len()? };
        let entries = u32::try_from(present / u64::from(self.entry_bytes)).map_err(too_long)?;
        self.entries.store(entries, Ordering::Release);
        let used = self.used_bytes();
        if present != used {
            file.set_len(used)?;
        }
        // A smaller segment.index.bytes than before must not cut entries off.
        if emptied || present != used {
            self.unsynced.store(true, Ordering::Release);
        }
        *state = State::Resting { length: length.max(used), map: None };
        Ok(())
    }

    /// Makes `content`, whole entries, all that the index has. It rests then, with room for
    /// `bytes_max` rounded down to whole entries. A file that has just that is left as it is: to
    /// cut and write one costs a file system far more than to read it, and after a crash nearly all
    /// of thousands of indexes are what they should be.
    pub(super) fn put(&self, content: &[u8], bytes_max: u32) -> io::Result<()> {
        let length = u64::from(bytes_max / self.entry_bytes * self.entry_bytes);
        let used = content.len() as u64;
        assert!(used.is_multiple_of(u64::from(self.entry_bytes)) && used <= length);
        let mut state = self.write_state();
        // Nobody searches now, and the map must be gone before the file is cut.
        *state = State::Closed;
        // Whether what is there was synced, nobody knows.
        self.unsynced.store(true, Ordering::Release);
        let file = self.disk.open(&self.path(), Open::Create)?;
        if !has_content(&*file, content)? {
            file.set_len(0)?;
            file.write_all_at(&[IoSlice::new(content)], 0)?;
        }
        self.entries.store((used / u64::from(self.entry_bytes)) as u32, Ordering::Release);
        *state = State::Resting { length, map: None };
        Ok(())
    }

    /// Lengthens the file and maps it, if that was not done yet.
    fn wake(&self) -> io::Result<()> {
        let mut state = self.write_state();
        let State::Resting { length, .. } = *state else { return Ok(()) };
        self.unsynced.store(true, Ordering::Release);
        let file = self.disk.open(&self.path(), Open::ReadWrite)?;
        file.set_len(length)?;
        let mapped = map_if_any(&*file, length);
        let map = match mapped {
            Ok(map) => map,
            Err(error) => {
                // It rests on, and must be as long as one that rests.
                file.set_len(self.used_bytes())?;
                return Err(error);
            }
        };
        *state = State::Open { map, allocated: self.used_bytes() };
        Ok(())
    }

    /// How many slots the file has, or will have, room for; 0 when it is no active one's.
    pub(super) fn entries_max(&self) -> u32 {
        match &*self.read_state() {
            State::Open { map: Some(map), .. } => (map.len() / self.entry_bytes as usize) as u32,
            State::Resting { length, .. } => (*length / u64::from(self.entry_bytes)) as u32,
            _ => 0,
        }
    }

    /// The filled slots, as far as known without opening the file.
    pub(super) fn entries(&self) -> u32 {
        self.entries.load(Ordering::Acquire)
    }

    /// Has blocks allocated so that `more` pushes cannot want for space. Nothing changes on an
    /// error. Slots past the file's end are not counted: a push refuses those itself.
    pub(super) fn reserve(&self, more: u32) -> io::Result<()> {
        self.wake()?;
        let wanted = (u64::from(self.entries()) + u64::from(more)) * u64::from(self.entry_bytes);
        let (length, allocated) = match &*self.read_state() {
            State::Open { map: Some(map), allocated } => (map.len() as u64, *allocated),
            _ => return Ok(()),
        };
        let wanted = wanted.min(length);
        if wanted <= allocated {
            return Ok(());
        }
        let step = allocated.clamp(PAGE_BYTES, STEP_BYTES_MAX);
        let to = (allocated + step).max(wanted).next_multiple_of(PAGE_BYTES).min(length);
        let file = self.disk.open(&self.path(), Open::ReadWrite)?;
        file.allocate(allocated, to - allocated)?;
        if let State::Open { allocated, .. } = &mut *self.write_state() {
            *allocated = to;
        }
        Ok(())
    }

    /// Fills the next slot. There must be one, and its block must have been reserved.
    pub(super) fn push(&self, words: &[u32]) {
        let slot = self.entries.load(Ordering::Relaxed);
        let state = self.read_state();
        let State::Open { map: Some(map), allocated } = &*state else {
            unreachable!("only an active index is appended to")
        };
        let start = slot as usize * self.entry_bytes as usize;
        assert_eq!(words.len() * 4, self.entry_bytes as usize);
        assert!((start + self.entry_bytes as usize) as u64 <= *allocated, "not reserved");
        for (n, word) in words.iter().enumerate() {
            map.store_u32(start + n * 4, *word);
        }
        self.entries.store(slot + 1, Ordering::Release);
    }

    /// Fills the next slot of an index that rests, by a write into the file: for the one entry that
    /// many a segment gets at its end, a map is not worth its while. False when it does not rest or
    /// is full, and nothing was done.
    pub(super) fn push_at_rest(&self, words: &[u32]) -> io::Result<bool> {
        assert_eq!(words.len() * 4, self.entry_bytes as usize);
        let mut state = self.write_state();
        let State::Resting { length, map } = &mut *state else { return Ok(false) };
        let used = self.used_bytes();
        if used + u64::from(self.entry_bytes) > *length {
            return Ok(false);
        }
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        self.unsynced.store(true, Ordering::Release);
        let file = self.disk.open(&self.path(), Open::ReadWrite)?;
        if let Err(error) = file.write_all_at(&[IoSlice::new(&bytes)], used) {
            // It rests on, and must be as long as one that rests.
            file.set_len(used)?;
            return Err(error);
        }
        *map = None;
        self.entries.fetch_add(1, Ordering::Release);
        Ok(true)
    }

    /// Forgets all slots from `entries` on. Their bytes stay until they are overwritten or trimmed.
    pub(super) fn truncate_entries(&self, entries: u32) -> io::Result<()> {
        assert!(entries <= self.entries());
        if entries == self.entries() {
            return Ok(());
        }
        // One that rests has a file that is as long as its entries.
        self.wake()?;
        // The write lock waits for searches that still count the slots which are about to change.
        let _state = self.write_state();
        self.entries.store(entries, Ordering::Release);
        Ok(())
    }

    /// Cuts the file to its entries and lets the map go; the file is made when missing.
    pub(super) fn trim(&self) -> io::Result<()> {
        let mut state = self.write_state();
        if !matches!(*state, State::Open { .. }) {
            // It was closed full, or never opened since the log was loaded, or it rests.
            return Ok(());
        }
        self.cut(&mut state)
    }

    /// Closes it, with a file that has its entries alone. One that cannot be cut stays open: all
    /// slots of a closed one count as entries.
    fn cut(&self, state: &mut State) -> io::Result<()> {
        let State::Open { allocated, .. } = *state else { return Ok(()) };
        let file = self.disk.open(&self.path(), Open::Create)?;
        let (present, used) = (file.len()?, self.used_bytes());
        // The map must be gone before the file is cut.
        *state = State::Closed;
        if present != used
            && let Err(error) = file.set_len(used)
        {
            *state = State::Open { map: map_if_any(&*file, present)?, allocated };
            return Err(error);
        }
        Ok(())
    }

    /// Makes the entries and the file's length durable. That the file could not be opened leaves
    /// everything as it was; after any other failure nothing may be retried.
    pub(super) fn flush(&self) -> Result<(), StorageError> {
        let map = match &*self.read_state() {
            State::Open { map: Some(map), .. } => Some(Arc::clone(map)),
            State::Resting { .. } if !self.unsynced.load(Ordering::Acquire) => return Ok(()),
            _ => None,
        };
        let path = self.path();
        if let Some(map) = map {
            return map.flush().map_err(StorageError::sync(&path));
        }
        match self.disk.open(&path, Open::ReadWrite) {
            Ok(file) => file.sync_all().map_err(StorageError::sync(&path))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(StorageError::io("open", &path)(error)),
        }
        // Nobody cuts an index that rests.
        if let State::Resting { .. } = &*self.read_state() {
            self.unsynced.store(false, Ordering::Release);
        }
        Ok(())
    }
}

fn too_long(_: std::num::TryFromIntError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "index of over 4 Gi entries")
}

fn has_content(file: &dyn DiskFile, content: &[u8]) -> io::Result<bool> {
    if file.len()? != content.len() as u64 {
        return Ok(false);
    }
    let mut present = vec![0; content.len()];
    if !content.is_empty() {
        file.read_exact_at(&mut present, 0)?;
    }
    Ok(present == content)
}

/// A map of nothing cannot be had.
fn map_if_any(file: &dyn DiskFile, length: u64) -> io::Result<Option<Arc<dyn DiskMap>>> {
    let length = usize::try_from(length)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "index larger than memory"))?;
    if length == 0 { Ok(None) } else { file.map(length).map(Some) }
}

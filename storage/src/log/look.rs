//! Looking at the segments of a log that is not opened: no file is made, cut, or locked.

use std::io;
use std::path::{Path, PathBuf};

use super::damage::{GoodBatch, LogDamage};
use crate::disk::{Disk, Open};
use crate::error::StorageError;
use crate::file_name::{FileKind, FileName, segment_file_name};
use crate::segment::{BatchChecker, Behind, Checked, sound_to};

/// The damage for which a load that may cut a torn end alone ([`super::Cut::TornEndFrom`]) would
/// not open the log in `dir`; `None` when it would. Reads all of it. Records below `durable_to`
/// are known to have been durable.
///
/// # Errors
/// A file cannot be read.
pub fn find_damage(
    disk: &dyn Disk,
    dir: &Path,
    durable_to: i64,
) -> Result<Option<LogDamage>, StorageError> {
    let segments = segments(disk, dir)?;
    for (n, (base_offset, path, size)) in segments.iter().enumerate() {
        let file = disk.open(path, Open::Read).map_err(StorageError::io("open", path))?;
        let mut checker = BatchChecker::new(&*file, path, *base_offset, *size);
        let sound = sound_to(&mut checker, i64::MAX, &|_| {})?;
        let is_followed = segments[n + 1..].iter().any(|(_, _, size)| 0 < *size);
        if sound.problem.is_some() && sound.is_more_than_torn(durable_to, is_followed) {
            let next_good = sound.next_good;
            return Ok(Some(LogDamage {
                path: path.clone(),
                position: sound.position,
                problem: sound.problem.unwrap_or_default(),
                good_to: Some(sound.next_offset),
                next_good: next_good
                    .map(|(base_offset, position)| GoodBatch { base_offset, position }),
                is_searched: sound.is_searched,
                durable_to: Some(durable_to).filter(|durable_to| 0 < *durable_to),
            }));
        }
    }
    Ok(None)
}

/// Hands the bytes of each good batch to `each` that lies in the log in `dir` at or behind the byte
/// `position` of the segment `base_offset`, in their order, whatever stands between them.
///
/// # Errors
/// A file cannot be read, or holds so much that looks like batches that what is behind damage in it
/// was not found.
pub fn good_batches_from(
    disk: &dyn Disk,
    dir: &Path,
    base_offset: i64,
    position: u64,
    each: &mut dyn FnMut(&[u8]),
) -> Result<(), StorageError> {
    let from = |base: i64| if base == base_offset { position } else { 0 };
    for (base, path, size) in segments(disk, dir)? {
        if base < base_offset {
            continue;
        }
        let file = disk.open(&path, Open::Read).map_err(StorageError::io("open", &path))?;
        let mut checker = BatchChecker::new(&*file, &path, base, size);
        loop {
            let bad_at = checker.position();
            let batch = match checker.next()? {
                Checked::Good { batch, .. } => batch,
                Checked::End => break,
                Checked::Bad(problem) => match checker.find_good()? {
                    Behind::Good(batch) => batch,
                    Behind::Nothing => break,
                    Behind::GaveUp => {
                        let problem = format!("{problem}, and what follows is not to be told");
                        return Err(StorageError::Corrupt { path, position: bad_at, problem });
                    }
                },
            };
            if from(base) <= batch.position {
                let mut bytes = vec![0; batch.size as usize];
                let read = file.read_exact_at(&mut bytes, batch.position);
                read.map_err(StorageError::io("read", &path))?;
                each(&bytes);
            }
        }
    }
    Ok(())
}

/// Base offset, path and size of each segment, by base offset.
fn segments(disk: &dyn Disk, dir: &Path) -> Result<Vec<(i64, PathBuf, u64)>, StorageError> {
    let entries = disk.list(dir).map_err(StorageError::io("list", dir))?;
    let mut segments = Vec::new();
    for entry in entries {
        let Ok(FileName::Segment { base_offset, kind: FileKind::Log }) =
            FileName::parse(&entry.name)
        else {
            continue;
        };
        let path = dir.join(segment_file_name(base_offset, FileKind::Log));
        let size = size(disk, &path).map_err(StorageError::io("stat", &path))?;
        segments.push((base_offset, path, size));
    }
    segments.sort_unstable();
    Ok(segments)
}

fn size(disk: &dyn Disk, path: &Path) -> io::Result<u64> {
    disk.open(path, Open::Read)?.len()
}

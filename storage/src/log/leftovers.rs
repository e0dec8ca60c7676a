//! What an interrupted removal, compaction or split has left in a partition's directory.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::load::OpenLogError;
use crate::disk::{Disk, Open};
use crate::error::StorageError;
use crate::file_name::{FileKind, FileName};
use crate::segment::BatchScanner;

/// The files of a directory that belong to segments: kinds by base offset. Snapshots too.
pub(super) type SegmentFiles = BTreeMap<i64, Vec<FileKind>>;

/// Clears leftovers away and lists what remains.
///
/// Finished output of the cleaner (`.swap`) takes the place of the segments that it was made of.
/// It is unfinished when there is output of the same run (`.cleaned`) at or below its offset, and
/// then both go. What was renamed to be removed is removed.
pub(super) fn clear(disk: &dyn Disk, dir: &Path) -> Result<SegmentFiles, OpenLogError> {
    let names = file_names(disk, dir)?;
    let parsed = |names: Vec<String>| -> Result<Vec<(String, FileName)>, OpenLogError> {
        let parse = |name: String| Ok((name.clone(), FileName::parse(&name)?));
        names.into_iter().map(parse).collect()
    };
    let mut cleaned = Vec::new();
    let mut swaps = Vec::new();
    let mut files = SegmentFiles::new();
    let mut changed = false;
    for (name, kind) in parsed(names)? {
        changed |=
            matches!(kind, FileName::Deleted | FileName::Cleaned { .. } | FileName::Swap { .. });
        match kind {
            FileName::Segment { base_offset, kind } => {
                files.entry(base_offset).or_default().push(kind);
            }
            FileName::Deleted => unlink(disk, &dir.join(name))?,
            FileName::Cleaned { base_offset } => cleaned.push((base_offset, name)),
            FileName::Swap { base_offset, kind } => swaps.push((base_offset, kind, name)),
            _ => {}
        }
    }
    let cleaned_min = cleaned.iter().map(|(base_offset, _)| *base_offset).min();
    let (unfinished, swaps): (Vec<_>, Vec<_>) = swaps
        .into_iter()
        .partition(|(base_offset, ..)| cleaned_min.is_some_and(|min| *base_offset >= min));
    if !unfinished.is_empty() {
        for (.., name) in unfinished {
            unlink(disk, &dir.join(name))?;
        }
        // Without the others beside it, unfinished output that comes back would look finished.
        disk.sync_dir(dir).map_err(StorageError::sync(dir))?;
    }
    for (_, name) in cleaned {
        unlink(disk, &dir.join(name))?;
    }
    if !swaps.is_empty() {
        finish_swap(disk, dir, &swaps)?;
    }
    if !changed {
        return Ok(files);
    }
    files.clear();
    for (_, kind) in parsed(file_names(disk, dir)?)? {
        if let FileName::Segment { base_offset, kind } = kind {
            files.entry(base_offset).or_default().push(kind);
        }
    }
    Ok(files)
}

/// Removes every file that the `.swap` files replace, then puts those in place.
fn finish_swap(
    disk: &dyn Disk,
    dir: &Path,
    swaps: &[(i64, Option<FileKind>, String)],
) -> Result<(), OpenLogError> {
    let mut replaced = None;
    for (base_offset, kind, name) in swaps {
        if *kind == Some(FileKind::Log) {
            let next = next_offset(disk, &dir.join(name), *base_offset)?;
            let (min, max) = replaced.get_or_insert((*base_offset, next));
            (*min, *max) = ((*min).min(*base_offset), (*max).max(next));
        }
    }
    if let Some((min, max)) = replaced {
        // After a kill their names may be seen and not durable. Output that has its unfinished name
        // again goes, and what it replaces would be gone already.
        disk.sync_dir(dir).map_err(StorageError::sync(dir))?;
        for name in file_names(disk, dir)? {
            let FileName::Segment { base_offset, .. } = FileName::parse(&name)? else { continue };
            if min <= base_offset && base_offset < max {
                unlink(disk, &dir.join(name))?;
            }
        }
        // An old segment that came back beside the new one would bring its records twice.
        disk.sync_dir(dir).map_err(StorageError::sync(dir))?;
    }
    for (.., name) in swaps {
        let (from, to) = (dir.join(name), dir.join(name.trim_end_matches(".swap")));
        disk.rename(&from, &to).map_err(StorageError::io("rename", &from))?;
    }
    disk.sync_dir(dir).map_err(StorageError::sync(dir))?;
    Ok(())
}

fn next_offset(disk: &dyn Disk, path: &Path, base_offset: i64) -> Result<i64, StorageError> {
    let file = disk.open(path, Open::Read).map_err(StorageError::io("open", path))?;
    let length = file.len().map_err(StorageError::io("stat", path))?;
    let mut scanner = BatchScanner::new(&*file, &path, 0, length);
    let mut next = base_offset;
    while let Some(batch) = scanner.next()? {
        next = batch.last_offset.saturating_add(1);
    }
    Ok(next)
}

fn file_names(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>, StorageError> {
    let entries = disk.list(dir).map_err(StorageError::io("list", dir))?;
    Ok(entries.into_iter().filter(|entry| !entry.is_dir).map(|entry| entry.name).collect())
}

/// Removes a file; that it is gone already is no matter.
pub(super) fn unlink(disk: &dyn Disk, path: &Path) -> Result<(), StorageError> {
    unlinked(disk.unlink(path), path)
}

/// The same for what may be large, beside requests.
pub(super) fn unlink_in_steps(disk: &dyn Disk, path: &Path) -> Result<(), StorageError> {
    unlinked(disk.unlink_in_steps(path), path)
}

fn unlinked(result: io::Result<()>, path: &Path) -> Result<(), StorageError> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StorageError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

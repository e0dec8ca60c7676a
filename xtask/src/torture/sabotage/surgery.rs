//! What a bug leaves in files, done to them by hand.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use ottla_protocol::record::set::Batches;

use crate::torture::raw;
use crate::torture::site::Site;

pub(super) fn folders(site: &Site, prefix: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for data in &site.data {
        for entry in fs::read_dir(data)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

pub(super) fn last_segment(folder: &Path) -> Result<PathBuf> {
    // Right after a roll there is nothing in the last one.
    let segments = raw::segments(folder)?;
    let filled = segments.values().rfind(|path| path.metadata().is_ok_and(|m| m.len() > 0));
    filled.or(segments.values().next_back()).cloned().context("a partition has a segment")
}

pub(super) fn halve(path: &Path) -> Result<()> {
    let file = fs::OpenOptions::new().write(true).open(path)?;
    let length = file.metadata()?.len();
    Ok(file.set_len(length / 2)?)
}

pub(super) fn flip(path: &Path) -> Result<()> {
    let mut bytes = fs::read(path)?;
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    Ok(fs::write(path, bytes)?)
}

/// Changes a file's batches; the first argument of the change is the next offset.
pub(super) fn rewrite(path: &Path, change: impl FnOnce(i64, &mut Vec<Vec<u8>>)) -> Result<()> {
    let bytes = fs::read(path)?;
    let (mut batches, mut next) = (Vec::new(), 0);
    for batch in Batches::new(&bytes) {
        let Ok(batch) = batch else { break };
        batches.push(batch.bytes().to_vec());
        next = batch.header().last_offset() + 1;
    }
    ensure!(batches.len() >= 2, "{} has too few batches", path.display());
    change(next, &mut batches);
    Ok(fs::write(path, batches.concat())?)
}

/// The base offset is not under the checksum.
fn set_base(batch: &mut [u8], base: i64) {
    batch[..8].copy_from_slice(&base.to_be_bytes());
}

pub(super) fn repeat(next: i64, batches: &mut Vec<Vec<u8>>) {
    // The one before the last one is surely whole and known to its producer.
    let mut copy = batches[batches.len() - 2].clone();
    set_base(&mut copy, next);
    batches.push(copy);
}

pub(super) fn swap(next: i64, batches: &mut Vec<Vec<u8>>) {
    let (Some(mut last), Some(mut before)) = (batches.pop(), batches.pop()) else { return };
    let base = before.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes));
    let middle = last.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes));
    set_base(&mut last, base);
    set_base(&mut before, base + (next - middle));
    batches.extend([last, before]);
}

/// The last batch is where the next one should be.
pub(super) fn shift(batches: &mut [Vec<u8>]) {
    if let Some(last) = batches.last_mut() {
        let base = last.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes));
        set_base(last, base + 1);
    }
}

/// A byte of the last value is another one, and the batch's checksum agrees with it.
pub(super) fn forge(batches: &mut [Vec<u8>]) {
    if let Some(last) = batches.last_mut() {
        // The very last byte says that there are no headers.
        let at = last.len() - 2;
        last[at] ^= 1;
        let crc = crc32c::crc32c(&last[21..]);
        last[17..21].copy_from_slice(&crc.to_be_bytes());
    }
}

/// Two folders change places.
pub(super) fn exchange(one: &Path, other: &Path) -> Result<()> {
    let aside = one.with_extension("aside");
    fs::rename(one, &aside)?;
    fs::rename(other, one)?;
    Ok(fs::rename(&aside, other)?)
}

/// All files of a log are gone, its folder and its topic's id are there.
pub(super) fn empty(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() != "partition.metadata" {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Segments are gone: one in the middle, or all but the last.
pub(super) fn lose_segments(folder: &Path, all: bool) -> Result<()> {
    let segments = raw::segments(folder)?;
    ensure!(segments.len() >= 3, "{} has too few segments", folder.display());
    let count = segments.len() - 1;
    let (skip, take) = if all { (0, count) } else { (count / 2, 1) };
    for path in segments.values().skip(skip).take(take) {
        for extension in ["log", "index", "timeindex", "snapshot", "txnindex"] {
            let file = path.with_extension(extension);
            if file.exists() {
                fs::remove_file(file)?;
            }
        }
    }
    Ok(())
}

//! Reads partitions from their files, past the broker.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ottla_check::event::{Place, Policy, Read, Reader, What};

use super::load::consume::seen;
use super::shared::{Shared, Target};

/// Notes the segments of topics that expire, while no broker runs. What is to be removed has
/// another name by then.
pub(crate) fn note_segments(shared: &Shared, data: &[PathBuf], targets: &[Target]) -> Result<()> {
    for target in targets.iter().filter(|t| matches!(t.topic.policy, Policy::Expire { .. })) {
        for place in target.places() {
            // Without a folder everything is lost; those that read the records say so.
            let Some(folder) = folder_of(data, target, place) else { continue };
            let sizes = segments(&folder)?
                .into_iter()
                .map(|(base, path)| Ok((base, path.metadata()?.len())))
                .collect::<Result<_>>()?;
            shared.note_now(What::Files { place, segments: sizes });
        }
    }
    Ok(())
}

/// Notes what the files of these topics hold. The broker is stopped.
pub(crate) fn read_all(shared: &Shared, data: &[PathBuf], targets: &[Target]) -> Result<()> {
    note_segments(shared, data, targets)?;
    for target in targets {
        for place in target.places() {
            let folder = folder_of(data, target, place).context("a partition has no folder")?;
            let read = read_one(&folder, place, shared.run)
                .with_context(|| format!("read {}", folder.display()))?;
            shared.note_now(What::Read(read));
        }
    }
    Ok(())
}

/// The folder of a partition.
pub(crate) fn folder_of(data: &[PathBuf], target: &Target, place: Place) -> Option<PathBuf> {
    let name = format!("{}-{}", target.name, place.partition);
    data.iter().map(|folder| folder.join(&name)).find(|folder| folder.exists())
}

/// Segment files by their base offsets.
pub(crate) fn segments(folder: &Path) -> Result<BTreeMap<i64, PathBuf>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(base) = name.strip_suffix(".log").and_then(|base| base.parse().ok()) {
            found.insert(base, path);
        }
    }
    Ok(found)
}

fn read_one(folder: &Path, place: Place, run: u64) -> Result<Read> {
    let segments = segments(folder)?;
    let from = segments.keys().next().copied().unwrap_or(0);
    let (mut records, mut next) = (Vec::new(), from);
    for (base, path) in segments {
        let bytes = fs::read(&path)?;
        let (more, end) = seen(&bytes, base, run).with_context(|| path.display().to_string())?;
        records.extend(more);
        next = end.max(next);
    }
    let (high_watermark, log_start) = (None, None);
    Ok(Read { place, reader: Reader::Raw, from, next, high_watermark, log_start, records })
}

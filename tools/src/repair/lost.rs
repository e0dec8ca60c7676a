//! What a cut of the metadata log would give up.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use ottla_metadata::log_codec::{self, Content};
use ottla_protocol::metadata::MetadataRecord;
use ottla_storage::disk::RealDisk;
use ottla_storage::log::good_batches_from;
use ottla_storage::verify::{DirReport, Remedy};

use crate::CannotRun;

/// The good records behind the damage in a metadata log.
pub(super) struct Lost {
    dir: PathBuf,
    /// First and last offset.
    offsets: Option<(i64, i64)>,
    /// How many of each kind, by Kafka's name.
    kinds: BTreeMap<&'static str, u64>,
}

/// One for each metadata log that is damaged.
pub(super) fn behind_damage(report: &DirReport) -> Result<Vec<Lost>, CannotRun> {
    let mut all = Vec::new();
    for partition in &report.partitions {
        let cut = partition.findings.iter().find_map(|finding| match finding.remedy {
            Remedy::Cut { base_offset, position, is_metadata: true, .. } => {
                Some((base_offset, position))
            }
            _ => None,
        });
        let Some((base_offset, position)) = cut else { continue };
        let dir = partition.dir.clone();
        let mut lost = Lost { dir, offsets: None, kinds: BTreeMap::new() };
        good_batches_from(&RealDisk, &partition.dir, base_offset, position, &mut |bytes| {
            lost.add(bytes);
        })
        .map_err(|error| CannotRun(error.to_string()))?;
        all.push(lost);
    }
    Ok(all)
}

impl Lost {
    fn add(&mut self, bytes: &[u8]) {
        let Ok(Some(batch)) = log_codec::batches(bytes).next_batch() else { return };
        let Ok(entries) = batch.entries() else { return };
        for entry in entries.map_while(Result::ok) {
            let name = match entry.content {
                Content::Record(value) => {
                    MetadataRecord::read(value).map_or("unreadable", |(record, _)| record.name())
                }
                Content::Control(..) => "control records",
            };
            *self.kinds.entry(name).or_default() += 1;
            let first = self.offsets.map_or(entry.offset, |(first, _)| first);
            self.offsets = Some((first, entry.offset));
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: behind the damage, ", self.dir.display())?;
        let Some((first, last)) = self.offsets else {
            return f.write_str("no good record");
        };
        let count: u64 = self.kinds.values().sum();
        write!(f, "{count} good records at the offsets {first} to {last}:")?;
        for (n, (name, count)) in self.kinds.iter().enumerate() {
            write!(f, "{} {count} {name}", if n == 0 { "" } else { "," })?;
        }
        f.write_str("; a cut gives them up")
    }
}

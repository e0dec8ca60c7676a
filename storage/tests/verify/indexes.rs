//! Damage to indexes and producer snapshots.

use std::path::Path;

use ottla_storage::verify::{Code, Remedy, Severity};

use crate::world::{
    Case, DIR, Image, check_cases, clean, disk_of, killed, texts, the, verify, verify_partition,
};

const OFFSETS: &str = "plain-0/00000000000000000000.index";
const TIMES: &str = "plain-0/00000000000000000000.timeindex";

/// Files of a partition whose names end so, but for the empty ones.
fn files(image: &Image, partition: &str, end: &str) -> Vec<String> {
    let start = format!("{DIR}/{partition}/");
    let of_partition = image.iter().filter(|(name, _)| name.starts_with(&start));
    let found: Vec<_> = of_partition
        .filter(|(name, bytes)| name.ends_with(end) && !bytes.is_empty())
        .map(|(name, _)| name.clone())
        .collect();
    assert!(!found.is_empty(), "there are {end} files");
    found
}

/// But for offsets in a time index that stay within their batch, which is what Kafka up to 3.7
/// wrote: the offset of the record that has the timestamp.
#[test]
fn every_bit_of_an_index_counts() {
    let image = clean();
    let disk = disk_of(&image);
    for (partition, end) in
        [("plain-0", ".index"), ("plain-0", ".timeindex"), ("txn-0", ".txnindex")]
    {
        let name = files(&image, partition, end).remove(0);
        for (at, &byte) in image[&name].iter().enumerate() {
            for bit in 0..8 {
                disk.corrupt(Path::new(&name), at as u64, &[byte ^ (1 << bit)]);
                let report = verify_partition(&disk, partition);
                let in_batch = end == ".timeindex" && at % 12 == 11;
                assert!(report.is_wrong() || in_batch, "{name} byte {at} bit {bit}");
            }
            disk.corrupt(Path::new(&name), at as u64, &[byte]);
        }
    }
}

/// The last one tells of all producers; any bit in it is found by its sum.
#[test]
fn every_bit_of_a_snapshot_counts() {
    let image = clean();
    let disk = disk_of(&image);
    let name = files(&image, "txn-0", ".snapshot").pop().unwrap();
    for (at, &byte) in image[&name].iter().enumerate() {
        disk.corrupt(Path::new(&name), at as u64, &[byte ^ 4]);
        assert!(verify_partition(&disk, "txn-0").is_wrong(), "{name} byte {at}");
        disk.corrupt(Path::new(&name), at as u64, &[byte]);
    }
}

#[test]
fn kinds_of_damage() {
    let severity = Severity::Warning;
    let case = |what, file, change, code| Case { what, file, change, code, severity };
    check_cases(
        &clean(),
        &[
            case("zeros behind", OFFSETS, |b| b.resize(120, 0), Code::OffsetIndex),
            case("a torn entry", OFFSETS, |b| b.push(0), Code::OffsetIndex),
            case("cut within an entry", OFFSETS, |b| b.truncate(13), Code::OffsetIndex),
            case("all zeros", OFFSETS, |b| b.fill(0), Code::OffsetIndex),
            case("all ones", OFFSETS, |b| b.fill(255), Code::OffsetIndex),
            case("swapped entries", OFFSETS, |b| b[..16].rotate_left(8), Code::OffsetIndex),
            case("an entry twice", OFFSETS, |b| b.extend_from_within(..8), Code::OffsetIndex),
            case("zeros behind", TIMES, |b| b.resize(120, 0), Code::TimeIndex),
            case("a torn entry", TIMES, |b| b.push(0), Code::TimeIndex),
            case("no last entry", TIMES, |b| b.truncate(b.len() - 12), Code::TimeIndex),
            case("no entry", TIMES, Vec::clear, Code::TimeIndex),
            case("all zeros", TIMES, |b| b.fill(0), Code::TimeIndex),
            case("all ones", TIMES, |b| b.fill(255), Code::TimeIndex),
            case("swapped entries", TIMES, |b| b[..24].rotate_left(12), Code::TimeIndex),
        ],
    );
}

#[test]
fn missing_files() {
    let image = clean();
    for (file, code) in [(OFFSETS, Code::IndexMissing), (TIMES, Code::IndexMissing)] {
        let mut image = image.clone();
        image.remove(&format!("{DIR}/{file}")).unwrap();
        let finding = the(&verify(&disk_of(&image)), file, code);
        assert_eq!(finding.remedy, Remedy::RebuildIndexes { base_offset: 0 });
    }
    for name in files(&image, "txn-0", ".txnindex") {
        let mut image = image.clone();
        image.remove(&name);
        let report = verify(&disk_of(&image));
        the(&report, name.strip_prefix("data/").unwrap(), Code::TxnIndex);
    }
    let mut image = image;
    for name in files(&image, "txn-0", ".snapshot") {
        image.remove(&name);
    }
    let report = verify(&disk_of(&image));
    let found = report.all_findings().filter(|f| f.code == Code::ProducerSnapshot).count();
    assert_eq!(found, 1, "{:#?}", texts(&report));
}

/// A good sum does not make a snapshot the right one.
#[test]
fn a_snapshot_of_another_time_is_found() {
    let mut image = clean();
    let mut all = files(&image, "txn-0", ".snapshot");
    let (last, other) = (all.pop().unwrap(), all.pop().unwrap());
    let old = image[&other].clone();
    image.insert(last.clone(), old);
    let report = verify(&disk_of(&image));
    let finding = the(&report, last.strip_prefix("data/").unwrap(), Code::ProducerSnapshot);
    assert!(matches!(finding.remedy, Remedy::RebuildSnapshot { .. }), "{finding}");
}

/// What a start makes anew is no more than a note.
#[test]
fn indexes_that_a_start_makes_anew_are_only_noted() {
    let mut image = killed();
    for (name, bytes) in &mut image {
        let is_index = [".index", ".timeindex", ".txnindex"].iter().any(|end| name.ends_with(end));
        if is_index && let Some(byte) = bytes.first_mut() {
            *byte ^= 1;
        }
    }
    image.insert(format!("{DIR}/recovery-point-offset-checkpoint"), b"0\n0\n".to_vec());
    let report = verify(&disk_of(&image));
    assert!(!report.is_wrong(), "{:#?}", texts(&report));
    assert!(report.all_findings().count() > 0);
}

#[test]
fn an_index_with_few_entries_is_noted() {
    let mut image = clean();
    image.get_mut(&format!("{DIR}/{OFFSETS}")).unwrap().clear();
    let report = verify_sparse(&image);
    let finding = the(&report, OFFSETS, Code::OffsetIndexSparse);
    assert_eq!(finding.severity, Severity::Note);
}

/// A segment must be long to be sparse; so this one is made so.
fn verify_sparse(image: &Image) -> ottla_storage::verify::DirReport {
    let mut image = image.clone();
    let log = format!("{DIR}/plain-0/00000000000000000000.log");
    let one = image[&log][..78].to_vec();
    let mut bytes = Vec::new();
    for offset in 0..1200_i64 {
        let mut batch = one.clone();
        batch[..8].copy_from_slice(&offset.to_be_bytes());
        bytes.extend(batch);
    }
    image.retain(|name, _| !name.starts_with("data/plain-0/00000000000000000"));
    image.insert(log, bytes);
    image.insert(format!("{DIR}/{OFFSETS}"), Vec::new());
    let mut time = 1_700_000_000_000_i64.to_be_bytes().to_vec();
    time.extend([0; 4]);
    image.insert(format!("{DIR}/{TIMES}"), time);
    verify(&disk_of(&image))
}

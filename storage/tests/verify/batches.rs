//! Damage to `.log` files.

use std::path::Path;

use ottla_storage::verify::{Code, Offsets, Remedy, Severity};

use crate::world::{
    Case, DIR, Image, check_cases, clean, disk_of, put, texts, the, verify, verify_deep,
    verify_partition,
};

const FIRST: &str = "plain-0/00000000000000000000.log";

fn names(image: &Image, start: &str, end: &str) -> Vec<String> {
    image.keys().filter(|n| n.starts_with(start) && n.ends_with(end)).cloned().collect()
}

/// No bit of any segment can flip unnoticed while the epochs are known and the log is not
/// compacted: of the 17 bytes outside of the sum, base offsets are held by their neighbors, lengths
/// and the magic by the sum, epochs by the checkpoint.
#[test]
fn every_bit_of_a_log_counts() {
    let image = clean();
    let disk = disk_of(&image);
    let logs = names(&image, "data/plain-0/", ".log");
    for name in [&logs[0], logs.last().unwrap()] {
        let bytes = &image[name];
        for (at, &byte) in bytes.iter().enumerate() {
            for bit in 0..8 {
                disk.corrupt(Path::new(name), at as u64, &[byte ^ (1 << bit)]);
                let report = verify_partition(&disk, "plain-0");
                assert!(report.is_wrong(), "{name} byte {at} bit {bit}");
            }
            disk.corrupt(Path::new(name), at as u64, &[byte]);
        }
    }
    assert!(!verify(&disk).is_wrong());
}

/// In a compacted log a batch may move into a gap. Nothing else goes unnoticed.
#[test]
fn in_a_compacted_log_only_offsets_can_move_unnoticed() {
    let mut image = clean();
    image.insert(format!("{DIR}/cleaner-offset-checkpoint"), b"0\n1\nplain 0 5\n".to_vec());
    let disk = disk_of(&image);
    let name = format!("{DIR}/{FIRST}");
    let bytes = &image[&name];
    let mut starts = vec![0];
    while let Some(&start) = starts.last().filter(|&&start| start < bytes.len()) {
        let length: [u8; 4] = bytes[start + 8..start + 12].try_into().unwrap();
        starts.push(start + 12 + u32::from_be_bytes(length) as usize);
    }
    let headers = starts.iter().flat_map(|&start| start..start + 21);
    for at in headers.filter(|&at| at < bytes.len()) {
        let byte = bytes[at];
        for bit in 0..8 {
            disk.corrupt(Path::new(&name), at as u64, &[byte ^ (1 << bit)]);
            let in_offset = starts.iter().any(|&start| (start..start + 8).contains(&at));
            assert!(verify(&disk).is_wrong() || in_offset, "byte {at} bit {bit}");
        }
        disk.corrupt(Path::new(&name), at as u64, &[byte]);
    }
}

#[test]
fn a_damaged_batch_is_named_with_its_place_and_offsets() {
    let image = clean();
    let mut damaged = image.clone();
    // In the records of the second batch, which has offsets 1 and 2.
    damaged.get_mut(&format!("{DIR}/{FIRST}")).unwrap()[78 + 70] ^= 1;
    let report = verify(&disk_of(&damaged));
    let finding = the(&report, FIRST, Code::BatchCrc);
    assert_eq!(finding.severity, Severity::Damage);
    assert_eq!(finding.position, Some(78));
    assert_eq!(finding.offsets, Some(Offsets { first: 1, last: 2 }));
    let cut = Remedy::Cut { base_offset: 0, position: 78, end_offset: 1, is_metadata: false };
    assert_eq!(finding.remedy, cut);
    assert_eq!(report.all_findings().count(), 1, "{:#?}", texts(&report));
}

#[test]
fn kinds_of_damage() {
    let (file, severity) = (FIRST, Severity::Damage);
    let case = |what, change, code| Case { what, file, change, code, severity };
    check_cases(
        &clean(),
        &[
            case("zeroed to the end", |b| b[78..].fill(0), Code::BatchLength),
            case("zeroed within a batch", |b| b[140..150].fill(0), Code::BatchCrc),
            case("all zeros", |b| b.fill(0), Code::BatchLength),
            case("cut within a batch", |b| b.truncate(100), Code::TornTail),
            case("cut to a few bytes", |b| b.truncate(5), Code::TornTail),
            case("junk behind", |b| b.extend([0; 40]), Code::BatchLength),
            case("a few bytes behind", |b| b.extend([1; 9]), Code::TornTail),
            case("a length that cannot be", |b| b[8] = 0x80, Code::BatchLength),
            case("a length beyond the end", |b| b[8] = 0x7f, Code::TornTail),
            case("another format", |b| b[16] = 3, Code::BatchMagic),
            case("an old format", |b| b[16] = 1, Code::BatchCrc),
            case("an offset that is negative", |b| b[0] = 0x80, Code::BatchHeader),
            case("a batch twice", |b| b.extend_from_within(..78), Code::OffsetOrder),
        ],
    );
}

#[test]
fn the_batch_that_moved_is_named_and_not_the_one_behind_it() {
    let mut image = clean();
    image.get_mut(&format!("{DIR}/{FIRST}")).unwrap()[78 + 6] = 1;
    let report = verify(&disk_of(&image));
    let finding = the(&report, FIRST, Code::OffsetOrder);
    assert_eq!(
        (finding.position, finding.offsets),
        (Some(78), Some(Offsets { first: 1, last: 2 }))
    );
    let cut = Remedy::Cut { base_offset: 0, position: 78, end_offset: 1, is_metadata: false };
    assert_eq!(finding.remedy, cut);
}

#[test]
fn swapped_batches_are_out_of_order() {
    let mut image = clean();
    let bytes = image.get_mut(&format!("{DIR}/{FIRST}")).unwrap();
    let second_end = 78 + 12 + u32::from_be_bytes(bytes[86..90].try_into().unwrap()) as usize;
    bytes[..second_end].rotate_left(78);
    let report = verify(&disk_of(&image));
    assert!(report.all_findings().any(|f| f.code == Code::OffsetOrder), "{:#?}", texts(&report));
}

#[test]
fn a_segment_that_is_gone_leaves_a_gap() {
    let image = clean();
    let logs = names(&image, "data/plain-0/", ".log");
    for (n, name) in logs.iter().enumerate() {
        let mut image = image.clone();
        image.remove(name);
        let report = verify(&disk_of(&image));
        let code = if n == 0 { Code::NoLog } else { Code::OffsetGap };
        let code = if n + 1 == logs.len() { Code::OffsetBeyondEnd } else { code };
        assert!(report.is_wrong());
        assert!(report.all_findings().any(|f| f.code == code), "{n} {:#?}", texts(&report));
    }
}

#[test]
fn overlapping_segments_are_found() {
    let mut image = clean();
    let bytes = image[&format!("{DIR}/{FIRST}")].clone();
    image.insert(format!("{DIR}/plain-0/00000000000000000002.log"), bytes);
    let report = verify(&disk_of(&image));
    let found = report.all_findings().filter(|f| f.code == Code::OffsetOrder).count();
    assert!(found > 0, "{:#?}", texts(&report));
}

/// Records that contradict their batch are found only by reading them.
#[test]
fn records_are_read_when_it_goes_deep() {
    let image = clean();
    let mut bytes = image[&format!("{DIR}/{FIRST}")].clone();
    // The offset delta of the first record, behind its length, attributes and timestamp.
    bytes[64] = 2;
    let crc = crc32c::crc32c(&bytes[21..78]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    let disk = disk_of(&image);
    put(&disk, &format!("{DIR}/{FIRST}"), &bytes);
    assert!(!verify(&disk).is_wrong());
    let report = verify_deep(&disk, true);
    assert_eq!(the(&report, FIRST, Code::Records).offsets, Some(Offsets { first: 0, last: 0 }));
}

//! Golden batches, and every rule of the iterator over memory.

use super::*;
use crate::record::testdata;

#[test]
fn golden_batches_read_back() {
    let set = testdata::hello_set();
    let mut batches = Batches::new(&set);
    for index in 0..3_i64 {
        let batch = batches.next().unwrap().unwrap();
        batch.check_crc().unwrap();
        assert_eq!(batch.header().base_offset(), index);
        assert_eq!(batch.codec(), Some(Codec::None));
        let record = batch.records().unwrap().next().unwrap().unwrap();
        assert_eq!(record.offset, index);
        assert_eq!(record.timestamp, 1_632_390_207_745 + index);
        assert_eq!((record.key, record.value), (None, Some(&b"hello"[..])));
        assert_eq!(record.headers.len(), 0);
    }
    assert!(batches.next().is_none());
    assert!(batches.remaining().is_empty());
}

#[test]
fn a_cut_set_ends_with_what_remains() {
    let set = testdata::hello_set();
    for cut in 0..set.len() {
        let mut batches = Batches::new(&set[..cut]);
        let whole = batches.by_ref().map(|batch| batch.unwrap().bytes().len()).sum::<usize>();
        assert_eq!(whole, cut / 73 * 73, "{cut}");
        assert_eq!(batches.remaining().len(), cut % 73, "{cut}");
    }
}

#[test]
fn lengths_and_magics_out_of_range_are_errors() {
    let golden = testdata::hello_set()[..73].to_vec();
    let mut short = golden.clone();
    short[8..12].copy_from_slice(&13_i32.to_be_bytes());
    let error = Batches::new(&short[..12]).next().unwrap().unwrap_err();
    assert_eq!(error, BatchError::Length { position: 0, batch_length: 13 });

    let mut magic = golden.clone();
    magic[16] = 3;
    assert!(Batches::new(&magic[..16]).next().is_none());
    let error = Batches::new(&magic[..17]).next().unwrap().unwrap_err();
    assert_eq!(error, BatchError::Magic { position: 0, magic: 3 });

    let mut legacy = [golden.clone(), golden.clone()].concat();
    legacy[73 + 16] = 1;
    let mut batches = Batches::new(&legacy);
    assert!(batches.next().unwrap().is_ok());
    let error = batches.next().unwrap().unwrap_err();
    assert_eq!(error, BatchError::Legacy { position: 73, magic: 1 });
    assert!(batches.next().is_none());
    assert_eq!(batches.remaining().len(), 73);

    let mut header = golden[..60].to_vec();
    header[8..12].copy_from_slice(&48_i32.to_be_bytes());
    let error = Batches::new(&header).next().unwrap().unwrap_err();
    assert_eq!(error, BatchError::ShortHeader { position: 0, size_bytes: 60 });
}

#[test]
fn every_flipped_bit_under_the_crc_is_noticed() {
    let golden = testdata::hello_set()[..73].to_vec();
    for bit in CRC_COVERS_FROM * 8..golden.len() * 8 {
        let mut flipped = golden.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let batch = Batch::new(&flipped).unwrap();
        assert!(matches!(batch.check_crc(), Err(BatchError::Crc { .. })), "{bit}");
    }
}

#[test]
fn an_empty_batch_of_compaction_has_no_records() {
    let bytes = testdata::retained_empty_batch();
    let batch = Batch::new(&bytes).unwrap();
    batch.check_crc().unwrap();
    let header = batch.header();
    assert_eq!((header.base_offset(), header.last_offset()), (10, 14));
    assert_eq!((header.producer_id(), header.producer_epoch()), (1000, 2));
    assert_eq!((header.base_sequence(), header.last_sequence()), (7, 11));
    assert_eq!((header.base_timestamp(), header.max_timestamp()), (-1, 1_632_390_207_745));
    assert_eq!(batch.records().unwrap().count(), 0);
}

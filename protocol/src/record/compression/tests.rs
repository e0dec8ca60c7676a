//! Round trips, the framings of others, and what is no framing at all.

use std::io::{Read, Write};

use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use proptest::prelude::*;

use super::*;

const COMPRESSING: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

fn limits() -> DecompressLimits {
    DecompressLimits::of_bytes(64 << 20)
}

fn compress(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    let mut compressor = Compressor::new(compression, b"before".to_vec()).unwrap();
    // In odd pieces, so that blocks are cut elsewhere.
    for piece in bytes.chunks(10_007) {
        compressor.write_all(piece).unwrap();
    }
    let buffer = compressor.finish().unwrap();
    assert!(buffer.starts_with(b"before"));
    buffer[6..].to_vec()
}

/// Bytes that compress, but not to nothing.
fn text(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let words = ["the ", "quick ", "brown ", "fox ", "jumps ", "over ", "a ", "lazy ", "dog "];
    let mut text = Vec::new();
    while text.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.extend_from_slice(words[(state >> 24) as usize % words.len()].as_bytes());
    }
    text.truncate(length);
    text
}

#[test]
fn all_codecs_and_levels_give_back_what_was_put_in() {
    for length in [0, 1, 100, 32 * 1024, 65_536, 200_000] {
        let bytes = text(length);
        for codec in Codec::ALL {
            let blob = compress(Compression::new(codec), &bytes);
            let read = decompress(codec, &blob, limits()).unwrap();
            assert_eq!(read, bytes, "{codec:?} {length}");
            if codec != Codec::None && length > 1000 {
                assert!(blob.len() < length * 3 / 4, "{codec:?}: {} of {length}", blob.len());
            }
        }
    }
    let bytes = text(5000);
    let levels = [
        (Codec::Gzip, &[-1, 1, 9][..]),
        (Codec::Lz4, &[1, 9, 17]),
        (Codec::Zstd, &[-131_072, -5, 0, 1, 3, 19]),
    ];
    for (codec, levels) in levels {
        for &level in levels {
            let blob = compress(Compression::with_level(codec, level).unwrap(), &bytes);
            assert_eq!(decompress(codec, &blob, limits()).unwrap(), bytes, "{codec:?} {level}");
        }
    }
}

#[test]
fn levels_are_those_of_the_settings() {
    let refused =
        [(Codec::Gzip, &[-2, 0, 10][..]), (Codec::Lz4, &[0, 18]), (Codec::Zstd, &[-131_073, 23])];
    for (codec, levels) in refused {
        for &level in levels {
            let error = Compression::with_level(codec, level).unwrap_err();
            assert_eq!(error, InvalidLevel { codec, level });
        }
        let compression = Compression::with_level(codec, codec.default_level()).unwrap();
        assert_eq!(compression, Compression::new(codec));
    }
    assert_eq!(Compression::with_level(Codec::Snappy, 99), Ok(Compression::new(Codec::Snappy)));
    assert_eq!(Codec::from_id(5), None);
}

/// Every cut of every blob is an error, but for a xerial stream cut between blocks, which the
/// JVM's library takes for whole.
#[test]
fn cut_blobs_are_errors() {
    let bytes = text(70_000);
    for codec in COMPRESSING {
        let blob = compress(Compression::new(codec), &bytes);
        let cuts = (1..60).chain((60..blob.len()).step_by(211)).chain([blob.len() - 1]);
        for cut in cuts {
            match decompress(codec, &blob[..cut], limits()) {
                Err(DecompressError::Corrupt { .. }) => {}
                Ok(read) if codec == Codec::Snappy => {
                    assert!(read.len() < bytes.len() && read.len() % (32 * 1024) == 0, "{cut}");
                }
                other => panic!("{codec:?} cut at {cut}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_bomb_ends_at_the_cap() {
    let zeros = vec![0; 3 << 20];
    for codec in Codec::ALL {
        let mut blob = compress(Compression::new(codec), &zeros);
        if codec == Codec::Snappy {
            blob = snappy::compress_raw(&zeros).unwrap();
        }
        let capped = decompress(codec, &blob, DecompressLimits::of_bytes(1 << 20));
        assert!(
            matches!(capped, Err(DecompressError::TooLarge { bytes_max: 1_048_576 })),
            "{codec:?}"
        );
        let exact = decompress(codec, &blob, DecompressLimits::of_bytes(3 << 20));
        assert_eq!(exact.unwrap().len(), 3 << 20, "{codec:?}");
    }
}

#[test]
fn after_an_error_there_is_only_the_end() {
    let blob = compress(Compression::new(Codec::Zstd), &text(100_000));
    let mut reader = Decompressor::new(Codec::Zstd, &blob, DecompressLimits::of_bytes(10)).unwrap();
    let mut to = [0; 100];
    assert!(reader.read_some(&mut to).is_err());
    assert_eq!(reader.read_some(&mut to).unwrap(), 0);
}

#[test]
fn gzip_members_follow_each_other_and_rubbish_is_ignored() {
    let (first, second) = (text(5000), text(70_000));
    let member = |bytes| compress(Compression::new(Codec::Gzip), bytes);
    let blob = [member(&first), member(&second), b"rubbish".to_vec()].concat();
    let read = decompress(Codec::Gzip, &blob, limits()).unwrap();
    assert!(read == [&first[..], &second].concat());
    let mut broken = member(&first);
    let crc_at = broken.len() - 8;
    broken[crc_at] ^= 1;
    assert!(decompress(Codec::Gzip, &broken, limits()).is_err());
}

#[test]
fn snappy_is_written_in_the_jvm_framing() {
    let bytes = text(40_000);
    let blob = compress(Compression::new(Codec::Snappy), &bytes);
    assert_eq!(blob[..16], *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
    let first = u32::from_be_bytes(blob[16..20].try_into().unwrap()) as usize;
    let block = snap::raw::Decoder::new().decompress_vec(&blob[20..20 + first]).unwrap();
    assert_eq!(block, bytes[..32 * 1024]);
}

#[test]
fn both_snappy_framings_are_read() {
    let bytes = text(100_000);
    let raw = snappy::compress_raw(&bytes).unwrap();
    assert!(decompress(Codec::Snappy, &raw, limits()).unwrap() == bytes);

    // Versions in little-endian order, and a stream behind a stream.
    let mut framed = compress(Compression::new(Codec::Snappy), &bytes);
    framed[8..16].copy_from_slice(&[1, 0, 0, 0, 1, 0, 0, 0]);
    let twice = [framed.clone(), framed.clone()].concat();
    assert!(decompress(Codec::Snappy, &twice, limits()).unwrap() == bytes.repeat(2));

    // A block may be larger than those that the JVM writes.
    let length = (raw.len() as u32).to_be_bytes();
    let one_block = [&framed[..16], &length, &raw].concat();
    assert!(decompress(Codec::Snappy, &one_block, limits()).unwrap() == bytes);
    assert_eq!(decompress(Codec::Snappy, &framed[..16], limits()).unwrap(), b"");
    assert_eq!(decompress(Codec::Snappy, &[0], limits()).unwrap(), b"");
}

#[test]
fn a_snappy_block_that_lies_about_its_length_is_corrupt() {
    // Announces 2^32 - 1 bytes, makes one.
    let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, b'x'];
    let less = [0, 0, b'x'];
    let negative = [&b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01"[..], &[0xff; 4], b"x"].concat();
    let before_start = [8, 0b0000_1101, 5, 0, 0];
    // Announces as much as is decoded without a look, makes less; and too much for its length.
    let trusted = [0x80, 0x80, 0x04, 0, b'x'];
    let beyond = [0x81, 0x80, 0x04, 0, b'x'];
    for blob in [&lie[..], &less, &negative, &before_start, &trusted, &beyond] {
        let read = decompress(Codec::Snappy, blob, limits());
        assert!(matches!(read, Err(DecompressError::Corrupt { .. })), "{read:?}");
    }
}

fn lz4_frame(info: FrameInfo, bytes: &[u8]) -> Vec<u8> {
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn lz4_frames_are_written_as_kafka_does() {
    let blob = compress(Compression::new(Codec::Lz4), &text(100_000));
    assert_eq!(blob[..7], [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
    assert_eq!(blob[blob.len() - 4..], [0; 4]);
}

#[test]
fn lz4_frames_of_others_are_read() {
    let bytes = text(300_000);
    for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB] {
        for options in 0..8 {
            let info = FrameInfo::new()
                .block_size(size)
                .block_mode(BlockMode::Independent)
                .block_checksums(options & 1 != 0)
                .content_checksum(options & 2 != 0)
                .content_size((options & 4 != 0).then_some(bytes.len() as u64));
            let frame = lz4_frame(info, &bytes);
            let read = decompress(Codec::Lz4, &frame, limits()).unwrap();
            assert!(read == bytes, "{size:?} {options}");
            // What follows the frame is not looked at.
            let longer = [&frame[..], b"rubbish"].concat();
            assert!(decompress(Codec::Lz4, &longer, limits()).unwrap() == bytes);
        }
    }
}

#[test]
fn lz4_frames_that_the_jvm_refuses() {
    let detail = |frame: &[u8]| match decompress(Codec::Lz4, frame, limits()) {
        Err(DecompressError::Corrupt { detail, .. }) => detail,
        other => panic!("{other:?}"),
    };
    let bytes = text(300_000);
    let linked = FrameInfo::new().block_mode(BlockMode::Linked).block_size(BlockSize::Max64KB);
    assert!(detail(&lz4_frame(linked, &bytes)).contains("depend"));

    let checksums = FrameInfo::new().block_checksums(true).block_size(BlockSize::Max64KB);
    let mut frame = lz4_frame(checksums, &bytes);
    frame[20] ^= 1;
    assert!(detail(&frame).contains("block's checksum"));

    let good = compress(Compression::new(Codec::Lz4), &bytes);
    let cases = [
        (0, 0x05, "begin"),
        (4, 0x20, "version"),
        (4, 0x61, "dictionary"),
        (4, 0x62, "reserved"),
        (5, 0x30, "size"),
        (5, 0x41, "reserved"),
        (5, 0xc0, "reserved"),
        (6, 0x83, "header's checksum"),
        (9, 0x02, "larger"),
    ];
    for (at, byte, says) in cases {
        let mut frame = good.clone();
        frame[at] = byte;
        assert!(detail(&frame).contains(says), "{at} {byte:#x}: {}", detail(&frame));
    }
}

#[test]
fn the_wrong_lz4_header_checksum_of_magic_0_is_read() {
    let bytes = text(1000);
    let mut frame = compress(Compression::new(Codec::Lz4), &bytes);
    frame[6] ^= 0x55;
    assert!(decompress(Codec::Lz4, &frame, limits()).is_err());
    let mut read = Vec::new();
    let mut reader = Decompressor::of_magic_0(Codec::Lz4, &frame, limits()).unwrap();
    reader.read_to_end(&mut read).unwrap();
    assert_eq!(read, bytes);
}

#[test]
fn zstd_frames_follow_each_other_and_windows_are_capped() {
    let bytes = text(100_000);
    let frame = compress(Compression::new(Codec::Zstd), &bytes);
    let checksummed = {
        let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(&bytes).unwrap();
        encoder.finish().unwrap()
    };
    let both = [frame.clone(), checksummed].concat();
    assert!(decompress(Codec::Zstd, &both, limits()).unwrap() == bytes.repeat(2));
    let rubbish = [&frame[..], b"rubbish"].concat();
    assert!(decompress(Codec::Zstd, &rubbish, limits()).is_err());
    // Level 3 writes a window of 2 MiB.
    let small = DecompressLimits { zstd_window_log_max: 20, ..limits() };
    assert!(decompress(Codec::Zstd, &frame, small).is_err());
}

/// zstd's and gzip's contexts outlive a blob.
#[test]
fn a_blob_is_read_the_same_whatever_was_read_before_it() {
    let bytes = text(100_000);
    for codec in COMPRESSING {
        let good = compress(Compression::new(codec), &bytes);
        for at in (0..good.len()).step_by(good.len() / 17) {
            let mut damaged = good.clone();
            damaged[at] ^= 0xff;
            for before in [&damaged, &good[..at]] {
                let fresh = std::thread::scope(|scope| {
                    let read = || format!("{:?}", decompress(codec, before, limits()));
                    scope.spawn(read).join().unwrap()
                });
                assert!(format!("{:?}", decompress(codec, before, limits())) == fresh, "{at}");
                assert!(decompress(codec, &good, limits()).unwrap() == bytes, "{codec:?} {at}");
            }
            // A smaller window's limit is not the next blob's.
            let small = DecompressLimits { zstd_window_log_max: 20, ..limits() };
            assert_eq!(decompress(codec, &good, small).is_err(), codec == Codec::Zstd);
        }
    }
}

/// An encoder that was broken off, or had another level, writes the same bytes as a new one; so do
/// two at once.
#[test]
fn a_blob_is_written_the_same_whatever_was_written_before_it() {
    let texts = [text(300), text(300_000), text(70_000)];
    for codec in COMPRESSING {
        let compression = Compression::new(codec);
        for bytes in &texts {
            let fresh =
                std::thread::scope(|scope| scope.spawn(|| compress(compression, bytes)).join());
            let mut broken_off = Compressor::new(compression, Vec::new()).unwrap();
            broken_off.write_all(&texts[2]).unwrap();
            let beside = compress(compression, bytes);
            drop(broken_off);
            if codec == Codec::Zstd {
                compress(Compression::with_level(codec, 12).unwrap(), &texts[0]);
            }
            let again = compress(compression, bytes);
            assert!(beside == again && again == fresh.unwrap(), "{codec:?}");
        }
    }
}

/// What zstd's own encoder writes, piece by piece.
#[test]
fn zstd_frames_are_those_of_the_library() {
    for length in [0, 1, 5000, 200_000, 700_000] {
        for level in [-5, 1, 3, 9] {
            let bytes = text(length);
            let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), level).unwrap();
            encoder.write_all(&bytes).unwrap();
            let expected = encoder.finish().unwrap();
            let compression = Compression::with_level(Codec::Zstd, level).unwrap();
            assert!(compress(compression, &bytes) == expected, "{length} {level}");
        }
    }
}

#[test]
fn blobs_of_a_thread_are_read_at_the_same_time() {
    let texts = [text(150_000), text(90_000)];
    for codec in COMPRESSING {
        let blobs = texts.each_ref().map(|text| compress(Compression::new(codec), text));
        let mut readers =
            blobs.each_ref().map(|blob| Decompressor::new(codec, blob, limits()).unwrap());
        let mut read = [Vec::new(), Vec::new()];
        for _ in 0..200 {
            for (reader, read) in readers.iter_mut().zip(&mut read) {
                reader.take(1009).read_to_end(read).unwrap();
            }
        }
        assert!(read == texts, "{codec:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_round_trip(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        for codec in Codec::ALL {
            let blob = compress(Compression::new(codec), &bytes);
            prop_assert_eq!(&decompress(codec, &blob, limits()).unwrap(), &bytes);
        }
        let raw = snappy::compress_raw(&bytes).unwrap();
        prop_assert_eq!(&decompress(Codec::Snappy, &raw, limits()).unwrap(), &bytes);
    }

    #[test]
    fn broken_blobs_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        for codec in Codec::ALL {
            let _ = decompress(codec, &bytes, limits());
            let mut blob = compress(Compression::new(codec), &bytes);
            for (index, byte) in &flips {
                if !blob.is_empty() {
                    let at = index.index(blob.len());
                    blob[at] = *byte;
                }
            }
            let _ = decompress(codec, &blob, limits());
        }
        let mut framed = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
        framed.extend_from_slice(&bytes);
        let _ = decompress(Codec::Snappy, &framed, limits());
    }
}

//! Tests of the variable-length integers, with the `integer-encoding` crate as oracle.

use integer_encoding::VarInt;
use proptest::prelude::*;

use super::*;

#[test]
fn known_bytes() {
    let cases: [(i32, &[u8]); 10] = [
        (0, &[0]),
        (-1, &[1]),
        (1, &[2]),
        (63, &[0x7e]),
        (-64, &[0x7f]),
        (64, &[0x80, 1]),
        (8191, &[0xfe, 0x7f]),
        (-8193, &[0x81, 0x80, 1]),
        (i32::MAX, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
        (i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
    ];
    for (value, bytes) in cases {
        let mut encoded = Vec::new();
        encode_i32(value, &mut encoded);
        assert_eq!(encoded, bytes, "{value}");
        assert_eq!(size_i32(value), bytes.len(), "{value}");
        assert_eq!(decode_i32(bytes), Ok((value, bytes.len())), "{value}");
        for cut in 0..bytes.len() {
            assert_eq!(decode_i32(&bytes[..cut]), Err(VarintError::Incomplete), "{value}");
        }
    }
}

#[test]
fn a_last_group_that_continues_is_refused() {
    assert_eq!(decode_u32(&[0xff; 5]), Err(VarintError::TooLong));
    assert_eq!(decode_u32(&[0xff; 4]), Err(VarintError::Incomplete));
    assert_eq!(decode_u64(&[0xff; 10]), Err(VarintError::TooLong));
    assert_eq!(decode_u64(&[0xff; 9]), Err(VarintError::Incomplete));
}

/// The JVM shifts the fifth group by 28 and loses its upper three bits; so do we.
#[test]
fn bits_that_do_not_fit_are_dropped() {
    assert_eq!(decode_u32(&[0xff, 0xff, 0xff, 0xff, 0x7f]), Ok((u32::MAX, 5)));
    assert_eq!(decode_u32(&[0x81, 0x80, 0x80, 0x80, 0x00]), Ok((1, 5)));
    let mut longest = [0xff; 10];
    longest[9] = 0x7f;
    assert_eq!(decode_u64(&longest), Ok((u64::MAX, 10)));
}

proptest! {
    #[test]
    fn agrees_with_the_oracle(value: i64, shift in 0_u32..64) {
        // Shifted so that all lengths come up as often.
        let long = value >> shift;
        let int = long as i32;
        let mut bytes = Vec::new();
        encode_i64(long, &mut bytes);
        prop_assert_eq!(&bytes, &long.encode_var_vec());
        prop_assert_eq!(size_i64(long), bytes.len());
        prop_assert_eq!(decode_i64(&bytes), Ok((long, bytes.len())));

        bytes.clear();
        encode_u64(long as u64, &mut bytes);
        prop_assert_eq!(&bytes, &(long as u64).encode_var_vec());
        prop_assert_eq!(decode_u64(&bytes), Ok((long as u64, bytes.len())));

        bytes.clear();
        encode_i32(int, &mut bytes);
        prop_assert_eq!(&bytes, &int.encode_var_vec());
        prop_assert_eq!(size_i32(int), bytes.len());
        prop_assert_eq!(decode_i32(&bytes), Ok((int, bytes.len())));

        bytes.clear();
        encode_u32(int as u32, &mut bytes);
        prop_assert_eq!(&bytes, &(int as u32).encode_var_vec());
        prop_assert_eq!(decode_u32(&bytes), Ok((int as u32, bytes.len())));
    }

    #[test]
    fn any_bytes_decode_as_the_oracle_says(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
        if let (Ok(ours), Some(theirs)) = (decode_u64(&bytes), u64::decode_var(&bytes)) {
            prop_assert_eq!(ours, theirs);
        }
        if let (Ok((value, used)), Some(theirs)) = (decode_u32(&bytes), u64::decode_var(&bytes)) {
            prop_assert_eq!((value, used), (theirs.0 as u32, theirs.1));
        }
    }
}

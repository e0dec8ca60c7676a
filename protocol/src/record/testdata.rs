//! Batches as Apache Kafka writes them, for this module's tests.

/// Bytes from hex digits; other characters are skipped.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// Three batches of one record each, offsets 0 to 2, from Kafka's own builder.
pub(crate) fn hello_set() -> Vec<u8> {
    hex("00000000000000000000003d0000000002df92e83c0000000000000000017c1209d9010000017c1209d901\
         ffffffffffffffffffffffffffff0000000116000000010a68656c6c6f00\
         00000000000000010000003d000000000237794a290000000000000000017c1209d9020000017c1209d902\
         ffffffffffffffffffffffffffff0000000116000000010a68656c6c6f00\
         00000000000000020000003d00000000026f202bda0000000000000000017c1209d9030000017c1209d903\
         ffffffffffffffffffffffffffff0000000116000000010a68656c6c6f00")
}

/// What Kafka's cleaner leaves of a producer's last batch when none of its records remain.
pub(crate) fn retained_empty_batch() -> Vec<u8> {
    hex("000000000000000a0000003100000003021e3ff979000000000004ffffffffffffffff0000017c1209d901\
         00000000000003e800020000000700000000")
}

/// An ABORT marker at offset 9 of producer 1000, coordinator epoch 0, from Kafka's own builder.
pub(crate) fn abort_marker() -> Vec<u8> {
    hex("000000000000000900000042000000000260c921640030000000000000017c1209d9010000017c1209d901\
         00000000000003e80000ffffffff000000012000000008000000000c00000000000000")
}

//! Whatever bytes come in, reading a message takes at most 8 bytes of heap for each of them.

use ottla_protocol::wire::reflect::{MessageSchema, Seed};
use ottla_protocol::{internal, messages, metadata};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// What a reader grants to the smallest input, and some room for the test's own threads.
const CONSTANT_BYTES: usize = 4096 + 1024;

#[test]
fn memory_is_bounded_by_input() {
    let mut all = messages::registry();
    all.extend(metadata::registry());
    all.extend(metadata::control::registry());
    all.extend(internal::registry());
    let hostile = hostile_inputs();
    for message in &all {
        for version in message.versions.clone() {
            for bytes in &hostile {
                check(message, version, bytes);
            }
            // Counts within a message that is right up to there.
            let seed = &mut Seed(u64::from(version.unsigned_abs()));
            for _ in 0..4 {
                let mut bytes = (message.sample)(seed, version);
                let cut = seed.below(bytes.len() as u64 + 1);
                bytes.truncate(cut);
                bytes.extend(&hostile[seed.below(hostile.len() as u64)]);
                check(message, version, &bytes);
            }
        }
    }
}

fn check(message: &MessageSchema, version: i16, bytes: &[u8]) {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let read = (message.reads)(bytes, version);
    let peak = HEAP.peak_usage().saturating_sub(before);
    let bound = 8 * bytes.len() + CONSTANT_BYTES;
    let start = &bytes[..bytes.len().min(32)];
    assert!(
        peak <= bound,
        "{} version {version} took {peak} bytes for {} (read: {read}) that begin {start:x?}",
        message.name,
        bytes.len(),
    );
}

/// Bytes that claim much in few: large counts, many small arrays, empty elements.
fn hostile_inputs() -> Vec<Vec<u8>> {
    const LENGTH: usize = 20_000;
    let mut inputs: Vec<Vec<u8>> = vec![
        vec![0; LENGTH],
        vec![1; LENGTH],
        vec![2; LENGTH],
        vec![0x7f; LENGTH],
        vec![0xff; LENGTH],
        // Classic counts of 64, compact ones of up to 2^21.
        [0, 0, 0, 0x40].repeat(LENGTH / 4),
        [0, 0, 0x40, 0].repeat(LENGTH / 4),
        [0xff, 0xff, 0x7f].repeat(LENGTH / 3),
        // A count of nearly all that follows, and then empty elements.
        [&b"\0\0\x4e\0"[..], &[0; LENGTH]].concat(),
        [&b"\x80\x9c\x01"[..], &[1; LENGTH]].concat(),
        [&b"\x80\x9c\x01"[..], &[0; LENGTH]].concat(),
    ];
    let mut seed = Seed(7);
    inputs.push((0..LENGTH).map(|_| seed.bits() as u8).collect());
    inputs.push((0..LENGTH).map(|_| [0, 1, 2, 3][seed.below(4)]).collect());
    inputs
}

//! Every message at every version: what is written is read back, and bad bytes are errors.

use crate::wire::reflect::{MessageSchema, Seed};
use crate::{internal, metadata};

/// Every table of the crate.
fn all_messages() -> Vec<MessageSchema> {
    let mut all = super::registry();
    all.extend(metadata::registry());
    all.extend(metadata::control::registry());
    all.extend(internal::registry());
    all
}

/// Calls back with each message in each of its versions.
fn for_each(mut check: impl FnMut(&MessageSchema, i16)) {
    for message in all_messages() {
        for version in message.versions.clone() {
            check(&message, version);
        }
    }
}

#[test]
fn all_messages_survive_the_wire() {
    for_each(|message, version| {
        for seed in 0..8 {
            if let Err(error) = (message.round_trip)(&mut Seed(seed), version) {
                panic!("{} version {version} seed {seed}: {error}", message.name);
            }
        }
    });
}

#[test]
fn every_prefix_is_an_error() {
    for_each(|message, version| {
        let bytes = (message.sample)(&mut Seed(1), version);
        for cut in 0..bytes.len() {
            let read = (message.recode)(&bytes[..cut], version);
            assert!(read.is_err(), "{} {version} cut at {cut} of {bytes:x?}", message.name);
        }
    });
}

#[test]
fn bytes_after_a_message_are_left() {
    for_each(|message, version| {
        let mut bytes = (message.sample)(&mut Seed(2), version);
        bytes.extend(b"more");
        let (_, left) = (message.recode)(&bytes, version).unwrap();
        assert_eq!(left, 4, "{} {version}", message.name);
    });
}

#[test]
fn what_bad_bytes_hold_is_read_again_the_same() {
    for_each(|message, version| {
        let seed = &mut Seed(u64::from(version.unsigned_abs()));
        for _ in 0..10 {
            let mut bytes = (message.sample)(seed, version);
            for _ in 0..=seed.below(3) {
                let at = seed.below(bytes.len().max(1) as u64);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = [0, 1, 0x7f, 0x80, 0xff, seed.bits() as u8][seed.below(6)];
                }
            }
            // An error is fine. Bytes that are read have one canonical form, which may be another.
            if let Ok((again, _)) = (message.recode)(&bytes, version) {
                let (twice, left) = (message.recode)(&again, version).unwrap();
                assert_eq!(left, 0, "{} {version} {bytes:x?}", message.name);
                assert_eq!(again, twice, "{} {version} {bytes:x?}", message.name);
            }
        }
    });
}

#[test]
fn versions_that_do_not_exist_are_refused() {
    for message in all_messages() {
        for version in [message.versions.start() - 1, message.versions.end() + 1] {
            assert!((message.recode)(&[0; 64], version).is_err(), "{} {version}", message.name);
        }
    }
}

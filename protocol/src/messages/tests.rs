//! Every message at every version: what is written is read back, and bad bytes are errors.

use crate::wire::reflect::{MessageSchema, Seed};

#[test]
fn all_messages_survive_the_wire() {
    check_round_trips(&super::registry());
}

/// Fills, writes, reads and compares each message in each of its versions.
pub(crate) fn check_round_trips(registry: &[MessageSchema]) {
    for message in registry {
        for version in message.versions.clone() {
            for seed in 0..8 {
                if let Err(error) = (message.round_trip)(&mut Seed(seed), version) {
                    panic!("{} version {version} seed {seed}: {error}", message.name);
                }
            }
        }
    }
}

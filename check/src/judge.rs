//! A history in, violations out.

use crate::event::Event;
use crate::partition::World;
use crate::rules;
use crate::violation::Violation;

/// What is too long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// While the broker runs, each client must get on within this time, ns. Time in which it is
    /// down does not count, and shorter lives of the broker are added up.
    pub progress_ns: u64,
}

impl Default for Limits {
    /// Ten seconds.
    fn default() -> Self {
        Limits { progress_ns: 10_000_000_000 }
    }
}

/// All violations of a history, whose events may come in any order.
///
/// Without reads of [`crate::event::Reader::Final`] it may be a history that still goes on:
/// nothing is then said about what is missing.
pub fn check(history: &[Event], limits: &Limits) -> Vec<Violation> {
    let world = World::new(history);
    let mut found = Vec::new();
    for partition in world.partitions.values() {
        rules::contents::check(&world, partition, &mut found);
        rules::missing::check(&world, partition, &mut found);
        rules::ends::check(&world, partition, &mut found);
        rules::expiry::check(partition, &mut found);
        rules::polls::check(&world, partition, &mut found);
        rules::lookups::check(partition, &mut found);
    }
    rules::registers::check(&world, &mut found);
    rules::topics::check(&world, &mut found);
    rules::liveness::check(&world, limits, &mut found);
    found
}

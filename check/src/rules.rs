//! One file a promise, or a few that need the same view.

pub(crate) mod contents;
pub(crate) mod ends;
pub(crate) mod expiry;
pub(crate) mod liveness;
pub(crate) mod lookups;
pub(crate) mod missing;
pub(crate) mod polls;
pub(crate) mod registers;
pub(crate) mod topics;

use crate::event::Place;
use crate::violation::{Rule, Violation};

/// Adds a violation in a partition.
fn note(found: &mut Vec<Violation>, rule: Rule, place: Place, text: String) {
    found.push(Violation { rule, place: Some(place), text });
}

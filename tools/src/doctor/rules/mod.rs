//! What is good and what is not: facts in, findings out. No file is read here.

use super::facts::Facts;
use super::finding::Finding;

mod clock;
mod cluster;
mod disk;
mod limits;
mod memory;
mod settings;

/// All findings, by area.
pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut all = Vec::new();
    limits::judge(facts, &mut all);
    memory::judge(facts, &mut all);
    disk::judge(facts, &mut all);
    clock::judge(facts, &mut all);
    settings::judge(facts, &mut all);
    cluster::judge(facts, &mut all);
    all
}

#[cfg(test)]
mod tests;

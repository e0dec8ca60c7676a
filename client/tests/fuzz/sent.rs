//! What a client sends, and that there is a trial of the answer to each of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ottla_protocol::api::ApiKey;

use crate::{admin, clients, unserved};

/// The kinds of answers of each trial.
const TRIALS: [&[&str]; 11] = [
    admin::CALLS,
    admin::CHANGES,
    admin::GROUPS,
    admin::LOOKS,
    clients::CLASSIC_MEMBERS,
    clients::COMMITS,
    clients::CONSUMERS,
    clients::CONSUMER_MEMBERS,
    clients::PRODUCERS,
    unserved::EPOCHS,
    unserved::UNSERVED,
];

/// Adds the kinds of requests whose types are named in this directory, tests aside: nothing is sent
/// without its type.
fn add_sent(directory: &Path, sent: &mut BTreeSet<&'static str>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.file_stem().unwrap() == "tests" {
            continue;
        }
        if path.is_dir() {
            add_sent(&path, sent);
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        let words: BTreeSet<&str> = source.split(|of: char| !of.is_alphanumeric()).collect();
        let is_sent = |api: &&ApiKey| words.contains(&*format!("{}Request", api.name()));
        sent.extend(ApiKey::ALL.iter().filter(is_sent).map(|api| api.name()));
    }
}

#[test]
fn every_answer_to_what_a_client_sends_is_in_a_trial() {
    let mut sent = BTreeSet::new();
    add_sent(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut sent);
    let trials: BTreeSet<&str> = TRIALS.iter().flat_map(|kinds| kinds.iter().copied()).collect();
    let differ: Vec<_> = sent.symmetric_difference(&trials).collect();
    assert!(differ.is_empty(), "sent without a trial, or the other way around: {differ:?}");
}

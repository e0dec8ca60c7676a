//! What brokers say of a directory when they start in it.

use super::super::broker::Kind;

/// Warnings of Apache Kafka that are not about what lies in the directory. It prints each in a
/// directory that only it has ever used, too.
const KAFKA_ALLOWED: [(&str, &str); 2] = [
    ("Performing controller activation.", "said at every start"),
    ("Attempting to close NetworkClient that has already been closed.", "said at every start"),
];

/// The same of Ottla.
const OTTLA_ALLOWED: [(&str, &str); 1] =
    [("known settings that Ottla does not act on yet", "about settings")];

/// The same of Ottla after a kill.
const OTTLA_ALLOWED_KILLED: (&str, &str) =
    ("the indexes are not as a roll leaves them", "an active segment was being written");

/// Of one kind of line; there may be one for each partition.
const SHOWN_MAX: usize = 12;

/// Lines that should not be there.
pub(super) fn check(lines: &[String], kind: Kind, stopped: bool) -> Vec<String> {
    let allowed = match kind {
        Kind::Kafka => &KAFKA_ALLOWED[..],
        Kind::Ottla => &OTTLA_ALLOWED[..],
    };
    let mut problems: Vec<String> = lines
        .iter()
        .filter(|line| [" WARN ", " ERROR ", " FATAL "].iter().any(|level| line.contains(level)))
        .filter(|line| !allowed.iter().any(|(part, _)| line.contains(part)))
        .filter(|line| stopped || kind == Kind::Kafka || !line.contains(OTTLA_ALLOWED_KILLED.0))
        .map(|line| format!("{kind:?} says {line}"))
        .take(SHOWN_MAX)
        .collect();
    if stopped {
        problems.extend(
            lines
                .iter()
                .filter(|line| recovers(line))
                .map(|line| format!("{kind:?} recovers after a clean stop: {line}"))
                .take(SHOWN_MAX),
        );
    }
    problems
}

/// Whether a log is being recovered. That of the metadata has no mark of an orderly stop and is
/// recovered at each start by both.
fn recovers(line: &str) -> bool {
    let words = ["Recovering unflushed segment", ": recovering", "Recovering "];
    words.iter().any(|word| line.contains(word)) && !line.contains("__cluster_metadata-0")
}

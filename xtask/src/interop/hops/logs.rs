//! What brokers say of a directory when they start in it.

use super::super::broker::Kind;

/// What Apache Kafka says that is not about what lies in the directory, each with the reason.
const KAFKA_ALLOWED: [(&str, &str); 8] = [
    ("Performing controller activation.", "said at every start"),
    ("Attempting to close NetworkClient that has already been closed.", "said at every start"),
    ("Exceptionally slow controller event", "about a busy machine"),
    ("controller event queue overloaded", "the same"),
    ("received error REQUEST_TIMED_OUT", "the same, of its own controller"),
    ("NotControllerException", "it asks its own controller before that is active"),
    ("cannot be resumed since it is not paused", "two of its own tasks race for a log"),
    ("(apiKey=DESCRIBE_CONFIGS", "asked for settings of groups, which 3.9 does not know"),
];

/// The same after a kill.
const KAFKA_ALLOWED_KILLED: [(&str, &str); 2] = [
    (
        "Stopped loading records from __",
        "partitions are led in the old epoch until the session of the broker that was killed is \
         over, and what is loaded in that time is begun anew",
    ),
    ("Non-monotonic update of high watermark", "its checkpoint is some seconds old at a kill"),
];

/// The same of Ottla.
const OTTLA_ALLOWED: [(&str, &str); 3] = [
    ("known settings that Ottla does not act on yet", "about settings"),
    ("open transaction: ", "there is one, which Kafka has to end"),
    ("Ottla has no transaction coordinator yet", "the same"),
];

/// The same after a kill.
const OTTLA_ALLOWED_KILLED: [(&str, &str); 1] =
    [("the indexes are not as a roll leaves them", "an active segment has them preallocated")];

/// Of one kind of line; there may be one for each partition.
const SHOWN_MAX: usize = 12;

/// Lines that should not be there.
pub(super) fn check(lines: &[String], kind: Kind, stopped: bool) -> Vec<String> {
    let (allowed, killed) = match kind {
        Kind::Kafka => (&KAFKA_ALLOWED[..], &KAFKA_ALLOWED_KILLED[..]),
        Kind::Ottla => (&OTTLA_ALLOWED[..], &OTTLA_ALLOWED_KILLED[..]),
    };
    let killed = if stopped { &[] } else { killed };
    let is_allowed = |line: &str| allowed.iter().chain(killed).any(|(part, _)| line.contains(part));
    let mut problems = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        let bad = [" WARN ", " ERROR ", " FATAL "].iter().any(|level| line.contains(level));
        // An exception's own words come in the line behind.
        let more = lines.get(n + 1).is_some_and(|next| !next.starts_with('[') && is_allowed(next));
        if bad && !is_allowed(line) && !more && problems.len() < SHOWN_MAX {
            problems.push(format!("{kind:?} says {line}"));
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str, kind: Kind, stopped: bool) -> usize {
        let before = format!("[2026-11-26 03:00:00,000] INFO fine\n{line}");
        let lines: Vec<String> = before.lines().map(str::to_owned).collect();
        check(&lines, kind, stopped).len()
    }

    #[test]
    fn complaints_about_the_directory_are_found() {
        let kafka = |line, stopped| found(line, Kind::Kafka, stopped);
        let corrupt = "[2026] WARN Found a corrupted index file corresponding to log file x";
        assert_eq!((kafka(corrupt, true), kafka(corrupt, false)), (1, 1));
        let stray = "[2026] ERROR Found stray log dir Log(dir=/x-stray)";
        assert_eq!((kafka(stray, true), found(stray, Kind::Ottla, false)), (1, 1));
        let recovery = "[2026] INFO [UnifiedLog t-0] Recovering unflushed segment 0.";
        assert_eq!((kafka(recovery, true), kafka(recovery, false)), (1, 0));
        let own = "[2026] INFO [UnifiedLog __cluster_metadata-0] Recovering unflushed segment 0.";
        assert_eq!(kafka(own, true), 0, "its own log has no mark");
    }

    #[test]
    fn what_is_about_something_else_is_allowed() {
        let slow = "[2026] ERROR Exceptionally slow controller event took 10 ms.";
        assert_eq!(found(slow, Kind::Kafka, true), 0);
        let behind = "[2026] WARN failed\norg.apache.NotControllerException: no";
        assert_eq!(found(behind, Kind::Kafka, true), 0, "the reason is in the next line");
        let settings = "[2026] WARN 3 known settings that Ottla does not act on yet";
        assert_eq!(found(settings, Kind::Ottla, true), 0);
    }
}

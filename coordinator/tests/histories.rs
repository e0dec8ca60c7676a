//! Random histories of groups, each from a seed, with checks of what must hold whatever happens.
//!
//! A history is a world of its own: a shard with its log, topics that come and go, clients that
//! join, commit, crash, come back and leave, a broker that is restarted, writes that fail. Checked
//! all along and at its end:
//!
//! - a partition has one owner in a generation, and in a consumer group one that has acknowledged
//!   it;
//! - a commit lands only if it comes from a member of the current generation, or from nobody into a
//!   group without members; what is fetched is what was committed last;
//! - each request that waits is answered once;
//! - the log gives the same state again, also when it was compacted;
//! - when nothing happens any more, each group settles and every partition is assigned;
//! - no bytes of a request or a record make the shard panic.
//!
//! Two thousand are run by default. To run 100,000, and to run one again and see what happens:
//!
//! ```text
//! HISTORIES=100000 cargo test -p ottla-coordinator --release --test histories
//! HISTORY=1234 cargo test -p ottla-coordinator --test histories classic -- --nocapture
//! ```
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "histories/bytes.rs"]
mod bytes;
#[path = "histories/chance.rs"]
mod chance;
#[path = "histories/classic.rs"]
mod classic;
#[path = "histories/consumer.rs"]
mod consumer;
#[path = "histories/ledger.rs"]
mod ledger;
#[path = "histories/log.rs"]
mod log;
#[path = "histories/settled.rs"]
mod settled;
#[path = "histories/story.rs"]
mod story;
#[path = "histories/topics.rs"]
mod topics;
#[path = "histories/world.rs"]
mod world;

use story::Plot;

/// How many histories of each plot are run when nothing else is asked for.
const HISTORIES: u64 = 300;

/// Says which history it was when a check fails.
struct Telling(u64);

impl Drop for Telling {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was the history of HISTORY={}", self.0);
        }
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

fn run(history: impl Fn(u64)) {
    let one = number("HISTORY");
    let seeds = match one {
        Some(seed) => seed..seed + 1,
        None => 0..number("HISTORIES").unwrap_or(HISTORIES),
    };
    for seed in seeds {
        let _telling = Telling(seed);
        history(seed);
    }
}

#[test]
fn classic_groups() {
    run(|seed| story::tell(seed, &Plot::CLASSIC));
}

#[test]
fn classic_groups_when_writes_fail() {
    run(|seed| story::tell(seed, &Plot::CLASSIC.with_failing_writes()));
}

#[test]
fn consumer_groups() {
    run(|seed| story::tell(seed, &Plot::CONSUMER));
}

#[test]
fn consumer_groups_when_writes_fail() {
    run(|seed| story::tell(seed, &Plot::CONSUMER.with_failing_writes()));
}

#[test]
fn groups_of_both_kinds() {
    run(|seed| story::tell(seed, &Plot::BOTH));
}

#[test]
fn groups_of_both_kinds_when_writes_fail() {
    run(|seed| story::tell(seed, &Plot::BOTH.with_failing_writes()));
}

#[test]
fn any_bytes() {
    run(bytes::tell);
}

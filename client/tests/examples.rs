//! The examples, each with a broker of its own, and what they print.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::duplicate_mod, reason = "the examples share how they find their cluster")]

use std::error::Error;
use std::io::Write;

use ottla::{Broker, Config};
use ottla_client::Properties;

#[path = "../examples/embedded_broker.rs"]
#[expect(dead_code, reason = "its main is for `cargo run`")]
mod embedded_broker;
#[path = "../examples/exactly_once_resume.rs"]
#[expect(dead_code, reason = "its main is for `cargo run`")]
mod exactly_once_resume;
#[path = "../examples/request_reply.rs"]
#[expect(dead_code, reason = "its main is for `cargo run`")]
mod request_reply;
#[path = "../examples/word_count.rs"]
#[expect(dead_code, reason = "its main is for `cargo run`")]
mod word_count;

/// What an example prints.
fn printed(run: impl Fn(&Properties, &mut dyn Write) -> Result<(), Box<dyn Error>>) -> String {
    let broker = Broker::start(Config::ephemeral()).unwrap();
    let properties = Properties::new().with("bootstrap.servers", broker.bootstrap_servers());
    let mut out = Vec::new();
    run(&properties, &mut out).unwrap();
    // Once more in the same cluster.
    run(&properties, &mut Vec::new()).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn word_count() {
    assert_eq!(printed(word_count::run), "4 dog\n4 the\n3 a\n");
}

#[test]
fn exactly_once_resume() {
    let expected = "sum of 1 to 1000: 500500, in spite of 4 crashes\n";
    assert_eq!(printed(exactly_once_resume::run), expected);
}

#[test]
fn request_reply() {
    let expected = "1 2 3: 6\n40 2: 42\nseven: invalid digit found in string\n";
    assert_eq!(printed(request_reply::run), expected);
}

#[test]
fn embedded_broker() {
    let mut out = Vec::new();
    embedded_broker::run(&mut out).unwrap();
    assert!(String::from_utf8(out).unwrap().starts_with("two orders over a restart at "));
}

#[test]
fn the_readmes_program_is_in_the_guide() {
    let readme = include_str!("../../README.md");
    let begins = |line: &&str| line.starts_with("    use std::time::Duration;");
    let program: Vec<&str> = readme
        .lines()
        .skip_while(|line| !begins(line))
        .take_while(|line| line.is_empty() || line.starts_with("    "))
        .map(str::trim_end)
        .map(|line| line.strip_prefix("    ").unwrap_or(line))
        .collect();
    assert!(program.len() > 10, "{program:?}");
    let guide = include_str!("../src/guide.md");
    let shown: Vec<&str> = guide.lines().filter(|line| !line.starts_with("# ")).collect();
    let program = program.join("\n");
    assert!(shown.join("\n").contains(program.trim_end()), "README.md's is another:\n{program}");
}

//! Every command against a broker, as transcripts: the files of `tests/expected`.
//!
//! A transcript is a list of commands with what each printed:
//!
//! | line | meaning |
//! |---|---|
//! | `$ ottlactl ARGS` | a command; the cluster is added |
//! | `$ kafka-topics ARGS` | the same by one of the names of Kafka's tools |
//! | `$ ls ARGS` | another program, which shows or changes files |
//! | `$ COMMAND > FILE` | its standard output goes there |
//! | `< TEXT` | a line of its standard input |
//! | `! TEXT` | a line of its standard error |
//! | `? CODE` | its exit code, if it is not 0 |
//! | `+ FILE TEXT` | a line of a file, to be named `@T/FILE` |
//! | `= TOPIC PARTITION COUNT` | records that are sent there, a second apart from 2023-11-14 on |
//! | `# Numbers are masked.` | above all: those that are printed are never twice the same |
//! | anything else | a line of its standard output |
//!
//! `@T` is a folder of the transcript's own, `@B` the cluster's `HOST:PORT`, `@D` its log
//! directory, `@O` another cluster, of Ottla.
//!
//! `UPDATE_EXPECT=1` writes what is printed into the files. `OTTLACTL_TEST_BOOTSTRAP=HOST:PORT`
//! runs them against a cluster of one broker that is there, with its log directory in
//! `OTTLACTL_TEST_DATA`, one after the other; each leaves it as it was.
//! A transcript that such a cluster cannot repeat has a second form in `tests/expected/kafka`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod coverage;
mod mask;
mod site;
mod transcript;

use std::collections::BTreeSet;
use std::fs;

macro_rules! transcripts {
    ($($name:ident)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];
        $(#[test] fn $name() { transcript::check(stringify!($name)); })*
    };
}

transcripts! {
    apis
    check
    cluster
    configs
    context
    doctor
    errors
    generate
    groups
    kafka_configs
    kafka_console
    kafka_consumer_groups
    kafka_perf
    kafka_records
    kafka_topics
    links
    log_files
    logdirs
    mirror
    offsets
    perf
    quorum
    records
    topics
}

#[test]
fn no_file_is_forgotten() {
    let files: BTreeSet<String> = fs::read_dir(transcript::folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(files, NAMES.iter().map(|name| (*name).to_owned()).collect());
}

#[test]
fn no_command_is_forgotten() {
    let commands = coverage::commands();
    assert!(commands.contains("ottlactl groups reset-offsets"), "{commands:?}");
    for is_kafka in [false, true] {
        let mut forgotten = commands.clone();
        for name in NAMES {
            let text = fs::read_to_string(transcript::path(name, is_kafka)).unwrap();
            for command in coverage::called(&text, &commands) {
                forgotten.remove(&command);
            }
        }
        assert_eq!(forgotten, BTreeSet::new(), "against Kafka: {is_kafka}");
    }
}

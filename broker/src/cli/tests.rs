//! Arguments, their errors, and what they start.

use super::*;

fn parse(arguments: &[&str]) -> Result<Arguments, String> {
    let arguments = std::iter::once("ottla").chain(arguments.iter().copied());
    Arguments::try_parse_from(arguments).map_err(|error| error.to_string())
}

fn start(arguments: &[&str]) -> Result<(BrokerConfig, StaticConfig), String> {
    settings(&parse(arguments)?.settings, "host7").map_err(|error| error.to_string())
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn without_arguments_it_listens_on_this_machine_only() {
    let (config, _) = start(&[]).unwrap();
    assert_eq!((config.node_id, config.log_dirs), (1, vec![PathBuf::from("./ottla-data")]));
    let listener = &config.listeners.bind[0];
    assert_eq!((listener.host.as_str(), listener.port), ("127.0.0.1", 9092));
    assert_eq!(config.listeners.bind.len(), 1);
}

#[test]
fn data_and_overrides() {
    let arguments = ["--data", "/d", "--override", "num.partitions=3", "--override", "node.id=9"];
    let (config, _) = start(&arguments).unwrap();
    assert_eq!(config.metadata_log_dir, PathBuf::from("/d"));
    assert_eq!((config.node_id, config.topics.num_partitions), (9, 3));
}

#[test]
fn a_file_with_overrides_after_it() {
    let file = file("node.id=4\nlisteners=PLAINTEXT://:9192\nlog.dirs=/a,/b\n");
    let path = file.path().to_str().unwrap();
    let (config, _) = start(&[path, "--override", "log.dirs=/c"]).unwrap();
    assert_eq!((config.node_id, config.log_dirs), (4, vec![PathBuf::from("/c")]));
    assert_eq!(config.listeners.advertised[0].host, "host7");
}

#[test]
fn bad_arguments_are_refused() {
    for (arguments, expected) in [
        (&["x", "--data", "y"][..], "cannot be used with"),
        (&["--log-level", "loud"], "invalid value 'loud'"),
        (&["--override", "k"], "--override: \"k\"\n  wrong: is not key=value"),
        (&["--override", "=v"], "--override: \"=v\"\n  wrong: is not key=value"),
        (&["--data", "a,b"], "cannot be a data directory"),
        (&["--nope"], "unexpected argument '--nope'"),
        (&["--accept", "acl"], "--accept: \"acl\"\n  wrong: is nothing that can be accepted"),
        (
            &["/nowhere/server.properties"],
            "the file\n  wrong: cannot be read: No such file or directory",
        ),
        (
            &["--override", "num.partitions=x"],
            "command line, --override: num.partitions=x\n  wrong: is not",
        ),
    ] {
        let error = start(arguments).unwrap_err();
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
}

#[test]
fn a_check_takes_what_a_start_takes() {
    let file = file("node.id=4\nlisteners=PLAINTEXT://:9192\nauthorizer.class.name=a.B\n");
    let path = file.path().to_str().unwrap();
    let arguments = parse(&["check", path, "--accept", "acls", "--override", "node.id=5"]).unwrap();
    let Some(Command::Check(check)) = arguments.command else { panic!("no check") };
    let (config, statics) = settings(&check, "host7").unwrap();
    assert_eq!(config.node_id, 5);
    assert!(statics.accepts(config::Acceptable::Acls));
    let refused = start(&[path]).unwrap_err();
    assert!(refused.contains("--accept acls"), "{refused}");
    assert!(start(&[path, "--accept", "acls"]).is_ok());
}

#[test]
fn help_tells_the_ways_to_start() {
    let help = parse(&["--help"]).unwrap_err();
    for expected in ["[server.properties]", "--data", "--override", "--log-level", "127.0.0.1:9092"]
    {
        assert!(help.contains(expected), "{help}");
    }
    assert!(help.lines().all(|line| line.len() <= 100), "{help}");
}

//! Contexts, and which cluster a command goes to.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// Nobody listens there.
const NOBODY: &str = "127.0.0.1:1";

fn ottlactl(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottlactl"));
    command.env_remove("OTTLA_BOOTSTRAP").env("XDG_CONFIG_HOME", home);
    command
}

fn run(home: &Path, args: &[&str]) -> Output {
    ottlactl(home).args(args).output().unwrap()
}

fn out(home: &Path, args: &[&str]) -> String {
    let output = run(home, args);
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

/// The address that a command goes to, by what it says when nobody is there.
fn goes_to(output: &Output) -> String {
    let text = refused(output);
    let (_, rest) = text.split_once("broker at ").unwrap();
    rest.split(": ").next().unwrap().to_owned()
}

#[test]
fn contexts_are_kept_and_what_is_around_them_stays() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    assert_eq!(out(home, &["context", "list", "-o", "json"]), "[]\n");
    out(home, &["context", "set", "local", "-b", "localhost:9092", "-X", "client.id=me"]);
    let file = home.join("ottla/config.toml");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("# mine\n{text}")).unwrap();
    out(home, &["context", "set", "prod", "-b", "kafka1:9092,kafka2:9092"]);
    assert_eq!(
        out(home, &["context", "list"]),
        "NAME   CURRENT  BOOTSTRAP-SERVER\n\
         local  yes      localhost:9092\n\
         prod   no       kafka1:9092,kafka2:9092\n"
    );
    out(home, &["context", "use", "prod"]);
    let secrets = ["sasl.password=x", "ssl.keystore.key=y", "sasl.oauthbearer.client.secret=z"];
    for secret in secrets {
        out(home, &["context", "set", "local", "-X", secret]);
    }
    assert_eq!(
        out(home, &["context", "show", "local", "-o", "yaml"]),
        "- name: local\n  current: false\n  commandConfig: null\n  properties:\n    \
         - property: bootstrap.servers\n      value: \"localhost:9092\"\n    \
         - property: client.id\n      value: me\n    \
         - property: sasl.oauthbearer.client.secret\n      value: \"(hidden)\"\n    \
         - property: sasl.password\n      value: \"(hidden)\"\n    \
         - property: ssl.keystore.key\n      value: \"(hidden)\"\n"
    );
    let text = refused(&run(home, &["context", "use", "prd"]));
    assert_eq!(text, "ottlactl: there is no context prd; did you mean prod?\n");
    let text = refused(&run(home, &["context", "delete", "prod"]));
    assert!(text.contains("no terminal to ask at; give --yes"), "{text}");
    out(home, &["context", "delete", "prod", "--yes"]);
    assert_eq!(out(home, &["context", "list", "-o", "name"]), "local\n");
    assert!(fs::read_to_string(&file).unwrap().starts_with("# mine\n"));
    let text = refused(&run(home, &["context", "set", "new"]));
    assert!(text.contains("the context new is new; give it a cluster with -b"), "{text}");
}

#[test]
fn what_is_nearer_to_the_command_goes_first() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let list = ["topics", "list", "--timeout", "100ms"];
    let with = |more: &[&str]| run(home, &[&list[..], more].concat());
    let text = refused(&with(&[]));
    assert!(text.contains("which cluster is not said; give -b HOST:PORT"), "{text}");
    out(home, &["context", "set", "a", "-b", "127.0.0.1:11"]);
    out(home, &["context", "set", "b", "-b", "127.0.0.1:12"]);
    assert_eq!(goes_to(&with(&[])), "127.0.0.1:11");
    assert_eq!(goes_to(&with(&["--context", "b"])), "127.0.0.1:12");
    let config = home.join("client.properties");
    fs::write(&config, "bootstrap.servers=127.0.0.1:13\n").unwrap();
    let config = config.to_str().unwrap();
    assert_eq!(goes_to(&with(&["--context", "b", "--command-config", config])), "127.0.0.1:13");
    let other = "bootstrap.servers=127.0.0.1:14";
    assert_eq!(goes_to(&with(&["-X", other, "--command-config", config])), "127.0.0.1:14");
    assert_eq!(goes_to(&with(&["-X", other, "-b", "127.0.0.1:15"])), "127.0.0.1:15");
    let mut command = ottlactl(home);
    let output = command.env("OTTLA_BOOTSTRAP", NOBODY).args(list).output().unwrap();
    assert_eq!(goes_to(&output), NOBODY);
    let output = command.args(["--context", "b"]).output().unwrap();
    assert_eq!(goes_to(&output), "127.0.0.1:12");
}

#[test]
fn options_stand_before_the_command_or_behind_it() {
    let home = tempfile::tempdir().unwrap();
    let args = ["-b", NOBODY, "-X", "client.id=a", "topics", "list", "--timeout", "100ms"];
    let output = run(home.path(), &[&args[..], &["-X", "clent.id=b"]].concat());
    let text = refused(&output);
    assert!(text.contains("clent.id=b: unknown setting; did you mean client.id?"), "{text}");
    let args = ["-X", "clent.id=b", "topics", "list", "-b", NOBODY, "-X", "client.id=a"];
    let text = refused(&run(home.path(), &args));
    assert!(text.contains("clent.id=b: unknown setting"), "nothing is forgotten: {text}");
}

#[test]
fn a_file_that_is_none_is_told_by_its_line() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("ottla")).unwrap();
    fs::write(home.path().join("ottla/config.toml"), "current = \"a\"\n\n[contexts\n").unwrap();
    let text = refused(&run(home.path(), &["topics", "list"]));
    assert!(text.contains("ottla/config.toml, line 3: "), "{text}");
    // What needs no cluster needs no contexts either.
    assert!(run(home.path(), &["completions", "bash"]).status.success());
}

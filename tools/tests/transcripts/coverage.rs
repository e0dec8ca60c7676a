//! Which commands there are, and which of them transcripts call.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::transcript;

/// All commands, `ottlactl topics create`, and the names of Kafka's tools, as the program itself
/// tells them: by its manual pages and its links.
pub(crate) fn commands() -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    let made = |command: &str| {
        let folder = folder.path().join(command);
        let mut call = Command::new(env!("CARGO_BIN_EXE_ottlactl"));
        assert!(call.arg(command).arg(&folder).output().unwrap().status.success());
        folder
    };
    let links = names(&made("install-links"), ".sh");
    let pages = made("man");
    let (groups, commands): (Vec<String>, Vec<String>) =
        names(&pages, ".1").into_iter().partition(|name| {
            let page = fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
            page.contains(".SH SUBCOMMANDS")
        });
    commands.iter().map(|name| in_words(name, &groups)).chain(links).collect()
}

fn names(folder: &Path, end: &str) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
    files.map(|name| name.to_str().unwrap().strip_suffix(end).unwrap().to_owned()).collect()
}

/// `ottlactl-groups-reset-offsets` as it is called.
fn in_words(page: &str, groups: &[String]) -> String {
    let within = |group: &&String| page.strip_prefix(group.as_str()).is_some_and(is_behind_hyphen);
    match groups.iter().filter(within).max_by_key(|group| group.len()) {
        Some(group) => format!("{} {}", in_words(group, groups), &page[group.len() + 1..]),
        None => page.to_owned(),
    }
}

fn is_behind_hyphen(rest: &str) -> bool {
    rest.starts_with('-')
}

/// Of these commands those that a transcript calls so that they run: with exit code 0, or with
/// one that tells what was found.
pub(crate) fn called(text: &str, commands: &BTreeSet<String>) -> BTreeSet<String> {
    let ran = |(words, code): (Vec<String>, String)| {
        let is_kafkas = words[0] != "ottlactl";
        if code != "0" && (is_kafkas || code != "1") {
            return None;
        }
        // Options in front of a command have a value each.
        let mut rest = &words[1..];
        while rest.first().is_some_and(|word| !is_kafkas && word.starts_with('-')) {
            rest = rest.get(2..).unwrap_or_default();
        }
        let names = [&words[..1], &rest[..rest.len().min(2)]].concat();
        (1..=names.len())
            .rev()
            .map(|count| names[..count].join(" "))
            .find(|name| commands.contains(name))
    };
    transcript::calls(text).into_iter().filter_map(ran).collect()
}

#[test]
fn a_command_is_called_when_it_has_run() {
    let commands = ["ottlactl topics list", "ottlactl verify", "kafka-topics"];
    let commands = commands.map(str::to_owned).into();
    let called = |text| called(text, &commands).into_iter().collect::<Vec<_>>();
    assert_eq!(called("$ ottlactl -o yaml topics list -o json\nt\n"), ["ottlactl topics list"]);
    assert_eq!(called("$ ottlactl topics list\n! ottlactl: why\n? 2\n"), [""; 0]);
    assert_eq!(called("$ ottlactl verify @D\ndamage\n? 1\n"), ["ottlactl verify"]);
    assert_eq!(called("$ kafka-topics --list\n? 1\n$ cat topics\n"), [""; 0]);
    assert_eq!(called("$ kafka-topics --list\n"), ["kafka-topics"]);
}

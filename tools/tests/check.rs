//! `ottlactl check`, which is the broker's program.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One test at a time: a process that another one begins while a program is written has that file
/// open for a moment, and what is open to be written cannot be run.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `ottlactl check` as it is installed in a folder.
fn check(dir: &Path, arguments: &[&str]) -> Output {
    let program = dir.join("ottlactl");
    fs::copy(env!("CARGO_BIN_EXE_ottlactl"), &program).unwrap();
    let mut command = Command::new(&program);
    command.arg("check").args(arguments).env("PATH", dir.join("nowhere")).output().unwrap()
}

#[test]
fn the_program_beside_it_says_what_there_is_to_say() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let broker = dir.path().join("ottla");
    fs::write(&broker, "#!/bin/sh\nprintf '%s,' \"$@\"\nexit 3\n").unwrap();
    fs::set_permissions(&broker, fs::Permissions::from_mode(0o755)).unwrap();
    for arguments in [
        &["a b.properties", "--override", "x=y", "-o"][..],
        &["--help"],
        &["--override", "x=y", "a.properties"],
        &[],
    ] {
        let output = check(dir.path(), arguments);
        let said = String::from_utf8(output.stdout).unwrap();
        let all: String = arguments.iter().map(|argument| format!("{argument},")).collect();
        assert_eq!((said, output.status.code()), (format!("check,{all}"), Some(3)));
    }
}

#[test]
fn without_the_program_it_says_what_to_do() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let output = check(dir.path(), &["a.properties"]);
    let why = String::from_utf8(output.stderr).unwrap();
    let at = dir.path().join("ottla");
    let expected = format!(
        "ottlactl: the program ottla is neither at {} nor on the PATH; check is a part of it: \
         install it too\n",
        at.display()
    );
    assert_eq!((why, output.status.code()), (expected, Some(2)));
}

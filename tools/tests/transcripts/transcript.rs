//! Reads a transcript, runs its commands, and compares.

use std::env;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::mask;
use crate::site::{Site, broker_folder, is_elsewhere};

/// A cluster shows what was changed a little later on a busy machine.
const AGAIN_FOR: Duration = Duration::from_secs(10);
const AGAIN_EVERY: Duration = Duration::from_millis(200);

/// Other programs that a transcript may call, to show or to change files.
const PROGRAMS: [&str; 6] = ["bash", "cat", "cp", "dd", "ls", "mkdir"];

/// Where a transcript is; another cluster than ours may have one of its own.
pub(crate) fn path(name: &str, is_kafka: bool) -> PathBuf {
    let other = folder().join(format!("kafka/{name}.txt"));
    if is_kafka && other.is_file() { other } else { folder().join(format!("{name}.txt")) }
}

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/expected")
}

/// Runs a transcript and compares it with its file, or writes the file.
pub(crate) fn check(name: &str) {
    let path = path(name, is_elsewhere());
    let expected = fs::read_to_string(&path).unwrap();
    let is_update = env::var_os("UPDATE_EXPECT").is_some_and(|set| set == "1");
    let site = Site::of(&expected);
    let are_masked = expected.starts_with("# Numbers are masked.\n");
    let run = |step: &Step| {
        let printed = step.run(&site);
        let masked = |line| mask::numbers(line) + "\n";
        if are_masked { printed.lines().map(masked).collect() } else { printed }
    };
    let mut text = String::new();
    for step in steps(&expected) {
        text.push_str(&step.asked());
        let mut printed = run(&step);
        let begun = Instant::now();
        while !is_update && !is_same(&printed, &step.printed) && step.only_reads() {
            if begun.elapsed() > AGAIN_FOR {
                break;
            }
            std::thread::sleep(AGAIN_EVERY);
            printed = run(&step);
        }
        text.push_str(&printed);
    }
    if is_update {
        fs::write(&path, text).unwrap();
    } else {
        assert!(
            is_same(&text, &expected),
            "{}:\n{}",
            path.display(),
            differences(&compared(&expected), &compared(&text))
        );
    }
}

fn is_same(printed: &str, expected: &str) -> bool {
    compared(printed) == compared(expected)
}

/// What has to be the same: another broker has words of its own.
fn compared(text: &str) -> String {
    if is_elsewhere() { mask::without_words(text) } else { text.to_owned() }
}

/// A command with its input, or something that is done beside the commands.
#[derive(Default)]
struct Step {
    notes: String,
    line: String,
    input: String,
    printed: String,
}

/// The words of each call of a transcript, and the exit code that it has there.
pub(crate) fn calls(text: &str) -> Vec<(Vec<String>, String)> {
    let call = |step: &Step| {
        let words = words(step.line.strip_prefix("$ ")?);
        let code = step.printed.lines().find_map(|line| line.strip_prefix("? "));
        Some((words, code.unwrap_or("0").to_owned()))
    };
    steps(text).iter().filter_map(call).collect()
}

/// What is between two lines with a `$`, `+` or `=` belongs to the first of them.
fn steps(text: &str) -> Vec<Step> {
    let mut steps = vec![Step::default()];
    let mut notes = String::new();
    for line in text.lines() {
        let last = steps.last_mut().unwrap();
        if line.starts_with("# ") || line == "#" {
            notes += &format!("{line}\n");
        } else if ["$ ", "+ ", "= "].iter().any(|mark| line.starts_with(mark)) {
            let notes = std::mem::take(&mut notes);
            steps.push(Step { notes, line: line.to_owned(), ..Step::default() });
        } else if let Some(input) = line.strip_prefix("< ") {
            last.input += &format!("{input}\n");
        } else {
            last.printed += &format!("{line}\n");
        }
    }
    steps.remove(0);
    steps
}

impl Step {
    fn asked(&self) -> String {
        let mut text = format!("{}{}\n", self.notes, self.line);
        for line in self.input.lines() {
            _ = writeln!(text, "< {line}");
        }
        text
    }

    fn only_reads(&self) -> bool {
        let reads = [
            " list",
            " describe",
            " show",
            " cluster",
            " logdirs",
            " quorum",
            "--list",
            "get-offsets",
        ];
        reads.iter().any(|word| self.line.contains(word)) || self.line.contains("--describe")
    }

    fn run(&self, site: &Site) -> String {
        let (mark, rest) = self.line.split_at(2);
        let folder = site.folder.path();
        match mark {
            "+ " => {
                let (name, text) = rest.split_once(' ').unwrap();
                let path = folder.join(name);
                let mut file = File::options().create(true).append(true).open(path).unwrap();
                writeln!(file, "{}", site.fill(text)).unwrap();
                String::new()
            }
            "= " => {
                let words: Vec<&str> = rest.split(' ').collect();
                site.send(words[0], words[1].parse().unwrap(), words[2].parse().unwrap());
                String::new()
            }
            _ => self.call(rest, site),
        }
    }

    fn call(&self, line: &str, site: &Site) -> String {
        let mut words: Vec<String> = words(line).iter().map(|word| site.fill(word)).collect();
        let to = words.iter().position(|word| word == ">").map(|at| words.split_off(at));
        let out = to.map(|to| Stdio::from(File::create(&to[1]).unwrap()));
        let mut child = command(&words, site)
            .env("OTTLA_BOOTSTRAP", &site.bootstrap)
            .env("XDG_CONFIG_HOME", site.folder.path())
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(out.unwrap_or_else(Stdio::piped))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(self.input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let mut text = String::new();
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            _ = writeln!(text, "{}", mask::line(line, site));
        }
        for line in String::from_utf8(output.stderr).unwrap().lines() {
            _ = writeln!(text, "! {}", mask::line(line, site));
        }
        let code = output.status.code().unwrap();
        if code != 0 {
            _ = writeln!(text, "? {code}");
        }
        if words[1..].iter().any(|word| word == "doctor") { mask::machine(&text) } else { text }
    }
}

/// A call, ready to be made.
fn command(words: &[String], site: &Site) -> Command {
    let name = &*words[0];
    let is_kafkas = name.starts_with("kafka-");
    if !is_kafkas && name != "ottlactl" {
        assert!(PROGRAMS.contains(&name), "{name} is no program for a transcript");
        let mut command = Command::new(name);
        command.args(&words[1..]);
        return command;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottlactl"));
    command.arg0(format!("/bin/{name}.sh")).args(&words[1..]);
    if is_kafkas && name != "kafka-dump-log" {
        command.args(["--bootstrap-server", &site.bootstrap]);
    }
    if words.get(1).is_some_and(|word| word == "check") {
        command.env("PATH", broker_folder());
    }
    command
}

/// Words as a shell takes them; only single quotes are known.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut is_quoted) = (Vec::new(), None::<String>, false);
    for c in line.chars() {
        match c {
            '\'' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            ' ' if !is_quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The lines around the first difference.
fn differences(expected: &str, printed: &str) -> String {
    let same = expected.lines().zip(printed.lines()).take_while(|(one, other)| one == other);
    let first = same.count();
    let from = first.saturating_sub(5);
    let some = |text: &str| {
        let lines = text.lines().skip(from).take(12);
        lines.map(|line| format!("    {line}\n")).collect::<String>()
    };
    let line = first + 1;
    format!("line {line}: expected\n{}printed\n{}", some(expected), some(printed))
}

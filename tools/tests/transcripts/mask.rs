//! What differs from run to run, and the words that stand for it.

use std::sync::LazyLock;

use regex::Regex;

use crate::site::Site;

/// Ids of topics and clusters: 16 bytes in base64.
const ID_CHARS: usize = 22;
const ID: &str = "ID-OF-SIXTEEN-BYTES-64";
/// Milliseconds since 1970 have as many digits, till the year 2286.
const TIME_DIGITS: usize = 13;

/// How long something took, how fast it was, and what was before.
static VARYING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let varying = [
        (r" in \d+\.\d s\b", " in N.N s"),
        (r" within \d+ ms\b", " within N ms"),
        (r"\b\d+\.\d\d GiB/s", "N.N GiB/s"),
        (r#""seconds":[^,}]+"#, r#""seconds":N.N"#),
        // Of topics that other transcripts deleted less than a minute ago.
        (r", \d+ directories deleted, moved or set aside", ""),
    ];
    varying.map(|(pattern, word)| (Regex::new(pattern).unwrap(), word)).into()
});

/// A line as a file has it.
pub(crate) fn line(line: &str, site: &Site) -> String {
    let folder = site.folder.path().to_str().unwrap();
    let mut text = line.to_owned();
    for (pattern, word) in &*VARYING {
        text = pattern.replace_all(&text, *word).into_owned();
    }
    let (host, port) = site.bootstrap.rsplit_once(':').unwrap();
    if let Some(data) = &site.data {
        text = text.replace(data, "@D");
    }
    text = text.replace(folder, "@T").replace(&site.bootstrap, "HOST:PORT");
    if let Some(other) = &site.other {
        text = text.replace(other.bootstrap_servers(), "OTHER:PORT");
    }
    if words(&text).any(|word| word == port) {
        // How far apart the columns are depends on how many digits it has.
        text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        text = text.replace(port, "PORT").replace(host, "HOST").replace("localhost", "HOST");
    }
    let mut masked = String::new();
    let mut rest = text.as_str();
    while let Some(word) = words(rest).next() {
        let at = rest.find(word).unwrap();
        masked.push_str(&rest[..at]);
        // Behind a point is a name of a class or a fraction.
        let is_whole = !masked.ends_with('.');
        masked.push_str(match word {
            id if is_whole && is_id(id) => ID,
            time if is_whole && is_time(time) => "MILLISECONDS!",
            word => word,
        });
        rest = &rest[at + word.len()..];
    }
    masked += rest;
    if masked.trim_start().starts_with('"') {
        return masked;
    }
    // YAML quotes those that begin like a number.
    masked.replace(&format!("\"{ID}\""), ID)
}

/// What `doctor` prints without what it finds of the machine: whole findings, and how many.
pub(crate) fn machine(text: &str) -> String {
    const AREAS: [&str; 4] = ["limits: ", "memory: ", "disk: ", "clock: "];
    let (mut kept, mut is_kept) = (String::new(), true);
    for line in text.lines() {
        // Behind a finding there may be what to do about it.
        if !line.starts_with("        ") {
            is_kept =
                !AREAS.iter().any(|area| line.get(8..).is_some_and(|of| of.starts_with(area)));
        }
        if is_kept {
            kept += &if line.ends_with(" good") { numbers(line) } else { line.to_owned() };
            kept.push('\n');
        }
    }
    kept
}

/// Errors without a broker's own words for them, which follow a code or an exception's name.
pub(crate) fn without_words(text: &str) -> String {
    const BEFORE_WORDS: [&str; 2] = ["Exception: ", "Error while executing topic command : "];
    let mut lines = String::new();
    for line in text.lines() {
        let code = line.find(" (").filter(|at| line.starts_with("! ") && is_code(line, *at));
        let code = code.and_then(|at| line[at..].find(')').map(|end| at + end + 1));
        let mut words = BEFORE_WORDS.iter();
        let named = words.find_map(|before| Some(line.find(before)? + before.len()));
        let end = code.or(named).unwrap_or(line.len());
        lines += &line[..end];
        lines.push('\n');
    }
    lines
}

/// Whether the word before this place is one of an error: `INVALID_CONFIG (40)`.
fn is_code(line: &str, at: usize) -> bool {
    let word = line[..at].rsplit(' ').next().unwrap_or_default();
    word.len() > 3 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

/// A line with all its numbers as one letter, where they are never twice the same.
pub(crate) fn numbers(line: &str) -> String {
    let mut text = String::new();
    for c in line.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        let is_digit = c.is_ascii_digit();
        if !is_digit || !text.ends_with('N') {
            text.push(if is_digit { 'N' } else { c });
        }
    }
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    units.iter().fold(text, |text, unit| text.replace(&format!("N.N {unit}"), "N"))
}

/// Pieces of a text that ids can be.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.split(move |c| !is_part(c)).filter(|word| !word.is_empty())
}

fn is_id(word: &str) -> bool {
    word.len() == ID_CHARS && word.chars().any(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

fn is_time(word: &str) -> bool {
    // Those of the records that were sent are the same every time.
    word.len() == TIME_DIGITS
        && word.bytes().all(|byte| byte.is_ascii_digit())
        && !word.starts_with("17000000")
}

//! What differs from run to run, and the words that stand for it.

use crate::site::Site;

/// Ids of topics and clusters: 16 bytes in base64.
const ID_CHARS: usize = 22;
const ID: &str = "ID-OF-SIXTEEN-BYTES-64";
/// Milliseconds since 1970 have as many digits, till the year 2286.
const TIME_DIGITS: usize = 13;

/// A line as a file has it.
pub(crate) fn line(line: &str, site: &Site) -> String {
    let folder = site.folder.path().to_str().unwrap();
    let (host, port) = site.bootstrap.rsplit_once(':').unwrap();
    let mut text = line.to_owned();
    if let Some(data) = &site.data {
        text = text.replace(data, "@D");
    }
    text = text.replace(folder, "@T").replace(&site.bootstrap, "HOST:PORT");
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
        masked.push_str(match word {
            id if is_id(id) => ID,
            time if is_time(time) => "MILLISECONDS!",
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

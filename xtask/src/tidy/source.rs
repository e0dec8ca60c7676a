//! Rules for one Rust file: module doc, length, `unsafe`, `unwrap`.

/// Lines of a file that are not tests.
const FILE_LINES_MAX: usize = 500;

/// The one file that may hold `unsafe` code: mapped indexes.
const UNSAFE_FILE: &str = "storage/src/mmap.rs";

/// Checks one Rust file.
pub(crate) fn check_source(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if !text.starts_with("//! ") {
        problems.push(format!("{path}:1: no module doc on line one"));
    }
    let tests = is_test_file(path);
    let mut in_tests = TestModules::default();
    let mut count = 0;
    for (n, line) in text.lines().enumerate() {
        if tests || in_tests.holds(line) {
            continue;
        }
        count += 1;
        let code = code_of(line);
        if is_unsafe(&code) && path != UNSAFE_FILE {
            problems.push(format!("{path}:{}: unsafe outside its one file", n + 1));
        }
        if code.contains(".unwrap()") {
            let advice = "return an error, or `expect` the invariant that holds";
            problems.push(format!("{path}:{}: unwrap: {advice}", n + 1));
        }
    }
    if count > FILE_LINES_MAX {
        problems.push(format!("{path}: {count} non-test lines, at most {FILE_LINES_MAX}"));
    }
    problems
}

/// Whether nothing of the file is shipped: tests, benchmarks, examples.
fn is_test_file(path: &str) -> bool {
    let folders = ["/tests/", "/benches/", "/examples/"];
    path.ends_with("/tests.rs") || folders.iter().any(|folder| path.contains(folder))
}

/// Follows the `#[cfg(test)] mod name { … }` blocks of a file.
#[derive(Default)]
struct TestModules {
    /// The last line was `#[cfg(test)]`.
    announced: bool,
    /// The line that ends the block that we are in.
    end: Option<String>,
}

impl TestModules {
    /// Takes the next line; tells whether it belongs to such a block.
    fn holds(&mut self, line: &str) -> bool {
        if let Some(end) = &self.end {
            if line == end {
                self.end = None;
            }
            return true;
        }
        let code = line.trim_start();
        if code == "#[cfg(test)]" {
            self.announced = true;
            return true;
        }
        if !self.announced {
            return false;
        }
        if code.starts_with("#[") {
            return true;
        }
        self.announced = false;
        if code.contains("mod ") && code.ends_with('{') {
            self.end = Some(format!("{}}}", &line[..line.len() - code.len()]));
        }
        code.contains("mod ")
    }
}

/// The line without its comment and without what stands in its string literals.
fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut chars = line.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted => {
                chars.next();
            }
            '"' => quoted = !quoted,
            '/' if !quoted && chars.peek() == Some(&'/') => break,
            _ if quoted => {}
            _ => code.push(c),
        }
    }
    code
}

/// Whether `unsafe` stands in `code` as a keyword: the word may also be in a text of several lines,
/// whose quotes are on other ones.
fn is_unsafe(code: &str) -> bool {
    let begins = ["{", "fn ", "impl ", "trait ", "extern ", "("];
    code.match_indices("unsafe").any(|(at, word)| {
        let rest = code[at + word.len()..].trim_start();
        has_word(code, word)
            && (rest.is_empty() || begins.iter().any(|begin| rest.starts_with(begin)))
    })
}

/// Whether `word` stands alone in `code`, not as part of a longer name.
fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word)
}

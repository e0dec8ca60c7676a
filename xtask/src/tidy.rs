//! The house rules that no other tool checks: one pass over each file of the repository.
//!
//! [`check_source`] and [`check_text`] are pure and tested with small texts; [`run`] feeds them.

mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::gate::Outcome;
use crate::manifest;

pub(crate) use source::check_source;

/// Columns in a line of source or prose.
const WIDTH_MAX: usize = 100;

/// Packages in the broker's binary, its own crates included. Above it, a dependency has to go
/// before one can come.
const SHIPPED_PACKAGES_MAX: usize = 71;

/// Terms that a distributor of an Apache-2.0 binary can keep without asking anybody.
const LICENSES: [&str; 11] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Names that say nothing of what a file is about.
const VAGUE_NAMES: [&str; 4] = ["common.rs", "helpers.rs", "types.rs", "utils.rs"];

/// Hosts of package registries, in two parts so that this file does not name them itself. Builds
/// use the registry that the user's own client is set up for.
const HOSTS: [(&str, &str); 7] = [
    ("crates", ".io"),
    ("pypi", ".org"),
    ("pythonhosted", ".org"),
    ("npmjs", ".org"),
    ("proxy.golang", ".org"),
    ("maven.apache", ".org"),
    ("deb.debian", ".org"),
];

/// Left-over work, in two parts for the same reason.
const LEFTOVERS: [(&str, &str); 5] =
    [("FIX", "ME"), ("XX", "X:"), ("dbg", "!("), ("todo", "!("), ("unimplemented", "!(")];

/// Runs all tidy checks.
pub(crate) fn run(root: &Path) -> Result<Outcome> {
    let files = files(root)?;
    let mut problems = Vec::new();
    for path in &files {
        let Ok(text) = std::fs::read_to_string(root.join(path)) else {
            // Binary test data, or a file deleted but not yet in the index.
            continue;
        };
        problems.extend(check_text(path, &text));
        if path.ends_with(".rs") {
            problems.extend(check_source(path, &text));
        }
        if path.ends_with(".md") {
            problems.extend(check_links(root, path, &text));
        }
    }
    problems.extend(check_imports(root, &files));
    problems.extend(check_licenses(root)?);
    Ok(Outcome::of_problems(&problems))
}

/// Every file of the repository, tracked or new, ignored ones left out; paths from the root.
pub(crate) fn files(root: &Path) -> Result<Vec<String>> {
    let args = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(args).current_dir(root).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let set: BTreeSet<String> =
        String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect();
    Ok(set.into_iter().collect())
}

/// Files that tools write; nobody reads them line by line.
fn is_generated(path: &str) -> bool {
    let names = ["Cargo.lock", "package-lock.json", "go.sum", "LICENSE", "terminal.svg"];
    names.iter().any(|name| path.ends_with(name)) || path.ends_with(".proptest-regressions")
}

/// Test data: bytes in hexadecimal and the like, as long as they are.
fn is_data(path: &str) -> bool {
    [".hex", ".txt", ".csv"].iter().any(|end| path.ends_with(end))
}

/// Rules for any text: width, left-overs, host names, trailing blanks.
fn check_text(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if is_generated(path) || is_data(path) {
        return problems;
    }
    let mut note = |n: usize, what: String| problems.push(format!("{path}:{}: {what}", n + 1));
    for (n, line) in text.lines().enumerate() {
        let width = line.chars().map(|c| if c == '\t' { 4 } else { 1 }).sum::<usize>();
        // A table's row or a bare link cannot be folded.
        let foldable = !line.starts_with('|') && !line.contains("://");
        if width > WIDTH_MAX && foldable {
            note(n, format!("{width} columns, at most {WIDTH_MAX}"));
        }
        if line.ends_with([' ', '\t']) {
            note(n, "blank at the end of the line".to_owned());
        }
        for (a, b) in HOSTS.iter().filter(|(a, b)| line.contains(&format!("{a}{b}"))) {
            note(n, format!("names a registry's host, {a}{b}"));
        }
        for (a, b) in LEFTOVERS.iter().filter(|(a, b)| line.contains(&format!("{a}{b}"))) {
            note(n, format!("left over: {a}{b}"));
        }
    }
    problems
}

/// Relative links of a Markdown file must lead to a file of the tree.
fn check_links(root: &Path, path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let folder = root.join(path);
    let folder = folder.parent().unwrap_or(root);
    for (n, line) in text.lines().enumerate() {
        for rest in line.split("](").skip(1) {
            let target = rest.split([')', '#', ' ']).next().unwrap_or_default();
            let absolute = target.contains("://") || target.starts_with("mailto:");
            if !target.is_empty() && !absolute && !folder.join(target).exists() {
                problems.push(format!("{path}:{}: dead link to {target}", n + 1));
            }
        }
    }
    problems
}

/// Every `.rs` file under a `src` folder is a crate's root or is named by its parent module.
fn check_imports(root: &Path, files: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    for path in files.iter().filter(|path| path.ends_with(".rs") && root.join(path).exists()) {
        let name = path.rsplit('/').next().unwrap_or(path);
        if VAGUE_NAMES.contains(&name) {
            problems.push(format!("{path}: name the file after what it holds"));
        }
        let Some((parents, module)) = parents_of(path) else { continue };
        let declared = parents.iter().any(|parent| {
            let text = std::fs::read_to_string(root.join(parent)).unwrap_or_default();
            text.lines().any(|line| declares(line, &module))
        });
        if !declared {
            problems.push(format!("{path}: no module imports it"));
        }
    }
    problems
}

/// The files that may declare the module in `path`, and the module's name; `None` for roots.
fn parents_of(path: &str) -> Option<(Vec<String>, String)> {
    let (before, inside) = path.split_once("src/")?;
    if ["lib.rs", "main.rs"].contains(&inside) || inside.starts_with("bin/") {
        return None;
    }
    let mut parts: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
    if parts.last() == Some(&"mod") {
        parts.pop();
    }
    let module = parts.pop()?.to_owned();
    let folder = parts.join("/");
    let parents = if folder.is_empty() {
        vec![format!("{before}src/lib.rs"), format!("{before}src/main.rs")]
    } else {
        vec![format!("{before}src/{folder}.rs"), format!("{before}src/{folder}/mod.rs")]
    };
    Some((parents, module))
}

/// Whether a line declares a module, with whatever visibility.
fn declares(line: &str, module: &str) -> bool {
    let mut words = line.trim().trim_end_matches([';', '{', ' ']).rsplit(' ');
    words.next() == Some(module) && words.next() == Some("mod")
}

/// Licenses of every package in the lock file, and the number of those that are shipped.
fn check_licenses(root: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for package in manifest::packages(root)? {
        if !license_is_free(&package.license) {
            problems.push(format!(
                "Cargo.lock: {} {} is under `{}`, which is not on the list",
                package.name, package.version, package.license
            ));
        }
    }
    let shipped = manifest::shipped(root)?.len();
    if shipped > SHIPPED_PACKAGES_MAX {
        problems.push(format!(
            "Cargo.lock: {shipped} packages in the broker, at most {SHIPPED_PACKAGES_MAX}"
        ));
    }
    Ok(problems)
}

/// Reads an SPDX expression far enough: one free choice of every `OR`, all sides of an `AND`.
fn license_is_free(expression: &str) -> bool {
    let flat = expression.replace('/', " OR ");
    if let Some(inner) = flat.strip_prefix('(')
        && let Some((group, rest)) = inner.split_once(')')
        && let Some(rest) = rest.strip_prefix(" AND ")
    {
        return license_is_free(group) && license_is_free(rest);
    }
    flat.split(" OR ").any(|choice| {
        let choice = choice.trim_matches(['(', ')', ' ']);
        choice.split(" AND ").all(|license| LICENSES.contains(&license.trim()))
    })
}

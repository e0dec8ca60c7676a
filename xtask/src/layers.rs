//! Compares the crates' dependencies with the tables in ARCHITECTURE.md.
//!
//! The document is the only place where the rules are written. Two of its tables are read here:
//! the one under `## Crates` (column 2 a crate, column 4 the crates it may use, behind "in tests"
//! those that only its tests and examples may) and the one under `### Rules for modules` (column 1
//! a folder, column 2 what its files must not name).

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::gate::Outcome;
use crate::manifest::{self, Package};
use crate::tidy;

/// No async runtime belongs in the broker: threads, queues and one reactor are the design.
const RUNTIMES: [&str; 5] = ["async-std", "futures-executor", "monoio", "smol", "tokio"];

/// Runs all layer checks.
pub(crate) fn run(root: &Path) -> Result<Outcome> {
    let document = std::fs::read_to_string(root.join("ARCHITECTURE.md"))?;
    let crates = table(&document, "## Crates")?;
    let mut problems = check_crates(&crates, &manifest::packages(root)?);
    for name in manifest::shipped(root)? {
        if RUNTIMES.contains(&name.as_str()) {
            problems.push(format!("layers: the broker must not contain {name}"));
        }
    }
    for row in table(&document, "### Rules for modules")? {
        let folder = ticked(&row[0]).context("a rule for modules names no folder")?;
        for path in tidy::files(root)?.iter().filter(|path| path.starts_with(folder)) {
            let text = std::fs::read_to_string(root.join(path))?;
            problems.extend(check_module(path, &text, &ticked_all(&row[1])));
        }
    }
    Ok(Outcome::of_problems(&problems))
}

fn check_crates(table: &[Vec<String>], packages: &[Package]) -> Vec<String> {
    let mut problems = Vec::new();
    let members: Vec<&Package> = packages.iter().filter(|package| package.member).collect();
    for package in &members {
        let name = package.name.as_str();
        let Some(row) = table.iter().find(|row| ticked(&row[1]) == Some(name)) else {
            problems.push(format!("layers: {name} is not in ARCHITECTURE.md"));
            continue;
        };
        let (always, in_tests) = row[3].split_once("in tests").unwrap_or((&row[3], ""));
        let (always, in_tests) = (ticked_all(always), ticked_all(in_tests));
        let uses = package.dependencies.iter().map(|used| (used, false));
        for (used, is_test) in uses.chain(package.dev_dependencies.iter().map(|used| (used, true)))
        {
            let used = used.as_str();
            let is_allowed = always.contains(&used) || is_test && in_tests.contains(&used);
            let is_ours = members.iter().any(|member| member.name == used);
            if is_ours && used != name && !is_allowed {
                problems.push(format!("layers: {name} must not depend on {used}"));
            }
        }
    }
    problems
}

fn check_module(path: &str, text: &str, banned: &[&str]) -> Vec<String> {
    let mut problems = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for name in banned.iter().filter(|name| code.contains(**name)) {
            problems.push(format!("{path}:{}: this module must not name {name}", n + 1));
        }
    }
    problems
}

/// The body rows of the first table under a heading, cell by cell.
fn table(document: &str, heading: &str) -> Result<Vec<Vec<String>>> {
    let mut lines = document.lines().skip_while(|line| *line != heading);
    ensure!(lines.next().is_some(), "ARCHITECTURE.md has no heading `{heading}`");
    let rows: Vec<Vec<String>> = lines
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(|c| c.trim().to_owned()).collect())
        .collect();
    ensure!(!rows.is_empty(), "`{heading}` of ARCHITECTURE.md has no table");
    ensure!(rows.iter().all(|row| row.len() == rows[0].len()), "`{heading}`: uneven rows");
    Ok(rows)
}

/// The first word of a cell that stands between backticks.
fn ticked(cell: &str) -> Option<&str> {
    ticked_all(cell).first().copied()
}

fn ticked_all(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "# A\n\n## Crates\n\ntext\n\n| folder | crate | owns | may use |\n\
        |---|---|---|---|\n| `a/` | `a` | x | nothing |\n| `b/` | `b` | y | `a` |\n\nmore\n";

    fn package(name: &str, dependencies: &[&str]) -> Package {
        Package {
            name: name.to_owned(),
            version: String::new(),
            license: String::new(),
            member: true,
            dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect(),
            dev_dependencies: Vec::new(),
        }
    }

    #[test]
    fn tests_may_use_what_is_named_behind_in_tests() {
        let cell = "| `c/` | `c` | z | `a`; in tests `b` |";
        let document = DOCUMENT.replace("\n\nmore", &format!("\n{cell}\n"));
        let table = table(&document, "## Crates").unwrap();
        let uses = |dependencies: &[&str], dev_dependencies: &[&str]| {
            let dev_dependencies = dev_dependencies.iter().map(|name| (*name).to_owned()).collect();
            let user = Package { dev_dependencies, ..package("c", dependencies) };
            check_crates(&table, &[package("a", &[]), package("b", &[]), user])
        };
        assert_eq!(uses(&["a"], &["a", "b"]), Vec::<String>::new());
        assert_eq!(uses(&["b"], &[]), ["layers: c must not depend on b"]);
        assert_eq!(uses(&[], &["c", "d"]), Vec::<String>::new());
    }

    #[test]
    fn arrows_outside_the_table_are_found() {
        let table = table(DOCUMENT, "## Crates").unwrap();
        let good = [package("a", &["mio"]), package("b", &["a"])];
        assert_eq!(check_crates(&table, &good), Vec::<String>::new());
        let bad = [package("a", &["b"]), package("b", &[]), package("c", &[])];
        assert_eq!(
            check_crates(&table, &bad),
            ["layers: a must not depend on b", "layers: c is not in ARCHITECTURE.md"]
        );
    }

    #[test]
    fn module_rules_ignore_comments() {
        let text = "//! see crate::wire\nuse crate::wire::Reader;\n";
        assert_eq!(
            check_module("r.rs", text, &["crate::wire"]),
            ["r.rs:2: this module must not name crate::wire"]
        );
    }

    #[test]
    fn a_missing_table_is_an_error() {
        assert!(table(DOCUMENT, "## Threads").is_err());
        assert!(table("## Crates\nno table\n", "## Crates").is_err());
    }
}

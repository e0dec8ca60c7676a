//! The differences to Apache Kafka that stay, from `docs/DIFFERENCES.md`.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// The table, a row a difference: `| lane | case | what differs | why |`.
pub(crate) struct Differences {
    rows: Vec<Row>,
}

struct Row {
    lane: String,
    /// A case's name; a star at its end stands for anything.
    case: String,
    /// Parts of lines that only one of the two brokers has.
    parts: Vec<String>,
    reason: String,
    met: Cell<bool>,
}

impl Differences {
    /// Reads the table.
    pub(crate) fn read(root: &Path) -> Result<Differences> {
        let path = root.join("docs/DIFFERENCES.md");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Differences::parse(&text)
    }

    fn parse(text: &str) -> Result<Differences> {
        let mut rows = Vec::new();
        for line in text.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [lane, case, part, reason] = cells[..] else {
                continue;
            };
            let plain = |cell: &str| cell.trim_matches('`').to_owned();
            ensure!(!reason.trim().is_empty(), "a difference without a reason: {line}");
            rows.push(Row {
                lane: plain(lane),
                case: plain(case),
                parts: plain(part).split("; ").map(str::to_owned).collect(),
                reason: reason.to_owned(),
                met: Cell::new(false),
            });
        }
        Ok(Differences { rows })
    }

    /// The reason why a case's line may be of one broker only.
    pub(crate) fn reason(&self, lane: &str, case: &str, line: &str) -> Option<&str> {
        let fits = |row: &&Row| {
            let case_fits = match row.case.strip_suffix('*') {
                Some(start) => case.starts_with(start),
                None => case == row.case,
            };
            row.lane == lane && case_fits && row.parts.iter().any(|part| line.contains(part))
        };
        let row = self.rows.iter().find(fits)?;
        row.met.set(true);
        Some(&row.reason)
    }

    /// Rows of a lane that were not met: differences that are gone.
    pub(crate) fn unmet(&self, lane: &str) -> Vec<String> {
        let rows = self.rows.iter().filter(|row| row.lane == lane && !row.met.get());
        rows.map(|row| format!("{}: {}", row.case, row.parts.join("; "))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_name_lane_case_part_and_reason() {
        let text = "| Lane | Case | What | Why |\n|---|---|---|---|\n\
            | `tools` | `kafka-features *` | `share.version; streams` | not served yet |\n";
        let table = Differences::parse(text).unwrap();
        let reason = table.reason("tools", "kafka-features describe", "x share.version y");
        assert_eq!(reason, Some("not served yet"));
        let other = table.reason("tools", "kafka-features describe", "streams.version");
        assert_eq!(other, Some("not served yet"));
        assert!(table.unmet("tools").is_empty());
        assert_eq!(table.reason("tools", "kafka-topics list", "share.version"), None);
        assert_eq!(table.reason("differential", "kafka-features describe", "share.version"), None);
        assert_eq!(table.reason("tools", "kafka-features describe", "other"), None);
    }

    #[test]
    fn what_was_not_met_is_told() {
        let table = Differences::parse("| `tools` | `a` | `b` | why |\n").unwrap();
        assert_eq!(table.unmet("tools"), ["a: b"]);
        assert!(table.unmet("differential").is_empty());
    }
}

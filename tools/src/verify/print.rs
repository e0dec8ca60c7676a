//! How findings are printed.

use std::io::{self, Write};

use ottla_storage::verify::{Finding, Severity};
use serde_json::{Value, json};

use super::Verified;
use super::progress::{gib, rate};

/// For people.
pub(super) fn text(verified: &Verified) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for finding in verified.report.all_findings() {
        writeln!(out, "{finding}")?;
        writeln!(out, "    repair: {}", finding.remedy)?;
    }
    let count = |severity| {
        verified.report.all_findings().filter(|finding| finding.severity == severity).count()
    };
    writeln!(
        out,
        "{} partitions, {} in {:.1} s, {}: {} damaged, {} warnings, {} notes",
        verified.report.partitions.len(),
        gib(verified.bytes),
        verified.took.as_secs_f64(),
        rate(verified.bytes, verified.took),
        count(Severity::Damage),
        count(Severity::Warning),
        count(Severity::Note)
    )?;
    out.flush()
}

/// For programs.
pub(super) fn json(verified: &Verified) -> io::Result<()> {
    let report = &verified.report;
    let findings: Vec<Value> = report.all_findings().map(finding_json).collect();
    let all = json!({
        "dir": report.dir.to_string_lossy(),
        "stoppedInOrder": report.was_stopped_in_order,
        "partitions": report.partitions.len(),
        "bytes": verified.bytes,
        "seconds": verified.took.as_secs_f64(),
        "findings": findings,
    });
    let mut out = io::stdout().lock();
    writeln!(out, "{all}")?;
    out.flush()
}

fn finding_json(finding: &Finding) -> Value {
    let offsets = finding.offsets.map(|range| json!({"first": range.first, "last": range.last}));
    json!({
        "severity": finding.severity.as_str(),
        "code": finding.code.as_str(),
        "file": finding.path.to_string_lossy(),
        "position": finding.position,
        "offsets": offsets,
        "problem": finding.problem,
        "repair": finding.remedy.to_string(),
    })
}

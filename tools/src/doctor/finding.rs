//! What was found, how bad it is, and what to do about it.

use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// As it should be.
    Good,
    /// Worth knowing.
    Note,
    /// It will hurt under load or in time.
    Warning,
    /// Data is lost or a broker does not start.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    /// `limits`, `disk`, `settings`.
    pub(super) area: &'static str,
    pub(super) what: String,
    /// What to do; empty when there is nothing.
    pub(super) remedy: String,
}

/// Takes findings of one area.
pub(super) struct Findings<'a> {
    area: &'static str,
    all: &'a mut Vec<Finding>,
}

impl<'a> Findings<'a> {
    pub(super) fn of(area: &'static str, all: &'a mut Vec<Finding>) -> Self {
        Self { area, all }
    }

    fn push(&mut self, severity: Severity, what: String, remedy: &str) {
        let remedy = remedy.to_owned();
        self.all.push(Finding { severity, area: self.area, what, remedy });
    }

    pub(super) fn good(&mut self, what: String) {
        self.push(Severity::Good, what, "");
    }

    pub(super) fn note(&mut self, what: String, remedy: &str) {
        self.push(Severity::Note, what, remedy);
    }

    pub(super) fn warning(&mut self, what: String, remedy: &str) {
        self.push(Severity::Warning, what, remedy);
    }

    pub(super) fn error(&mut self, what: String, remedy: &str) {
        self.push(Severity::Error, what, remedy);
    }
}

//! What the program thinks of a database, before anything is stored there.

use std::fmt;

use serde::Serialize;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// As it should be.
    Good,
    /// It works, but something may go wrong.
    Warning,
    /// The server does not start with it.
    Refused,
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Refused => "refused",
        })
    }
}

/// One property of a database that was examined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was examined, in a word or two.
    pub about: &'static str,
    /// What was found and, unless that is good, what to do.
    pub text: String,
}

impl Finding {
    /// A finding.
    pub(super) fn new(severity: Severity, about: &'static str, text: impl Into<String>) -> Self {
        Self { severity, about, text: text.into() }
    }
}

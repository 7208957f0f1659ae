//! How log lines look.

use serde::{Deserialize, Serialize};

/// How log lines look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogConfig {
    /// JSON or for people.
    pub format: LogFormat,
    /// A filter as of tracing's `EnvFilter`, for example `info` or `sealpost_server=debug`.
    pub filter: String,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Human,
}

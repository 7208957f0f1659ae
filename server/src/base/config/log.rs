//! The settings of log lines.

use serde::{Deserialize, Serialize};

/// The settings of log lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogConfig {
    /// The format: JSON or text for people.
    pub format: LogFormat,
    /// A filter in the form of tracing's `EnvFilter`, for example `info` or `sealpost_server=debug`.
    pub filter: String,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Human,
}

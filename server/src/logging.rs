//! Where log lines go. They hold no bodies, tokens, keys or addresses: whoever writes one names its fields, and none of those
//! types can be printed.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::config::{LogConfig, LogFormat};

/// Why nothing can be logged.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter is not valid.
    #[error("the log filter is not valid; try `info` or `sealpost_server=debug`")]
    Filter(#[from] ParseError),
    /// Something in this process logs already.
    #[error("logging was begun twice")]
    Twice,
}

/// Sends this process's log lines to standard error.
///
/// # Errors
/// [`LoggingError`]
pub fn begin(config: &LogConfig) -> Result<(), LoggingError> {
    let filter = EnvFilter::builder().parse(&config.filter)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let begun = match config.format {
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
        LogFormat::Human => lines.with_ansi(false).try_init(),
    };
    begun.map_err(|_| LoggingError::Twice)
}

//! Logging. Log lines contain no bodies, tokens, keys or addresses: each log statement names its fields, and none of
//! those types can be printed.

use std::fmt;
use std::io;
use std::sync::Arc;

use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, reload};

use crate::base::config::{LogConfig, LogFormat};

/// The library whose errors anyone can cause. actix logs an ERROR for each malformed request, which anyone who can
/// connect can send without end. An operator who wants these lines names the library in the filter.
const WHAT_ANYONE_CAN_PROVOKE: &str = "actix_http";

/// Why nothing can be logged.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter is not valid.
    #[error("the log filter is not valid; try `info` or `sealpost_server=debug`")]
    Filter(#[from] ParseError),
    /// Logging has stopped.
    #[error("logging has ended")]
    Gone,
    /// Logging was already set up in this process.
    #[error("logging was begun twice")]
    Twice,
}

/// Changes the filter while the process runs.
#[derive(Clone)]
pub struct LogControl {
    set: Arc<dyn Fn(EnvFilter) -> Result<(), LoggingError> + Send + Sync>,
}

impl fmt::Debug for LogControl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LogControl(..)")
    }
}

impl LogControl {
    /// Parses a filter. It leaves out the lines with which anyone could fill the log, unless the text names them.
    ///
    /// # Errors
    /// [`LoggingError::Filter`] if the text is not a filter.
    pub fn parse(filter: &str) -> Result<EnvFilter, LoggingError> {
        let parsed = EnvFilter::builder().parse(filter)?;
        if filter.contains(WHAT_ANYONE_CAN_PROVOKE) {
            return Ok(parsed);
        }
        Ok(parsed.add_directive(format!("{WHAT_ANYONE_CAN_PROVOKE}=off").parse()?))
    }

    /// Applies a filter.
    ///
    /// # Errors
    /// [`LoggingError::Gone`] if logging has stopped.
    pub fn set(&self, filter: EnvFilter) -> Result<(), LoggingError> {
        (self.set)(filter)
    }
}

/// Sends this process's log lines to standard error.
///
/// # Errors
/// [`LoggingError`] if the filter is invalid or logging was set up before.
pub fn begin(config: &LogConfig) -> Result<LogControl, LoggingError> {
    let (filter, handle) = reload::Layer::new(LogControl::parse(&config.filter)?);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let begun = match config.format {
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
        LogFormat::Human => registry.with(lines.with_ansi(false)).try_init(),
    };
    begun.map_err(|_| LoggingError::Twice)?;
    let set = move |filter| handle.reload(filter).map_err(|_| LoggingError::Gone);
    Ok(LogControl { set: Arc::new(set) })
}

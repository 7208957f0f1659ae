//! Where log lines go. They hold no bodies, tokens, keys or addresses: whoever writes one names its fields, and none of those
//! types can be printed.

use std::fmt;
use std::io;
use std::sync::Arc;

use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, reload};

use crate::base::config::{LogConfig, LogFormat};

/// actix has an ERROR for each request that it cannot read, and whoever can connect can send those without end. An operator
/// who wants to see them names the library in the filter.
const WHAT_ANYONE_CAN_PROVOKE: &str = "actix_http";

/// Why nothing can be logged.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter is not valid.
    #[error("the log filter is not valid; try `info` or `sealpost_server=debug`")]
    Filter(#[from] ParseError),
    /// Nothing logs any more.
    #[error("logging has ended")]
    Gone,
    /// Something in this process logs already.
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
    /// The filter that a text says, without what anyone could fill the log with unless the text names it.
    ///
    /// # Errors
    /// [`LoggingError::Filter`]
    pub fn parse(filter: &str) -> Result<EnvFilter, LoggingError> {
        let parsed = EnvFilter::builder().parse(filter)?;
        if filter.contains(WHAT_ANYONE_CAN_PROVOKE) {
            return Ok(parsed);
        }
        Ok(parsed.add_directive(format!("{WHAT_ANYONE_CAN_PROVOKE}=off").parse()?))
    }

    /// Puts this filter in force.
    ///
    /// # Errors
    /// [`LoggingError::Gone`]
    pub fn set(&self, filter: EnvFilter) -> Result<(), LoggingError> {
        (self.set)(filter)
    }
}

/// Sends this process's log lines to standard error.
///
/// # Errors
/// [`LoggingError`]
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

//! Why the configuration cannot be loaded.

use std::path::PathBuf;

use crate::base::config::NoDataFolder;
use crate::service::limiter::LimitError;

/// Why the configuration cannot be loaded. The texts are for the operator.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// The file is larger than any configuration.
    #[error("the configuration file {} is larger than 1 MiB", .0.display())]
    TooLarge(PathBuf),
    /// The file is not a valid configuration.
    #[error("the configuration file {} is not valid", .0.display())]
    Parse(PathBuf, #[source] Box<toml::de::Error>),
    /// A line of `[limits]` cannot be used.
    #[error("limits.{name} is not valid; `serve --print-config` lists the limits")]
    Limit {
        /// The line's name.
        name: String,
        /// Why.
        source: LimitError,
    },
    /// The user has no home for the data folder.
    #[error(transparent)]
    NoDataFolder(#[from] NoDataFolder),
    /// A number must not be zero.
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    /// There is a certificate although TLS is off.
    #[error("a certificate and --plain-http contradict each other; leave one out, or say --plain-http=false")]
    PlainWithCertificate,
    /// Plain HTTP on any address is allowed although TLS is on.
    #[error("--plain-http-anywhere means nothing without --plain-http")]
    AnywhereWithoutPlain,
}

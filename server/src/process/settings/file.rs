//! The configuration file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sealpost_api::server::RegistrationPolicy;
use serde::Deserialize;

use super::error::LoadError;
use crate::base::config::{
    Limit, LogFormat, QueueConfig, RelayConfig, SecretsConfig, StoreConfig, StreamConfig, TlsConfig, TrustedProxies,
};
use crate::base::files::read_bounded;

/// The largest configuration file that is read.
const FILE_MAX_BYTES: u64 = 1024 * 1024;

/// A configuration file. Every setting is optional, and unknown names are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FileConfig {
    pub(super) data: Option<PathBuf>,
    pub(super) listen: Option<String>,
    pub(super) private_listen: Option<String>,
    pub(super) ready_file: Option<PathBuf>,
    pub(super) node: Option<String>,
    pub(super) registration: Option<RegistrationPolicy>,
    pub(super) allowed_origins: Vec<String>,
    pub(super) workers: Option<usize>,
    pub(super) connections_max: Option<usize>,
    pub(super) connections_per_address: Option<usize>,
    pub(super) trust_proxy: TrustedProxies,
    pub(super) tls: Option<TlsConfig>,
    pub(super) log: FileLogConfig,
    pub(super) stream: StreamConfig,
    pub(super) queue: QueueConfig,
    pub(super) store: StoreConfig,
    pub(super) relay: RelayConfig,
    pub(super) secrets: SecretsConfig,
    pub(super) pepper_file: Option<PathBuf>,
    pub(super) limits: BTreeMap<String, Limit>,
}

/// The section `[log]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FileLogConfig {
    pub(super) format: Option<LogFormat>,
    pub(super) filter: Option<String>,
}

impl FileConfig {
    /// Reads a file.
    ///
    /// # Errors
    /// [`LoadError::Read`], [`LoadError::TooLarge`], [`LoadError::Parse`]
    pub(super) fn read(path: &Path) -> Result<Self, LoadError> {
        let text = read_bounded(path, FILE_MAX_BYTES).map_err(|error| LoadError::Read(path.to_owned(), error))?;
        Self::parse(&text.ok_or_else(|| LoadError::TooLarge(path.to_owned()))?, path)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`LoadError::Parse`]
    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, LoadError> {
        toml::from_str(text).map_err(|error| LoadError::Parse(path.to_owned(), Box::new(error)))
    }
}

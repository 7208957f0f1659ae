//! Where accounts and messages are.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::base::files::read_bounded;

/// The largest file worth reading for an address.
const FILE_MAX_BYTES: u64 = 64 * 1024;
/// Free bytes below which nothing is accepted: twice the largest log, so that acks and deletions go on while the disk is
/// full.
pub const RESERVE_BYTES: u64 = 128 * 1024 * 1024;

/// The database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Where it is. Never printed, because it may hold a password.
    #[serde(skip_serializing)]
    pub uri: Option<StoreAddress>,
    /// A file that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri_file: Option<PathBuf>,
    /// Free bytes below which nothing is accepted; see [`RESERVE_BYTES`]. Less is for small disks.
    pub reserve_bytes: u64,
    /// Whether the data folder may be on a network file system or FUSE, which may lose what was accepted.
    pub allow_unsafe_filesystem: bool,
    /// Makes the store skip every sync. Only tests of tests set it: no file and no flag does.
    #[serde(skip)]
    pub never_sync: bool,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            uri: None,
            uri_file: None,
            reserve_bytes: RESERVE_BYTES,
            allow_unsafe_filesystem: false,
            never_sync: false,
        }
    }
}

/// Where the store is. It may hold a password, so that it is never printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum StoreAddress {
    /// In the data folder.
    DataFolder,
    /// On a database server that several nodes may use: its connection string.
    Server(String),
}

impl fmt::Debug for StoreAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::DataFolder => "DataFolder",
            Self::Server(_) => "Server(..)",
        })
    }
}

/// Why there is no address. The texts hold nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum StoreAddressError {
    /// It is of no kind that is known.
    #[error("the store must be `embedded` or begin with mongodb://")]
    Unknown,
    /// An embedded store without its folder, where one must be named.
    #[error("name the folder of the embedded store, as in embedded:/var/lib/sealpost")]
    NoFolder,
    /// Its file cannot be read.
    #[error("the file with the store's address, {}, cannot be read", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// Its file is too large.
    #[error("the file with the store's address, {}, is larger than 64 KiB", .0.display())]
    TooLarge(PathBuf),
}

impl FromStr for StoreAddress {
    type Err = StoreAddressError;

    fn from_str(text: &str) -> Result<Self, StoreAddressError> {
        match text.trim() {
            "embedded" => Ok(Self::DataFolder),
            server if server.starts_with("mongodb://") => Ok(Self::Server(server.to_owned())),
            _ => Err(StoreAddressError::Unknown),
        }
    }
}

impl TryFrom<String> for StoreAddress {
    type Error = StoreAddressError;

    fn try_from(text: String) -> Result<Self, StoreAddressError> {
        text.parse()
    }
}

impl StoreConfig {
    /// Returns where the store is. Reads the file that says so, if one is named.
    ///
    /// # Errors
    /// [`StoreAddressError`]
    pub fn address(&self) -> Result<StoreAddress, StoreAddressError> {
        match (&self.uri, &self.uri_file) {
            (Some(address), _) => Ok(address.clone()),
            (None, Some(path)) => read_store_address(path)?.parse(),
            (None, None) => Ok(StoreAddress::DataFolder),
        }
    }
}

/// Returns the text of a file with an address.
///
/// # Errors
/// [`StoreAddressError`]
pub fn read_store_address(path: &Path) -> Result<String, StoreAddressError> {
    let failed = |error| StoreAddressError::Read(path.to_owned(), error);
    read_bounded(path, FILE_MAX_BYTES).map_err(failed)?.ok_or_else(|| StoreAddressError::TooLarge(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "mongodb://sealpost:hunter2@db:27017/sealpost";

    #[test]
    fn an_address_is_never_printed() {
        let address: StoreAddress = SECRET.parse().unwrap();
        let config = StoreConfig { uri: Some(address.clone()), ..StoreConfig::default() };
        for text in [format!("{config:?}"), toml::to_string(&config).unwrap(), format!("{address:?}")] {
            assert!(!text.contains("hunter2") && !text.contains("27017"), "{text}");
        }
        for wrong in ["postgres://sealpost:hunter2@db", "", "mongodb+srv://sealpost:hunter2@db"] {
            let error = wrong.parse::<StoreAddress>().unwrap_err().to_string();
            assert!(error.contains("mongodb://") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_file_may_hold_the_address() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        std::fs::write(&path, format!("{SECRET}\n")).unwrap();
        let config = StoreConfig { uri_file: Some(path), ..StoreConfig::default() };
        assert_eq!(config.address().unwrap(), StoreAddress::Server(SECRET.to_owned()));
        assert_eq!(StoreConfig::default().address().unwrap(), StoreAddress::DataFolder);
        let missing = StoreConfig { uri_file: Some("/nowhere/at/all".into()), ..StoreConfig::default() };
        assert!(matches!(missing.address(), Err(StoreAddressError::Read(..))));
    }
}

//! How a node hears of the others, and where the secrets are that they share.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ServeArgs;
use crate::relay::nats::{NatsAddress, NatsAddressError, NatsSettings};

/// The largest file worth reading for an address.
const FILE_MAX_BYTES: u64 = 64 * 1024;

/// How a node hears of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelayConfig {
    /// Where NATS is. Never printed, because it may hold a password.
    #[serde(skip_serializing)]
    pub nats: Option<NatsAddress>,
    /// A file that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nats_file: Option<PathBuf>,
    /// The authorities that its certificate may be from, PEM; the system's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The node's own certificate, PEM, where NATS asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

/// Where the secrets are that all nodes of a cluster share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretsConfig {
    /// The folder; the data folder when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
}

/// Why there is no relay to come to. The texts hold nothing of its address.
#[derive(Debug, thiserror::Error)]
pub enum RelayConfigError {
    /// The file of its address cannot be read.
    #[error("the file with the relay's address, {}, cannot be read", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// The file is too large.
    #[error("the file with the relay's address, {}, is larger than 64 KiB", .0.display())]
    TooLarge(PathBuf),
    /// What it holds is no address.
    #[error(transparent)]
    Address(#[from] NatsAddressError),
    /// A certificate without key, or a key without certificate.
    #[error("the relay needs both a certificate and its key, or neither: --relay-cert and --relay-key")]
    HalfIdentity,
    /// TLS for a relay that is not there.
    #[error("there are TLS files for a relay, and no relay: name it with --relay or --relay-file")]
    TlsWithoutRelay,
}

impl RelayConfig {
    /// The flags over what the file says.
    pub(super) fn merge(args: &ServeArgs, file: Self) -> Self {
        Self {
            nats: args.relay.clone().or(file.nats.filter(|_| args.relay_file.is_none())),
            nats_file: args.relay_file.clone().or(file.nats_file.filter(|_| args.relay.is_none())),
            ca: args.relay_ca.clone().or(file.ca),
            certificate: args.relay_cert.clone().or(file.certificate),
            key: args.relay_key.clone().or(file.key),
        }
    }

    /// How to come to the relay, if there is one; reads the file with its address, where there is one.
    ///
    /// # Errors
    /// [`RelayConfigError`]
    pub fn settings(&self, node: &str) -> Result<Option<NatsSettings>, RelayConfigError> {
        let identity = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (None, None) => None,
            _ => return Err(RelayConfigError::HalfIdentity),
        };
        let address = match (&self.nats, &self.nats_file) {
            (Some(address), _) => address.clone(),
            (None, Some(path)) => read(path)?,
            (None, None) if self.ca.is_some() || identity.is_some() => return Err(RelayConfigError::TlsWithoutRelay),
            (None, None) => return Ok(None),
        };
        Ok(Some(NatsSettings { address, ca: self.ca.clone(), identity, node: node.to_owned() }))
    }
}

fn read(path: &Path) -> Result<NatsAddress, RelayConfigError> {
    let failed = |error| RelayConfigError::Read(path.to_owned(), error);
    if std::fs::metadata(path).map_err(failed)?.len() > FILE_MAX_BYTES {
        return Err(RelayConfigError::TooLarge(path.to_owned()));
    }
    Ok(std::fs::read_to_string(path).map_err(failed)?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "nats://sealpost:hunter2@bus:4222";

    #[test]
    fn the_address_of_a_relay_is_never_printed() {
        let config = RelayConfig { nats: Some(SECRET.parse().unwrap()), ..RelayConfig::default() };
        for text in [format!("{config:?}"), toml::to_string(&config).unwrap()] {
            assert!(!text.contains("hunter2") && !text.contains("bus"), "{text}");
        }
    }

    #[test]
    fn a_file_may_hold_the_address_of_a_relay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay");
        std::fs::write(&path, format!("{SECRET}\n")).unwrap();
        let config = RelayConfig { nats_file: Some(path), ..RelayConfig::default() };
        assert_eq!(config.settings("node").unwrap().unwrap().address, SECRET.parse().unwrap());
        assert!(RelayConfig::default().settings("node").unwrap().is_none());
        let missing = RelayConfig { nats_file: Some("/nowhere/at/all".into()), ..RelayConfig::default() };
        assert!(matches!(missing.settings("node"), Err(RelayConfigError::Read(..))));
        let half = RelayConfig { key: Some("key.pem".into()), ..RelayConfig::default() };
        assert!(matches!(half.settings("node"), Err(RelayConfigError::HalfIdentity)));
        let nothing = RelayConfig { ca: Some("ca.pem".into()), ..RelayConfig::default() };
        assert!(matches!(nothing.settings("node"), Err(RelayConfigError::TlsWithoutRelay)));
    }
}

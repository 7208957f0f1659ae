//! From the configuration to what the relay needs.

use std::path::{Path, PathBuf};

use crate::base::config::{NatsAddress, NatsAddressError, RelayConfig};
use crate::base::files::read_bounded;

/// The largest file worth reading for an address.
const FILE_MAX_BYTES: u64 = 64 * 1024;

/// How to connect to the relay.
#[derive(Clone, Debug)]
pub struct NatsSettings {
    /// The addresses of its servers.
    pub address: NatsAddress,
    /// A PEM file with the authorities that can issue the relay's certificate. Without it the system's authorities are
    /// trusted.
    pub ca: Option<PathBuf>,
    /// PEM files with a certificate and key of the node, if the relay asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The node's name, which NATS shows to its operator.
    pub node: String,
}

/// Why the settings cannot be used. The texts hold nothing of the address.
#[derive(Debug, thiserror::Error)]
pub enum NatsSettingsError {
    /// The file of its address cannot be read.
    #[error("the file with the relay's address, {}, cannot be read", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// The file is too large.
    #[error("the file with the relay's address, {}, is larger than 64 KiB", .0.display())]
    TooLarge(PathBuf),
    /// The text is not an address.
    #[error(transparent)]
    Address(#[from] NatsAddressError),
    /// There is a certificate without a key, or a key without a certificate.
    #[error("the relay needs both a certificate and its key, or neither: --relay-cert and --relay-key")]
    HalfIdentity,
    /// There are TLS files, and no relay.
    #[error("there are TLS files for a relay, and no relay: name it with --relay or --relay-file")]
    TlsWithoutRelay,
}

impl NatsSettings {
    /// Returns how to reach the relay, or `None` if none is configured. Reads the file with its address, if one is named.
    ///
    /// # Errors
    /// [`NatsSettingsError`]
    pub fn of(config: &RelayConfig, node: &str) -> Result<Option<Self>, NatsSettingsError> {
        let identity = match (&config.certificate, &config.key) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (None, None) => None,
            _ => return Err(NatsSettingsError::HalfIdentity),
        };
        let address = match (&config.nats, &config.nats_file) {
            (Some(address), _) => address.clone(),
            (None, Some(path)) => read(path)?,
            (None, None) if config.ca.is_some() || identity.is_some() => {
                return Err(NatsSettingsError::TlsWithoutRelay);
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(Self { address, ca: config.ca.clone(), identity, node: node.to_owned() }))
    }
}

/// Reads the address in a file.
fn read(path: &Path) -> Result<NatsAddress, NatsSettingsError> {
    let failed = |error| NatsSettingsError::Read(path.to_owned(), error);
    let text = read_bounded(path, FILE_MAX_BYTES).map_err(failed)?;
    Ok(text.ok_or_else(|| NatsSettingsError::TooLarge(path.to_owned()))?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "nats://sealpost:hunter2@bus:4222";

    #[test]
    fn a_file_may_hold_the_address_of_a_relay() {
        let of = |config: &RelayConfig| NatsSettings::of(config, "node");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay");
        std::fs::write(&path, format!("{SECRET}\n")).unwrap();
        let config = RelayConfig { nats_file: Some(path), ..RelayConfig::default() };
        assert_eq!(of(&config).unwrap().unwrap().address, SECRET.parse().unwrap());
        assert!(of(&RelayConfig::default()).unwrap().is_none());
        let missing = RelayConfig { nats_file: Some("/nowhere/at/all".into()), ..RelayConfig::default() };
        assert!(matches!(of(&missing), Err(NatsSettingsError::Read(..))));
        let half = RelayConfig { key: Some("key.pem".into()), ..RelayConfig::default() };
        assert!(matches!(of(&half), Err(NatsSettingsError::HalfIdentity)));
        let nothing = RelayConfig { ca: Some("ca.pem".into()), ..RelayConfig::default() };
        assert!(matches!(of(&nothing), Err(NatsSettingsError::TlsWithoutRelay)));
    }
}

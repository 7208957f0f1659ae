//! The settings of the relay between nodes.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::nats::NatsAddress;

/// The settings of the relay between nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelayConfig {
    /// The address of NATS. It can contain a password, so it is never printed.
    #[serde(skip_serializing)]
    pub nats: Option<NatsAddress>,
    /// A file that contains the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nats_file: Option<PathBuf>,
    /// The authorities that can issue the relay's certificate, PEM; without it the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The node's own certificate, PEM, if NATS asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_relay_is_never_printed() {
        let nats = Some("nats://sealpost:hunter2@bus:4222".parse().unwrap());
        let config = RelayConfig { nats, ..RelayConfig::default() };
        for text in [format!("{config:?}"), toml::to_string(&config).unwrap()] {
            assert!(!text.contains("hunter2") && !text.contains("bus"), "{text}");
        }
    }
}

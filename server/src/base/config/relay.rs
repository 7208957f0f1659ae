//! How a node hears of the others.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::nats::NatsAddress;

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

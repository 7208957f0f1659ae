//! The protection of connections.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The protection of connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "mode", deny_unknown_fields)]
pub enum TlsConfig {
    /// By a certificate of the server's own authority, both in the data folder.
    BuiltIn,
    /// By the operator's certificate.
    Files {
        /// The certificate chain, PEM, leaf first.
        certificate: PathBuf,
        /// Its private key, PEM.
        key: PathBuf,
    },
    /// By a proxy in front of this server, which itself speaks plain HTTP.
    Plain {
        /// Whether an address that others can reach is allowed.
        anywhere: bool,
    },
}

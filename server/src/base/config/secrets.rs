//! Where the secrets are that all nodes of a cluster share.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where the secrets are that all nodes of a cluster share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretsConfig {
    /// The folder; the data folder when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
}

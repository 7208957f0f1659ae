//! The place of the secrets that all nodes of a cluster share.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The place of the secrets that all nodes of a cluster share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretsConfig {
    /// The folder; without it the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
}

//! Why the secrets cannot be used.

use std::path::PathBuf;

use crate::base::files::FileError;

/// Why the secrets cannot be used. The texts are for the operator and name no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file cannot be read.
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// A file is damaged.
    #[error("{} is damaged; restore it from a backup", .0.display())]
    Damaged(PathBuf),
    /// A file that is created only once is missing.
    #[error("{} is gone; without it the names of deleted accounts would be free again; restore it from a backup", .0.display())]
    Missing(PathBuf),
    /// The folder cannot be locked.
    #[error("cannot lock {}", .0.display())]
    Lock(PathBuf, #[source] std::io::Error),
    /// A new key is already waiting.
    #[error("a new key waits already: once every node has reloaded it, run `sealpost-server secrets use-key`")]
    Waiting,
    /// No new key is waiting.
    #[error("no new key waits: `sealpost-server secrets add-key` makes one")]
    NoneWaits,
    /// The text is not a fingerprint.
    #[error(
        "a fingerprint has 64 hexadecimal digits; `serve` names it when it refuses, and `secrets show` shows those of the keys here"
    )]
    Fingerprint,
    /// A secret differs from that of the other nodes of this store.
    #[error(transparent)]
    Disagreed(#[from] Disagreed),
    /// The pepper has a wrong length.
    #[error("{} must hold 16 to 1,024 bytes", .0.display())]
    PepperLength(PathBuf),
}

/// This node's secrets are not those of the other nodes of its store. The texts are for the operator and name no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disagreed {
    /// The key of retired names differs.
    #[error(
        "retired_names.key is not the one that this store has been used with, and names of deleted accounts would be free \
         again; copy the secrets folder of a node that serves, or of its backup, and name it with --secrets"
    )]
    NamesKey,
    /// The pepper differs.
    #[error(
        "--pepper-file holds another secret than this store has been used with, or one of the two has none, and no password \
         could be compared; every node needs the same file"
    )]
    Pepper,
    /// None of the keys of access tokens is the one that others sign with.
    #[error(
        "token_keys.json lacks the key that the nodes of this store sign access tokens with, and each would refuse what the \
         others issue; copy the file from a node that serves, or, where all have lost it, run `sealpost-server secrets \
         replace-keys --replaces {0}`"
    )]
    TokenKey(String),
}

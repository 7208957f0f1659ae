//! Why the vault can't be used.

/// Why the vault can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// Something in it is not what was written. Nothing was changed.
    #[error("the vault is damaged: its {what} cannot be read")]
    Damaged {
        /// What.
        what: &'static str,
    },
    /// The passphrase is not the one it was sealed under.
    #[error("the vault is locked: the passphrase is wrong")]
    Locked,
    /// Its key is in the key ring, or under a passphrase, and was looked for in the other place.
    #[error("the vault's key is kept {kept}, not where it was looked for")]
    OtherKeySource {
        /// Where the key is.
        kept: &'static str,
    },
    /// There is no Secret Service, or it has no key for this vault.
    #[error("the key ring cannot be used ({reason}); a vault under a passphrase needs none")]
    KeyringUnavailable {
        /// What is missing.
        reason: &'static str,
    },
    /// It was written by a newer program.
    #[error("the vault was written by a newer version (format {format}); use that version")]
    Newer {
        /// The format's number.
        format: i64,
    },
    /// Others on this machine may read it.
    #[error("{path} can be opened by other users; run: chmod {wanted:o} {path}")]
    LooseMode {
        /// Which file or folder.
        path: String,
        /// The mode it should have.
        wanted: u32,
    },
    /// There is something in its place already.
    #[error("there is a vault already")]
    Exists,
    /// Another process is writing to it.
    #[error("another process uses the vault")]
    InUse,
    /// The storage failed.
    #[error("the vault's storage failed{}", if reason.is_empty() { String::new() } else { format!(": {reason}") })]
    Storage {
        /// What the system or the database says; never what is stored.
        reason: String,
    },
}

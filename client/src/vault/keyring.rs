//! Where a vault key is kept, if not under a passphrase: the port, and the key ring of this machine.

#[cfg(not(feature = "keyring"))]
mod absent;
mod port;
#[cfg(feature = "keyring")]
mod secret_service;

#[cfg(not(feature = "keyring"))]
pub(super) use absent::AbsentKeyring as LocalKeyring;
pub use port::VaultKeySource;
pub(super) use port::{Entry, Keyring, VaultId};
#[cfg(feature = "keyring")]
pub(super) use secret_service::SecretServiceKeyring as LocalKeyring;

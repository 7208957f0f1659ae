//! The OS key ring, by the Secret Service, which survives a reboot. (The kernel's keyutils do not, and are never used.)
//!
//! A secret is the vault key (32) followed by the vault's generation (u64 be): a vault whose own generation is lower was
//! rolled back to an older copy.

use std::collections::HashMap;

use secret_service::{EncryptionType, SecretService};
use zeroize::{Zeroize as _, Zeroizing};

use super::VaultError;

const CONTENT_TYPE: &str = "application/octet-stream";
const SECRET_LEN: usize = 40;

/// What the key ring keeps for one vault.
pub(super) struct KeyringEntry {
    pub(super) key: Zeroizing<[u8; 32]>,
    pub(super) generation: u64,
}

/// Reads the entry of this label.
pub(super) fn load(label: &str) -> Result<KeyringEntry, VaultError> {
    let label = label.to_owned();
    run(async move || {
        let service = connect().await?;
        let found = service.search_items(attributes(&label)).await.map_err(|_| unavailable("it does not answer"))?;
        let item = match (found.unlocked.into_iter().next(), found.locked.into_iter().next()) {
            (Some(item), _) => item,
            (None, Some(item)) => {
                item.unlock().await.map_err(|_| unavailable("it is locked"))?;
                item
            }
            (None, None) => return Err(unavailable("it has no key for this profile")),
        };
        let mut secret = item.get_secret().await.map_err(|_| unavailable("it does not give the key"))?;
        let entry = decode(&secret);
        secret.zeroize();
        entry
    })
}

/// Writes the entry of this label, replacing an older one.
pub(super) fn save(label: &str, key: &[u8; 32], generation: u64) -> Result<(), VaultError> {
    let label = label.to_owned();
    let mut secret = Zeroizing::new(key.to_vec());
    secret.extend_from_slice(&generation.to_be_bytes());
    run(async move || {
        let service = connect().await?;
        let collection = service.get_any_collection().await.map_err(|_| unavailable("it has no collection"))?;
        collection.ensure_unlocked().await.map_err(|_| unavailable("it is locked"))?;
        collection
            .create_item(&label, attributes(&label), &secret, true, CONTENT_TYPE)
            .await
            .map(|_| ())
            .map_err(|_| unavailable("it does not take the key"))
    })
}

fn decode(secret: &[u8]) -> Result<KeyringEntry, VaultError> {
    let damaged = || VaultError::Damaged { what: "entry in the key ring" };
    let secret: &[u8; SECRET_LEN] = secret.try_into().map_err(|_| damaged())?;
    let (key, generation) = secret.split_first_chunk::<32>().ok_or_else(damaged)?;
    let generation = u64::from_be_bytes(generation.try_into().map_err(|_| damaged())?);
    Ok(KeyringEntry { key: Zeroizing::new(*key), generation })
}

fn attributes(label: &str) -> HashMap<&str, &str> {
    HashMap::from([("application", "sealpost"), ("profile", label)])
}

async fn connect() -> Result<SecretService<'static>, VaultError> {
    SecretService::connect(EncryptionType::Dh).await.map_err(|_| unavailable("there is no Secret Service"))
}

const fn unavailable(reason: &'static str) -> VaultError {
    VaultError::KeyringUnavailable { reason }
}

/// Runs on a thread of its own, because the caller may be inside a runtime, where one must not block on another.
fn run<T, F>(ask: F) -> Result<T, VaultError>
where
    T: Send + 'static,
    F: AsyncFnOnce() -> Result<T, VaultError> + Send + 'static,
{
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|_| unavailable("there is no thread for it"))?;
        runtime.block_on(ask())
    });
    thread.join().map_err(|_| unavailable("it does not answer"))?
}

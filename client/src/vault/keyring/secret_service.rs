//! The desktop's key ring, through the Secret Service, which survives a reboot. (The kernel's keyutils do not, and are never
//! used.)
//!
//! A secret is the vault key (32) followed by the vault's generation (u64 be). It is found by the vault's random id, so that
//! a new vault under an old label never overwrites the only key of another.

use std::collections::HashMap;
use std::time::Duration;

use secret_service::{EncryptionType, SecretService};
use zeroize::{Zeroize as _, Zeroizing};

use super::port::{Entry, Keyring, VaultId};
use crate::vault::error::VaultError;

const CONTENT_TYPE: &str = "application/octet-stream";
const KEY_LEN: usize = 32;
const SECRET_LEN: usize = KEY_LEN + size_of::<u64>();
/// How long the key ring may take: long enough for a person to type its password, and not forever.
const PATIENCE: Duration = Duration::from_secs(120);

/// The desktop's key ring.
pub(in crate::vault) struct SecretServiceKeyring;

impl Keyring for SecretServiceKeyring {
    fn load(&self, _label: &str, vault: &VaultId) -> Result<Entry, VaultError> {
        let vault = name(vault);
        run(async move || {
            let service = connect().await?;
            let found =
                service.search_items(attributes(&vault)).await.map_err(|_| unavailable("it does not answer"))?;
            let item = match (found.unlocked.into_iter().next(), found.locked.into_iter().next()) {
                (Some(item), _) => item,
                (None, Some(item)) => {
                    item.unlock().await.map_err(|_| unavailable("it is locked"))?;
                    item
                }
                (None, None) => return Err(unavailable("it has no key for this vault")),
            };
            let mut secret = item.get_secret().await.map_err(|_| unavailable("it does not give the key"))?;
            let entry = decode(&secret);
            secret.zeroize();
            entry
        })
    }

    fn save(&self, label: &str, vault: &VaultId, entry: &Entry) -> Result<(), VaultError> {
        let (label, vault, secret) = (label.to_owned(), name(vault), encode(entry));
        run(async move || {
            let service = connect().await?;
            let collection = service.get_any_collection().await.map_err(|_| unavailable("it has no collection"))?;
            collection.ensure_unlocked().await.map_err(|_| unavailable("it is locked"))?;
            collection
                .create_item(&label, attributes(&vault), &secret, true, CONTENT_TYPE)
                .await
                .map(|_| ())
                .map_err(|_| unavailable("it does not take the key"))
        })
    }
}

fn encode(entry: &Entry) -> Zeroizing<Vec<u8>> {
    let mut secret = Zeroizing::new(Vec::with_capacity(SECRET_LEN));
    secret.extend_from_slice(entry.key.as_slice());
    secret.extend_from_slice(&entry.generation.to_be_bytes());
    secret
}

fn decode(secret: &[u8]) -> Result<Entry, VaultError> {
    let damaged = || VaultError::Damaged { what: "entry in the key ring" };
    let secret: &[u8; SECRET_LEN] = secret.try_into().map_err(|_| damaged())?;
    let (key, generation) = secret.split_first_chunk::<KEY_LEN>().ok_or_else(damaged)?;
    let generation = u64::from_be_bytes(generation.try_into().map_err(|_| damaged())?);
    Ok(Entry { key: Zeroizing::new(*key), generation })
}

fn name(vault: &VaultId) -> String {
    vault.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(vault: &str) -> HashMap<&str, &str> {
    HashMap::from([("application", "sealpost"), ("vault", vault)])
}

async fn connect() -> Result<SecretService<'static>, VaultError> {
    SecretService::connect(EncryptionType::Dh).await.map_err(|_| unavailable("there is no Secret Service"))
}

const fn unavailable(reason: &'static str) -> VaultError {
    VaultError::KeyringUnavailable { reason }
}

/// Asks on a thread of its own: the caller may be inside a runtime, and blocking there on another one panics.
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
        let asked = runtime.block_on(async { tokio::time::timeout(PATIENCE, ask()).await });
        asked.unwrap_or(Err(unavailable("it does not answer")))
    });
    thread.join().map_err(|_| unavailable("it does not answer"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_back_as_it_was_and_no_other_length_is_one() {
        let entry = Entry { key: Zeroizing::new([7; 32]), generation: u64::MAX - 1 };
        let secret = encode(&entry);
        let back = decode(&secret).unwrap();
        assert_eq!((*back.key, back.generation), (*entry.key, entry.generation));
        for length in (0..SECRET_LEN).chain([SECRET_LEN + 1]) {
            let mut other = secret.to_vec();
            other.resize(length, 0);
            assert!(matches!(decode(&other), Err(VaultError::Damaged { .. })), "{length} bytes");
        }
    }
}

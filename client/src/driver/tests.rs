//! The driver when its vault fails.

use sealpost_api::password::Password;
use tempfile::TempDir;

use super::*;
use crate::engine::OfflineReason;
use crate::vault::{KdfParameters, VaultKeySource};

/// A driver without a server, over a vault that takes few more pages.
fn nearly_full() -> (TempDir, DriverHandle) {
    let folder = tempfile::tempdir().unwrap();
    let source = VaultKeySource::Passphrase("correct horse".to_owned().into());
    let cheap = KdfParameters { memory_kib: 8, passes: 1, lanes: 1 };
    let vault = Vault::create_with(&folder.path().join("profile/vault.db"), &source, cheap).unwrap();
    vault.limit_pages(30);
    (folder, Driver::start(vault, None, Box::new(SystemClock)).unwrap())
}

fn register(invite: Option<String>) -> Command {
    let username = Username::parse("alice").unwrap();
    Command::Register { username, password: Password::new("correct horse battery".to_owned()), invite }
}

#[tokio::test]
async fn after_a_transaction_that_failed_it_goes_on_from_what_was_stored_before() {
    let (_folder, driver) = nearly_full();
    driver.query(|_, context| Ok(set_note(context.vault, "kept", b"before")?)).await.unwrap();
    let mut events = driver.events();
    let failed = driver.command(register(Some("x".repeat(1_000_000)))).await;
    assert!(matches!(&failed, Err(DriverError::Engine(reason)) if reason.contains("full")), "{failed:?}");
    let told = events.recv().await;
    assert!(matches!(told, Some(Event::Offline { reason: OfflineReason::Asked, .. })), "{told:?}");
    let kept = driver.query(|_, context| Ok(note(context.vault, "kept")?)).await.unwrap();
    assert_eq!(kept.as_deref().map(Vec::as_slice), Some(&b"before"[..]));
    // The engine of before had begun to register; the one from the vault knows nothing of it.
    let next = driver.command(register(None)).await;
    assert!(matches!(next, Err(DriverError::Command(CommandError::Unreachable))), "{next:?}");
    driver.stop().await;
}

#[tokio::test]
async fn whoever_waits_for_an_engine_that_is_dropped_is_told() {
    let (_folder, driver) = nearly_full();
    let waiting = driver.command(register(None));
    let failing = driver.query(|_, _| Err::<(), _>(EngineError::Internal));
    let (waiting, failed) = tokio::join!(waiting, failing);
    assert!(matches!(failed, Err(DriverError::Engine(_))), "{failed:?}");
    assert!(matches!(waiting, Err(DriverError::Engine(_))), "{waiting:?}");
    driver.stop().await;
}

//! The driver when its vault fails, and messages that are asked for twice.

use std::time::Duration;

use rand::rngs::SysRng;
use rand_core::UnwrapErr;
use sealpost_api::accounts::RegisterRequest;
use sealpost_api::encoding::B64;
use sealpost_api::ids::{MessageId, ServerId};
use sealpost_api::password::{AccessToken, Password};
use sealpost_api::server::{RegistrationPolicy, ServerInfo};
use sealpost_api::sessions::SessionGrant;
use sealpost_api::username::Username;
use sealpost_crypto::DeviceList;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::tokens::Sends;
use super::{
    Clock as _, Driver, DriverError, DriverHandle, Link, SendState, SendToken, SystemClock, UnixMillis, note, set_note,
};
use crate::engine::{
    Command, CommandError, CommandId, Context, Effect, Engine, EngineError, Event, HttpResponse, Input, OfflineReason,
    Request,
};
use crate::vault::{KdfParameters, Vault, VaultError, VaultKeySource};

const CHEAP: KdfParameters = KdfParameters { memory_kib: 8, passes: 1, lanes: 1 };
/// More than any of these tests waits for, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// A driver without a server, over a vault that takes few more pages.
fn nearly_full() -> (TempDir, DriverHandle) {
    let folder = tempfile::tempdir().unwrap();
    let source = VaultKeySource::Passphrase("correct horse".to_owned().into());
    let vault = Vault::create_with(&folder.path().join("profile/vault.db"), &source, CHEAP).unwrap();
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

/// What a server answers while an account is registered.
fn answer(request: &Request) -> Vec<u8> {
    if request.path == "/v1/server" {
        let info = ServerInfo {
            server_id: B64(ServerId::from_bytes([7; 16])),
            version: "test".to_owned(),
            registration: RegistrationPolicy::Open,
            now: 0,
        };
        return serde_json::to_vec(&info).unwrap();
    }
    assert_eq!(request.path, "/v1/accounts");
    let body: RegisterRequest = serde_json::from_slice(request.body.as_ref().unwrap()).unwrap();
    let grant = SessionGrant {
        session_id: body.session.session_id,
        account_id: B64(DeviceList::decode(&body.device_list.0.0).unwrap().account()),
        access_token: AccessToken::new("token".to_owned()),
        expires_in: 600,
    };
    serde_json::to_vec(&grant).unwrap()
}

/// A driver over the vault of a registered account, whose server is not there any more.
pub(crate) fn registered() -> (TempDir, DriverHandle) {
    let folder = tempfile::tempdir().unwrap();
    let source = VaultKeySource::Passphrase("correct horse".to_owned().into());
    let mut vault = Vault::create_with(&folder.path().join("profile/vault.db"), &source, CHEAP).unwrap();
    vault
        .transaction(|vault| {
            let context = &mut Context { vault, now: SystemClock.now(), rng: &mut UnwrapErr(SysRng) };
            let mut engine = Engine::open(context)?;
            let mut inputs = vec![Input::Command { id: CommandId(1), command: register(None) }];
            while !inputs.is_empty() {
                let effects = engine.handle_all(context, std::mem::take(&mut inputs))?;
                for effect in effects {
                    if let Effect::Request(request) = effect {
                        let result = Ok(HttpResponse { status: 200, body: answer(&request) });
                        inputs.push(Input::Response { request: request.id, result });
                    }
                }
            }
            assert!(engine.whoami().is_some_and(|account| account.logged_in));
            Ok::<_, EngineError>(())
        })
        .unwrap();
    (folder, Driver::start(vault, None, Box::new(SystemClock)).unwrap())
}

async fn offline(events: &mut mpsc::UnboundedReceiver<Event>) -> (OfflineReason, Option<UnixMillis>) {
    let wait = async {
        loop {
            if let Some(Event::Offline { reason, retry_at }) = events.recv().await {
                return (reason, retry_at);
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap()
}

#[tokio::test]
async fn an_engine_opened_anew_goes_online_again_if_the_one_before_was_to_be() {
    let (_folder, driver) = registered();
    let online = driver.command(Command::GoOnline).await;
    assert!(matches!(online, Err(DriverError::Command(CommandError::Unreachable))), "{online:?}");
    let failing = driver.query(|_, _| Err::<(), _>(EngineError::Internal));
    assert!(matches!(failing.await, Err(DriverError::Engine(_))));
    let mut events = driver.events();
    // The new engine has tried: nobody asked it to.
    assert_eq!(offline(&mut events).await.0, OfflineReason::Unreachable);
    driver.command(Command::GoOffline).await.unwrap();
    let failing = driver.query(|_, _| Err::<(), _>(EngineError::Internal));
    let mut events = driver.events();
    assert!(matches!(failing.await, Err(DriverError::Engine(_))));
    assert_eq!(offline(&mut events).await, (OfflineReason::Asked, None), "and not if it was not to be");
    driver.stop().await;
}

#[tokio::test]
async fn one_token_asked_for_twice_at_once_takes_one_message() {
    let (_folder, driver) = registered();
    let (open, gate) = std::sync::mpsc::channel::<()>();
    // While this question holds the driver, both asks queue up behind it, and are taken out together.
    let held = driver.query(move |_, _| {
        gate.recv().unwrap();
        Ok(())
    });
    let to = Username::parse("bobby").unwrap();
    let both = async {
        let token = Some(SendToken([5; 16]));
        let twice = [(); 2].map(|()| driver.send(token, to.clone(), "once".to_owned()).unwrap());
        open.send(()).unwrap();
        twice
    };
    let (held, [mut first, mut second]) = tokio::join!(held, both);
    held.unwrap();
    let taken = first.taken().await;
    assert!(taken.is_some());
    assert_eq!(second.taken().await, taken);
    assert_eq!(driver.query(|engine, _| Ok(engine.outbox().len())).await.unwrap(), 1);
    driver.stop().await;
}

#[tokio::test]
async fn a_message_that_can_not_leave_is_kept_and_its_askers_hear_why_in_one_way() {
    let (_folder, driver) = registered();
    let to = Username::parse("bobby").unwrap();
    let send = |token| driver.send(token, to.clone(), "kept".to_owned()).unwrap();
    let token = Some(SendToken([5; 16]));
    let mut first = send(token);
    let message_id = first.taken().await.unwrap();
    while first.next().await != (SendState::Kept { message_id, trouble: Some(CommandError::Unreachable) }) {}
    assert_eq!(*driver.link().borrow(), Link::Offline(OfflineReason::Unreachable));
    let mut again = send(token);
    assert_eq!(again.next().await, SendState::Kept { message_id, trouble: None });
    let mut refused = driver.send(None, Username::parse("alice").unwrap(), "to myself".to_owned()).unwrap();
    assert_eq!(refused.taken().await, None);
    assert!(matches!(refused.done().await, Err(DriverError::Command(CommandError::Invalid(_)))));
    driver.stop().await;
    for sending in [&mut first, &mut again] {
        assert_eq!(sending.done().await, Err(DriverError::Stopped));
    }
}

#[tokio::test]
async fn the_ends_of_commands_and_messages_are_no_events() {
    let (_folder, driver) = registered();
    let mut events = driver.events();
    let mut sending = driver.send(None, Username::parse("bobby").unwrap(), "kept".to_owned()).unwrap();
    sending.taken().await.unwrap();
    driver.command(Command::GoOffline).await.unwrap();
    driver.stop().await;
    while let Some(event) = events.recv().await {
        assert!(!matches!(event, Event::Queued { .. } | Event::Completed { .. }), "{event:?}");
    }
}

#[test]
fn whoever_asks_by_token_for_a_message_that_an_identity_change_dropped_hears_so() {
    let folder = tempfile::tempdir().unwrap();
    let source = VaultKeySource::Passphrase("correct horse".to_owned().into());
    let mut vault = Vault::create_with(&folder.path().join("profile/vault.db"), &source, CHEAP).unwrap();
    let (token, message_id) = (SendToken([5; 16]), MessageId::from_bytes([6; 16]));
    let to = Username::parse("bobby").unwrap();
    vault
        .transaction(|vault| {
            let mut sends = Sends::read(vault)?;
            sends.taken(vault, token, message_id)?;
            assert!(sends.look_up(token).unwrap().outcome().is_none());
            sends.ended(vault, &Event::Blocked { to: to.clone(), message_id })?;
            let outcome = Sends::read(vault)?.look_up(token).unwrap().outcome();
            assert_eq!(outcome, Some(Err(CommandError::IdentityChanged { name: to })));
            Ok::<_, VaultError>(())
        })
        .unwrap();
}

#[test]
fn the_newest_messages_are_known_by_their_tokens_and_older_ones_make_room() {
    let folder = tempfile::tempdir().unwrap();
    let source = VaultKeySource::Passphrase("correct horse".to_owned().into());
    let mut vault = Vault::create_with(&folder.path().join("profile/vault.db"), &source, CHEAP).unwrap();
    vault
        .transaction(|vault| {
            for begin in [0, 50, 100] {
                // Read anew as by another run, which goes on where the last one ended.
                let mut sends = Sends::read(vault)?;
                for number in begin..begin + 50 {
                    sends.taken(vault, SendToken([number; 16]), MessageId::from_bytes([number; 16]))?;
                }
            }
            let sends = Sends::read(vault)?;
            let known: Vec<u8> = (0..150).filter(|number| sends.look_up(SendToken([*number; 16])).is_some()).collect();
            assert_eq!(known, (86..150).collect::<Vec<_>>());
            Ok::<_, VaultError>(())
        })
        .unwrap();
}

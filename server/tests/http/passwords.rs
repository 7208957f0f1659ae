use std::sync::Arc;

use sealpost_api::accounts::ChangePasswordRequest;
use sealpost_api::problem::ProblemCode;
use sealpost_api::sessions::SessionsEnded;
use sealpost_server::domain::clock::SystemRandom;
use sealpost_server::service::passwords::{PasswordSettings, Passwords};

use crate::account::{Account, AccountCalls as _, DeviceCalls as _, PASSWORD, password};
use crate::server::{Options, TestServer};

const NEW: &str = " a new passphrase, 🦀 and all ";

fn change(old: &str, new: &str) -> ChangePasswordRequest {
    ChangePasswordRequest { old_password: password(old), new_password: password(new) }
}

#[tokio::test]
async fn changing_the_password_ends_other_sessions_and_every_token() {
    let server = TestServer::start(Options::default()).await;
    let mut alice = Account::register(&server, "alice").await;
    let mut phone = alice.add_device(&server, 2).await;
    let path = "/v1/account/password";
    server.put(path, &alice.device.access, &change("not the password", NEW)).await.refused(ProblemCode::PasswordWrong);
    server.put(path, &alice.device.access, &change(PASSWORD, "12345678")).await.refused(ProblemCode::PasswordCommon);
    server.put(path, &alice.device.access, &change(PASSWORD, "short")).await.refused(ProblemCode::PasswordTooShort);
    let long = "x".repeat(1_025);
    server.put(path, &alice.device.access, &change(PASSWORD, &long)).await.refused(ProblemCode::PasswordTooLong);
    let ended: SessionsEnded = server.put(path, &alice.device.access, &change(PASSWORD, NEW)).await.json();
    assert_eq!(ended.ended, 1);
    for token in [&alice.device.access, &phone.access] {
        server.get("/v1/sessions", token).await.refused(ProblemCode::Unauthenticated);
    }
    // The reply was lost: the session goes on with a new access token, and the same request again is a success.
    alice.device.refresh(&server).await;
    let again: SessionsEnded = server.put(path, &alice.device.access, &change(PASSWORD, NEW)).await.json();
    assert_eq!(again.ended, 0);
    assert_eq!(server.get("/v1/sessions", &alice.device.access).await.status, 200);
    phone.log_in(&server, "alice", PASSWORD).await.refused(ProblemCode::LoginFailed);
    phone.log_in(&server, "alice", NEW.trim()).await.refused(ProblemCode::LoginFailed);
    assert_eq!(phone.log_in(&server, "alice", NEW).await.status, 200);
}

#[tokio::test]
async fn logging_in_renews_a_hash_of_older_parameters() {
    let server = TestServer::start(Options::default()).await;
    let mut alice = Account::register(&server, "alice").await;
    let store = &server.services.core().store;
    let before = store.account(alice.id()).await.unwrap().unwrap().password_hash;
    let settings = PasswordSettings { memory_kib: 16, ..Options::default().passwords };
    let others = Passwords::new(&settings, Arc::new(SystemRandom)).unwrap();
    let other = others.hash(password(PASSWORD)).await.unwrap();
    assert!(store.rehash_password(alice.id(), &before, &other).await.unwrap());
    alice.device.log_in(&server, "alice", "wrong password").await.refused(ProblemCode::LoginFailed);
    assert_eq!(store.account(alice.id()).await.unwrap().unwrap().password_hash, other);
    assert_eq!(alice.device.log_in(&server, "alice", PASSWORD).await.status, 200);
    let after = store.account(alice.id()).await.unwrap().unwrap().password_hash;
    assert!(after.contains("m=8,") && other.contains("m=16,"), "{after}");
}

/// The login compares its password with the old hash, and starts after the operator has set a new one.
#[tokio::test]
async fn a_log_in_that_is_under_way_when_the_password_changes_begins_no_session() {
    let passwords = PasswordSettings { memory_kib: 19_456, passes: 2, threads: 1, ..Options::default().passwords };
    let server = TestServer::start(Options { passwords, ..Options::default() }).await;
    let mut alice = Account::register(&server, "alice").await;
    let (id, core) = (alice.id(), server.services.core());
    // Two hashes come before the login's: one is being computed and one waits.
    let before: Vec<_> = (0..2)
        .map(|_| {
            let core = Arc::clone(core);
            tokio::spawn(async move { core.passwords.hash(password(PASSWORD)).await.unwrap() })
        })
        .collect();
    let other = Passwords::new(&Options::default().passwords, Arc::new(SystemRandom)).unwrap();
    let other = other.hash(password("another phrase")).await.unwrap();
    let changing = async {
        while core.passwords.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        core.store.reset_password_hash(id, &other).await.unwrap().unwrap()
    };
    let (reply, _) = tokio::join!(alice.device.log_in(&server, "alice", PASSWORD), changing);
    reply.refused(ProblemCode::LoginFailed);
    assert_eq!(core.store.sessions(id).await.unwrap(), []);
    for hash in before {
        hash.await.unwrap();
    }
}

#[tokio::test]
async fn threat_30_beyond_the_queue_of_passwords_the_server_says_when_to_come_back() {
    let passwords = PasswordSettings {
        memory_kib: 19_456,
        passes: 2,
        threads: 1,
        queue_max: 1,
        pepper: None,
        ..PasswordSettings::default()
    };
    let server = TestServer::start(Options { passwords, ..Options::default() }).await;
    let requests: Vec<_> = (0..12).map(|n| Account::new(&format!("user{n}")).register_request(&server)).collect();
    let replies =
        futures_util::future::join_all(requests.iter().map(|request| server.post("/v1/accounts", "", request))).await;
    let busy: Vec<_> = replies.iter().filter(|reply| reply.status == 503).collect();
    assert!(!busy.is_empty() && busy.len() < 12);
    for reply in busy {
        reply.refused(ProblemCode::Busy);
        assert_eq!(reply.headers.get("retry-after").unwrap(), "1");
    }
}

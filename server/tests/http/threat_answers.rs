//! Answers that must not tell whether somebody is unknown, deleted, or not for the asker: byte for byte the same.

use bytes::Bytes;
use sealpost_api::accounts::{CurrentIdentityRequest, DeleteAccountRequest};
use sealpost_api::encoding::B64;
use sealpost_api::frames::{ClientFrame, Copy, Send, SendKind, ServerFrame};
use sealpost_api::ids::{MessageNumber, SessionId};
use sealpost_api::prekeys::TakeBundlesRequest;
use sealpost_api::problem::ProblemCode;
use sealpost_api::server::RegistrationPolicy;
use sealpost_crypto::{AccountId, DeviceId, RegistrationId, Signature};

use crate::account::{Account, AccountCalls as _, Device, DeviceCalls as _, PASSWORD, password, path_id, server_id};
use crate::server::{DAY, Essence, Options, TestServer};
use crate::socket::Socket;

/// One of each kind whom somebody may ask about.
struct People {
    /// Is here.
    alice: Account,
    /// Asks.
    bob: Account,
    /// Was here.
    deleted: Account,
    /// Never was.
    unknown: Account,
}

async fn people(server: &TestServer) -> People {
    let (alice, bob) = (Account::register(server, "alice").await, Account::register(server, "bob").await);
    let deleted = Account::register(server, "deleted").await;
    let erase = DeleteAccountRequest { password: password(PASSWORD) };
    assert_eq!(server.post("/v1/account/delete", &deleted.device.access, &erase).await.status, 200);
    People { alice, bob, deleted, unknown: Account::new("unknown") }
}

#[track_caller]
fn assert_alike(code: ProblemCode, answers: &[(String, Essence)]) {
    for (who, answer) in answers {
        assert!(answer.2.contains(&format!("\"code\":\"{}\"", code.as_str())), "{who}: {answer:?}");
        assert_eq!(answer, &answers[0].1, "{who}");
    }
}

/// A stranger's device that claims to be a person's.
fn pretender(person: &Account) -> Device {
    let mut device = Device::new(person.id(), 1);
    device.address = person.device.address;
    device
}

#[tokio::test]
async fn threat_32_a_log_in_does_not_tell_who_is_here() {
    let server = TestServer::start(Options::default()).await;
    let people = people(&server).await;
    let mut answers = Vec::new();
    let wrong = "not the password";
    for (who, person) in [("here", &people.alice), ("deleted", &people.deleted), ("unknown", &people.unknown)] {
        for (what, device, text) in [
            ("wrong password", &person.device, wrong),
            ("another's key, wrong password", &pretender(person), wrong),
            ("another's key, right password", &pretender(person), PASSWORD),
            ("another device, right password", &Device::new(person.id(), 2), PASSWORD),
        ] {
            let request = device.login_request(server_id(&server), &person.name, text);
            let reply = server.post("/v1/sessions", "", &request).await;
            answers.push((format!("{who}, {what}"), reply.essence()));
        }
        let mut unsigned = person.device.login_request(server_id(&server), &person.name, PASSWORD);
        unsigned.session.signature = B64(Signature::from_bytes([0; 64]));
        let reply = server.post("/v1/sessions", "", &unsigned).await;
        answers.push((format!("{who}, unsigned"), reply.essence()));
    }
    for name in ["admin", "no name", "", "x", "\u{202e}alice", &"a".repeat(1_000)] {
        let request = people.unknown.device.login_request(server_id(&server), name, PASSWORD);
        answers.push((format!("{name:?}"), server.post("/v1/sessions", "", &request).await.essence()));
    }
    assert_alike(ProblemCode::LoginFailed, &answers);
}

#[tokio::test]
async fn threat_32_a_new_identity_does_not_tell_who_is_here() {
    let server = TestServer::start(Options::default()).await;
    let people = people(&server).await;
    let mut answers = Vec::new();
    for person in [&people.alice, &people.deleted, &people.unknown] {
        let text = if person.name == "alice" { "not the password" } else { PASSWORD };
        let ask = CurrentIdentityRequest { username: person.name.clone(), password: password(text) };
        let reply = server.post("/v1/identity/current", "", &ask).await;
        answers.push((person.name.clone(), reply.essence()));
        let mut begin = person.renewed().new_identity_request(&server);
        begin.password = password(text);
        answers.push((person.name.clone(), server.post("/v1/identity", "", &begin).await.essence()));
    }
    assert_alike(ProblemCode::LoginFailed, &answers);
}

#[tokio::test]
async fn look_up_bundle_and_send_answer_alike_for_whoever_is_not_here() {
    let server = TestServer::start(Options::default()).await;
    let people = people(&server).await;
    let token = &people.bob.device.access;
    let gone = [&people.deleted, &people.unknown];
    let mut names = Vec::new();
    for name in ["deleted", "unknown", "admin", "1x", "%00", "%D0%B0lice", "no%20name", &"a".repeat(500)] {
        names.push((name.to_owned(), server.get(&format!("/v1/accounts/by-name/{name}"), token).await.essence()));
    }
    assert_alike(ProblemCode::NotFound, &names);
    let mut ids: Vec<AccountId> = gone.iter().map(|person| person.id()).collect();
    ids.push(AccountId::from_bytes([0; 16]));
    for (after, devices) in [("", None), ("?after=0", Some(vec![1])), ("?after=7", Some(vec![1, 2, 127]))] {
        let mut answers = Vec::new();
        for id in &ids {
            let path = format!("/v1/accounts/{}", path_id(*id));
            answers
                .push((format!("{path} lists"), server.get(&format!("{path}/devices{after}"), token).await.essence()));
            let take = TakeBundlesRequest { devices: devices.clone() };
            answers.push((
                format!("{path} bundles"),
                server.post(&format!("{path}/bundles"), token, &take).await.essence(),
            ));
        }
        assert_alike(ProblemCode::NotFound, &answers);
    }
    let mut socket = Socket::open(&server, Some(token)).await;
    while socket.next().await.unwrap() != ServerFrame::Drained {}
    let mut refusals = Vec::new();
    for (id, number) in ids.iter().zip(1..) {
        for kind in [SendKind::Message, SendKind::Device] {
            let copy = Copy {
                device: DeviceId::PRIMARY,
                registration: RegistrationId::from_bytes([1; 32]),
                ciphertext: Bytes::from_static(b"x"),
            };
            socket
                .put(ClientFrame::Send(Send { number: MessageNumber(number), to: *id, kind, copies: vec![copy] }))
                .await;
            match socket.next().await.unwrap() {
                ServerFrame::Refused(refused) => {
                    refusals.push(sealpost_api::frames::Refused { number: MessageNumber(1), ..refused })
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(refusals[0].code, ProblemCode::RecipientUnknown);
    assert!(refusals.iter().all(|refused| *refused == refusals[0]), "{refusals:?}");
}

#[tokio::test]
async fn a_registration_answers_alike_for_names_taken_and_retired_and_an_invite_is_asked_for_first() {
    let server = TestServer::start(Options::default()).await;
    people(&server).await;
    let mut answers = Vec::new();
    for name in ["alice", "ALICE", "deleted"] {
        let request = Account::new(name).register_request(&server);
        answers.push((name.to_owned(), server.post("/v1/accounts", "", &request).await.essence()));
    }
    assert_alike(ProblemCode::UsernameTaken, &answers);

    let server = TestServer::start(Options { registration: RegistrationPolicy::Invite, ..Options::default() }).await;
    let mut alice = Account::new("alice").register_request(&server);
    alice.invite = Some(server.services.issue_invite(DAY).await.unwrap());
    assert_eq!(server.post("/v1/accounts", "", &alice).await.status, 200);
    let mut answers = Vec::new();
    for name in ["alice", "unknown"] {
        for invite in [None, Some("wrong".to_owned()), alice.invite.clone()] {
            let mut request = Account::new(name).register_request(&server);
            request.invite = invite;
            answers.push((name.to_owned(), server.post("/v1/accounts", "", &request).await.essence()));
        }
    }
    assert_alike(ProblemCode::InviteInvalid, &answers);
}

#[tokio::test]
async fn sessions_of_others_answer_as_sessions_that_never_were() {
    let server = TestServer::start(Options::default()).await;
    let mut people = people(&server).await;
    let ended = people.bob.device.session;
    assert_eq!(people.bob.device.log_in(&server, "bob", PASSWORD).await.status, 200);
    let (bob, alice) = (&people.bob.device, &people.alice.device);
    let unknown = SessionId::from_bytes([9; 16]);
    let mut deletions = Vec::new();
    let mut refreshes = Vec::new();
    for session in [alice.session, ended, unknown, people.deleted.device.session] {
        let reply = server.delete(&format!("/v1/sessions/{}", path_id(session)), &bob.access).await;
        assert_eq!(reply.status, 200);
        deletions.push(reply.essence());
        let mut request = bob.refresh_request(server_id(&server), &bob.refresh, bob.refresh.hash());
        request.session_id = B64(session);
        refreshes.push((path_id(session), server.post("/v1/sessions/refresh", "", &request).await.essence()));
    }
    assert!(deletions.iter().all(|answer| *answer == deletions[0]), "{deletions:?}");
    assert_alike(ProblemCode::RefreshInvalid, &refreshes);
    assert_eq!(server.get("/v1/sessions", &alice.access).await.status, 200);
}

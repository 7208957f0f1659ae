//! What is left of a session when it is over, and of a refresh token when two hold it.

use std::time::{Duration, Instant};

use sealpost_api::accounts::{ChangePasswordRequest, DeleteAccountRequest};
use sealpost_api::encoding::RefreshToken;
use sealpost_api::frames::{ClientFrame, ServerFrame};
use sealpost_api::password::AccessToken;
use sealpost_api::problem::ProblemCode;
use sealpost_api::sessions::{RefreshRequest, SessionGrant};
use sealpost_crypto::DeviceIdentityKeyPair;

use crate::account::{
    Account, AccountCalls as _, Device, DeviceCalls as _, PASSWORD, password, path_id, publish_request, server_id,
};
use crate::server::{Options, Reply, TestServer};
use crate::socket::Socket;

/// How long a socket may outlive its session: a second, and what a busy machine adds.
const SOCKET_OUTLIVES: Duration = Duration::from_secs(10);
const UNAUTHENTICATED: Option<u16> = Some(4401);
const PATH: &str = "/v1/account/password";

/// What ends the phone's session.
#[derive(Clone, Copy, Debug)]
enum End {
    LogOut,
    ByOtherDevice,
    All,
    PasswordByOtherDevice,
    PasswordByItself,
    Removed,
    LoggedInAgain,
    NewIdentity,
    Deleted,
}

const ENDS: [End; 9] = [
    End::LogOut,
    End::ByOtherDevice,
    End::All,
    End::PasswordByOtherDevice,
    End::PasswordByItself,
    End::Removed,
    End::LoggedInAgain,
    End::NewIdentity,
    End::Deleted,
];

async fn end(server: &TestServer, how: End, alice: &Account, phone: &Device) -> Reply {
    let (desk, own) = (&alice.device.access, &phone.access);
    let change = ChangePasswordRequest { old_password: password(PASSWORD), new_password: password("another phrase") };
    match how {
        End::LogOut => server.delete("/v1/sessions/current", own).await,
        End::ByOtherDevice => server.delete(&format!("/v1/sessions/{}", path_id(phone.session)), desk).await,
        End::All => server.delete("/v1/sessions", desk).await,
        End::PasswordByOtherDevice => server.put(PATH, desk, &change).await,
        End::PasswordByItself => server.put(PATH, own, &change).await,
        End::Removed => {
            let without = publish_request(&alice.next_list(&[&alice.device]), Vec::new());
            server.put("/v1/account/devices", desk, &without).await
        }
        End::LoggedInAgain => {
            let mut same = copy_of(phone);
            same.log_in(server, &alice.name, PASSWORD).await
        }
        End::NewIdentity => server.post("/v1/identity", "", &alice.renewed().new_identity_request(server)).await,
        End::Deleted => {
            let request = DeleteAccountRequest { password: password(PASSWORD) };
            server.post("/v1/account/delete", desk, &request).await
        }
    }
}

/// Everything that a device keeps, as a thief of its disk has it.
fn copy_of(device: &Device) -> Device {
    Device {
        identity: DeviceIdentityKeyPair::from_seed(&device.identity.seed()),
        address: device.address,
        session: device.session,
        refresh: device.refresh.clone(),
        access: device.access.clone(),
    }
}

#[tokio::test]
async fn threat_37_no_token_or_socket_outlives_its_session() {
    for how in ENDS {
        let server = TestServer::start(Options::default()).await;
        let mut alice = Account::register(&server, "alice").await;
        let phone = alice.add_device(&server, 2).await;
        let mut socket = Socket::open(&server, Some(&phone.access)).await;
        assert!(matches!(socket.next().await, Ok(ServerFrame::Welcome(_))));
        assert_eq!(server.get("/v1/sessions", &phone.access).await.status, 200);

        let done = end(&server, how, &alice, &phone).await;
        assert_eq!(done.status, 200, "{how:?} {}", String::from_utf8_lossy(&done.body));
        let ended = Instant::now();
        // Not one call more: neither over HTTP nor on a stream, by header or by frame.
        server.get("/v1/sessions", &phone.access).await.refused(ProblemCode::Unauthenticated);
        server.get("/v1/account/export", &phone.access).await.refused(ProblemCode::Unauthenticated);
        let mut late = Socket::open(&server, None).await;
        late.put(ClientFrame::Auth { token: AccessToken::new(phone.access.clone()) }).await;
        assert_eq!(late.next().await.err(), Some(UNAUTHENTICATED), "{how:?}");
        assert_eq!(socket.closed().await, UNAUTHENTICATED, "{how:?}");
        assert!(ended.elapsed() < SOCKET_OUTLIVES, "{how:?}");
        let ended_for_good = !matches!(how, End::PasswordByItself);
        let next = RefreshToken::from_bytes([5; 32]).hash();
        let refresh = phone.refresh_request(server_id(&server), &phone.refresh, next);
        let refreshed = server.post("/v1/sessions/refresh", "", &refresh).await;
        assert_eq!(refreshed.status == 200, !ended_for_good, "{how:?}");
    }
}

/// One of the two who hold the same refresh token and device key.
struct Holder {
    device: Device,
}

impl Holder {
    /// The exchange of the token that both hold for one that this one drew.
    fn request(&self, server: &TestServer, drawn: u8) -> RefreshRequest {
        let next = RefreshToken::from_bytes([drawn; 32]).hash();
        self.device.refresh_request(server_id(server), &self.device.refresh, next)
    }
}

async fn refresh(server: &TestServer, request: &RefreshRequest) -> Result<String, Reply> {
    let reply = server.post("/v1/sessions/refresh", "", request).await;
    if reply.status == 200 { Ok(reply.json::<SessionGrant>().access_token.reveal().to_owned()) } else { Err(reply) }
}

/// After the theft was noticed: nobody's token works, the session cannot be refreshed by either, and the owner, who has
/// the password, logs in again, which helps the thief nothing.
async fn assert_both_out_until_the_owner_logs_in(server: &TestServer, tokens: &[String], holders: &[Holder]) {
    let everyone = |code| async move {
        for token in tokens {
            server.get("/v1/sessions", token).await.refused(code);
        }
        for (holder, drawn) in holders.iter().zip(100..) {
            refresh(server, &holder.request(server, drawn)).await.unwrap_err().refused(ProblemCode::RefreshInvalid);
        }
    };
    everyone(ProblemCode::Unauthenticated).await;
    let mut owner = copy_of(&holders[0].device);
    assert_eq!(owner.log_in(server, "alice", PASSWORD).await.status, 200);
    everyone(ProblemCode::Unauthenticated).await;
    owner.refresh(server).await;
    assert_eq!(server.get("/v1/sessions", &owner.access).await.status, 200);
}

async fn stolen() -> (TestServer, [Holder; 2], String) {
    let server = TestServer::start(Options::default()).await;
    let alice = Account::register(&server, "alice").await;
    let holders = [Holder { device: copy_of(&alice.device) }, Holder { device: copy_of(&alice.device) }];
    (server, holders, alice.device.access)
}

#[tokio::test]
async fn threat_38_whoever_refreshes_second_ends_the_session_for_both() {
    // The owner is holder 0; once the owner is first, once the thief.
    for first in [0, 1] {
        let (server, holders, access) = stolen().await;
        let fresh = refresh(&server, &holders[first].request(&server, 1)).await.unwrap();
        let reused = refresh(&server, &holders[1 - first].request(&server, 2)).await.unwrap_err();
        reused.refused(ProblemCode::SessionEnded);
        assert_both_out_until_the_owner_logs_in(&server, &[access, fresh], &holders).await;
    }
}

#[tokio::test]
async fn threat_38_of_two_who_refresh_at_once_neither_keeps_the_session() {
    let (server, holders, access) = stolen().await;
    let requests: Vec<_> = (1..=16).map(|drawn| holders[usize::from(drawn % 2)].request(&server, drawn)).collect();
    let replies = futures_util::future::join_all(requests.iter().map(|request| refresh(&server, request))).await;
    let mut tokens = vec![access];
    for reply in replies {
        match reply {
            Ok(token) => tokens.push(token),
            Err(reply) => {
                let code = ProblemCode::parse(&reply.problem().code).unwrap();
                assert!([ProblemCode::SessionEnded, ProblemCode::RefreshInvalid].contains(&code), "{code:?}");
            }
        }
    }
    assert_eq!(tokens.len(), 2, "one exchange came first");
    assert_both_out_until_the_owner_logs_in(&server, &tokens, &holders).await;
}

#[tokio::test]
async fn a_lost_refresh_reply_asked_for_again_by_many_at_once_ends_nothing() {
    let (server, holders, _) = stolen().await;
    let request = holders[0].request(&server, 7);
    let replies = futures_util::future::join_all((0..16).map(|_| refresh(&server, &request))).await;
    for reply in replies {
        assert_eq!(server.get("/v1/sessions", &reply.unwrap()).await.status, 200);
    }
    let mut owner = copy_of(&holders[0].device);
    owner.refresh = RefreshToken::from_bytes([7; 32]);
    owner.refresh(&server).await;
    assert_eq!(server.get("/v1/sessions", &owner.access).await.status, 200);
}

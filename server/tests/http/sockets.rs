//! What the calls mean for sockets that are open: here mailboxes, as the stream has them.

use std::sync::Arc;

use futures_util::FutureExt as _;
use sealpost_api::accounts::{ChangePasswordRequest, DeleteAccountRequest};
use sealpost_api::encoding::RefreshToken;
use sealpost_api::ids::ConnectionEpoch;
use sealpost_api::prekeys::TakeBundlesRequest;
use sealpost_api::problem::ProblemCode;
use sealpost_server::service::hub::{CloseReason, Registration};

use crate::account::{
    Account, AccountCalls as _, Device, DeviceCalls as _, PASSWORD, password, path_id, publish_request, server_id,
};
use crate::server::{Options, TestServer};

fn connect(server: &TestServer, device: &Device) -> Registration {
    let hub = Arc::clone(&server.services.core().hub);
    let registration = hub.register(device.address, device.session).unwrap();
    registration.activate(ConnectionEpoch(1));
    registration
}

/// Alice with two connected devices, and their sockets.
async fn connected(server: &TestServer) -> (Account, Device, Registration, Registration) {
    let mut alice = Account::register(server, "alice").await;
    let phone = alice.add_device(server, 2).await;
    let sockets = (connect(server, &alice.device), connect(server, &phone));
    (alice, phone, sockets.0, sockets.1)
}

const ENDED: Option<CloseReason> = Some(CloseReason::SessionEnded);

#[tokio::test]
async fn logging_out_closes_the_sessions_socket_and_no_other() {
    let server = TestServer::start(Options::default()).await;
    let (alice, phone, desk_socket, phone_socket) = connected(&server).await;
    assert_eq!(server.delete("/v1/sessions/current", &phone.access).await.status, 200);
    assert_eq!((desk_socket.mailbox.close_reason(), phone_socket.mailbox.close_reason()), (None, ENDED));
    assert_eq!(server.delete("/v1/sessions", &alice.device.access).await.status, 200);
    assert_eq!(desk_socket.mailbox.close_reason(), ENDED);
}

#[tokio::test]
async fn changing_the_password_closes_every_socket_the_callers_too() {
    let server = TestServer::start(Options::default()).await;
    let (alice, _, desk_socket, phone_socket) = connected(&server).await;
    let request = ChangePasswordRequest { old_password: password(PASSWORD), new_password: password("another phrase") };
    assert_eq!(server.put("/v1/account/password", &alice.device.access, &request).await.status, 200);
    assert_eq!((desk_socket.mailbox.close_reason(), phone_socket.mailbox.close_reason()), (ENDED, ENDED));
}

#[tokio::test]
async fn removing_a_device_closes_its_socket_and_tells_the_others() {
    let server = TestServer::start(Options::default()).await;
    let (alice, _, desk_socket, phone_socket) = connected(&server).await;
    let next = publish_request(&alice.next_list(&[&alice.device]), Vec::new());
    assert_eq!(server.put("/v1/account/devices", &alice.device.access, &next).await.status, 200);
    assert_eq!((desk_socket.mailbox.close_reason(), phone_socket.mailbox.close_reason()), (None, ENDED));
    let told = desk_socket.mailbox.arrived().now_or_never().unwrap();
    assert_eq!(told.device_lists, [(alice.id(), 3)]);
}

#[tokio::test]
async fn a_new_identity_a_deletion_and_a_spent_token_close_sockets() {
    let server = TestServer::start(Options::default()).await;
    let (alice, _, desk_socket, phone_socket) = connected(&server).await;
    let mut renewed = alice.renewed();
    let request = renewed.new_identity_request(&server);
    assert_eq!(server.post("/v1/identity", "", &request).await.status, 200);
    assert_eq!((desk_socket.mailbox.close_reason(), phone_socket.mailbox.close_reason()), (ENDED, ENDED));

    let socket = connect(&server, &renewed.device);
    let spent = renewed.device.refresh.clone();
    renewed.device.refresh(&server).await;
    assert_eq!(socket.mailbox.close_reason(), None);
    let reuse = renewed.device.refresh_request(server_id(&server), &spent, RefreshToken::from_bytes([1; 32]).hash());
    server.post("/v1/sessions/refresh", "", &reuse).await.refused(ProblemCode::SessionEnded);
    assert_eq!(socket.mailbox.close_reason(), ENDED);

    assert_eq!(renewed.device.log_in(&server, "alice", PASSWORD).await.status, 200);
    let socket = connect(&server, &renewed.device);
    let request = DeleteAccountRequest { password: password(PASSWORD) };
    assert_eq!(server.post("/v1/account/delete", &renewed.device.access, &request).await.status, 200);
    assert_eq!(socket.mailbox.close_reason(), ENDED);
}

#[tokio::test]
async fn a_device_is_told_when_its_one_time_prekeys_run_low() {
    let server = TestServer::start(Options::default()).await;
    let alice = Account::register(&server, "alice").await;
    let bob = Account::register(&server, "bob").await;
    let socket = connect(&server, &alice.device);
    let path = format!("/v1/accounts/{}/bundles", path_id(alice.id()));
    for left in (24..30).rev() {
        assert_eq!(server.post(&path, &bob.device.access, &TakeBundlesRequest { devices: None }).await.status, 200);
        let told = socket.mailbox.arrived().now_or_never().and_then(|letters| letters.prekeys_low);
        assert_eq!(told, (left < 25).then_some(left));
    }
}

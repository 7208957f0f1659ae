use std::time::{Duration, Instant};

use sealpost_api::accounts::ChangePasswordRequest;
use sealpost_api::close;
use sealpost_api::frames::{ClientFrame, ServerFrame};
use sealpost_api::limits::ACCESS_TOKEN_SECONDS;
use sealpost_api::password::{AccessToken, Password};
use sealpost_api::problem::ProblemCode;
use sealpost_server::service::hub::CloseReason;
use sealpost_server::service::stream::StreamSettings;

use super::world::{Got, Options, PASSWORD, World, eventually, text};

/// What the specification allows for an ended session.
const PROMPTLY: Duration = Duration::from_secs(1);

#[actix_web::test]
async fn threat_22_a_second_socket_takes_over_and_what_the_first_acks_then_counts_for_nothing() {
    let world = World::start().await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let mut sender = world.online(&alice.devices[0]).await;
    sender.send(text(1, &bob, "text")).await;
    sender.sent().await;
    let (mut first, welcome) = world.connect(&bob.devices[0]).await;
    let delivered = first.until_drained().await;
    let (mut second, newer) = world.connect(&bob.devices[0]).await;
    assert!(newer.connection_epoch > welcome.connection_epoch);
    first.ack(&[delivered[0].id]).await;
    assert_eq!(first.closed().await, Some(close::REPLACED));
    assert_eq!(second.until_drained().await.len(), 1, "the second gets everything");
    assert_eq!(world.queued(&bob.devices[0]).await, 1);
}

/// Its place in the hub comes before its epoch; when the store is asked for one, the session has ended or ends right after.
#[actix_web::test]
async fn after_a_restore_a_socket_that_is_just_opening_ends_too() {
    let world = World::start().await;
    let bob = world.person("bob").await;
    let device = &bob.devices[0];
    let opening = world.core().hub.register(device.address, device.session).unwrap();
    world.services.after_restore().await.unwrap();
    assert_eq!(opening.mailbox.close_reason(), Some(CloseReason::SessionEnded));
}

#[actix_web::test]
async fn a_first_socket_that_says_nothing_is_closed_by_the_second_at_once() {
    let world = World::start().await;
    let bob = world.person("bob").await;
    let mut first = world.online(&bob.devices[0]).await;
    let begin = Instant::now();
    let mut second = world.online(&bob.devices[0]).await;
    assert_eq!(first.closed().await, Some(close::REPLACED));
    assert!(begin.elapsed() < PROMPTLY);
    second.is_quiet().await;
}

#[actix_web::test]
async fn threat_22_an_epoch_that_is_over_accepts_and_acks_nothing_even_when_no_hub_says_so() {
    let world = World::start().await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let mut sender = world.online(&alice.devices[0]).await;
    let mut receiver = world.online(&bob.devices[0]).await;
    sender.send(text(1, &bob, "text")).await;
    sender.sent().await;
    let delivered = receiver.delivered().await;
    // Another node would do just this.
    for device in [&alice.devices[0], &bob.devices[0]] {
        world.core().store.open_connection(device.address, device.session, 1, world.core().clock.now()).await.unwrap();
    }
    sender.send(text(2, &bob, "text")).await;
    assert_eq!(sender.refused().await.code, ProblemCode::Superseded);
    assert_eq!(sender.closed().await, Some(close::REPLACED));
    receiver.ack(&[delivered.id]).await;
    assert_eq!(receiver.closed().await, Some(close::REPLACED));
    assert_eq!(world.queued(&bob.devices[0]).await, 1);
}

#[actix_web::test]
async fn the_end_of_a_session_ends_its_socket_promptly_and_nothing_is_accepted_after_it() {
    let world = World::start().await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let mut sender = world.online(&alice.devices[0]).await;
    let caller = world.services.authenticate(&alice.devices[0].token).await.unwrap();
    let begin = Instant::now();
    world.services.end_session(&caller, alice.devices[0].session).await.unwrap();
    sender.send(text(1, &bob, "too late")).await;
    assert_eq!(sender.closed().await, Some(close::UNAUTHENTICATED));
    assert!(begin.elapsed() < PROMPTLY);
    assert_eq!(world.queued(&bob.devices[0]).await, 0);
    let bearer = format!("Bearer {}", alice.devices[0].token);
    assert_eq!(world.try_socket(&[("authorization", &bearer)]).await.err(), Some(401));
}

#[actix_web::test]
async fn a_changed_password_ends_every_socket_of_the_account_promptly() {
    let world = World::start().await;
    let mut bob = world.person("bob").await;
    world.add_device(&mut bob).await;
    let mut sockets = [world.online(&bob.devices[0]).await, world.online(&bob.devices[1]).await];
    let caller = world.services.authenticate(&bob.devices[0].token).await.unwrap();
    let request = ChangePasswordRequest {
        old_password: Password::new(PASSWORD.to_owned()),
        new_password: Password::new("another correct horse".to_owned()),
    };
    world.services.change_password(&caller, request).await.unwrap();
    let begin = Instant::now();
    for socket in &mut sockets {
        assert_eq!(socket.closed().await, Some(close::UNAUTHENTICATED));
    }
    assert!(begin.elapsed() < PROMPTLY);
    for device in &bob.devices {
        let bearer = format!("Bearer {}", device.token);
        assert_eq!(world.try_socket(&[("authorization", &bearer)]).await.err(), Some(401));
    }
}

#[actix_web::test]
async fn a_removed_devices_socket_ends_promptly() {
    let world = World::start().await;
    let mut bob = world.person("bob").await;
    world.add_device(&mut bob).await;
    let (mut kept, mut removed) = (world.online(&bob.devices[0]).await, world.online(&bob.devices[1]).await);
    let begin = Instant::now();
    let devices = bob.devices[..1].to_vec();
    world.publish(&mut bob, devices).await;
    assert_eq!(removed.closed().await, Some(close::UNAUTHENTICATED));
    assert!(begin.elapsed() < PROMPTLY);
    assert_eq!(kept.frame().await, ServerFrame::DeviceListChanged { account: bob.id, version: 3 });
}

#[actix_web::test]
async fn a_token_that_expires_unrenewed_ends_the_socket() {
    let world = World::start().await;
    let bob = world.person("bob").await;
    world.pass((ACCESS_TOKEN_SECONDS - 1) * 1_000);
    let mut socket = world.online(&bob.devices[0]).await;
    assert_eq!(socket.closed().await, Some(close::UNAUTHENTICATED));
}

#[actix_web::test]
async fn a_renewed_token_keeps_the_socket() {
    let world = World::start().await;
    let bob = world.person("bob").await;
    world.pass((ACCESS_TOKEN_SECONDS - 1) * 1_000);
    let mut socket = world.online(&bob.devices[0]).await;
    socket.put(ClientFrame::Auth { token: world.renew(&bob.devices[0]) }).await;
    socket.is_quiet().await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    socket.is_quiet().await;
}

#[actix_web::test]
async fn only_a_token_of_the_same_session_renews() {
    let world = World::start().await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    for token in [world.renew(&alice.devices[0]), AccessToken::new("nonsense".to_owned())] {
        let mut socket = world.online(&bob.devices[0]).await;
        socket.put(ClientFrame::Auth { token }).await;
        let expected = |frame: &ServerFrame| {
            matches!(frame, ServerFrame::Error { code: ProblemCode::Unauthenticated, close: true, .. })
        };
        assert!(expected(&socket.frame().await));
        assert_eq!(socket.closed().await, Some(close::UNAUTHENTICATED));
    }
}

#[actix_web::test]
async fn a_peer_that_answers_no_ping_is_dropped_after_two() {
    let stream = StreamSettings { ping_interval: Duration::from_millis(100), ..StreamSettings::default() };
    let world = World::start_with(Options { stream, ..Options::default() }).await;
    let bob = world.person("bob").await;
    let socket = world.online(&bob.devices[0]).await;
    assert_eq!(world.core().hub.connections(), 1);
    // Not reading means not answering: the library answers pings only when it is read.
    eventually(async || world.core().hub.connections() == 0).await;
    let mut socket = socket;
    let mut pings = 0;
    loop {
        match socket.got().await {
            Got::Ping => pings += 1,
            Got::Closed(code) => {
                assert_eq!((code, pings), (Some(close::TOO_SLOW), 2));
                break;
            }
            Got::Frame(other) => panic!("{other:?}"),
        }
    }
}

#[actix_web::test]
async fn a_peer_that_answers_pings_stays() {
    let stream = StreamSettings { ping_interval: Duration::from_millis(50), ..StreamSettings::default() };
    let world = World::start_with(Options { stream, ..Options::default() }).await;
    let bob = world.person("bob").await;
    let mut socket = world.online(&bob.devices[0]).await;
    for _ in 0..10 {
        assert_eq!(socket.got().await, Got::Ping);
    }
}

#[actix_web::test]
async fn a_stopping_node_says_so_and_takes_no_more_sockets() {
    let world = World::start().await;
    let bob = world.person("bob").await;
    let mut socket = world.online(&bob.devices[0]).await;
    world.core().hub.stop();
    assert_eq!(socket.closed().await, Some(close::RESTART));
    let mut late = world.socket(&bob.devices[0]).await;
    assert_eq!(late.closed().await, Some(close::RESTART));
}

#[actix_web::test]
async fn a_device_counts_as_seen_until_its_socket_ended() {
    let world = World::start().await;
    let bob = world.person("bob").await;
    let socket = world.online(&bob.devices[0]).await;
    world.pass(12_345);
    let now = world.core().clock.now();
    drop(socket);
    eventually(async || world.core().store.device(bob.devices[0].address).await.unwrap().unwrap().last_seen_at == now)
        .await;
}

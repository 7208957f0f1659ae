use sealpost_api::frames::{ClientFrame, ServerFrame};
use sealpost_api::ids::RowId;
use sealpost_api::limits::{CIPHERTEXT_MAX_BYTES, DELIVERY_WINDOW_ROWS};
use sealpost_api::problem::ProblemCode;
use sealpost_crypto::UnixMillis;
use sealpost_server::service::hub::Notice;

use super::world::{World, eventually, message, text};

fn unknown_ack(frame: &ServerFrame) -> bool {
    matches!(frame, ServerFrame::Error { code: ProblemCode::AckUnknown, close: false, .. })
}

#[actix_web::test]
async fn what_was_sent_while_offline_waits_and_then_the_queue_is_drained() {
    let world = World::start().await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let mut sender = world.online(&alice.devices[0]).await;
    for number in 1..=5 {
        sender.send(text(number, &bob, &format!("text {number}"))).await;
        let sent = sender.sent().await;
        assert_eq!((sent.number.0, sent.skipped.len()), (number, 0));
        assert_ne!(sent.accepted_at, 0);
    }
    let (mut socket, welcome) = world.connect(&bob.devices[0]).await;
    assert_eq!(welcome.pending, 5);
    let delivers = socket.until_drained().await;
    assert_eq!(delivers.iter().map(|deliver| deliver.number.0).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(delivers.iter().all(|deliver| deliver.from == alice.devices[0].address));
    assert_eq!(&delivers[4].ciphertext[..], b"text 5");
    socket.ack(&delivers.iter().map(|deliver| deliver.id).collect::<Vec<_>>()).await;
    world.until_queued(&bob.devices[0], 0).await;
}

#[actix_web::test]
async fn messages_of_the_largest_size_all_come_without_an_acknowledgement_between_them() {
    let world = World::start().await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let mut sender = world.online(&alice.devices[0]).await;
    for number in 1..=4 {
        sender.send(message(number, &bob, vec![bob.devices[0].copy(vec![7; CIPHERTEXT_MAX_BYTES])])).await;
        sender.sent().await;
    }
    let (mut socket, _) = world.connect(&bob.devices[0]).await;
    assert_eq!(socket.until_drained().await.len(), 4);
}

#[actix_web::test]
async fn what_is_not_acked_comes_again_on_the_next_socket() {
    let world = World::start().await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let mut sender = world.online(&alice.devices[0]).await;
    for number in 1..=2 {
        sender.send(text(number, &bob, "text")).await;
        sender.sent().await;
    }
    let (mut socket, _) = world.connect(&bob.devices[0]).await;
    let delivers = socket.until_drained().await;
    socket.ack(&[delivers[0].id]).await;
    world.until_queued(&bob.devices[0], 1).await;
    drop(socket);
    let (mut socket, _) = world.connect(&bob.devices[0]).await;
    let again = socket.until_drained().await;
    assert_eq!(again, delivers[1..]);
}

#[actix_web::test]
async fn a_connected_device_is_given_messages_as_they_are_accepted_and_drained_is_said_once() {
    let world = World::start().await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let (mut sender, mut receiver) = (world.online(&alice.devices[0]).await, world.online(&bob.devices[0]).await);
    for number in 1..=20 {
        sender.send(text(number, &bob, "live")).await;
        let sent = sender.sent().await;
        let deliver = receiver.delivered().await;
        assert_eq!((deliver.number.0, deliver.accepted_at), (number, sent.accepted_at));
        receiver.ack(&[deliver.id]).await;
    }
    world.until_queued(&bob.devices[0], 0).await;
    receiver.is_quiet().await;
}

#[actix_web::test]
async fn at_most_a_window_is_delivered_before_something_is_acked_and_all_of_it_in_order() {
    let world = World::start().await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let mut sender = world.online(&alice.devices[0]).await;
    for number in 1..=200 {
        sender.send(text(number, &bob, "text")).await;
    }
    for _ in 0..200 {
        sender.sent().await;
    }
    let (mut socket, _) = world.connect(&bob.devices[0]).await;
    let mut numbers = Vec::new();
    let mut unacked = Vec::new();
    for _ in 0..DELIVERY_WINDOW_ROWS {
        let deliver = socket.delivered().await;
        numbers.push(deliver.number.0);
        unacked.push(deliver.id);
    }
    socket.is_quiet().await;
    socket.ack(&unacked.split_off(DELIVERY_WINDOW_ROWS - 3)).await;
    for _ in 0..3 {
        let deliver = socket.delivered().await;
        numbers.push(deliver.number.0);
        unacked.push(deliver.id);
    }
    socket.is_quiet().await;
    socket.ack(&unacked).await;
    loop {
        match socket.frame().await {
            ServerFrame::Deliver(deliver) => {
                numbers.push(deliver.number.0);
                socket.ack(&[deliver.id]).await;
            }
            ServerFrame::Drained => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(numbers, (1..=200).collect::<Vec<_>>());
    world.until_queued(&bob.devices[0], 0).await;
}

#[actix_web::test]
async fn a_full_window_loses_nothing_of_what_arrives_live() {
    let world = World::start().await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let (mut sender, mut receiver) = (world.online(&alice.devices[0]).await, world.online(&bob.devices[0]).await);
    for number in 1..=150 {
        sender.send(text(number, &bob, "text")).await;
    }
    for _ in 0..150 {
        sender.sent().await;
    }
    let mut numbers = Vec::new();
    while numbers.len() < 150 {
        let deliver = receiver.delivered().await;
        numbers.push(deliver.number.0);
        receiver.ack(&[deliver.id]).await;
    }
    assert_eq!(numbers, (1..=150).collect::<Vec<_>>());
    world.until_queued(&bob.devices[0], 0).await;
    receiver.is_quiet().await;
}

#[actix_web::test]
async fn an_ack_of_what_was_not_delivered_here_changes_nothing_not_even_its_valid_part() {
    let world = World::start().await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let carol = world.person("carol").await;
    let mut sender = world.online(&alice.devices[0]).await;
    let mut receiver = world.online(&bob.devices[0]).await;
    sender.send(text(1, &bob, "for bob")).await;
    sender.sent().await;
    sender.send(text(2, &carol, "for carol")).await;
    sender.sent().await;
    let delivered = receiver.delivered().await.id;
    let mut other = world.online(&alice.devices[0]).await;
    for wrong in [RowId(delivered.0 + 1), RowId(u64::MAX), RowId(0)] {
        receiver.ack(&[delivered, wrong]).await;
        assert!(unknown_ack(&receiver.frame().await), "{wrong}");
    }
    other.ack(&[delivered]).await;
    assert!(unknown_ack(&other.frame().await), "another device's");
    receiver.ack(&[delivered, delivered]).await;
    assert!(unknown_ack(&receiver.frame().await), "twice in one frame");
    assert_eq!((world.queued(&bob.devices[0]).await, world.queued(&carol.devices[0]).await), (1, 1));
    receiver.ack(&[delivered]).await;
    world.until_queued(&bob.devices[0], 0).await;
    receiver.ack(&[delivered]).await;
    assert!(unknown_ack(&receiver.frame().await), "acked before");
    assert_eq!(world.queued(&carol.devices[0]).await, 1);
}

#[actix_web::test]
async fn acks_sent_just_before_the_socket_ends_count() {
    let world = World::start().await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let mut sender = world.online(&alice.devices[0]).await;
    sender.send(text(1, &bob, "text")).await;
    sender.sent().await;
    let (mut socket, _) = world.connect(&bob.devices[0]).await;
    let delivers = socket.until_drained().await;
    socket.ack(&[delivers[0].id]).await;
    socket.is_quiet().await;
    drop(socket);
    world.until_queued(&bob.devices[0], 0).await;
}

#[actix_web::test]
async fn every_device_gets_its_own_copy() {
    let world = World::start().await;
    let (alice, mut bob) = (world.person("alice").await, world.person("bob").await);
    world.add_device(&mut bob).await;
    world.add_device(&mut bob).await;
    let mut sender = world.online(&alice.devices[0]).await;
    let mut online = world.online(&bob.devices[1]).await;
    let copies = bob.devices.iter().map(|device| device.copy(format!("for {}", device.address.device))).collect();
    sender.send(super::world::message(1, &bob, copies)).await;
    sender.sent().await;
    assert_eq!(&online.delivered().await.ciphertext[..], b"for 2");
    for (device, text) in [(&bob.devices[0], "for 1"), (&bob.devices[2], "for 3")] {
        let (mut socket, _) = world.connect(device).await;
        let delivers = socket.until_drained().await;
        assert_eq!(delivers.len(), 1);
        assert_eq!(delivers[0].ciphertext, text.as_bytes());
    }
}

#[actix_web::test]
async fn a_device_is_told_of_low_prekeys_and_of_its_accounts_new_list() {
    let world = World::start().await;
    let mut bob = world.person("bob").await;
    let mut socket = world.online(&bob.devices[0]).await;
    world.core().hub.notify(&bob.devices[0].address, Notice::PrekeysLow { left: 24 });
    assert_eq!(socket.frame().await, ServerFrame::PrekeysLow { left: 24 });
    world.add_device(&mut bob).await;
    assert_eq!(socket.frame().await, ServerFrame::DeviceListChanged { account: bob.id, version: 2 });
}

#[actix_web::test]
async fn a_device_that_connects_with_few_prekeys_is_told_so() {
    let world = World::start().await;
    let bob = world.person("bob").await;
    for _ in 0..6 {
        let device = bob.devices[0].address.device;
        world.core().store.take_bundle(bob.id, device, true, UnixMillis(0)).await.unwrap().unwrap();
    }
    let (mut socket, _) = world.connect(&bob.devices[0]).await;
    assert_eq!(socket.frame().await, ServerFrame::PrekeysLow { left: 24 });
    assert_eq!(socket.frame().await, ServerFrame::Drained);
}

#[actix_web::test]
async fn a_removed_devices_messages_are_reported_to_their_sender_durably() {
    let world = World::start().await;
    let (alice, mut bob) = (world.person("alice").await, world.person("bob").await);
    world.add_device(&mut bob).await;
    let mut sender = world.online(&alice.devices[0]).await;
    sender.send(text(1, &bob, "text")).await;
    sender.sent().await;
    let removed = bob.devices[1].address;
    let kept = bob.devices[..1].to_vec();
    world.publish(&mut bob, kept).await;
    let expired = |frame| match frame {
        ServerFrame::Expired(expired) => expired,
        other => panic!("{other:?}"),
    };
    let live = expired(sender.frame().await);
    assert_eq!((live.to, live.numbers.len()), (removed, 1));
    let (mut again, _) = world.connect(&alice.devices[0]).await;
    assert_eq!(expired(again.frame().await), live, "it was not acked");
    again.ack(&[live.id]).await;
    assert_eq!(again.frame().await, ServerFrame::Drained);
    // The next socket takes over, and what this one has not read by then counts for nothing.
    again.is_quiet().await;
    drop(again);
    eventually(async || {
        let (mut socket, welcome) = world.connect(&alice.devices[0]).await;
        socket.put(ClientFrame::Ping { nonce: 1 }).await;
        welcome.pending == 0
    })
    .await;
}

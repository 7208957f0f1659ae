//! Only the owner's ack counts, and only for a row that was delivered on its own stream.

use std::collections::BTreeSet;

use sealpost_api::frames::{ClientFrame, Send, SendKind, ServerFrame};
use sealpost_api::ids::RowId;
use sealpost_api::limits::DELIVERY_WINDOW_ROWS;
use sealpost_api::problem::ProblemCode;
use sealpost_server::store::QueueItem;

use super::world::{Device, Socket, World, message, text};

fn unknown_ack(frame: &ServerFrame) -> bool {
    matches!(frame, ServerFrame::Error { code: ProblemCode::AckUnknown, close: false, .. })
}

/// Acks these, and demands that it is refused before anything else is answered.
async fn refused_ack(socket: &mut Socket, ids: &[RowId]) {
    socket.ack(ids).await;
    socket.put(ClientFrame::Ping { nonce: 1 }).await;
    let frame = socket.frame().await;
    assert!(unknown_ack(&frame), "{ids:?}: {frame:?}");
    assert_eq!(socket.frame().await, ServerFrame::Pong { nonce: 1 });
}

/// Returns everything in a device's queue, delivered or not.
async fn rows(world: &World, device: &Device) -> Vec<QueueItem> {
    world.core().store.undelivered(device.address, &BTreeSet::new(), 1_000, usize::MAX).await.unwrap()
}

#[actix_web::test]
async fn threat_20_nobody_elses_ack_deletes_a_row() {
    let world = World::start().await;
    let (alice, mut bob, carol) = (world.person("alice").await, world.person("bob").await, world.person("carol").await);
    world.add_device(&mut bob).await;
    world.add_device(&mut bob).await;
    let mut sender = world.online(&alice.devices[0]).await;
    // Messages for one device alone, and one whose recipient is removed: a notice, which is acked like a message.
    let victim = &bob.devices[0];
    for number in 1..=5 {
        let send = Send { kind: SendKind::Device, ..message(number, &bob, vec![victim.copy("for the first")]) };
        sender.send(send).await;
        sender.sent().await;
    }
    let mut victims_socket = world.online_with(victim, 5).await;
    victims_socket.send(Send { kind: SendKind::Device, ..message(1, &bob, vec![bob.devices[2].copy("lost")]) }).await;
    victims_socket.sent().await;
    let kept = bob.devices[..2].to_vec();
    world.publish(&mut bob, kept).await;
    let victim = &bob.devices[0];
    let before = rows(&world, victim).await;
    assert!(matches!(before.as_slice(), [QueueItem::Expired { .. }, rest @ ..] if rest.len() == 5), "{before:?}");
    // The other device of the account, the sender, and a stranger; none has a row of its own.
    for other in [&bob.devices[1], &alice.devices[0], &carol.devices[0]] {
        let mut socket = world.online(other).await;
        for id in before.iter().map(QueueItem::id) {
            refused_ack(&mut socket, &[id]).await;
        }
        refused_ack(&mut socket, &before.iter().map(QueueItem::id).collect::<Vec<_>>()).await;
        assert_eq!(rows(&world, victim).await, before);
    }
}

#[actix_web::test]
async fn threat_21_a_row_that_was_not_delivered_here_cannot_be_acked() {
    let world = World::start().await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let mut sender = world.online(&alice.devices[0]).await;
    let more_than_a_window = DELIVERY_WINDOW_ROWS as u64 + 10;
    for number in 1..=more_than_a_window {
        sender.send(text(number, &bob, "text")).await;
        sender.sent().await;
    }
    let ids: Vec<RowId> = rows(&world, &bob.devices[0]).await.iter().map(QueueItem::id).collect();
    let (delivered, waiting) = ids.split_at(DELIVERY_WINDOW_ROWS);
    let (mut socket, _) = world.connect(&bob.devices[0]).await;
    for id in delivered {
        assert_eq!(socket.delivered().await.id, *id);
    }
    // One at a time, all up to the last as a cumulative ack would, and together with what was delivered.
    for wrong in [&waiting[..1], &ids[..], &[delivered[0], waiting[9]][..]] {
        refused_ack(&mut socket, wrong).await;
    }
    assert_eq!(world.queued(&bob.devices[0]).await, more_than_a_window);
    socket.ack(delivered).await;
    for id in waiting {
        assert_eq!(socket.delivered().await.id, *id, "it is delivered all the same");
    }
    // A new socket begins with nothing delivered.
    world.until_queued(&bob.devices[0], 10).await;
    let (mut again, _) = world.connect(&bob.devices[0]).await;
    again.ack(&delivered[..1]).await;
    loop {
        match again.frame().await {
            ServerFrame::Deliver(_) | ServerFrame::Drained => {}
            frame => break assert!(unknown_ack(&frame), "{frame:?}"),
        }
    }
    assert_eq!(world.queued(&bob.devices[0]).await, 10);
}

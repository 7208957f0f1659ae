//! Many accounts that send one offline device all that they are let.

use std::collections::BTreeMap;

use sealpost_api::frames::ServerFrame;
use sealpost_api::problem::ProblemCode;
use sealpost_crypto::DeviceAddress;
use sealpost_server::store::QueueLimits;

use super::world::{DAY, Options, Person, World, message};

/// Each a stranger with an account of its own.
const ATTACKERS: usize = 50;

/// Sends until the first refusal, many at a time, and says how many were accepted.
async fn flood(world: &World, attacker: &Person, victim: &Person, bytes: usize) -> u64 {
    let mut socket = world.online(&attacker.devices[0]).await;
    let (mut accepted, mut next, mut refused) = (0, 1, false);
    while !refused {
        for number in next..next + 50 {
            socket.send(message(number, victim, vec![victim.devices[0].copy(vec![0x5a; bytes])])).await;
        }
        for _ in 0..50 {
            match socket.frame().await {
                ServerFrame::Sent(_) => accepted += 1,
                ServerFrame::Refused(refusal) => {
                    let quota = [ProblemCode::QueueShare, ProblemCode::QueueFull].contains(&refusal.code);
                    assert!(quota && refusal.retry_after > 0, "{refusal:?}");
                    refused = true;
                }
                other => panic!("{other:?}"),
            }
        }
        next += 50;
    }
    accepted
}

/// Fills a queue as far as fifty accounts can, and shows that a contact gets through and that nothing accepted is lost.
async fn fifty_accounts_flood(queue: QueueLimits, bytes: usize) {
    let world = World::start_with(Options { queue, ..Options::default() }).await;
    let (victim, contact) = (world.person("victim").await, world.person("contact").await);
    let mut accepted: BTreeMap<DeviceAddress, u64> = BTreeMap::new();
    for number in 0..ATTACKERS {
        let attacker = world.person(&format!("attacker{number}")).await;
        accepted.insert(attacker.devices[0].address, flood(&world, &attacker, &victim, bytes).await);
        // I11: never above the quota.
        let device = world.core().store.device(victim.devices[0].address).await.unwrap().unwrap();
        assert!(device.queued_bytes <= queue.bytes_max && device.queued_messages <= queue.messages_max);
        assert_eq!(device.queued_messages, accepted.values().sum::<u64>());
        assert_eq!(device.queued_bytes, device.queued_messages * bytes as u64);
    }
    let mut socket = world.online(&contact.devices[0]).await;
    for number in 1..=2 {
        socket.send(message(number, &victim, vec![victim.devices[0].copy("from a contact")])).await;
        socket.sent().await;
    }
    accepted.insert(contact.devices[0].address, 2);
    // Every message that was accepted arrives, each sender's in order; none that was refused does.
    let (mut reader, welcome) = world.connect(&victim.devices[0]).await;
    assert_eq!(welcome.pending, accepted.values().sum::<u64>());
    let mut arrived: BTreeMap<DeviceAddress, u64> = BTreeMap::new();
    loop {
        match reader.frame().await {
            ServerFrame::Deliver(deliver) => {
                let count = arrived.entry(deliver.from).or_default();
                *count += 1;
                assert_eq!(deliver.number.0, *count);
                reader.ack(&[deliver.id]).await;
            }
            ServerFrame::Drained => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(arrived, accepted);
    world.until_queued(&victim.devices[0], 0).await;
}

#[actix_web::test]
async fn threat_24_fifty_accounts_that_flood_with_messages_leave_room_for_a_contact() {
    let queue = QueueLimits {
        messages_max: 2_000,
        bytes_max: 64 * 1024 * 1024,
        sender_messages_max: 200,
        dormant_after_millis: 30 * DAY,
    };
    fifty_accounts_flood(queue, 100).await;
}

#[actix_web::test]
async fn threat_24_fifty_accounts_that_flood_with_bytes_leave_room_for_a_contact() {
    let queue = QueueLimits {
        messages_max: 10_000,
        bytes_max: 8 * 1024 * 1024,
        sender_messages_max: 1_000,
        dormant_after_millis: 30 * DAY,
    };
    fifty_accounts_flood(queue, 8 * 1024).await;
}

use sealpost_api::frames::{ExpiryReason, MissedReason, ServerFrame};
use sealpost_api::limits::QUEUE_RETENTION_MILLIS;
use sealpost_api::password::AccessToken;

use super::world::{Device, World, text};

/// The device with an access token of now.
fn renewed(world: &World, device: &Device) -> Device {
    let token: AccessToken = world.renew(device);
    Device { token: token.reveal().to_owned(), ..device.clone() }
}

#[actix_web::test]
async fn what_waited_for_thirty_days_expires_and_both_sides_are_told() {
    let world = World::start().await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let (from, to) = (&alice.devices[0], &bob.devices[0]);
    let mut sender = world.online(from).await;
    for number in 1..=600 {
        if number % 50 == 0 {
            world.pass(60_000);
        }
        sender.send(text(number, &bob, "text")).await;
        sender.sent().await;
    }
    drop(sender);
    world.pass(QUEUE_RETENTION_MILLIS - 12 * 60_000);
    assert_eq!(world.core().expire().await.unwrap(), 0, "not a moment early");
    let mut sender = world.online(&renewed(&world, from)).await;
    world.pass(13 * 60_000);
    assert_eq!(world.core().expire().await.unwrap(), 600, "in more than one step");
    let mut told = Vec::new();
    while told.len() < 600 {
        match sender.frame().await {
            ServerFrame::Expired(expired) => {
                assert_eq!((expired.to, expired.reason), (to.address, ExpiryReason::Expired));
                told.extend(expired.numbers.into_iter().map(|number| number.0));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told, (1..=600).collect::<Vec<_>>());
    let (mut receiver, _) = world.connect(&renewed(&world, to)).await;
    match receiver.frame().await {
        ServerFrame::Missed(missed) => {
            assert_eq!((missed.from, missed.count, missed.reason), (from.address, 600, MissedReason::Expired));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(receiver.frame().await, ServerFrame::Drained);
    assert_eq!(world.queued(to).await, 0);
    assert_eq!(world.core().expire().await.unwrap(), 0);
}

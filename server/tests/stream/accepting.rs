use sealpost_api::frames::{Send, SendKind, ServerFrame, SkipReason, Skipped};
use sealpost_api::ids::MessageNumber;
use sealpost_api::limits::CIPHERTEXT_MAX_BYTES;
use sealpost_api::problem::ProblemCode;
use sealpost_crypto::RegistrationId;
use sealpost_server::base::config::Limit;

use super::world::{DAY, Device, Options, World, message, text};

#[actix_web::test]
async fn the_same_number_again_is_stored_once_on_the_same_socket_and_on_a_new_one() {
    let world = World::start().await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let mut sender = world.online(&alice.devices[0]).await;
    sender.send(text(1, &bob, "text")).await;
    assert_ne!(sender.sent().await.accepted_at, 0);
    sender.send(text(1, &bob, "text")).await;
    assert_eq!(sender.sent().await.accepted_at, 0, "it had been accepted before");
    drop(sender);
    let (mut sender, welcome) = world.connect(&alice.devices[0]).await;
    assert_eq!(welcome.highest_number.0, 1);
    sender.until_drained().await;
    sender.send(text(1, &bob, "text")).await;
    assert_eq!(sender.sent().await.accepted_at, 0);
    assert_eq!(world.queued(&bob.devices[0]).await, 1);
}

#[actix_web::test]
async fn a_number_belongs_to_its_bytes() {
    let world = World::start().await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let mut sender = world.online(&alice.devices[0]).await;
    sender.send(text(1, &bob, "text")).await;
    sender.sent().await;
    sender.send(text(1, &bob, "other")).await;
    // A number in the window is answered `Sent` or `number_conflict`; it never stores anything.
    match sender.frame().await {
        ServerFrame::Refused(refused) => assert_eq!(refused.code, ProblemCode::NumberConflict),
        other => panic!("{other:?}"),
    }
    let (mut receiver, _) = world.connect(&bob.devices[0]).await;
    let delivers = receiver.until_drained().await;
    assert_eq!(delivers.iter().map(|deliver| &deliver.ciphertext[..]).collect::<Vec<_>>(), [b"text"]);
}

#[actix_web::test]
async fn copies_that_do_not_match_the_list_are_named_and_nothing_is_stored() {
    let world = World::start().await;
    let (alice, mut bob) = (world.person("alice").await, world.person("bob").await);
    world.add_device(&mut bob).await;
    let mut sender = world.online(&alice.devices[0]).await;
    let (one, two) = (bob.devices[0].copy("x"), bob.devices[1].copy("x"));
    let extra = Device::new(bob.id, 3).copy("x");
    let mut stale = two.clone();
    stale.registration = RegistrationId::from_bytes([9; 32]);
    let (first, second, third) = (one.device, two.device, extra.device);
    for (number, copies, wrong) in [
        (1, vec![one.clone()], (vec![second], vec![], vec![])),
        (2, vec![one.clone(), two.clone(), extra.clone()], (vec![], vec![third], vec![])),
        (3, vec![one.clone(), stale], (vec![], vec![], vec![second])),
        (4, vec![extra], (vec![first, second], vec![third], vec![])),
    ] {
        sender.send(message(number, &bob, copies)).await;
        let refused = sender.refused().await;
        assert_eq!(refused.code, ProblemCode::DevicesMismatch);
        assert_eq!((refused.missing, refused.extra, refused.stale), wrong);
        assert!(!refused.maybe_stored);
    }
    for device in &bob.devices {
        assert_eq!(world.queued(device).await, 0);
    }
    sender.send(message(1, &bob, vec![one, two])).await;
    assert_ne!(sender.sent().await.accepted_at, 0, "a refused number was not used up");
}

#[actix_web::test]
async fn one_device_can_be_written_to_alone_for_repair() {
    let world = World::start().await;
    let (alice, mut bob) = (world.person("alice").await, world.person("bob").await);
    world.add_device(&mut bob).await;
    let mut sender = world.online(&alice.devices[0]).await;
    let send = Send { kind: SendKind::Device, ..message(1, &bob, vec![bob.devices[1].copy("x")]) };
    sender.send(send).await;
    sender.sent().await;
    assert_eq!((world.queued(&bob.devices[0]).await, world.queued(&bob.devices[1]).await), (0, 1));
}

#[actix_web::test]
async fn a_full_device_is_skipped_and_named_and_the_others_get_the_message() {
    let mut options = Options::default();
    options.queue.messages_max = 3;
    let world = World::start_with(options).await;
    let (alice, mut bob) = (world.person("alice").await, world.person("bob").await);
    let mut sender = world.online(&alice.devices[0]).await;
    for number in 1..=3 {
        sender.send(text(number, &bob, "text")).await;
        sender.sent().await;
    }
    sender.send(text(4, &bob, "text")).await;
    assert_eq!(sender.refused().await.code, ProblemCode::QueueFull, "its only device is full");
    world.add_device(&mut bob).await;
    sender.send(text(5, &bob, "text")).await;
    let full = Skipped { device: bob.devices[0].address.device, reason: SkipReason::QueueFull };
    assert_eq!(sender.sent().await.skipped, [full]);
    assert_eq!(world.queued(&bob.devices[1]).await, 1);
    let (mut receiver, _) = world.connect(&bob.devices[0]).await;
    let mut missed = None;
    loop {
        match receiver.frame().await {
            ServerFrame::Missed(notice) => missed = Some(notice),
            ServerFrame::Deliver(_) => {}
            ServerFrame::Drained => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(missed.map(|missed| (missed.from, missed.count)), Some((alice.devices[0].address, 1)));
}

#[actix_web::test]
async fn a_dormant_device_is_skipped_and_named_and_its_copy_is_optional() {
    let world = World::start().await;
    let (alice, mut bob) = (world.person("alice").await, world.person("bob").await);
    world.add_device(&mut bob).await;
    world.pass(31 * DAY);
    for device in bob.devices.iter_mut().take(1) {
        device.token = world.renew(device).reveal().to_owned();
    }
    let mut alice = alice;
    alice.devices[0].token = world.renew(&alice.devices[0]).reveal().to_owned();
    drop(world.online(&bob.devices[0]).await);
    let mut sender = world.online(&alice.devices[0]).await;
    let dormant = Skipped { device: bob.devices[1].address.device, reason: SkipReason::Dormant };
    sender.send(text(1, &bob, "text")).await;
    assert_eq!(sender.sent().await.skipped, [dormant]);
    sender.send(message(2, &bob, vec![bob.devices[0].copy("text")])).await;
    assert_eq!(sender.sent().await.skipped, [dormant]);
    assert_eq!((world.queued(&bob.devices[0]).await, world.queued(&bob.devices[1]).await), (2, 0));
}

#[actix_web::test]
async fn a_socket_may_send_its_whole_pipeline_before_it_reads() {
    let world = World::start().await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let mut sender = world.online(&alice.devices[0]).await;
    for number in 1..=256 {
        sender.send(text(number, &bob, "text")).await;
    }
    for number in 1..=256 {
        assert_eq!(sender.sent().await.number.0, number);
    }
    assert_eq!(world.queued(&bob.devices[0]).await, 256);
}

#[actix_web::test]
async fn what_is_wrong_with_one_send_is_answered_by_its_number_and_the_stream_goes_on() {
    let world = World::start().await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let stranger = world.person("stranger").await;
    let mut sender = world.online(&alice.devices[0]).await;
    let device = &bob.devices[0];
    for (send, code) in [
        (text(0, &bob, "x"), ProblemCode::NumberInvalid),
        (message(1, &bob, vec![]), ProblemCode::CopiesInvalid),
        (message(2, &bob, vec![device.copy("")]), ProblemCode::CiphertextTooLarge),
        (message(3, &bob, vec![device.copy(vec![0; CIPHERTEXT_MAX_BYTES + 1])]), ProblemCode::CiphertextTooLarge),
        (
            Send { to: sealpost_crypto::AccountId::from_bytes([0xee; 16]), ..text(4, &stranger, "x") },
            ProblemCode::RecipientUnknown,
        ),
    ] {
        let number = send.number;
        sender.send(send).await;
        let refused = sender.refused().await;
        assert_eq!((refused.number, refused.code), (number, code));
    }
    sender.send(message(5, &bob, vec![device.copy(vec![0; CIPHERTEXT_MAX_BYTES])])).await;
    assert_eq!(sender.sent().await.number, MessageNumber(5));
    assert_eq!(world.queued(device).await, 1);
}

#[actix_web::test]
async fn a_sender_above_the_rate_is_told_when_to_come_back_and_a_retry_of_an_accepted_number_is_not_limited() {
    let mut options = Options::default();
    options.limits.set("send_pair", Limit { burst: 2, tokens: 1, per_seconds: 1 }).unwrap();
    let world = World::start_with(options).await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let mut sender = world.online(&alice.devices[0]).await;
    for number in 1..=2 {
        sender.send(text(number, &bob, "text")).await;
        sender.sent().await;
    }
    sender.send(text(3, &bob, "text")).await;
    let refused = sender.refused().await;
    assert_eq!((refused.code, refused.retry_after), (ProblemCode::RateLimited, 1_000));
    sender.send(text(2, &bob, "text")).await;
    assert_eq!(sender.sent().await.number.0, 2);
    world.pass(1_000);
    sender.send(text(3, &bob, "text")).await;
    assert_eq!(sender.sent().await.number.0, 3);
}

#[actix_web::test]
async fn repeating_what_was_accepted_takes_nothing_from_the_rate() {
    let mut options = Options::default();
    options.limits.set("send_pair", Limit { burst: 3, tokens: 1, per_seconds: 1 }).unwrap();
    let world = World::start_with(options).await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let mut sender = world.online(&alice.devices[0]).await;
    sender.send(text(1, &bob, "text")).await;
    assert_ne!(sender.sent().await.accepted_at, 0);
    for _ in 0..5 {
        sender.send(text(1, &bob, "text")).await;
        assert_eq!(sender.sent().await.accepted_at, 0);
    }
    for number in 2..=3 {
        sender.send(text(number, &bob, "text")).await;
        assert_eq!(sender.sent().await.number.0, number);
    }
    sender.send(text(4, &bob, "text")).await;
    assert_eq!(sender.refused().await.code, ProblemCode::RateLimited);
}

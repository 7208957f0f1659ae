//! A malicious server: what it changes, drops, repeats, exchanges or makes up is refused or shown.

use bytes::Bytes;
use sealpost_api::encoding::{B64, EncodedDeviceList};
use sealpost_client::engine::{Command, CommandError, GapKind, MessageFlag, NoticeBody, Outcome, Undecryptable};
use sealpost_client::vault::Table;
use sealpost_crypto::{
    AccountIdentityKeyPair, DeviceAddress, DeviceEntry, DeviceIdentityKeyPair, DeviceList, DeviceListBody, LocalDevice,
    PairSessions, PrekeyBundle, PrekeyPublic, RemoteDevice, SignedPrekey, SignedPrekeyId, UnixMillis,
};

use crate::support::server::Row;
use crate::support::{World, name};

/// A conversation under way, with messages of Alice's in Bobby's queue.
fn queued(texts: &[&str]) -> (World, DeviceAddress) {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "hi");
    world.sent(1, "alice", "hi");
    world.offline(1);
    for text in texts {
        world.sent(0, "bobby", text);
    }
    let address = world.address(1);
    (world, address)
}

fn rows(world: &mut World, address: DeviceAddress) -> Vec<(u64, Row)> {
    world.server.device(address).queue.iter().map(|(row, item)| (*row, item.clone())).collect()
}

fn put(world: &mut World, address: DeviceAddress, item: Row) {
    let row = world.server.store.next_row;
    world.server.store.next_row += 1;
    world.server.device(address).queue.insert(row, item);
    world.deliver_all();
    world.run();
}

#[test]
fn threat_18_reordered_messages_are_shown_in_order() {
    let (mut world, address) = queued(&["1", "2", "3", "4"]);
    let items = rows(&mut world, address);
    for ((row, _), (_, item)) in items.iter().zip(items.iter().rev()) {
        world.server.device(address).queue.insert(*row, item.clone());
    }
    world.online(1);
    assert_eq!(world.shown(1), ["hi", "1", "2", "3", "4"]);
    assert_eq!(world.warnings(1), []);
}

#[test]
fn threat_19_a_dropped_message_is_a_visible_gap() {
    let (mut world, address) = queued(&["1", "2", "3"]);
    let (row, _) = rows(&mut world, address)[1];
    world.server.device(address).queue.remove(&row);
    world.online(1);
    assert_eq!(world.shown(1), ["hi", "1", "3"]);
    let warnings = world.warnings(1);
    assert!(
        matches!(&warnings[..], [NoticeBody::Gap { kind: GapKind::Missing { first: 3, last: 3 }, .. }]),
        "{warnings:?}"
    );
}

#[test]
fn a_gap_is_withdrawn_when_the_missing_message_comes() {
    for printed in [false, true] {
        let (mut world, address) = queued(&["1", "2", "3"]);
        let (row, item) = rows(&mut world, address)[1].clone();
        world.server.device(address).queue.remove(&row);
        world.online(1);
        if printed {
            let last = world.notices(1).last().unwrap().position;
            world.query(1, |engine, context| engine.mark_printed(context, last).unwrap());
        }
        put(&mut world, address, item);
        let late = world.shown_messages(1).pop().unwrap();
        assert_eq!((late.text.as_str(), late.flags), ("2", vec![MessageFlag::Late]));
        let warnings = world.warnings(1);
        if printed {
            assert!(matches!(&warnings[..], [NoticeBody::GapClosed { counter: 3, .. }]), "{warnings:?}");
        } else {
            assert_eq!(warnings, []);
        }
    }
}

#[test]
fn while_connected_a_missing_message_is_waited_for_and_then_said_to_be_missing() {
    let (mut world, address) = queued(&[]);
    world.online(1);
    world.server.paused = true;
    world.sent(0, "bobby", "1");
    world.sent(0, "bobby", "2");
    let (row, _) = rows(&mut world, address)[0];
    world.server.device(address).queue.remove(&row);
    world.server.paused = false;
    world.deliver_all();
    world.run();
    assert_eq!(world.shown(1), ["hi"]);
    world.pass(29_000);
    assert_eq!(world.shown(1), ["hi"]);
    world.pass(2_000);
    assert_eq!(world.shown(1), ["hi", "2"]);
    assert_eq!(world.warnings(1).len(), 1);
}

#[test]
fn threat_17_replayed_messages_are_shown_once() {
    let (mut world, address) = queued(&["1", "2"]);
    let items = rows(&mut world, address);
    world.online(1);
    for days in 0..3 {
        world.pass(days * 86_400_000);
        for (_, item) in &items {
            put(&mut world, address, item.clone());
            put(&mut world, address, Row { number: item.number + 1_000 * (days + 1), ..item.clone() });
        }
    }
    assert_eq!(world.shown(1), ["hi", "1", "2"]);
    assert_eq!(world.warnings(1), []);
}

#[test]
fn threat_11_a_replayed_initial_message_is_shown_once_and_makes_one_session() {
    let mut world = World::with(&["alice", "bobby"]);
    world.offline(1);
    world.sent(0, "bobby", "first");
    let address = world.address(1);
    let (_, item) = rows(&mut world, address)[0].clone();
    let prekeys = |world: &mut World| world.query(1, |_, context| context.vault.count(Table::Prekey).unwrap());
    assert_eq!(prekeys(&mut world), 101);
    world.online(1);
    assert_eq!(prekeys(&mut world), 100, "the one-time prekey that was used is deleted");
    for index in 0..100 {
        put(&mut world, address, Row { number: 500 + index, ..item.clone() });
    }
    assert_eq!(world.shown(1), ["first"]);
    assert_eq!(world.warnings(1), []);
    world.sent(1, "alice", "reply");
    assert_eq!(world.shown(0), ["reply"]);
}

#[test]
fn a_relabelled_message_is_shown_as_such() {
    let (mut world, address) = queued(&["1"]);
    for item in world.server.device(address).queue.values_mut() {
        item.number += 7;
    }
    world.online(1);
    let message = world.shown_messages(1).pop().unwrap();
    assert_eq!((message.text.as_str(), message.flags), ("1", vec![MessageFlag::Relabelled]));
}

#[test]
fn another_message_under_a_used_number_is_reported_and_not_dropped() {
    let (mut world, address) = queued(&["1", "2"]);
    let items = rows(&mut world, address);
    let number = items[0].1.number;
    world.server.device(address).queue.get_mut(&items[1].0).unwrap().number = number;
    world.online(1);
    let messages = world.shown_messages(1);
    assert_eq!(messages.last().unwrap().text, "2");
    assert_eq!(messages.last().unwrap().flags, [MessageFlag::Relabelled]);
    assert!(matches!(&world.warnings(1)[..], [NoticeBody::NumberReused { .. }]));
}

#[test]
fn threat_25_one_poisoned_message_stops_nothing() {
    let (mut world, address) = queued(&["1", "2", "3"]);
    let (row, _) = rows(&mut world, address)[1];
    world.server.device(address).queue.get_mut(&row).unwrap().ciphertext = Bytes::from_static(b"poison");
    // The repair that follows is another test's.
    world.offline(0);
    world.online(1);
    assert_eq!(world.shown(1), ["hi", "1", "3"]);
    assert!(matches!(
        world.warnings(1)[0],
        NoticeBody::Undecryptable { reason: Undecryptable::Malformed, asked_again: true, .. }
    ));
    assert!(world.server.device(address).queue.is_empty());
}

#[test]
fn threat_12_a_message_for_another_is_not_taken_for_ones_own() {
    let mut world = World::with(&["alice", "bobby", "carol"]);
    world.offline(1);
    world.sent(0, "bobby", "for bobby");
    let (bobby, carol) = (world.address(1), world.address(2));
    let (_, item) = rows(&mut world, bobby)[0].clone();
    put(&mut world, carol, item);
    assert!(world.shown(2).is_empty());
    assert!(matches!(&world.warnings(2)[..], [NoticeBody::Undecryptable { .. }]));
}

#[test]
fn threat_6_a_bundle_that_the_device_did_not_sign_is_refused_and_nothing_is_sent() {
    for flaw in 0..3 {
        let mut world = World::with(&["alice", "bobby"]);
        world.server.tamper_bundles = Some(Box::new(move |response| {
            let bundle = &mut response.bundles[0];
            let signed = bundle.signed_prekey.as_mut().unwrap();
            match flaw {
                0 => signed.key = B64(PrekeyPublic::from_bytes(&[9; 32]).unwrap()),
                1 => signed.expires_at += 1,
                _ => bundle.registration_id = B64(sealpost_crypto::RegistrationId::from_bytes([9; 32])),
            }
        }));
        let outcome = world.send(0, "bobby", "secret");
        assert_eq!(outcome, Some(Err(CommandError::BadAnswer)), "{flaw}");
        world.pass(60_000);
        assert_eq!(world.sends_on_wire, 0, "{flaw}");
    }
}

#[test]
fn threat_13_an_expired_signed_prekey_is_refused() {
    let mut world = World::with(&["alice", "bobby"]);
    world.offline(1);
    world.pass(46 * 86_400_000);
    assert_eq!(world.send(0, "bobby", "secret"), Some(Err(CommandError::BadAnswer)));
    assert_eq!(world.sends_on_wire, 0);
}

#[test]
fn threat_8_a_list_of_another_account_or_an_older_one_is_not_followed() {
    let mut world = World::with(&["alice", "bobby", "mallory"]);
    let foreign = world.server.account("mallory").lists[0].encoded().to_vec();
    world.server.tamper_bundles = Some(Box::new(move |response| {
        response.device_list = B64(EncodedDeviceList(foreign.clone()));
    }));
    assert_eq!(world.send(0, "bobby", "secret"), Some(Err(CommandError::BadAnswer)));
    assert_eq!(world.sends_on_wire, 0);
}

#[test]
fn threat_7_another_account_under_a_pinned_name_blocks_sending_until_it_is_accepted() {
    let mut world = World::with(&["alice", "bobby", "mallory"]);
    world.sent(0, "bobby", "before");
    let before = world.query(0, |engine, _| engine.safety_number(&name("bobby")).unwrap().digits());
    let mallory = world.server.account("mallory").clone();
    world.server.store.accounts.insert("bobby".to_owned(), mallory);
    world.server.store.accounts.remove("mallory");
    let looked_up = world.command(0, Command::LookUp(name("bobby")));
    assert!(matches!(looked_up, Some(Ok(Outcome::Contact(info))) if info.identity_changed));
    let sends = world.sends_on_wire;
    assert_eq!(world.send(0, "bobby", "secret"), Some(Err(CommandError::IdentityChanged { name: name("bobby") })));
    assert_eq!(world.sends_on_wire, sends);
    assert!(matches!(&world.warnings(0)[..], [NoticeBody::IdentityChanged { .. }]));
    let after = world.query(0, |engine, _| engine.safety_number(&name("bobby")).unwrap().digits());
    assert_ne!(before, after);
}

#[test]
fn threat_7_safety_numbers_are_the_same_on_both_sides_unless_someone_stands_between() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "hi");
    let alices = world.query(0, |engine, _| engine.safety_number(&name("bobby")).unwrap().digits());
    let bobbys = world.query(1, |engine, _| engine.safety_number(&name("alice")).unwrap().digits());
    assert_eq!(alices, bobbys);
}

#[test]
fn a_sender_whose_name_does_not_lead_to_it_is_shown_as_unknown() {
    let mut world = World::with(&["alice", "bobby"]);
    let account = world.server.store.accounts.remove("alice").unwrap();
    world.server.store.accounts.insert("someone".to_owned(), account.clone());
    world.sent(0, "bobby", "I am alice");
    assert_eq!(world.server.looked_up, ["bobby", "alice"]);
    assert_eq!(world.shown_messages(1)[0].peer, format!("unknown:{}", account.id));
}

/// A first message to `victim` from a device of somebody else, with keys and a device list of the server's own making.
fn forged(world: &mut World, victim: usize, from: DeviceAddress) -> Row {
    let identity = AccountIdentityKeyPair::from_seed(&[7; 32]);
    let device = DeviceIdentityKeyPair::from_seed(&[8; 32]);
    let list = DeviceList::sign(
        &identity,
        DeviceListBody {
            account: from.account,
            account_identity: identity.public(),
            version: 1,
            previous_hash: [0; 32],
            new_identity: false,
            devices: vec![DeviceEntry {
                device: from.device,
                registration: from.registration,
                identity: device.public(),
            }],
        },
    )
    .unwrap();
    let local =
        LocalDevice { address: from, account_identity: identity.public(), identity: &device, device_list: &list };
    let address = world.address(victim);
    let victims_name = world.clients[victim].engine.whoami().unwrap().username;
    let victims_list = world.server.account(victims_name.as_str()).lists.last().unwrap().clone();
    let remote = RemoteDevice::from_list(&victims_list, address.device).unwrap();
    let signed = world.server.device(address).signed_prekey.clone().unwrap();
    let bundle = PrekeyBundle {
        address,
        signed_prekey: SignedPrekey {
            id: SignedPrekeyId(signed.id),
            key: signed.key.0,
            expires_at: UnixMillis(signed.expires_at),
            signature: signed.signature.0,
        },
        one_time_prekey: None,
    };
    let bundle = bundle.verify(&remote, UnixMillis(world.now)).unwrap();
    let mut rng = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(99);
    let mut pair = PairSessions::new(remote);
    pair.initiate(&mut rng, &local, &bundle).unwrap();
    let mut record = vec![1, 1];
    record.extend_from_slice(&1_u64.to_be_bytes());
    record.extend_from_slice(&[5; 16]);
    record.extend_from_slice(&3_u64.to_be_bytes());
    record.extend_from_slice(&1_u64.to_be_bytes());
    record.extend_from_slice(&[0; 32]);
    record.extend_from_slice(&world.now.to_be_bytes());
    record.push(0);
    record.extend_from_slice(b"forged");
    let ciphertext = Bytes::from(pair.encrypt(&mut rng, &local, &record).unwrap());
    Row { from, number: 1, accepted_at: world.now, ciphertext }
}

#[test]
fn keys_that_the_server_puts_beside_a_pinned_device_are_refused_and_never_written_to() {
    let mut world = World::with(&["alice", "bobby"]);
    world.command(0, Command::LookUp(name("bobby"))).unwrap().unwrap();
    let (alice, bobby) = (world.address(0), world.address(1));
    let message = forged(&mut world, 0, bobby);
    put(&mut world, alice, message);
    assert!(world.shown(0).is_empty());
    assert!(
        matches!(&world.warnings(0)[..], [NoticeBody::Undecryptable { reason: Undecryptable::NotAuthentic, .. }]),
        "{:?}",
        world.warnings(0)
    );
    world.sent(0, "bobby", "for bobby alone");
    assert_eq!(world.shown(1).last().unwrap(), "for bobby alone");
}

#[test]
fn a_session_begun_before_its_device_was_pinned_is_not_written_to_with_other_keys() {
    let mut world = World::with(&["alice", "bobby"]);
    world.command(0, Command::LookUp(name("bobby"))).unwrap().unwrap();
    world.offline(0);
    let second = crate::devices::link(&mut world, 1);
    let (alice, device) = (world.address(0), world.address(second));
    let message = forged(&mut world, 0, device);
    put(&mut world, alice, message);
    world.online(0);
    let flags = world.shown_messages(0).pop().unwrap().flags;
    assert_eq!(flags, [MessageFlag::UnacceptedIdentity]);
    world.sent(0, "bobby", "for bobby alone");
    for client in [1, second] {
        assert_eq!(world.shown(client), ["for bobby alone"], "{client}");
        assert_eq!(world.warnings(client), [], "{client}");
    }
}

#[test]
fn nobody_else_speaks_for_the_own_account() {
    let mut world = World::with(&["alice"]);
    let alice = world.address(0);
    let other = DeviceAddress { registration: sealpost_crypto::RegistrationId::from_bytes([9; 32]), ..alice };
    for from in [alice, other] {
        let message = forged(&mut world, 0, from);
        put(&mut world, alice, message);
    }
    assert!(world.shown(0).is_empty());
    assert_eq!(world.warnings(0).len(), 2);
}

//! A malicious server that gives itself out for somebody: other keys, other identities, other devices, other senders.

use bytes::Bytes;
use sealpost_api::devices::DeviceLists;
use sealpost_api::encoding::{B64, EncodedDeviceList};
use sealpost_api::prekeys::{DeviceBundle, SignedPrekeyBody};
use sealpost_api::problem::ProblemCode;
use sealpost_client::engine::{Command, CommandError, MessageFlag, NoticeBody, Outcome, Undecryptable};
use sealpost_crypto::{
    AccountIdentityKeyPair, DeviceAddress, DeviceEntry, DeviceId, DeviceIdentityKey, DeviceIdentityKeyPair, DeviceList,
    DeviceListBody, LocalDevice, PairSessions, PrekeyBundle, PrekeyPublic, RegistrationId, RemoteDevice, Signature,
    SignedPrekey, SignedPrekeyId, SignedPrekeyPair, UnixMillis,
};

use crate::mallory::{put, rows};
use crate::support::server::{Device, Row};
use crate::support::{World, name};

const DAY_MS: u64 = 86_400_000;

/// The server's own keys.
fn servers_account() -> AccountIdentityKeyPair {
    AccountIdentityKeyPair::from_seed(&[7; 32])
}

fn servers_device() -> DeviceIdentityKeyPair {
    DeviceIdentityKeyPair::from_seed(&[8; 32])
}

/// A device of the server's making.
fn servers_entry(device: u8) -> DeviceEntry {
    DeviceEntry {
        device: DeviceId::new(device).unwrap(),
        registration: RegistrationId::from_bytes([9; 32]),
        identity: servers_device().public(),
    }
}

/// A signed prekey of the server's making.
fn servers_prekey(world: &World, address: &DeviceAddress) -> SignedPrekeyBody {
    let mut rng = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(98);
    let pair = SignedPrekeyPair::generate(&mut rng, SignedPrekeyId(1), UnixMillis(world.now));
    let signed = pair.signed(address, &servers_device());
    SignedPrekeyBody {
        id: signed.id.0,
        key: B64(signed.key),
        expires_at: signed.expires_at.0,
        signature: B64(signed.signature),
    }
}

fn newest(world: &World, of: &str) -> DeviceList {
    world.server.account(of).lists.last().unwrap().clone()
}

/// The next list of an account as the server would like it: with a device of its own, and signed by a key of its own under
/// the account's name.
fn with_ghost(list: &DeviceList) -> Vec<u8> {
    const IDENTITY_AT: usize = 1 + 16;
    let mut devices = list.devices().to_vec();
    devices.push(servers_entry(9));
    let body = DeviceListBody {
        account_identity: servers_account().public(),
        version: list.version() + 1,
        previous_hash: list.hash(),
        devices,
        ..list.body().clone()
    };
    let mut bytes = DeviceList::sign(&servers_account(), body).unwrap().encoded().to_vec();
    bytes[IDENTITY_AT..IDENTITY_AT + 32].copy_from_slice(list.account_identity().as_bytes());
    bytes
}

fn devices_of(world: &mut World, of: &str) -> Vec<u8> {
    let contact = world.query(0, |engine, _| engine.contact(&name(of)).unwrap());
    contact.devices.iter().map(|device| device.get()).collect()
}

#[test]
fn a_message_for_another_is_not_taken_for_ones_own() {
    let mut world = World::with(&["alice", "bobby", "carol"]);
    world.offline(1);
    world.sent(0, "bobby", "for bobby");
    let (bobby, carol) = (world.address(1), world.address(2));
    let (_, item) = rows(&mut world, bobby)[0].clone();
    put(&mut world, carol, item);
    assert!(world.shown(2).is_empty());
    assert!(matches!(&world.warnings(2)[..], [NoticeBody::Undecryptable { .. }]));
}

/// T-MALLORY-5: Alice's first message comes as if from Mallory, whose account claims Alice's device key for its own. The
/// secret is the same; only the associated data says between whom.
#[test]
fn threat_12_a_message_is_not_taken_for_one_of_an_account_that_claims_its_senders_key() {
    /// Where the sender's device list lies in an initial message that uses a one-time prekey.
    const LIST_AT: usize = 77;
    let mut world = World::with(&["alice", "bobby", "mallory"]);
    world.offline(1);
    world.sent(0, "bobby", "from Alice");
    let bobby = world.address(1);
    let (row, item) = rows(&mut world, bobby)[0].clone();
    world.server.device(bobby).queue.remove(&row);
    let mallory = newest(&world, "mallory").account();
    let entry = DeviceEntry {
        identity: DeviceIdentityKey::from_bytes(item.ciphertext[2..34].try_into().unwrap()).unwrap(),
        ..servers_entry(1)
    };
    let body = DeviceListBody {
        account: mallory,
        account_identity: servers_account().public(),
        devices: vec![entry],
        ..newest(&world, "alice").body().clone()
    };
    let list = DeviceList::sign(&servers_account(), body).unwrap();
    let mut ciphertext = item.ciphertext.to_vec();
    ciphertext[LIST_AT..LIST_AT + list.encoded().len()].copy_from_slice(list.encoded());
    let from = list.addresses().next().unwrap();
    world.online(1);
    put(&mut world, bobby, Row { from, ciphertext: ciphertext.into(), ..item.clone() });
    assert_eq!(world.shown(1), [""; 0]);
    assert!(
        matches!(&world.warnings(1)[..], [NoticeBody::Undecryptable { reason: Undecryptable::NotAuthentic, .. }]),
        "{:?}",
        world.warnings(1)
    );
    put(&mut world, bobby, item);
    assert_eq!(world.shown(1), ["from Alice"], "as Alice sent it, it is read");
}

/// T-MALLORY-1: another key, expiry, signature, registration, or the signed prekey of somebody else.
#[test]
fn threat_6_a_bundle_that_the_device_did_not_sign_is_refused_and_nothing_is_sent() {
    for flaw in 0..5 {
        let mut world = World::with(&["alice", "bobby", "carol"]);
        let carol = world.address(2);
        let carols = world.server.device(carol).signed_prekey.clone();
        world.server.tamper_bundles = Some(Box::new(move |response| {
            let bundle = &mut response.bundles[0];
            let signed = bundle.signed_prekey.as_mut().unwrap();
            match flaw {
                0 => signed.key = B64(PrekeyPublic::from_bytes(&[9; 32]).unwrap()),
                1 => signed.expires_at += 1,
                2 => signed.signature = B64(Signature::from_bytes([9; 64])),
                3 => bundle.signed_prekey.clone_from(&carols),
                _ => bundle.registration_id = B64(RegistrationId::from_bytes([9; 32])),
            }
        }));
        let outcome = world.send(0, "bobby", "secret");
        assert_eq!(outcome, Some(Err(CommandError::BadAnswer)), "{flaw}");
        world.pass(60_000);
        assert_eq!(world.sends_on_wire, 0, "{flaw}");
    }
}

/// A message may be sent until day 45 and lie queued for 30 more: it is still read then.
#[test]
fn threat_13_an_expired_signed_prekey_is_refused_and_a_message_from_before_is_still_read() {
    for (days, accepted) in [(40, true), (46, false)] {
        let mut world = World::with(&["alice", "bobby"]);
        world.offline(1);
        world.offline(0);
        world.pass(days * DAY_MS);
        let outcome = world.send(0, "bobby", "late");
        if accepted {
            assert!(matches!(outcome, Some(Ok(Outcome::Sent(_)))), "{outcome:?}");
            world.offline(0);
            world.pass(30 * DAY_MS);
            world.online(1);
            assert_eq!(world.shown(1), ["late"]);
            assert_eq!(world.warnings(1), []);
        } else {
            assert_eq!(outcome, Some(Err(CommandError::BadAnswer)));
            assert_eq!(world.sends_on_wire, 0);
        }
    }
}

/// T-MALLORY-4, first half: the extra device comes with a bundle.
#[test]
fn threat_8_a_device_that_the_account_did_not_sign_is_refused_in_a_bundle() {
    let mut world = World::with(&["alice", "bobby"]);
    let list = newest(&world, "bobby");
    let ghost = servers_entry(9);
    let address = DeviceAddress { account: list.account(), device: ghost.device, registration: ghost.registration };
    let signed_prekey = servers_prekey(&world, &address);
    world.server.tamper_bundles = Some(Box::new(move |response| {
        response.device_list = B64(EncodedDeviceList(with_ghost(&list)));
        response.bundles.push(DeviceBundle {
            device_id: 9,
            registration_id: B64(ghost.registration),
            signed_prekey: Some(signed_prekey.clone()),
            one_time_prekey: None,
            dormant: false,
        });
    }));
    assert_eq!(world.send(0, "bobby", "secret"), Some(Err(CommandError::BadAnswer)));
    world.pass(60_000);
    assert_eq!(world.sends_on_wire, 0);
    assert_eq!(devices_of(&mut world, "bobby"), [1]);
}

/// T-MALLORY-4, second half: the server refuses a message because of a device that nobody else knows.
#[test]
fn threat_8_a_device_that_the_account_did_not_sign_is_refused_after_a_mismatch() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "1");
    let ghostly = B64(EncodedDeviceList(with_ghost(&newest(&world, "bobby"))));
    world.tamper = Some(Box::new(move |path, body| {
        if path.contains("/devices?after=") {
            let lists = DeviceLists { device_lists: vec![ghostly.clone()], current_version: 2 };
            *body = serde_json::to_vec(&lists).unwrap();
        }
    }));
    world.server.refusals = vec![(ProblemCode::DevicesMismatch, 0)];
    let sends = world.sends_on_wire;
    world.begin(0, Command::Send { to: name("bobby"), text: "2".to_owned() });
    world.pass(120_000);
    assert_eq!(devices_of(&mut world, "bobby"), [1]);
    assert_eq!(world.sends_on_wire, sends + 1, "nothing more is sent on the server's word");
    assert_eq!(world.shown(1), ["1"]);
    world.tamper = None;
    world.pass(120_000);
    assert_eq!(world.shown(1), ["1", "2"], "it goes out once the server is honest");
}

#[test]
fn threat_8_a_list_older_than_the_pinned_one_is_not_followed() {
    let mut world = World::with(&["alice", "bobby"]);
    crate::devices::link(&mut world, 1);
    let older = newest(&world, "bobby").encoded().to_vec();
    let removed = world.command(1, Command::RemoveDevice(DeviceId::new(2).unwrap()));
    assert_eq!(removed, Some(Ok(Outcome::Done)));
    world.command(0, Command::LookUp(name("bobby"))).unwrap().unwrap();
    assert_eq!(devices_of(&mut world, "bobby"), [1]);
    world.server.tamper_bundles = Some(Box::new(move |response| {
        response.device_list = B64(EncodedDeviceList(older.clone()));
    }));
    world.begin(0, Command::Send { to: name("bobby"), text: "not for the removed one".to_owned() });
    world.pass(60_000);
    assert_eq!((devices_of(&mut world, "bobby"), world.sends_on_wire), (vec![1], 0));
    world.server.tamper_bundles = None;
    world.pass(60_000);
    assert_eq!(world.shown(1), ["not for the removed one"]);
}

#[test]
fn a_list_of_another_account_is_not_followed() {
    let mut world = World::with(&["alice", "bobby", "mallory"]);
    let foreign = newest(&world, "mallory").encoded().to_vec();
    world.server.tamper_bundles = Some(Box::new(move |response| {
        response.device_list = B64(EncodedDeviceList(foreign.clone()));
    }));
    assert_eq!(world.send(0, "bobby", "secret"), Some(Err(CommandError::BadAnswer)));
    assert_eq!(world.sends_on_wire, 0);
}

/// T-MALLORY-3: the server goes on in the chain of lists with an identity of its own.
#[test]
fn threat_7_an_identity_swapped_after_first_contact_gets_nothing() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "before");
    let list = newest(&world, "bobby");
    let body = DeviceListBody {
        account_identity: servers_account().public(),
        version: list.version() + 1,
        previous_hash: list.hash(),
        new_identity: true,
        devices: vec![servers_entry(1)],
        ..list.body().clone()
    };
    let swapped = DeviceList::sign(&servers_account(), body).unwrap();
    let usurper = swapped.addresses().next().unwrap();
    let device = Device { signed_prekey: Some(servers_prekey(&world, &usurper)), ..Device::default() };
    world.server.store.devices.insert(usurper, device);
    world.server.store.accounts.get_mut("bobby").unwrap().lists.push(swapped);
    let taken = world.server.bundles_taken;
    for text in ["secret", "another"] {
        assert_eq!(world.send(0, "bobby", text), Some(Err(CommandError::IdentityChanged { name: name("bobby") })));
    }
    world.pass(600_000);
    assert_eq!(world.server.device(usurper).queue.len(), 0);
    assert_eq!(world.server.bundles_taken, taken);
    assert!(matches!(&world.warnings(0)[..], [NoticeBody::IdentityChanged { .. }]), "{:?}", world.warnings(0));
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

/// T-MALLORY-2: the server shows each of the two an identity of its own from the first look-up on.
#[test]
fn threat_7_an_identity_swapped_before_first_contact_gives_other_safety_numbers() {
    let mut world = World::with(&["alice", "bobby"]);
    for (client, other) in [(0, "bobby"), (1, "alice")] {
        let list = newest(&world, other);
        let body = DeviceListBody {
            account_identity: servers_account().public(),
            devices: vec![servers_entry(1)],
            ..list.body().clone()
        };
        let swapped = DeviceList::sign(&servers_account(), body).unwrap();
        world.server.store.accounts.get_mut(other).unwrap().lists = vec![swapped];
        world.command(client, Command::LookUp(name(other))).unwrap().unwrap();
        world.server.store.accounts.get_mut(other).unwrap().lists = vec![list];
    }
    let [alices, bobbys] = [(0, "bobby"), (1, "alice")]
        .map(|(client, other)| world.query(client, |engine, _| engine.safety_number(&name(other)).unwrap().digits()));
    assert_ne!(alices, bobbys);
}

#[test]
fn safety_numbers_are_the_same_on_both_sides() {
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
    forged_by(world, victim, from, None)
}

/// [`forged`], with the name that the sender gives itself.
pub(crate) fn forged_by(world: &mut World, victim: usize, from: DeviceAddress, name: Option<&str>) -> Row {
    let (identity, device) = (servers_account(), servers_device());
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
    let name = name.unwrap_or_default();
    record.push(u8::try_from(name.len()).unwrap());
    record.extend_from_slice(name.as_bytes());
    record.extend_from_slice(b"forged");
    let ciphertext = Bytes::from(pair.encrypt(&mut rng, &local, &record).unwrap());
    Row { from, number: 1, accepted_at: world.now, ciphertext }
}

#[test]
fn threat_7_keys_that_the_server_puts_beside_a_pinned_device_are_refused_and_never_written_to() {
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
fn threat_7_a_session_begun_before_its_device_was_pinned_is_not_written_to_with_other_keys() {
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
fn threat_7_nobody_else_speaks_for_the_own_account() {
    let mut world = World::with(&["alice"]);
    let alice = world.address(0);
    let other = DeviceAddress { registration: RegistrationId::from_bytes([9; 32]), ..alice };
    for from in [alice, other] {
        let message = forged(&mut world, 0, from);
        put(&mut world, alice, message);
    }
    assert!(world.shown(0).is_empty());
    assert_eq!(world.warnings(0).len(), 2);
}

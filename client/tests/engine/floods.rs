//! A server that makes up senders, identities and failures without end: what is kept of them is bounded, and said to be.

use bytes::Bytes;
use sealpost_client::engine::{Command, Limit, NoticeBody, Outcome};
use sealpost_client::vault::Table;
use sealpost_crypto::{AccountId, AccountIdentityKeyPair, DeviceAddress, DeviceList, DeviceListBody, RegistrationId};

use crate::impostors::forged_by;
use crate::mallory::put;
use crate::support::server::Row;
use crate::support::{World, name};

fn garbage(from: DeviceAddress, number: u64) -> Row {
    Row { from, number, accepted_at: 1, ciphertext: Bytes::from_static(b"garbage") }
}

/// An address that nobody has.
fn invented(index: u32) -> DeviceAddress {
    let mut account = [0xee; 16];
    account[..4].copy_from_slice(&index.to_be_bytes());
    DeviceAddress {
        account: AccountId::from_bytes(account),
        device: sealpost_crypto::DeviceId::PRIMARY,
        registration: RegistrationId::from_bytes([3; 32]),
    }
}

fn rows_of(world: &mut World, client: usize, table: Table) -> u64 {
    world.query(client, |_, context| context.vault.count(table).unwrap())
}

fn limited(world: &mut World, client: usize) -> Vec<(Limit, u64)> {
    let warnings = world.warnings(client).into_iter();
    let limits = warnings.filter_map(|body| match body {
        NoticeBody::Limited { about, count } => Some((about, count)),
        _ => None,
    });
    limits.collect()
}

#[test]
fn senders_without_end_leave_a_bounded_trace_and_nothing_of_a_contact_is_lost() {
    const MADE_UP: u32 = 700;
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "before");
    world.sent(1, "alice", "before");
    let bobby = world.address(1);
    for index in 0..MADE_UP {
        put(&mut world, bobby, garbage(invented(index), 1));
        if index == 10 {
            // Also under the name of the contact, with a device that it has not listed.
            let other = DeviceAddress { registration: RegistrationId::from_bytes([4; 32]), ..world.address(0) };
            put(&mut world, bobby, garbage(other, 1));
        }
    }
    assert_eq!(rows_of(&mut world, 1, Table::Peer), 256 + 1);
    assert_eq!(rows_of(&mut world, 1, Table::Seen), 2 * (256 + 1));
    let forgotten = u64::from(MADE_UP) + 1 - 256;
    let limits = limited(&mut world, 1);
    assert!(limits.contains(&(Limit::StrangerDevices, forgotten)), "{limits:?}");
    assert!(limits.contains(&(Limit::StrangerNotices, forgotten)), "{limits:?}");
    assert_eq!(world.warnings(1).len(), 256 + 2);
    // It survives the process, and what was printed makes room.
    world.kill(1);
    world.online(1);
    world.sent(0, "bobby", "after");
    assert_eq!(world.shown(1), ["before", "after"]);
    assert!(!world.query(1, |engine, _| engine.contact(&name("alice")).unwrap()).identity_changed);
    let last = world.notices(1).last().unwrap().position;
    world.query(1, |engine, context| engine.mark_printed(context, last).unwrap());
    put(&mut world, bobby, garbage(invented(MADE_UP), 1));
    assert_eq!(limited(&mut world, 1), [(Limit::StrangerDevices, 1)]);
    assert_eq!(world.warnings(1).len(), 2);
}

#[test]
fn what_goes_wrong_with_one_contact_is_told_and_beyond_that_counted() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "before");
    world.sent(1, "alice", "before");
    let (alice, bobby) = (world.address(0), world.address(1));
    for number in 0..200 {
        put(&mut world, bobby, garbage(alice, 1_000 + number));
    }
    let limits = limited(&mut world, 1);
    assert!(
        matches!(&limits[..], [(Limit::Notices { label }, count)] if label == "alice" && *count >= 200 - 64),
        "{limits:?}"
    );
    assert!(world.warnings(1).len() <= 64 + 1);
    world.sent(0, "bobby", "after");
    assert_eq!(world.shown(1), ["before", "after"]);
}

/// Each look-up shows another list of the version that is pinned, and another identity after it.
#[test]
fn lists_and_identities_without_end_are_told_and_beyond_that_counted() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "before");
    let honest = world.server.account("bobby").lists.clone();
    for seed in 10..110 {
        let identity = AccountIdentityKeyPair::from_seed(&[seed; 32]);
        let list = honest.last().unwrap();
        let body = DeviceListBody {
            account_identity: identity.public(),
            version: list.version() + u64::from(seed),
            previous_hash: [seed; 32],
            new_identity: true,
            ..list.body().clone()
        };
        let lists = vec![DeviceList::sign(&identity, body).unwrap()];
        world.server.store.accounts.get_mut("bobby").unwrap().lists = lists;
        world.command(0, Command::LookUp(name("bobby"))).unwrap().unwrap();
    }
    assert_eq!(limited(&mut world, 0), [(Limit::Notices { label: "bobby".to_owned() }, 100 - 64)]);
    assert_eq!(world.warnings(0).len(), 64 + 1);
    assert!(world.query(0, |engine, _| engine.contact(&name("bobby")).unwrap()).identity_changed);
}

/// Strangers with keys of their own, whose messages decrypt: they are shown, and the oldest strangers are forgotten; who was
/// written to is not.
#[test]
fn strangers_that_write_without_end_are_shown_and_the_oldest_are_forgotten() {
    const STRANGERS: u32 = 300;
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "before");
    world.sent(1, "alice", "before");
    let bobby = world.address(1);
    for index in 0..STRANGERS {
        let message = forged_by(&mut world, 1, invented(index), None);
        put(&mut world, bobby, message);
    }
    assert_eq!(world.shown(1).len(), 1 + STRANGERS as usize);
    assert_eq!(rows_of(&mut world, 1, Table::Contact), 256 + 1);
    assert!(rows_of(&mut world, 1, Table::Session) <= 256 + 1);
    assert!(rows_of(&mut world, 1, Table::Peer) <= 256 + 1);
    let forgotten: u64 = limited(&mut world, 1).iter().map(|(_, count)| count).sum();
    assert!(forgotten >= u64::from(STRANGERS) - 256, "{forgotten}");
    world.sent(0, "bobby", "after");
    assert_eq!(world.shown(1).last().unwrap(), "after");
}

/// As many sessions are in memory as fit, so that reading the one with the second device empties it of the first's.
#[test]
fn a_session_that_left_the_memory_while_a_message_was_sealed_is_read_again() {
    /// The engine's limit, less one: the first device's session is the last that fits.
    const IN_MEMORY: u32 = 255;
    let mut world = World::with(&["alice", "bobby"]);
    let tablet = crate::devices::link(&mut world, 0);
    world.sent(1, "alice", "to both");
    world.sent(0, "bobby", "from one");
    world.sent(tablet, "bobby", "from the other");
    world.kill(1);
    world.online(1);
    let bobby = world.address(1);
    for index in 0..IN_MEMORY {
        let message = forged_by(&mut world, 1, invented(index), None);
        put(&mut world, bobby, message);
    }
    world.sent(1, "alice", "to both again");
    for client in [0, tablet] {
        assert_eq!(world.shown(client), ["to both", "to both again"]);
        assert_eq!(world.warnings(client), []);
    }
}

#[test]
fn a_stranger_whose_name_cannot_be_looked_up_is_shown_under_its_id_after_a_minute() {
    let mut world = World::with(&["alice", "bobby"]);
    let message = forged_by(&mut world, 1, invented(1), Some("mallory"));
    world.spoiled = Some("/v1/accounts/by-name/");
    let bobby = world.address(1);
    put(&mut world, bobby, message);
    world.pass(50_000);
    assert_eq!(world.shown(1), [""; 0], "the name may still be found");
    world.pass(45_000);
    let shown = world.shown_messages(1);
    assert_eq!((shown[0].text.as_str(), shown.len()), ("forged", 1));
    assert_eq!(shown[0].peer, format!("unknown:{}", invented(1).account));
    assert_eq!(world.query(1, |engine, context| engine.status(context).unwrap().held), 0);
    // Somebody who looks the name up later still finds it.
    world.spoiled = None;
    assert!(matches!(world.command(1, Command::LookUp(name("alice"))), Some(Ok(Outcome::Contact(_)))));
}

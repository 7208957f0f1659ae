//! Several devices of one account, and accounts that go on under another identity.

use sealpost_api::password::Password;
use sealpost_client::engine::{Command, CommandError, DeviceOffer, Event, MessageFlag, NoticeBody, Outcome};
use sealpost_crypto::DeviceId;

use crate::support::world::PASSWORD;
use crate::support::{World, name};

/// Adds a second device to the account of `primary`; the new client.
pub(crate) fn link(world: &mut World, primary: usize) -> usize {
    let info = world.clients[primary].engine.whoami().unwrap();
    let new = world.add();
    let device = DeviceId::new(2).unwrap();
    let offered = world.command(new, Command::OfferDevice { username: info.username, account: info.account, device });
    let Some(Ok(Outcome::Offer(offer))) = offered else { panic!("{offered:?}") };
    let added = world.command(primary, Command::AddDevice(Box::new(DeviceOffer::clone(&offer))));
    let Some(Ok(Outcome::Added(device_list))) = added else { panic!("{added:?}") };
    let joined = world.command(new, Command::JoinDevice { password: Password::new(PASSWORD.to_owned()), device_list });
    assert!(matches!(&joined, Some(Ok(Outcome::Account(info))) if !info.primary), "{joined:?}");
    world.online(new);
    new
}

#[test]
fn a_message_goes_to_every_device_also_one_added_since() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "1");
    let tablet = link(&mut world, 1);
    world.sent(0, "bobby", "2");
    world.sent(0, "bobby", "3");
    assert_eq!(world.shown(1), ["1", "2", "3"]);
    assert_eq!(world.shown(tablet), ["2", "3"]);
    world.sent(tablet, "alice", "from the tablet");
    assert_eq!(world.shown(0), ["from the tablet"]);
    for client in [0, 1, tablet] {
        assert_eq!(world.warnings(client), []);
    }
}

#[test]
fn a_removed_device_gets_no_more_and_what_it_wrote_before_is_marked() {
    let mut world = World::with(&["alice", "bobby"]);
    let tablet = link(&mut world, 1);
    world.sent(0, "bobby", "1");
    world.offline(0);
    world.sent(tablet, "alice", "last words");
    let removed = world.command(1, Command::RemoveDevice(DeviceId::new(2).unwrap()));
    assert_eq!(removed, Some(Ok(Outcome::Done)));
    assert_eq!(world.query(1, |engine, _| engine.devices()).len(), 1);
    let list = world.server.account("bobby").lists.last().unwrap().clone();
    world.server.paused = true;
    world.begin(0, Command::Send { to: name("bobby"), text: "2".to_owned() });
    world.run();
    assert_eq!(world.query(0, |engine, _| engine.contact(&name("bobby")).unwrap().list_version), list.version());
    world.server.paused = false;
    world.deliver_all();
    world.run();
    let message = world.shown_messages(0).pop().unwrap();
    assert_eq!((message.text.as_str(), message.flags), ("last words", vec![MessageFlag::RemovedDevice]));
    assert_eq!(world.shown(1), ["1", "2"]);
    assert_eq!(world.shown(tablet), ["1"]);
}

#[test]
fn a_new_identity_stops_sending_until_it_is_accepted() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "1");
    assert_eq!(world.command(0, Command::MarkVerified(name("bobby"))), Some(Ok(Outcome::Done)));
    let laptop = world.add();
    assert!(matches!(world.login(laptop, "bobby", true), Ok(Outcome::Account(_))));
    world.online(laptop);
    let changed = Some(Err(CommandError::IdentityChanged { name: name("bobby") }));
    assert_eq!(world.send(0, "bobby", "not to the new one"), changed);
    assert_eq!(
        world.count(0, |event| matches!(event, Event::Blocked { .. })),
        1,
        "it was in the outbox, and is dropped"
    );
    assert_eq!(world.send(0, "bobby", "nor this"), changed);
    world.pass(600_000);
    assert!(world.shown(laptop).is_empty());
    assert!(matches!(&world.warnings(0)[..], [NoticeBody::IdentityChanged { .. }]));
    assert_eq!(world.command(0, Command::AcceptIdentity(name("bobby"))), Some(Ok(Outcome::Done)));
    let contact = world.query(0, |engine, _| engine.contact(&name("bobby")).unwrap());
    assert!(!contact.verified && !contact.identity_changed);
    world.sent(0, "bobby", "to the accepted one");
    assert_eq!(world.shown(laptop), ["to the accepted one"]);
    assert_eq!(world.warnings(laptop), []);
}

#[test]
fn what_an_unaccepted_identity_writes_is_kept_shown_and_marked() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(1, "alice", "1");
    let laptop = world.add();
    world.login(laptop, "bobby", true).unwrap();
    world.online(laptop);
    world.sent(laptop, "alice", "it is me");
    let message = world.shown_messages(0).pop().unwrap();
    assert_eq!((message.text.as_str(), message.peer.as_str()), ("it is me", "bobby"));
    assert_eq!(message.flags, [MessageFlag::UnacceptedIdentity]);
    assert_eq!(world.send(0, "bobby", "is it?"), Some(Err(CommandError::IdentityChanged { name: name("bobby") })));
    world.command(0, Command::AcceptIdentity(name("bobby")));
    world.sent(0, "bobby", "it is");
    assert_eq!(world.shown(laptop), ["it is"]);
}

#[test]
fn messages_queued_before_the_change_wait_for_acceptance() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "1");
    world.offline(0);
    world.server_down = true;
    world.begin(0, Command::Send { to: name("bobby"), text: "2".to_owned() });
    world.pass(10_000);
    world.kill(0);
    world.server_down = false;
    let laptop = world.add();
    world.login(laptop, "bobby", true).unwrap();
    world.online(laptop);
    world.online(0);
    world.pass(60_000);
    assert!(world.shown(laptop).is_empty());
    assert_eq!(world.query(0, |engine, _| engine.outbox()).len(), 1);
    world.command(0, Command::AcceptIdentity(name("bobby")));
    world.pass(60_000);
    assert_eq!(world.shown(laptop), ["2"]);
}

#[test]
fn a_new_identity_on_the_same_profile_keeps_history_and_contacts() {
    let mut world = World::with(&["alice", "bobby"]);
    for text in ["1", "2"] {
        world.sent(0, "bobby", text);
        world.sent(1, "alice", text);
    }
    world.login(1, "bobby", true).unwrap();
    world.online(1);
    world.sent(1, "alice", "3");
    assert_eq!(world.command(0, Command::AcceptIdentity(name("bobby"))), Some(Ok(Outcome::Done)));
    world.sent(0, "bobby", "3");
    let last = world.shown_messages(1).pop().unwrap();
    assert_eq!((last.text.as_str(), last.flags), ("3", vec![]));
    assert_eq!(world.warnings(1), []);
    let history = world.query(1, |engine, context| engine.history(context, &name("alice"), None, 10).unwrap());
    assert_eq!(history.len(), 6);
}

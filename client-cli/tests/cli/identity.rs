//! Who is who: safety numbers and changed identities.

use crate::support::World;

#[test]
fn both_sides_see_one_safety_number_and_can_mark_it() {
    let world = World::start();
    let (alice, bob) = (world.registered("alice"), world.registered("bob"));
    let number = |ended: crate::support::Ended| ended.events("safety_number")[0]["safety_number"].clone();
    let (of_alice, of_bob) = (number(alice.ok(&["verify", "bob"])), number(bob.ok(&["verify", "alice"])));
    assert_eq!(of_alice, of_bob);
    assert_eq!(of_alice.as_str().unwrap().len(), 60);
    let ended = alice.run(&["send", "bob", "x", "--verified"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(5), "not_verified"));
    alice.ok(&["verify", "bob", "--mark"]);
    assert_eq!(alice.ok(&["contacts"]).events("contact")[0]["verified"], true);
    alice.ok(&["send", "bob", "x", "--verified"]);
}

#[test]
fn a_new_identity_stops_sending_until_it_is_accepted() {
    let world = World::start();
    let (alice, bob) = (world.registered("alice"), world.registered("bob"));
    alice.ok(&["send", "bob", "hello"]);
    assert_eq!(bob.receives(), ["hello"]);
    alice.ok(&["verify", "bob", "--mark"]);

    let machine = world.person_on("bob", "bob-again");
    let ended = machine.run(&["login", "bob"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    machine.ok(&["login", "bob", "--new-identity"]);

    let ended = alice.run(&["send", "bob", "who are you?"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(5), "identity_changed"));
    let ended = alice.run(&["verify", "bob"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(5), "identity_changed"));
    let ended = alice.ok(&["receive"]);
    assert_eq!(ended.events("identity_changed")[0]["from"], "bob");
    let ended = alice.ok(&["verify", "bob", "--accept"]);
    assert_eq!(ended.events("identity_accepted")[0]["verified"], false, "verification is never inherited");
    alice.ok(&["send", "bob", "so it is you"]);
    assert_eq!(machine.receives(), ["so it is you"]);
}

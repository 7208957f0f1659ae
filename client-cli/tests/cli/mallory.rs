//! A malicious server, as a person at the command line meets it: what it changes, drops, repeats, exchanges or makes up is
//! refused, or shown with its documented event. Where a test is not named after its row, a second answer stands behind the
//! first, and the engine's tests leave out the one.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends where something is not as it should be")]

mod liar;

use std::sync::{Arc, Mutex};

use sealpost_api::encoding::{B64, EncodedDeviceList};
use sealpost_api::frames::{Deliver, Refused, ServerFrame};
use sealpost_api::problem::ProblemCode;
use sealpost_crypto::{
    AccountIdentityKeyPair, DeviceEntry, DeviceId, DeviceIdentityKeyPair, DeviceList, PrekeyPublic, RegistrationId,
};
use serde_json::{Value, json};

use crate::support::{Person, World};
use liar::Liar;

/// The real server, the liar before it, and two people who only know the liar.
fn scene() -> (World, Liar, Person, Person) {
    let world = World::start();
    let liar = Liar::before(&world.url, &world.ca, world.folder());
    let [alice, bob] = ["alice", "bobby"].map(|name| {
        let person = world.person(name).at(&liar.url, &liar.ca);
        person.ok(&["register", name]);
        person
    });
    (world, liar, alice, bob)
}

/// Two people who have each other's keys, and an answer.
fn talking() -> (World, Liar, Person, Person) {
    let (world, liar, alice, bob) = scene();
    alice.ok(&["send", "bobby", "hello"]);
    assert_eq!(bob.receives(), ["hello"]);
    bob.ok(&["send", "alice", "hi"]);
    assert_eq!(alice.receives(), ["hi"]);
    (world, liar, alice, bob)
}

fn decoded(list: &Value) -> DeviceList {
    let list: B64<EncodedDeviceList> = serde_json::from_value(list.clone()).unwrap();
    DeviceList::decode(&list.0.0).unwrap()
}

fn encoded(list: &DeviceList) -> Value {
    serde_json::to_value(B64(EncodedDeviceList(list.encoded().to_vec()))).unwrap()
}

/// Holds back what is delivered, and lets it out when the queue is empty.
fn at_the_end(liar: &Liar, mut order: impl FnMut(Vec<Deliver>) -> Vec<Deliver> + Send + 'static) {
    let mut held = Vec::new();
    liar.frames(move |frame| match frame {
        ServerFrame::Deliver(deliver) => {
            held.push(deliver);
            vec![]
        }
        ServerFrame::Drained => {
            let mut frames: Vec<_> = order(std::mem::take(&mut held)).into_iter().map(ServerFrame::Deliver).collect();
            frames.push(ServerFrame::Drained);
            frames
        }
        other => vec![other],
    });
}

#[test]
fn threat_6_with_a_swapped_signed_prekey_nothing_is_sent() {
    let (_world, liar, alice, bob) = scene();
    let swapped = PrekeyPublic::from_bytes(&[9; 32]).unwrap();
    liar.answers(move |call, mut body| {
        if call.ends_with("/bundles") {
            for bundle in body["bundles"].as_array_mut().unwrap() {
                bundle["signed_prekey"]["key"] = serde_json::to_value(B64(swapped)).unwrap();
            }
        }
        body
    });
    let ended = alice.run(&["--timeout", "5", "send", "bobby", "secret"]);
    assert!(ended.code != Some(0) && !ended.has("sent"), "{ended:?}");
    liar.answers(|_, body| body);
    assert_eq!(bob.run(&["--timeout", "1", "receive"]).texts(), Vec::<String>::new());
}

/// Refuses what is sent, as if Bobby's devices were others now, and answers with this list whenever it is asked for his.
fn offer(liar: &Liar, list: &DeviceList) {
    let (version, offered, identity) = (list.version(), encoded(list), list.account_identity());
    liar.answers(move |call, mut body| {
        if call.ends_with("/devices") {
            body["device_lists"] = json!([offered]);
            body["current_version"] = json!(version);
        } else if call.ends_with("/bundles") {
            body["device_list"] = offered.clone();
        } else if call.ends_with("/by-name/bobby") {
            body["device_list"] = offered.clone();
            body["account_identity_key"] = serde_json::to_value(B64(identity)).unwrap();
        }
        body
    });
    let device = list.devices()[0].device;
    liar.frames(move |frame| match frame {
        ServerFrame::Sent(sent) => vec![ServerFrame::Refused(Refused {
            number: sent.number,
            code: ProblemCode::DevicesMismatch,
            missing: vec![],
            extra: vec![],
            stale: vec![device],
            maybe_stored: false,
            retry_after: 0,
        })],
        other => vec![other],
    });
}

/// Bobby's list as the server has it.
fn list_of_bobby(liar: &Liar, alice: &Person) -> DeviceList {
    let found = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&found);
    liar.answers(move |call, body| {
        if call.ends_with("/by-name/bobby") {
            *seen.lock().unwrap() = Some(decoded(&body["device_list"]));
        }
        body
    });
    alice.ok(&["send", "bobby", "hello"]);
    found.lock().unwrap().take().unwrap()
}

/// A list that follows this one, by Mallory's keys.
fn forged(list: &DeviceList, new_identity: bool) -> DeviceList {
    let rng = &mut rand::rng();
    let mallory = AccountIdentityKeyPair::generate(rng);
    let ghost = DeviceEntry {
        device: DeviceId::new(if new_identity { 1 } else { 2 }).unwrap(),
        registration: RegistrationId::generate(rng),
        identity: DeviceIdentityKeyPair::generate(rng).public(),
    };
    let mut body = list.body().clone();
    body.account_identity = mallory.public();
    body.new_identity = new_identity;
    body.version += 1;
    body.previous_hash = list.hash();
    if new_identity {
        body.devices.clear();
    }
    body.devices.push(ghost);
    DeviceList::sign(&mallory, body).unwrap()
}

#[test]
fn threat_7_an_identity_exchanged_after_the_first_contact_stops_sending() {
    let (_world, liar, alice, bob) = scene();
    let list = list_of_bobby(&liar, &alice);
    assert_eq!(bob.receives(), ["hello"]);
    offer(&liar, &forged(&list, true));
    let real = list.devices()[0].registration;
    for _ in 0..2 {
        let ended = alice.run(&["--timeout", "5", "send", "bobby", "secret"]);
        assert_eq!((ended.code, ended.error().as_str()), (Some(5), "identity_changed"));
    }
    let to: Vec<_> = liar.sent().iter().flat_map(|send| &send.copies).map(|copy| copy.registration).collect();
    assert!(to.iter().all(|registration| *registration == real), "something went to Mallory's key");
    let told = alice.run(&["--timeout", "5", "receive"]);
    assert_eq!(told.events("identity_changed")[0]["from"], "bobby", "{told:?}");
}

#[test]
fn an_identity_exchanged_before_the_first_contact_shows_in_the_safety_numbers() {
    let (world, liar, alice, bob) = scene();
    let mallory = world.registered("mallory");
    let found = Arc::new(Mutex::new(Value::Null));
    let seen = Arc::clone(&found);
    liar.answers(move |call, body| {
        if call.ends_with("/by-name/mallory") {
            *seen.lock().unwrap() = body.clone();
        }
        body
    });
    alice.ok(&["send", "mallory", "hello"]);
    assert_eq!(mallory.receives(), ["hello"]);
    // A look-up of Bobby returns Mallory.
    let mut exchanged = found.lock().unwrap().take();
    exchanged["username"] = json!("bobby");
    liar.answers(move |call, body| if call.ends_with("/by-name/bobby") { exchanged.clone() } else { body });
    let carol = world.person("carol").at(&liar.url, &liar.ca);
    carol.ok(&["register", "carol"]);
    carol.ok(&["send", "bobby", "for Bobby alone"]);
    assert_eq!(mallory.receives(), ["for Bobby alone"], "at first contact the server can do this");
    let number = |person: &Person, name: &str| {
        person.ok(&["verify", name]).events("safety_number")[0]["safety_number"].as_str().unwrap().to_owned()
    };
    bob.ok(&["send", "carol", "hi"]);
    assert_ne!(number(&carol, "bobby"), number(&bob, "carol"));
}

#[test]
fn a_device_that_the_server_adds_gets_nothing() {
    let (_world, liar, alice, bob) = scene();
    let list = list_of_bobby(&liar, &alice);
    offer(&liar, &forged(&list, false));
    liar.sent();
    alice.run(&["--timeout", "5", "send", "bobby", "secret"]);
    for send in liar.sent() {
        assert!(send.copies.iter().all(|copy| copy.registration == list.devices()[0].registration), "{send:?}");
    }
    liar.answers(|_, body| body);
    liar.frames(|frame| vec![frame]);
    alice.run(&["status"]);
    assert_eq!(bob.receives(), ["hello", "secret"]);
}

#[test]
fn an_older_device_list_is_not_followed() {
    let (world, liar, alice, bob) = scene();
    let old = list_of_bobby(&liar, &alice);
    assert_eq!(bob.receives(), ["hello"]);
    let again = world.person_on("bobby", "bobby-again").at(&liar.url, &liar.ca);
    again.ok(&["login", "bobby", "--new-identity"]);
    alice.run(&["--timeout", "5", "send", "bobby", "who are you?"]);
    alice.ok(&["verify", "bobby", "--accept"]);
    alice.ok(&["send", "bobby", "so it is you"]);
    offer(&liar, &old);
    liar.sent();
    alice.run(&["--timeout", "5", "send", "bobby", "secret"]);
    for send in liar.sent() {
        assert!(send.copies.iter().all(|copy| copy.registration != old.devices()[0].registration), "{send:?}");
    }
    liar.answers(|_, body| body);
    liar.frames(|frame| vec![frame]);
    alice.run(&["status"]);
    assert!(again.receives().ends_with(&["so it is you".to_owned(), "secret".to_owned()]));
}

#[test]
fn a_message_passed_off_as_somebody_elses_is_reported() {
    let (world, liar, alice, bob) = talking();
    let carol = world.person("carol").at(&liar.url, &liar.ca);
    carol.ok(&["register", "carol"]);
    carol.ok(&["send", "bobby", "I am Carol"]);
    let from_carol = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&from_carol);
    liar.frames(move |frame| {
        if let ServerFrame::Deliver(deliver) = &frame {
            *seen.lock().unwrap() = Some(deliver.from);
        }
        vec![frame]
    });
    assert_eq!(bob.receives(), ["I am Carol"]);
    let carol = from_carol.lock().unwrap().take().unwrap();
    alice.ok(&["send", "bobby", "I am Alice"]);
    liar.frames(move |frame| match frame {
        ServerFrame::Deliver(deliver) => vec![ServerFrame::Deliver(Deliver { from: carol, ..deliver })],
        other => vec![other],
    });
    let ended = bob.ok(&["receive"]);
    assert_eq!(ended.texts(), Vec::<String>::new());
    assert_eq!(ended.events("undecryptable")[0]["from"], "carol");
}

#[test]
fn what_is_delivered_three_times_is_shown_once() {
    let (_world, liar, alice, bob) = talking();
    for text in ["1", "2"] {
        alice.ok(&["send", "bobby", text]);
    }
    let seen: Arc<Mutex<Vec<Deliver>>> = Arc::default();
    let again = Arc::clone(&seen);
    liar.frames(move |frame| match frame {
        ServerFrame::Deliver(deliver) => {
            seen.lock().unwrap().push(deliver.clone());
            vec![
                ServerFrame::Deliver(deliver.clone()),
                ServerFrame::Deliver(deliver.clone()),
                ServerFrame::Deliver(deliver),
            ]
        }
        other => vec![other],
    });
    assert_eq!(bob.receives(), ["1", "2"]);
    // And once more on another day.
    liar.frames(move |frame| match frame {
        ServerFrame::Drained => {
            let mut frames: Vec<_> = again.lock().unwrap().drain(..).map(ServerFrame::Deliver).collect();
            frames.push(ServerFrame::Drained);
            frames
        }
        other => vec![other],
    });
    let ended = bob.run(&["--timeout", "5", "receive"]);
    assert_eq!(ended.texts(), Vec::<String>::new(), "{ended:?}");
    assert_eq!(bob.ok(&["history", "alice"]).texts(), ["hello", "hi", "1", "2"]);
}

#[test]
fn threat_18_reordered_messages_are_printed_in_order() {
    let (_world, liar, alice, bob) = talking();
    for text in ["1", "2", "3", "4"] {
        alice.ok(&["send", "bobby", text]);
    }
    at_the_end(&liar, |mut held| {
        held.reverse();
        held
    });
    assert_eq!(bob.receives(), ["1", "2", "3", "4"]);
}

#[test]
fn threat_19_a_dropped_message_is_printed_as_a_gap() {
    let (_world, liar, alice, bob) = talking();
    for text in ["1", "2", "3"] {
        alice.ok(&["send", "bobby", text]);
    }
    at_the_end(&liar, |mut held| {
        held.remove(1);
        held
    });
    let ended = bob.ok(&["receive"]);
    assert_eq!(ended.texts(), ["1", "3"]);
    let gaps = ended.events("gap");
    assert_eq!((&gaps[0]["kind"], &gaps[0]["from"]), (&json!("missing"), &json!("alice")));
}

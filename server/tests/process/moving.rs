//! `sealpost-server move`, from the embedded store to MongoDB and back: with real people, and killed in the middle.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use mongodb::bson::{Document, doc};
use rustix::process::Signal;
use sealpost_api::frames::{ClientFrame, ServerFrame};
use sealpost_api::ids::{MessageNumber, RefreshTokenHash, ServerId, SessionId, StoreId};
use sealpost_api::username::Username;
use sealpost_crypto::{
    AccountId, AccountIdentityKeyPair, DeviceAddress, DeviceEntry, DeviceId, DeviceIdentityKeyPair, DeviceList,
    DeviceListBody, RegistrationId, SignedPrekeyId, SignedPrekeyPair, UnixMillis,
};
use sealpost_server::store::InviteRecord;
use sealpost_server::store::embedded::EmbeddedTransfer;
use sealpost_server::store::transfer::{
    MovePlan, MovedAccount, MovedDevice, MovedMessage, MovedNotice, MovedSession, TransferTarget as _,
};
use serde_json::Value;

use super::world::{Person, Socket, World};
use sealpost_harness::database::Database;

const PASSWORD: &str = "correct horse battery";
/// Messages in each queue of the store that is moved with interruptions.
const MESSAGES: usize = 5;

/// Accounts of that store; more where this environment variable says so.
fn size() -> usize {
    std::env::var("SEALPOST_MOVE_ACCOUNTS").map_or(200, |text| text.parse().unwrap())
}

/// Exit code, the lines that were printed, and what was said of errors.
fn run(command: &mut Command) -> (Option<i32>, Vec<Value>, String) {
    let output = command.output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    (output.status.code(), lines, String::from_utf8(output.stderr).unwrap())
}

fn moving(world: &World, from: &str, to: &str, more: &[&str]) -> Command {
    let mut command = world.command();
    command.args(["move", "--json", "--from", from, "--to", to]).args(more);
    command
}

#[track_caller]
fn moved(command: &mut Command) -> (Value, Value) {
    let (code, lines, errors) = run(command);
    assert_eq!(code, Some(0), "{lines:?}\n{errors}");
    let [.., verified, moved] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!((&verified["event"], &moved["event"]), (&"verified".into(), &"moved".into()), "{lines:?}");
    (verified.clone(), moved.clone())
}

#[track_caller]
fn refused(command: &mut Command, reason: &str) {
    let (code, lines, errors) = run(command);
    assert!(code == Some(1) && errors.contains(reason), "{code:?} {lines:?}\n{errors}");
}

/// What is delivered until nothing more waits, without acknowledging it.
async fn waiting(socket: &mut Socket) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        match socket.frame().await {
            ServerFrame::Deliver(deliver) => texts.push(String::from_utf8(deliver.ciphertext.to_vec()).unwrap()),
            ServerFrame::Drained => return texts,
            _ => {}
        }
    }
}

async fn sent(socket: &mut Socket, number: u64) {
    loop {
        match socket.frame().await {
            ServerFrame::Sent(sent) if sent.number == MessageNumber(number) => return,
            ServerFrame::Refused(refused) => panic!("{refused:?}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn people_go_on_where_they_were_on_mongodb_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::start(folder.path(), 0).unwrap();
    let listens = database.address().to_owned();
    let address = format!("mongodb://{listens}/sealpost");
    let mut world = World::new();
    let embedded = format!("embedded:{}", world.data().display());
    let mut server = world.start_local();
    let client = server.client();
    let (alice, bob, carol): (Person, Person, Person) = (
        client.register("alice", PASSWORD).await,
        client.register("bob", PASSWORD).await,
        client.register("carol", PASSWORD).await,
    );
    let (mut socket, welcome) = client.welcomed(&alice).await;
    for (number, text) in (1..).zip(["one", "two", "three"]) {
        socket.send(number, &bob, text).await;
        sent(&mut socket, number).await;
    }
    // What waits for somebody who goes is a notice for the sender, and the name is retired.
    socket.send(4, &carol, "four").await;
    sent(&mut socket, 4).await;
    socket.close().await;
    let body = serde_json::json!({ "password": PASSWORD }).to_string();
    assert_eq!(client.call("POST", "/v1/account/delete", &carol.token, &body).await.0, 200);
    refused(&mut moving(&world, &embedded, &address, &[]), "another process uses the data folder");
    server.signal(Signal::TERM);
    assert!(server.ended().success());

    let (verified, _) = moved(&mut moving(&world, &embedded, &address, &[]));
    for (what, count) in
        [("accounts", 2), ("devices", 2), ("messages", 3), ("notices", 1), ("retired_names", 1), ("sessions", 2)]
    {
        assert_eq!(verified["counts"][what], count, "{what}: {verified}");
    }
    let by_mistake = world.refused(&["--listen", "127.0.0.1:0"]);
    assert!(by_mistake.contains("was moved to another store"), "{by_mistake}");
    // There it is: nobody has logged in again.
    let mut server = world.start(&["--listen", "127.0.0.1:0", "--store", &address]);
    let client = server.client();
    let (mut at_bob, _) = client.welcomed(&bob).await;
    assert_eq!(waiting(&mut at_bob).await, ["one", "two", "three"]);
    let (mut at_alice, again) = client.welcomed(&alice).await;
    assert_eq!((again.highest_number, again.pending), (MessageNumber(4), 1));
    assert!(again.key_epoch > welcome.key_epoch && again.store != welcome.store, "{again:?} after {welcome:?}");
    let notice = loop {
        match at_alice.frame().await {
            ServerFrame::Expired(notice) => break notice,
            ServerFrame::Drained => panic!("the notice is gone"),
            _ => {}
        }
    };
    assert_eq!((notice.to, notice.numbers), (carol.address, vec![MessageNumber(4)]));
    at_alice.put(ClientFrame::Ack { ids: vec![notice.id] }).await;
    // A repetition is recognised, and the next message comes after those that waited.
    at_alice.send(3, &bob, "three").await;
    sent(&mut at_alice, 3).await;
    at_alice.send(5, &bob, "five").await;
    sent(&mut at_alice, 5).await;
    at_alice.close().await;
    at_bob.close().await;
    let answer = client.try_register("carol", PASSWORD, None).await.err().unwrap();
    assert!(answer.1.contains("username_taken"), "{answer:?}");
    let body = client.login_body(&bob, PASSWORD).await;
    assert_eq!(client.call("POST", "/v1/sessions", "", &body).await.0, 200);
    server.signal(Signal::TERM);
    assert!(server.ended().success());

    // And back, into another folder with the same keys.
    let back = World::with_data(world.file("back"));
    let target = format!("embedded:{}", back.data().display());
    refused(&mut moving(&world, &address, &target, &[]), "--source-is-stopped");
    // A node that stopped may still have been at something.
    refused(&mut moving(&world, &address, &target, &["--source-is-stopped"]), "retired_names.key");
    copy_keys(&world.data(), &back.data());
    refused(&mut moving(&world, &address, &target, &["--source-is-stopped"]), "a node used it a moment ago");
    let beside = mongodb::Client::with_uri_str(&address).await.unwrap().database("sealpost");
    let leases = doc! { "until": { "$gt": 0_i64 } };
    beside.collection::<Document>("meta").delete_many(leases).await.unwrap();
    let key = back.data().join("retired_names.key");
    let good = std::fs::read(&key).unwrap();
    std::fs::write(&key, "A".repeat(43)).unwrap();
    refused(&mut moving(&world, &address, &target, &["--source-is-stopped"]), "is not the key that the source");
    std::fs::write(&key, good).unwrap();
    let (verified, _) = moved(&mut moving(&world, &address, &target, &["--source-is-stopped"]));
    assert_eq!(verified["counts"]["messages"], 4, "{verified}");
    refused(&mut moving(&world, &address, &target, &["--source-is-stopped"]), "was moved to another store");
    let by_mistake = world.refused(&["--listen", "127.0.0.1:0", "--store", &address]);
    assert!(by_mistake.contains("was moved to another store"), "{by_mistake}");
    let output = back.command().args(["verify", "--data", back.data().to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let mut back = back;
    let server = back.start_local();
    let client = server.client();
    // Bob logged in, which ended the session that he began with.
    let (_, after) = client.welcomed(&alice).await;
    assert_eq!((after.highest_number, after.pending), (MessageNumber(5), 0));
    assert!(after.key_epoch > again.key_epoch && after.store != again.store);
    let body = client.login_body(&bob, PASSWORD).await;
    let (status, grant) = client.call("POST", "/v1/sessions", "", &body).await;
    assert_eq!(status, 200);
    let grant: Value = serde_json::from_str(&grant).unwrap();
    let bob = Person { token: grant["access_token"].as_str().unwrap().to_owned(), ..bob };
    let (mut at_bob, _) = client.welcomed(&bob).await;
    assert_eq!(waiting(&mut at_bob).await, ["one", "two", "three", "five"]);
}

/// As an operator does: everything of the data folder but the database.
fn copy_keys(from: &Path, to: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let into = |folder: &Path| {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    };
    into(to);
    for name in ["retired_names.key", "token_keys.json"] {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
    into(&to.join("tls"));
    for file in std::fs::read_dir(from.join("tls")).unwrap().map(|file| file.unwrap().path()) {
        std::fs::copy(&file, to.join("tls").join(file.file_name().unwrap())).unwrap();
    }
}

fn address(rng: &mut impl rand::CryptoRng, account: AccountId) -> DeviceAddress {
    DeviceAddress { account, device: DeviceId::PRIMARY, registration: RegistrationId::generate(rng) }
}

fn account(at: usize) -> MovedAccount {
    let (rng, now) = (&mut rand::rng(), UnixMillis(1_800_000_000_000));
    let (identity, key) = (AccountIdentityKeyPair::generate(rng), DeviceIdentityKeyPair::generate(rng));
    let id = AccountId::generate(rng);
    let address = address(rng, id);
    let entry = DeviceEntry { device: address.device, registration: address.registration, identity: key.public() };
    let body = DeviceListBody {
        account: address.account,
        account_identity: identity.public(),
        version: 1,
        previous_hash: [0; 32],
        new_identity: false,
        devices: vec![entry],
    };
    let first = DeviceList::sign(&identity, body.clone()).unwrap();
    let second = DeviceListBody { version: 2, previous_hash: first.hash(), ..body };
    let second = DeviceList::sign(&identity, second).unwrap();
    let mut notice = |kind, reason, numbers: Vec<u64>| MovedNotice {
        kind,
        reason,
        peer: self::address(rng, AccountId::from_bytes([7; 16])),
        count: 3,
        numbers,
        created_at: now,
        sealed: kind == 2,
    };
    let device = MovedDevice {
        address,
        identity: key.public(),
        last_seen_at: now,
        key_epoch: 1,
        max_issued_id: 100,
        connection_epoch: 9,
        highest_number: 5_000 + at as u64,
        window: rand::random(),
        signed_prekey: Some(
            SignedPrekeyPair::generate(&mut rand::rng(), SignedPrekeyId(3), now).signed(&address, &key),
        ),
        one_time_prekeys: 0,
        notices: vec![notice(1, 1, vec![4, 5, 6]), notice(2, 1, vec![])],
    };
    let session = MovedSession {
        id: SessionId::from_bytes(rand::random()),
        address,
        refresh_hash: RefreshTokenHash::from_bytes(rand::random()),
        previous_hash: at.is_multiple_of(2).then(|| RefreshTokenHash::from_bytes(rand::random())),
        generation: 2,
        created_at: now,
        last_used_at: now,
        ended: at.is_multiple_of(3),
    };
    MovedAccount {
        id: address.account,
        username: Username::parse(&format!("person{at}")).unwrap(),
        name_hash: None,
        password_hash: "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$aGFzaA".to_owned(),
        created_at: now,
        disabled_at: at.is_multiple_of(5).then_some(now),
        lists: vec![(1, first.encoded().to_vec()), (2, second.encoded().to_vec())],
        list_hash: second.hash(),
        devices: vec![device],
        sessions: vec![session],
    }
}

/// A store with many accounts, each of which sends to the next; the first also has messages of somebody who is gone.
async fn filled(folder: &Path) {
    let mut store = EmbeddedTransfer::target(folder).unwrap().unwrap();
    let plan = MovePlan {
        server: ServerId::from_bytes([1; 16]),
        from: StoreId::from_bytes([2; 16]),
        to: StoreId::from_bytes(rand::random()),
        at: UnixMillis(1_800_000_000_000),
    };
    store.begin(plan).await.unwrap();
    let accounts: Vec<MovedAccount> = (0..size()).map(account).collect();
    let gone = address(&mut rand::rng(), AccountId::from_bytes([9; 16]));
    for (at, account) in accounts.iter().enumerate() {
        store.put_accounts(std::slice::from_ref(account)).await.unwrap();
        let from = if at == 0 { gone } else { accounts[at - 1].devices[0].address };
        let message = |number| MovedMessage {
            position: number,
            from,
            number: number + 1,
            accepted_at: UnixMillis(1_800_000_000_000 + number),
            ciphertext: rand::random::<[u8; 200]>().to_vec(),
        };
        let to = account.devices[0].address;
        let messages: Vec<_> = (0..MESSAGES as u64).map(|number| (to, message(number))).collect();
        store.put_messages(&messages).await.unwrap();
    }
    store.put_retired_names(&[rand::random(), rand::random()]).await.unwrap();
    let until = UnixMillis(1_900_000_000_000);
    let invite = InviteRecord { hash: rand::random(), created_at: plan.at, expires_at: until };
    store.put_invites(&[invite]).await.unwrap();
    assert_eq!(store.findings().await.unwrap(), Vec::<String>::new());
    store.finish().await.unwrap();
    drop(store);
    std::fs::write(folder.join("retired_names.key"), "A".repeat(43)).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder.join("retired_names.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Kills it once it has said that it copied this many accounts.
fn killed_after(mut command: Command, accounts: u64) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert_eq!(line["event"], "progress", "it came to its end before it was killed");
        if line["accounts"].as_u64().unwrap() >= accounts {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[track_caller]
fn whole(verified: &Value) {
    let accounts = size() as u64;
    for (what, count) in [
        ("accounts", accounts),
        ("devices", accounts),
        ("device_lists", 2 * accounts),
        ("signed_prekeys", accounts),
        ("sessions", accounts),
        ("messages", accounts * MESSAGES as u64),
        ("message_bytes", accounts * MESSAGES as u64 * 200),
        ("notices", 2 * accounts),
        ("invites", 1),
        ("retired_names", 2),
    ] {
        assert_eq!(verified["counts"][what], count, "{what}: {verified}");
    }
}

#[tokio::test]
async fn a_move_that_is_killed_goes_on_and_ends_whole_in_both_directions() {
    let (folder, world) = (tempfile::tempdir().unwrap(), World::new());
    let database = Database::start(&folder.path().join("mongodb"), 0).unwrap();
    let listens = database.address().to_owned();
    let address = format!("mongodb://{listens}/sealpost");
    filled(&world.data()).await;
    let from = format!("embedded:{}", world.data().display());
    killed_after(moving(&world, &from, &address, &[]), 32);
    killed_after(moving(&world, &from, &address, &[]), 64);
    // Nothing is served from a part.
    let part = world.refused(&["--listen", "127.0.0.1:0", "--store", &address]);
    assert!(part.contains("a move into this database has not finished"), "{part}");
    // Nor mixed with another.
    let other = World::new();
    filled(&other.data()).await;
    let another = format!("embedded:{}", other.data().display());
    refused(&mut moving(&other, &another, &address, &[]), "a part of another move");
    let begun = std::time::Instant::now();
    let (there, _) = moved(&mut moving(&world, &from, &address, &[]));
    whole(&there);
    println!("the rest of {} accounts to MongoDB, compared: {:.1} s", size(), begun.elapsed().as_secs_f64());
    refused(&mut moving(&other, &another, &address, &[]), "the target is not empty");

    let back = World::new();
    let target = format!("embedded:{}", back.data().display());
    let more = ["--source-is-stopped", "--secrets", world.data().to_str().unwrap()].map(str::to_owned);
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    // A folder that has a store of its own takes no other.
    refused(&mut moving(&world, &address, &another, &more), "has a database already");
    killed_after(moving(&world, &address, &target, &more), 32);
    killed_after(moving(&world, &address, &target, &more), 128);
    let part = back.refused(&["--listen", "127.0.0.1:0"]);
    assert!(part.contains("a move into") && !back.data().join("sealpost.db").exists(), "{part}");
    let begun = std::time::Instant::now();
    let (here, _) = moved(&mut moving(&world, &address, &target, &more));
    println!("and back: {:.1} s", begun.elapsed().as_secs_f64());
    whole(&here);
    std::fs::copy(world.data().join("retired_names.key"), back.data().join("retired_names.key")).unwrap();
    let output = back.command().args(["verify", "--data", back.data().to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
async fn a_target_that_lost_something_meanwhile_is_found_out() {
    let (folder, world) = (tempfile::tempdir().unwrap(), World::new());
    let database = Database::start(folder.path(), 0).unwrap();
    let listens = database.address().to_owned();
    let address = format!("mongodb://{listens}/sealpost");
    filled(&world.data()).await;
    let from = format!("embedded:{}", world.data().display());
    killed_after(moving(&world, &from, &address, &[]), 64);
    let beside = mongodb::Client::with_uri_str(&address).await.unwrap().database("sealpost");
    let queue = beside.collection::<Document>("queue");
    let row = queue.find_one(doc! {}).await.unwrap().unwrap();
    let other = doc! { "$set": { "ciphertext": mongodb::bson::Binary { subtype: mongodb::bson::spec::BinarySubtype::Generic, bytes: vec![0; 200] } } };
    queue.update_one(doc! { "_id": row.get("_id").unwrap() }, other).await.unwrap();
    refused(&mut moving(&world, &from, &address, &[]), "the target does not hold what the source does");
}

//! The access matrix: every route, asked by everybody who must not, with every id that it names.
//!
//! A request that names another account's thing gets the same answer as one that names nothing that exists, and changes nothing.
//! The matrix in [`requests`](super::requests) says of each id that an endpoint names whose it has to be. An endpoint without a
//! row does not compile, and a field of a body without one fails the test.

use std::collections::{BTreeMap, BTreeSet};

use sealpost_api::endpoint::{Access, Metadata};
use sealpost_api::endpoints;
use sealpost_api::ids::SessionId;
use sealpost_api::limits::ACCESS_TOKEN_SECONDS;
use sealpost_api::problem::ProblemCode;
use sealpost_crypto::{AccountId, DeviceList, RegistrationId, UnixMillis};
use serde_json::Value;

use super::requests::{Actor, Id, Names, Scope, ids_named};
use super::schema;
use crate::account::{Account, AccountCalls as _, Device, DeviceCalls as _, PASSWORD, publish_request};
use crate::server::{Options, TestServer};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Principal {
    /// Keys of its own, no account, no token.
    Nobody,
    /// Another account.
    OtherAccount,
    /// Another device of the account, which knows the password.
    OtherDevice,
    /// A device that was removed from the account; it still has its tokens and knows the password.
    Removed,
    /// The device itself, with a token that has expired.
    Expired,
}

const PRINCIPALS: [Principal; 5] =
    [Principal::Nobody, Principal::OtherAccount, Principal::OtherDevice, Principal::Removed, Principal::Expired];

/// An account whose things the others name: its first device is the victim.
struct World {
    server: TestServer,
    victim: Actor,
    sibling: Device,
    removed: Device,
    expired: String,
    /// Accounts drawn so far.
    others: u32,
}

fn actor_of(account: &Account, device: &Device) -> Actor {
    Actor {
        username: account.name.clone(),
        password: PASSWORD.to_owned(),
        identity: sealpost_crypto::AccountIdentityKeyPair::from_seed(&account.identity.seed()),
        list: DeviceList::decode(account.list.encoded()).unwrap(),
        device: copy_of(device),
    }
}

fn copy_of(device: &Device) -> Device {
    Device {
        identity: sealpost_crypto::DeviceIdentityKeyPair::from_seed(&device.identity.seed()),
        address: device.address,
        session: device.session,
        refresh: device.refresh.clone(),
        access: device.access.clone(),
    }
}

impl World {
    async fn start() -> Self {
        let server = TestServer::start(Options::default()).await;
        let mut account = Account::register(&server, "victim").await;
        let removed = account.add_device(&server, 3).await;
        let mut sibling = Device::new(account.id(), 2);
        let next = account.next_list(&[&account.device, &sibling]);
        let publish = publish_request(&next, vec![sibling.prekeys(1..=10, server.now())]);
        assert_eq!(server.put("/v1/account/devices", &account.device.access, &publish).await.status, 200);
        account.list = next;
        assert_eq!(sibling.log_in(&server, "victim", PASSWORD).await.status, 200);
        let long_ago = UnixMillis(server.now().0 - (ACCESS_TOKEN_SECONDS + 6) * 1_000);
        let (address, session) = (account.device.address, account.device.session);
        let expired = server.services.core().tokens.issue(long_ago, &address, session, 1).unwrap();
        let victim = actor_of(&account, &account.device);
        Self { server, victim, sibling, removed, expired: expired.reveal().to_owned(), others: 0 }
    }

    async fn principal(&mut self, principal: Principal) -> Actor {
        self.others += 1;
        let name = format!("other{}", self.others);
        let of_victim = |device: &Device| {
            // It has the list, and not the identity key that signs the next one.
            let identity = sealpost_crypto::AccountIdentityKeyPair::generate(&mut rand::rng());
            let list = DeviceList::decode(self.victim.list.encoded()).unwrap();
            let (username, password) = (self.victim.username.clone(), PASSWORD.to_owned());
            Actor { username, password, identity, list, device: copy_of(device) }
        };
        match principal {
            Principal::Nobody => Actor::nobody(&name, "a guess at it"),
            Principal::OtherAccount => Actor::register(&self.server, &name, "a password of its own").await,
            Principal::OtherDevice => of_victim(&self.sibling),
            Principal::Removed => of_victim(&self.removed),
            Principal::Expired => {
                let mut actor = of_victim(&self.victim.device);
                actor.device.access = self.expired.clone();
                actor
            }
        }
    }

    /// Everything that the server stores.
    fn stored(&self) -> BTreeMap<String, Vec<String>> {
        self.server.dump()
    }

    /// What the server holds of the victim, in the words of the store.
    async fn victims(&self) -> String {
        let store = &self.server.services.core().store;
        let account = self.victim.device.address.account;
        let mut keys = Vec::new();
        for device in [&self.victim.device, &self.sibling] {
            keys.push(store.one_time_prekey_ids(device.address).await.unwrap());
        }
        let (record, devices) = (store.account(account).await.unwrap(), store.devices(account).await.unwrap());
        let (lists, sessions) =
            (store.device_lists(account, 0, 64).await.unwrap(), store.sessions(account).await.unwrap());
        format!("{record:?} {devices:?} {lists:?} {sessions:?} {keys:?}")
    }
}

/// Of what kind the field of a body is; `None` when it names nothing: secrets, keys, signatures and their like.
fn ids_of(field: &str, parent: Option<&str>) -> &'static [Id] {
    match field {
        "username" => &[Id::Username],
        "device_list" => &[Id::Account, Id::Device, Id::Registration],
        "device_id" | "devices" => &[Id::Device],
        "registration_id" => &[Id::Registration],
        "session_id" => &[Id::Session],
        "key_epoch" => &[Id::KeyEpoch],
        "id" if parent == Some("signed_prekey") => &[Id::SignedPrekey],
        "id" if parent == Some("one_time_prekeys") => &[Id::OneTimePrekey],
        "password" | "old_password" | "new_password" | "invite" | "refresh_token" | "refresh_hash" | "next_hash"
        | "signature" | "key" | "expires_at" | "device" | "session" | "added" | "signed_prekey"
        | "one_time_prekeys" => &[],
        unknown => panic!("say what the field {unknown} names"),
    }
}

/// What a route's path and body name, by the OpenAPI document.
fn named_by(document: &Value, route: &Metadata) -> BTreeSet<Id> {
    let mut named = BTreeSet::new();
    let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        named.insert(match parameter["name"].as_str().unwrap() {
            "username" => Id::Username,
            "account_id" => Id::Account,
            "session_id" => Id::Session,
            "after" => Id::After,
            unknown => panic!("say what the parameter {unknown} names"),
        });
    }
    for field in schema::request_fields(document, route) {
        let names: Vec<&str> = field.path.iter().map(String::as_str).filter(|name| *name != "0").collect();
        let parent = names.len().checked_sub(2).map(|at| names[at]);
        named.extend(ids_of(field.name(), parent));
    }
    named
}

/// Its own names, but for one: the victim's, or one that nobody has.
fn naming(own: &Names, id: Option<Id>, other: &Names) -> Names {
    let mut names = own.clone();
    match id {
        Some(Id::Username) => names.username.clone_from(&other.username),
        Some(Id::Account) => names.account = other.account,
        Some(Id::Device) => names.device = other.device,
        Some(Id::Registration) => names.registration = other.registration,
        Some(Id::Session) => names.session = other.session,
        Some(Id::OneTimePrekey) => names.one_time_prekey = other.one_time_prekey,
        Some(Id::SignedPrekey) => names.signed_prekey = other.signed_prekey,
        Some(Id::KeyEpoch) => names.key_epoch = other.key_epoch,
        Some(Id::After) => names.after = other.after,
        None => {}
    }
    names
}

fn unknown_names() -> Names {
    Names {
        username: "nobody_has_this".to_owned(),
        account: AccountId::from_bytes(rand::random()),
        device: 99,
        registration: RegistrationId::from_bytes(rand::random()),
        session: SessionId::from_bytes(rand::random()),
        one_time_prekey: 1_000_000,
        signed_prekey: 1_000_000,
        key_epoch: 99,
        after: 99,
    }
}

/// Whether the principal may name the victim's thing here: then there is nothing to deny.
fn allowed(route: &Metadata, scope: Scope, principal: Principal) -> bool {
    match (route.access, principal) {
        // An anonymous call is let in by what is in its body. A device that was removed knows the password all the same.
        (Access::Anyone, Principal::OtherDevice | Principal::Removed) => scope == Scope::Account,
        (_, Principal::OtherAccount) => scope == Scope::Public,
        (_, Principal::OtherDevice) => matches!(scope, Scope::Public | Scope::Account),
        _ => false,
    }
}

#[tokio::test]
async fn threat_57_whoever_names_anothers_things_learns_and_changes_nothing() {
    let document = schema::document();
    let mut world = World::start().await;
    // What everybody without a good token is told, whatever was asked.
    let stranger = world.server.get("/v1/sessions", "no.token.atall").await;
    stranger.refused(ProblemCode::Unauthenticated);
    let unauthenticated = stranger.essence();
    assert!(world.stored()["sessions"].len() >= 3, "what is compared is there");
    let (mut denied, mut cells) = (0, 0);
    for route in endpoints::all() {
        let ids = ids_named(route);
        let listed: BTreeSet<Id> = ids.iter().map(|(id, _)| *id).collect();
        assert_eq!(listed, named_by(&document, route), "{} {}", route.method.as_str(), route.path);
        for principal in PRINCIPALS {
            let tokenless = [Principal::Nobody, Principal::Removed, Principal::Expired].contains(&principal);
            // Without any id there is still the question itself; and where no token is asked for, none can have expired.
            if route.access == Access::Anyone && (principal == Principal::Expired || ids.is_empty()) {
                continue;
            }
            if route.access == Access::Stream
                && matches!(principal, Principal::Nobody | Principal::OtherAccount | Principal::OtherDevice)
            {
                continue;
            }
            let asked = ids
                .iter()
                .map(|(id, scope)| (Some(*id), *scope))
                .chain((ids.is_empty() && tokenless).then_some((None, Scope::Device)));
            for (id, scope) in asked {
                cells += 1;
                let cell = format!("{} {} by {principal:?}, naming {id:?}", route.method.as_str(), route.path);
                if route.access != Access::Anyone && tokenless {
                    let actor = world.principal(principal).await;
                    let before = world.stored();
                    let own = world.victim.names();
                    let reply = actor.call(&world.server, route, &own).await.essence();
                    let unknown = actor.call(&world.server, route, &naming(&own, id, &unknown_names())).await.essence();
                    assert_eq!(reply, unknown, "{cell}");
                    assert_eq!((reply.0, &reply.2), (unauthenticated.0, &unauthenticated.2), "{cell}");
                    assert_eq!(world.stored(), before, "{cell}");
                    denied += 1;
                    continue;
                }
                if allowed(route, scope, principal) {
                    continue;
                }
                let actor = world.principal(principal).await;
                let (own, victim) = (actor.names(), world.victim.names());
                if scope != Scope::Own && naming(&own, id, &victim) == own {
                    // Every account has a first device, so that its number alone is nobody else's.
                    continue;
                }
                let (before, victims) = (world.stored(), world.victims().await);
                let reply = actor.call(&world.server, route, &naming(&own, id, &victim)).await;
                assert_eq!(world.victims().await, victims, "{cell}");
                if scope == Scope::Own {
                    denied += 1;
                    continue;
                }
                assert_eq!(world.stored(), before, "{cell}");
                if scope == Scope::Free {
                    assert!((400..500).contains(&reply.status), "{cell}: {}", reply.status);
                } else {
                    let unknown = actor.call(&world.server, route, &naming(&own, id, &unknown_names())).await;
                    assert_eq!(reply.essence(), unknown.essence(), "{cell}");
                    assert_eq!(world.stored(), before, "{cell}");
                }
                denied += 1;
            }
        }
    }
    println!("{denied} of {cells} cells were denied; the others are allowed");
    assert!(denied >= 100, "{denied} of {cells}");
}

/// What a handler does to the store goes through a service, which is handed a `Caller` and not an id to believe.
#[test]
fn no_handler_reaches_the_store() {
    let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/edge");
    let mut seen = 0;
    for folder in ["http", "ws"] {
        for entry in std::fs::read_dir(sources.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            seen += 1;
            for word in ["crate::store", ".store", "Caller {"] {
                assert!(!text.contains(word), "{} holds {word}", path.display());
            }
        }
    }
    assert!(seen >= 10, "{seen}");
}

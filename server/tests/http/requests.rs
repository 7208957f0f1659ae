//! A request to any route of the table, naming whatever ids the test wants, made and signed with the caller's keys.

use hyper::Method;
use sealpost_api::accounts::{
    ChangePasswordRequest, CurrentIdentityRequest, DeleteAccountRequest, NewIdentityRequest, RegisterRequest,
};
use sealpost_api::devices::PublishDeviceListRequest;
use sealpost_api::encoding::{B64, EncodedDeviceList, RefreshToken};
use sealpost_api::ids::SessionId;
use sealpost_api::prekeys::{TakeBundlesRequest, UploadPrekeysRequest};
use sealpost_api::sessions::{LoginRequest, SessionGrant};
use sealpost_crypto::{
    AccountId, AccountIdentityKeyPair, DeviceAddress, DeviceId, DeviceIdentityKeyPair, DeviceList, DeviceListBody,
    RegistrationId,
};
use sealpost_server::edge::http::Route;
use sealpost_server::edge::http::routes::Verb;
use serde_json::Value;

use crate::account::{Account, Device, one_time_prekeys, password, path_id, server_id};
use crate::server::{Reply, TestServer};

/// Every id that a request can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) username: String,
    pub(crate) account: AccountId,
    pub(crate) device: u8,
    pub(crate) registration: RegistrationId,
    pub(crate) session: SessionId,
    pub(crate) one_time_prekey: u32,
    pub(crate) signed_prekey: u32,
    pub(crate) key_epoch: u32,
    pub(crate) after: u64,
}

/// The caller, with keys, password and perhaps an access token.
pub(crate) struct Actor {
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) identity: AccountIdentityKeyPair,
    pub(crate) list: DeviceList,
    pub(crate) device: Device,
}

impl Actor {
    /// Nobody: keys that no server has seen, and no token.
    pub(crate) fn nobody(name: &str, password: &str) -> Self {
        let Account { name, identity, list, device } = Account::new(name);
        Self { username: name, password: password.to_owned(), identity, list, device }
    }

    /// An account of its own, with a password of its own.
    pub(crate) async fn register(server: &TestServer, name: &str, password: &str) -> Self {
        let mut actor = Self::nobody(name, password);
        let route = sealpost_server::edge::http::ROUTES.iter().find(|route| route.path == "/v1/accounts").unwrap();
        let grant: SessionGrant = actor.call(server, route, &actor.names()).await.json();
        actor.device.access = grant.access_token.reveal().to_owned();
        actor
    }

    /// The names of what is its own, and of what it could make next.
    pub(crate) fn names(&self) -> Names {
        let DeviceAddress { account, device, registration } = self.device.address;
        Names {
            username: self.username.clone(),
            account,
            device: device.get(),
            registration,
            session: self.device.session,
            one_time_prekey: 1,
            signed_prekey: 1,
            key_epoch: 1,
            after: 0,
        }
    }

    /// Its key and refresh token, under the names given.
    fn device_named(&self, names: &Names) -> Device {
        Device {
            identity: DeviceIdentityKeyPair::from_seed(&self.device.identity.seed()),
            address: DeviceAddress {
                account: names.account,
                device: DeviceId::new(names.device).unwrap(),
                registration: names.registration,
            },
            session: names.session,
            refresh: self.device.refresh.clone(),
            access: String::new(),
        }
    }

    /// A list of one device with these names, signed with its own identity key.
    fn list_naming(&self, names: &Names, version: u64, new_identity: bool) -> B64<EncodedDeviceList> {
        let identity = match new_identity {
            true => AccountIdentityKeyPair::generate(&mut rand::rng()),
            false => AccountIdentityKeyPair::from_seed(&self.identity.seed()),
        };
        let body = DeviceListBody {
            account: names.account,
            account_identity: identity.public(),
            version,
            previous_hash: if version == 1 { [0; 32] } else { self.list.hash() },
            new_identity,
            devices: vec![self.device_named(names).entry()],
        };
        B64(EncodedDeviceList(DeviceList::sign(&identity, body).unwrap().encoded().to_vec()))
    }

    /// The path that names these, and the body, with every optional field.
    pub(crate) fn request(&self, server: &TestServer, route: &Route, names: &Names) -> (String, Option<Value>) {
        let device = self.device_named(names);
        let next = self.list.version() + 1;
        let prekeys = || {
            let mut keys = device.prekeys(1..=1, server.now());
            keys.signed_prekey = device.signed_prekey(names.signed_prekey, server.now());
            keys.one_time_prekeys = one_time_prekeys(names.one_time_prekey..=names.one_time_prekey);
            keys
        };
        let session = || device.session_request(server_id(server));
        let (username, secret) = (names.username.clone(), || password(&self.password));
        let body = match (route.method, route.path) {
            (Verb::Post, "/v1/accounts") => json(&RegisterRequest {
                username,
                password: secret(),
                invite: Some("AAAAAAAAAAAAAAAAAAAA".to_owned()),
                device_list: self.list_naming(names, 1, false),
                device: prekeys(),
                session: session(),
            }),
            (Verb::Post, "/v1/accounts/{account_id}/bundles") => {
                json(&TakeBundlesRequest { devices: Some(vec![names.device]) })
            }
            (Verb::Post, "/v1/identity/current") => json(&CurrentIdentityRequest { username, password: secret() }),
            (Verb::Post, "/v1/identity") => json(&NewIdentityRequest {
                username,
                password: secret(),
                device_list: self.list_naming(names, next, true),
                device: prekeys(),
                session: session(),
            }),
            (Verb::Put, "/v1/account/password") => {
                json(&ChangePasswordRequest { old_password: secret(), new_password: password("another horse battery") })
            }
            (Verb::Post, "/v1/account/delete") => json(&DeleteAccountRequest { password: secret() }),
            (Verb::Put, "/v1/account/devices") => json(&PublishDeviceListRequest {
                device_list: self.list_naming(names, next, false),
                added: vec![prekeys()],
            }),
            (Verb::Post, "/v1/sessions") => json(&LoginRequest {
                username,
                password: secret(),
                device_id: names.device,
                registration_id: B64(names.registration),
                session: session(),
            }),
            (Verb::Post, "/v1/sessions/refresh") => {
                let next = RefreshToken::from_bytes(rand::random());
                json(&device.refresh_request(server_id(server), &device.refresh, next.hash()))
            }
            (Verb::Post, "/v1/prekeys") => json(&UploadPrekeysRequest {
                key_epoch: names.key_epoch,
                one_time_prekeys: one_time_prekeys(names.one_time_prekey..=names.one_time_prekey),
                signed_prekey: Some(self.device.signed_prekey(names.signed_prekey, server.now())),
            }),
            _ => None,
        };
        assert_eq!(body.is_some(), route.body, "{} {}: say here what its body is", route.method.as_str(), route.path);
        let mut path = route
            .path
            .replace("{username}", &names.username)
            .replace("{account_id}", &path_id(names.account))
            .replace("{session_id}", &path_id(names.session));
        assert!(!path.contains('{'), "{path}: say here what stands in the path");
        if route.path == "/v1/accounts/{account_id}/devices" {
            path.push_str(&format!("?after={}", names.after));
        }
        (path, body)
    }

    /// Asks, with the token it has.
    pub(crate) async fn call(&self, server: &TestServer, route: &Route, names: &Names) -> Reply {
        let (path, body) = self.request(server, route, names);
        call(server, route, &path, &self.device.access, body.as_ref()).await
    }
}

/// Calls a route with a token, unless it is empty, and with a body, if it takes one.
pub(crate) async fn call(server: &TestServer, route: &Route, path: &str, token: &str, body: Option<&Value>) -> Reply {
    let method: Method = route.method.as_str().parse().unwrap();
    let bearer = format!("Bearer {token}");
    let mut headers = Vec::new();
    if !token.is_empty() {
        headers.push(("authorization", bearer.as_str()));
    }
    if body.is_some() {
        headers.push(("content-type", "application/json"));
    }
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    if route.path == "/v1/stream" {
        headers.extend(upgrade);
    }
    server.call(method, path, &headers, body.map(Value::to_string).unwrap_or_default().into_bytes()).await
}

fn json(body: &impl serde::Serialize) -> Option<Value> {
    Some(serde_json::to_value(body).unwrap())
}

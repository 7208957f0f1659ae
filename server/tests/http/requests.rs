//! The endpoints as tests ask for them: the ids that each names, and a request with any ids, made and signed with the keys of the
//! one who asks.

use hyper::Method;
use sealpost_api::accounts::{
    ChangePassword, ChangePasswordRequest, CurrentIdentityRequest, DeleteAccount, DeleteAccountRequest, ExportAccount,
    LookUpAccount, NewIdentityRequest, ReadCurrentIdentity, Register, RegisterRequest, ReplaceIdentity,
};
use sealpost_api::devices::{PublishDeviceList, PublishDeviceListRequest, ReadDeviceLists};
use sealpost_api::encoding::{B64, EncodedDeviceList, RefreshToken};
use sealpost_api::endpoint::{Endpoint, Metadata};
use sealpost_api::endpoints::ENDPOINTS;
use sealpost_api::ids::SessionId;
use sealpost_api::prekeys::{
    DiscardPrekeys, ListPrekeyIds, ReadPrekeyStatus, TakeBundles, TakeBundlesRequest, UploadPrekeys,
    UploadPrekeysRequest,
};
use sealpost_api::server::{CheckHealth, CheckReadiness, ReadOpenApi, ReadServerInfo};
use sealpost_api::sessions::{
    EndAllSessions, EndSession, ListSessions, LogIn, LogOut, LoginRequest, RefreshSession, SessionGrant,
};
use sealpost_api::stream::OpenStream;
use sealpost_crypto::{
    AccountId, AccountIdentityKeyPair, DeviceAddress, DeviceId, DeviceIdentityKeyPair, DeviceList, DeviceListBody,
    RegistrationId,
};
use serde_json::Value;

use crate::account::{Account, Device, one_time_prekeys, password, server_id};
use crate::server::{Reply, TestServer};

/// What a request can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Id {
    Username,
    Account,
    Device,
    Registration,
    Session,
    OneTimePrekey,
    SignedPrekey,
    KeyEpoch,
    After,
}

/// Whose thing an id has to name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Anyone's: every account may look it up or write to it.
    Public,
    /// The caller's account's. Any of its devices may call.
    Account,
    /// The calling device's.
    Device,
    /// Nobody's: the call makes something new under this id, and refuses an id that is taken.
    Free,
    /// The caller's own thing, even if another account has one of the same name.
    Own,
}

struct Row {
    endpoint: &'static str,
    ids: &'static [(Id, Scope)],
}

const fn row<E: Endpoint>(ids: &'static [(Id, Scope)]) -> Row {
    Row { endpoint: E::METADATA.name, ids }
}

const NEW_DEVICE: [(Id, Scope); 4] = [
    (Id::Device, Scope::Own),
    (Id::Registration, Scope::Own),
    (Id::OneTimePrekey, Scope::Own),
    (Id::SignedPrekey, Scope::Own),
];

/// One row for each endpoint.
const MATRIX: &[Row] = &[
    row::<CheckHealth>(&[]),
    row::<CheckReadiness>(&[]),
    row::<ReadOpenApi>(&[]),
    row::<ReadServerInfo>(&[]),
    row::<Register>(&[
        (Id::Username, Scope::Free),
        (Id::Account, Scope::Free),
        (Id::Session, Scope::Free),
        NEW_DEVICE[0],
        NEW_DEVICE[1],
        NEW_DEVICE[2],
        NEW_DEVICE[3],
    ]),
    row::<LookUpAccount>(&[(Id::Username, Scope::Public)]),
    row::<ReadDeviceLists>(&[(Id::Account, Scope::Public), (Id::After, Scope::Public)]),
    row::<TakeBundles>(&[(Id::Account, Scope::Public), (Id::Device, Scope::Public)]),
    row::<ReadCurrentIdentity>(&[(Id::Username, Scope::Account)]),
    row::<ReplaceIdentity>(&[
        (Id::Username, Scope::Account),
        (Id::Account, Scope::Account),
        (Id::Session, Scope::Free),
        NEW_DEVICE[0],
        NEW_DEVICE[1],
        NEW_DEVICE[2],
        NEW_DEVICE[3],
    ]),
    row::<ChangePassword>(&[]),
    row::<DeleteAccount>(&[]),
    row::<ExportAccount>(&[]),
    row::<PublishDeviceList>(&[
        (Id::Account, Scope::Account),
        NEW_DEVICE[0],
        NEW_DEVICE[1],
        NEW_DEVICE[2],
        NEW_DEVICE[3],
    ]),
    row::<LogIn>(&[
        (Id::Username, Scope::Account),
        (Id::Device, Scope::Device),
        (Id::Registration, Scope::Device),
        (Id::Session, Scope::Free),
    ]),
    row::<RefreshSession>(&[(Id::Session, Scope::Device)]),
    row::<ListSessions>(&[]),
    row::<EndAllSessions>(&[]),
    row::<LogOut>(&[]),
    row::<EndSession>(&[(Id::Session, Scope::Account)]),
    row::<ReadPrekeyStatus>(&[]),
    row::<ListPrekeyIds>(&[]),
    row::<UploadPrekeys>(&[
        (Id::KeyEpoch, Scope::Own),
        (Id::OneTimePrekey, Scope::Own),
        (Id::SignedPrekey, Scope::Own),
    ]),
    row::<DiscardPrekeys>(&[]),
    // The ids in its frames have a matrix of their own, among the tests of the stream.
    row::<OpenStream>(&[]),
];

const _: () =
    assert!(every_endpoint_has_a_row(), "an endpoint has no row in MATRIX: say there which ids it names, and whose");

const fn every_endpoint_has_a_row() -> bool {
    let (mut resource, mut endpoints) = (0, 0);
    while resource < ENDPOINTS.len() {
        let mut endpoint = 0;
        while endpoint < ENDPOINTS[resource].len() {
            let mut row = 0;
            while row < MATRIX.len() && !is_row_of(&MATRIX[row], &ENDPOINTS[resource][endpoint]) {
                row += 1;
            }
            if row == MATRIX.len() {
                return false;
            }
            endpoint += 1;
        }
        endpoints += endpoint;
        resource += 1;
    }
    endpoints == MATRIX.len()
}

const fn is_row_of(row: &Row, endpoint: &Metadata) -> bool {
    let (ours, theirs) = (row.endpoint.as_bytes(), endpoint.name.as_bytes());
    let mut at = 0;
    while at < ours.len() && at < theirs.len() && ours[at] == theirs[at] {
        at += 1;
    }
    at == ours.len() && at == theirs.len()
}

/// Returns which ids an endpoint names, and whose they have to be.
pub(crate) fn ids_named(endpoint: &Metadata) -> &'static [(Id, Scope)] {
    MATRIX.iter().find(|row| is_row_of(row, endpoint)).unwrap().ids
}

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
        let grant: SessionGrant = actor.call(server, &Register::METADATA, &actor.names()).await.json();
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
    pub(crate) fn request(&self, server: &TestServer, route: &Metadata, names: &Names) -> (String, Option<Value>) {
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
        let body = match route.name {
            Register::NAME => json(&RegisterRequest {
                username,
                password: secret(),
                invite: Some("AAAAAAAAAAAAAAAAAAAA".to_owned()),
                device_list: self.list_naming(names, 1, false),
                device: prekeys(),
                session: session(),
            }),
            TakeBundles::NAME => json(&TakeBundlesRequest { devices: Some(vec![names.device]) }),
            ReadCurrentIdentity::NAME => json(&CurrentIdentityRequest { username, password: secret() }),
            ReplaceIdentity::NAME => json(&NewIdentityRequest {
                username,
                password: secret(),
                device_list: self.list_naming(names, next, true),
                device: prekeys(),
                session: session(),
            }),
            ChangePassword::NAME => {
                json(&ChangePasswordRequest { old_password: secret(), new_password: password("another horse battery") })
            }
            DeleteAccount::NAME => json(&DeleteAccountRequest { password: secret() }),
            PublishDeviceList::NAME => json(&PublishDeviceListRequest {
                device_list: self.list_naming(names, next, false),
                added: vec![prekeys()],
            }),
            LogIn::NAME => json(&LoginRequest {
                username,
                password: secret(),
                device_id: names.device,
                registration_id: B64(names.registration),
                session: session(),
            }),
            RefreshSession::NAME => {
                let next = RefreshToken::from_bytes(rand::random());
                json(&device.refresh_request(server_id(server), &device.refresh, next.hash()))
            }
            UploadPrekeys::NAME => json(&UploadPrekeysRequest {
                key_epoch: names.key_epoch,
                one_time_prekeys: one_time_prekeys(names.one_time_prekey..=names.one_time_prekey),
                signed_prekey: Some(self.device.signed_prekey(names.signed_prekey, server.now())),
            }),
            _ => None,
        };
        assert_eq!(body.is_some(), route.body, "{} {}: say here what its body is", route.method.as_str(), route.path);
        let (account_id, session_id) = (names.account, names.session);
        let path = match route.name {
            LookUpAccount::NAME => LookUpAccount { username: names.username.clone() }.path(),
            ReadDeviceLists::NAME => ReadDeviceLists { account_id, after: Some(names.after) }.path(),
            TakeBundles::NAME => TakeBundles { account_id }.path(),
            EndSession::NAME => EndSession { session_id }.path(),
            _ => route.path.to_owned(),
        };
        assert!(!path.contains('{'), "{path}: say here what stands in the path");
        (path, body)
    }

    /// Asks, with the token it has.
    pub(crate) async fn call(&self, server: &TestServer, route: &Metadata, names: &Names) -> Reply {
        let (path, body) = self.request(server, route, names);
        call(server, route, &path, &self.device.access, body.as_ref()).await
    }
}

/// Calls a route with a token, unless it is empty, and with a body, if it takes one.
pub(crate) async fn call(
    server: &TestServer,
    route: &Metadata,
    path: &str,
    token: &str,
    body: Option<&Value>,
) -> Reply {
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
    if route.name == OpenStream::NAME {
        headers.extend(upgrade);
    }
    server.call(method, path, &headers, body.map(Value::to_string).unwrap_or_default().into_bytes()).await
}

fn json(body: &impl serde::Serialize) -> Option<Value> {
    Some(serde_json::to_value(body).unwrap())
}

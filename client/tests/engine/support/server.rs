//! A model of the server: what the API promises, with its state open to the tests, and as malicious as they make it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use sealpost_api::accounts::*;
use sealpost_api::devices::*;
use sealpost_api::encoding::{B64, EncodedDeviceList};
use sealpost_api::ids::*;
use sealpost_api::password::AccessToken;
use sealpost_api::prekeys::*;
use sealpost_api::problem::{Problem, ProblemCode};
use sealpost_api::server::{RegistrationPolicy, ServerInfo};
use sealpost_api::sessions::*;
use sealpost_client::engine::{HttpResponse, Method, Request};
use sealpost_crypto::{AccountId, DeviceAddress, DeviceList, LoginStatement, RefreshStatement};
use serde::Serialize;

const SERVER_ID: [u8; 16] = [7; 16];

#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) password: String,
    pub(crate) lists: Vec<DeviceList>,
}

#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) address: DeviceAddress,
    pub(crate) refresh_hash: RefreshTokenHash,
    pub(crate) previous_hash: Option<RefreshTokenHash>,
    pub(crate) generation: u32,
    pub(crate) expires_at: u64,
}

#[derive(Clone, Default)]
pub(crate) struct Device {
    pub(crate) signed_prekey: Option<SignedPrekeyBody>,
    pub(crate) one_time: BTreeMap<u32, OneTimePrekeyBody>,
    pub(crate) max_issued: u32,
    pub(crate) key_epoch: u32,
    pub(crate) queue: BTreeMap<u64, Row>,
    pub(crate) highest: u64,
    pub(crate) accepted: BTreeMap<u64, Bytes>,
    pub(crate) epoch: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) from: DeviceAddress,
    pub(crate) number: u64,
    pub(crate) accepted_at: u64,
    pub(crate) ciphertext: Bytes,
}

/// Everything that a restore from a backup brings back.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) id: StoreId,
    pub(crate) accounts: BTreeMap<String, Account>,
    pub(crate) sessions: BTreeMap<[u8; 16], Session>,
    pub(crate) devices: BTreeMap<DeviceAddress, Device>,
    pub(crate) next_row: u64,
}

pub(crate) struct Connection {
    pub(crate) address: DeviceAddress,
    pub(crate) delivered: BTreeSet<u64>,
    pub(crate) told_drained: bool,
}

pub(crate) struct Server {
    pub(crate) store: Store,
    pub(crate) connections: BTreeMap<usize, Connection>,
    /// Answers to `Send`, taken instead of the usual ones, oldest first.
    pub(crate) refusals: Vec<(ProblemCode, u64)>,
    /// Refuses everything for these accounts.
    pub(crate) refuse_to: BTreeMap<AccountId, ProblemCode>,
    /// Changes a bundle answer before it goes out.
    pub(crate) tamper_bundles: Option<Tamper>,
    /// Bundles taken, one entry for each device asked for.
    pub(crate) bundles_taken: usize,
    pub(crate) used_one_time: BTreeSet<(DeviceAddress, u32)>,
    pub(crate) looked_up: Vec<String>,
    pub(crate) paused: bool,
}

type Tamper = Box<dyn Fn(&mut TakeBundlesResponse)>;
type Reply = Result<Vec<u8>, (ProblemCode, Option<u64>)>;

fn ok<T: Serialize>(value: &T) -> Reply {
    Ok(serde_json::to_vec(value).unwrap())
}

fn problem<T>(code: ProblemCode) -> Result<T, (ProblemCode, Option<u64>)> {
    Err((code, None))
}

fn encoded(list: &DeviceList) -> B64<EncodedDeviceList> {
    B64(EncodedDeviceList(list.encoded().to_vec()))
}

impl Server {
    pub(crate) fn new() -> Self {
        Self {
            store: Store {
                id: StoreId::from_bytes([1; 16]),
                accounts: BTreeMap::new(),
                sessions: BTreeMap::new(),
                devices: BTreeMap::new(),
                next_row: 1,
            },
            connections: BTreeMap::new(),
            refusals: Vec::new(),
            refuse_to: BTreeMap::new(),
            tamper_bundles: None,
            bundles_taken: 0,
            used_one_time: BTreeSet::new(),
            looked_up: Vec::new(),
            paused: false,
        }
    }

    /// Back to a backup: another store id, no sessions, no one-time prekeys, another key epoch.
    pub(crate) fn restore(&mut self, backup: Store) {
        let id = self.store.id.as_bytes()[0] + 1;
        self.store = backup;
        self.store.id = StoreId::from_bytes([id; 16]);
        self.store.sessions.clear();
        for device in self.store.devices.values_mut() {
            device.one_time.clear();
            device.key_epoch += 1;
        }
        self.connections.clear();
    }

    pub(crate) fn account(&self, name: &str) -> &Account {
        &self.store.accounts[name]
    }

    pub(crate) fn device(&mut self, address: DeviceAddress) -> &mut Device {
        self.store.devices.get_mut(&address).unwrap()
    }

    pub(super) fn by_id(&mut self, id: AccountId) -> Option<&mut Account> {
        self.store.accounts.values_mut().find(|account| account.id == id)
    }

    pub(super) fn caller(&self, now: u64, bearer: Option<&AccessToken>) -> Result<Session, (ProblemCode, Option<u64>)> {
        let token = bearer.map(|token| token.reveal().to_owned()).unwrap_or_default();
        self.store
            .sessions
            .values()
            .find(|session| token == token_of(session).reveal() && session.expires_at > now)
            .cloned()
            .ok_or((ProblemCode::Unauthenticated, None))
    }

    pub(crate) fn handle(&mut self, now: u64, request: &Request) -> HttpResponse {
        match self.route(now, request) {
            Ok(body) => HttpResponse { status: 200, body },
            Err((code, retry_after)) => {
                let mut problem = Problem::new(code);
                problem.retry_after = retry_after;
                HttpResponse { status: code.status(), body: serde_json::to_vec(&problem).unwrap() }
            }
        }
    }

    fn route(&mut self, now: u64, request: &Request) -> Reply {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        let body = request.body.as_ref().map(|body| body.as_slice()).unwrap_or_default();
        match (request.method, parts.as_slice()) {
            (Method::Get, ["server"]) => ok(&ServerInfo {
                server_id: B64(ServerId::from_bytes(SERVER_ID)),
                version: "test".to_owned(),
                registration: RegistrationPolicy::Open,
                now,
            }),
            (Method::Post, ["accounts"]) => self.register(now, serde_json::from_slice(body).unwrap()),
            (Method::Post, ["identity", "current"]) => {
                let request: CurrentIdentityRequest = serde_json::from_slice(body).unwrap();
                let account = self.login_account(&request.username, request.password.reveal())?;
                ok(&CurrentIdentity {
                    account_id: B64(account.id),
                    device_list: encoded(account.lists.last().unwrap()),
                })
            }
            (Method::Post, ["identity"]) => self.new_identity(now, serde_json::from_slice(body).unwrap()),
            (Method::Post, ["sessions"]) => self.login(now, serde_json::from_slice(body).unwrap()),
            (Method::Post, ["sessions", "refresh"]) => self.refresh(now, serde_json::from_slice(body).unwrap()),
            _ => {
                let caller = self.caller(now, request.bearer.as_ref())?;
                self.route_authenticated(now, request.method, &parts, query, body, &caller)
            }
        }
    }

    fn route_authenticated(
        &mut self,
        now: u64,
        method: Method,
        parts: &[&str],
        query: &str,
        body: &[u8],
        caller: &Session,
    ) -> Reply {
        let own = caller.address.account;
        match (method, parts) {
            (Method::Get, ["accounts", "by-name", name]) => {
                self.looked_up.push((*name).to_owned());
                let Some(account) = self.store.accounts.get(*name) else { return problem(ProblemCode::NotFound) };
                let list = account.lists.last().unwrap();
                ok(&AccountInfo {
                    username: (*name).to_owned(),
                    account_id: B64(account.id),
                    account_identity_key: B64(list.account_identity()),
                    device_list: encoded(list),
                })
            }
            (Method::Get, ["accounts", id, "devices"]) => {
                let after: u64 = query.trim_start_matches("after=").parse().unwrap();
                let Some(account) = self.by_id(account_id(id)) else { return problem(ProblemCode::NotFound) };
                ok(&DeviceLists {
                    device_lists: account.lists.iter().filter(|list| list.version() > after).map(encoded).collect(),
                    current_version: account.lists.last().unwrap().version(),
                })
            }
            (Method::Post, ["accounts", id, "bundles"]) => {
                self.take(account_id(id), &serde_json::from_slice(body).unwrap())
            }
            (Method::Put, ["account", "devices"]) => self.publish(own, serde_json::from_slice(body).unwrap()),
            (Method::Put, ["account", "password"]) => {
                let request: ChangePasswordRequest = serde_json::from_slice(body).unwrap();
                let account = self.by_id(own).unwrap();
                if account.password == request.old_password.reveal() {
                    account.password = request.new_password.reveal().to_owned();
                } else if account.password != request.new_password.reveal() {
                    return problem(ProblemCode::PasswordWrong);
                }
                self.store.sessions.retain(|_, session| session.address.account != own || session.id == caller.id);
                self.store.sessions.get_mut(caller.id.as_bytes()).unwrap().generation += 1;
                ok(&SessionsEnded { ended: 0 })
            }
            (Method::Get, ["sessions"]) => ok(&SessionList {
                sessions: self
                    .store
                    .sessions
                    .values()
                    .filter(|session| session.address.account == own)
                    .map(|session| SessionInfo {
                        session_id: B64(session.id),
                        device_id: session.address.device.get(),
                        created_at: now,
                        last_used_at: now,
                        current: session.id == caller.id,
                    })
                    .collect(),
            }),
            (Method::Delete, ["sessions", "current"]) => {
                self.store.sessions.remove(caller.id.as_bytes());
                ok(&SessionsEnded { ended: 1 })
            }
            (Method::Get, ["prekeys"]) => ok(&self.prekey_status(caller.address)),
            (Method::Get, ["prekeys", "ids"]) => {
                ok(&PrekeyIds { ids: self.device(caller.address).one_time.keys().copied().collect() })
            }
            (Method::Delete, ["prekeys"]) => {
                self.device(caller.address).one_time.clear();
                ok(&self.prekey_status(caller.address))
            }
            (Method::Post, ["prekeys"]) => {
                let request: UploadPrekeysRequest = serde_json::from_slice(body).unwrap();
                let device = self.device(caller.address);
                if request.key_epoch != device.key_epoch {
                    return problem(ProblemCode::KeyEpochConflict);
                }
                for key in request.one_time_prekeys {
                    if key.id > device.max_issued {
                        device.max_issued = key.id;
                        device.one_time.insert(key.id, key);
                    } else if device.one_time.get(&key.id).is_some_and(|stored| *stored != key) {
                        return problem(ProblemCode::PrekeyConflict);
                    }
                }
                if let Some(key) = request.signed_prekey {
                    device.signed_prekey = Some(key);
                }
                ok(&self.prekey_status(caller.address))
            }
            (Method::Get, ["account", "export"]) => Ok(b"{}".to_vec()),
            (method, parts) => panic!("no route {method:?} {parts:?}"),
        }
    }

    fn prekey_status(&mut self, address: DeviceAddress) -> PrekeyStatus {
        let device = self.device(address);
        PrekeyStatus {
            key_epoch: device.key_epoch,
            one_time_left: device.one_time.len() as u32,
            max_issued_id: device.max_issued,
            signed_prekey_id: device.signed_prekey.as_ref().map_or(0, |key| key.id),
            signed_prekey_expires_at: device.signed_prekey.as_ref().map_or(0, |key| key.expires_at),
            low: device.one_time.len() < 25,
        }
    }

    fn login_account(&self, name: &str, password: &str) -> Result<Account, (ProblemCode, Option<u64>)> {
        self.store
            .accounts
            .get(name)
            .filter(|account| account.password == password)
            .cloned()
            .ok_or((ProblemCode::LoginFailed, None))
    }

    fn start_session(
        &mut self,
        now: u64,
        list: &DeviceList,
        address: DeviceAddress,
        request: &SessionRequest,
    ) -> Reply {
        let statement = LoginStatement {
            server: SERVER_ID,
            session: *request.session_id.0.as_bytes(),
            address,
            refresh_hash: *request.refresh_hash.0.as_bytes(),
        };
        if !list.contains(&address) {
            return problem(ProblemCode::LoginFailed);
        }
        let identity = list.device(address.device).unwrap().identity;
        statement.verify(&identity, &request.signature.0).unwrap();
        let session = self.store.sessions.entry(*request.session_id.0.as_bytes()).or_insert(Session {
            id: request.session_id.0,
            address,
            refresh_hash: request.refresh_hash.0,
            previous_hash: None,
            generation: 0,
            expires_at: now + 600_000,
        });
        let session = session.clone();
        ok(&grant(&session))
    }

    fn register(&mut self, now: u64, request: RegisterRequest) -> Reply {
        let list = DeviceList::decode(&request.device_list.0.0).unwrap();
        let address = list.addresses().next().unwrap();
        match self.store.accounts.get(&request.username) {
            Some(account) if account.lists[0] == list && account.password == request.password.reveal() => {}
            Some(_) => return problem(ProblemCode::UsernameTaken),
            None => {
                let account = Account {
                    id: list.account(),
                    password: request.password.reveal().to_owned(),
                    lists: vec![list.clone()],
                };
                self.store.accounts.insert(request.username, account);
                self.add_device(address, &request.device);
            }
        }
        self.start_session(now, &list, address, &request.session)
    }

    fn add_device(&mut self, address: DeviceAddress, keys: &DevicePrekeys) {
        let one_time: BTreeMap<u32, _> = keys.one_time_prekeys.iter().map(|key| (key.id, key.clone())).collect();
        let max_issued = one_time.keys().next_back().copied().unwrap_or(0);
        let signed_prekey = Some(keys.signed_prekey.clone());
        let device = Device { signed_prekey, max_issued, one_time, key_epoch: 1, ..Device::default() };
        self.store.devices.insert(address, device);
    }

    fn new_identity(&mut self, now: u64, request: NewIdentityRequest) -> Reply {
        let account = self.login_account(&request.username, request.password.reveal())?;
        let list = DeviceList::decode(&request.device_list.0.0).unwrap();
        let address = list.addresses().next().unwrap();
        if *account.lists.last().unwrap() != list {
            if account.lists.last().unwrap().check_successor(&list).is_err() || !list.new_identity() {
                return problem(ProblemCode::DeviceListConflict);
            }
            self.by_id(account.id).unwrap().lists.push(list.clone());
            self.store.sessions.retain(|_, session| session.address.account != account.id);
            self.connections.retain(|_, connection| connection.address.account != account.id);
            self.add_device(address, &request.device);
        }
        self.start_session(now, &list, address, &request.session)
    }

    fn login(&mut self, now: u64, request: LoginRequest) -> Reply {
        let account = self.login_account(&request.username, request.password.reveal())?;
        let list = account.lists.last().unwrap().clone();
        let address = list.addresses().find(|address| {
            address.device.get() == request.device_id && address.registration == request.registration_id.0
        });
        let Some(address) = address else { return problem(ProblemCode::LoginFailed) };
        self.start_session(now, &list, address, &request.session)
    }

    fn refresh(&mut self, now: u64, request: RefreshRequest) -> Reply {
        let Some(session) = self.store.sessions.get(request.session_id.0.as_bytes()).cloned() else {
            return problem(ProblemCode::RefreshInvalid);
        };
        let statement = RefreshStatement {
            server: SERVER_ID,
            session: *session.id.as_bytes(),
            old_hash: *request.refresh_token.0.hash().as_bytes(),
            next_hash: *request.next_hash.0.as_bytes(),
        };
        let account = self.by_id(session.address.account).unwrap();
        let identity = account.lists.last().unwrap().device(session.address.device).unwrap().identity;
        if statement.verify(&identity, &request.signature.0).is_err() {
            return problem(ProblemCode::RefreshInvalid);
        }
        let old = request.refresh_token.0.hash();
        let next = request.next_hash.0;
        let session = self.store.sessions.get_mut(request.session_id.0.as_bytes()).unwrap();
        if session.refresh_hash == old {
            session.previous_hash = Some(old);
            session.refresh_hash = next;
        } else if !(session.previous_hash == Some(old) && session.refresh_hash == next) {
            self.store.sessions.remove(request.session_id.0.as_bytes());
            return problem(ProblemCode::SessionEnded);
        }
        session.generation += 1;
        session.expires_at = now + 600_000;
        let session = session.clone();
        ok(&grant(&session))
    }

    fn take(&mut self, id: AccountId, request: &TakeBundlesRequest) -> Reply {
        let Some(account) = self.by_id(id).cloned() else { return problem(ProblemCode::NotFound) };
        let list = account.lists.last().unwrap();
        let mut bundles = Vec::new();
        for address in list.addresses() {
            if request.devices.as_ref().is_some_and(|devices| !devices.contains(&address.device.get())) {
                continue;
            }
            let device = self.store.devices.get_mut(&address).unwrap();
            let one_time = device.one_time.pop_first().map(|(_, key)| key);
            if let Some(key) = &one_time {
                assert!(self.used_one_time.insert((address, key.id)), "a one-time prekey was given twice");
            }
            self.bundles_taken += 1;
            bundles.push(DeviceBundle {
                device_id: address.device.get(),
                registration_id: B64(address.registration),
                signed_prekey: device.signed_prekey.clone(),
                one_time_prekey: one_time,
                dormant: false,
            });
        }
        let mut response = TakeBundlesResponse { device_list: encoded(list), bundles };
        if let Some(tamper) = &self.tamper_bundles {
            tamper(&mut response);
        }
        ok(&response)
    }

    fn publish(&mut self, own: AccountId, request: PublishDeviceListRequest) -> Reply {
        let list = DeviceList::decode(&request.device_list.0.0).unwrap();
        let account = self.by_id(own).unwrap();
        let current = account.lists.last().unwrap().clone();
        if current != list {
            if current.check_successor(&list).is_err() {
                return problem(ProblemCode::DeviceListConflict);
            }
            account.lists.push(list.clone());
            for keys in &request.added {
                let address = list.addresses().find(|it| it.device.get() == keys.device_id).unwrap();
                self.add_device(address, keys);
            }
            self.store.sessions.retain(|_, session| session.address.account != own || list.contains(&session.address));
            self.connections
                .retain(|_, connection| connection.address.account != own || list.contains(&connection.address));
        }
        ok(&DeviceLists { device_lists: vec![encoded(&list)], current_version: list.version() })
    }
}

fn token_of(session: &Session) -> AccessToken {
    AccessToken::new(format!("{}:{}", session.id, session.generation))
}

fn grant(session: &Session) -> SessionGrant {
    SessionGrant {
        session_id: B64(session.id),
        account_id: B64(session.address.account),
        access_token: token_of(session),
        expires_in: 600,
    }
}

fn account_id(text: &str) -> AccountId {
    serde_json::from_value::<B64<AccountId>>(serde_json::Value::String(text.to_owned())).unwrap().0
}

//! People with real keys: what a client keeps, and the requests it makes of it.

use sealpost_api::accounts::{NewIdentityRequest, RegisterRequest};
use sealpost_api::devices::PublishDeviceListRequest;
use sealpost_api::encoding::{B64, Binary, EncodedDeviceList, RefreshToken};
use sealpost_api::ids::{RefreshTokenHash, ServerId, SessionId};
use sealpost_api::password::Password;
use sealpost_api::prekeys::{DevicePrekeys, OneTimePrekeyBody, SignedPrekeyBody};
use sealpost_api::sessions::{LoginRequest, RefreshRequest, SessionGrant, SessionRequest};
use sealpost_crypto::{
    AccountId, AccountIdentityKeyPair, DeviceAddress, DeviceEntry, DeviceId, DeviceIdentityKeyPair, DeviceList,
    DeviceListBody, LoginStatement, OneTimePrekeyId, OneTimePrekeyPair, RefreshStatement, RegistrationId,
    SignedPrekeyId, SignedPrekeyPair, UnixMillis,
};

use crate::server::{Reply, TestServer};

pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) fn password(text: &str) -> Password {
    Password::new(text.to_owned())
}

/// A binary value as it stands in a path.
pub(crate) fn path_id<T: Binary>(id: T) -> String {
    serde_json::to_value(B64(id)).unwrap().as_str().unwrap().to_owned()
}

/// One device: its key, its address, its session.
pub(crate) struct Device {
    pub(crate) identity: DeviceIdentityKeyPair,
    pub(crate) address: DeviceAddress,
    pub(crate) session: SessionId,
    pub(crate) refresh: RefreshToken,
    pub(crate) access: String,
}

impl Device {
    pub(crate) fn new(account: AccountId, device: u8) -> Self {
        Self {
            identity: DeviceIdentityKeyPair::generate(&mut rand::rng()),
            address: DeviceAddress {
                account,
                device: DeviceId::new(device).unwrap(),
                registration: RegistrationId::generate(&mut rand::rng()),
            },
            session: SessionId::from_bytes(rand::random()),
            refresh: RefreshToken::from_bytes(rand::random()),
            access: String::new(),
        }
    }

    pub(crate) fn entry(&self) -> DeviceEntry {
        DeviceEntry {
            device: self.address.device,
            registration: self.address.registration,
            identity: self.identity.public(),
        }
    }

    pub(crate) fn signed_prekey(&self, id: u32, made_at: UnixMillis) -> SignedPrekeyBody {
        let pair = SignedPrekeyPair::generate(&mut rand::rng(), SignedPrekeyId(id), made_at);
        let signed = pair.signed(&self.address, &self.identity);
        SignedPrekeyBody { id, key: B64(signed.key), expires_at: signed.expires_at.0, signature: B64(signed.signature) }
    }

    pub(crate) fn prekeys(&self, ids: std::ops::RangeInclusive<u32>, now: UnixMillis) -> DevicePrekeys {
        DevicePrekeys {
            device_id: self.address.device.get(),
            signed_prekey: self.signed_prekey(1, now),
            one_time_prekeys: one_time_prekeys(ids),
        }
    }

    pub(crate) fn session_request(&self, server: ServerId) -> SessionRequest {
        let refresh_hash = self.refresh.hash();
        let statement = LoginStatement {
            server: *server.as_bytes(),
            session: *self.session.as_bytes(),
            address: self.address,
            refresh_hash: *refresh_hash.as_bytes(),
        };
        SessionRequest {
            session_id: B64(self.session),
            refresh_hash: B64(refresh_hash),
            signature: B64(statement.sign(&self.identity)),
        }
    }

    /// A refresh from one token to the hash of another.
    pub(crate) fn refresh_request(
        &self,
        server: ServerId,
        old: &RefreshToken,
        next: RefreshTokenHash,
    ) -> RefreshRequest {
        let statement = RefreshStatement {
            server: *server.as_bytes(),
            session: *self.session.as_bytes(),
            old_hash: *old.hash().as_bytes(),
            next_hash: *next.as_bytes(),
        };
        RefreshRequest {
            session_id: B64(self.session),
            refresh_token: B64(old.clone()),
            next_hash: B64(next),
            signature: B64(statement.sign(&self.identity)),
        }
    }

    /// Refreshes as a client does, and keeps what it got.
    pub(crate) async fn refresh(&mut self, server: &TestServer) {
        let next = RefreshToken::from_bytes(rand::random());
        let request = self.refresh_request(server_id(server), &self.refresh, next.hash());
        let grant: SessionGrant = server.post("/v1/sessions/refresh", "", &request).await.json();
        self.refresh = next;
        self.access = grant.access_token.reveal().to_owned();
    }

    pub(crate) fn login_request(&self, server: ServerId, username: &str, password_text: &str) -> LoginRequest {
        LoginRequest {
            username: username.to_owned(),
            password: password(password_text),
            device_id: self.address.device.get(),
            registration_id: B64(self.address.registration),
            session: self.session_request(server),
        }
    }

    /// Logs in with a new session, and keeps what it got.
    pub(crate) async fn log_in(&mut self, server: &TestServer, username: &str, password_text: &str) -> Reply {
        self.session = SessionId::from_bytes(rand::random());
        self.refresh = RefreshToken::from_bytes(rand::random());
        let request = self.login_request(server_id(server), username, password_text);
        let reply = server.post("/v1/sessions", "", &request).await;
        if reply.status == 200 {
            self.access = reply.json::<SessionGrant>().access_token.reveal().to_owned();
        }
        reply
    }
}

pub(crate) fn server_id(server: &TestServer) -> ServerId {
    server.services.core().store.server_id()
}

pub(crate) fn one_time_prekeys(ids: std::ops::RangeInclusive<u32>) -> Vec<OneTimePrekeyBody> {
    ids.map(|id| {
        let public = OneTimePrekeyPair::generate(&mut rand::rng(), OneTimePrekeyId(id)).public();
        OneTimePrekeyBody { id, key: B64(public.key) }
    })
    .collect()
}

/// An account with its identity key, its devices, and its newest list.
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) identity: AccountIdentityKeyPair,
    pub(crate) list: DeviceList,
    /// The first device.
    pub(crate) device: Device,
}

impl Account {
    /// Keys and a first list; nothing is sent yet.
    pub(crate) fn new(name: &str) -> Self {
        let id = AccountId::generate(&mut rand::rng());
        let identity = AccountIdentityKeyPair::generate(&mut rand::rng());
        let device = Device::new(id, 1);
        let body = DeviceListBody {
            account: id,
            account_identity: identity.public(),
            version: 1,
            previous_hash: [0; 32],
            new_identity: false,
            devices: vec![device.entry()],
        };
        let list = DeviceList::sign(&identity, body).unwrap();
        Self { name: name.to_owned(), identity, list, device }
    }

    /// Registers, and keeps the access token.
    pub(crate) async fn register(server: &TestServer, name: &str) -> Self {
        let mut account = Self::new(name);
        let request = account.register_request(server);
        let grant: SessionGrant = server.post("/v1/accounts", "", &request).await.json();
        account.device.access = grant.access_token.reveal().to_owned();
        account
    }

    pub(crate) fn id(&self) -> AccountId {
        self.list.account()
    }

    pub(crate) fn register_request(&self, server: &TestServer) -> RegisterRequest {
        RegisterRequest {
            username: self.name.clone(),
            password: password(PASSWORD),
            invite: None,
            device_list: B64(EncodedDeviceList(self.list.encoded().to_vec())),
            device: self.device.prekeys(1..=30, server.now()),
            session: self.device.session_request(server_id(server)),
        }
    }

    /// The list that follows with these devices.
    pub(crate) fn next_list(&self, devices: &[&Device]) -> DeviceList {
        let body = DeviceListBody {
            version: self.list.version() + 1,
            previous_hash: self.list.hash(),
            devices: devices.iter().map(|device| device.entry()).collect(),
            ..self.list.body().clone()
        };
        DeviceList::sign(&self.identity, body).unwrap()
    }

    /// Adds a second device, logged in, by a newly signed list.
    pub(crate) async fn add_device(&mut self, server: &TestServer, number: u8) -> Device {
        let mut device = Device::new(self.id(), number);
        let next = self.next_list(&[&self.device, &device]);
        let request = publish_request(&next, vec![device.prekeys(1..=10, server.now())]);
        assert_eq!(server.put("/v1/account/devices", &self.device.access, &request).await.status, 200);
        self.list = next;
        assert_eq!(device.log_in(server, &self.name, PASSWORD).await.status, 200);
        device
    }

    /// Keys and list with which the same account goes on under a new identity.
    pub(crate) fn renewed(&self) -> Self {
        let identity = AccountIdentityKeyPair::generate(&mut rand::rng());
        let device = Device::new(self.id(), 1);
        let body = DeviceListBody {
            account: self.id(),
            account_identity: identity.public(),
            version: self.list.version() + 1,
            previous_hash: self.list.hash(),
            new_identity: true,
            devices: vec![device.entry()],
        };
        let list = DeviceList::sign(&identity, body).unwrap();
        Self { name: self.name.clone(), identity, list, device }
    }

    pub(crate) fn new_identity_request(&self, server: &TestServer) -> NewIdentityRequest {
        NewIdentityRequest {
            username: self.name.clone(),
            password: password(PASSWORD),
            device_list: B64(EncodedDeviceList(self.list.encoded().to_vec())),
            device: self.device.prekeys(1..=5, server.now()),
            session: self.device.session_request(server_id(server)),
        }
    }
}

pub(crate) fn publish_request(list: &DeviceList, added: Vec<DevicePrekeys>) -> PublishDeviceListRequest {
    PublishDeviceListRequest { device_list: B64(EncodedDeviceList(list.encoded().to_vec())), added }
}

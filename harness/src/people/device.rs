//! A device: its keys, its address, its session.

use sealpost_api::encoding::{B64, Binary, RefreshToken};
use sealpost_api::ids::{RefreshTokenHash, ServerId, SessionId};
use sealpost_api::password::Password;
use sealpost_api::prekeys::{DevicePrekeys, OneTimePrekeyBody, SignedPrekeyBody};
use sealpost_api::sessions::{LoginRequest, RefreshRequest, SessionRequest};
use sealpost_crypto::{
    AccountId, DeviceAddress, DeviceEntry, DeviceId, DeviceIdentityKeyPair, LoginStatement, OneTimePrekeyId,
    OneTimePrekeyPair, RefreshStatement, RegistrationId, SignedPrekey, SignedPrekeyId, SignedPrekeyPair, UnixMillis,
};

/// One device of an account.
pub struct Device {
    /// Its identity key.
    pub identity: DeviceIdentityKeyPair,
    /// Where messages for it go.
    pub address: DeviceAddress,
    /// Its session.
    pub session: SessionId,
    /// The refresh token of its session.
    pub refresh: RefreshToken,
    /// The access token that it got last; empty before it has one.
    pub access: String,
}

impl Device {
    /// Makes a device with new keys and a new session.
    ///
    /// # Panics
    /// If the number is no device's.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test that asks for such a device has failed")]
    pub fn new(account: AccountId, number: u8) -> Self {
        let rng = &mut rand::rng();
        let device = DeviceId::new(number).expect("a device has this number");
        Self {
            identity: DeviceIdentityKeyPair::generate(rng),
            address: DeviceAddress { account, device, registration: RegistrationId::generate(rng) },
            session: SessionId::from_bytes(rand::random()),
            refresh: RefreshToken::from_bytes(rand::random()),
            access: String::new(),
        }
    }

    /// Begins a new session, with a new refresh token.
    pub fn renew_session(&mut self) {
        self.session = SessionId::from_bytes(rand::random());
        self.refresh = RefreshToken::from_bytes(rand::random());
    }

    /// Returns its entry in a device list.
    #[must_use]
    pub fn entry(&self) -> DeviceEntry {
        DeviceEntry {
            device: self.address.device,
            registration: self.address.registration,
            identity: self.identity.public(),
        }
    }

    /// Makes and signs a signed prekey.
    #[must_use]
    pub fn made_prekey(&self, id: u32, made_at: UnixMillis) -> SignedPrekey {
        SignedPrekeyPair::generate(&mut rand::rng(), SignedPrekeyId(id), made_at).signed(&self.address, &self.identity)
    }

    /// Makes a signed prekey, as it is uploaded.
    #[must_use]
    pub fn signed_prekey(&self, id: u32, made_at: UnixMillis) -> SignedPrekeyBody {
        let signed = self.made_prekey(id, made_at);
        SignedPrekeyBody { id, key: B64(signed.key), expires_at: signed.expires_at.0, signature: B64(signed.signature) }
    }

    /// Makes the prekeys that a new device uploads: one signed, and one-time prekeys with these ids.
    #[must_use]
    pub fn prekeys(&self, one_time: impl IntoIterator<Item = u32>, now: UnixMillis) -> DevicePrekeys {
        DevicePrekeys {
            device_id: self.address.device.get(),
            signed_prekey: self.signed_prekey(1, now),
            one_time_prekeys: one_time_prekeys(one_time),
        }
    }

    /// Returns its session as a server is asked for it, signed for this server.
    #[must_use]
    pub fn session_request(&self, server: ServerId) -> SessionRequest {
        self.signed_session(server, self.session, self.refresh.hash())
    }

    fn signed_session(&self, server: ServerId, session: SessionId, refresh_hash: RefreshTokenHash) -> SessionRequest {
        let statement = LoginStatement {
            server: *server.as_bytes(),
            session: *session.as_bytes(),
            address: self.address,
            refresh_hash: *refresh_hash.as_bytes(),
        };
        SessionRequest {
            session_id: B64(session),
            refresh_hash: B64(refresh_hash),
            signature: B64(statement.sign(&self.identity)),
        }
    }

    /// Returns a log-in with its session.
    #[must_use]
    pub fn login_request(&self, server: ServerId, username: &str, password: &str) -> LoginRequest {
        LoginRequest {
            username: username.to_owned(),
            password: Password::new(password.to_owned()),
            device_id: self.address.device.get(),
            registration_id: B64(self.address.registration),
            session: self.session_request(server),
        }
    }

    /// Returns a log-in with a new session, which the device does not keep.
    #[must_use]
    pub fn login_request_anew(&self, server: ServerId, username: &str, password: &str) -> LoginRequest {
        let refresh = RefreshToken::from_bytes(rand::random());
        let session = self.signed_session(server, SessionId::from_bytes(rand::random()), refresh.hash());
        LoginRequest { session, ..self.login_request(server, username, password) }
    }

    /// Returns a refresh of its session from one token to the hash of another.
    #[must_use]
    pub fn refresh_request(&self, server: ServerId, old: &RefreshToken, next: RefreshTokenHash) -> RefreshRequest {
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
}

/// Makes one-time prekeys with these ids, as they are uploaded.
#[must_use]
pub fn one_time_prekeys(ids: impl IntoIterator<Item = u32>) -> Vec<OneTimePrekeyBody> {
    let rng = &mut rand::rng();
    let body =
        |id| OneTimePrekeyBody { id, key: B64(OneTimePrekeyPair::generate(rng, OneTimePrekeyId(id)).public().key) };
    ids.into_iter().map(body).collect()
}

/// Returns a binary value as it stands in a path.
#[must_use]
pub fn path_id<T: Binary>(id: T) -> String {
    let text = serde_json::to_value(B64(id)).unwrap_or_default();
    text.as_str().unwrap_or_default().to_owned()
}

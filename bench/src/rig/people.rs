//! Accounts with one device each, and their access tokens.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use sealpost_api::accounts::RegisterRequest;
use sealpost_api::encoding::{B64, EncodedDeviceList, RefreshToken};
use sealpost_api::frames::{ClientFrame, Copy, Send, SendKind};
use sealpost_api::ids::{MessageNumber, RefreshTokenHash, SessionId};
use sealpost_api::password::{AccessToken, Password};
use sealpost_api::prekeys::{DevicePrekeys, SignedPrekeyBody};
use sealpost_api::server::ServerInfo;
use sealpost_api::sessions::{LoginRequest, RefreshRequest, SessionGrant, SessionRequest};
use sealpost_crypto::{
    AccountId, AccountIdentityKeyPair, DeviceAddress, DeviceEntry, DeviceId, DeviceIdentityKeyPair, DeviceList,
    DeviceListBody, LoginStatement, RefreshStatement, RegistrationId, SignedPrekey, SignedPrekeyId, SignedPrekeyPair,
    UnixMillis,
};

use super::http::Http;
use super::server::Server;

mod fill;

pub(crate) use fill::fill;

/// Everybody's; what it is does not matter to what a hash of it costs.
const PASSWORD: &str = "a password of the bench";

/// Somebody with an account, one device and a session.
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) address: DeviceAddress,
    identity: DeviceIdentityKeyPair,
    session: SessionId,
    refresh: RefreshToken,
    access: Option<AccessToken>,
}

/// What else an account is made from.
struct Papers {
    list: DeviceList,
    prekey: SignedPrekey,
}

impl Person {
    /// New keys. `now` is the server's clock.
    fn new(name: String, now: UnixMillis) -> Result<(Self, Papers)> {
        let rng = &mut rand::rng();
        let (account, identity) = (AccountIdentityKeyPair::generate(rng), DeviceIdentityKeyPair::generate(rng));
        let registration = RegistrationId::generate(rng);
        let address = DeviceAddress { account: AccountId::generate(rng), device: DeviceId::PRIMARY, registration };
        let body = DeviceListBody {
            account: address.account,
            account_identity: account.public(),
            version: 1,
            previous_hash: [0; 32],
            new_identity: false,
            devices: vec![DeviceEntry { device: address.device, registration, identity: identity.public() }],
        };
        let list = DeviceList::sign(&account, body)?;
        let prekey = SignedPrekeyPair::generate(rng, SignedPrekeyId(1), now).signed(&address, &identity);
        let session = SessionId::from_bytes(rand::random());
        let refresh = RefreshToken::from_bytes(rand::random());
        Ok((Self { name, address, identity, session, refresh, access: None }, Papers { list, prekey }))
    }

    /// The access token.
    pub(crate) fn token(&self) -> Result<&str> {
        Ok(self.access.as_ref().context("nobody has asked for an access token yet")?.reveal())
    }

    fn session_request(&self, info: &ServerInfo, session: SessionId, hash: RefreshTokenHash) -> SessionRequest {
        let statement = LoginStatement {
            server: *info.server_id.0.as_bytes(),
            session: *session.as_bytes(),
            address: self.address,
            refresh_hash: *hash.as_bytes(),
        };
        SessionRequest {
            session_id: B64(session),
            refresh_hash: B64(hash),
            signature: B64(statement.sign(&self.identity)),
        }
    }

    fn register_request(&self, info: &ServerInfo, papers: &Papers) -> RegisterRequest {
        RegisterRequest {
            username: self.name.clone(),
            password: Password::new(PASSWORD.to_owned()),
            invite: None,
            device_list: B64(EncodedDeviceList(papers.list.encoded().to_vec())),
            device: DevicePrekeys {
                device_id: self.address.device.get(),
                signed_prekey: SignedPrekeyBody {
                    id: papers.prekey.id.0,
                    key: B64(papers.prekey.key),
                    expires_at: papers.prekey.expires_at.0,
                    signature: B64(papers.prekey.signature),
                },
                one_time_prekeys: Vec::new(),
            },
            session: self.session_request(info, self.session, self.refresh.hash()),
        }
    }

    /// A log-in with a new session.
    pub(crate) fn login_request(&self, info: &ServerInfo) -> LoginRequest {
        let hash = RefreshToken::from_bytes(rand::random()).hash();
        LoginRequest {
            username: self.name.clone(),
            password: Password::new(PASSWORD.to_owned()),
            device_id: self.address.device.get(),
            registration_id: B64(self.address.registration),
            session: self.session_request(info, SessionId::from_bytes(rand::random()), hash),
        }
    }

    async fn refresh(&mut self, http: &Http, info: &ServerInfo) -> Result<()> {
        let next = RefreshToken::from_bytes(rand::random());
        let statement = RefreshStatement {
            server: *info.server_id.0.as_bytes(),
            session: *self.session.as_bytes(),
            old_hash: *self.refresh.hash().as_bytes(),
            next_hash: *next.hash().as_bytes(),
        };
        let request = RefreshRequest {
            session_id: B64(self.session),
            refresh_token: B64(self.refresh.clone()),
            next_hash: B64(next.hash()),
            signature: B64(statement.sign(&self.identity)),
        };
        let body = http.call("POST", "/v1/sessions/refresh", None, &serde_json::to_string(&request)?).await?;
        let grant: SessionGrant = serde_json::from_slice(&body)?;
        (self.refresh, self.access) = (next, Some(grant.access_token));
        Ok(())
    }
}

/// A message to this device.
pub(crate) fn message(to: &DeviceAddress, number: u64, ciphertext: Bytes) -> ClientFrame {
    let copy = Copy { device: to.device, registration: to.registration, ciphertext };
    let kind = SendKind::Message;
    ClientFrame::Send(Send { number: MessageNumber(number), to: to.account, kind, copies: vec![copy] })
}

/// What the server says of itself.
pub(crate) async fn server_info(http: &Http) -> Result<ServerInfo> {
    Ok(serde_json::from_slice(&http.call("GET", "/v1/server", None, "").await?)?)
}

/// Registers people over HTTP, one after the other: each costs the server a password hash.
pub(crate) async fn register(server: &Server, count: usize) -> Result<Vec<Person>> {
    let http = Http::connect(server.connector()?).await?;
    let info = server_info(&http).await?;
    let mut people = Vec::with_capacity(count);
    for number in 0..count {
        let (mut person, papers) = Person::new(format!("person{number}"), UnixMillis(info.now))?;
        let request = serde_json::to_string(&person.register_request(&info, &papers))?;
        let body = http.call("POST", "/v1/accounts", None, &request).await?;
        let grant: SessionGrant = serde_json::from_slice(&body)?;
        person.access = Some(grant.access_token);
        people.push(person);
    }
    Ok(people)
}

/// New access tokens for everybody.
pub(crate) async fn refresh(server: &Server, people: &mut [Person]) -> Result<()> {
    /// Calls that wait for the disk together.
    const AT_ONCE: usize = 32;
    let info = server_info(&Http::connect(server.connector()?).await?).await?;
    let share = people.len().div_ceil(AT_ONCE).max(1);
    let shares = people.chunks_mut(share).map(async |share| {
        let http = Http::connect(server.connector()?).await?;
        for person in share {
            person.refresh(&http, &info).await?;
        }
        anyhow::Ok(())
    });
    futures_util::future::try_join_all(shares).await?;
    Ok(())
}
